"""One run: plans ordinary trouble and stories, lives through the days, and sends events as sources send them.

Between the planners and the writer of files. Events come in the order in which they are sent: nearly that of their
times, but late ones later, and clocks that are wrong stay wrong. Deterministic: no clock is read, and the ordinary life
of a run is the same with and without attacks.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from pipeline.sources.simulate.attacks import SCENARIOS, STRENGTHS, Act, Scenario
from pipeline.sources.simulate.calendar import employed, works_on
from pipeline.sources.simulate.catalogue import CATALOGUE
from pipeline.sources.simulate.company import Actor, Company
from pipeline.sources.simulate.desk import Desk, day_start_ms
from pipeline.sources.simulate.life import Labelled, Life
from pipeline.sources.simulate.places import HOUR_MS
from pipeline.sources.simulate.sending import Sender
from pipeline.sources.simulate.surges import SURGES
from pipeline.sources.simulate.trouble import CHANGES, Plan
from pipeline.sources.simulate.work import ordinary_day

_FIRST_ATTACK_SHARE = 0.6
_TRIES = 60
_LATEST_ZONE_MS = 6 * HOUR_MS
"""A local day may begin so much earlier than China's; events are sent only when no earlier ones can come."""


@dataclass(slots=True)
class Simulation:
    """A run over days on its own copy of a company; `events` is consumed once.

    `scenarios`: names of those that happen, all if empty. Work items grow while events are consumed and are complete
    afterwards. `acts`: the attacks and twins that were planned.
    """

    company: Company
    start: date
    days: int
    seed: int
    attacks_per_scenario: int = 3
    scenarios: Collection[str] = ()
    acts: list[Act] = field(default_factory=list)
    desk: Desk = field(init=False)
    _busy: dict[str, list[tuple[date, date]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.company = copy.deepcopy(self.company)
        chance = random.Random(f"simulation:{self.company.seed}:{self.seed}:{self.days}")
        life = Life()
        self.desk = Desk(self.company, life, chance)
        for planner in (*CHANGES, *SURGES):
            planner(
                Plan(self.company, life, random.Random(f"{chance.random()}:{planner.__name__}"), self.start, self.days)
            )
        chosen = [SCENARIOS[name] for name in CATALOGUE if not self.scenarios or name in self.scenarios]
        # Those who are in one story only are cast first: later nobody may be left for them.
        for wanted in ([one for one in chosen if one.alone], [one for one in chosen if not one.alone]):
            for number in range(self.attacks_per_scenario):
                for scenario in wanted:
                    self._plan(scenario, number)

    @property
    def life(self) -> Life:
        """What changes during the run; holds the look-alikes that occur."""
        return self.desk.life

    def _plan(self, scenario: Scenario, number: int) -> None:
        for benign in (False, True):
            identity = f"{'twin' if benign else 'attack'}-{scenario.name}-{number}"
            chance = random.Random(f"{self.company.seed}:{self.seed}:{self.days}:{identity}")
            strength = tuple(STRENGTHS)[number % len(STRENGTHS)]
            act = self._cast(scenario, identity, strength, chance, benign=benign)
            if act is None:
                continue
            self.desk.chance = chance
            if scenario.prepare is not None:
                scenario.prepare(self.desk, act, self.start)
            self.acts.append(act)

    def _cast(
        self, scenario: Scenario, identity: str, strength: str, chance: random.Random, *, benign: bool
    ) -> Act | None:
        """Finds a day and somebody who works on it and is in no other story about then."""
        first = int(self.days * _FIRST_ATTACK_SHARE) if self.days >= 5 else 0
        last = max(first + 1, self.days - scenario.span + 1)
        pool = self._pool((scenario.twin_pool if benign else "") or scenario.pool)
        for attempt in range(_TRIES):
            day = self.start + timedelta(days=chance.randrange(first, last))
            end = day + timedelta(days=scenario.span)
            actor = chance.choice(pool)
            early = attempt < _TRIES // 2
            gap = timedelta(days=self.days if scenario.alone else 2 if early else 0)
            if not self._free(actor, day, end, gap):
                continue
            if actor.human and not self._at_work(actor, day, strict=early):
                continue
            others = [one for one in self._others(actor) if one is not actor and employed(one, day)]
            crew = tuple(chance.sample(others, min(scenario.crew, len(others))))
            self._busy.setdefault(actor.actor_id, []).append((day, end))
            return Act(identity, scenario.name, actor, crew, day, strength, benign, chance)
        return None

    def _pool(self, names: str) -> list[Actor]:
        company = self.company
        pools = {
            "person": [one for one in company.people if one.department.duty not in ("hr", "audit", "security")],
            "day_person": [one for one in company.people if one.department.shift in ("day", "oncall")],
            "customer_too": [one for one in company.people if one.customer >= 0],
            "partner": company.partners,
            "service": company.services,
            "ai_agent": company.agents,
        }
        found = [one for name in names.split(",") for one in pools.get(name) or company.of_duty(name)]
        return found or company.people

    def _others(self, actor: Actor) -> list[Actor]:
        return [one for one in self.company.partners if one.org == actor.org] if actor.org else self.company.people

    def _free(self, actor: Actor, day: date, end: date, gap: timedelta) -> bool:
        stories = self._busy.get(actor.actor_id, ())
        return all(end + gap < first or day - gap > last for first, last in stories)

    def _at_work(self, actor: Actor, day: date, *, strict: bool) -> bool:
        settled = actor.hired_on < day - timedelta(days=30) and actor.leaves_on is None
        return settled and (works_on(self.life, actor, day) if strict else employed(actor, day))

    def events(self) -> Iterator[Labelled]:
        """All events as they are sent; ids, times and source sequence numbers filled in."""
        sender = Sender(self.company, self.life, self.seed, {act.identity: act for act in self.acts})
        end_ms = day_start_ms(self.start + timedelta(days=self.days)) + _LATEST_ZONE_MS
        stories = [one for act in self.acts for one in self._told(act) if one.time_ms < end_ms]
        stories.sort(key=lambda one: one.time_ms, reverse=True)
        waiting: list[Labelled] = []
        for step in range(self.days):
            day = self.start + timedelta(days=step)
            self._transfer(day)
            waiting += [Labelled(at_ms, event) for at_ms, event in ordinary_day(self.desk, day, self.seed)]
            until_ms = day_start_ms(day + timedelta(days=1)) - _LATEST_ZONE_MS
            while stories and stories[-1].time_ms < until_ms:
                waiting.append(stories.pop())
            waiting.sort(key=lambda one: one.time_ms)
            due = next((place for place, one in enumerate(waiting) if one.time_ms >= until_ms), len(waiting))
            yield from sender.send(waiting[:due], until_ms)
            del waiting[:due]
        waiting += stories
        waiting.sort(key=lambda one: one.time_ms)
        yield from sender.send(waiting, None)

    def _told(self, act: Act) -> Iterator[Labelled]:
        """A story's events with their label."""
        self.desk.chance = act.chance
        for at_ms, event in SCENARIOS[act.scenario].steps(self.desk, act):
            one = Labelled(at_ms, event, act.scenario, act.identity, act.strength, act.benign)
            if act.scenario == "sequence_hole":
                one = replace(
                    one, erased=not act.benign, delay_ms=act.chance.randint(1, 4) * HOUR_MS if act.benign else 0
                )
            yield one

    def _transfer(self, day: date) -> None:
        for person in self.company.people:
            moved = self.life.transfers.get(person.actor_id)
            if moved is not None and moved[0] == day:
                _, person.department, person.role = moved
