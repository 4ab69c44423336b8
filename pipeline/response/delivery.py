"""What waits for one channel: what is tried next, and the row of every end, in the order that loses nothing.

Place in the flow: below `channel_writer.py` (messages) and `containment_writer.py` (calls), which give it what is to be
sent; the decisions are `notifications/policy.py`, the state is a fold of the channel's rows. One attempt goes so:

1. the sender is asked
2. what others must hear of its end is acknowledged by Kafka (an alarm on another channel, the answer to an incident)
3. the row is stored; from here on nothing of it is done again
4. the alarm that the channel's circuit opened is acknowledged; its id follows from the row

A crash between 1 and 3 repeats the attempt, and what 2 tells has the same id; a crash before 4 is made good by whoever
folds the rows next. A store or broker that is away raises `Away` out of `step`, which then goes on where it stopped:
nothing is sent again for that.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeAlias

from pipeline.incidents.model import Position
from pipeline.notifications.message import Notification
from pipeline.notifications.outcome import DELIVERED, RETRY, SKIPPED, Sent
from pipeline.notifications.pacing import SECOND_US, Circuit, Limits
from pipeline.notifications.policy import (
    DIGEST,
    DUPLICATE,
    Deliveries,
    DeliveryRow,
    M,
    Send,
    Settle,
    next_step,
    other_channel,
    row_of,
    unsent_row,
)
from pipeline.notifications.templates import outage_alarm
from pipeline.response.roles import Delivery, DeliveryStore, Outbox

_log = logging.getLogger(__name__)

_REMEMBERED = 20_000
"""Settled ids that are held: what comes twice comes soon, and what is older is known by its key and action."""

Attempt: TypeAlias = Callable[[M, int, int], Sent]
"""Sends one thing: (what, attempt from 1, now in UTC microseconds)."""
Ended: TypeAlias = Callable[[Sequence[tuple[M, DeliveryRow]]], None]
"""Step 2: tells others of these ends and returns when that is acknowledged."""


def nobody(deliveries: Sequence[Delivery]) -> None:
    """For who need not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRoles:
    """What every channel's writer asks of the world.

    `people`: the channels that people read, in the settings' order. `circuits`: of every channel that was begun; shared
    by the writers of a process.
    `outbox`: writes to `access.notifications`; `clock`: UTC microseconds; `chance`: from 0 to 1; `recorded`: told of
    every row once the store has it.
    """

    store: DeliveryStore
    outbox: Outbox
    people: Sequence[str]
    circuits: MutableMapping[str, Circuit]
    clock: Callable[[], int]
    chance: Callable[[], float]
    recorded: Callable[[Sequence[Delivery]], None] = nobody


@dataclass(frozen=True, slots=True)
class Member:
    """One message that a digest stands for; its lines need not be kept."""

    position: Position
    notification: Notification


@dataclass(slots=True)
class _Entry(Generic[M]):
    item: M
    positions: list[Position]
    members: Sequence[Member] = ()

    @property
    def records(self) -> int:
        return len(self.members) or len(self.positions)


@dataclass(slots=True)
class ChannelDelivery(Generic[M]):
    """Delivers to one channel. `rows`: its delivery log as far as it still says anything."""

    channel: str
    limits: Limits
    roles: ChannelRoles
    attempt: Attempt[M]
    ended: Ended[M]
    rows: Sequence[DeliveryRow]
    held: int = field(init=False, default=0)
    """Records of the topic that wait here."""
    _state: Deliveries = field(init=False)
    _entries: dict[str, _Entry[M]] = field(init=False, default_factory=dict)
    _unwritten: list[tuple[_Entry[M], DeliveryRow]] = field(init=False, default_factory=list)
    _settled_ids: deque[str] = field(init=False, default_factory=deque)
    _failure: str = field(init=False, default="")
    _alarmed_us: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._state = Deliveries(self.limits)
        for row in self.rows:
            self._take(row)
        self.rows = ()
        self.roles.circuits[self.channel] = self._state.circuit

    def is_new(self, item: M) -> bool:
        """Whether nothing was ever done about it."""
        return not self._state.is_settled(item) and not self._state.attempts(item)

    def offer(self, item: M, position: Position, members: Sequence[Member] = ()) -> None:
        """Takes what is to be sent. `members`: what a digest stands for; `position` is then the first one's."""
        entry = self._entries.get(item.notification_id)
        if self._state.is_settled(item):
            self._end(_Entry(item, [position], members), unsent_row(item, self.roles.clock(), SKIPPED, DUPLICATE))
        elif entry is not None:
            entry.positions.append(position)
            self.held += 1
        else:
            self._entries[item.notification_id] = entry = _Entry(item, [position], members)
            self.held += entry.records

    def waiting(self) -> Iterator[M]:
        """What is not settled, oldest first."""
        return (entry.item for entry in self._entries.values())

    def give_up(self, item: M, outcome: str, code: str) -> None:
        """Ends something that waits, without an attempt; written by the next `step`."""
        self._end(self._entries[item.notification_id], unsent_row(item, self.roles.clock(), outcome, code))

    def step(self) -> int | None:
        """Makes at most one attempt; returns when the next is due (UTC microseconds), None: nothing waits.

        Raises: Away: call it again, it goes on where it stopped; BrokenInvariant.
        """
        self._finish()
        now_us = self.roles.clock()
        step = next_step(list(self.waiting()), self._state, now_us)
        while isinstance(step, Settle):
            self._end(self._entries[step.notification.notification_id], step.row)
            step = next_step(list(self.waiting()), self._state, now_us)
        if isinstance(step, Send):
            sent = self.attempt(step.notification, step.attempt, now_us)
            row = row_of(step, sent, self.roles.clock(), self.limits, self.roles.chance())
            self._end(self._entries[step.notification.notification_id], row)
        self._finish()
        return now_us if isinstance(step, Send) else step.until_us

    def _end(self, entry: _Entry[M], row: DeliveryRow) -> None:
        self._take(row)
        self._unwritten.append((entry, row))
        if row.outcome == RETRY:
            return
        if self._entries.pop(entry.item.notification_id, None) is not None:
            self.held -= entry.records
        for member in entry.members:
            self._take(_member_row(member, row))
            # The same message, come a second time and waiting alone: it was told by the digest.
            if (twin := self._entries.pop(member.notification.notification_id, None)) is not None:
                self.held -= twin.records
                self._unwritten.append((twin, unsent_row(twin.item, row.at_us, SKIPPED, DUPLICATE)))

    def _take(self, row: DeliveryRow) -> None:
        self._state.take(row)
        if row.outcome == RETRY:
            self._failure = row.code
        else:
            self._settled_ids.append(row.notification_id)

    def _finish(self) -> None:
        """Steps 2 to 4 for every end that is not written yet."""
        if self._unwritten:
            self.ended([(entry.item, row) for entry, row in self._unwritten])
            deliveries = [one for entry, row in self._unwritten for one in _deliveries(entry, row)]
            self.roles.store.record(deliveries)
            self._unwritten.clear()
            self.roles.recorded(deliveries)
            self._forget()
        self.roles.circuits[self.channel] = self._state.circuit
        self._tell_outage()

    def _tell_outage(self) -> None:
        """Step 4; once an opening, for what waits now shows whose messages do."""
        opened_us, now_us = self._state.circuit.opened_us, self.roles.clock()
        first = next(self.waiting(), None)
        if not opened_us or opened_us == self._alarmed_us or first is None:
            return
        to = other_channel(self.channel, self.roles.people, self.roles.circuits, now_us)
        if to is not None:
            alarm = outage_alarm(to, self.channel, self._failure, self.held, opened_us, first.tenant_id)
            self.roles.outbox.send(to.encode(), alarm.to_json())
            self.roles.outbox.flush()
        _log.warning(
            "channel does not deliver: channel=%s code=%s told=%s", self.channel, self._failure, to or "nobody"
        )
        self._alarmed_us = opened_us

    def _forget(self) -> None:
        """What can hardly come back is not held for ever."""
        beyond = len(self._settled_ids) - _REMEMBERED
        if beyond < _REMEMBERED:
            return
        gone = [self._settled_ids.popleft() for _ in range(beyond)]
        self._state.forget(gone, self.roles.clock() - round(2 * self.limits.window_s * SECOND_US))


def _deliveries(entry: _Entry[M], row: DeliveryRow) -> Iterator[Delivery]:
    """Every row that one end leaves: one a position, and one a message that the digest stands for."""
    item = entry.item if isinstance(entry.item, Notification) else None
    yield Delivery(entry.positions[0], item, row)
    if row.outcome == RETRY:
        return
    for position in entry.positions[1:]:
        yield Delivery(position, item, replace(row, outcome=SKIPPED, code=DUPLICATE, attempt=0, http_status=0))
    for member in entry.members:
        yield Delivery(member.position, member.notification, _member_row(member, row))


def _member_row(member: Member, row: DeliveryRow) -> DeliveryRow:
    """Told by a digest that was delivered; or refused with it."""
    is_told = row.outcome in (DELIVERED, SKIPPED)
    outcome, code = (SKIPPED, DIGEST) if is_told else (row.outcome, row.code)
    return unsent_row(member.notification, row.at_us, outcome, code)
