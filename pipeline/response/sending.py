"""One partition of `access.notifications`: every record goes to the writer of its channel, every offset ends settled.

Place in the flow: agent `notify` (`app.py`), between the outbox topic and the channels. The topic's key is the
channel's name, so a channel's messages stand in one partition, in order, and have one writer; a partition may hold
several channels, each of which has a thread of its own. The store's delivery log says where to go on: at the first
offset that is not settled, passing over those behind it that are. The group is told how far everything is settled.

What cannot be sent at all is settled too: a record that is none, or of another channel than its key says, by a row;
one for a channel that the configuration does not know by a row and an alarm on the first channel that it knows, or
by the answer to the incident that asked for containment.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias
from uuid import UUID, uuid5

from pipeline.errors import NotificationRejected
from pipeline.events import RecordBatch
from pipeline.incidents.effects import cause_of
from pipeline.incidents.model import Position
from pipeline.incidents.records import encode_command
from pipeline.notifications.message import CHANNEL_NAME, Notification, from_json
from pipeline.notifications.outcome import REFUSED, RETRY
from pipeline.notifications.pacing import Circuit
from pipeline.notifications.policy import DeliveryRow, other_channel, unsent_row
from pipeline.notifications.templates import undelivered_alarm
from pipeline.partition.recovery import ReadBounds, current_life
from pipeline.partition.thread import Flow, Observer, nobody
from pipeline.response.channel_thread import ChannelThread, Writer
from pipeline.response.containment import parse_containment
from pipeline.response.containment_writer import AskedContainment
from pipeline.response.delivery import ChannelRoles
from pipeline.response.partition_loop import LoopLimits, ResponsePartition, ResumeAt, wall_clock_us
from pipeline.response.roles import Delivery, DeliveryStore, Outbox

_log = logging.getLogger(__name__)

MOST_HELD = 20_000
"""Records of one channel that are not settled; beyond it the partition is read no further, whatever channel is next."""
UNREADABLE, UNKNOWN_CHANNEL = "unreadable", "unknown_channel"
_LOOK_US = 1_000_000
_ROOM_PAUSE_S = 0.2
_NAMESPACE = UUID("8b0f5d55-0d0e-5b5c-8a3a-6f2b1f9d7c14")

Outgoing: TypeAlias = Notification | AskedContainment
MakeWriter: TypeAlias = Callable[[ChannelRoles], Writer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What all partitions of a process share. `writers`: how the writer of each channel is made.

    In the settings' order. `containment`: name of the channel that stops an account, "" where none does; no message
    goes there. `outbox`, `incidents`: write to `access.notifications` and `access.incidents`. `circuits`: of the
    channels that were begun.
    """

    writers: Mapping[str, MakeWriter]
    containment: str
    outbox: Outbox
    incidents: Outbox
    open_store: Callable[[], DeliveryStore]
    chance: Callable[[], float] = random.random
    circuits: MutableMapping[str, Circuit] = field(default_factory=dict)

    @property
    def people(self) -> Sequence[str]:
        """The channels that people read."""
        return [name for name in self.writers if name != self.containment]


def outgoing(channel: str, value: bytes | None, received_us: int) -> Outgoing | None:
    """What the record under the key `channel` asks for; None: nothing this version knows, or of another channel."""
    if value is None or not CHANNEL_NAME.fullmatch(channel):
        return None
    try:
        call = parse_containment(value)
        if call is not None:
            return AskedContainment(call, channel, received_us)
        notification = from_json(value)
    except NotificationRejected:
        return None
    return notification if notification.channel == channel else None


def unreadable_row(position: Position, channel: str, received_us: int, now_us: int) -> DeliveryRow:
    """The row that settles a record that is none; its id follows from where it stands."""
    at = cause_of(position)
    return DeliveryRow(
        notification_id=str(uuid5(_NAMESPACE, at)), channel=channel if CHANNEL_NAME.fullmatch(channel) else "",
        dedup_key=at, action="", created_us=received_us, attempt=0, at_us=now_us, outcome=REFUSED, code=UNREADABLE,
        http_status=0, not_before_us=now_us,
    )  # fmt: skip


class OpenOffsets:
    """Which of the offsets that were read are not settled yet; thread-safe."""

    def __init__(self, next_offset: int, tell: Callable[[int], None]) -> None:
        self._next, self._tell = next_offset, tell
        self._open: deque[int] = deque()
        self._settled: set[int] = set()
        self._lock = threading.Lock()

    def take(self, offset: int) -> None:
        """The next one that was read."""
        with self._lock:
            self._open.append(offset)
            self._next = offset + 1

    def settle(self, offsets: Sequence[int]) -> None:
        """Nothing is left to do about these; tells up to where that holds for all."""
        with self._lock:
            self._settled.update(one for one in offsets if self._open and one >= self._open[0])
            while self._open and self._open[0] in self._settled:
                self._settled.discard(self._open.popleft())
            self._tell(self._open[0] if self._open else self._next)


class SendingPartition(ResponsePartition):
    """Sends what one partition holds."""

    def __init__(
        self, topic: str, partition: int, *, sending: Sending, flow: Flow, limits: LoopLimits,
        observer: Observer = nobody, now_us: Callable[[], int] = wall_clock_us,
    ) -> None:  # fmt: skip
        super().__init__(topic, partition, flow=flow, limits=limits, observer=observer, now_us=now_us)
        self._sending = sending
        self._store: DeliveryStore | None = None
        self._channels: dict[str, ChannelThread] = {}
        self._settled_before: frozenset[int] = frozenset()
        self._offsets = OpenOffsets(0, self._settled)
        self._counting = threading.Lock()
        self._looked_us = 0

    # -- recovery

    def _recover(self, read_bounds: ReadBounds) -> ResumeAt:
        """Ends the channels, which would have two writers otherwise, and asks the store. Raises: Away."""
        self._end()
        if self._store is None:
            self._store = self._sending.open_store()
        life, next_offset, settled = self._life(self._store, read_bounds)
        while next_offset in settled:
            next_offset += 1
        self._settled_before = frozenset(one for one in settled if one > next_offset)
        self._offsets = OpenOffsets(next_offset, self._settled)
        return ResumeAt(life, next_offset)

    def _life(self, store: DeliveryStore, read_bounds: ReadBounds) -> tuple[str, int, frozenset[int]]:
        """The life of the log that Kafka has now, its first offset, and which of its offsets are settled."""
        last_offsets: dict[str, int] = {}
        while True:
            bounds = read_bounds()
            life = current_life(bounds.topic_id, last_offsets, bounds.end_offset)
            settled = store.settled_offsets(self.status.topic, life, self.status.partition, bounds.first_offset)
            if not settled or last_offsets.get(life) == settled[-1]:
                return life, bounds.first_offset, frozenset(settled)
            last_offsets[life] = settled[-1]

    def _forget(self) -> None:
        for channel in self._channels.values():
            channel.end()

    def _end(self) -> None:
        """Waits for attempts under way: they end by their own time-outs."""
        self._forget()
        for channel in self._channels.values():
            while not channel.join(1.0):
                self._moved()
        self._channels = {}

    # -- a run of records

    def _take(self, records: RecordBatch, generation: int) -> None:
        at = records.position
        for offset, received_us, key, value in zip(
            records.offsets.tolist(), records.received_at_us.tolist(), records.keys, records.values, strict=True
        ):
            self._offsets.take(offset)
            if offset in self._settled_before:
                self._offsets.settle([offset])
                continue
            position = Position(at.topic, at.incarnation, at.partition, offset)
            name = (key or b"").decode(errors="replace")
            self._hand_on(position, name, outgoing(name, value, received_us), received_us, generation)
        self.status.records += len(records.offsets)
        self.status.batches += 1

    def _hand_on(self, position: Position, name: str, item: Outgoing | None, received_us: int, generation: int) -> None:
        channel = self._channel_of(name, item)
        if item is None or channel is None:
            self._patiently(partial(self._refuse, position, name, item, received_us), generation)
            return
        while channel.held >= MOST_HELD:
            self._patiently(self._look, generation)
            self._tenure.pause(_ROOM_PAUSE_S, generation)
        channel.offer(position, item)

    def _channel_of(self, name: str, item: Outgoing | None) -> ChannelThread | None:
        """The thread of the channel, begun by its first record; None where it cannot send this."""
        is_call = isinstance(item, AskedContainment)
        make = self._sending.writers.get(name)
        if item is None or make is None or is_call != (name == self._sending.containment):
            return None
        if name not in self._channels:
            self._channels[name] = ChannelThread(name, partial(self._make_writer, make), self._now_us)
        return self._channels[name]

    def _make_writer(self, make: MakeWriter) -> Writer:
        """In the channel's thread, which has a connection to the store of its own."""
        sending = self._sending
        roles = ChannelRoles(
            store=sending.open_store(), outbox=sending.outbox, people=sending.people, circuits=sending.circuits,
            clock=self._now_us, chance=sending.chance, recorded=self._recorded,
        )  # fmt: skip
        return make(roles)

    def _refuse(self, position: Position, name: str, item: Outgoing | None, received_us: int) -> None:
        """Settles what no channel of ours can send; whoever has to know is told before. Raises: Away."""
        assert self._store is not None  # noqa: S101  set by _recover
        now_us = self._now_us()
        row = (
            unreadable_row(position, name, received_us, now_us)
            if item is None
            else unsent_row(item, now_us, REFUSED, UNKNOWN_CHANNEL)
        )
        _log.error("not sent: partition=%d offset=%d code=%s", position.partition, position.offset, row.code)
        if isinstance(item, AskedContainment):
            result = item.call.result(succeeded=False, code=row.code, at_us=now_us)
            self._sending.incidents.send(item.call.incident_key.encode(), encode_command(result))
            self._sending.incidents.flush()
        elif item is not None and item.action != "alarm":
            self._tell_lost(item, row)
        delivery = Delivery(position, item if isinstance(item, Notification) else None, row)
        self._store.record([delivery])
        self._recorded([delivery])

    def _tell_lost(self, lost: Notification, row: DeliveryRow) -> None:
        to = other_channel(lost.channel, self._sending.people, self._sending.circuits, row.at_us)
        if to is not None:
            self._sending.outbox.send(to.encode(), undelivered_alarm(to, lost, row.code, row.at_us).to_json())
            self._sending.outbox.flush()

    def _recorded(self, deliveries: Sequence[Delivery]) -> None:
        """Called from the channels' threads: these rows are in the store."""
        with self._counting:
            counts = self.status.deliveries
            for one in deliveries:
                name = f"{one.row.channel}:{one.row.outcome}"
                counts[name] = counts.get(name, 0) + 1
        self._offsets.settle([one.position.offset for one in deliveries if one.row.outcome != RETRY])
        self._moved()

    # -- what the channels say

    def _due_us(self) -> int:
        return self._looked_us + _LOOK_US if self._channels else 0

    def _wake(self, now_us: int) -> None:
        self._looked_us = now_us
        self._look()

    def _look(self) -> None:
        """Raises: what keeps a channel from going on: Away, or for good, which stops the partition."""
        now_us, circuits = self._now_us(), self._sending.circuits
        begun = [name for name in self._channels if name in circuits]
        self.status.circuits_open = [name for name in begun if circuits[name].state(now_us) != "closed"]
        for channel in self._channels.values():
            if channel.trouble is not None:
                raise channel.trouble
