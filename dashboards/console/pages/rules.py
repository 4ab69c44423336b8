"""What events are judged by: the model and its history, thresholds, coverage, nights, exceptions and a look ahead.

Place in the flow: analysts and auditors ask here why something alerted or did not. Nothing is changed here: that is
done by commands, each with a reason.
"""

from __future__ import annotations

from typing import Any

from dashboards.console.errors import refusal
from dashboards.console.evidence_ports import ExceptionDraft, PreviewView
from dashboards.console.pages.search import number
from dashboards.console.visit import Answer, Evidence, Page, Visit
from detectors.base import MODEL_DETECTOR
from detectors.coverage import SCENARIOS, STATES
from detectors.exceptions import CONDITIONS, KIND_NAMES, STATE_KEYS, TOKEN_KINDS
from detectors.rules import all_rules
from pipeline.errors import UsageError

SHOWN_CHANGES, SHOWN_NIGHTS = 20, 14
PREVIEW_DAYS = (7, 14, 30)
_LONGEST_VALUE = 256


def rules_page(visit: Visit) -> Answer:
    """The page."""
    return _page(visit)


def preview(visit: Visit) -> Answer:
    """The page, and what an exception would have held back."""
    try:
        draft = _draft(visit)
        found = visit.parts.evidence.preview(draft)
    except UsageError as exc:
        return _page(visit, refused=refusal(exc, visit.language))
    return _page(visit, found=found, draft=draft)


def _page(
    visit: Visit, found: PreviewView | None = None, draft: ExceptionDraft | None = None, refused: str = ""
) -> Evidence:
    view = visit.parts.evidence.rules(visit.now_us)
    values: dict[str, Any] = {
        "title": "rules.title", "view": view, "changes": view.changes[:SHOWN_CHANGES], "found": found, "draft": draft,
        "nights": view.nights[:SHOWN_NIGHTS], "refused": refused, "scenarios": SCENARIOS, "states": STATES,
        "conditions": CONDITIONS, "detectors": _detectors(), "kinds": KIND_NAMES, "days": PREVIEW_DAYS,
        "chosen": {name: visit.form.text(name, longest=_LONGEST_VALUE) for name in ("condition", "detector", "kind")},
    }  # fmt: skip
    rows = len(view.exceptions) + (found.reaching if found else 0)
    return Evidence(page=Page("rules.html", values, 400 if refused else 200), look="rules", rows=rows)


def _detectors() -> list[str]:
    return sorted([MODEL_DETECTOR, *STATE_KEYS, *(rule.name for rule in all_rules())])


def _draft(visit: Visit) -> ExceptionDraft:
    condition = visit.form.text("condition", longest=64)
    value = visit.form.text("value", longest=512)
    detector = visit.form.text("detector", longest=64)
    days = round(number(visit.form.text("days", "14", longest=4)))
    if condition not in CONDITIONS or not value or not detector or days not in PREVIEW_DAYS:
        raise UsageError("say whom or what it is about, which detector, and how far back", code="bad_field")
    kind = visit.form.text("kind", longest=64)
    return ExceptionDraft(
        scope={condition: _token(visit, condition, value)}, detectors=(detector,), kinds=(kind,) if kind else (),
        up_to=number(visit.form.text("up_to", "0", longest=8)), days=days,
    )  # fmt: skip


def _token(visit: Visit, condition: str, value: str) -> str:
    """The value as exceptions have it: names as tokens, everything else as it is."""
    if condition not in TOKEN_KINDS:
        return value[:_LONGEST_VALUE]
    return visit.parts.evidence.named(TOKEN_KINDS[condition], value).tokens[0]
