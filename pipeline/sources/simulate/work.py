"""Ordinary days: who works when, how much, and the machines beside them.

Every person-day draws from its own generator, so what one account does changes nothing for the others: a run with
attacks and one without hold the same ordinary life.
"""

from __future__ import annotations

import random
from datetime import date

from pipeline.sources.simulate.calendar import begins_at, employed, is_month_end, length_h, works_on
from pipeline.sources.simulate.company import Actor
from pipeline.sources.simulate.desk import Desk, day_start_ms
from pipeline.sources.simulate.jobs import JOBS, login, report
from pipeline.sources.simulate.life import Steps
from pipeline.sources.simulate.machines import agent_day, heartbeats, partner_day, service_day
from pipeline.sources.simulate.places import HOUR_MS

_BUSY_ON_PROMOTIONS = ("service", "logistics", "field", "marketing", "night")
_BUSY_AT_MONTH_END = ("finance", "claims", "sales")


def person_day(desk: Desk, actor: Actor, day: date) -> Steps:
    """One person's day at work, or nothing."""
    life, chance = desk.life, desk.chance
    if not works_on(life, actor, day):
        return
    department, habits = life.department_of(actor, day), desk.company.habits
    begin, hours = begins_at(life, actor, department, day), float(length_h(department))
    if chance.random() < habits.overtime:
        hours += chance.uniform(0.5, 3.5)
    start_ms = day_start_ms(day, actor.site.offset_ms) + begin * HOUR_MS + int(chance.gauss(0, 12) * 60_000)
    yield start_ms, login(desk, actor, start_ms)
    pace = actor.pace * life.pace.get((actor.actor_id, day), 1.0) * chance.lognormvariate(0, 0.2)
    if day in life.promotions and department.duty in _BUSY_ON_PROMOTIONS:
        pace *= habits.promotion
    if is_month_end(day) and department.duty in _BUSY_AT_MONTH_END:
        pace *= habits.month_end
    for _ in range(int(chance.randint(*department.cases_a_day) * pace) + 1):
        share = chance.random()
        if 0.42 < share < 0.5:
            share += chance.uniform(0.1, 0.4)  # lunch
        at_ms = start_ms + int(share * hours * HOUR_MS)
        job = chance.choices(department.jobs, cum_weights=department.job_weights)[0]
        yield from JOBS[job](desk, actor, at_ms)
    if chance.random() < habits.exports_a_month / 22 * (3 if is_month_end(day) else 1):
        yield from report(desk, actor, start_ms + int(chance.uniform(0.5, hours) * HOUR_MS))


def ordinary_day(desk: Desk, day: date, seed: int) -> Steps:
    """Everybody's day: people, services, partners, assistants, heartbeats, and what comes on top."""
    company = desk.company
    for actors, live in (
        (company.people, person_day), (company.services, service_day), (company.partners, partner_day),
        (company.agents, agent_day),
    ):  # fmt: skip
        for actor in actors:
            desk.chance = _own_chance(seed, actor.number, day)
            yield from live(desk, actor, day)
    for number, extra in enumerate(desk.life.extras.get(day, ())):
        if employed(extra.actor, day):
            desk.chance = _own_chance(seed, 9_000_000 + number, day)
            yield from extra.steps(desk, extra.actor, day)
    yield from heartbeats(desk, day)


def _own_chance(seed: int, number: int, day: date) -> random.Random:
    return random.Random(((seed & 0xFFFFFFFF) * 100_000_007 + number) * 1_000_003 + day.toordinal())
