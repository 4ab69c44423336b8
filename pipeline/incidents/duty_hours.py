"""When people are on duty: weekly hours in a time zone, days off, days worked in their stead.

Place in the flow: asked by `escalate.py`, with the log's time, never a clock. Hours are local (IANA time zone, from the
installed `tzdata`); a day whose clocks change keeps its hours as the wall shows them. China's working calendar, 调休
included, comes from `directory/calendar_cn.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pipeline.directory.calendar_cn import WorkingCalendar
from pipeline.time_zones import TimeZones

MINUTES_A_DAY = 1440
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_US = timedelta(microseconds=1)
_LOOK_AHEAD_DAYS = 400
_LAST_DAY = 2_932_800
"""Days are looked at up to the year 9999."""

Hours = tuple[tuple[int, int], ...]
"""Spans of a day, minutes since midnight, increasing, end excluded."""


@dataclass(frozen=True, slots=True)
class DutyHours:
    """`weekly`: hours of Monday to Sunday. Days are days since 1970-01-01; a day in `worked` has Monday's hours."""

    zone: str
    weekly: tuple[Hours, ...]
    days_off: frozenset[int] = frozenset()
    worked: frozenset[int] = frozenset()
    zones: TimeZones = field(default_factory=TimeZones, compare=False)

    def open_from(self, at_us: int) -> int:
        """The first moment on duty at or after this one, UTC microseconds.

        Where none comes within 400 days it is this one: rather told out of hours than never.
        """
        return next((max(start, at_us) for start, _ in self._spans(at_us)), at_us)

    def after(self, at_us: int, seconds: int) -> int:
        """When so many seconds on duty will have passed, UTC microseconds; off-duty time does not count."""
        left_us = seconds * 1_000_000
        for start, end in self._spans(at_us):
            begin = max(start, at_us)
            if end - begin >= left_us:
                return begin + left_us
            left_us -= end - begin
        return at_us + left_us

    def _spans(self, at_us: int) -> Iterator[tuple[int, int]]:
        """Spans on duty that end after this moment, in order."""
        zone = self.zones.zone(self.zone)
        first = (_EPOCH + at_us * _US).astimezone(zone).toordinal() - _EPOCH_ORDINAL - 1
        for day in range(first, min(first + _LOOK_AHEAD_DAYS, _LAST_DAY)):
            for begin, end in self._hours_of(day):
                start_us, end_us = _utc_us(day, begin, zone), _utc_us(day, end, zone)
                if end_us > max(at_us, start_us):
                    yield start_us, end_us

    def _hours_of(self, day: int) -> Hours:
        if day in self.worked:
            return self.weekly[0]
        return () if day in self.days_off else self.weekly[(day + 3) % 7]


def _utc_us(day: int, minute: int, zone: ZoneInfo) -> int:
    on = date.fromordinal(day + _EPOCH_ORDINAL + minute // MINUTES_A_DAY)
    local = datetime.combine(on, time(minute % MINUTES_A_DAY // 60, minute % 60), zone)
    return (local.astimezone(UTC) - _EPOCH) // _US


def chinese_days(calendar: WorkingCalendar) -> tuple[frozenset[int], frozenset[int]]:
    """China's public holidays and the weekend days worked in their stead, as days since 1970-01-01."""
    return frozenset(calendar.holidays), frozenset(calendar.make_up_workdays)


WEEKDAYS: Mapping[str, int] = {
    name: number for number, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))
}
EVERY_MINUTE: Hours = ((0, MINUTES_A_DAY),)
