"""The nightly budget: never more than a fifth a night, never out of bounds, at rest when the budget is kept."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.budget import SMALLEST_MOVE, next_policy
from detectors.policy import HIGHEST_THRESHOLD, LOWEST_THRESHOLD, NEVER, RULE_THRESHOLD, Findings, Policy, count_fired

DAY_US = 86_400_000_000


def findings(levels: list[int], floors: list[int] | None = None) -> Findings:
    """One finding an account, an hour apart: no suppression between them."""
    count = len(levels)
    return Findings(
        np.arange(count, dtype=np.int64), np.arange(count, dtype=np.int64) * 3_600_000_000,
        np.array(levels, np.int64), np.array(floors if floors is not None else [0] * count, np.int64),
        np.ones(count, np.uint64), np.ones(count, np.uint64),
    )  # fmt: skip


LEVELS = st.lists(st.integers(LOWEST_THRESHOLD, 20_000), max_size=60)
POLICIES = st.builds(Policy, st.integers(LOWEST_THRESHOLD, HIGHEST_THRESHOLD), st.integers(RULE_THRESHOLD, 10_000))


@settings(deadline=None)  # the first call compiles
@given(LEVELS, st.integers(0, 100), st.floats(0.1, 20), POLICIES)
def test_a_night_moves_at_most_a_fifth_and_stays_within_bounds(
    levels: list[int], beside: int, budget: float, policy: Policy
) -> None:
    moved = next_policy(findings(levels), 14.0, beside, budget, policy)
    assert LOWEST_THRESHOLD <= moved.threshold <= HIGHEST_THRESHOLD
    assert abs(moved.threshold - policy.threshold) <= policy.threshold * 0.2
    assert abs(moved.rule_threshold - policy.rule_threshold) <= policy.rule_threshold * 0.2
    assert moved.rule_threshold >= RULE_THRESHOLD


@settings(deadline=None)  # the first call compiles
@given(LEVELS, st.floats(0.1, 5), POLICIES)
def test_a_larger_budget_never_gives_a_higher_threshold(levels: list[int], budget: float, policy: Policy) -> None:
    small, large = (next_policy(findings(levels), 14.0, 0, one, policy) for one in (budget, budget * 3))
    assert large.threshold <= small.threshold + SMALLEST_MOVE


@settings(deadline=None)  # the first call compiles
@given(LEVELS, st.floats(0.1, 5), POLICIES)
def test_the_same_history_night_after_night_comes_to_rest_at_the_budget(
    levels: list[int], budget: float, policy: Policy
) -> None:
    for _ in range(40):
        policy = next_policy(findings(levels), 14.0, 0, budget, policy)
    assert next_policy(findings(levels), 14.0, 0, budget, policy) == policy
    high = sum(level >= HIGHEST_THRESHOLD for level in levels)
    near = findings([level + SMALLEST_MOVE for level in levels])
    assert count_fired(near, policy) >= min(len(levels), int(budget * 14)) or policy.threshold <= LOWEST_THRESHOLD
    assert count_fired(findings([level - SMALLEST_MOVE for level in levels]), policy) <= budget * 14 + high


def test_twice_the_budget_raises_and_half_of_it_lowers() -> None:
    levels = [9000 + 10 * number for number in range(56)]
    assert next_policy(findings(levels), 14.0, 0, 2.0, Policy(9000)).threshold == 9271
    assert next_policy(findings(levels), 14.0, 0, 4.0, Policy(9271)).threshold < 9271


def test_alerts_of_scheduled_detectors_take_of_the_budget_first() -> None:
    levels = [9000 + 10 * number for number in range(56)]
    alone, beside = (next_policy(findings(levels), 14.0, count, 2.0, Policy(9000)) for count in (0, 20))
    assert beside.threshold - alone.threshold == 200


def test_a_flood_of_one_night_lifts_the_threshold_by_a_fifth_and_no_further() -> None:
    assert next_policy(findings([60_000] * 5000), 14.0, 0, 2.0, Policy(9000)).threshold == 10_800


def test_where_nothing_may_fire_nothing_moves() -> None:
    assert next_policy(findings([9000]), 14.0, 0, 2.0, Policy(NEVER)) == Policy(NEVER)


def test_rules_that_use_up_the_budget_are_lifted_a_fifth_a_night() -> None:
    policy = next_policy(findings([0] * 200, [8500] * 200), 14.0, 0, 2.0, Policy(9000))
    assert policy.rule_threshold == 8501
