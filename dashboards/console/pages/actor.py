"""One account: what it does, whether that is its usual, its alerts and incidents; one click to its accesses.

Place in the flow: reached from incidents, searches and data subjects; an audit query of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.console.pages.search import DAY_US, address_of
from dashboards.console.visit import Answer, Evidence, Page, Visit
from pipeline.audit.actor import MORE, NOW_DAYS, USUAL_DAYS, ActorProfile
from pipeline.audit.search import Question, token_of
from pipeline.errors import UsageError

_LEVELS = 5


def token_in_path(visit: Visit) -> str:
    """The token of the address. Raises: UsageError: it is none."""
    token = token_of(visit.path["token"])
    if token is None:
        raise UsageError("an address names somebody by a token of 32 hexadecimal digits", code="bad_search")
    return token


def actor_page(visit: Visit) -> Answer:
    """The account of a token."""
    token = token_in_path(visit)
    desk = visit.parts.evidence
    until_us = visit.now_us + 1
    from_us = until_us - (NOW_DAYS + USUAL_DAYS) * DAY_US
    profile = desk.actor(token, until_us, visit.zone)
    alerts, incidents = desk.alerts_of(token, from_us), desk.incidents_of(token)
    question = Question(tenant=desk.tenant, from_us=from_us, until_us=until_us, actors=(token,))
    values = {
        "title": "actor.title", "token": token, "profile": profile, "alerts": alerts, "incidents": incidents,
        "accesses": address_of(question), "now_days": NOW_DAYS, "usual_days": USUAL_DAYS, "more": f"{MORE:g}",
        "levels": levels(profile.hours), "day_levels": levels([one.events for one in profile.days]),
        "can_reveal": visit.may("reveal_identity"), "unexplained": _unexplained(profile),
    }  # fmt: skip
    rows = sum(one.events for one in profile.days)
    return Evidence(
        page=Page("actor.html", values), look="actor", rows=rows, about=f"actor:{token}", case_ref=visit.kept.ticket
    )


def levels(counts: Sequence[int]) -> list[int]:
    """Each count as one of six shades, 0 only for none; a style sheet knows the shades, so no style stands inline."""
    highest = max(counts, default=0)
    return [0 if not one else max(1, round(_LEVELS * one / highest)) for one in counts]


def _unexplained(profile: ActorProfile) -> int:
    return sum(one.unexplained for one in profile.actions)
