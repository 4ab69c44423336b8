"""A broker and a process for incident handling, in memory, on one thread: crashes wherever a test wants one.

`Broker` keeps one partition of `access.incidents` in the order of its offsets, each record with its LogAppendTime, and
whatever is written to the outbox. `Handler` drives a `HandlingPartition` through its hooks as its thread would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pipeline.events import LogPosition
from pipeline.incidents.fold import apply
from pipeline.incidents.model import EMPTY, KeyState, LogRow, Position
from pipeline.incidents.records import Record, parse_record
from pipeline.incidents.rules import Rules
from pipeline.notifications.message import Notification, from_json
from pipeline.partition.recovery import LogBounds
from pipeline.response.handling import Asking, HandlingPartition
from pipeline.response.partition_loop import LoopLimits
from tests.flows import Record as KafkaRecord
from tests.flows import batch_of
from tests.incident_logs import INCARNATION, SECOND_US, START_US, TOPIC, encoded
from tests.response import MemoryIncidents

NO_LINKS = Asking(lambda incident_id, channel, at_us: "")
Faults = Callable[[str], None]


class Crash(Exception):
    """The process was killed here."""


def rows_of(store: MemoryIncidents) -> dict[Position, LogRow]:
    """The rows of the log by position."""
    return {row.position: row for row, _ in store.log.values()}


@dataclass
class Broker:
    """One partition of `access.incidents`, and the outbox. `before_send`: called before every record."""

    records: list[KafkaRecord] = field(default_factory=list)
    messages: list[tuple[str, bytes]] = field(default_factory=list)
    at_us: int = START_US
    topic_id: str = INCARNATION
    first_offset: int = 0
    before_send: Callable[[], None] = lambda: None
    sealed_next: int = 0

    def put(self, *records: Record, step_us: int = SECOND_US) -> None:
        """Records at the next offsets."""
        for record in records:
            self.at_us += step_us
            self.write(record.incident_key.encode(), encoded(record))

    def write(self, key: bytes | None, value: bytes | None) -> None:
        """One record as it is, received now; Kafka's times are milliseconds."""
        end = self.records[-1].offset + 1 if self.records else 0
        self.records.append(KafkaRecord(end, value, key, self.at_us // 1000))

    def told(self) -> dict[str, Notification]:
        """Messages by id."""
        return {one.notification_id: one for one in map(from_json, (value for _, value in self.messages))}

    @property
    def end_offset(self) -> int:
        return self.records[-1].offset + 1 if self.records else 0

    # -- role `Flow`, as far as one thread needs it

    def bounds(self, topic: str, partition: int) -> LogBounds:
        return LogBounds(self.topic_id, self.first_offset, self.end_offset)

    def start_at(self, topic: str, partition: int, offset: int, seek_number: int) -> None:
        raise AssertionError("the tests hand records over themselves")

    def block(self, topic: str, partition: int) -> None:
        raise AssertionError("nothing is fetched")

    def unblock(self, topic: str, partition: int) -> None:
        raise AssertionError("nothing is fetched")

    def sealed(self, topic: str, partition: int, next_offset: int) -> None:
        self.sealed_next = next_offset


@dataclass
class _Commands:
    """Role `Outbox` of the topic that is read: what is written comes back as a record."""

    broker: Broker

    def send(self, key: bytes, value: bytes) -> None:
        self.broker.before_send()
        self.broker.write(key, value)

    def flush(self) -> None:
        """Everything is there already."""


@dataclass
class _Messages:
    """Role `Outbox` of `access.notifications`."""

    broker: Broker

    def send(self, key: bytes, value: bytes) -> None:
        self.broker.before_send()
        self.broker.messages.append((key.decode(), value))

    def flush(self) -> None:
        """Everything is there already."""


@dataclass
class Handler:
    """One process that owns the partition; `crash()` ends it as kill -9 does and begins another."""

    broker: Broker
    store: MemoryIncidents
    rules: Rules = field(default_factory=Rules)
    asking: Asking = NO_LINKS
    writer: str = "a"
    most: int = 7
    """Records a run."""
    after_step: Callable[[int], None] = lambda step: None
    partition: HandlingPartition = field(init=False)
    next_offset: int = 0

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """A new process: nothing but what the store knows."""
        self.partition = partition_of(
            self.broker, self.store, rules=self.rules, asking=self.asking, writer=self.writer,
            observer=lambda _, step: self.after_step(step),
        )  # fmt: skip
        self.resume()

    def resume(self) -> None:
        """The group was rebalanced, or we were fenced."""
        resume = self.partition._resume()
        self.next_offset = resume.next_offset

    @property
    def states(self) -> dict[str, KeyState]:
        return dict(self.partition.states)

    def run(self) -> None:
        """Handles everything that is in the log, and what comes of it. Raises: whatever a step raises."""
        while self.step():
            pass

    def step(self) -> bool:
        """Handles one run of records; False where there is none."""
        waiting = [one for one in self.broker.records if one.offset >= self.next_offset][: self.most]
        if not waiting:
            return False
        self.partition._take(batch_of(waiting, LogPosition(TOPIC, self.partition.status.incarnation, 0)), 0)
        self.next_offset = waiting[-1].offset + 1
        return True

    def tick(self) -> None:
        """Sends what is due by the broker's clock and handles it."""
        self.partition._wake(self.broker.at_us)
        self.run()


def partition_of(
    broker: Any,
    store: MemoryIncidents,
    *,
    rules: Rules | None = None,
    asking: Asking = NO_LINKS,
    writer: str = "a",
    **more: Any,
) -> HandlingPartition:
    """A partition over fakes."""
    return HandlingPartition(
        TOPIC, 0, open_store=lambda: store, commands=_Commands(broker), messages=_Messages(broker),
        rules=rules or Rules(), asking=asking, flow=broker, limits=LoopLimits(), writer=writer, **more,
    )  # fmt: skip


@dataclass
class Expected:
    """What the records of a log lead to, one after the other, without crash, batch or store."""

    states: dict[str, KeyState]
    rows: dict[Position, LogRow]
    messages: set[str]
    commands: set[str]


def expected_of(broker: Broker, rules: Rules, asking: Asking = NO_LINKS) -> Expected:
    """The oracle: the engine alone over the log as it is now."""
    found = Expected({}, {}, set(), set())
    for one in broker.records:
        record = parse_record(one.key, one.value)
        position = Position(TOPIC, broker.topic_id, 0, one.offset)
        outcome = apply(found.states.get(record.incident_key, EMPTY), record, position, one.timestamp * 1000, rules)
        found.states[record.incident_key] = outcome.state
        assert outcome.log_row is not None
        found.rows[position] = outcome.log_row
        for effect in outcome.effects:
            found.messages |= {from_json(value).notification_id for _, value in asking.messages(effect)}
            found.commands |= {str(one.command_id) for one in asking.commands(effect, 0)}
    return found


def holds_together(handler: Handler) -> None:
    """One row a position and the states, messages and commands are what the log says, whatever happened on the way."""
    expected = expected_of(handler.broker, handler.rules, handler.asking)
    assert rows_of(handler.store) == expected.rows
    assert handler.states == {key: state for key, state in expected.states.items() if state.incidents}
    assert set(handler.broker.told()) == expected.messages
    read = [parse_record(one.key, one.value) for one in handler.broker.records]
    assert expected.commands <= {str(one.command_id) for one in read if hasattr(one, "command_id")}
    kept = {one.incident_id: one for state in handler.states.values() for one in state.incidents}
    assert {name: one.incident for name, one in handler.store.incidents.items()} == kept
