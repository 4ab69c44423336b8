"""A believable company's access events, with labelled attacks and their benign twins.

Place in the flow: a source for demos, training and evaluation. Attacks are written as a person's steps and never from
the detectors' features (the import contract forbids looking at them). Deterministic: the same arguments give the same
bytes on every machine; no clock is read.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from pipeline.sources.simulate.attacks import SCENARIOS, STRENGTHS, Act, Scenario, culprit
from pipeline.sources.simulate.company import Actor, Company, draw_company, write_directory
from pipeline.sources.simulate.days import Desk, Event, Labelled, day_start_ms, iso, ordinary_day

__all__ = ["Company", "Labelled", "Simulation", "draw_company", "live_story", "write_directory"]

_FIRST_ATTACK_SHARE = 0.6


@dataclass(slots=True)
class Plan:
    """One attack or twin that will happen."""

    scenario: Scenario
    actor: Actor
    first_day: int
    strength: str
    identity: str
    benign: bool


@dataclass(slots=True)
class Simulation:
    """A run over days; `work_items` grows while `events` is consumed and is complete afterwards."""

    company: Company
    start: date
    days: int
    seed: int
    attacks_per_scenario: int = 3
    plans: list[Plan] = field(default_factory=list)
    desk: Desk = field(init=False)
    sequences: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        chance = random.Random(f"simulation:{self.company.seed}:{self.seed}:{self.days}")
        self.desk = Desk(self.company, chance)
        self._benign_trouble(chance)
        self._plan(chance)

    def _benign_trouble(self, chance: random.Random) -> None:
        """Journeys, leave, new devices: harmless, and not announced."""
        for person in self.company.people:
            if chance.random() < 0.15 and self.days > 6:
                first = self.start + timedelta(days=chance.randrange(self.days - 4))
                for step in range(chance.randint(2, 4)):
                    person.away[first + timedelta(days=step)] = ("hotel", f"58.{chance.randrange(16, 60)}.{step + 7}")
            if chance.random() < 0.1 and self.days > 20:
                first = self.start + timedelta(days=chance.randrange(self.days // 2))
                person.on_leave = (first, first + timedelta(days=chance.randint(4, 12)))

    def _plan(self, chance: random.Random) -> None:
        first_possible = int(self.days * _FIRST_ATTACK_SHARE) if self.days >= 5 else 0
        busy: set[str] = set()
        for scenario in SCENARIOS:
            for number in range(self.attacks_per_scenario):
                for benign in (False, True):
                    last = max(first_possible + 1, self.days - scenario.days + 1)
                    day = chance.randrange(first_possible, last)
                    actor = culprit(self.desk, scenario, self.start + timedelta(days=day), busy)
                    if actor is None:
                        continue
                    busy.add(actor.actor_id)
                    strength = tuple(STRENGTHS)[number % len(STRENGTHS)]
                    kind = "twin" if benign else "attack"
                    identity = f"{kind}-{scenario.name}-{number}"
                    self.plans.append(Plan(scenario, actor, day, strength, identity, benign))

    def events(self) -> Iterator[Labelled]:
        """All events in (event_time, event_id) order; ids, times and source sequence numbers filled in."""
        waiting: list[Labelled] = []
        for plan in self.plans:
            act = Act(plan.actor, self.start + timedelta(days=plan.first_day), STRENGTHS[plan.strength], plan.benign)
            scenario = "" if plan.benign else plan.scenario.name
            waiting += [
                Labelled(at, event, scenario or plan.scenario.name, plan.identity, plan.strength, plan.benign)
                for at, event in plan.scenario.steps(self.desk, act)
            ]
        waiting.sort(key=lambda one: one.time_ms)
        for step in range(self.days):
            day = self.start + timedelta(days=step)
            until_ms = day_start_ms(day + timedelta(days=1))
            waiting += [Labelled(at, event) for at, event in ordinary_day(self.desk, day)]
            due = [one for one in waiting if one.time_ms < until_ms]
            waiting = [one for one in waiting if one.time_ms >= until_ms]
            yield from self._finished(due)
        yield from self._finished([one for one in waiting if not one.attack_id])

    def _finished(self, due: list[Labelled]) -> Iterator[Labelled]:
        chance = self.desk.chance
        for one in due:
            one.event["event_id"] = event_id(one.time_ms, chance)
            one.event["event_time"] = iso(one.time_ms)
        due.sort(key=lambda one: (one.time_ms, one.event["event_id"]))
        for one in due:
            self._number(one.event)
            yield one
            if chance.random() < self.company.duplicate_share:
                yield one  # the source sent it twice

    def _number(self, event: Event) -> None:
        instance = f"{event['source_system']}/{event['source_instance']}"
        self.sequences[instance] = self.sequences.get(instance, 0) + 1
        event["source_seq"] = self.sequences[instance]


def event_id(time_ms: int, chance: random.Random) -> str:
    """A UUIDv7 (RFC 9562): the event's millisecond and seeded random bits."""
    tail = chance.getrandbits(74)
    value = (time_ms << 80) | (0x7 << 76) | ((tail >> 62) << 64) | (0b10 << 62) | (tail & ((1 << 62) - 1))
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def live_story(company: Company, start_at: datetime, seed: int, minutes: int = 3) -> Iterator[dict[str, Any]]:
    """A few minutes around `start_at` (aware): ordinary work, a partner's agent that scrapes, an insider who unmasks.

    Event times lie from `start_at` on, in order; nobody has to wait for them to be real.
    """
    chance = random.Random(f"live:{company.seed}:{seed}")
    desk = Desk(company, chance)
    start_ms = int(start_at.timestamp() * 1000)
    length_ms = minutes * 60_000
    found: list[tuple[int, Event]] = []
    for at, event in ordinary_day(desk, (start_at + timedelta(hours=8)).date()):
        if chance.random() < 0.3:
            found.append((start_ms + at % length_ms, event))
    day = start_at.date()
    stories = {scenario.name: scenario for scenario in SCENARIOS}
    for name, actor in (("partner_overreach", company.partners[0]), ("unmask_abuse", company.people[0])):
        steps = list(stories[name].steps(desk, Act(actor, day, 0.3, benign=False)))
        first = steps[0][0]
        span = max(1, steps[-1][0] - first)
        found += [(start_ms + 5_000 + (at - first) * (length_ms - 6_000) // span, event) for at, event in steps]
    sequences: dict[str, int] = {}
    for at, event in sorted(found, key=lambda one: one[0]):
        instance = f"{event['source_instance']}-live"
        sequences[instance] = sequences.get(instance, 0) + 1
        yield {
            **event,
            "event_id": event_id(at, chance),
            "event_time": iso(at),
            "source_instance": instance,
            "source_seq": sequences[instance],
        }
