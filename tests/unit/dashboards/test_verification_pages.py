"""Pages that say what evidence is worth: the last verification in words, the register of controls and its results."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dashboards.console.words import WORDS
from pipeline.audit.controls import RESULTS
from pipeline.audit.register_reading import read_controls
from pipeline.audit.verification import MISSING, VERDICTS
from pipeline.ledger.verify import CHECKS
from tests.audit_desk import differing, failed, intact, notary
from tests.console import World
from tests.unit.dashboards.test_audit_pages import DAY_US
from tests.unit.dashboards.test_evidence_pages import LANGUAGES


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def _main(answer: Any) -> str:
    return str(answer.text).partition("<main")[2]


# -- verification


def _verification(world: World, language: str = "en") -> str:
    client = world.signed_in("auditor")
    client.cookies.set("accesstrail_language", language)
    page = client.get("/audit/verification")
    assert page.status_code == 200
    return _main(page)


def test_without_a_run_the_page_says_how_to_make_one(world: World) -> None:
    text = _verification(world)
    assert "No run on this store has left a verdict here" in text
    assert "accesstrail verify --store" in text
    assert "No notary says anything" in text
    assert 'class="verdict warning"' in text


def test_an_intact_store_is_said_with_when_by_whom_and_how_much(world: World) -> None:
    world.audited.runs = [intact(world.now_us - 2 * 3_600_000_000)]
    text = _verification(world)
    assert "Intact and complete: 120 leaves are what was sealed and signed." in text
    assert "Begun 2 h" in text
    assert "lin.meng" in text
    assert "accesstrail+c74f20a3" in text
    assert 'class="verdict good"' in text
    assert "This verdict is old" not in text
    assert world.trail.told == [], "no evidence is shown"


def test_an_old_verdict_is_called_old_and_is_no_good_one(world: World) -> None:
    world.audited.runs = [intact(world.now_us - 8 * DAY_US)]
    text = _verification(world)
    assert "This verdict is old" in text
    assert 'class="verdict warning"' in text


def test_differences_are_named_with_check_code_place_and_words(world: World) -> None:
    world.audited.runs = [differing(world.now_us - 3_600_000_000), intact(world.now_us - DAY_US, by="")]
    text = _verification(world)
    assert "Not intact: 150 differences in 120 leaves" in text
    assert 'class="verdict bad"' in text
    for said in ("rows are not those that were sealed", "entry_root", ">30<", "Only the first 3 are listed; 151 were",
                 "nobody named (no token given)", "the whole store"):  # fmt: skip
        assert said in text, said
    assert "Not intact" not in _verification(world, "zh")


def test_a_run_that_could_not_be_judged_hides_no_verdict_before_it(world: World) -> None:
    world.audited.runs = [failed(world.now_us - 1_000_000), differing(world.now_us - DAY_US)]
    text = _verification(world)
    assert "Not intact: 150 differences" in text
    assert "A later run could not be judged" in text
    assert "store_away" in text
    world.audited.runs = [failed(world.now_us - 1_000_000)]
    assert "has left a verdict here" in _verification(world)


def test_what_is_missing_is_no_change(world: World) -> None:
    world.audited.runs = [replace(intact(world.now_us - 9), verdict=MISSING, counts={"gap": 2})]
    assert "Intact but incomplete: 120 leaves are what was sealed; 2 things are missing" in _verification(world)


def test_damaged_results_are_pointed_at(world: World) -> None:
    world.audited.unreadable = 2
    assert "2 files in the folder of results are no results" in _verification(world)


def test_checkpoints_and_anchors_are_shown_with_their_age(world: World) -> None:
    world.audited.notaries_found = [notary(world.now_us)]
    text = _verification(world)
    assert re.search(r"A notary signed 3 trees as far as they were \d min ago\.", text)
    assert "2 h" in text
    assert "The file of an anchor cannot be written." in text
    world.audited.notaries_found = [replace(notary(world.now_us), anchors=[])]
    assert "There is no anchor" in _verification(world)


@pytest.mark.parametrize(("role", "status"), [("operator", 200), ("auditor", 200), ("soc", 403), ("dpo", 403)])
def test_verification_is_for_whoever_may_verify(world: World, role: str, status: int) -> None:
    assert world.signed_in(role).get("/audit/verification").status_code == status


def test_every_check_and_verdict_has_words() -> None:
    assert {f"check.{code}" for code in CHECKS} == {key for key in WORDS if key.startswith("check.")}
    for verdict in VERDICTS:
        assert f"verification.verdict.{verdict}" in WORDS
        assert f"verification.short.{verdict}" in WORDS


def test_health_shows_the_last_verdict_and_calls_differences_wrong(world: World) -> None:
    client = world.signed_in("operator")
    assert "none yet" in client.get("/health").text
    world.audited.runs = [intact(world.now_us - 3_600_000_000)]
    text = client.get("/health").text
    assert re.search(r"intact and complete, 1 h\s*ago", text)
    assert 'href="/audit/verification"' in text
    world.audited.runs = [differing(world.now_us - 3_600_000_000)]
    assert "The last verification found differences in the evidence: 150." in client.get("/health").text
    assert 'href="/audit/verification"' not in world.signed_in("soc").get("/health").text


# -- controls


def test_the_register_is_shown_whole_with_what_was_not_confirmed(world: World) -> None:
    register = read_controls()
    text = _main(world.signed_in("auditor").get("/audit/controls"))
    for control in register.controls:
        assert f'<tr id="{control.control_id}">' in text
    for law in register.laws.values():
        assert f'id="{law.law_id}"' in text
    open_ones = sum(len(register.unconfirmed(one)) for one in register.controls)
    open_ones += sum(not one.confirmed for law in register.laws.values() for one in law.articles.values())
    open_ones += sum(not law.in_force_confirmed for law in register.laws.values())
    assert text.count("not confirmed</span>") == open_ones > 0
    assert world.audited.judged_periods == [], "the store is asked only where a period is chosen"


@pytest.mark.parametrize("language", LANGUAGES)
def test_results_of_a_period_are_numbers_and_words(world: World, language: str) -> None:
    world.audited.late = "activity"
    client = world.signed_in("auditor")
    client.cookies.set("accesstrail_language", language)
    text = _main(client.get("/audit/controls?days=30"))
    [(from_us, to_us)] = world.audited.judged_periods
    assert to_us - from_us == 30 * DAY_US
    assert to_us % 60_000_000 == 0
    assert (RESULTS["manual"].en if language == "en" else RESULTS["manual"].zh) in text
    assert ("Too large to be counted while you wait" if language == "en" else "无法即时统计") in text
    assert world.trail.told == [], "numbers without names are no look at evidence"


@pytest.mark.parametrize("days", ["8", "-1", "x", "1e9"])
def test_controls_of_no_period_are_refused(world: World, days: str) -> None:
    assert world.signed_in("auditor").get(f"/audit/controls?days={days}").status_code == 400
    assert world.audited.judged_periods == []
