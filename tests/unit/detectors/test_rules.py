"""Every rule: its own cases, its words and ids, and what holds for all rules alike."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import EventArrays
from detectors.features import N_FEATURES, compute
from detectors.profile import Profiles
from detectors.rules import all_rules
from detectors.rules.cases import Outcome, batch_of, outcomes_of
from detectors.rules.rule import CASES_OF_EACH_SORT, HIGHEST_FLOOR, LOWEST_FLOOR, Case, Rule, case, floors_of
from pipeline.events import EXPLAINED, NETWORK_KINDS, codes
from pipeline.stages.decide import severity
from tests.arrays import START_US, event_arrays

RULES = {rule.name: rule for rule in all_rules()}
EVERY_RULE = pytest.mark.parametrize("rule", all_rules(), ids=list(RULES))
NETWORK, WORK = codes(NETWORK_KINDS), codes(EXPLAINED)
NO_SURPRISE = np.zeros((1, N_FEATURES + 3), np.float32)
OUTCOMES = [outcome for rule in all_rules() for outcome in outcomes_of(rule)]


def all_cases(rule: Rule) -> list[Case]:
    return [*rule.cases.holds, *rule.cases.silent, *rule.cases.look_alikes]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=[f"{one.rule}, {one.sort}: {one.text}" for one in OUTCOMES])
def test_the_case_comes_out_as_it_says(outcome: Outcome) -> None:
    assert outcome.floor == outcome.expected


@EVERY_RULE
def test_a_rule_has_three_cases_of_each_sort_and_names_each_differently(rule: Rule) -> None:
    for found in (rule.cases.holds, rule.cases.silent, rule.cases.look_alikes):
        assert len(found) >= CASES_OF_EACH_SORT
    names = [one.text for one in all_cases(rule)]
    assert len(set(names)) == len(names)


@EVERY_RULE
def test_a_rules_words_are_complete_in_both_languages(rule: Rule) -> None:
    runbook = rule.runbook
    for text in (rule.title, rule.next_step, rule.needs, runbook.check, runbook.contain, runbook.ask):
        assert text.en.isascii()
        assert any("\u4e00" <= character <= "\u9fff" for character in text.zh)
    for text in (rule.next_step, runbook.check, runbook.contain, runbook.ask):
        assert text.en.endswith((".", "?"))
        assert text.zh.endswith(("。", "？"))
    assert not rule.title.en.endswith(".")  # it becomes part of a sentence


@EVERY_RULE
def test_a_rule_names_what_it_touches_by_id(rule: Rule) -> None:
    assert rule.detects
    assert rule.articles
    assert all(re.fullmatch(r"D(0[1-9]|[12]\d|3[012])", one) for one in rule.detects)
    assert all(re.fullmatch(r"T\d{4}(\.\d{3})?", one) for one in rule.attack)
    assert all(re.fullmatch(r"(MT|ME|PR|IF|AF)\d{3}(\.\d{3})?", one) for one in rule.insider)
    assert all(re.fullmatch(r"[a-z]+-\d+", one) for one in rule.articles)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", rule.name)


@EVERY_RULE
def test_a_floor_is_within_bounds_and_gives_the_declared_severity(rule: Rule) -> None:
    assert LOWEST_FLOOR <= rule.floor <= HIGHEST_FLOOR
    assert rule.severity == severity(rule.floor, 2, explained=False)


@EVERY_RULE
def test_a_rule_says_its_one_reason(rule: Rule) -> None:
    (reason,) = rule.reasons.values()
    assert (reason.code, reason.articles) == (rule.code, rule.articles)
    assert (reason.title_en, reason.title_zh, reason.next_step_en, reason.next_step_zh) == (
        *rule.title,
        *rule.next_step,
    )


def test_the_gravest_rule_is_named_first_and_names_are_unique() -> None:
    order = [(-rule.floor, rule.name) for rule in all_rules()]
    assert order == sorted(order)
    assert len(RULES) == len(order)


@EVERY_RULE
def test_no_rule_judges_what_is_not_scorable(rule: Rule) -> None:
    events, features = batch_of(rule.cases.base, rule.cases.holds)
    events.scorable[:] = 0
    assert not rule.risk(events, features, NO_SURPRISE).any()


@EVERY_RULE
def test_what_excuses_a_rule_silences_all_its_cases(rule: Rule) -> None:
    events, features = batch_of(rule.cases.base, rule.cases.holds)
    held_before = rule.risk(events, features, NO_SURPRISE)
    assert (held_before == rule.floor).all()
    assert held_before.dtype == np.uint16
    approved = replace(events, approved=np.ones_like(events.approved))
    assert rule.risk(approved, features, NO_SURPRISE).any() == (rule.excuse == "nothing")
    explained = replace(events, explained=np.full_like(events.explained, WORK["explained"]))
    if rule.excuse == "work":
        assert not rule.risk(explained, features, NO_SURPRISE).any()
    elif rule.excuse == "approval":
        assert rule.risk(explained, features, NO_SURPRISE).any()


def everything() -> tuple[EventArrays, np.ndarray[tuple[int, int], np.dtype[np.float32]]]:
    """The cases of all rules as one batch."""
    cases = [
        Case(one.text, {**rule.cases.base.event, **one.event}, {**rule.cases.base.seen, **one.seen})
        for rule in all_rules()
        for one in all_cases(rule)
    ]
    return batch_of(case("quiet"), cases)


def rows_of(events: EventArrays, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> EventArrays:
    """These rows; every case has one subject."""
    changed: dict[str, Any] = {
        name: value[rows]
        for name, value in ((name, getattr(events, name)) for name in EventArrays.__slots__)
        if isinstance(value, np.ndarray) and name != "subject_ends"
    }
    keys = [events.actor_keys[row] for row in rows.tolist()]
    return replace(events, count=len(rows), actor_keys=keys, subject_ends=np.arange(1, len(rows) + 1), **changed)


@settings(max_examples=25)
@given(st.randoms(use_true_random=False), st.integers(1, 400))
def test_rules_judge_each_row_alone_in_whatever_order_and_company(random: object, count: int) -> None:
    events, features = everything()
    whole = np.stack(floors_of(all_rules(), events, features))
    rows = np.array([random.randrange(events.count) for _ in range(count)], np.int64)  # type: ignore[attr-defined]
    some = np.stack(floors_of(all_rules(), rows_of(events, rows), features[rows]))
    assert (some == whole[:, rows]).all()


def test_all_rules_together_say_what_each_says_alone() -> None:
    events, features = everything()
    together = floors_of(all_rules(), events, features)
    for rule, floors in zip(all_rules(), together, strict=True):
        assert (floors == rule.risk(events, features, features)).all()


def test_a_quiet_event_raises_no_rule_even_without_any_directory_or_field() -> None:
    bare = case(
        "nothing known", actor_status="", tenure_days=-1, network_kind="", country=0, latitude=1000.0, longitude=1000.0,
        device=0, user_agent=0, agent_kind="", session=0, credential=0, sensitivity=0, subject_count=0, ip_prefix=0,
    )  # fmt: skip
    events, features = batch_of(case("quiet"), [case("quiet"), bare])
    assert not np.stack(floors_of(all_rules(), events, features)).any()


@EVERY_RULE
def test_a_case_that_names_no_field_is_refused(rule: Rule) -> None:
    with pytest.raises(KeyError, match="no such field"):
        batch_of(rule.cases.base, [case("a slip of the pen", {}, acton="read")])


@pytest.mark.parametrize("kind", ["vpn", "cloud"])
def test_coming_back_from_a_tunnel_to_the_office_is_no_journey(kind: str) -> None:
    """Look-alike: the tunnel ends in Frankfurt, its user sits in Shanghai all day."""
    events = event_arrays(
        3,
        time_us=START_US + np.array([0, 10, 20]) * 60_000_000,
        network_kind=[NETWORK["office"], NETWORK[kind], NETWORK["office"]],
        latitude=[31.2, 50.1, 31.2],
        longitude=[121.5, 8.7, 121.5],
    )
    features, _, _ = compute(events, Profiles())
    assert RULES["impossible_travel"].risk(events, features, NO_SURPRISE).tolist() == [0, 0, 0]
