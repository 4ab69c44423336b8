"""The report to a data subject: what it says, what it leaves out, both languages."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pipeline.audit.subject_report import ACTIONS, LANGUAGES, SubjectAccess, SubjectReport
from pipeline.events import ACTIONS as KNOWN_ACTIONS

ACTOR = "ab" * 16
ONE = SubjectAccess(
    event_us=1_795_000_000_000_000, action="read", outcome="success", purpose="support", legal_basis="contract",
    department="customer_service", partner="", channel="ui", categories=("mobile", "contact"), recipient="internal",
    country="", records=1, others=3,
)  # fmt: skip
SHARED = replace(
    ONE, action="share", purpose="delivery", department="", partner="courier-x", recipient="partner", country="SG",
    records=-1,
)  # fmt: skip
REPORT = SubjectReport(
    from_us=0, until_us=1_796_000_000_000_000, made_us=1_796_000_000_000_000, case_ref="R-1", accesses=(ONE, SHARED),
    unlisted=2, sources=("crm", "orders-db"), retention_days={"standard": 396}, provision_days=1127,
)  # fmt: skip


def test_it_says_when_what_for_what_kind_by_whom_and_to_whom() -> None:
    totals = REPORT.totals()
    assert (totals["accesses"], totals["abroad"], totals["to_partners_or_others"], totals["denied"]) == (2, 1, 1, 0)
    assert totals["purposes"] == {"support": 1, "delivery": 1}
    assert totals["partners"] == {"courier-x": 1}
    english, chinese = REPORT.text("en"), REPORT.text("zh")
    for said in ("customer_service", "courier-x", "support", "mobile, contact", "SG", "R-1", "crm, orders-db", "396"):
        assert said in english
        assert said in chinese
    assert "looked at" in english
    assert "2 bulk accesses" in english
    assert "查看" in chinese
    assert "合作方" in chinese


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_account_stands_in_it_unless_that_was_granted(language: str) -> None:
    assert "actor" not in json.dumps(REPORT.document())
    named = replace(REPORT, accesses=(replace(ONE, actor=ACTOR),))
    assert ACTOR in named.text(language)
    assert ACTOR in json.dumps(named.document())
    assert ACTOR not in REPORT.text(language)


def test_texts_of_sources_cannot_break_the_table() -> None:
    bent = replace(REPORT, accesses=(replace(ONE, purpose="a|b\n| c |"),))
    rows = [line for line in bent.text("en").splitlines() if line.startswith("| 2026")]
    assert len(rows) == 1
    assert rows[0].count("|") == 11


def test_every_action_has_words_in_both_languages() -> None:
    assert set(ACTIONS) >= set(KNOWN_ACTIONS) - {""}
    assert "no access is on record" in replace(REPORT, accesses=()).text("en").lower()
