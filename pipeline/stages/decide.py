"""Decide: which judged events become alerts, and what each alert says.

Place in the flow: after `hold_back`. Alert ids are functions of (incarnation, partition, offset, detector), so a replay
repeats and never adds. Severity comes from the risk of the graver cause, the model or a rule, from sensitivity and
whether a work item explains the access; that both agree makes an alert surer, not graver.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from detectors.base import MODEL_DETECTOR, Assessment, Detector, EventArrays
from detectors.explain import Context, explain
from detectors.features import NAMES
from detectors.model import Model
from detectors.policy import Policy, fire
from detectors.profile import Profiles
from pipeline.column_batch import (
    ArrayColumn,
    ColumnBatch,
    FixedColumn,
    Interner,
    MapColumn,
    TextColumn,
    take_rows,
    uuid_bytes,
)
from pipeline.columns import TOKEN_BYTES
from pipeline.events import EXPLAINED, SEVERITIES, Alert, codes

ALERT_NAMESPACE = uuid.UUID("5c8f3a52-7a0e-5d8e-9f43-3a3c5f0d7c11")
_EXPLAINED = codes(EXPLAINED)["explained"]
_SEVERITY = codes(SEVERITIES)
TOLD_COLUMNS = ("tenant_id", "topic", "incarnation", "partition", "offset")
"""What `tell` reads of the columns."""
_EVENT_COLUMNS = (
    "partition", "offset", "received_at", "event_time", "event_id", "actor_token", "tenant_id", "topic", "incarnation",
    "reasons", "risk",
)  # fmt: skip


def decide(
    columns: ColumnBatch,
    events: EventArrays,
    assessment: Assessment,
    profiles: Profiles,
    policy: Policy,
    model: Model | None,
    rules: Sequence[Detector],
) -> list[Alert]:
    """The batch's alerts in log order; the position columns must be filled."""
    return tell(fire(events, assessment, profiles, policy), columns, events, assessment, model, rules)


def tell(
    rows: npt.NDArray[np.int64],
    columns: ColumnBatch,
    events: EventArrays,
    assessment: Assessment,
    model: Model | None,
    rules: Sequence[Detector],
) -> list[Alert]:
    """The alerts of these rows, in their order: second half of `decide`."""
    if not len(rows):
        return []
    words = {code: reason for rule in rules for code, reason in rule.reasons.items()}
    context = Context(model, words)
    return [_alert(int(row), columns, events, assessment, context) for row in rows]


def _alert(row: int, columns: ColumnBatch, events: EventArrays, assessment: Assessment, context: Context) -> Alert:
    indexes = assessment.told(row)
    reasons = tuple(assessment.reason_codes[index] for index in indexes)
    leading = reasons[0] if reasons else ""
    detector = leading.removeprefix("rule:") if leading.startswith("rule:") else MODEL_DETECTOR
    explanation = explain(row, events, assessment, context)
    seen = {NAMES[index]: float(assessment.features[row, index]) for index in indexes if index < len(NAMES)}
    risk, grave = assessment.told_risk(row), assessment.gravest(row)
    return Alert(
        alert_id=str(alert_id(columns, row, detector)),
        tenant_id=_text(columns, "tenant_id", row),
        row=row,
        detector=detector,
        risk=risk,
        severity=severity(grave, int(events.sensitivity[row]), explained=int(events.explained[row]) == _EXPLAINED),
        reasons=reasons,
        explanation_en=explanation.text.en,
        explanation_zh=explanation.text.zh,
        seen={**seen, **explanation.numbers},
        actor=events.actor_keys[row][-TOKEN_BYTES:],
    )


def alert_id(columns: ColumnBatch, row: int, detector: str) -> uuid.UUID:
    """The id of the alert that `detector` raises at the event's position."""
    place = ":".join(
        (
            _text(columns, "topic", row),
            _text(columns, "incarnation", row),
            str(int(columns.fixed("partition")[row])),
            str(int(columns.fixed("offset")[row])),
            detector,
        )
    )
    return uuid.uuid5(ALERT_NAMESPACE, place)


def severity(risk: int, sensitivity: int, *, explained: bool) -> str:
    """low … critical from risk (hundredths), one step up for sensitive data, one down where work explains it."""
    level = 1 + (risk >= 7000) + (risk >= 8500) + (risk >= 9800)
    level += (sensitivity >= 4) - explained
    return SEVERITIES[min(max(level, 1), len(SEVERITIES)) - 1]


def _text(columns: ColumnBatch, name: str, row: int) -> str:
    column = columns.text(name)
    return column.interner.texts[int(column.ids[row])]


def alert_columns(alerts: Sequence[Alert], columns: ColumnBatch) -> ColumnBatch:
    """Rows of the alerts table; what they share with their events is taken from there."""
    count = len(alerts)
    wanted = {name: columns.columns[name] for name in (*_EVENT_COLUMNS, "versions_id")}
    rows = take_rows(ColumnBatch(columns.count, wanted), np.array([alert.row for alert in alerts], np.int64))
    texts = Interner()
    ids = b"".join(uuid_bytes(uuid.UUID(alert.alert_id)) for alert in alerts)
    seen = [sorted(alert.seen.items()) for alert in alerts]
    flat = [pair for pairs in seen for pair in pairs]
    reasons = [alert.reasons for alert in alerts]
    rows.columns.update(
        {
            "alert_id": FixedColumn(np.frombuffer(ids, "V16")),
            "risk": FixedColumn(np.array([alert.risk for alert in alerts], np.uint16)),
            "severity": FixedColumn(np.array([_SEVERITY[alert.severity] for alert in alerts], np.int8)),
            "detector": TextColumn(texts.ids((alert.detector for alert in alerts), count), texts),
            "explanation_en": TextColumn(texts.ids((alert.explanation_en for alert in alerts), count), texts),
            "explanation_zh": TextColumn(texts.ids((alert.explanation_zh for alert in alerts), count), texts),
            "reasons": ArrayColumn(
                np.cumsum([len(one) for one in reasons]),
                TextColumn(texts.ids((code for one in reasons for code in one), sum(map(len, reasons))), texts),
            ),
            "seen": MapColumn(
                np.cumsum([len(pairs) for pairs in seen]),
                TextColumn(texts.ids((name for name, _ in flat), len(flat)), texts),
                FixedColumn(np.array([value for _, value in flat], np.float64)),
            ),
        }
    )
    return rows
