"""Incidents, alerts, rows of the log and messages as plain values: what `--json` and the export of a timeline say.

Place in the flow: below `incidents.py` and `incident_breach.py`. Times are ISO 8601 in UTC, null where there is none
yet; risks 0–100.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from pipeline.audit.incidents import AlertView, IncidentStatistics, IncidentView, TimelineEntry
from pipeline.cli.table import moment_of
from pipeline.notifications.policy import DeliveryRow

Row = dict[str, Any]
_TIMES = (
    "opened_us", "first_event_us", "last_event_us", "changed_us", "acknowledged_us", "resolved_us", "breach_since_us",
)  # fmt: skip
_AS_THEY_ARE = (
    "tenant_id", "actor_token", "assignee", "acknowledged_by", "resolved_by", "verdict", "reopened", "comments",
    "merged_into", "layer", "explanation_en", "explanation_zh",
)  # fmt: skip


def moment_or_none(at_us: int) -> str | None:
    """A time, null where it has not come."""
    return moment_of(at_us) if at_us else None


def plain_incident(one: IncidentView) -> Row:
    """`incident_id`, `state`, `severity`, `key` and `alerts` are relied on by outsiders."""
    row: Row = {
        "incident_id": one.incident_id, "state": one.state, "severity": one.severity, "key": one.incident_key,
        "risk": one.risk / 100, "alerts": one.alerts, "withdrawn": one.withdrawn,
        "detectors": {name: risk / 100 for name, risk in sorted(one.detectors.items())},
    }  # fmt: skip
    row |= {name.removesuffix("_us"): moment_or_none(getattr(one, name)) for name in _TIMES}
    return row | {name: getattr(one, name) for name in _AS_THEY_ARE}


def plain_alert(alert: AlertView) -> Row:
    """One alert and the event that raised it."""
    return {
        "alert_id": alert.alert_id, "event_id": alert.event_id, "event_time": moment_of(alert.event_time_us),
        "detector": alert.detector, "risk": alert.risk / 100, "severity": alert.severity,
        "reasons": list(alert.reasons), "explanation_en": alert.explanation_en, "explanation_zh": alert.explanation_zh,
    }  # fmt: skip


def plain_entry(entry: TimelineEntry) -> Row:
    """One row of the log, everything of it."""
    return {
        "at": moment_of(entry.at_us), "at_us": entry.at_us, "sent": moment_or_none(entry.sent_us), "kind": entry.kind,
        "name": entry.name, "transition": entry.transition, "code": entry.code, "state_before": entry.state_before,
        "state_after": entry.state_after, "by": entry.by, "why": entry.why, "command_id": entry.command_id,
        "alert_id": entry.alert_id, "detail": detail_of(entry),
    }  # fmt: skip


def detail_of(entry: TimelineEntry) -> Row:
    """What else the record says."""
    found: Row = json.loads(entry.detail or "{}")
    return found


def plain_delivery(row: DeliveryRow) -> Row:
    """One attempt to tell somebody."""
    return {
        "at": moment_of(row.at_us), "channel": row.channel, "action": row.action, "attempt": row.attempt,
        "outcome": row.outcome, "code": row.code, "http_status": row.http_status,
        "notification_id": row.notification_id,
    }  # fmt: skip


def plain_statistics(found: IncidentStatistics) -> Row:
    """A period in numbers."""
    return {
        "days": round(found.days, 3), "alerts": found.alerts, "alerts_a_day": round(found.alerts_a_day, 2),
        "opened": found.opened,
        "detectors": {name: {**asdict(one), "precision": one.precision} for name, one in found.detectors.items()},
        "to_acknowledge": asdict(found.to_acknowledge), "to_resolve": asdict(found.to_resolve),
        "channels": {name: asdict(one) for name, one in found.channels.items()},
    }  # fmt: skip
