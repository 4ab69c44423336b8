"""The flood guard of one channel: so many messages a minute, beyond them one digest; nothing is dropped.

Place in the flow: between what is to be told and the channel's sender, by whoever writes the channel alone. Every item
offered comes out exactly once: as a single message, or counted in exactly one digest, which says that messages were put
together, names the worst and counts the rest. Minutes are those of the items' own times, so the same items give the
same messages on every replay; a time that goes back counts for the minute that runs. Holds memory, but no clock and no
I/O: the caller asks `due_us` and flushes, and says after a restart what went out before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pipeline.incidents.model import rank

MINUTE_US = 60_000_000
P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class FloodLimits:
    """`per_minute`: single messages of a channel; `reserved`: how many of them only critical incidents may use.

    `always`: actions that are never put together (a pager must hear `resolve`, or it rings on); they use up nothing.
    `worst`: how many incidents a digest names.
    """

    per_minute: int = 10
    reserved: int = 3
    always: frozenset[str] = frozenset()
    worst: int = 10

    def __post_init__(self) -> None:
        if not 0 <= self.reserved < self.per_minute or self.worst < 1:
            raise ValueError("at least one message a minute must be free for everybody, and one incident be named")


@dataclass(frozen=True, slots=True)
class FloodItem(Generic[P]):
    """One message to be told. `risk` in hundredths; `alerts`: of the incident; `payload`: what is sent."""

    incident_id: str
    action: str
    severity: str
    risk: int
    alerts: int
    payload: P

    @property
    def gravity(self) -> tuple[int, int, int, str]:
        """Graver is larger; no two incidents are equal."""
        return rank(self.severity), self.risk, self.alerts, self.incident_id


@dataclass(frozen=True, slots=True)
class Single(Generic[P]):
    """Goes out as a message of its own."""

    item: FloodItem[P]


@dataclass(frozen=True, slots=True)
class Digest(Generic[P]):
    """One message instead of `messages`. Times UTC microseconds. `worst`: the gravest, gravest first, as last told.

    `per_severity` counts incidents, `per_action` messages; `alerts` are those of all its incidents.
    """

    from_us: int
    until_us: int
    messages: int
    incidents: int
    alerts: int
    per_severity: Mapping[str, int]
    per_action: Mapping[str, int]
    worst: tuple[FloodItem[P], ...]


@dataclass(slots=True)
class FloodGuard(Generic[P]):
    """What one channel has sent in the running minute, and what waits for its digest.

    `told_before`: single messages that went out before a restart, by their minute (minutes since 1970); they have
    taken their room and are not offered again.
    """

    limits: FloodLimits
    told_before: Mapping[int, int] = field(default_factory=dict)
    _minute: int = 0
    _free_used: int = 0
    _reserved_used: int = 0
    _held: dict[str, FloodItem[P]] = field(default_factory=dict)
    _actions: Counter[str] = field(default_factory=Counter)

    @property
    def due_us(self) -> int:
        """When the digest is to be flushed, UTC microseconds; 0: none waits."""
        return (self._minute + 1) * MINUTE_US if self._held else 0

    def offer(self, item: FloodItem[P], at_us: int) -> list[Single[P] | Digest[P]]:
        """What goes out now: the digest of a minute that is over, then the item itself if there is room for it."""
        out: list[Single[P] | Digest[P]] = []
        if (digest := self.flush(at_us)) is not None:
            out.append(digest)
        self._turn(at_us)
        if item.action in self.limits.always or self._takes_room(item):
            out.append(Single(item))
        else:
            self._held[item.incident_id] = item
            self._actions[item.action] += 1
        return out

    def flush(self, at_us: int) -> Digest[P] | None:
        """The digest, if one waits and its minute is over."""
        if not self._held or at_us < self.due_us:
            return None
        held, actions = self._held, self._actions
        self._held, self._actions = {}, Counter()
        worst = sorted(held.values(), key=lambda one: one.gravity, reverse=True)
        return Digest(
            from_us=self._minute * MINUTE_US,
            until_us=(self._minute + 1) * MINUTE_US,
            messages=actions.total(),
            incidents=len(held),
            alerts=sum(one.alerts for one in held.values()),
            per_severity=dict(Counter(one.severity for one in worst)),
            per_action=dict(actions),
            worst=tuple(worst[: self.limits.worst]),
        )

    def _turn(self, at_us: int) -> None:
        minute = at_us // MINUTE_US
        if minute > self._minute:
            told, free = self.told_before.get(minute, 0), self.limits.per_minute - self.limits.reserved
            # What all may use is used up first; only critical ones can have gone beyond it.
            self._minute, self._free_used, self._reserved_used = minute, min(told, free), max(0, told - free)

    def _takes_room(self, item: FloodItem[P]) -> bool:
        if self._free_used < self.limits.per_minute - self.limits.reserved:
            self._free_used += 1
            return True
        if item.severity == "critical" and self._reserved_used < self.limits.reserved:
            self._reserved_used += 1
            return True
        return False
