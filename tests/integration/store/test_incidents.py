"""Incidents in the real store as people read them: views, questions, numbers; what the responder may do."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.incident_reading import IncidentReader
from pipeline.adapters.incident_store import ClickHouseIncidents, open_incidents
from pipeline.audit.incidents import Arrivals, CommandOutcome, Verdicts
from pipeline.column_batch import ColumnBatch, Interner, TextColumn
from pipeline.config import ClickHouseSettings
from pipeline.errors import ConfigError, Fenced, StoreRefused, UsageError
from pipeline.events import LogPosition
from pipeline.incidents.effects import FreezeEvidence
from pipeline.incidents.model import Incident, LogRow, Position
from pipeline.notifications.message import Notification
from pipeline.notifications.policy import DeliveryRow
from pipeline.response.roles import Delivery, IncidentSnapshot
from tests.batches import batch
from tests.incident_logs import ACTOR, DAY_US, PERSON, SECOND_US, START_US, World, alert, command, uuid_of

pytestmark = pytest.mark.stack

OURS, THEIRS = "host:1:a", "host:2:b"


@pytest.fixture
def incidents(clickhouse_settings: Any) -> Iterator[ClickHouseIncidents]:
    opened = open_incidents(clickhouse_settings)
    yield opened
    opened.close()


@pytest.fixture
def asked(reader: ClickHouse) -> IncidentReader:
    return IncidentReader(reader)


class Company:
    """A tenant of its own whose incidents are handled in a world and kept in the real store."""

    def __init__(self, store: ClickHouseIncidents, start_us: int = START_US) -> None:
        self.store, self.tenant, self.topic = store, f"t{uuid.uuid4().hex}", f"topic-{uuid.uuid4().hex}"
        self.world = World(at_us=start_us)
        self._kept = 0

    def key(self, name: str = "a") -> str:
        return f"{self.tenant}:{name}"

    def alert(self, name: object, key: str = "a", **values: Any) -> None:
        self.put(alert((self.tenant, name), **{"tenant_id": self.tenant, "incident_key": self.key(key), **values}))

    def command(self, name: str, key: str = "a", **values: Any) -> None:
        self.put(command(name, tenant_id=self.tenant, incident_key=self.key(key), **values))

    def put(self, record: Any) -> None:
        """Handles a record and keeps what it leads to, as incident handling does."""
        self.world.put(record)
        rows = [self._here(row) for row in self.world.rows[self._kept :]]
        self._kept = len(self.world.rows)
        states = [self.world.states[row.incident_key] for row in rows]
        touched = [(state.incident(row.incident_id), row) for state, row in zip(states, rows, strict=True)]
        snapshots = [IncidentSnapshot(one, row.position, row.received_at_us) for one, row in touched if one]
        self.store.append(rows, snapshots, [], OURS)

    def _here(self, row: LogRow) -> LogRow:
        return replace(row, position=Position(self.topic, "life-1", 3, row.position.offset))

    def incident(self, key: str = "a") -> Incident:
        return self.world.incident(self.key(key))


@pytest.fixture
def company(incidents: ClickHouseIncidents) -> Company:
    return Company(incidents)


# -- what is kept


def test_the_store_is_opened_as_the_role_responder(clickhouse_settings: ClickHouseSettings) -> None:
    passwords = {role: path for role, path in clickhouse_settings.password_files.items() if role != "responder"}
    without: Any = type("Without", (), {"password_files": passwords})()
    with pytest.raises(ConfigError, match="responder_password_file is missing"):
        open_incidents(without)


def test_an_append_is_never_empty_nor_larger_than_one_block(company: Company) -> None:
    company.alert(1)
    for rows in ([], company.world.rows * 10_001):
        with pytest.raises(ValueError, match="1 to 10000"):
            company.store.append(rows, [], [], OURS)


def test_of_writers_at_the_same_moment_one_wins_and_the_log_holds_its_rows_alone(
    clickhouse_settings: Any, incidents: ClickHouseIncidents
) -> None:
    """Four responders that each believe the partition is theirs, with batches of their own; ten times."""
    company = Company(incidents)
    for number in range(30):
        company.world.put(alert((company.tenant, number), incident_key=company.key(), tenant_id=company.tenant))
    rows = [company._here(row) for row in company.world.rows]
    taken = 0
    for _ in range(10):
        start, won = threading.Barrier(4), list[tuple[str, int]]()

        def write(name: str, until: int, first: int = taken, start: Any = start, won: Any = won) -> None:
            store = open_incidents(clickhouse_settings)
            try:
                start.wait(30)
                store.append(rows[first:until], [], [], name)
                won.append((name, until))
            except Fenced:
                pass
            finally:
                store.close()

        writers = [threading.Thread(target=write, args=(f"w{side}", taken + side % 3 + 1)) for side in range(4)]
        for one in writers:
            one.start()
        for one in writers:
            one.join(60)
        assert len(won) == 1
        taken = won[0][1]
        assert list(incidents.log_rows(company.topic, 3)) == rows[:taken]


def test_rows_that_the_server_lost_are_written_again(company: Company, migrator: ClickHouse) -> None:
    """A kill at the wrong moment leaves a known token and no rows (`test_lost_rows.py`)."""
    company.alert(1)
    rows = list(company.store.log_rows(company.topic, 3))
    migrator.query(
        "ALTER TABLE accesstrail_raw.incident_log DELETE WHERE topic = {topic:String} SETTINGS mutations_sync = 2",
        {"topic": company.topic},
    )
    assert list(company.store.log_rows(company.topic, 3)) == []
    company.store.append(rows, [], [], OURS)
    assert list(company.store.log_rows(company.topic, 3)) == rows
    with pytest.raises(Fenced):
        company.store.append(rows, [], [], THEIRS)


def test_a_writer_that_slept_until_its_token_was_forgotten_is_neither_seen_nor_believed(
    company: Company, migrator: ClickHouse, reader: ClickHouse
) -> None:
    company.alert(1)
    rows = list(company.store.log_rows(company.topic, 3))
    late = "INSERT INTO accesstrail_raw.incident_log (*) SELECT * REPLACE ('late' AS writer, now64(6) AS written_at) "
    migrator.query(
        f"{late} FROM accesstrail_raw.incident_log WHERE topic = {{topic:String}} SETTINGS insert_deduplicate = 0",
        {"topic": company.topic},
    )
    assert list(company.store.log_rows(company.topic, 3)) == rows
    company.store.append(rows, [], [], OURS)
    with pytest.raises(Fenced):
        company.store.append(rows, [], [], "late")
    seen = "SELECT count(), any(writer) FROM accesstrail.incident_log WHERE topic = {topic:String}"
    assert reader.query(seen, {"topic": company.topic}) == [(len(rows), OURS)]


def test_the_newest_state_of_an_incident_counts_whatever_came_last(company: Company, reader: ClickHouse) -> None:
    company.alert(1)
    old = company.incident()
    company.alert(2, risk=88.0, severity="critical", detector="bulk_export")
    newest = company.incident()
    late = IncidentSnapshot(old, Position(company.topic, "life-1", 3, 0), START_US)
    position = Position(company.topic, "life-1", 3, 50)
    company.store.append([replace(company._here(company.world.rows[0]), position=position)], [late, late], [], OURS)
    sql = "SELECT alerts, risk, toString(severity) FROM accesstrail.incidents WHERE tenant_id = {tenant:String}"
    assert reader.query(sql, {"tenant": company.tenant}) == [(2, newest.risk, "critical")]


def test_evidence_is_held_once_an_incident(company: Company, reader: ClickHouse) -> None:
    company.alert(1)
    company.command("suspect_breach", known_at_us=START_US - 7)
    [hold] = [one for one in company.world.effects if isinstance(one, FreezeEvidence)]
    for offset in (70, 71):
        row = replace(company._here(company.world.rows[0]), position=Position(company.topic, "life-1", 3, offset))
        company.store.append([row], [], [hold], OURS)
    sql = (
        "SELECT toString(incident_id), incident_key, lower(hex(actor_token)), toUnixTimestamp64Micro(known_at), by, "
        "since >= known_at AND first_event_time < since FROM accesstrail.evidence_holds WHERE tenant_id = {t:String}"
    )
    expected = (company.incident().incident_id, company.key(), ACTOR, START_US - 7, PERSON, 1)
    assert reader.query(sql, {"t": company.tenant}) == [expected]


# -- what people ask


def test_an_incident_reads_as_it_stands(company: Company, asked: IncidentReader) -> None:
    company.alert(1)
    company.alert(2, risk=88.0, severity="high", detector="bulk_export")
    company.command("acknowledge")
    company.command("comment", why="看过了")
    one = company.incident()
    found = asked.incident(one.incident_id)
    assert found is not None
    assert (
        found == asked.incident(one.incident_id[:13].upper()) == asked.incident(one.incident_id.replace("-", "")[:12])
    )
    for name in (
        "tenant_id", "incident_id", "incident_key", "actor_token", "state", "severity", "risk", "alerts", "withdrawn",
        "explanation_en", "explanation_zh", "gravest_alert_id", "opened_us", "first_event_us", "last_event_us",
        "changed_us", "acknowledged_us", "acknowledged_by", "assignee", "resolved_us", "verdict", "comments",
    ):  # fmt: skip
        assert getattr(found, name) == getattr(one, name), name
    assert found.detectors == {name: part.risk for name, part in one.detectors.items()}
    assert (found.merged_into, found.breach_since_us, found.layer, found.reopened) == ("", 0, 0, 0)


def test_a_prefix_that_fits_none_finds_none_and_one_that_fits_many_says_how_many(
    company: Company, asked: IncidentReader
) -> None:
    assert asked.incident("0123456789abcdef0123456789abcdef") is None
    company.alert(1)
    row, position = company._here(company.world.rows[0]), Position(company.topic, "life-1", 3, 90)
    begin = uuid.uuid4().hex[:8]
    many = [replace(company.incident(), incident_id=str(uuid.UUID(begin + uuid.uuid4().hex[8:]))) for _ in range(3)]
    snapshots = [IncidentSnapshot(one, position, START_US) for one in many]
    company.store.append([replace(row, position=position)], snapshots, [], OURS)
    with pytest.raises(UsageError, match=f"3 incidents begin with {begin}"):
        asked.incident(begin)
    for wrong in ("", "abcde", "no hex at all", "%" * 6, f"{begin}' OR 1", uuid.uuid4().hex + "0"):
        with pytest.raises(UsageError, match="6 or more"):
            asked.incident(wrong)


def test_incidents_are_listed_gravest_first_and_by_state_severity_and_tenant(
    company: Company, asked: IncidentReader
) -> None:
    for key, severity in (("a", "low"), ("b", "critical"), ("c", "high"), ("d", "high")):
        company.alert(key, key, severity=severity)
    company.command("acknowledge", "b")
    company.command("resolve", "c", verdict="test")
    tenant = company.tenant

    def keys(states: Sequence[str] = (), severities: Sequence[str] = (), limit: int = 50) -> list[str]:
        found = asked.listed(states, severities, limit, tenant)
        return [one.incident_key.removeprefix(f"{tenant}:") for one in found]

    assert keys() == ["b", "d", "c", "a"]
    assert keys(limit=2) == ["b", "d"]
    assert keys(["open", "acknowledged"]) == ["b", "d", "a"]
    assert keys(["open"], ["high", "low"]) == ["d", "a"]
    assert keys([], ["low"]) == ["a"]
    assert {one.tenant_id for one in asked.listed(limit=1000)} >= {tenant}


def test_a_timeline_has_every_row_of_the_incident_in_order(company: Company, asked: IncidentReader) -> None:
    company.alert(1)
    company.alert(1, "b")
    company.command("comment", why="同事 ' \\ 的话")
    company.command("resolve", verdict="benign")
    company.command("acknowledge", incident_id=company.incident().incident_id)
    company.command("tick")
    one = company.incident()
    entries = asked.timeline(company.key(), one.incident_id)
    assert [(entry.kind, entry.transition) for entry in entries][:3] == [
        ("alert", "opened"), ("command", "commented"), ("command", "resolved"),
    ]  # fmt: skip
    rows = [row for row in company.world.rows if row.incident_id == one.incident_id]
    assert len(entries) == len(rows)
    for entry, row in zip(entries, rows, strict=True):
        assert (entry.at_us, entry.sent_us) == (row.received_at_us, row.at_us)
        for name in ("kind", "name", "transition", "code", "state_before", "state_after", "by", "why", "command_id",
                     "alert_id", "detail"):  # fmt: skip
            assert getattr(entry, name) == getattr(row, name), name


def test_what_became_of_a_command_is_told_once_it_was_handled(company: Company, asked: IncidentReader) -> None:
    company.alert(1)
    first, second, unknown = (str(uuid.uuid4()) for _ in range(3))
    for _ in range(2):
        company.put(command("acknowledge", first, tenant_id=company.tenant, incident_key=company.key()))
    sent = [row.command_id for row in company.world.rows if row.kind == "command"]
    one = company.incident()
    assert asked.outcome_of(sent[0]) == CommandOutcome("acknowledged", "", one.incident_id, "acknowledged")
    company.put(command("reopen", second, tenant_id=company.tenant, incident_key=company.key()))
    refused = asked.outcome_of(company.world.rows[-1].command_id)
    assert refused is not None
    assert (refused.transition, refused.code) == ("refused", "not_resolved")
    assert asked.outcome_of(unknown) is None


def test_the_alerts_of_an_incident_are_those_its_log_names(
    company: Company, asked: IncidentReader, store: Any, position: LogPosition, reader: ClickHouse
) -> None:
    names = Interner()

    def of_the_company(events: ColumnBatch) -> None:
        events.columns["tenant_id"] = TextColumn(np.full(events.count, names[company.tenant], np.int32), names)

    entry = None
    for seed in range(3):  # each batch raises one alert
        entry = batch(position, entry, seed=seed, change=of_the_company).commit(store)
    rows = reader.query(
        "SELECT toString(alert_id), toString(event_id), risk FROM accesstrail.alerts "
        "WHERE tenant_id = {tenant:String} ORDER BY risk DESC, event_time, alert_id", {"tenant": company.tenant},
    )  # fmt: skip
    for alert_id, *_ in rows[1:]:
        company.put(alert(alert_id=uuid.UUID(alert_id), tenant_id=company.tenant, incident_key=company.key()))
    one = asked.incident(company.incident().incident_id)
    assert one is not None
    assert len(rows) == 3
    assert [(found.alert_id, found.event_id, found.risk) for found in asked.alerts_of(one)] == rows[1:]
    assert len(asked.alerts_of(one, limit=1)) == 1


def _delivery(company: Company, offset: int, channel: str, **values: Any) -> Delivery:
    incident_id = company.incident().incident_id
    note = Notification(
        notification_id=str(uuid_of((company.tenant, channel, values.get("name", offset)))), channel=channel,
        action="trigger", dedup_key=company.key(), tenant_id=company.tenant, incident_id=incident_id, severity="high",
        risk=5000, alerts=1,
        title_en="t", title_zh="标题", lines_en=(), lines_zh=(), link="", created_us=company.world.at_us,
    )  # fmt: skip
    values.pop("name", None)
    given: dict[str, Any] = {
        "notification_id": note.notification_id, "channel": channel, "dedup_key": note.dedup_key, "action": "trigger",
        "created_us": note.created_us, "attempt": 1, "at_us": company.world.at_us + offset, "outcome": "delivered",
        "code": "ok", "http_status": 200, "not_before_us": 0,
    }  # fmt: skip
    return Delivery(Position(company.topic, "life-1", 1, offset), note, DeliveryRow(**given | values))


def test_attempts_to_tell_of_an_incident_are_shown_in_their_order(company: Company, asked: IncidentReader) -> None:
    company.alert(1)
    made = [_delivery(company, 1, "chat", outcome="retry", code="too_many"), _delivery(company, 2, "mail")]
    again = _delivery(company, 9, "mail", name=2)
    company.store.record([made[1], made[0], again])
    assert list(asked.deliveries_of(company.incident().incident_id)) == [one.row for one in made]
    assert list(asked.deliveries_of(str(uuid.uuid4()))) == []


def test_a_period_in_numbers(incidents: ClickHouseIncidents, asked: IncidentReader) -> None:
    """In a time of its own, so that nobody else's incidents count."""
    start_us = START_US + uuid.uuid4().int % 2000 * 10 * DAY_US + DAY_US
    company = Company(incidents, start_us)
    for key in ("a", "b", "c", "d", "e"):
        company.alert(key, key, detector="forest")
        company.alert((key, 2), key, detector="bulk_export" if key < "c" else "forest")
        company.alert((key, 2), key, detector="bulk_export" if key < "c" else "forest")  # told again: not another one
    company.world.at_us += 60 * SECOND_US
    company.command("acknowledge", "a")
    company.command("assign", "b", assignee="li.wei")
    for key, verdict in (("a", "true_positive"), ("b", "false_positive"), ("c", "benign"), ("d", "test")):
        company.command("resolve", key, verdict=verdict)
    channel = f"chat-{company.tenant}"
    company.store.record([
        _delivery(company, 1, channel, outcome="retry"), _delivery(company, 1, channel, attempt=2),
        _delivery(company, 8, channel, name=1, attempt=2), _delivery(company, 3, channel, outcome="refused"),
    ])  # fmt: skip
    found = asked.statistics(start_us, start_us + 2 * DAY_US)
    assert (found.days, found.alerts, found.alerts_a_day, found.opened) == (2.0, 10, 5.0, 5)
    assert found.detectors == {"forest": Verdicts(1, 1, 1), "bulk_export": Verdicts(1, 0, 1)}
    assert found.detectors["bulk_export"].precision == 0.5
    # a: opened at 1 s, taken at 76 s; b: opened at 4 s, taken at 77 s.
    assert (found.to_acknowledge.count, found.to_acknowledge.p90_s) == (2, 75.0)
    assert found.to_resolve.count == 4
    assert found.channels == {channel: Arrivals(1, 1)}
    nothing = asked.statistics(start_us + 3 * DAY_US, start_us + 4 * DAY_US)
    assert (nothing.alerts, nothing.opened, nothing.to_resolve.count, nothing.channels) == (0, 0, 0, {})


# -- rights


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count() FROM accesstrail.alerts",
        "SELECT count() FROM accesstrail.incidents",
        "SELECT count() FROM accesstrail_raw.incident_log",
        "SELECT query_kind, user, elapsed FROM system.processes LIMIT 1",
    ],
)
def test_the_responder_reads_views_and_its_own_tables(connect_as: Callable[[str], ClickHouse], sql: str) -> None:
    assert len(connect_as("responder").query(sql)) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count() FROM accesstrail_raw.access_events",
        "SELECT count() FROM accesstrail_raw.alerts",
        "INSERT INTO accesstrail_raw.alerts (alert_id) SELECT generateUUIDv4()",
        "INSERT INTO accesstrail_raw.ledger (partition) SELECT 1",
        "INSERT INTO accesstrail_raw.version_activations (number) SELECT 1",
        "ALTER TABLE accesstrail_raw.incident_log DELETE WHERE 1",
        "ALTER TABLE accesstrail_raw.incidents UPDATE alerts = 1 WHERE 1",
        "DELETE FROM accesstrail_raw.deliveries WHERE 1",
        "TRUNCATE TABLE accesstrail_raw.evidence_holds",
        "DROP TABLE accesstrail_raw.incident_log",
        "OPTIMIZE TABLE accesstrail_raw.incidents FINAL",
        "CREATE TABLE accesstrail_raw.mine (n Int64) ENGINE = MergeTree ORDER BY n",
        "CREATE TEMPORARY TABLE mine (n Int64)",
        "DROP VIEW accesstrail.incidents",
        "SELECT query FROM system.processes",
        "SELECT * FROM system.users",
        "SELECT * FROM file('/etc/passwd', 'LineAsString', 'line String')",
        "SELECT * FROM url('http://127.0.0.1:9/', 'LineAsString', 'line String')",
    ],
)
def test_the_responder_may_do_nothing_else(connect_as: Callable[[str], ClickHouse], sql: str) -> None:
    with pytest.raises(StoreRefused, match="its code 497"):
        connect_as("responder").query(sql)
