"""A file's days decided as a running system decides them: every midnight the budget sets the next day's thresholds.

Place in the flow: below `offline.py`, over findings that were judged before. The first day goes by the model's own
policy; at each local midnight after it the findings of the 14 days before (fewer at the beginning) and the scheduled
alerts of these days move the thresholds as `detectors.budget` says. Event time only. A night knows nothing of what
comes after it, so what fires on these days is what a team would have been sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from detectors.base import I64
from detectors.budget import HISTORY_DAYS, BudgetNight, budget_night
from detectors.policy import AlertMemory, Findings, Policy

_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Decided:
    """Which findings fire (numbers, increasing), the policy at the end, and what each night did."""

    fired: I64
    policy: Policy
    nights: list[BudgetNight] = field(default_factory=list)


def run_nights(
    findings: Findings, times_us: I64, beside_us: I64, budget_per_day: float, first: Policy, time_zone: str
) -> Decided:
    """Decides findings night by night.

    `findings`: by event time. `times_us`: of all events, increasing. `beside_us`: event times of the alerts of
    scheduled detectors. `first`: the policy of the first day.
    """
    policy, memory = first, AlertMemory(findings)
    fired: list[I64] = [np.zeros(0, np.int64)]
    nights: list[BudgetNight] = []
    midnights = _midnights(times_us, time_zone)
    cuts = [0, *np.searchsorted(findings.time_us, midnights).tolist(), len(findings.time_us)]
    for place, (low, high) in enumerate(pairwise(cuts)):
        if place:
            night = _night(findings, midnights[place - 1], int(times_us[0]), beside_us, budget_per_day, policy)
            nights.append(night)
            policy = night.after
        fired.append(low + memory.fire(findings.at(np.arange(low, high)), policy))
    return Decided(np.concatenate(fired), policy, nights)


def _night(
    findings: Findings, midnight_us: int, first_us: int, beside_us: I64, budget_per_day: float, policy: Policy
) -> BudgetNight:
    since_us = max(first_us, midnight_us - HISTORY_DAYS * _DAY_US)
    low, high = np.searchsorted(findings.time_us, (since_us, midnight_us)).tolist()
    beside = int(((beside_us >= since_us) & (beside_us < midnight_us)).sum())
    days = (midnight_us - since_us) / _DAY_US
    return budget_night(findings.at(np.arange(low, high)), days, beside, budget_per_day, policy)


def _midnights(times_us: I64, time_zone: str) -> list[int]:
    """Every local midnight after the first event and not after the last one, UTC microseconds."""
    if not len(times_us):
        return []
    zone = ZoneInfo(time_zone)
    day = datetime.fromtimestamp(int(times_us[0]) / 1e6, UTC).astimezone(zone).date()
    found: list[int] = []
    while True:
        day += timedelta(days=1)
        midnight_us = int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1_000_000
        if midnight_us > int(times_us[-1]):
            return found
        found.append(midnight_us)
