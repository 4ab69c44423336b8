"""Enrich: local time and what kind of day it is, at the actor's site."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from pipeline import events as words
from pipeline.directory.calendar_cn import WorkingCalendar, epoch_day
from pipeline.directory.local_time import local_days_and_hours
from pipeline.time_zones import TimeZones
from tests.enriching import DAY, actor, run, word


def test_local_time_is_that_of_the_actors_site() -> None:
    given = {"event_time": "2026-11-20T23:30:00+08:00"}
    arrays, _ = run({**given}, {**given, "actor_id": "joe"}, actors=(actor(), actor("joe", site="ny")))
    assert arrays.local_hour.tolist() == [23, 10]
    assert arrays.local_day.tolist() == [DAY, DAY]


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"])
def test_local_time_is_exact_across_changes_of_the_clock(zone: str) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    moments = [start + timedelta(minutes=47 * step) for step in range(12_000)]
    times = np.array([round(moment.timestamp()) * 1_000_000 for moment in moments], np.int64)
    days, hours = local_days_and_hours(times, np.zeros(len(times), np.int32), [TimeZones().zone(zone)])
    local = [moment.astimezone(ZoneInfo(zone)) for moment in moments]
    assert hours.tolist() == [moment.hour for moment in local]
    assert days.tolist() == [epoch_day(moment.date()) for moment in local]


@pytest.mark.parametrize(
    ("day", "kind"),
    [
        ("2026-02-17", "holiday"),
        ("2026-02-28", "make_up_workday"),
        ("2026-10-10", "make_up_workday"),
        ("2026-10-01", "holiday"),
        ("2026-11-20", "workday"),
        ("2026-11-21", "offday"),
        ("2035-10-01", "workday"),
        ("2001-10-06", "offday"),
    ],
)
def test_days_in_china_follow_the_working_calendar(day: str, kind: str) -> None:
    arrays, _ = run({"event_time": f"{day}T12:00:00+08:00"}, actors=(actor(),))
    assert word(words.DAY_KINDS, arrays.day_kind[0]) == kind


def test_days_elsewhere_follow_the_week() -> None:
    arrays, _ = run({"event_time": "2026-10-01T12:00:00+08:00"}, actors=(actor(site="ny"),))
    assert word(words.DAY_KINDS, arrays.day_kind[0]) == "workday"
    assert (
        word(words.DAY_KINDS, run({"event_time": "2026-10-01T12:00:00+08:00"}, zone="UTC")[0].day_kind[0]) == "workday"
    )
    assert word(words.DAY_KINDS, run({"event_time": "2026-10-01T12:00:00+08:00"})[0].day_kind[0]) == "holiday"


def test_public_holidays_are_counted_at_sites_in_china_only() -> None:
    """National Day 2026: seven days from the first of October on."""
    days = [{"event_time": f"2026-10-{day:02}T12:00:00+08:00"} for day in (1, 2, 8, 12)]
    counted = [int(run(day, actors=(actor(),))[0].holidays[0]) for day in days]
    assert [one - counted[0] for one in counted] == [0, 1, 7, 7]
    assert [int(run(day, actors=(actor(site="ny"),))[0].holidays[0]) for day in days] == [0] * 4


def test_a_year_the_calendar_does_not_know_is_said_in_time() -> None:
    calendar = WorkingCalendar.of_package()
    assert calendar.fault(date(calendar.last_year, 6, 1)) is None
    assert str(calendar.last_year + 1) in str(calendar.fault(date(calendar.last_year, 12, 5)))
    assert str(calendar.last_year + 1) in str(calendar.fault(date(calendar.last_year + 1, 1, 1)))
    assert WorkingCalendar.from_content(calendar.content()) == calendar
