"""China's working calendar: public holidays and the weekend days worked in their stead (调休).

The State Council publishes a year's days in the November before; the package `chinesecalendar` carries them. A year it
does not know is judged by weekday, and `fault` says so in `check`, `doctor` and `status` before the year begins.
Days are days since 1970-01-01. The calendar in force is an artefact of the version set: a newer package changes
nothing that was judged before.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import chinese_calendar
import numpy as np
import numpy.typing as npt

from pipeline.events import DAY_KINDS, codes

_CODES = codes(DAY_KINDS)
WORKDAY, OFFDAY, MAKE_UP_WORKDAY, HOLIDAY = (
    _CODES[word] for word in ("workday", "offday", "make_up_workday", "holiday")
)
_EPOCH = date(1970, 1, 1)
_WARN_FROM_MONTH = 12


def epoch_day(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - _EPOCH).days


def weekday_kinds(days: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
    """Code of DAY_KINDS by weekday alone: Saturday and Sunday are off days; shape of `days`."""
    return np.where((days + 3) % 7 >= 5, OFFDAY, WORKDAY).astype(np.uint8)  # 1970-01-01 was a Thursday


@dataclass(frozen=True)
class WorkingCalendar:
    """Holidays and made-up workdays of the years `first_year`–`last_year`, as sorted days since 1970-01-01."""

    first_year: int
    last_year: int
    holidays: tuple[int, ...]
    make_up_workdays: tuple[int, ...]

    @classmethod
    def of_package(cls) -> WorkingCalendar:
        """The calendar that the installed `chinesecalendar` carries."""
        holidays = sorted(chinese_calendar.holidays)
        return cls(
            first_year=holidays[0].year,
            last_year=holidays[-1].year,
            holidays=tuple(map(epoch_day, holidays)),
            make_up_workdays=tuple(sorted(map(epoch_day, chinese_calendar.workdays))),
        )

    def covers(self, year: int) -> bool:
        """Whether holidays of this year are known."""
        return self.first_year <= year <= self.last_year

    def fault(self, today: date) -> str | None:
        """What to tell the operator: this year is not covered, or from December on the next one is not."""
        for year in (today.year, (today + timedelta(days=31)).year if today.month >= _WARN_FROM_MONTH else today.year):
            if not self.covers(year):
                return (
                    f"the working calendar ends with {self.last_year}: holidays of {year} are judged as ordinary "
                    f"weekdays; upgrade the package chinesecalendar"
                )
        return None

    @cached_property
    def _kinds(self) -> npt.NDArray[np.uint8]:
        first = epoch_day(date(self.first_year, 1, 1))
        days = np.arange(first, epoch_day(date(self.last_year + 1, 1, 1)), dtype=np.int32)
        kinds = weekday_kinds(days)
        kinds[np.array(self.holidays, np.int64) - first] = HOLIDAY
        kinds[np.array(self.make_up_workdays, np.int64) - first] = MAKE_UP_WORKDAY
        return kinds

    def day_kinds(self, days: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
        """Code of DAY_KINDS for each day at a site in China, shape of `days`; by weekday outside the known years."""
        kinds = weekday_kinds(days)
        place = days - epoch_day(date(self.first_year, 1, 1))
        known = (place >= 0) & (place < len(self._kinds))
        kinds[known] = self._kinds[place[known]]
        return kinds

    def holidays_before(self, days: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """How many public holidays lie before each day at a site in China, shape of `days`."""
        return np.searchsorted(np.array(self.holidays, np.int64), days, "left").astype(np.int32)

    def content(self) -> bytes:
        """The calendar as an artefact: canonical JSON."""
        document = {
            "first_year": self.first_year,
            "last_year": self.last_year,
            "holidays": self.holidays,
            "make_up_workdays": self.make_up_workdays,
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_content(cls, content: bytes) -> WorkingCalendar:
        """The calendar whose `content()` this is."""
        document = json.loads(content)
        return cls(
            document["first_year"],
            document["last_year"],
            tuple(document["holidays"]),
            tuple(document["make_up_workdays"]),
        )
