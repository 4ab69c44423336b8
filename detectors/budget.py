"""The alert budget, kept night by night: from two weeks of findings to the thresholds of tomorrow.

Place in the flow: beside it; live once a night (`pipeline/schedule/nightly.py`), offline for a whole history
(`accesstrail score --nightly`). What is counted is what really fires: suppression included, and the alerts of scheduled
detectors first, since no threshold moves them. The policy that would have kept the budget in these days is approached
by a fifth of the present level a night at most. So a flood of a single day, an attacker's as well as a holiday's,
cannot carry the threshold away: to be lifted by half takes three nights of it, and people see each in the report.
"""

from __future__ import annotations

from collections.abc import Sequence
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
LEAST_DAYS = 2
"""With less history the threshold that training set stays."""
ORDINARY_DAYS = 56
"""What is ordinary is the mean of so many days: too many for a holiday to be it, few enough to follow growth."""
MOST_MOVED = 0.2
SMALLEST_MOVE = 50
"""A move below half a point of risk is no news: the set in force stays."""
_HIGHEST_RULE_THRESHOLD = 10_001
"""Above every floor: rules alone raise nothing."""


def next_policy(findings: Findings, days: float, fired_beside: int, budget_per_day: float, current: Policy) -> Policy:
    """The policy for the coming day.

    `findings`: of the last `days` (`ordinary_days`), in log order, all that reach 0.8 of the present threshold or hold
    a rule at or above `RULE_THRESHOLD`. `fired_beside`: alerts that scheduled detectors raised in these days. Where
    nothing may fire at all (`NEVER`), nothing moves.
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


def ordinary_days(active: Sequence[int], days: int) -> float:
    """What the last `days` of these days are worth, in ordinary days.

    `active`: accounts active on each of the previous days, `ORDINARY_DAYS` or fewer, oldest first. A budget is meant
    for the accounts at work: a holiday week with a third of them allows a third, and does not lower the threshold of
    the week after it.
    """
    total = sum(active)
    return sum(active[-days:]) * len(active) / total if total and days else 0.0


def _towards(current: int, wanted: int, low: int, high: int) -> int:
    """As near to `wanted` as a fifth of the present value allows, within bounds."""
    step = int(current * MOST_MOVED)
    return min(max(min(max(wanted, current - step), current + step), low), high)
