"""The system's own alarms as alerts: no event raised them, so they belong to no batch (`batch_id` 0).

Place in the flow: written when a version set without a usable model is taken up, when changed files cannot be taken up
(`version_sets/activator.py`), when a recovery lost something (`partition/worker.py`), when a partition stopped or a
dependency is away (`findings.py`); shown by `accesstrail alerts` like any other alert, detector `system:<code>`.
Words: `troubles.py`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from pipeline.column_batch import (
    ArrayColumn,
    Column,
    ColumnBatch,
    FixedColumn,
    Interner,
    MapColumn,
    TextColumn,
    uuid_bytes,
)
from pipeline.columns import ALERT_COLUMNS, ColumnSpec
from pipeline.events import SEVERITIES, LogPosition, codes
from pipeline.health.troubles import explain

_NAMESPACE = uuid.UUID("7d1f5b0e-0f0c-5b6a-8d55-9a3e4f1c2b90")
_HIGH = codes(SEVERITIES)["high"]
_SAME_OUTAGE_US = 300_000_000


@dataclass(frozen=True, slots=True)
class AlarmPlace:
    """The partition an alarm speaks of, and its newest sealed offset (-1: none)."""

    position: LogPosition
    sealed_offset: int


def alarm_row(
    code: str, versions_id: bytes, at_us: int, retention_class: str, tenant_id: str = "default"
) -> ColumnBatch:
    """One alarm as a row of `alerts`; the same code under the same version set is the same alert."""
    identity = uuid.uuid5(_NAMESPACE, f"{tenant_id}:{code}:{versions_id.hex()}")
    trouble = explain(code)
    words = {"tenant_id": tenant_id, "explanation_en": trouble.english, "explanation_zh": trouble.chinese}
    return _row(code, identity, {**words, "retention_class": retention_class}, _numbers(at_us), versions_id)


def partition_alarm(
    code: str, place: AlarmPlace, versions_id: bytes, at_us: int, retention_class: str, tenant_id: str = "default"
) -> tuple[ColumnBatch, str]:
    """An alarm about one partition, and the token of its insert; the same code at the same place is the same alert."""
    position = place.position
    where = f"{position.topic}:{position.incarnation}:{position.partition}:{place.sealed_offset}"
    identity = uuid.uuid5(_NAMESPACE, f"{tenant_id}:{code}:{where}")
    trouble = explain(code)
    words = {
        "tenant_id": tenant_id,
        "topic": position.topic,
        "incarnation": position.incarnation,
        "explanation_en": f"Partition {position.partition} of {position.topic}: {trouble.english}",
        "explanation_zh": f"{position.topic} 的分区 {position.partition}：{trouble.chinese}",
        "retention_class": retention_class,
    }
    numbers = {**_numbers(at_us), "partition": position.partition, "offset": max(0, place.sealed_offset)}
    return _row(code, identity, words, numbers, versions_id), f"alarm:{code}:{where}"


def away_alarm(
    code: str, since_us: int, until_us: int | None, retention_class: str, tenant_id: str = "default"
) -> tuple[ColumnBatch, str]:
    """A dependency that is or was away, and the token of its insert; the row of its end replaces that of its begin.

    Several workers see one outage: whoever notices it in the same five minutes writes the same alert.
    """
    identity = uuid.uuid5(_NAMESPACE, f"{tenant_id}:{code}:{since_us // _SAME_OUTAGE_US}")
    trouble = explain(code)
    since = _time_text(since_us)
    if until_us is None:
        english, chinese = f"Since {since}: ", f"自 {since} 起："
    else:
        until = _time_text(until_us)
        english, chinese = f"From {since} until {until}: ", f"{since} 至 {until}："
    words = {
        "tenant_id": tenant_id,
        "explanation_en": english + trouble.english,
        "explanation_zh": chinese + trouble.chinese,
        "retention_class": retention_class,
    }
    token = f"alarm:{code}:{since_us}:{until_us or 0}"
    return _row(code, identity, words, _numbers(since_us), bytes(32)), token


def _numbers(at_us: int) -> dict[str, int]:
    return {"received_at": at_us, "event_time": at_us, "risk": 10_000, "severity": _HIGH}


def _time_text(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="seconds")


def _row(
    code: str, identity: uuid.UUID, words: Mapping[str, str], numbers: Mapping[str, int], versions_id: bytes
) -> ColumnBatch:
    texts = Interner()
    words = {**words, "detector": f"system:{code}"}
    hashes = {"alert_id": uuid_bytes(identity), "versions_id": versions_id}
    columns: dict[str, Column] = {}
    for spec in ALERT_COLUMNS:
        if spec.name == "seen":
            nothing = TextColumn(np.zeros(0, np.int32), texts)
            columns[spec.name] = MapColumn(np.zeros(1, np.int64), nothing, FixedColumn(np.zeros(0)))
        elif spec.name == "reasons":
            reason = TextColumn(np.array([texts[f"system:{code}"]], np.int32), texts)
            columns[spec.name] = ArrayColumn(np.ones(1, np.int64), reason)
        elif spec.kind == "text":
            columns[spec.name] = TextColumn(np.array([texts[words.get(spec.name, "")]], np.int32), texts)
        elif spec.name in hashes:
            columns[spec.name] = FixedColumn(np.array([np.void(hashes[spec.name])]))
        else:
            columns[spec.name] = FixedColumn(_number(numbers.get(spec.name, 0), spec))
    return ColumnBatch(1, columns)


def _number(value: int, spec: ColumnSpec) -> npt.NDArray[np.generic]:
    return np.zeros(1, spec.dtype) if spec.dtype.kind == "V" else np.array([value], spec.dtype)
