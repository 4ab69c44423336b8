"""Benign trouble that changes how ordinary work looks: moves, leave, journeys, new people, new devices, new shifts.

None of it is announced to a detector beyond what the directory says. Every piece is noted as a happening, so that false
alerts can be counted against it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from pipeline.sources.simulate import places
from pipeline.sources.simulate.calendar import is_make_up_day, is_month_end
from pipeline.sources.simulate.company import Actor, Company, Journey
from pipeline.sources.simulate.life import Life


@dataclass(slots=True)
class Plan:
    """What a planner of trouble works with: the run's own copy of the company, its days, its chance."""

    company: Company
    life: Life
    chance: random.Random
    start: date
    days: int

    @property
    def last(self) -> date:
        """The last day."""
        return self.start + timedelta(days=self.days - 1)

    def day(self, from_share: float = 0.0, to_share: float = 1.0) -> date:
        """Some day between two shares of the run."""
        first = int(self.days * from_share)
        return self.start + timedelta(days=self.chance.randint(first, max(first, int(self.days * to_share) - 1)))

    def some(self, share: float, least: int = 1) -> list[Actor]:
        """A share of the people, at least so many."""
        people = self.company.people
        return self.chance.sample(people, min(len(people), max(least, int(len(people) * share))))


def journeys(plan: Plan) -> None:
    """Business travel at home and abroad, with one's own device."""
    chance = plan.chance
    for share, pool, kind in ((0.12, places.HOTELS_AT_HOME, "journey"), (0.03, places.ABROAD, "journey_abroad")):
        for person in plan.some(share):
            first, length, place = plan.day(), chance.randint(1, 5), chance.choice(pool)
            journey = Journey(f"{place.prefix}.{chance.randrange(250)}", place.country, place.city)
            for step in range(length):
                person.away[first + timedelta(days=step)] = journey
            plan.life.note(kind, first, first + timedelta(days=length - 1), person)


def leave(plan: Plan) -> None:
    """Holidays of one or two weeks, covered by a colleague; a long leave with a return."""
    for person in plan.some(0.15):
        first, length = plan.day(0.1), plan.chance.randint(3, 14)
        last = first + timedelta(days=length)
        person.absent.append((first, last))
        colleagues = [
            one for one in plan.company.people if one.department is person.department and one is not person
        ]  # fmt: skip
        if not colleagues:
            continue
        cover = plan.chance.choice(colleagues)
        for step in range(length + 1):
            day = first + timedelta(days=step)
            plan.life.pace[(cover.actor_id, day)] = plan.life.pace.get((cover.actor_id, day), 1.0) * 1.7
        plan.life.note("holiday_cover", first, last, cover)
    for person in plan.some(0.01):
        back = plan.day(0.3)
        person.absent.append((plan.start - timedelta(days=120), back - timedelta(days=1)))
        plan.life.note("return_from_leave", back, min(plan.last, back + timedelta(days=6)), person)


def joiners(plan: Plan) -> None:
    """New people who learn the work over three weeks."""
    for person in plan.some(0.05):
        first = plan.day(0.1)
        person.hired_on = first
        for step in range(21):
            plan.life.pace[(person.actor_id, first + timedelta(days=step))] = 0.25 + 0.0375 * step
        plan.life.note("new_joiner", first, min(plan.last, first + timedelta(days=20)), person)


def leavers(plan: Plan) -> None:
    """People who leave as agreed and do nothing odd before."""
    for person in plan.some(0.02):
        person.leaves_on = plan.day(0.4)
        if person.leaves_on <= person.hired_on:
            person.leaves_on = None
            continue
        plan.life.note(
            "ordinary_leaver", max(plan.start, person.leaves_on - timedelta(days=6)), person.leaves_on, person
        )


def transfers(plan: Plan) -> None:
    """People who change the department, or the role within it."""
    departments = [one for one in plan.company.departments if one.duty not in ("audit", "privacy", "security")]
    for person in plan.some(0.04):
        day, other = plan.day(0.2), plan.chance.choice(departments)
        if plan.chance.random() < 0.3:
            other = person.department
        kind = "transfer" if other is not person.department else "role_change"
        plan.life.transfers[person.actor_id] = (day, other, other.roles[-1 if kind == "role_change" else 0])
        plan.life.note(kind, day, min(plan.last, day + timedelta(days=13)), person)


def shifts(plan: Plan) -> None:
    """Swapped shifts, and day people who work a night or a weekend for once."""
    for person in plan.some(0.15):
        day = plan.day()
        plan.life.swaps[(person.actor_id, day)] = plan.chance.choice((5, 6, 13, 14, 20, 21, 22))
        plan.life.note("shift_swap", day, day, person)


def devices(plan: Plan) -> None:
    """New laptops; in some companies a whole department gets them in one week."""
    for person in plan.some(0.08):
        day = plan.day()
        plan.life.new_devices[person.actor_id] = (day, f"d-{5000 + person.number}")
        plan.life.note("new_device", day, min(plan.last, day + timedelta(days=6)), person)
    if plan.chance.random() < 0.4:
        department, day = plan.chance.choice(plan.company.departments), plan.day(0.3)
        crowd = [one for one in plan.company.people if one.department is department]
        for person in crowd:
            plan.life.new_devices[person.actor_id] = (day, f"d-{7000 + person.number}")
        plan.life.note("device_roll_out", day, min(plan.last, day + timedelta(days=6)), *crowd)


def networks(plan: Plan) -> None:
    """An office moves or gets other addresses; the tunnel gets another exit."""
    site, day = plan.chance.choice(plan.company.sites), plan.day(0.4)
    if plan.chance.random() < 0.7:
        plan.life.moves[site.name] = (day, f"10.{60 + site.number}")
        crowd = [one for one in plan.company.people if one.site is site]
        plan.life.note("office_move", day, min(plan.last, day + timedelta(days=6)), *crowd)
    if plan.chance.random() < 0.7:
        day = plan.day(0.4)
        plan.life.vpn = (day, "10.98")
        crowd = [one for one in plan.company.people if one.home_share > 0]
        plan.life.note("vpn_exit_change", day, min(plan.last, day + timedelta(days=6)), *crowd)


def reorganisation(plan: Plan) -> None:
    """A department gets another name in the systems; the directory keeps the old one."""
    if plan.chance.random() < 0.5:
        department, day = plan.chance.choice(plan.company.departments), plan.day(0.3)
        plan.life.renamed[department.name] = (day, f"{department.name}_2")
        crowd = [one for one in plan.company.people if one.department is department]
        plan.life.note("reorganisation", day, min(plan.last, day + timedelta(days=13)), *crowd)


def busy_days(plan: Plan) -> None:
    """Promotions, make-up workdays, month ends."""
    for _ in range(max(1, plan.days // 20)):
        first, length = plan.day(), plan.chance.randint(1, 3)
        for step in range(length):
            plan.life.promotions.add(first + timedelta(days=step))
        plan.life.note("promotion_day", first, first + timedelta(days=length - 1), *plan.company.people)
    for step in range(plan.days):
        day = plan.start + timedelta(days=step)
        if is_make_up_day(day):
            plan.life.note("make_up_workday", day, day, *plan.company.people)
        if is_month_end(day):
            plan.life.note("month_end", day, day, *plan.company.of_duty("finance", "claims", "sales"))


CHANGES: tuple[Callable[[Plan], None], ...] = (
    journeys, leave, joiners, leavers, transfers, shifts, devices, networks, reorganisation, busy_days,
)  # fmt: skip
"""Every kind of change, in the order it is planned."""
