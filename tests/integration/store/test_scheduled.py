"""Scheduled detectors on the real server: the same findings as in the embedded engine, rights, leases, a live run."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from detectors.scheduled import SCHEDULED
from detectors.scheduled.base import ScheduledDetector
from detectors.scheduled.unexplained_access import VERDICTS
from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.embedded import EmbeddedEngine
from pipeline.adapters.incident_store import ClickHouseIncidents
from pipeline.adapters.incidents import IncidentPublisher
from pipeline.adapters.schedule import ClickHouseSchedule
from pipeline.adapters.store import ClickHouseStore
from pipeline.column_batch import ColumnBatch
from pipeline.directory import DirectorySnapshot
from pipeline.directory.work_items import WorkItems
from pipeline.events import LogPosition
from pipeline.incidents.model import Position
from pipeline.incidents.records import AlertRecord, parse_record
from pipeline.migrations.rederive import ALERT_CONTENT
from pipeline.schedule.alert_rows import FINAL, PROVISIONAL, alert_rows
from pipeline.schedule.findings import alert_id, find, incident_key, parameters
from tests.batches import Batch, batch
from tests.conftest import Stack
from tests.incident_logs import OTHER_KEY, World, alert
from tests.scheduled_cases import CASES
from tests.scheduled_rows import SPECS, ZONE, Case, of_tenant, rows_of, run_case, slots_of, token, without_place
from tests.systems import System

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
RAW, MUTATE = "accesstrail_raw", "SETTINGS mutations_sync = 2"
_PLACE = ("topic", "incarnation", "partition", "offset")


@pytest.fixture(scope="module")
def engine() -> Iterator[EmbeddedEngine]:
    with EmbeddedEngine() as opened:
        yield opened


@pytest.fixture
def schedule(connect_as: Callable[[str], ClickHouse]) -> ClickHouseSchedule:
    return ClickHouseSchedule(connect_as("scheduler"))


@pytest.fixture
def tenant() -> str:
    return f"tenant-{uuid.uuid4().hex[:12]}"


def sealed_case(case: Case, position: LogPosition, tenant: str) -> Batch:
    """A case's events as one batch of evidence."""
    own = rows_of(of_tenant(case.events, tenant))

    def change(rows: ColumnBatch) -> None:
        rows.columns.update({spec.name: own.columns[spec.name] for spec in SPECS if spec.name not in _PLACE})

    return batch(position, events=len(case.events), dead_letters=0, change=change)


def items_of(case: Case, tenant: str) -> DirectorySnapshot:
    return DirectorySnapshot(tenant=tenant, work_items=WorkItems.from_rows(list(case.items)))


def bare(finding: Any) -> Any:
    """A finding without its tenant and place in the log."""
    plain = without_place(finding)
    where = replace(plain.contributor, topic="", incarnation="")
    return replace(plain, tenant_id="", contributor=where)


@pytest.mark.parametrize("detector", SCHEDULED, ids=lambda one: one.name)
def test_the_server_finds_through_its_views_what_the_embedded_engine_finds(
    detector: ScheduledDetector, engine: EmbeddedEngine, store: ClickHouseStore, schedule: ClickHouseSchedule,
    position: LogPosition, tenant: str,
) -> None:  # fmt: skip
    case = next(one for one in CASES[detector.name] if one.kind == "true" and not one.items)
    offline = run_case(engine, detector, case)
    unsealed = sealed_case(case, position, tenant)
    unsealed.store_rows(store)
    slots = slots_of(detector, case.events, case.last_day)

    def ours() -> list[Any]:
        found = find(schedule, detector, slots, case.directory, ZONE)
        return [bare(one) for one in found if one.tenant_id == tenant]

    assert ours() == []  # rows of a batch that is not sealed are nobody's
    store.seal(unsealed.entry, "test")
    assert ours() == [bare(one) for one in offline]
    assert offline


def test_final_verdicts_are_kept_once_and_know_late_tickets(
    store: ClickHouseStore, schedule: ClickHouseSchedule, reader: ClickHouse, position: LogPosition, tenant: str,
) -> None:  # fmt: skip
    detector = next(one for one in SCHEDULED if one.name == "unexplained_access")
    case = next(one for one in CASES[detector.name] if one.name == "tickets opened 23 hours after the look")
    sealed_case(case, position, tenant).commit(store)
    schedule.now_us = lambda: max(one["event_time"] for one in case.events)  # type: ignore[method-assign]
    slots = slots_of(detector, case.events)
    values = parameters(detector, slots, case.directory, ZONE)
    sql = "SELECT verdict, count() FROM accesstrail.access_explanations WHERE tenant_id = {t:String} GROUP BY verdict"
    schedule.write_verdicts(VERDICTS, values, bytes(32))
    before = dict(reader.query(sql, {"t": tenant}))
    schedule.add_work_items(items_of(case, tenant))
    schedule.add_work_items(items_of(case, tenant))
    for _ in range(2):
        schedule.write_verdicts(VERDICTS, values, bytes(32))
    after = dict(reader.query(sql, {"t": tenant}))
    assert set(before) == {"unexplained"}
    assert sum(before.values()) == sum(after.values()) == len(case.events)
    assert after["explained"] == 40
    found = find(schedule, detector, slots, case.directory, ZONE)
    assert [one for one in found if one.tenant_id == tenant] == []


def test_an_alert_is_replaced_never_added_and_can_be_taken_back(
    engine: EmbeddedEngine, schedule: ClickHouseSchedule, reader: ClickHouse
) -> None:
    detector = next(one for one in SCHEDULED if one.name == "subject_looked_at_by_many")
    case = CASES[detector.name][0]
    tenant = f"t-{uuid.uuid4().hex}"
    (finding,) = (replace(one, tenant_id=tenant) for one in run_case(engine, detector, case))
    identity = str(alert_id(finding))
    sql = (
        "SELECT risk, reasons, explanation_en, toString(severity), hex(actor_token) FROM accesstrail.alerts "
        "WHERE tenant_id = {t:String}"
    )
    for stage, risk in ((PROVISIONAL, 7500), (PROVISIONAL, 7500), (FINAL, 9000)):
        schedule.write_alerts(alert_rows([replace(finding, risk=risk)], bytes(32), stage, "standard"))
    actor = token("q0").hex().upper()
    words = finding.explanation_en
    assert reader.query(sql, {"t": tenant}) == [(9000, [f"scheduled:{detector.name}"], words, "high", actor)]
    assert schedule.known_alerts(detector.name, [identity])[identity].risk == 9000
    assert identity in schedule.alerts_of_window(detector.name, finding.window_end_us)
    assert schedule.handled_alerts([identity]) == []  # no responder has seen it
    schedule.withdraw([identity])
    ((risk, reasons, text, _, _),) = reader.query(sql, {"t": tenant})
    assert (risk, reasons[-1]) == (0, "scheduled:withdrawn")
    assert text.startswith("Withdrawn")
    assert identity not in schedule.alerts_of_window(detector.name, finding.window_end_us)


def test_an_alert_is_taken_back_under_the_key_that_incident_handling_has_it_under(
    schedule: ClickHouseSchedule, connect_as: Callable[[str], ClickHouse]
) -> None:
    world = World()
    topic, one = f"topic-{uuid.uuid4().hex}", alert(uuid.uuid4(), incident_key=OTHER_KEY)
    world.put(one, one)
    rows = [
        msgspec.structs.replace(row, position=msgspec.structs.replace(row.position, topic=topic)) for row in world.rows
    ]
    ClickHouseIncidents(connect_as("responder")).append(rows, [], [], "writer")
    sent: list[tuple[bytes, bytes]] = []

    class Kept:
        def send(self, key: bytes, value: bytes) -> None:
            sent.append((key, value))

        def flush(self) -> None:
            return

    IncidentPublisher(Kept()).publish_withdrawn(schedule.handled_alerts([str(one.alert_id)]))
    ((key, value),) = sent
    record = parse_record(key, value)
    assert isinstance(record, AlertRecord)
    assert (record.alert_id, record.incident_key, record.is_withdrawn) == (one.alert_id, OTHER_KEY, True)
    assert (record.topic, record.partition, record.offset) == (one.topic, one.partition, one.offset)
    assert "scheduled:withdrawn" not in record.reasons, "the table has no row of it"
    assert world.put(record).log_row.transition == "withdrawn"  # type: ignore[union-attr]


def test_an_alert_that_was_told_told_again_and_taken_back_is_what_the_log_of_incidents_says(
    engine: EmbeddedEngine, schedule: ClickHouseSchedule, reader: ClickHouse, migrator: ClickHouse,
    connect_as: Callable[[str], ClickHouse],
) -> None:  # fmt: skip
    detector = next(one for one in SCHEDULED if one.name == "subject_looked_at_by_many")
    (found,) = run_case(engine, detector, CASES[detector.name][0])
    life, tenant = uuid.uuid4().hex, f"t-{uuid.uuid4().hex}"
    finding = replace(found, tenant_id=tenant, contributor=replace(found.contributor, incarnation=life))
    identity, world, log = str(alert_id(finding)), World(), ClickHouseIncidents(connect_as("responder"))

    class Responder:
        def send(self, key: bytes, value: bytes) -> None:
            row = world.put(parse_record(key, value)).log_row
            assert row is not None
            log.append([msgspec.structs.replace(row, position=replace_life(row.position, life))], [], [], "writer")

        def flush(self) -> None:
            return

    publisher = IncidentPublisher(Responder())

    def differs() -> bool:
        return any(row[0] == finding.contributor.topic for row in reader.query(ALERT_CONTENT))

    try:
        for stage, risk in ((PROVISIONAL, 7500), (FINAL, 9000)):
            told = replace(finding, risk=risk, numbers={**finding.numbers, "accounts": risk / 7})
            schedule.write_alerts(alert_rows([told], bytes(32), stage, "standard"))
            publisher.publish_findings([(identity, incident_key(told, detector), told)], stage)
            assert not differs()
        publisher.publish_withdrawn(schedule.handled_alerts([identity]))
        assert not differs(), "told, and not taken back yet"
        schedule.withdraw([identity])
        assert not differs()
        [(seen,)] = reader.query("SELECT seen FROM accesstrail.alerts WHERE alert_id = {id:UUID}", {"id": identity})
        assert seen["accounts"] == 9000 / 7
        change = "seen = mapApply((name, number) -> (name, number + 1), seen)"
        migrator.query(f"ALTER TABLE {RAW}.alerts UPDATE {change} WHERE alert_id = '{identity}' {MUTATE}")
        assert differs()
    finally:
        for table in ("alerts", "incident_log"):
            migrator.query(f"ALTER TABLE {RAW}.{table} DELETE WHERE incarnation = '{life}' {MUTATE}")


def replace_life(position: Position, life: str) -> Position:
    return msgspec.structs.replace(position, incarnation=life)


def test_of_two_runners_one_has_a_lease_and_the_next_one_is_free(
    schedule: ClickHouseSchedule, connect_as: Callable[[str], ClickHouse]
) -> None:
    other, topic = ClickHouseSchedule(connect_as("scheduler")), f"topic-{uuid.uuid4().hex}"
    assert schedule.lease(topic, 7, "one") == "one"
    assert other.lease(topic, 7, "two") == "one"
    assert other.lease(topic, 8, "two") == "two"
    assert schedule.lease(topic, 8, "one") == "two"
    assert schedule.lease(topic, 7, "one") == "one"


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO accesstrail_raw.access_events (partition) SELECT 1",
        "INSERT INTO accesstrail_raw.ledger (partition) SELECT 1",
        "SELECT count() FROM accesstrail_raw.access_events",
        "SELECT count() FROM accesstrail_raw.actor_profiles",
        "ALTER TABLE accesstrail_raw.alerts DELETE WHERE 1",
        "TRUNCATE TABLE accesstrail_raw.scheduled_runs",
        "DROP TABLE accesstrail_raw.scheduled_runs",
        "SELECT query FROM system.processes",
        "SELECT * FROM url('http://127.0.0.1:9/', 'LineAsString', 'line String')",
    ],
)
def test_the_scheduler_may_neither_touch_evidence_nor_remove_anything(
    sql: str, connect_as: Callable[[str], ClickHouse]
) -> None:
    from pipeline.errors import StoreRefused

    with pytest.raises(StoreRefused):
        connect_as("scheduler").query(sql)


def test_a_live_finding_becomes_one_alert_however_often_the_scheduler_runs(stack: Stack, tmp_path: Path) -> None:
    system = System(stack, tmp_path / "system", "scheduled.live")
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    tenant = f"live-{uuid.uuid4().hex[:8]}"
    system.produce(
        6, salt=tenant, tenant_id=tenant, event_time=now, subject_ids=["star"], subject_flags=["vip"], subject_count=1
    )
    with system.worker():
        system.await_sealed(6)
        outputs = [system.scheduler() for _ in range(3)]
    assert [done.returncode for done in outputs] == [0, 0, 0], outputs[0].stderr[-2000:]
    sql = (
        "SELECT detector, reasons, explanation_en, explanation_zh FROM accesstrail.alerts "
        "WHERE tenant_id = {t:String} AND NOT startsWith(detector, 'system:')"
    )
    ((name, reasons, english, chinese),) = system.reader.query(sql, {"t": tenant})
    assert name == "subject_looked_at_by_many"
    assert reasons == ["scheduled:subject_looked_at_by_many", "scheduled:provisional"]
    assert "6 accounts" in english
    assert "6 个账号" in chinese
    runs = system.reader.query(
        "SELECT detector, result, error FROM accesstrail.scheduled_runs WHERE topic = {t:String}", {"t": system.topic}
    )
    assert {name for name, result, _ in runs if result == "begun"} == {one.name for one in SCHEDULED}
    assert {name for name, result, _ in runs if result == "done"} >= {"subject_looked_at_by_many", "slow_drip"}
    assert not [error for _, _, error in runs if error]
    published = _published(system, tenant)
    assert len({one["alert_id"] for one in published}) == 1
    assert published[0]["stage"] == PROVISIONAL
    assert published[0]["incident_key"].startswith(f"{tenant}:subject:")
    system.close()


def _published(system: System, tenant: str) -> list[dict[str, Any]]:
    from kafka import KafkaConsumer

    consumer = KafkaConsumer(
        f"{system.topic}.incidents", bootstrap_servers=system.direct.kafka.bootstrap_servers,
        auto_offset_reset="earliest", consumer_timeout_ms=5000,
    )  # fmt: skip
    found = [json.loads(record.value) for record in consumer]
    consumer.close()
    return [one for one in found if one["tenant_id"] == tenant]
