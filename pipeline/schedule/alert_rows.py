"""Findings as rows of `alerts`, runs as rows of `scheduled_runs`.

An alert of a scheduled detector belongs to no batch (`batch_id` 0), so it may be written again: a later row of the same
alert replaces the one before. Event, time and actor are those of the window's most contributing event.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from detectors.scheduled.base import Finding, ScheduledDetector
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
from pipeline.columns import ALERT_COLUMNS, RUN_COLUMNS, ColumnSpec
from pipeline.events import SEVERITIES, codes
from pipeline.schedule.findings import alert_id
from pipeline.stages.decide import severity

if TYPE_CHECKING:
    from pipeline.schedule.runner import Versions

FINAL, PROVISIONAL = "final", "provisional"
_SEVERITY = codes(SEVERITIES)


def severity_of(finding: Finding) -> str:
    """low … critical."""
    return severity(finding.risk, finding.contributor.sensitivity, explained=False)


def reasons_of(finding: Finding, stage: str) -> tuple[str, ...]:
    """Reason codes of an alert row: a provisional one says so."""
    return (*finding.reasons, f"scheduled:{stage}") if stage != FINAL else finding.reasons


def numbers_of(finding: Finding) -> dict[str, float]:
    """The numbers that an alert row shows: those behind its words, and its window."""
    return {**finding.numbers, "window_start_us": finding.window_start_us, "window_end_us": finding.window_end_us}


def alert_rows(findings: Sequence[Finding], versions_id: bytes, stage: str, retention_class: str) -> ColumnBatch:
    """One row a finding."""
    names = Interner()
    seen = [sorted(numbers_of(one).items()) for one in findings]
    flat = [pair for pairs in seen for pair in pairs]
    reasons = [reasons_of(one, stage) for one in findings]
    values: dict[str, list[Any]] = {
        "alert_id": [uuid_bytes(alert_id(one)) for one in findings],
        "event_id": [uuid_bytes(uuid.UUID(one.contributor.event_id)) for one in findings],
        "actor_token": [bytes.fromhex(one.contributor.actor) for one in findings],
        "versions_id": [versions_id] * len(findings),
        "severity": [_SEVERITY[severity_of(one)] for one in findings],
        "risk": [one.risk for one in findings],
        "tenant_id": [one.tenant_id for one in findings],
        "detector": [one.detector for one in findings],
        "explanation_en": [one.explanation_en for one in findings],
        "explanation_zh": [one.explanation_zh for one in findings],
        "received_at": [one.contributor.received_at_us for one in findings],
        "event_time": [one.contributor.event_time_us for one in findings],
        "retention_class": [retention_class] * len(findings),
        **{name: [getattr(one.contributor, name) for one in findings]
           for name in ("topic", "incarnation", "partition", "offset")},
        **{name: [0] * len(findings) for name in ("batch_id", "batch_first_offset", "batch_last_offset")},
    }  # fmt: skip
    special: dict[str, Column] = {
        "reasons": ArrayColumn(
            np.cumsum([len(one) for one in reasons]),
            TextColumn(names.ids((code for one in reasons for code in one), sum(map(len, reasons))), names),
        ),
        "seen": MapColumn(
            np.cumsum([len(pairs) for pairs in seen]),
            TextColumn(names.ids((name for name, _ in flat), len(flat)), names),
            FixedColumn(np.array([value for _, value in flat], np.float64)),
        ),
    }
    return rows_of(ALERT_COLUMNS, values, special, len(findings))


@dataclass(frozen=True, slots=True)
class RunCounts:
    """What a run found: findings, alerts written, and findings kept from alerting by each exception's id."""

    findings: int = 0
    alerts: int = 0
    held_back: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the rows of one turn share. Times UTC microseconds."""

    topic: str
    runner: str
    versions: Versions
    mark_us: int
    started_us: int
    ended_us: int
    version: str


def run_row(
    detector: ScheduledDetector, slot: int, stage: str, result: str, code: str, counts: RunCounts, attempt: int,
    facts: RunFacts,
) -> ColumnBatch:  # fmt: skip
    """One run as a row."""
    start_us, end_us = detector.cadence.window(slot, facts.versions.zone)
    values: dict[str, Any] = {
        "slot": slot, "window_start": start_us, "window_end": end_us, "watermark": facts.mark_us,
        "started_at": facts.started_us, "attempt": attempt, "findings": counts.findings, "alerts": counts.alerts,
        "duration_ms": min(max(0, facts.ended_us - facts.started_us) // 1000, 2**32 - 1),
        "versions_id": facts.versions.versions_id, "topic": facts.topic, "detector": detector.name,
        "version": facts.version, "stage": stage, "result": result, "error": code, "runner": facts.runner,
    }  # fmt: skip
    names, held = Interner(), sorted(counts.held_back.items())
    special: dict[str, Column] = {
        "held_back": MapColumn(
            np.array([len(held)], np.int64),
            TextColumn(names.ids((name for name, _ in held), len(held)), names),
            FixedColumn(np.array([count for _, count in held], np.uint32)),
        )
    }
    return rows_of(RUN_COLUMNS, {name: [value] for name, value in values.items()}, special, 1)


def rows_of(
    specs: Sequence[ColumnSpec], values: Mapping[str, Sequence[Any]], special: Mapping[str, Column], count: int
) -> ColumnBatch:
    """Rows of a table from plain values by column; `special`: columns that are made already."""
    names = Interner()
    columns: dict[str, Column] = dict(special)
    for spec in specs:
        if spec.name in special:
            continue
        given = values[spec.name]
        if spec.kind == "text":
            columns[spec.name] = TextColumn(names.ids(given, count), names)
        elif spec.dtype.kind == "V":
            columns[spec.name] = FixedColumn(np.frombuffer(b"".join(given), spec.dtype))
        else:
            columns[spec.name] = FixedColumn(np.array(given, spec.dtype))
    return ColumnBatch(count, columns)
