"""Settings: one's own account, password, tokens, language and time zone.

Place in the flow: what an account's owner may do here goes through the same layer as `accesstrail users`. Accounts of
others are made and changed on the command line.
"""

from __future__ import annotations

from dashboards.console.pages.entry import changed_password
from dashboards.console.rendering import is_zone
from dashboards.console.visit import Answer, Page, Redirect, Visit
from pipeline.errors import UsageError
from pipeline.own_reasons import REVOKED_BY_OWNER

ZONE_COOKIE = "accesstrail_zone"


def settings_page(visit: Visit) -> Answer:
    """The page."""
    return _settings(visit)


def _settings(visit: Visit, *, refused: str = "", status: int = 200) -> Page:
    tokens = [(one, one.state_at(visit.now_us)) for one in visit.parts.accounts.tokens(visit.who.name)]
    channels = visit.parts.channels.listed() if visit.may("test_channel") else ()
    values = {"title": "settings.title", "tokens": tokens, "refused": refused, "channels": channels}
    return Page("settings.html", values, status)


def change_password(visit: Visit) -> Answer:
    """Another password; every session but a new one of this browser ends."""
    refused = changed_password(visit)
    if refused:
        return _settings(visit, refused=refused, status=400)
    _, standing = visit.parts.accounts.standing(visit.who.name)
    visit.sessions.end_all_of(visit.who.name)
    session = visit.sessions.begin(visit.who.name, standing)
    session.notes.append(visit.sentence("password.done"))
    return Redirect("/settings", signed_in=session)


def choose_zone(visit: Visit) -> Answer:
    """Keeps the viewer's time zone in a cookie."""
    zone = visit.form.text("zone", longest=64)
    if not is_zone(zone):
        return _settings(visit, refused="settings.zone.bad", status=400)
    visit.note("settings.zone.done", zone)
    return Redirect("/settings", cookies={ZONE_COOKIE: zone})


def test_channel(visit: Visit) -> Answer:
    """Sends one test message to a channel, past topic and flood guard."""
    name = visit.path["name"]
    if name not in [known for known, _ in visit.parts.channels.listed()]:
        raise UsageError("there is no such channel", code="no_channel")
    code = visit.parts.channels.test(name, visit.who.name)
    visit.note("channel.failed", name, code, kind="refused") if code else visit.note("channel.sent", name)
    return Redirect("/settings")


test_channel.__test__ = False  # type: ignore[attr-defined]  # a name that pytest would collect


def revoke_token(visit: Visit) -> Answer:
    """Ends one of one's own tokens."""
    prefix = visit.path["prefix"]
    own = [one.prefix for one in visit.parts.accounts.tokens(visit.who.name)]
    if prefix not in own:
        return _settings(visit, refused="settings.tokens.none", status=404)
    visit.parts.accounts.revoke_token(visit.who.name, prefix, REVOKED_BY_OWNER, visit.now_us)
    visit.note("token.revoked", prefix)
    return Redirect("/settings")
