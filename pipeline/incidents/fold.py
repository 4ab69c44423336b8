"""One record and the state of its key make the next state, one row of the log, and effects: the whole incident engine.

Place in the flow: `handle` reads `access.incidents`, calls `apply` for every record in the order of the log, carries
out the effects, whose ids follow from the record, and then stores the rows. Pure, deterministic, total: the same state,
record, position, time and rules give the same outcome; no record raises. Time is the record's LogAppendTime.

Exactly one row a position: a record that the key has read already (Kafka delivers at least once) leaves no second row,
because the first one stands and must not be replaced.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pipeline.incidents.alerts import take_alert
from pipeline.incidents.changes import changes_of, next_state
from pipeline.incidents.commands import carry_out, due_us
from pipeline.incidents.decision import Decision, Scene, refused
from pipeline.incidents.effects import Effect, cause_of
from pipeline.incidents.model import KeyState, LogRow, Position
from pipeline.incidents.records import AlertRecord, AnyCommand, Command, Record, Unreadable
from pipeline.incidents.rules import Rules
from pipeline.incidents.timers import Moment

_ENCODER = msgspec.json.Encoder()
_TOLD_ELSEWHERE = frozenset(Command.__struct_fields__)


class Outcome(Struct, frozen=True):
    """What one record leads to. `log_row` None: the record was read before, its row stands."""

    state: KeyState
    log_row: LogRow | None
    effects: tuple[Effect, ...] = ()


class _AlertDetail(Struct, omit_defaults=True):
    """What the log tells of an alert; all the rest stands in the alerts table under its id."""

    risk: int
    severity: str
    stage: str
    event_time_us: int
    topic: str
    incarnation: str
    partition: int
    offset: int
    digest: str
    seen: str = ""


def apply(state: KeyState, record: Record, position: Position, received_at_us: int, rules: Rules) -> Outcome:
    """The outcome of one record for its key; total."""
    if state.has_read(position):
        return Outcome(state, None)
    scene = Scene(state, position, Moment(received_at_us, cause_of(position), rules))
    decision = _decided(scene, record)
    command_id = str(record.command_id) if decision.is_remembered and isinstance(record, Command) else ""
    after = decision.after if decision.after is not decision.before else None
    changes = changes_of(decision.before, decision.after, decision.alert, command_id)
    row = _row(scene, record, decision, changes)
    moved = next_state(state, after, decision.alert, command_id)
    return Outcome(replace(moved, position=position), row, decision.effects)


def next_due_us(state: KeyState, rules: Rules) -> int:
    """When the key needs a `tick`, UTC microseconds; 0: never. Earlier ticks are harmless."""
    times = (due_us(one, rules.ask_again_us) for one in state.incidents)
    return min((one for one in times if one), default=0)


def _decided(scene: Scene, record: Record) -> Decision:
    if isinstance(record, AlertRecord):
        return take_alert(scene, record)
    if isinstance(record, Unreadable):
        return refused(record.code, None)
    return carry_out(scene, record)


def _row(scene: Scene, record: Record, decision: Decision, changes: str) -> LogRow:
    incident = decision.after or decision.before
    common: dict[str, Any] = {
        "position": scene.position, "received_at_us": scene.now.at_us, "changes": changes,
        "transition": decision.transition, "code": decision.code,
        "incident_id": incident.incident_id if incident else "",
        "state_before": decision.before.state if decision.before else "",
        "state_after": incident.state if incident else "",
        "incident_key": record.incident_key,
    }  # fmt: skip
    if isinstance(record, AlertRecord):
        return _alert_row(record, common)
    if isinstance(record, Unreadable):
        return LogRow(
            kind="unreadable", name="", tenant_id="", by="", at_us=0, why="", command_id="", alert_id="", detail="{}",
            **common,
        )  # fmt: skip
    return _command_row(record, common)


def _alert_row(alert: AlertRecord, common: dict[str, Any]) -> LogRow:
    detail = _AlertDetail(
        alert.risk_hundredths, alert.severity, alert.stage, alert.event_time_us, alert.topic, alert.incarnation,
        alert.partition, alert.offset, alert.digest, alert.seen_digest,
    )  # fmt: skip
    return LogRow(
        kind="alert", name=alert.detector, tenant_id=alert.tenant_id, by="", at_us=alert.event_time_us, why="",
        command_id="", alert_id=str(alert.alert_id), detail=_ENCODER.encode(detail).decode(), **common,
    )  # fmt: skip


def _command_row(command: AnyCommand, common: dict[str, Any]) -> LogRow:
    fields = msgspec.to_builtins(command)
    told = {name: value for name, value in fields.items() if name not in _TOLD_ELSEWHERE and name != "command"}
    return LogRow(
        kind="command", name=command.name, tenant_id=command.tenant_id, by=command.by, at_us=command.at_us,
        why=command.why, command_id=str(command.command_id), alert_id="",
        detail=msgspec.json.encode(told, order="sorted").decode(), **common,
    )  # fmt: skip
