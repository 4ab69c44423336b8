"""A file's days as a running system decides them: midnights, what a night knows, and how near the budget weeks come."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import I64
from detectors.budget import HISTORY_DAYS, next_policy
from detectors.policy import AlertMemory, Findings, Policy
from pipeline.nights import run_nights

DAY_US = 86_400_000_000
ZONE = "Asia/Shanghai"
START_US = int(datetime(2026, 8, 30, 16, tzinfo=UTC).timestamp()) * 1_000_000
"""Monday 31 August 2026, midnight in China."""
NONE = np.zeros(0, np.int64)


def findings(actors: I64, days: np.ndarray[tuple[int], np.dtype[np.float64]], level: I64) -> Findings:
    """Findings of the model, sorted by time; `days` since the start."""
    order = np.argsort(days, kind="stable")
    kinds = np.ones(len(days), np.uint64)
    time_us = START_US + (days[order] * DAY_US).astype(np.int64)
    return Findings(actors[order], time_us, level[order], np.zeros(len(days), np.int64), kinds, kinds)


@st.composite
def some_findings(draw: st.DrawFn) -> Findings:
    count = draw(st.integers(1, 60))
    seed = np.random.default_rng(draw(st.integers(0, 1000)))
    return findings(seed.integers(0, 20, count), seed.uniform(0, 25, count), seed.integers(4000, 12_000, count))


@settings(deadline=None, max_examples=40)
@given(some_findings(), st.floats(0.1, 4), st.integers(1, 24))
def test_what_fires_on_a_day_does_not_depend_on_later_days(some: Findings, budget: float, days: int) -> None:
    early = np.flatnonzero(some.time_us < START_US + days * DAY_US).astype(np.int64)
    times = np.append(START_US, some.time_us)
    whole = run_nights(some, times, NONE, budget, Policy(5000), ZONE)
    begun = run_nights(some.at(early), times[: len(early) + 1], NONE, budget, Policy(5000), ZONE)
    assert begun.fired.tolist() == [number for number in whole.fired.tolist() if number < len(early)]
    assert begun.nights == whole.nights[: len(begun.nights)]


@settings(deadline=None, max_examples=40)
@given(some_findings(), st.floats(0.1, 4))
def test_each_night_is_the_budgets_of_the_14_days_before(some: Findings, budget: float) -> None:
    times, policy, memory = np.append(START_US, some.time_us), Policy(5000), AlertMemory(some)
    fired: list[int] = []
    for day in range(26):
        now = START_US + day * DAY_US
        if day and now <= int(times[-1]):
            before = np.flatnonzero((some.time_us < now) & (some.time_us >= now - HISTORY_DAYS * DAY_US))
            policy = next_policy(some.at(before.astype(np.int64)), min(day, HISTORY_DAYS), 0, budget, policy)
        today = np.flatnonzero((some.time_us >= now) & (some.time_us < now + DAY_US)).astype(np.int64)
        fired += today[memory.fire(some.at(today), policy)].tolist()
    decided = run_nights(some, times, NONE, budget, Policy(5000), ZONE)
    assert decided.fired.tolist() == fired
    assert decided.policy == policy


@pytest.mark.parametrize(("zone", "nights"), [("Asia/Shanghai", 2), ("UTC", 3), ("America/New_York", 3)])
def test_midnights_are_those_of_the_time_zone(zone: str, nights: int) -> None:
    times = START_US + np.array([0, 3 * DAY_US - 1])
    few = findings(np.array([1]), np.array([0.5]), np.array([9000]))
    assert len(run_nights(few, times, NONE, 1.0, Policy(5000), zone).nights) == nights


def test_scheduled_alerts_count_in_the_nights_after_them() -> None:
    times = START_US + np.arange(0, 20 * DAY_US, DAY_US // 4)
    few = findings(np.array([1]), np.array([0.5]), np.array([9000]))
    beside = START_US + np.array([DAY_US // 2, DAY_US + DAY_US // 2])
    counted = [night.fired_beside for night in run_nights(few, times, beside, 1.0, Policy(5000), ZONE).nights]
    assert counted == [1, *[2] * 13, 1, *[0] * 4]
