"""How an attack or its benign twin is told: who, when, how cautious, and for which reason.

A story is a person's steps. Strength is that person's caution: a cautious one takes less, stays at their own desk, in
their own hours, and hides among real tickets; a bold one does not care. A twin does the same kind of thing and has the
reason on record. Nothing here or in the stories knows what a detector looks at.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta

from pipeline.sources.simulate import places
from pipeline.sources.simulate.calendar import begins_at, length_h
from pipeline.sources.simulate.company import Actor
from pipeline.sources.simulate.desk import DAY_MS, Desk, Seat, access, day_start_ms, placed
from pipeline.sources.simulate.life import Event, Steps
from pipeline.sources.simulate.machines import personal
from pipeline.sources.simulate.places import HOUR_MS


@dataclass(frozen=True, slots=True)
class Caution:
    """How somebody goes about it. Shares 0–1.

    `volume`: how much of what they could take; `covered`: looks that have a real ticket; `borrowed`: looks that quote
    another customer's ticket; `own_place`: chance to use the usual desk and device; `own_hours`: chance to stay within
    the shift; `patience`: factor on the pauses between two looks.
    """

    volume: float
    covered: float
    borrowed: float
    own_place: float
    own_hours: float
    patience: float


STRENGTHS: dict[str, Caution] = {
    "weak": Caution(0.25, 0.45, 0.25, 0.95, 0.9, 2.5),
    "medium": Caution(0.55, 0.2, 0.15, 0.7, 0.6, 1.3),
    "strong": Caution(1.0, 0.03, 0.05, 0.4, 0.3, 0.7),
}


@dataclass(slots=True)
class Act:
    """One story that will happen. `crew`: the others in it; `place`: where it is done from, if not the usual desk."""

    identity: str
    scenario: str
    actor: Actor
    crew: tuple[Actor, ...]
    day: date
    strength: str
    benign: bool
    chance: random.Random
    place: Event = field(default_factory=dict)
    tickets: list[str] = field(default_factory=list)

    @property
    def caution(self) -> Caution:
        """How cautious the actor is."""
        return STRENGTHS[self.strength]

    def on(self, step: int) -> date:
        """The local date `step` days after the first."""
        return self.day + timedelta(days=step)

    def many(self, most: float, least: int = 1) -> int:
        """How many, of what a bold person would do; never the same twice."""
        return max(least, int(most * self.caution.volume * self.chance.uniform(0.8, 1.2)))

    def midnight_ms(self, step: int = 0) -> int:
        """Local midnight `step` days after the first, UTC milliseconds."""
        return day_start_ms(self.on(step), self.actor.site.offset_ms)

    def clock_ms(self, low: float, high: float, step: int = 0) -> int:
        """A time between two local hours."""
        return self.midnight_ms(step) + int(self.chance.uniform(low, high) * HOUR_MS)

    def moment_ms(self, desk: Desk, step: int = 0, spare_h: float = 2.0) -> int:
        """When they begin: within the shift if cautious (or benign), else early, late or at night.

        `spare_h`: how long it will last at least; it begins so much before the shift's end.
        """
        actor, day = self.actor, self.on(step)
        begin = begins_at(desk.life, actor, actor.department, day)
        length = length_h(actor.department)
        if not actor.human or self.benign or self.chance.random() < self.caution.own_hours:
            return self.midnight_ms(step) + int((begin + self.chance.uniform(0, max(0.5, length - spare_h))) * HOUR_MS)
        odd = self.chance.choice((begin + length + self.chance.uniform(0.2, 4), begin - self.chance.uniform(0.7, 3)))
        return self.midnight_ms(step) + int(max(0.0, odd) * HOUR_MS)

    def settle(self, desk: Desk) -> None:
        """Chooses the place: the usual one, or a machine that is not theirs, at home, on mobile, in a rented server."""
        if self.benign or not self.actor.human or self.chance.random() < self.caution.own_place:
            return
        self.place = elsewhere(desk, self)

    def reason(
        self, desk: Desk, customer: int | None, at_ms: int, kind: str = "case", *, real: bool = True
    ) -> Event:  # fmt: skip
        """Why: a twin's ticket; a real one, a borrowed one or none of an attacker.

        `real` false: no real ticket is to be had, because nobody has business with that one customer.
        """
        coin = self.chance.random()
        if self.benign:
            return desk.ticket(self.actor, customer, at_ms, kind, 24) if coin < 0.97 else {}
        if real and coin < self.caution.covered:
            fields = desk.ticket(self.actor, customer, at_ms, kind)
            self.tickets += [fields["case_ref"]] if fields else []
            return fields
        if coin < self.caution.covered + self.caution.borrowed:
            return {"case_ref": self.chance.choice(self.tickets) if self.tickets else desk.reference()}
        return {}

    def mandate(self, desk: Desk, at_ms: int, kind: str) -> Event:
        """A bulk job's reason: work item and approval of a twin; what a cautious attacker makes up."""
        if self.benign:
            return desk.ticket(self.actor, None, at_ms, kind, 48) | desk.approval(at_ms)
        if self.chance.random() < self.caution.borrowed:
            return {"case_ref": desk.reference()}
        return {}


def elsewhere(desk: Desk, act: Act, ranges: tuple[places.Range, ...] = (*places.HOMES, *places.MOBILE)) -> Event:
    """A machine that the company does not know, somewhere."""
    chance, where = act.chance, act.chance.choice(ranges)
    address = f"{where.prefix}.{chance.randrange(250)}.{chance.randint(2, 250)}"
    agent = chance.choice((*places.BROWSERS, *places.PHONES))
    device = f"x-{chance.getrandbits(24):06x}" if act.actor.human else ""
    fields = placed(Seat(address, where.country, where.city, device, agent), desk.company)
    return fields | {"session_id": f"s-{chance.getrandbits(32):08x}"} if act.actor.human else fields


def looks(
    desk: Desk, act: Act, at_ms: int, count: int, gap_s: float, action: str = "read", kind: str = "",
    target: int | None = None, **more: object,
) -> Steps:  # fmt: skip
    """Opens customers one after another, as a person does: irregular pauses, sometimes a second look.

    `target`: always this customer, for whom an attacker has no real ticket.
    """
    chance, who = act.chance, act.actor
    kinds = personal(desk.life.department_of(who, act.day)) or (desk.company.kinds["profile"],)
    pause = math.log(gap_s * (1.0 if act.benign else act.caution.patience))
    for _ in range(count):
        at_ms += int(chance.lognormvariate(pause, 0.7) * 1000) + 300
        customer = desk.customer(who) if target is None else target
        what = kind or chance.choice(kinds)
        fields = desk.about(customer) | act.reason(desk, customer, at_ms, real=target is None) | act.place
        if action == "unmask":
            fields["fields_unmasked"] = chance.choice((["mobile"], ["mobile", "id_number"], ["id_number"]))
        yield at_ms, access(desk, who, at_ms, action, what, **(fields | more))
        if chance.random() < 0.15:
            at_ms += int(chance.expovariate(1 / 15_000)) + 800
            yield at_ms, access(desk, who, at_ms, "read", what, **(fields | more | {"fields_unmasked": None}))


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of attack with its twin, as code; its texts stand in the catalogue.

    `pool`: who can do it (person, partner, service, ai_agent, or a duty), `twin_pool`: who does the twin; `crew`: how
    many others are needed, `span`: days; `prepare`: what changes before (leave, contracts), called when it is planned;
    `alone`: that change is for good, so the actor is in no other story.
    """

    name: str
    steps: Callable[[Desk, Act], Steps]
    pool: str = "person"
    twin_pool: str = ""
    crew: int = 0
    span: int = 1
    prepare: Callable[[Desk, Act, date], None] | None = None
    alone: bool = False


def days_of(act: Act, most: int, least: int = 2) -> list[int]:
    """The days a story of several days really uses; people skip one now and then."""
    return [step for step in range(most) if step < least or act.chance.random() < 0.85]


def spread(act: Act, from_ms: int, span_ms: int, count: int) -> list[int]:
    """Times strewn over a span, in order."""
    return sorted(from_ms + int(act.chance.random() * span_ms) for _ in range(count))


__all__ = [
    "DAY_MS", "STRENGTHS", "Act", "Caution", "Scenario", "Seat", "days_of", "elsewhere", "looks", "spread",
]  # fmt: skip
