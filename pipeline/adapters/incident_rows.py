"""Rows of incident handling and sending as the store has them: from our types to columns, and the log's rows back.

Place in the flow: under `incident_store.py`. What comes from other people's records may be anything: times are kept
within what the store can show (1900 to 2299), an id that is no UUID is none. Nothing that the engine folds is touched.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

from pipeline.column_batch import ColumnBatch, FixedColumn, Interner, MapColumn, TextColumn, uuid_bytes
from pipeline.columns import NO_TOKEN, TOKEN_BYTES, ColumnSpec
from pipeline.events import SEVERITIES, codes
from pipeline.incident_columns import DELIVERY_COLUMNS, HOLD_COLUMNS, INCIDENT_COLUMNS, INCIDENT_LOG_COLUMNS
from pipeline.incidents.effects import FreezeEvidence
from pipeline.incidents.model import LogRow, Position
from pipeline.notifications.policy import DeliveryRow
from pipeline.response.roles import Delivery, IncidentSnapshot
from pipeline.schedule.alert_rows import rows_of

_OLDEST_US, _NEWEST_US = -2_208_988_800_000_000, 10_413_791_999_999_999
_NO_ID = str(uuid.UUID(int=0))
_OFFSET_BITS, _MS_BITS = 22, 42
_SEVERITY_CODES = {**codes(SEVERITIES), "": 0}
_NAMES = {"received_at": "received_at_us", "at": "at_us", "created_at": "created_us", "not_before": "not_before_us"}
_NOT_OF_DELIVERY = (*Position.__struct_fields__, "tenant_id", "incident_id", "severity")
DELIVERY_FIELDS = tuple(spec for spec in DELIVERY_COLUMNS if spec.name not in _NOT_OF_DELIVERY)
"""The columns of `deliveries` that a `DeliveryRow` is made of."""


def selected(specs: Sequence[ColumnSpec]) -> str:
    """The columns as Python can take them all: times as microseconds, ids as text."""
    return ", ".join(map(_selected, specs))


def _selected(spec: ColumnSpec) -> str:
    if spec.type.startswith("DateTime64"):
        return f"toUnixTimestamp64Micro(`{spec.name}`)"
    if spec.type == "UUID" or spec.type.startswith("Enum8"):
        return f"toString(`{spec.name}`)"
    return f"hex(`{spec.name}`)" if spec.type.startswith("FixedString") else f"`{spec.name}`"


def time_us(given_us: int) -> int:
    """A time within what the store can show."""
    return min(max(given_us, _OLDEST_US), _NEWEST_US)


def id_text(stored: str) -> str:
    """A stored id; "" where there is none."""
    return "" if stored == _NO_ID else stored


def _id(text: str) -> bytes:
    try:
        return uuid_bytes(uuid.UUID(text)) if text else NO_TOKEN
    except ValueError:
        return NO_TOKEN


def token(text: str) -> bytes:
    """A pseudonym of its hex digits; zero where it is none."""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        return NO_TOKEN
    return raw if len(raw) == TOKEN_BYTES else NO_TOKEN


# -- the log


def as_stored(row: LogRow) -> LogRow:
    """The row as it is read back."""
    return replace(
        row, received_at_us=time_us(row.received_at_us), at_us=time_us(row.at_us),
        **{name: id_text(getattr(row, name)) for name in ("incident_id", "command_id", "alert_id")},
    )  # fmt: skip


def log_columns(rows: Sequence[LogRow], writer: str) -> ColumnBatch:
    """Rows of `incident_log`."""
    values: dict[str, list[Any]] = {"writer": [writer] * len(rows)}
    for spec in INCIDENT_LOG_COLUMNS[:-1]:
        if spec.name in Position.__struct_fields__:
            values[spec.name] = [getattr(row.position, spec.name) for row in rows]
        else:
            values[spec.name] = [_plain(spec, row) for row in rows]
    return rows_of(INCIDENT_LOG_COLUMNS, values, {}, len(rows))


def log_row(stored: Sequence[Any]) -> tuple[LogRow, str]:
    """A row of `selected(INCIDENT_LOG_COLUMNS)`, and who wrote it."""
    *position, received_us, tenant, key, incident, kind, name, transition, code, before, after, by, at_us, why = stored[
        :17
    ]
    command, alert, changes, detail, writer = stored[17:]
    row = LogRow(
        position=Position(*position), received_at_us=received_us, tenant_id=tenant, incident_key=key,
        incident_id=id_text(incident), kind=kind, name=name, transition=transition, code=code, state_before=before,
        state_after=after, by=by, at_us=at_us, why=why, command_id=id_text(command), alert_id=id_text(alert),
        changes=changes, detail=detail,
    )  # fmt: skip
    return row, writer


def _plain(spec: ColumnSpec, of: LogRow | DeliveryRow) -> Any:  # noqa: ANN401  text, number or bytes
    value = getattr(of, _NAMES.get(spec.name, spec.name))
    if spec.name in _NAMES:
        return time_us(value)
    return _id(value) if spec.type == "UUID" else value


# -- incidents and holds


def incident_columns(snapshots: Sequence[IncidentSnapshot]) -> ColumnBatch:
    """Rows of `incidents`, at least one."""
    rows = [_incident_values(one) for one in snapshots]
    names = Interner()
    parts = [(name, part.risk) for one in snapshots for name, part in sorted(one.incident.detectors.items())]
    detectors = MapColumn(
        np.cumsum([len(one.incident.detectors) for one in snapshots]),
        TextColumn(names.ids((name for name, _ in parts), len(parts)), names),
        FixedColumn(np.array([risk for _, risk in parts], np.uint32)),
    )
    values = {name: [row[name] for row in rows] for name in rows[0]}
    return rows_of(INCIDENT_COLUMNS, values, {"detectors": detectors}, len(rows))


def _incident_values(snapshot: IncidentSnapshot) -> dict[str, Any]:
    one, position = snapshot.incident, snapshot.position
    ms = min(max(snapshot.received_at_us, 0) // 1000, (1 << _MS_BITS) - 1)
    plain = (
        "tenant_id", "incident_key", "state", "risk", "alerts", "withdrawn", "explanation_en", "explanation_zh",
        "acknowledged_by", "assignee", "resolved_by", "verdict", "reopened", "comments",
    )  # fmt: skip
    times = {
        "opened_at": one.opened_us, "first_event_time": one.first_event_us, "last_event_time": one.last_event_us,
        "changed_at": one.changed_us, "acknowledged_at": one.acknowledged_us, "resolved_at": one.resolved_us,
        "breach_since": one.breach.since_us if one.breach else 0,
    }  # fmt: skip
    return {
        **{name: getattr(one, name) for name in plain},
        **{name: time_us(at_us) for name, at_us in times.items()},
        **{name: getattr(position, name) for name in Position.__struct_fields__},
        "incident_id": _id(one.incident_id), "gravest_alert_id": _id(one.gravest_alert_id),
        "merged_into": _id(one.merged_into), "actor_token": token(one.actor_token),
        "severity": _SEVERITY_CODES[one.severity], "layer": one.timers.layer,
        "version": ms << _OFFSET_BITS | position.offset & (1 << _OFFSET_BITS) - 1,
    }  # fmt: skip


def incident_shown(snapshot: IncidentSnapshot) -> dict[str, Any]:
    """The row of `incidents` that a snapshot makes, as `selected(INCIDENT_COLUMNS)` shows it."""
    values, one = _incident_values(snapshot), snapshot.incident
    words = {code: word for word, code in codes(SEVERITIES).items()}
    ids = {name: _id_shown(getattr(one, name)) for name in ("incident_id", "gravest_alert_id", "merged_into")}
    return {
        **values, **ids, "severity": words.get(values["severity"], ""),
        "actor_token": values["actor_token"].hex().upper(),
        "detectors": {name: part.risk for name, part in one.detectors.items()},
    }  # fmt: skip


def _id_shown(text: str) -> str:
    try:
        return str(uuid.UUID(text)) if text else _NO_ID
    except ValueError:
        return _NO_ID


def hold_columns(holds: Sequence[FreezeEvidence]) -> ColumnBatch:
    """Rows of `evidence_holds`."""
    incidents = [one.incident for one in holds]
    values: dict[str, list[Any]] = {
        "tenant_id": [one.tenant_id for one in incidents],
        "incident_id": [_id(one.incident_id) for one in incidents],
        "incident_key": [one.incident_key for one in incidents],
        "actor_token": [token(one.actor_token) for one in incidents],
        "first_event_time": [time_us(one.first_event_us) for one in incidents],
        "since": [time_us(one.breach.since_us if one.breach else one.changed_us) for one in incidents],
        "known_at": [time_us(one.known_at_us) for one in holds],
        "by": [one.by for one in holds],
    }
    return rows_of(HOLD_COLUMNS, values, {}, len(holds))


# -- deliveries


def delivery_columns(deliveries: Sequence[Delivery]) -> ColumnBatch:
    """Rows of `deliveries`."""
    told = [one.notification for one in deliveries]
    values: dict[str, list[Any]] = {
        "tenant_id": [one.tenant_id if one else "" for one in told],
        "incident_id": [_id(one.incident_id if one else "") for one in told],
        "severity": [_SEVERITY_CODES[one.severity if one else ""] for one in told],
        **{name: [getattr(one.position, name) for one in deliveries] for name in Position.__struct_fields__},
    }
    for spec in DELIVERY_COLUMNS:
        if spec.name not in values:
            values[spec.name] = [_plain(spec, one.row) for one in deliveries]
    return rows_of(DELIVERY_COLUMNS, values, {}, len(deliveries))


def delivery_row(stored: Sequence[Any]) -> DeliveryRow:
    """A row of `selected(DELIVERY_FIELDS)`."""
    values = {_NAMES.get(spec.name, spec.name): value for spec, value in zip(DELIVERY_FIELDS, stored, strict=True)}
    return DeliveryRow(**values)
