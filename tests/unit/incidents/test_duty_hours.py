"""When people are on duty: local hours, days off, worked weekends, changes of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.directory.calendar_cn import WorkingCalendar
from pipeline.incidents.duty_hours import EVERY_MINUTE, DutyHours, chinese_days
from pipeline.timestamps import utc_us

OFFICE = ((9 * 60, 12 * 60), (13 * 60, 18 * 60))
WEEK = (OFFICE,) * 5 + ((), ())
SHANGHAI = DutyHours("Asia/Shanghai", WEEK)
BERLIN = DutyHours("Europe/Berlin", WEEK)
HOUR_S = 3600


@pytest.mark.parametrize(
    ("at", "opens"),
    [
        ("2026-11-27T10:00:00+08:00", "2026-11-27T10:00:00+08:00"),  # a Friday at work
        ("2026-11-27T12:30:00+08:00", "2026-11-27T13:00:00+08:00"),
        ("2026-11-27T18:00:00+08:00", "2026-11-30T09:00:00+08:00"),
        ("2026-11-29T23:59:59+08:00", "2026-11-30T09:00:00+08:00"),
        ("2026-11-30T08:59:59.999999+08:00", "2026-11-30T09:00:00+08:00"),
    ],
)
def test_the_next_moment_on_duty(at: str, opens: str) -> None:
    assert SHANGHAI.open_from(utc_us(at)) == utc_us(opens)


def test_time_off_duty_does_not_count_towards_a_deadline() -> None:
    friday = utc_us("2026-11-27T17:00:00+08:00")
    assert SHANGHAI.after(friday, HOUR_S) == utc_us("2026-11-27T18:00:00+08:00")
    assert SHANGHAI.after(friday, 2 * HOUR_S) == utc_us("2026-11-30T10:00:00+08:00")
    assert SHANGHAI.after(utc_us("2026-11-28T00:00:00+08:00"), 4 * HOUR_S) == utc_us("2026-11-30T14:00:00+08:00")


def test_hours_are_those_of_the_wall_when_the_clocks_change() -> None:
    for day, offset in (("2026-03-27", "+01:00"), ("2026-03-30", "+02:00"), ("2026-10-26", "+01:00")):
        assert BERLIN.open_from(utc_us(f"{day}T03:00:00Z")) == utc_us(f"{day}T09:00:00{offset}")
    night = DutyHours("Europe/Berlin", (EVERY_MINUTE,) * 7)
    assert night.after(utc_us("2026-03-29T00:00:00Z"), 24 * HOUR_S) == utc_us("2026-03-30T00:00:00Z")


def test_holidays_are_off_and_made_up_weekends_have_mondays_hours() -> None:
    off, worked = chinese_days(WorkingCalendar.of_package())
    china = DutyHours("Asia/Shanghai", WEEK, off, worked)
    assert china.open_from(utc_us("2025-10-01T00:00:00+08:00")) == utc_us("2025-10-09T09:00:00+08:00")
    assert china.open_from(utc_us("2025-10-11T00:00:00+08:00")) == utc_us("2025-10-11T09:00:00+08:00")  # a Saturday


def test_where_nobody_is_ever_on_duty_it_is_told_at_once() -> None:
    at_us = utc_us("2026-11-27T00:00:00Z")
    nobody = DutyHours("UTC", ((),) * 7)
    assert nobody.open_from(at_us) == at_us
    assert nobody.after(at_us, 60) == at_us + 60_000_000


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.integers(0, 60 * 365 * 24 * 60), st.integers(1, 72 * 60), st.sampled_from([SHANGHAI, BERLIN]))
def test_deadlines_lie_on_duty_and_count_exactly_the_minutes_on_duty(
    minute: int, minutes: int, hours: DutyHours
) -> None:
    at_us = minute * 60_000_000
    due_us = hours.after(at_us, minutes * 60)
    counted, now = 0, at_us
    zone = hours.zones.zone(hours.zone)
    while now < due_us:
        local = (EPOCH + timedelta(microseconds=now)).astimezone(zone)
        of_day = local.hour * 60 + local.minute
        counted += any(begin <= of_day < end for begin, end in hours.weekly[local.weekday()])
        now += 60_000_000
    assert counted == minutes


@given(st.integers(0, 250_000_000_000_000_000))
def test_any_time_of_the_log_has_an_answer(at_us: int) -> None:
    assert SHANGHAI.open_from(at_us) >= at_us
    assert SHANGHAI.after(at_us, 60) >= at_us + 60_000_000
