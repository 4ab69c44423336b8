"""Fakes for sending: a delivery log, an outbox, senders and a clock, all of which can be killed or away at any step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from pipeline.errors import Away
from pipeline.incidents.model import Position
from pipeline.notifications.message import Notification, notification_id_of
from pipeline.notifications.outcome import RETRY, Sent
from pipeline.notifications.policy import DeliveryRow
from pipeline.response.containment import ContainmentCall
from pipeline.response.containment_writer import AskedContainment
from pipeline.response.roles import Delivery
from tests.channel_settings import NOTIFICATION
from tests.fake_channels import START_US

TOPIC, TOPIC_ID = "access.notifications", "life-1"
MINUTE_START_US = START_US - START_US % 60_000_000
OK, LATER, NEVER = Sent("delivered", "ok", 200), Sent("retry", "timeout"), Sent("refused", "bad_request", 400)
ACCOUNT = "3f9c2a77" + "b" * 24


class Killed(BaseException):
    """The process ends here, whatever it was about to do."""


@dataclass
class Danger:
    """Counts the steps that the outside world sees; kills at one of them, or is away for some."""

    kill_at: int = -1
    away_at: frozenset[int] = frozenset()
    steps: list[str] = field(default_factory=list)

    def passes(self, step: str) -> None:
        number = len(self.steps)
        self.steps.append(step)
        if number == self.kill_at:
            raise Killed(step)
        if number in self.away_at and step not in ("send", "sent"):
            raise Away(f"away at {step}")


@dataclass
class Clock:
    """UTC microseconds, moved by the test."""

    now_us: int = MINUTE_START_US

    def __call__(self) -> int:
        return self.now_us


@dataclass
class FakeDeliveryStore:
    """Role `DeliveryStore`: rows by position, notification and attempt, in the order they were made."""

    danger: Danger = field(default_factory=Danger)
    kept: dict[tuple[Position, str, int], Delivery] = field(default_factory=dict)

    def settled_offsets(self, topic: str, incarnation: str, partition: int, from_offset: int) -> Sequence[int]:
        self.danger.passes("read")
        place = topic, incarnation, partition
        found = {
            at.offset
            for (at, _, _), one in self.kept.items()
            if (at.topic, at.incarnation, at.partition) == place and one.row.outcome != RETRY
        }
        return sorted(offset for offset in found if offset >= from_offset)

    def deliveries(self, channel: str, since_us: int) -> Sequence[DeliveryRow]:
        rows = [one.row for one in self.kept.values()]
        once = {(row.notification_id, row.attempt): row for row in rows if row.channel == channel}
        return [row for row in once.values() if row.at_us >= since_us]

    def record(self, deliveries: Sequence[Delivery]) -> None:
        self.danger.passes("before row")
        for one in deliveries:
            self.kept.setdefault((one.position, one.row.notification_id, one.row.attempt), one)
        self.danger.passes("after row")

    def rows(self, outcome: str, code: str = "") -> list[DeliveryRow]:
        """Rows of one outcome, and code where one is named."""
        rows = [one.row for one in self.kept.values()]
        return [row for row in rows if row.outcome == outcome and code in ("", row.code)]


@dataclass
class FakeOutbox:
    """Role `Outbox`: what is flushed counts, in order."""

    danger: Danger = field(default_factory=Danger)
    queued: list[tuple[bytes, bytes]] = field(default_factory=list)
    records: list[tuple[bytes, bytes]] = field(default_factory=list)

    def send(self, key: bytes, value: bytes) -> None:
        self.queued.append((key, value))

    def flush(self) -> None:
        queued, self.queued = self.queued, []
        self.danger.passes("before outbox")
        self.records += queued
        self.danger.passes("after outbox")


@dataclass
class FakeSender:
    """Role `Sender`: gives these answers, then what `usual` says; `taken` counts what arrived by id."""

    clock: Clock
    danger: Danger = field(default_factory=Danger)
    answers: list[Sent] = field(default_factory=list)
    usual: Callable[[int], Sent] = lambda now_us: OK
    asked: list[tuple[int, str, str]] = field(default_factory=list)
    taken: Counter[str] = field(default_factory=Counter)
    messages: list[Notification] = field(default_factory=list)

    def send(self, notification: Notification, attempt: int, now_us: int) -> Sent:
        return self._ask(notification, now_us)

    def call(self, call: ContainmentCall, attempt: int, now_us: int) -> Sent:
        return self._ask(AskedContainment(call, "stop", now_us), now_us)

    def _ask(self, one: Notification | AskedContainment, now_us: int) -> Sent:
        self.danger.passes("send")
        sent = self.answers.pop(0) if self.answers else self.usual(now_us)
        self.asked.append((now_us, one.notification_id, one.action))
        self.taken[one.notification_id] += sent.outcome == "delivered"
        if isinstance(one, Notification) and sent.outcome == "delivered":
            self.messages.append(one)
        self.danger.passes("sent")
        return sent


def at(offset: int, partition: int = 0) -> Position:
    return Position(TOPIC, TOPIC_ID, partition, offset)


def message(
    number: int, *, action: str = "trigger", severity: str = "high", risk: int = 5000, at_us: int = MINUTE_START_US,
    incident: int | None = None, channel: str = "chat",
) -> Notification:  # fmt: skip
    """Notifications of incidents of their own, unless an incident is named."""
    incident_id = f"{number if incident is None else incident:08d}-0f0c-5b6a-8d55-9a3e4f1c2b90"
    key = f"default:{incident_id}"
    return replace(
        NOTIFICATION,
        notification_id=notification_id_of(channel, key, action, str(number)),
        channel=channel,
        action=action,
        dedup_key=key,
        incident_id=incident_id,
        severity=severity,
        risk=risk,
        alerts=10,
        title_en=f"[{severity}] Incident {incident_id[:8]}, risk {risk / 100:.0f}",
        title_zh=f"事件 {incident_id[:8]}，风险 {risk / 100:.0f}",
        created_us=at_us,
    )


def most_in_a_minute(times_us: Sequence[int]) -> int:
    """The most of these times that fall into any 60 seconds."""
    return max((sum(one <= other < one + 60_000_000 for other in times_us) for one in times_us), default=0)


def is_ascending(values: Sequence[int]) -> bool:
    return all(one <= other for one, other in pairwise(values))
