"""What is sent next on one channel, and what is not sent again: decided from the delivery rows alone.

Place in the flow: between the topic `access.notifications` and the senders. `Deliveries` is a fold over the channel's
rows, so a writer that was killed goes on exactly where its rows end. An attempt whose row was not written is made
again: every notification arrives at least once. After a confirmed delivery neither the same notification nor another
one of the same dedup key and action is sent within the window: at most once. Between the confirmation and its row lies
the one crash that repeats a message; its id is the same, which webhook, PagerDuty and mail pass on.

Messages of one dedup key go in their order, so that no `resolve` overtakes its `trigger`; another key's do not wait.
What is sent is a notification, or the call that contains an account: whatever has the properties of `Sendable`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeAlias, TypeVar

from pipeline.notifications.outcome import DELIVERED, REFUSED, RETRY, SET_UP_WRONGLY, SKIPPED, TOO_MANY, Sent
from pipeline.notifications.pacing import SECOND_US, Bucket, Circuit, Limits, back_off_us

DUPLICATE, GIVEN_UP, DIGEST = "duplicate", "given_up", "digest"
"""Codes of rows without an attempt. `DIGEST`: its digest was delivered."""
_ENDED_BY: Mapping[str, tuple[str, ...]] = {
    "trigger": ("acknowledge", "resolve"),
    "resolve": ("trigger", "update", "acknowledge"),
}
"""After a delivered action these may be said again: what is resolved can be triggered anew within the window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """One attempt's end, as kept in the delivery log; times UTC microseconds.

    `attempt`: from 1; 0 where nothing was sent (skipped, given up). `not_before_us`: drawn when the row was made, so
    that a restart waits as long. `created_us`: the notification's.
    """

    notification_id: str
    channel: str
    dedup_key: str
    action: str
    created_us: int
    attempt: int
    at_us: int
    outcome: str
    code: str
    http_status: int
    not_before_us: int


class Sendable(Protocol):
    """What the policy must know of something that is sent."""

    @property
    def notification_id(self) -> str:
        """The same on every attempt."""
        ...

    @property
    def channel(self) -> str:
        """Where it goes."""
        ...

    @property
    def action(self) -> str:
        """What it is about to do."""
        ...

    @property
    def dedup_key(self) -> str:
        """What goes in one order."""
        ...

    @property
    def tenant_id(self) -> str:
        """Whose it is."""
        ...

    @property
    def created_us(self) -> int:
        """UTC microseconds."""
        ...


M = TypeVar("M", bound=Sendable)


@dataclass(frozen=True, slots=True)
class Send(Generic[M]):
    """Make this attempt now."""

    notification: M
    attempt: int


@dataclass(frozen=True, slots=True)
class Settle(Generic[M]):
    """Write this row and go on: nothing is to be sent."""

    notification: M
    row: DeliveryRow


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be done before that; None: nothing is waiting."""

    until_us: int | None


Step: TypeAlias = Send[M] | Settle[M] | Wait


@dataclass(slots=True)
class _Tried:
    attempts: int
    not_before_us: int


@dataclass(slots=True)
class Deliveries:
    """A channel's state, folded from its rows in their order."""

    limits: Limits
    bucket: Bucket = field(init=False)
    circuit: Circuit = field(init=False, default_factory=Circuit)
    paused_until_us: int = field(init=False, default=0)
    """The channel said that it is sent too much: nothing goes before then, whatever it is."""
    _settled: set[str] = field(init=False, default_factory=set)
    _tried: dict[str, _Tried] = field(init=False, default_factory=dict)
    _said: dict[tuple[str, str], int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.bucket = Bucket.full(self.limits)

    def take(self, row: DeliveryRow) -> None:
        """Counts one row; the same one again changes nothing that is still open."""
        if row.notification_id in self._settled:
            return
        if row.outcome in (DELIVERED, REFUSED, SKIPPED):
            self._settled.add(row.notification_id)
            self._tried.pop(row.notification_id, None)
        else:
            self._tried[row.notification_id] = _Tried(row.attempt, row.not_before_us)
        if row.attempt:
            self._count_attempt(row)

    def _count_attempt(self, row: DeliveryRow) -> None:
        self.bucket = self.bucket.taken(row.at_us, self.limits)
        if row.code == TOO_MANY:
            self.paused_until_us = max(self.paused_until_us, row.not_before_us)
        if row.outcome == RETRY:
            fault = row.code in SET_UP_WRONGLY
            self.circuit = self.circuit.after_failure(row.at_us, self.limits, is_channels_fault=fault)
        else:
            self.circuit = self.circuit.after_success()
        if row.outcome == DELIVERED:
            self._said[row.dedup_key, row.action] = row.created_us
            for action in _ENDED_BY.get(row.action, ()):
                self._said.pop((row.dedup_key, action), None)

    def is_settled(self, notification: Sendable) -> bool:
        """Whether nothing is left to do about it."""
        return notification.notification_id in self._settled

    def attempts(self, notification: Sendable) -> int:
        """How many attempts of it failed so far."""
        tried = self._tried.get(notification.notification_id)
        return tried.attempts if tried else 0

    def said_before(self, notification: Sendable) -> bool:
        """Whether the channel confirmed the same key and action within the window (by the times of their causes)."""
        said_us = self._said.get((notification.dedup_key, notification.action))
        if said_us is None:
            return False
        return abs(notification.created_us - said_us) < self.limits.window_s * SECOND_US

    def not_before_us(self, notification: Sendable) -> int:
        """When its next attempt may go, by its own back-off."""
        tried = self._tried.get(notification.notification_id)
        return tried.not_before_us if tried else 0

    def forget(self, notification_ids: Sequence[str], said_before_us: int) -> None:
        """Drops what can come back no more: settled ones that lie before the read position, words said before then."""
        self._settled.difference_update(notification_ids)
        self._said = {key: at_us for key, at_us in self._said.items() if at_us >= said_before_us}


def next_step(waiting: Sequence[M], deliveries: Deliveries, now_us: int) -> Step[M]:
    """What to do now about the notifications that wait, oldest first."""
    blocked: set[str] = set()
    times: list[int] = []
    for one in waiting:
        if deliveries.is_settled(one) or one.dedup_key in blocked:
            continue
        if deliveries.said_before(one):
            return Settle(one, unsent_row(one, now_us, SKIPPED, DUPLICATE))
        if now_us - one.created_us >= deliveries.limits.give_up_s * SECOND_US and deliveries.attempts(one):
            return Settle(one, unsent_row(one, now_us, REFUSED, GIVEN_UP))
        due_us = deliveries.not_before_us(one)
        if due_us <= now_us:
            return _when_channel_is_free(one, deliveries, now_us)
        times.append(due_us)
        blocked.add(one.dedup_key)
    return Wait(min(times, default=None))


def _when_channel_is_free(one: M, deliveries: Deliveries, now_us: int) -> Send[M] | Wait:
    if deliveries.circuit.state(now_us) == "open":
        return Wait(deliveries.circuit.until_us)
    free_us = max(deliveries.paused_until_us, deliveries.bucket.free_at_us(now_us, deliveries.limits))
    return Wait(free_us) if free_us > now_us else Send(one, deliveries.attempts(one) + 1)


def row_of(step: Send[M], sent: Sent, at_us: int, limits: Limits, chance: float) -> DeliveryRow:
    """The row of an attempt that ended at `at_us`; `chance` (0 to 1) draws the wait before the next one."""
    wait_us = back_off_us(step.attempt, limits, chance, sent.retry_after_s) if sent.outcome == RETRY else 0
    one = step.notification
    return DeliveryRow(
        notification_id=one.notification_id,
        channel=one.channel,
        dedup_key=one.dedup_key,
        action=one.action,
        created_us=one.created_us,
        attempt=step.attempt,
        at_us=at_us,
        outcome=sent.outcome,
        code=sent.code,
        http_status=sent.http_status,
        not_before_us=at_us + wait_us,
    )


def unsent_row(one: Sendable, at_us: int, outcome: str, code: str) -> DeliveryRow:
    """The row of what is settled without an attempt."""
    return row_of(Send(one, 0), Sent(outcome, code), at_us, Limits(), 0.0)


def is_undelivered(row: DeliveryRow) -> bool:
    """Whether a message will never arrive on its channel, so that another one has to say so.

    An alarm about another channel raises none itself: two broken channels would tell each other so for ever.
    """
    return row.outcome == REFUSED and row.action != "alarm"


def opened_by(before: Circuit, after: Circuit) -> bool:
    """Whether the circuit opened here: once an outage, failed trials open nothing anew."""
    return bool(after.opened_us) and not before.opened_us


def other_channel(channel: str, people: Sequence[str], circuits: Mapping[str, Circuit], now_us: int) -> str | None:
    """Where the alarm about a channel goes: the first other one, in the settings' order, that is not known to fail.

    `people`: the channels that people read. `circuits`: of those that were tried; the others are closed.
    Where all others fail too, the first of them: its messages wait and are sent when it is back. None: there is none.
    """
    others = [name for name in people if name != channel]
    closed = [name for name in others if circuits.get(name, Circuit()).state(now_us) == "closed"]
    return next(iter(closed or others), None)
