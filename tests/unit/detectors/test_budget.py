"""The nightly budget: how far thresholds move, towards what, and when they stay."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.budget import (
    HIGHEST_RULE_THRESHOLD,
    HISTORY_DAYS,
    BudgetNight,
    budget_night,
    most_of_a_day,
    ordinary_days,
)
from detectors.policy import (
    HIGHEST_THRESHOLD,
    LOWEST_THRESHOLD,
    NEVER,
    RULE_THRESHOLD,
    Findings,
    Policy,
    count_fired,
    lowest_rule_threshold,
    lowest_threshold,
)

DAY_US = 86_400_000_000
MODEL, RULE = np.uint64(1), np.uint64(1 << 30)


def after(history: Findings, days: float, beside: int, budget: float, current: Policy) -> Policy:
    """The policy that a night ends with."""
    return budget_night(history, days, beside, budget, current).after


def findings_of(rows: list[tuple[int, float, int, int]]) -> Findings:
    """Rows: actor, day, level, floor."""
    actors, days, level, floor = (np.array([row[column] for row in rows]) for column in range(4))
    kinds = np.where(floor > level, RULE, MODEL).astype(np.uint64)
    time_us = (days * DAY_US).astype(np.int64) + DAY_US
    return Findings(actors.astype(np.int64), time_us, level.astype(np.int64), floor.astype(np.int64), kinds, kinds)


def steady(alerts_a_day: int, level: int, days: int = HISTORY_DAYS) -> Findings:
    """So many accounts a day, each once, at levels from this one upwards in steps of 10."""
    return findings_of(
        [
            (day * alerts_a_day + one, day + one / alerts_a_day, level + 10 * one, 0)
            for day in range(days)
            for one in range(alerts_a_day)
        ]
    )


LEVELS = st.integers(LOWEST_THRESHOLD, 13_000) | st.sampled_from([LOWEST_THRESHOLD, 7000, HIGHEST_THRESHOLD])
FLOORS = st.sampled_from([0, 0, 0, 8000, 9000, 10_000])
HISTORIES = st.lists(
    st.tuples(st.integers(0, 9), st.floats(0, 13, width=32), LEVELS, FLOORS), min_size=1, max_size=60
).map(lambda rows: findings_of(sorted(rows, key=lambda row: row[1])))
BUDGETS = st.floats(0, 5)
POLICIES = st.builds(
    Policy,
    st.integers(LOWEST_THRESHOLD, HIGHEST_THRESHOLD) | st.sampled_from([0, NEVER - 1]),
    st.integers(RULE_THRESHOLD, HIGHEST_RULE_THRESHOLD),
)


@given(HISTORIES, st.integers(0, 20), BUDGETS, POLICIES)
def test_no_threshold_leaves_its_bounds_or_moves_by_more_than_a_fifth(
    history: Findings, beside: int, budget: float, current: Policy
) -> None:
    found = after(history, 14, beside, budget, current)
    assert LOWEST_THRESHOLD <= found.threshold <= HIGHEST_THRESHOLD
    assert RULE_THRESHOLD <= found.rule_threshold <= HIGHEST_RULE_THRESHOLD
    before = min(max(current.threshold, LOWEST_THRESHOLD), HIGHEST_THRESHOLD)
    assert abs(found.threshold - before) <= before / 5
    assert abs(found.rule_threshold - current.rule_threshold) <= current.rule_threshold / 5


@given(HISTORIES, BUDGETS, BUDGETS, POLICIES)
def test_a_larger_budget_never_raises_a_threshold(history: Findings, one: float, other: float, current: Policy) -> None:
    """The model's only where the rules' is the same: rules that come back take their part of the larger budget."""
    small, large = (after(history, 14, 0, budget, current) for budget in sorted((one, other)))
    assert large.rule_threshold <= small.rule_threshold
    if large.rule_threshold == small.rule_threshold:
        assert large.threshold <= small.threshold


@given(HISTORIES, BUDGETS, POLICIES)
def test_on_one_and_the_same_history_nights_end_at_the_budgets_thresholds_and_stay(
    history: Findings, budget: float, current: Policy
) -> None:
    for _ in range(16):
        current = after(history, 14, 0, budget, current)
    assert after(history, 14, 0, budget, current) == current
    most = most_of_a_day(budget)
    assert current.rule_threshold == lowest_rule_threshold(history, 14 * budget, current, most)
    assert current.threshold == min(lowest_threshold(history, 14 * budget, current, most), HIGHEST_THRESHOLD)


@given(HISTORIES, BUDGETS, POLICIES, st.integers(0, 30))
def test_scheduled_alerts_take_of_the_budget_first(
    history: Findings, budget: float, current: Policy, beside: int
) -> None:
    found = after(history, 14, beside, budget, current)
    if found.rule_threshold == after(history, 14, 0, budget, current).rule_threshold:
        assert found.threshold >= after(history, 14, 0, budget, current).threshold
    spent = after(history, 14, 1000, budget, current)
    assert spent.rule_threshold >= found.rule_threshold


def test_a_threshold_within_reach_is_taken_at_once_and_keeps_the_budget() -> None:
    history = steady(40, 6000)
    found = after(history, 14, 0, 10, Policy(6000))
    assert found.threshold == 6000 + 10 * 29 + 1
    assert count_fired(history, found) == 140


def test_fewer_days_are_measured_by_their_own_number() -> None:
    assert after(steady(40, 6000, 3), 3, 0, 10, Policy(6000)) == after(steady(40, 6000), 14, 0, 10, Policy(6000))


def test_a_flood_on_many_days_moves_the_threshold_by_a_fifth_a_night() -> None:
    flood = [(1000 + account, account % 14 + 0.5, 50_000, 0) for account in range(500)]
    night = budget_night(findings_of(sorted(flood, key=lambda row: row[1])), 14, 0, 1, Policy(7000))
    assert (night.wanted.threshold, night.after.threshold) == (50_001, 8400)
    assert night.is_limited


def test_a_flood_of_one_day_counts_as_three_days_and_blinds_nobody() -> None:
    """Ten ordinary alerts in 14 days beside 500 of one attack: thirteen count, and the budget of 14 is kept."""
    flood = [(1000 + account, 13.5, 50_000, 0) for account in range(500)]
    quiet = [(day, float(day), 7000, 0) for day in range(10)]
    night = budget_night(findings_of([*quiet, *flood]), 14, 0, 1, Policy(7000))
    assert night.would_fire == 510
    assert night.after.threshold <= 7000


def test_rules_step_back_slowly_and_the_model_has_what_they_really_leave() -> None:
    rules = [(account, account / 10, 0, 10_000) for account in range(100)]
    model = [(200 + account, account / 10, 7000 + account, 0) for account in range(100)]
    night = budget_night(findings_of(sorted([*rules, *model], key=lambda row: row[1])), 14, 0, 5, Policy(7000))
    assert night.wanted.rule_threshold == HIGHEST_RULE_THRESHOLD
    assert night.after.rule_threshold == 9600
    assert night.wanted.threshold == HIGHEST_THRESHOLD


def test_by_rules_alone_comes_back_in_steps_and_never_stays_never() -> None:
    history = steady(5, 6000)
    assert after(history, 14, 0, 10, Policy(NEVER - 1)).threshold == HIGHEST_THRESHOLD * 80 // 100
    assert after(history, 14, 0, 10, Policy(NEVER)) == Policy(NEVER)


def test_ordinary_days_weigh_days_by_their_active_accounts() -> None:
    assert ordinary_days([100.0] * 56, 14) == 14
    assert ordinary_days([100.0] * 3, 3) == 3
    assert ordinary_days([10.0] * 49 + [0.0] * 7, 14) == 8
    assert ordinary_days([], 14) == ordinary_days([0.0, 0.0], 2) == ordinary_days([5.0], 0) == 0.0


def test_without_any_finding_or_day_nothing_moves() -> None:
    assert after(findings_of([]), 14, 0, 10, Policy(7000)) == Policy(7000)
    assert after(steady(5, 6000), 0, 0, 10, Policy(7000)) == Policy(7000)


def test_what_people_set_beside_the_thresholds_stays_and_counts() -> None:
    current = Policy(7000, open_us=1, max_a_day=3, rise=100)
    history = findings_of([(0, hour / 24, 7000, 0) for hour in range(24)])
    found = after(history, 1, 0, 3, current)
    assert replace(found, threshold=7000) == current
    assert count_fired(history, found) == 3


def test_the_report_of_a_night_says_what_would_have_fired_and_what_moved() -> None:
    night = BudgetNight(14.0, 10.0, 12, 170, Policy(7000), Policy(9000), Policy(8400))
    assert json.loads(json.dumps(night.report())) == {
        "days": 14.0, "budget_per_day": 10.0, "fired_beside": 12, "would_fire": 170,
        "before": {"threshold": 70.0, "rule_threshold": 80.0}, "wanted": {"threshold": 90.0, "rule_threshold": 80.0},
        "after": {"threshold": 84.0, "rule_threshold": 80.0}, "is_limited": True,
        "in_words": "from level 84 (1 event in 16,000)",
    }  # fmt: skip
    assert night.has_moved
