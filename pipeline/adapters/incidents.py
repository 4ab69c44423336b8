"""Hands alerts to incident handling: one JSON record an alert to the topic `access.incidents`, acknowledged.

Key = incident key (tenant and the actor's canonical token), so that one key's alerts and commands stay in one order and
a rotation of the token key parts no incident in two. Bodies hold tokens and numbers, never identities.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast
from uuid import UUID

from detectors.scheduled.base import Finding
from pipeline.column_batch import ColumnBatch
from pipeline.events import Alert, LogPosition
from pipeline.incidents.records import WITHDRAWN, AlertRecord, Explanation, Severity, encode_alert, seen_digest
from pipeline.schedule.alert_rows import numbers_of, reasons_of, severity_of
from pipeline.schedule.runner import HandledAlert


class Producer(Protocol):
    """What is used of the Kafka producer."""

    def send(self, key: bytes, value: bytes) -> None:
        """Queues one record."""
        ...

    def flush(self) -> None:
        """Returns when everything is acknowledged. Raises: Away."""
        ...


class IncidentPublisher:
    """The role `AlertPublisher` over a producer."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    def publish(self, position: LogPosition, alerts: Sequence[Alert], rows: ColumnBatch) -> None:
        """Returns when every alert is acknowledged. Raises: Away: send all of them again."""
        offsets, times = rows.fixed("offset"), rows.fixed("event_time")
        for alert in alerts:
            actor = alert.actor.hex()
            self._send(
                AlertRecord(
                    alert_id=UUID(alert.alert_id), tenant_id=alert.tenant_id,
                    incident_key=f"{alert.tenant_id}:{actor}", topic=position.topic, incarnation=position.incarnation,
                    partition=position.partition, offset=int(offsets[alert.row]),
                    event_time_us=int(times[alert.row]), actor_token=actor, detector=alert.detector,
                    risk=alert.risk / 100, severity=cast(Severity, alert.severity), reasons=tuple(alert.reasons),
                    explanation=Explanation(alert.explanation_en, alert.explanation_zh),
                    seen_digest=seen_digest(alert.seen),
                )
            )  # fmt: skip
        self._producer.flush()

    def publish_findings(self, findings: Sequence[tuple[str, str, Finding]], stage: str) -> None:
        """The same for scheduled detectors: (alert id, incident key, finding). `stage`: provisional or final.

        A finding that changed is sent again under the same alert id.
        """
        for alert_id, key, finding in findings:
            event = finding.contributor
            self._send(
                AlertRecord(
                    alert_id=UUID(alert_id), tenant_id=finding.tenant_id, incident_key=key, topic=event.topic,
                    incarnation=event.incarnation, partition=event.partition, offset=event.offset,
                    event_time_us=event.event_time_us, actor_token=event.actor, detector=finding.detector,
                    risk=finding.risk / 100, severity=cast(Severity, severity_of(finding)),
                    reasons=reasons_of(finding, stage),
                    explanation=Explanation(finding.explanation_en, finding.explanation_zh),
                    window_start_us=finding.window_start_us, window_end_us=finding.window_end_us, stage=stage,
                    seen_digest=seen_digest(numbers_of(finding)),
                )
            )  # fmt: skip
        self._producer.flush()

    def publish_withdrawn(self, alerts: Sequence[HandledAlert]) -> None:
        """Alerts that later events took back: the same ids again, at the stage `withdrawn`, as their rows will stand.

        Raises: Away.
        """
        for alert in alerts:
            self._send(
                AlertRecord(
                    alert_id=UUID(alert.alert_id), tenant_id=alert.tenant_id, incident_key=alert.incident_key,
                    topic=alert.position.topic, incarnation=alert.position.incarnation,
                    partition=alert.position.partition, offset=alert.offset, event_time_us=alert.event_time_us,
                    actor_token=alert.actor_token, detector=alert.detector, risk=0.0, severity="low",
                    reasons=alert.reasons, explanation=Explanation(alert.explanation_en, alert.explanation_zh),
                    stage=WITHDRAWN, seen_digest=seen_digest(alert.seen),
                )
            )  # fmt: skip
        self._producer.flush()

    def _send(self, alert: AlertRecord) -> None:
        self._producer.send(alert.incident_key.encode(), encode_alert(alert))
