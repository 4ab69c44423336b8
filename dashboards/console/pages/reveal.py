"""One identity behind one token, for the one role that may, with a reason; told of before it is shown.

Place in the flow: a form on the pages of accounts and data subjects. Who is known today stands in the directory: every
account it lists, data subjects only where `subjects.csv` or an account's own ids name them. Whom nobody knows stays a
token, and the page says so. One at a time: more than one takes two people and is not offered here.
"""

from __future__ import annotations

from collections import deque
from threading import Lock

from dashboards.console.visit import Answer, Evidence, Page, Visit
from pipeline.audit.search import token_of
from pipeline.errors import UsageError

KINDS = ("actor", "subject")
AN_HOUR = 10
"""Identities that one account may reveal in an hour: many single ones would be a bulk reveal by one person."""
SHORTEST_REASON, LONGEST_REASON = 10, 2_000
_HOUR_US = 3_600_000_000


class RevealLimit:
    """How many identities each account asked for in the last hour; safe between threads."""

    def __init__(self, an_hour: int = AN_HOUR) -> None:
        self._an_hour = an_hour
        self._lock = Lock()
        self._asked: dict[str, deque[int]] = {}

    def take(self, account: str, now_us: int) -> None:
        """Counts one. Raises: UsageError: it was the last one before."""
        with self._lock:
            asked = self._asked.setdefault(account, deque())
            while asked and asked[0] <= now_us - _HOUR_US:
                asked.popleft()
            if len(asked) >= self._an_hour:
                raise UsageError(
                    f"{self._an_hour} identities an hour are revealed to one person; more takes two people",
                    code="too_many_reveals",
                )
            asked.append(now_us)


def reveal(visit: Visit) -> Answer:
    """The identity of a token, or that nobody knows it."""
    kind, token = visit.form.text("kind", longest=20), token_of(visit.form.text("token", longest=64))
    if kind not in KINDS or token is None:
        raise UsageError("name one token of an account or a data subject", code="bad_search")
    reason = visit.form.text("reason", longest=LONGEST_REASON)
    if len(reason) < SHORTEST_REASON:
        raise UsageError(f"say why, in {SHORTEST_REASON} characters or more", code="short_reason")
    visit.parts.reveals.take(visit.who.name, visit.now_us)
    identity = visit.parts.evidence.identities.of(kind, token)
    values = {
        "title": "reveal.title", "kind": kind, "token": token, "identity": identity, "reason": reason,
        "back": f"/{kind}s/{token}",
    }  # fmt: skip
    return Evidence(
        page=Page("identity.html", values), look="reveal", rows=1 if identity else 0, about=f"{kind}:{token}",
        reason=reason, subject_ids=(identity,) if identity and kind == "subject" else (),
        unmasked=(f"{kind}_id",) if identity else (), case_ref=visit.kept.ticket,
    )  # fmt: skip
