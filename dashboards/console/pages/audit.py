"""Where an audit begins, and what the last verification of the store came to; nothing is verified inside a request.

Place in the flow: auditors and operators ask here. The result is what `accesstrail verify --store` left in the state
folder; ages of checkpoints and anchors are what notaries say. Codes, numbers and names of trees only, no evidence.
"""

from __future__ import annotations

from dashboards.console.visit import Answer, Page, Visit
from pipeline.audit.verification import COUNTED, VerificationRun
from pipeline.health.troubles import TROUBLES

SECTIONS = (
    ("verification", "/audit/verification", "verify_ledger"),
    ("controls", "/audit/controls", "search_evidence"),
    ("report", "/audit/subject-report", "subject_report"),
    ("bundle", "/audit/evidence", "export_evidence"),
)
"""Pages of an audit: begin of their words, path, action of the matrix."""
VERIFY_STORE = "accesstrail verify --store --config accesstrail.toml --keys ledger.pub --against kept.notes"
VERIFY_BUNDLE = "accesstrail verify --bundle ./accesstrail-evidence --keys ledger.pub"
BY_COMMAND = (("report", "audit_report"), ("range", "export_bulk"), ("verify", "verify_ledger"))
"""What is done by command only: end of its words, action of the matrix."""


def hub_page(visit: Visit) -> Answer:
    """What an audit has, as far as the viewer may open it; how to verify is for everybody."""
    values = {
        "title": "audit.title", "sections": [one for one in SECTIONS if visit.may(one[2])],
        "by_command": [name for name, action in BY_COMMAND if visit.may(action)],
        "verify_store": VERIFY_STORE, "verify_bundle": VERIFY_BUNDLE,
    }  # fmt: skip
    return Page("audit.html", values)


def verification_page(visit: Visit) -> Answer:
    """The last verification, those before it, and how old checkpoints and anchors are."""
    found = visit.parts.audit.verifications()
    judged = found.judged
    newest = found.runs[0] if found.runs else None
    values = {
        "title": "verification.title", "found": found, "judged": judged, "is_old": found.is_old_at(visit.now_us),
        "later": newest if newest is not None and not newest.is_judged else None,
        "level": _level(judged, is_old=found.is_old_at(visit.now_us)), "notaries": visit.parts.audit.notaries(),
        "verify_store": VERIFY_STORE, "verify_bundle": VERIFY_BUNDLE, "counted": COUNTED,
        "explained": TROUBLES,
    }  # fmt: skip
    return Page("verification.html", values)


def _level(judged: VerificationRun | None, *, is_old: bool) -> str:
    """The colour of the verdict; the words say the same."""
    if judged is None:
        return "warning"
    level = {"intact": "good", "differences": "bad"}.get(judged.verdict, "warning")
    return "warning" if level == "good" and is_old else level
