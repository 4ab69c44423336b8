"""One identity behind one token, told of before it is shown: in part for most roles, whole for the one role that may.

Place in the flow: forms on the pages of accounts and data subjects. Who is known stands in the vault, else in the
directory. Whom nobody knows, or whom somebody had erased, stays a token, and the page says so. One at a time: more than
one takes two people and is not offered here. What part is shown goes by the viewer's role (`display_masks.py`).
"""

from __future__ import annotations

from dashboards.console.visit import Answer, Evidence, Page, Visit
from pipeline.audit.search import token_of
from pipeline.errors import UsageError
from pipeline.privacy.display_masks import masked, policy_of

KINDS = ("actor", "subject")
SHORTEST_REASON, LONGEST_REASON = 10, 2_000


def reveal(visit: Visit) -> Answer:
    """The identity of a token, or that nobody knows it."""
    kind, token = _asked(visit)
    reason = visit.form.text("reason", longest=LONGEST_REASON)
    if len(reason) < SHORTEST_REASON:
        raise UsageError(f"say why, in {SHORTEST_REASON} characters or more", code="short_reason")
    visit.parts.reveals.take(visit.who.name, visit.now_us)
    identity = visit.parts.evidence.identities.of(kind, token)
    values = {
        "title": "reveal.title", "kind": kind, "token": token, "identity": identity, "reason": reason,
        "told": "reveal.told", "back": f"/{kind}s/{token}",
    }  # fmt: skip
    return Evidence(
        page=Page("identity.html", values), look="reveal", rows=1 if identity else 0, about=f"{kind}:{token}",
        reason=reason, subject_ids=(identity,) if identity and kind == "subject" else (),
        unmasked=(f"{kind}_id",) if identity else (), case_ref=visit.kept.ticket,
    )  # fmt: skip


def show_masked(visit: Visit) -> Answer:
    """Part of the identity of a token, as the mask of the viewer's role has it, or that nobody knows it."""
    kind, token = _asked(visit)
    policy = policy_of(visit.who.roles)
    identity = visit.parts.evidence.identities.of(kind, token)
    values = {
        "title": "masked.title", "kind": kind, "token": token, "identity": masked(identity, policy) if identity else "",
        "reason": "", "told": f"masked.told.{policy}", "back": f"/{kind}s/{token}",
    }  # fmt: skip
    return Evidence(
        page=Page("identity.html", values), look="masked", rows=1 if identity else 0, about=f"{kind}:{token}",
        subject_ids=(identity,) if identity and kind == "subject" else (), case_ref=visit.kept.ticket,
    )  # fmt: skip


def _asked(visit: Visit) -> tuple[str, str]:
    """Kind and token of the form. Raises: UsageError: it names none."""
    kind, token = visit.form.text("kind", longest=20), token_of(visit.form.text("token", longest=64))
    if kind not in KINDS or token is None:
        raise UsageError("name one token of an account or a data subject", code="bad_search")
    return kind, token
