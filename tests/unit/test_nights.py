"""A file's days as a running system decides them: midnights, what a night knows, and how near the budget weeks come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import I64
from detectors.budget import HISTORY_DAYS, budget_night
from detectors.policy import AlertMemory, Findings, Policy
from pipeline.nights import Activity, run_nights
from tests.arrays import event_arrays

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


def activity(accounts: Sequence[int], first_day: int = -60) -> Activity:
    """So many accounts on each day, from this day on, days since the start."""
    found = Activity(ZONE)
    for day, count in enumerate(accounts, first_day):
        at_us = np.full(count, START_US + day * DAY_US + DAY_US // 2)
        found.add(event_arrays(count, time_us=at_us), np.arange(count))
    return found


EVEN = activity([5] * 90)


@st.composite
def some_findings(draw: st.DrawFn) -> Findings:
    count = draw(st.integers(1, 60))
    seed = np.random.default_rng(draw(st.integers(0, 1000)))
    return findings(seed.integers(0, 20, count), seed.uniform(0, 25, count), seed.integers(4000, 12_000, count))


@settings(max_examples=40)
@given(some_findings(), st.floats(0.1, 4), st.integers(1, 24))
def test_what_fires_on_a_day_does_not_depend_on_later_days(some: Findings, budget: float, days: int) -> None:
    early = np.flatnonzero(some.time_us < START_US + days * DAY_US).astype(np.int64)
    times = np.append(START_US, some.time_us)
    whole = run_nights(some, times, NONE, budget, Policy(5000), EVEN, ZONE)
    begun = run_nights(some.at(early), times[: len(early) + 1], NONE, budget, Policy(5000), EVEN, ZONE)
    assert begun.fired.tolist() == [number for number in whole.fired.tolist() if number < len(early)]
    assert begun.nights == whole.nights[: len(begun.nights)]


@settings(max_examples=40)
@given(some_findings(), st.floats(0.1, 4))
def test_each_night_is_the_budgets_of_the_14_days_before(some: Findings, budget: float) -> None:
    times, policy, memory = np.append(START_US, some.time_us), Policy(5000), AlertMemory(some)
    fired: list[int] = []
    for day in range(26):
        now = START_US + day * DAY_US
        if day and now <= int(times[-1]):
            before = np.flatnonzero((some.time_us < now) & (some.time_us >= now - HISTORY_DAYS * DAY_US))
            policy = budget_night(some.at(before.astype(np.int64)), min(day, HISTORY_DAYS), 0, budget, policy).after
        today = np.flatnonzero((some.time_us >= now) & (some.time_us < now + DAY_US)).astype(np.int64)
        fired += today[memory.fire(some.at(today), policy)].tolist()
    decided = run_nights(some, times, NONE, budget, Policy(5000), EVEN, ZONE)
    assert decided.fired.tolist() == fired
    assert decided.policy == policy


@pytest.mark.parametrize(("zone", "nights"), [("Asia/Shanghai", 2), ("UTC", 3), ("America/New_York", 3)])
def test_midnights_are_those_of_the_time_zone(zone: str, nights: int) -> None:
    times = START_US + np.array([0, 3 * DAY_US - 1])
    few = findings(np.array([1]), np.array([0.5]), np.array([9000]))
    assert len(run_nights(few, times, NONE, 1.0, Policy(5000), EVEN, zone).nights) == nights


def test_scheduled_alerts_count_in_the_nights_after_them() -> None:
    times = START_US + np.arange(0, 20 * DAY_US, DAY_US // 4)
    few = findings(np.array([1]), np.array([0.5]), np.array([9000]))
    beside = START_US + np.array([DAY_US // 2, DAY_US + DAY_US // 2])
    counted = [night.fired_beside for night in run_nights(few, times, beside, 1.0, Policy(5000), EVEN, ZONE).nights]
    assert counted == [1, *[2] * 13, 1, *[0] * 4]


def test_days_are_counted_by_the_accounts_active_on_them() -> None:
    """A week on which a fifth of the accounts is active is worth little more than a fifth of a week."""
    quiet = activity([10] * 60 + [2] * 7 + [10] * 30)
    times = START_US + np.arange(0, 30 * DAY_US, DAY_US // 4)
    few = findings(np.array([1]), np.array([0.5]), np.array([9000]))
    days = [night.days for night in run_nights(few, times, NONE, 1.0, Policy(5000), quiet, ZONE).nights]
    ordinary = (10 * 49 + 2 * 7) / 56
    assert days[6] == pytest.approx(7 * 2 / ordinary)
    assert days[13] == pytest.approx((7 * 2 + 7 * 10) / ordinary)
    assert days[25] == pytest.approx(14 * 10 / ordinary)


def test_accounts_are_counted_once_a_day_and_only_where_they_are_judged() -> None:
    found = Activity(ZONE)
    events = event_arrays(4, time_us=START_US + np.array([0, 1, DAY_US, DAY_US + 1]))
    events.scorable[3] = 0
    for _ in range(2):
        found.add(events, np.array([7, 7, 7, 8]))
    first = START_US // DAY_US + 1
    assert found.before(first) == []
    assert found.before(first + 3) == [1, 1, 0]


HOLIDAY = range(31, 39)
WEEKS = 10
FLOODS = (24, 25, 26, 47)


def work_on(day: int) -> float:
    """1 October to 8 October is a holiday; the Sunday before it and the Saturday after it are worked."""
    if day in HOLIDAY:
        return 0.35
    return 1.0 if day in (20, 40) or day % 7 < 5 else 0.35


def weeks_of(seed: int, budget_per_day: float) -> tuple[list[float], list[float]]:
    """Alerts of each of ten weeks as a share of their budget: of ordinary weeks, and of the work of that week."""
    drawn = np.random.default_rng(seed)
    rows: list[tuple[float, int, int]] = []
    weights = drawn.gamma(0.6, 1, 500)
    for day in range(7 * WEEKS):
        count = int(drawn.poisson(60 * work_on(day)))
        accounts = drawn.choice(500, count, p=weights / weights.sum())
        levels = 4000 + drawn.exponential(1500, count)
        rows += zip(day + drawn.uniform(0.3, 0.9, count), accounts.tolist(), levels.astype(int).tolist(), strict=True)
        if day in FLOODS:
            rows += [(day + 0.4 + place / 200, 500 + day, 9000 + 200 * place) for place in range(30)]
    days, actors, level = (np.array(column) for column in zip(*rows, strict=True))
    some = findings(actors, days, level)
    work = [round(100 * work_on(day % 7)) for day in range(-63, 0)] + [
        round(100 * work_on(d)) for d in range(7 * WEEKS)
    ]
    times = START_US + np.arange(0, 7 * WEEKS * DAY_US, DAY_US // 8)
    fired = run_nights(some, times, NONE, budget_per_day, Policy(6000), activity(work, -63), ZONE).fired
    counts = np.bincount((some.time_us[fired] - START_US) // (7 * DAY_US), minlength=WEEKS)
    ordinary = sum(work_on(day) for day in range(-63, 0)) / 63
    of_work = [sum(work_on(day) for day in range(7 * week, 7 * week + 7)) / ordinary for week in range(WEEKS)]
    return (counts / (7 * budget_per_day)).tolist(), (counts / np.array(of_work) / budget_per_day).tolist()


def test_weeks_with_a_holiday_and_floods_stay_near_the_budget() -> None:
    """Three drawn companies at ten alerts a day, mean of each week; the first two weeks are left to settle.

    A holiday week has less than its budget, for there is less to tell: against its work it is as near as the others.
    """
    weeks, by_work = (
        np.mean(shares, axis=0)[2:] for shares in zip(*(weeks_of(s, 10.0) for s in range(3)), strict=True)
    )
    assert 0.8 <= weeks.mean() <= 1.25
    assert (weeks <= 1.25).all()
    assert ((by_work >= 0.8) & (by_work <= 1.25)).all()
