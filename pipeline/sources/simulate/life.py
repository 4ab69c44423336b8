"""What changes while a company is simulated, apart from its drawn self: moves, reorganisations, surges, silences.

Filled by the modules that plan (ordinary trouble, attacks), read by those that live through the days. Dates are local.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from pipeline.sources.simulate.company import Actor, Department

if TYPE_CHECKING:
    from pipeline.sources.simulate.desk import Desk

Event = dict[str, Any]
Steps = Iterator[tuple[int, Event]]


@dataclass(slots=True)
class Labelled:
    """One event with what it is: empty scenario means ordinary.

    `time_ms`: when it truly happened (the source's clock may say otherwise); `erased`: it got its source_seq and was
    then removed from the log, so only a hole remains; `delay_ms`: how much later it was sent.
    """

    time_ms: int
    event: Event
    scenario: str = ""
    attack_id: str = ""
    strength: str = ""
    twin: bool = False
    erased: bool = False
    delay_ms: int = 0


@dataclass(frozen=True, slots=True)
class Happening:
    """A benign look-alike that really occurs, for whoever counts false alerts: kind, local days, accounts."""

    kind: str
    first_day: date
    last_day: date
    actor_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Extra:
    """Work on top of somebody's ordinary day."""

    actor: Actor
    steps: Callable[[Desk, Actor, date], Steps]


@dataclass(slots=True)
class Silence:
    """A source instance that sends nothing for a while; `numbered`: it went on counting meanwhile.

    The first events of the instance afterwards are labelled with the story that silenced it.
    """

    instance: str
    from_ms: int
    to_ms: int
    numbered: bool
    identity: str


@dataclass(slots=True)
class Life:
    """One simulation's changes, by local day and account."""

    moves: dict[str, tuple[date, str]] = field(default_factory=dict)
    vpn: tuple[date, str] | None = None
    promotions: set[date] = field(default_factory=set)
    renamed: dict[str, tuple[date, str]] = field(default_factory=dict)
    transfers: dict[str, tuple[date, Department, str]] = field(default_factory=dict)
    swaps: dict[tuple[str, date], int] = field(default_factory=dict)
    new_devices: dict[str, tuple[date, str]] = field(default_factory=dict)
    pace: dict[tuple[str, date], float] = field(default_factory=dict)
    extras: dict[date, list[Extra]] = field(default_factory=dict)
    silences: dict[str, list[Silence]] = field(default_factory=dict)
    happenings: list[Happening] = field(default_factory=list)

    def add(self, day: date, actor: Actor, steps: Callable[[Desk, Actor, date], Steps]) -> None:
        """More work for somebody on a day."""
        self.extras.setdefault(day, []).append(Extra(actor, steps))

    def note(self, kind: str, first_day: date, last_day: date, *actors: Actor) -> None:
        """Notes that a look-alike occurs."""
        self.happenings.append(Happening(kind, first_day, last_day, tuple(one.actor_id for one in actors)))

    def department_of(self, actor: Actor, day: date) -> Department:
        """Where somebody works on a day, transfers counted."""
        moved = self.transfers.get(actor.actor_id)
        return moved[1] if moved is not None and day >= moved[0] else actor.department

    def role_of(self, actor: Actor, day: date) -> str:
        """What somebody is on a day, transfers counted."""
        moved = self.transfers.get(actor.actor_id)
        return moved[2] if moved is not None and day >= moved[0] else actor.role

    def name_of(self, department: Department, day: date) -> str:
        """What a department calls itself on a day."""
        renamed = self.renamed.get(department.name)
        return renamed[1] if renamed is not None and day >= renamed[0] else department.name
