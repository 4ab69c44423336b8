"""One partition of `access.incidents`: alerts and commands become incidents, log rows, messages and commands.

Place in the flow: agent `handle` (`app.py`), between the engine (`pipeline.incidents`) and the outbox topic
`access.notifications`. State is the fold of the partition's log rows and nothing else: at an assignment the rows are
read, and the log goes on behind the last of them. A run of records is committed in numbered steps:

1. every record is read and applied, one after the other, on copies: what is in memory stays as the store knows it
2. commands that follow from them → Kafka, acknowledged
3. messages and containment calls → Kafka, acknowledged
4. frozen evidence, incidents as they stand, log rows → store: the rows are the commit point
5. the copies take the place of the states; when ticks are due is noted; the group is told

Crash before 4: whoever takes over reads the same records against the same states, so 2 and 3 are repeated with the same
ids, which their readers know: a command that comes twice does nothing, a message is sent once. Crash after 4: recovery
goes on behind the rows. Another writer was first (`Fenced`): nothing of ours is in the store, memory is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID, uuid5

import msgspec

from pipeline.errors import NotificationRejected, StoreRefused
from pipeline.events import RecordBatch
from pipeline.incidents.changes import fold_row
from pipeline.incidents.effects import CallContainment, Effect, Emit, FreezeEvidence, Notify
from pipeline.incidents.fold import Outcome, apply, next_due_us
from pipeline.incidents.model import EMPTY, KeyState, LogRow, Position
from pipeline.incidents.records import Command, Tick, encode_command, parse_record
from pipeline.incidents.rules import Rules
from pipeline.notifications.message import Notification
from pipeline.notifications.templates import IncidentFacts, incident_notification
from pipeline.partition.recovery import ReadBounds
from pipeline.partition.thread import Flow, Observer, nobody
from pipeline.response.containment import NO_WEBHOOK, call_of
from pipeline.response.partition_loop import LoopLimits, ResponsePartition, ResumeAt, resume_at, wall_clock_us
from pipeline.response.roles import IncidentSnapshot, IncidentStore, Outbox
from pipeline.response.ticks import TickSchedule

TIMER = "system:timer"
"""Who gives `tick` commands."""
MOST_TICKS = 1000
"""Sent at once; whatever else is due follows."""
_NAMESPACE = UUID("c0d7d0a4-3df2-5a5b-8f6e-6a5d0b5d8f27")

LinkOf = Callable[[str, str, int], str]
"""(incident id, channel, UTC microseconds) → the link of a message, "" where it carries none (`Links.link`)."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How effects become records. `containment`: name of the channel that stops an account, "" where none does."""

    link_of: LinkOf
    containment: str = ""

    def commands(self, effect: Effect, at_us: int) -> Iterable[Command]:
        """Commands that an effect asks for."""
        if isinstance(effect, Emit):
            yield effect.command
        elif isinstance(effect, CallContainment) and not self.containment:
            yield call_of(effect).result(succeeded=False, code=NO_WEBHOOK, at_us=at_us)

    def messages(self, effect: Effect) -> Iterable[tuple[str, bytes]]:
        """Records of the outbox that an effect asks for: channel, value."""
        if isinstance(effect, Notify):
            for channel in effect.channels:
                yield channel, self._message(effect, channel).to_json()
        elif isinstance(effect, CallContainment) and self.containment:
            yield self.containment, call_of(effect).to_json()

    def _message(self, effect: Notify, channel: str) -> Notification:
        """A message that cannot hold the link goes out without it: somebody has to be told."""
        told = partial(
            incident_notification, channel, effect.action, created_us=effect.at_us, cause=effect.cause
        )  # fmt: skip
        try:
            return told(facts_of(effect, self.link_of(effect.incident.incident_id, channel, effect.at_us)))
        except NotificationRejected:
            return told(facts_of(effect, ""))


def facts_of(effect: Notify, link: str) -> IncidentFacts:
    """What a message says of the incident; detectors by risk, the highest first."""
    incident = effect.incident
    highest = incident.highest_by_detector()
    return IncidentFacts(
        incident_id=incident.incident_id, tenant_id=incident.tenant_id, dedup_key=incident.incident_id,
        severity=incident.severity, risk=incident.risk / 100, state=incident.state, alert_count=incident.all_alerts,
        detectors=tuple(sorted(highest, key=lambda name: (-highest[name], name))),
        explanation_en=incident.explanation_en, explanation_zh=incident.explanation_zh, link=link,
        actor_token=incident.actor_token, acknowledged_by=incident.acknowledged_by, verdict=incident.verdict,
        times_reopened=incident.reopened, escalation=incident.timers.layer if effect.reason == "escalated" else 0,
    )  # fmt: skip


def tick_of(key: str, tenant_id: str, due_us: int, now_us: int) -> Tick:
    """The command that something was due then; the same id for the same due time."""
    return Tick(
        command_id=uuid5(_NAMESPACE, f"{key}\x1f{due_us}"),
        tenant_id=tenant_id,
        incident_key=key,
        by=TIMER,
        at_us=now_us,
    )


@dataclass(slots=True)
class _Handled:
    """One run of records, applied and not yet kept."""

    states: dict[str, KeyState] = field(default_factory=dict)
    rows: list[LogRow] = field(default_factory=list)
    snapshots: dict[str, IncidentSnapshot] = field(default_factory=dict)
    holds: list[FreezeEvidence] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    messages: list[tuple[str, bytes]] = field(default_factory=list)

    def add(self, key: str, outcome: Outcome, asking: Asking) -> None:
        """Takes what one record led to."""
        row = outcome.log_row
        if row is None:
            return  # its row stands already
        self.states[key] = outcome.state
        self.rows.append(row)
        incident = outcome.state.incident(row.incident_id)
        if incident is not None:
            self.snapshots[incident.incident_id] = IncidentSnapshot(incident, row.position, row.received_at_us)
        for effect in outcome.effects:
            self.commands += asking.commands(effect, row.received_at_us)
            self.messages += asking.messages(effect)
            if isinstance(effect, FreezeEvidence):
                self.holds.append(effect)


def handled(records: RecordBatch, states: Mapping[str, KeyState], rules: Rules, asking: Asking) -> _Handled:
    """Applies a run of records to the states of its keys, which stay as they are. Pure."""
    run, at = _Handled(), records.position
    for offset, received_us, key_bytes, value in zip(
        records.offsets.tolist(), records.received_at_us.tolist(), records.keys, records.values, strict=True
    ):
        record = parse_record(key_bytes, value)
        key = record.incident_key
        state = run.states.get(key) or states.get(key, EMPTY)
        position = Position(at.topic, at.incarnation, at.partition, offset)
        run.add(key, apply(state, record, position, received_us, rules), asking)
    return run


class HandlingPartition(ResponsePartition):
    """Handles the incidents of one partition: the one writer of its keys."""

    def __init__(
        self, topic: str, partition: int, *, open_store: Callable[[], IncidentStore], commands: Outbox,
        messages: Outbox, rules: Rules, asking: Asking, flow: Flow, limits: LoopLimits, writer: str,
        observer: Observer = nobody, now_us: Callable[[], int] = wall_clock_us,
    ) -> None:  # fmt: skip
        super().__init__(topic, partition, flow=flow, limits=limits, observer=observer, now_us=now_us)
        self._open_store, self._commands, self._messages = open_store, commands, messages
        self._rules, self._asking, self._writer = rules, asking, writer
        self._store: IncidentStore | None = None
        self._states: dict[str, KeyState] = {}
        self._ticks = TickSchedule()

    @property
    def states(self) -> Mapping[str, KeyState]:
        """The state of every key that has an incident, as the store knows it; for the partition's thread and tests."""
        return self._states

    # -- recovery

    def _forget(self) -> None:
        self._states, self._ticks = {}, TickSchedule()
        self.status.open_incidents = self.status.keys = 0

    def _recover(self, read_bounds: ReadBounds) -> ResumeAt:
        """Folds the partition's log. Raises: Away; StoreRefused: a row is not ours."""
        if self._store is None:
            self._store = self._open_store()
        states: dict[str, KeyState] = {}
        last_offsets: dict[str, int] = {}
        for row in self._store.log_rows(self.status.topic, self.status.partition):
            states[row.incident_key] = _folded(states.get(row.incident_key, EMPTY), row)
            life = row.position.incarnation
            last_offsets[life] = max(row.position.offset, last_offsets.get(life, -1))
            self._moved()
        self._forget()
        self._keep(states)
        self._observer("handling", 0)
        return resume_at(read_bounds(), last_offsets)

    # -- a run of records

    def _take(self, records: RecordBatch, generation: int) -> None:
        run = handled(records, self._states, self._rules, self._asking)
        self._done(1)
        self._patiently(partial(self._commit, run), generation)
        self._keep(run.states)
        self._count(run)
        self._settled(int(records.offsets[-1]) + 1)
        self._done(5)

    def _commit(self, run: _Handled) -> None:
        """Steps 2 to 4; may be repeated unchanged. Raises: Away; Fenced; BrokenInvariant."""
        assert self._store is not None  # noqa: S101  set by _recover
        _send(self._commands, ((one.incident_key, encode_command(one)) for one in run.commands))
        self._done(2)
        _send(self._messages, run.messages)
        self._done(3)
        if run.rows:
            self._store.append(run.rows, list(run.snapshots.values()), run.holds, self._writer)
        self._done(4)

    def _done(self, step: int) -> None:
        self._moved()
        self._observer("handling", step)

    def _keep(self, states: Mapping[str, KeyState]) -> None:
        """These states are in the store. A key that has nothing is not remembered: anybody can send such records."""
        status = self.status
        for key, state in states.items():
            status.open_incidents += _open(state) - _open(self._states.get(key, EMPTY))
            if state.incidents or state.alerts.entries or state.alerts.old or state.commands:
                self._states[key] = state
                self._ticks.set(key, next_due_us(state, self._rules))
        status.keys = len(self._states)

    def _count(self, run: _Handled) -> None:
        status = self.status
        for row in run.rows:
            status.transitions[row.transition] = status.transitions.get(row.transition, 0) + 1
        status.records += len(run.rows)
        status.batches += 1

    # -- what is due

    def _due_us(self) -> int:
        return self._ticks.due_us

    def _wake(self, now_us: int) -> None:
        due = self._ticks.due(now_us, MOST_TICKS)
        ticks = [tick_of(key, _tenant(self._states[key]), due_us, now_us) for key, due_us in due]
        _send(self._commands, ((one.incident_key, encode_command(one)) for one in ticks))
        for key, _ in due:
            self._ticks.sent(key, now_us)
        self.status.ticks += len(due)


def _send(outbox: Outbox, records: Iterable[tuple[str, bytes]]) -> None:
    for key, value in records:
        outbox.send(key.encode(), value)
    outbox.flush()


def _folded(state: KeyState, row: LogRow) -> KeyState:
    try:
        return fold_row(state, row)
    except msgspec.MsgspecError:
        at = row.position
        raise StoreRefused(
            f"the row of offset {at.offset} in the incident log of partition {at.partition} cannot be read: "
            "it was written by a newer version, or changed"
        ) from None


def _open(state: KeyState) -> int:
    return sum(one.is_open and not one.is_active_child for one in state.incidents)


def _tenant(state: KeyState) -> str:
    return state.incidents[-1].tenant_id
