"""Incidents for tests of commands: the engine itself behind a fake store and a fake topic, no server.

What a command sends is handled by `tests/incident_logs.World` as soon as it is acknowledged, or never (`is_idle`).
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.breach_counts import AlertPlace, IncidentEvidence, KnownIncident, Scope, SubjectCounts
from pipeline.adapters.incident_reading import IncidentReader
from pipeline.audit.incidents import (
    AlertView,
    Arrivals,
    CommandOutcome,
    Durations,
    EvidenceRow,
    IncidentFilter,
    IncidentPlace,
    IncidentStatistics,
    IncidentView,
    TimelineEntry,
    Verdicts,
)
from pipeline.breach.model import Counted
from pipeline.breach.record import Period
from pipeline.cli import incident_desk, main
from pipeline.errors import Away
from pipeline.events import SEVERITIES
from pipeline.incidents.model import Incident, LogRow
from pipeline.incidents.records import AlertRecord, AnyCommand, parse_record
from pipeline.notifications.policy import DeliveryRow
from tests.accounts import token_file
from tests.incident_logs import START_US, World, alert
from tests.looks import FakeKafka, Looked, told_to
from tests.unit.versions.deployment import Deployment


def view(one: Incident) -> IncidentView:
    """An incident as the store shows it."""
    same = {
        name: getattr(one, name) for name in IncidentView.__dataclass_fields__ if name in Incident.__struct_fields__
    }  # fmt: skip
    return IncidentView(
        **same | {
            "detectors": {name: part.risk for name, part in one.detectors.items()}, "alerts": one.alerts,
            "merged_into": one.merged_into, "breach_since_us": one.breach.since_us if one.breach else 0,
            "layer": one.timers.layer,
        }
    )  # fmt: skip


def entry(row: LogRow) -> TimelineEntry:
    """A row of the log as the store shows it."""
    names = set(TimelineEntry.__dataclass_fields__) - {"at_us", "sent_us"}
    return TimelineEntry(at_us=row.received_at_us, sent_us=row.at_us, **{name: getattr(row, name) for name in names})


class Reader(IncidentReader):
    """The world's state and log."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.events: list[EvidenceRow] = []
        self.seen: dict[str, float] = {}

    def close(self) -> None:
        pass

    def _all(self) -> list[IncidentView]:
        return [view(one) for state in self.world.states.values() for one in state.incidents]

    def listed(
        self, states: Sequence[str] = (), severities: Sequence[str] = (), limit: int = 50, tenant: str = ""
    ) -> Sequence[IncidentView]:
        found = [
            one for one in self._all()
            if (not states or one.state in states) and (not severities or one.severity in severities)
        ]  # fmt: skip
        return found[:limit]

    def page(self, wanted: IncidentFilter, after: IncidentPlace | None, limit: int) -> Sequence[IncidentView]:
        def place(one: IncidentView) -> tuple[int, int, str]:
            return -SEVERITIES.index(one.severity), -one.opened_us, one.incident_id

        found = [
            one for one in self._all()
            if (not wanted.states or one.state in wanted.states)
            and (not wanted.severities or one.severity in wanted.severities)
            and (not wanted.handler or wanted.handler in (one.assignee, one.acknowledged_by))
        ]  # fmt: skip
        last = (-SEVERITIES.index(after.severity), -after.opened_us, after.incident_id) if after else None
        return sorted((one for one in found if last is None or place(one) > last), key=place)[:limit]

    def open_counts(self) -> Mapping[tuple[str, str], int]:
        return Counter((one.severity, one.state) for one in self._all() if one.state != "resolved")

    def events_of(self, alerts: Sequence[AlertView], limit: int = 200) -> Sequence[EvidenceRow]:
        return self.events[:limit] if alerts else []

    def incident(self, id_or_prefix: str) -> IncidentView | None:
        return next((one for one in self._all() if one.incident_id.startswith(id_or_prefix)), None)

    def timeline(self, incident_key: str, incident_id: str) -> Sequence[TimelineEntry]:
        return [entry(row) for row in self.world.rows if row.incident_id == incident_id]

    def outcome_of(self, command_id: str) -> CommandOutcome | None:
        found = (row for row in self.world.rows if row.command_id == command_id)
        row = next(found, None)
        return CommandOutcome(row.transition, row.code, row.incident_id, row.state_after) if row else None

    def alerts_of(self, incident: IncidentView, limit: int = 10_000) -> Sequence[AlertView]:
        rows = [row for row in self.world.rows if row.incident_id == incident.incident_id and row.kind == "alert"]
        return [
            AlertView(
                alert_id=row.alert_id, event_id=str(uuid.uuid5(uuid.NAMESPACE_OID, row.alert_id)),
                event_time_us=row.at_us, detector=row.name, risk=json.loads(row.detail)["risk"],
                severity=json.loads(row.detail)["severity"], reasons=(), explanation_en="It is rare.",
                explanation_zh="罕见。", seen=self.seen,
            )
            for row in rows[:limit]
        ]  # fmt: skip

    def deliveries_of(self, incident_id: str) -> Sequence[DeliveryRow]:
        return [
            DeliveryRow(
                notification_id="n-1", channel="chat", dedup_key="d-1", action="trigger", created_us=START_US,
                attempt=1, at_us=START_US, outcome="delivered", code="", http_status=200, not_before_us=0,
            )
        ]  # fmt: skip

    def statistics(self, from_us: int, until_us: int) -> IncidentStatistics:
        return IncidentStatistics(
            days=(until_us - from_us) / 86_400_000_000, alerts=60, opened=4,
            detectors={"bulk_export": Verdicts(3, 1, 0), "slow_drip": Verdicts(0, 0, 0)},
            to_acknowledge=Durations(4, 95.0, 4000.0), to_resolve=Durations(0, 0.0, 0.0),
            channels={"chat": Arrivals(7, 1)},
        )  # fmt: skip


class Evidence(IncidentEvidence):
    """Counts that a test sets, and events that it names."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.now = SubjectCounts(Counted(at_us=START_US, subjects_all=12, minors=1, records=40))
        self.asked: list[tuple[Scope, ...]] = []
        self.events: dict[str, list[str]] = {}
        self.places: dict[str, list[AlertPlace]] = {}

    def family(self, incident_id: str) -> Sequence[KnownIncident]:
        return [one for one in self._known() if incident_id in (one.incident_id, one.merged_into)]

    def teaching_nothing(self) -> Sequence[KnownIncident]:
        return [one for one in self._known() if one.verdict == "true_positive" or one.state != "resolved"]

    def _known(self) -> list[KnownIncident]:
        return [
            KnownIncident(one.incident_id, one.tenant_id, one.incident_key, one.state, one.verdict, one.merged_into)
            for state in self.world.states.values() for one in state.incidents
        ]  # fmt: skip

    def alerts(self, incident_id: str) -> Sequence[AlertPlace]:
        if incident_id in self.places:
            return self.places[incident_id]
        rows = [row for row in self.world.rows if row.incident_id == incident_id and row.kind == "alert"]
        return [AlertPlace(f"event-{row.name}-{row.at_us}", Period(row.at_us, row.at_us)) for row in rows]

    def event_ids(self, scopes: Sequence[Scope]) -> Sequence[str]:
        return [event for scope in scopes for event in self.events.get(scope.incident_key, [])]

    def counted(self, scopes: Sequence[Scope]) -> SubjectCounts:
        self.asked.append(tuple(scopes))
        return self.now


class Sent:
    """The topic: what is flushed is handled at once, unless nobody is there."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.commands: list[AnyCommand] = []
        self.is_idle = self.is_away = False
        self._waiting: list[tuple[bytes, bytes]] = []

    def send(self, key: bytes, value: bytes) -> None:
        self._waiting.append((key, value))

    def flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if self.is_away:
            raise Away("the broker does not answer", code="kafka_away")
        for key, value in waiting:
            record = parse_record(key, value)
            assert not isinstance(record, AlertRecord)
            self.commands.append(record)  # type: ignore[arg-type]  # an unreadable one fails the test that looks
            if not self.is_idle:
                self.world.put(record)

    def close(self) -> None:
        pass


class Office:
    """A configuration with accounts, an incident with two alerts, and `accesstrail incidents` on it.

    `kafka`: where looks are told. `looked`: what the quota of looks knows.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.world = folder, World()
        self.deployment = Deployment(folder / "deployment")
        self.state_dir = self.deployment.settings().state_dir
        self.reader, self.evidence, self.topic = Reader(self.world), Evidence(self.world), Sent(self.world)
        self.kafka, self.looked = FakeKafka(), Looked()
        self.tokens: dict[str, Path] = {}
        self.world.put(alert(1, detector="bulk_export"), alert(2, risk=95.0, severity="high"))
        patch.setattr(incident_desk, "connect", lambda *_: self.reader)
        patch.setattr(incident_desk, "IncidentReader", lambda _: self.reader)
        patch.setattr(incident_desk, "IncidentEvidence", lambda _: self.evidence)
        patch.setattr(incident_desk, "EventProducer", lambda *_: self.topic)
        patch.setattr(incident_desk, "tell_of_accounts", lambda _: None)
        told_to(patch, self.kafka, self.looked)
        patch.delenv("ACCESSTRAIL_TOKEN_FILE", raising=False)

    @property
    def incident(self) -> Incident:
        """The incident of the first alerts."""
        return self.world.incident()

    @property
    def incident_id(self) -> str:
        return self.incident.incident_id

    def more(self, text: str) -> None:
        """More configuration."""
        with (self.deployment.folder / "config.toml").open("a", encoding="utf-8") as file:
            file.write(text)

    def account(self, name: str, *roles: str) -> tuple[str, ...]:
        """The words by which a command knows an account, made at its first use."""
        if name not in self.tokens:
            self.tokens[name] = token_file(self.state_dir, name, *roles)
        return ("--token-file", str(self.tokens[name]))

    def soc(self) -> tuple[str, ...]:
        """Somebody who handles incidents."""
        return self.account("li.wei", "soc")

    def run(self, *words: Any) -> int:
        """Exit code of one `accesstrail incidents …`."""
        config = ("--config", str(self.deployment.folder / "config.toml"))
        with pytest.raises(SystemExit) as caught:
            main(["incidents", *map(str, words), *config])
        assert isinstance(caught.value.code, int)
        return caught.value.code
