"""Incidents as people see them against the log that they are a fold of: equal where nobody changed them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.incident_log_reading import IncidentLogReader
from pipeline.adapters.incident_rows import incident_columns
from pipeline.adapters.incident_store import open_incidents
from pipeline.cli.verification_incidents import FoldedIncidents
from pipeline.events import LogPosition
from pipeline.incident_columns import INCIDENT_COLUMNS
from pipeline.incidents.model import Position
from pipeline.ledger.verify import Findings
from pipeline.response.roles import IncidentSnapshot
from tests.incident_logs import DAY_US, alert
from tests.integration.store.test_incidents import Company

pytestmark = pytest.mark.stack

RAW = "accesstrail_raw"
MUTATE = "SETTINGS mutations_sync = 2"


@pytest.fixture
def company(clickhouse_settings: Any, migrator: ClickHouse) -> Iterator[Company]:
    opened = open_incidents(clickhouse_settings)
    made = Company(opened)
    for number in range(4):
        made.alert(number, risk=40.0 + number)
    made.alert("other", key="b", risk=91.0)
    made.alert("third", key="c", risk=60.0, actor_token="")
    made.command("acknowledge")
    made.command("assign", assignee="li.na")
    made.command("comment", why="asked the team")
    made.command("resolve", verdict="benign")
    made.world.at_us += 40 * DAY_US
    made.alert("later", risk=77.0)
    made.command("comment", key="b", why="seen")
    yield made
    opened.close()
    for table in ("incidents", "incident_log"):
        migrator.query(f"ALTER TABLE {RAW}.{table} DELETE WHERE startsWith(topic, '{made.topic}') {MUTATE}")


def replace_of(place: LogPosition, **values: Any) -> LogPosition:
    return dataclasses.replace(place, **values)


def newest(which: str) -> str:
    """The row that counts: parts that are not merged yet hold older ones too."""
    return f"(SELECT * FROM {RAW}.incidents WHERE {which} ORDER BY version DESC LIMIT 1)"


def verified(reader: ClickHouse, company: Company, when_asked: Callable[[], None] = lambda: None) -> Findings:
    findings, log = Findings(), LogPosition(company.topic, "life-1", 3)
    moved = [replace_of(log, topic=f"{company.topic}-other"), replace_of(log, partition=4)]
    run = FoldedIncidents(IncidentLogReader(reader), findings, lambda _: when_asked())
    run.compare([log], [log, *moved])
    return findings


def test_what_was_handled_is_shown_as_the_log_says(reader: ClickHouse, company: Company) -> None:
    sql = "SELECT count(), uniqExact(state) FROM accesstrail.incidents WHERE topic = {topic:String}"
    [(count, states)] = reader.query(sql, {"topic": company.topic})
    assert count >= 3
    assert states >= 2
    assert verified(reader, company).told == []


CHANGES = (
    "state = 'resolved'", "severity = 'low'", "risk = risk + 1", "alerts = alerts + 1", "withdrawn = withdrawn + 1",
    "detectors = map()", "explanation_en = 'nothing'", "explanation_zh = '无'", "gravest_alert_id = generateUUIDv4()",
    "opened_at = opened_at + 1", "first_event_time = first_event_time + 1", "last_event_time = last_event_time + 1",
    "changed_at = changed_at + 1", "acknowledged_at = acknowledged_at + 1", "acknowledged_by = 'x'", "assignee = 'x'",
    "resolved_at = resolved_at + 1", "resolved_by = 'x'", "verdict = 'test'", "reopened = reopened + 1",
    "comments = comments + 1", "merged_into = generateUUIDv4()", "breach_since = breach_since + 1",
    "layer = layer + 1", "topic = concat(topic, '-other')", "partition = partition + 1", "incident_key = 'x'",
    "actor_token = 'x'",
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_column_of_an_incident_is_found(
    change: str, reader: ClickHouse, migrator: ClickHouse, company: Company
) -> None:
    which = f"incident_id = '{company.incident('b').incident_id}'"
    migrator.query(f"ALTER TABLE {RAW}.incidents UPDATE {change} WHERE {which} {MUTATE}")
    findings = verified(reader, company)
    assert findings.counts == {"derived": 1}
    assert change.partition(" ")[0] in findings.told[0].about


def test_an_incident_that_is_gone_or_invented_is_found(
    reader: ClickHouse, migrator: ClickHouse, company: Company
) -> None:
    which = f"incident_id = '{company.incident('b').incident_id}'"
    migrator.query(
        f"INSERT INTO {RAW}.incidents SELECT * REPLACE (generateUUIDv4() AS incident_id) FROM "
        f"{newest(which)} SETTINGS insert_deduplicate = 0"
    )
    assert verified(reader, company).counts == {"derived": 1}
    migrator.query(f"ALTER TABLE {RAW}.incidents DELETE WHERE {which} {MUTATE}")
    assert verified(reader, company).counts == {"derived": 2}


@pytest.mark.parametrize("offset", ["offset", "offset + 1000000"])
@pytest.mark.parametrize("tenant", ["a", "zz"])
def test_an_incident_that_is_shown_a_second_time_under_another_tenant_is_found(
    offset: str, tenant: str, reader: ClickHouse, migrator: ClickHouse, company: Company
) -> None:
    """Readers see both rows; which of them is read last is no matter."""
    which = f"incident_id = '{company.incident('b').incident_id}'"
    migrator.query(
        f"INSERT INTO {RAW}.incidents SELECT * REPLACE (CAST('{tenant}', 'LowCardinality(String)') AS tenant_id, "
        f"{offset} AS offset, 'nothing' AS explanation_en) FROM {newest(which)} SETTINGS insert_deduplicate = 0"
    )
    findings = verified(reader, company)
    assert findings.counts == {"derived": 1}
    assert "tenant_id" in findings.told[0].about


@pytest.mark.parametrize("offset", ["offset", "offset + 1000000"])
def test_a_row_that_says_to_be_newer_is_found_or_told_to_be_ahead(
    offset: str, reader: ClickHouse, migrator: ClickHouse, company: Company
) -> None:
    which = f"incident_id = '{company.incident('b').incident_id}'"
    migrator.query(
        f"INSERT INTO {RAW}.incidents SELECT * REPLACE (version + 1 AS version, {offset} AS offset, "
        f"CAST('resolved', 'LowCardinality(String)') AS state) FROM {newest(which)} "
        "SETTINGS insert_deduplicate = 0"
    )
    counts = verified(reader, company).counts
    assert counts == ({"derived": 1} if offset == "offset" else {"incident_ahead": 1})


def test_what_the_responder_is_just_writing_is_no_difference(reader: ClickHouse, company: Company) -> None:
    """Incidents come before the rows of the log; those follow while verification waits."""
    company.world.put(
        alert((company.tenant, "new"), tenant_id=company.tenant, incident_key=company.key("b"), risk=95.0)
    )
    row = company.world.rows[-1]
    row = replace(row, position=Position(company.topic, "life-1", 3, row.position.offset))
    incident = company.world.states[row.incident_key].incident(row.incident_id)
    assert incident is not None
    snapshot = IncidentSnapshot(incident, row.position, row.received_at_us)
    company.store._replace("incidents", incident_columns([snapshot]), INCIDENT_COLUMNS)
    assert verified(reader, company).counts == {"incident_ahead": 1}
    written: list[int] = []

    def write() -> None:
        company.store.append([row], [snapshot], [], "host:1:a")
        written.append(1)

    assert verified(reader, company, write).counts == {}
    assert len(written) == 1
