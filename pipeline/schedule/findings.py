"""From windows to alerts: what a detector is asked, what repeats, and what an alert of a finding is called.

Place in the flow: beside it, over sealed rows. Live, `runner.py` asks ClickHouse window by window; offline,
`simulated.py` asks the embedded engine for all windows of the input at once. The same SQL, the same verdicts.

A key that raised an alert stays silent for its detector's quiet time, unless its risk rises by `RISE`: findings of
neighbouring windows tell of one thing. Alert ids are functions of (detector, tenant, key, window).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np

from detectors.scheduled.base import DAY_US, Finding, ScheduledDetector, Value
from pipeline.column_batch import ColumnBatch, FixedColumn, Interner, TextColumn
from pipeline.directory import DirectorySnapshot
from pipeline.directory.work_items import STILL_OPEN, WorkItems
from pipeline.stages.decide import ALERT_NAMESPACE

RISE = 1500
_NO_END_US = 4_102_444_800_000_000
_FIRST_DAY, _LAST_DAY = -1_000_000, 1_000_000


class QueryEngine(Protocol):
    """Whatever runs a detector's SQL."""

    def rows(self, sql: str, parameters: Mapping[str, Value]) -> list[dict[str, Any]]:
        """The rows by column name; the engine reads each parameter as the type that the SQL names."""
        ...


@dataclass(frozen=True, slots=True)
class Slots:
    """Slots of one detector, both ends included, and when what counts for them was received at the latest.

    `until_us`: where the last slot is not over yet, how far events are looked at.
    """

    first: int
    last: int
    received_before_us: int = _NO_END_US
    until_us: int = _NO_END_US


def find(
    engine: QueryEngine, detector: ScheduledDetector, slots: Slots, directory: DirectorySnapshot, zone: ZoneInfo
) -> list[Finding]:
    """The findings of one detector in these slots, by slot and key; repetitions not yet silenced."""
    return detector.findings(engine.rows(detector.sql, parameters(detector, slots, directory, zone)), zone)


def parameters(
    detector: ScheduledDetector, slots: Slots, directory: DirectorySnapshot, zone: ZoneInfo
) -> dict[str, Value]:
    """Every typed parameter of a detector's SQL; times as texts."""
    cadence = detector.cadence
    since_us = cadence.start_us(slots.first, zone) - (cadence.history_days + 1) * DAY_US
    given: dict[str, Value] = {
        "first_slot": slots.first,
        "last_slot": slots.last,
        "zone": zone.key,
        "since": time_text(since_us),
        "until": time_text(min(cadence.start_us(slots.last + 1, zone), slots.until_us)),
        "received_before": time_text(slots.received_before_us),
    }
    known = _directory_values(directory)
    given.update({one.name: known[one.name] for one in detector.parameters})
    return given


def _directory_values(directory: DirectorySnapshot) -> dict[str, Sequence[str] | Sequence[int]]:
    """What the directory says, as arrays: one element a contract, one a source."""
    partners, sources = directory.partners, directory.sources
    return {
        "orgs": [row.org for row in partners],
        "limits": [-1 if row.daily_subject_limit is None else row.daily_subject_limit for row in partners],
        "resource_types": [";".join(sorted(row.resource_types)) for row in partners],
        "purposes": [";".join(sorted(row.purposes)) for row in partners],
        "valid_from": [_FIRST_DAY if row.valid_from is None else row.valid_from for row in partners],
        "valid_to": [_LAST_DAY if row.valid_to is None else row.valid_to for row in partners],
        "sources": [f"{row.source_system}/{row.source_instance}" for row in sources],
        "silences": [row.max_silence_s for row in sources],
    }


def time_text(at_us: int) -> str:
    """A time as the engine reads it, UTC."""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S") + f".{at_us % 1_000_000:06d}"


def alert_id(finding: Finding) -> uuid.UUID:
    """The id of a finding's alert: the same finding again, or a later version of it, is the same alert."""
    return window_alert_id(
        finding.detector, finding.tenant_id, finding.key, finding.window_start_us, finding.window_end_us
    )


def window_alert_id(detector: str, tenant_id: str, key: str, start_us: int, end_us: int) -> uuid.UUID:
    """The id of the alert about a key in a window."""
    return uuid.uuid5(ALERT_NAMESPACE, f"scheduled:{detector}:{tenant_id}:{start_us}-{end_us}:{key}")


def incident_key(finding: Finding, detector: ScheduledDetector) -> str:
    """The key under which incident handling keeps a finding: the actor where the detector's state is one's."""
    if detector.state_key == "actor":
        return f"{finding.tenant_id}:{finding.key}"
    return f"{finding.tenant_id}:{detector.state_key}:{finding.key}"


def repeats(finding: Finding, before: Finding | None, quiet_slots: int) -> bool:
    """Whether a finding tells again what the alert before it about the same key told."""
    return before is not None and finding.slot <= before.slot + quiet_slots and finding.risk < before.risk + RISE


def fired(findings: Iterable[Finding], quiet_slots: int) -> list[Finding]:
    """Which findings of one detector, in slot order, raise an alert: those that tell something new."""
    kept: list[Finding] = []
    last: dict[tuple[str, str], Finding] = {}
    for one in findings:
        key = (one.tenant_id, one.key)
        if not repeats(one, last.get(key), quiet_slots):
            kept.append(one)
            last[key] = one
    return kept


def work_item_rows(items: WorkItems, tenant_id: str) -> ColumnBatch:
    """Work items as rows of `work_items`."""
    count, names = len(items), Interner()
    return ColumnBatch(
        count,
        {
            "tenant_id": TextColumn(np.full(count, names[tenant_id], np.int32), names),
            "case_token": FixedColumn(items.cases),
            "actor_token": FixedColumn(items.actors),
            "subject_token": FixedColumn(items.subjects),
            "opened_at": FixedColumn(items.opened_us),
            "closed_at": FixedColumn(np.where(items.closed_us == STILL_OPEN, _NO_END_US, items.closed_us)),
            "kind": TextColumn(names.ids(items.kinds, count), names),
        },
    )
