"""The alert budget, kept night by night: from two weeks of findings to the thresholds of tomorrow.

Place in the flow: beside it; live once a night (`pipeline/schedule/nightly.py`), offline for a whole history
(`accesstrail score --nightly`). What is counted is what really fires: suppression included, and the alerts of scheduled
detectors first, since no threshold moves them. The policy that would have kept the budget in these days is approached
by a fifth of the present level a night at most. So a flood of a single day, an attacker's as well as a holiday's,
cannot carry the threshold away: to be lifted by half takes three nights of it, and people see each in the report.
"""

from __future__ import annotations

from dataclasses import replace

from detectors.policy import (
    HIGHEST_THRESHOLD,
    LOWEST_THRESHOLD,
    NEVER,
    RULE_THRESHOLD,
    Findings,
    Policy,
    policy_for_budget,
)

BUDGET_DAYS = 14
LEAST_DAYS = 7
"""With less history the threshold that training set stays."""
MOST_MOVED = 0.2
SMALLEST_MOVE = 50
"""A move below half a point of risk is no news: the set in force stays."""
_HIGHEST_RULE_THRESHOLD = 10_001
"""Above every floor: rules alone raise nothing."""


def next_policy(findings: Findings, days: float, fired_beside: int, budget_per_day: float, current: Policy) -> Policy:
    """The policy for the coming day.

    `findings`: of the last `days`, in log order, all that reach 0.8 of the present threshold or hold a rule at or above
    `RULE_THRESHOLD`. `fired_beside`: alerts that scheduled detectors raised in these days. Where nothing may fire at
    all (`NEVER`), nothing moves.
    """
    if current.threshold == NEVER or days <= 0:
        return current
    wanted = policy_for_budget(findings, max(0.0, budget_per_day * days - fired_beside))
    threshold = _towards(current.threshold, wanted.threshold, LOWEST_THRESHOLD, HIGHEST_THRESHOLD)
    rule_threshold = _towards(
        current.rule_threshold, wanted.rule_threshold, RULE_THRESHOLD, _HIGHEST_RULE_THRESHOLD
    )  # fmt: skip
    moved = replace(current, threshold=threshold, rule_threshold=rule_threshold)
    farthest = max(abs(threshold - current.threshold), abs(rule_threshold - current.rule_threshold))
    return moved if farthest >= SMALLEST_MOVE else current


def _towards(current: int, wanted: int, low: int, high: int) -> int:
    """As near to `wanted` as a fifth of the present value allows, within bounds."""
    step = int(current * MOST_MOVED)
    return min(max(min(max(wanted, current - step), current + step), low), high)
