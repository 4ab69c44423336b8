"""Who touched one data subject: per account, with the period, what explains it, and a count of the evidence beside it.

Place in the flow: what auditors and data protection officers are asked for. Reached by a token; the search form makes
one of an id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from dashboards.console.pages.actor import token_in_path
from dashboards.console.pages.search import (
    DAY_US,
    ROWS,
    SPANS,
    address_of,
    fingerprint,
    hidden,
    number,
    period,
    subject_ids,
    whole,
)
from dashboards.console.visit import Answer, Evidence, Page, Redirect, Visit
from pipeline.audit.export import FORMATS, MOST_EXPORTED
from pipeline.audit.identifiers import ID_MARK
from pipeline.audit.search import Question, token_of
from pipeline.errors import UsageError

DEFAULT_SPAN = 90
_LONGEST_ID, _LONGEST_TICKET = 512, 128


def ask(visit: Visit) -> Answer:
    """An id or a token that was typed becomes an address."""
    named = visit.parts.evidence.named("subject", visit.form.text("subject", longest=_LONGEST_ID + 3))
    if named.identifier:
        visit.kept.remember(named.tokens[0], named.identifier)
    visit.kept.ticket = visit.form.text("ticket", longest=_LONGEST_TICKET)
    return Redirect(f"/subjects/{named.tokens[0]}")


class AskedSubject(NamedTuple):
    """One data subject and a period that a form names. `tokens`: one a key version, the first stands in addresses."""

    tokens: tuple[str, ...]
    from_us: int
    until_us: int

    @property
    def token(self) -> str:
        """What stands for the person."""
        return self.tokens[0]


def asked_subject(visit: Visit) -> AskedSubject:
    """The person and the period of a form: of a page before, as hidden fields, or typed. Raises: UsageError."""
    named = visit.parts.evidence.named("subject", visit.form.text("subject", longest=_LONGEST_ID + 3))
    if named.identifier:
        visit.kept.remember(named.tokens[0], named.identifier)
    elif named.tokens[0] in visit.kept.typed:
        named = visit.parts.evidence.named("subject", ID_MARK + visit.kept.typed[named.tokens[0]])
    if visit.form.text("until_us", longest=20):
        from_us, until_us = whole(visit.form, "from_us"), whole(visit.form, "until_us")
    else:
        from_us, until_us = period(visit)
    from_us, until_us = max(from_us, 0), min(until_us, visit.now_us + 1)
    if from_us >= until_us:
        raise UsageError("a period ends after it begins", code="bad_range")
    return AskedSubject(named.tokens, from_us, until_us)


def chosen(visit: Visit, span: int, *, again: bool) -> Mapping[str, object]:
    """What a form of a person and a period is filled with; `again`: with what was sent, but never with a typed name.

    Whoever tries again must not ask for another period without seeing it.
    """
    if not again:
        empty = dict.fromkeys(("subject", "from", "until"), "")
        return {**empty, "span": str(span), "from_us": None, "until_us": None}
    sent = {name: visit.form.text(name, longest=32) for name in ("span", "from", "until")}
    bounds = {name: _moment_of(visit, name) for name in ("from_us", "until_us")}
    subject = token_of(visit.form.text("subject", longest=600)) or ""
    return {**sent, **bounds, "span": sent["span"] or str(span), "subject": subject}


def _moment_of(visit: Visit, name: str) -> int | None:
    """A hidden field of a page before, UTC microseconds; None where it is no moment up to now."""
    text = visit.form.text(name, longest=20)
    found = int(text) if text.isascii() and text.isdigit() else -1
    return found if 0 <= found <= visit.now_us + 1 else None


def subject_page(visit: Visit) -> Answer:
    """The data subject of a token."""
    token = token_in_path(visit)
    span = _span(visit)
    desk = visit.parts.evidence
    until_us = visit.now_us + 1
    from_us = until_us - span * DAY_US
    history = desk.subject(token, from_us, until_us)
    question = Question(tenant=desk.tenant, from_us=from_us, until_us=until_us, subjects=(token,))
    accesses = desk.found(question, ROWS, None)
    values = {
        "title": "subject.title", "token": token, "history": history, "rows": accesses.rows, "span": span,
        "spans": SPANS, "from_us": from_us, "until_us": until_us, "ticket": visit.kept.ticket,
        "next": address_of(question, after=accesses.after.text()) if accesses.after else "",
        "check_at": f"/subjects/{token}/check?span={span}&until_us={until_us}",
        "can_reveal": visit.may("reveal_identity"), "hidden": hidden(question), "formats": tuple(FORMATS),
        "most": MOST_EXPORTED, "by_actor": {
            one.actor_token: address_of(
                Question(tenant=desk.tenant, from_us=from_us, until_us=until_us, subjects=(token,),
                         actors=(one.actor_token,))
            ) for one in history.touchers
        },
    }  # fmt: skip
    return Evidence(
        page=Page("subject.html", values), look="subject", rows=history.accesses, about=f"subject:{token}",
        subject_ids=subject_ids(visit, (token,)), case_ref=visit.kept.ticket, fingerprint=fingerprint(question),
    )  # fmt: skip


def _span(visit: Visit) -> int:
    span = round(number(visit.query.text("span", str(DEFAULT_SPAN), longest=8)))
    if span not in SPANS:
        raise UsageError("there is no such period", code="bad_field")
    return span


def check(visit: Visit) -> Answer:
    """The count of the evidence beside that of the table: a part of the page that comes when it is counted."""
    token, span = token_in_path(visit), _span(visit)
    until_us = whole(visit.query, "until_us")
    if not 0 < until_us <= visit.now_us + 1:
        raise UsageError("there is no such period", code="bad_field")
    from_us = until_us - span * DAY_US
    found = visit.parts.evidence.check(token, from_us, until_us)
    values = {"title": "subject.check", "check": found}
    template = "subject_check.html" if visit.is_fragment else "subject_check_page.html"
    return Evidence(page=Page(template, values), look="page", rows=0, about=f"subject:{token}")
