"""When people work: China's working calendar with its make-up Saturdays, shifts, rosters, month ends.

Other countries' offices work Monday to Friday. Pure: nothing here draws from a generator.
"""

from __future__ import annotations

from datetime import date, timedelta

import chinese_calendar

from pipeline.sources.simulate.company import Actor, Department, mixed
from pipeline.sources.simulate.life import Life

ROTATION = (6, 14, 22)
"""Begin of the early, late and night shift, hours."""


def is_workday(day: date, country: str = "CN") -> bool:
    """China's calendar with its make-up working days; weekdays elsewhere and where the calendar ends."""
    if country != "CN":
        return day.weekday() < 5
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:  # what chinese_calendar raises for years that are not decreed yet
        return day.weekday() < 5


def is_make_up_day(day: date) -> bool:
    """A Saturday or Sunday on which China works."""
    return day.weekday() >= 5 and is_workday(day)


def is_month_end(day: date) -> bool:
    """The last three and the first two days of a month."""
    return day.day <= 2 or (day + timedelta(days=3)).day <= 3


def employed(actor: Actor, day: date) -> bool:
    """Whether somebody has begun, has not left, and is not on leave."""
    if day < actor.hired_on or (actor.leaves_on is not None and day > actor.leaves_on):
        return False
    return not any(first <= day <= last for first, last in actor.absent)


def begins_at(life: Life, actor: Actor, department: Department, day: date) -> int:
    """The hour (0–23, local) at which somebody's shift begins on a day."""
    swapped = life.swaps.get((actor.actor_id, day))
    if swapped is not None:
        return swapped
    if department.shift == "rotating":
        return ROTATION[(day.toordinal() // 7 + actor.number) % len(ROTATION)]
    if department is not actor.department:
        return department.hours[0]
    return actor.shift_start


def length_h(department: Department) -> int:
    """How many hours a shift lasts."""
    return 8 if department.shift == "rotating" else (department.hours[1] - department.hours[0]) % 24 or 8


def works_on(life: Life, actor: Actor, day: date) -> bool:
    """Whether somebody works on a day: roster, weekend, holiday, sick days; a coin of the account and the day."""
    if not employed(actor, day):
        return False
    if (actor.actor_id, day) in life.swaps:
        return True
    department = life.department_of(actor, day)
    coin = mixed(actor.number, day.toordinal(), 11) % 1000
    if department.shift in ("seven", "rotating", "night"):
        off = (day.toordinal() + actor.number) % 7
        return coin < (960 if off not in (0, 3) else 40)
    if is_workday(day, actor.site.country):
        return coin < 955
    return coin < 500 * department.weekend
