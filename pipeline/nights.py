"""A file's days decided as a running system decides them: every midnight the budget sets the next day's thresholds.

Place in the flow: below `offline.py`, over findings that were judged before. The first day goes by the model's own
policy; at each local midnight after it the findings of the 14 days before (fewer at the beginning) and the scheduled
alerts of these days move the thresholds as `detectors.budget` says; how much work these days saw is measured against
eight weeks, the warm-up's included. Event time only. A night knows nothing of what
comes after it, so what fires on these days is what a team would have been sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from detectors.base import I64, EventArrays
from detectors.budget import HISTORY_DAYS, ORDINARY_DAYS, BudgetNight, budget_night, most_of_a_day, ordinary_days
from detectors.policy import AlertMemory, Findings, Policy
from pipeline.directory.calendar_cn import epoch_day
from pipeline.directory.local_time import local_days_and_hours

_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Decided:
    """Which findings fire (numbers, increasing), the policy at the end, and what each night did."""

    fired: I64
    policy: Policy
    nights: list[BudgetNight] = field(default_factory=list)


class Activity:
    """How many accounts were active on each local day; warm-up included."""

    def __init__(self, time_zone: str) -> None:
        self._zones = [ZoneInfo(time_zone)]
        self._seen: dict[int, set[int]] = {}

    def add(self, events: EventArrays, slots: I64) -> None:
        """Takes a judged batch; `slots`: its actors as small integers, the same for the same actor in every batch."""
        rows = events.scorable == 1
        days, _ = local_days_and_hours(events.event_time_us[rows], np.zeros(int(rows.sum()), np.int32), self._zones)
        for day in np.unique(days).tolist():
            self._seen.setdefault(day, set()).update(np.unique(slots[rows][days == day]).tolist())

    def before(self, day: int) -> list[int]:
        """Of each day before this local day (days since 1970), `ORDINARY_DAYS` or fewer, oldest first."""
        first = max(day - ORDINARY_DAYS, min(self._seen, default=day))
        return [len(self._seen.get(one, ())) for one in range(first, day)]


def run_nights(
    findings: Findings, times_us: I64, beside_us: I64, budget_per_day: float, first: Policy, activity: Activity,
    time_zone: str,
) -> Decided:  # fmt: skip
    """Decides findings night by night.

    `findings`: by event time. `times_us`: of all events, increasing. `beside_us`: event times of the alerts of
    scheduled detectors. `first`: the policy of the first day.
    """
    policy, memory = first, AlertMemory(findings)
    fired: list[I64] = [np.zeros(0, np.int64)]
    nights: list[BudgetNight] = []
    midnights = _midnights(times_us, time_zone)
    cuts = [0, *np.searchsorted(findings.time_us, [at_us for _, at_us in midnights]).tolist(), len(findings.time_us)]
    for place, (low, high) in enumerate(pairwise(cuts)):
        if place:
            day, midnight_us = midnights[place - 1]
            since_us = max(int(times_us[0]), midnight_us - HISTORY_DAYS * _DAY_US)
            known = np.arange(*np.searchsorted(findings.time_us, (since_us, midnight_us)))
            recent = beside_us[(beside_us >= since_us) & (beside_us < midnight_us)]
            _, by_day = np.unique((midnight_us - 1 - recent) // _DAY_US, return_counts=True)
            beside = int(np.minimum(by_day, most_of_a_day(budget_per_day)).sum())
            days = ordinary_days(activity.before(day), min(place, HISTORY_DAYS))
            nights.append(budget_night(findings.at(known), days, beside, budget_per_day, policy))
            policy = nights[-1].after
        fired.append(low + memory.fire(findings.at(np.arange(low, high)), policy))
    return Decided(np.concatenate(fired), policy, nights)


def _midnights(times_us: I64, time_zone: str) -> list[tuple[int, int]]:
    """Every local midnight after the first event and not after the last one: day since 1970 that begins, UTC µs."""
    if not len(times_us):
        return []
    zone = ZoneInfo(time_zone)
    day = datetime.fromtimestamp(int(times_us[0]) / 1e6, UTC).astimezone(zone).date()
    found: list[tuple[int, int]] = []
    while True:
        day += timedelta(days=1)
        midnight_us = int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1_000_000
        if midnight_us > int(times_us[-1]):
            return found
        found.append((epoch_day(day), midnight_us))
