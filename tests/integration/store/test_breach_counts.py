"""What an incident's evidence says of persons, on the real store: distinct, by kind, in its time, once."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from pipeline.adapters.breach_counts import IncidentEvidence, Scope
from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.incident_store import open_incidents
from pipeline.adapters.store import ClickHouseStore
from pipeline.breach.record import Period
from pipeline.column_batch import ArrayColumn, ColumnBatch, FixedColumn, Interner, TextColumn, uuid_bytes
from pipeline.events import OUTCOMES, LogPosition, codes
from tests.batches import batch, same_text
from tests.integration.store.test_incidents import Company

pytestmark = pytest.mark.stack

ACTOR, CREDENTIAL = bytes(range(16)), bytes(range(1, 17))
T_US = 1_795_000_000_000_000
SECOND_US = 1_000_000
# subjects, sensitivity, outcome, flags, region, records, subject_count
ROWS: tuple[tuple[str, int, str, str, str, int, int], ...] = (
    ("ab", 4, "success", "", "CN-SH", -1, 2),
    ("bc", 2, "success", "minor", "de", 10, 2),
    ("d", 3, "denied", "minor", "FR", 1, 1),
    ("e", 3, "success", "", "FR", 5, 9),
    ("f", 4, "success", "minor", "FR", 5, 1),
)
"""One a second from T_US on; the last one lies outside the period that is asked for."""


def _texts(values: Sequence[Sequence[str]]) -> ArrayColumn:
    names, flat = Interner(), [one for row in values for one in row]
    ends = np.cumsum([len(row) for row in values])
    return ArrayColumn(ends, TextColumn(names.ids(flat, len(flat)), names))


def _uuid(stored: Any) -> uuid.UUID:
    """From the store's form, which is its own inverse."""
    return uuid.UUID(bytes=uuid_bytes(uuid.UUID(bytes=bytes(stored))))


class Evidence:
    """One batch of the rows above for a company, its alert in an incident."""

    def __init__(self, company: Company, store: ClickHouseStore, position: LogPosition) -> None:
        self.company = company
        made = batch(position, events=len(ROWS), seed=uuid.uuid4().int % 2**32, change=self._change)
        same_text(made.alerts, "detector", "bulk_export")
        self.alert_id = _uuid(made.alerts.fixed("alert_id")[0])
        self.event_ids = [str(_uuid(one)) for one in made.events.fixed("event_id")]
        made.commit(store)
        company.alert(1, key=ACTOR.hex(), alert_id=self.alert_id, event_time_us=T_US)
        self.scope = Scope(company.tenant, company.key(ACTOR.hex()), Period(T_US, T_US + 3 * SECOND_US))

    def _change(self, rows: ColumnBatch) -> None:
        same_text(rows, "tenant_id", self.company.tenant)
        count = len(ROWS)
        times = T_US + np.arange(count) * SECOND_US
        subjects = [[one.encode().ljust(16, b"\0") for one in row[0]] for row in ROWS]
        flat = np.array([np.void(one) for row in subjects for one in row], "V16")
        ends = np.cumsum([len(row) for row in subjects])
        outcome = codes(OUTCOMES)
        rows.columns |= {
            "event_time": FixedColumn(times.astype(np.int64)),
            "actor_token": FixedColumn(np.full(count, np.void(ACTOR), "V16")),
            "credential_token": FixedColumn(np.full(count, np.void(CREDENTIAL), "V16")),
            "subject_tokens": ArrayColumn(ends, FixedColumn(flat)),
            "sensitivity": FixedColumn(np.array([row[1] for row in ROWS], np.uint8)),
            "outcome": FixedColumn(np.array([outcome[row[2]] for row in ROWS], np.int8)),
            "subject_flags": _texts([[row[3]] if row[3] else [] for row in ROWS]),
            "records_returned": FixedColumn(np.array([row[5] for row in ROWS], np.int64)),
            "subject_count": FixedColumn(np.array([row[6] for row in ROWS], np.int64)),
            "data_categories": _texts([["phone"], ["phone", "address"], ["health"], [], ["id_number"]]),
        }
        names = Interner()
        rows.columns["subject_region"] = TextColumn(names.ids((row[4] for row in ROWS), count), names)


@pytest.fixture
def evidence(clickhouse_settings: Any, store: ClickHouseStore, position: LogPosition) -> Evidence:
    incidents = open_incidents(clickhouse_settings)
    made = Evidence(Company(incidents), store, position)
    incidents.close()
    return made


def test_distinct_subjects_are_counted_by_kind_in_the_period_without_what_was_denied(
    evidence: Evidence, reader: ClickHouse
) -> None:
    found = IncidentEvidence(reader).counted([evidence.scope])
    counted = found.counted
    assert (counted.subjects_all, counted.subjects_sensitive, counted.minors, counted.subjects_eu) == (4, 3, 2, 3)
    assert (counted.records, found.unlisted, found.events) == (2 + 10 + 5, 8, 3)
    assert counted.categories == {"phone", "address"}


def test_scopes_together_count_everybody_once(evidence: Evidence, reader: ClickHouse) -> None:
    company = evidence.company
    whole = Period(T_US, T_US + 60 * SECOND_US)
    by_subject = Scope(company.tenant, company.key("subject:" + b"b".ljust(16, b"\0").hex()), whole)
    by_credential = Scope(company.tenant, company.key("credential:" + CREDENTIAL.hex()), whole)
    asked = IncidentEvidence(reader)
    assert asked.counted([evidence.scope, by_subject]).counted.subjects_all == 4
    assert asked.counted([evidence.scope, by_credential]).counted.subjects_all == 5
    assert asked.counted([by_subject]).counted.subjects_all == 3
    assert asked.counted([]).counted.subjects_all == 0
    for nobody in ("campaign:november", "system:lag", "subject:'; DROP TABLE x"):
        assert asked.counted([Scope(company.tenant, company.key(nobody), whole)]).events == 0
    another = Scope("another", f"another:{ACTOR.hex()}", whole)
    assert asked.counted([another]).events == 0


def test_an_incident_leads_to_its_alerts_their_events_and_those_merged_into_it(
    evidence: Evidence, reader: ClickHouse, clickhouse_settings: Any
) -> None:
    asked, incident = IncidentEvidence(reader), evidence.company.incident(ACTOR.hex())
    (place,) = asked.alerts(incident.incident_id)
    assert place.event_id == evidence.event_ids[0]
    assert asked.event_ids([evidence.scope]) == sorted(evidence.event_ids[:4])
    (known,) = asked.family(incident.incident_id)
    assert (known.incident_key, known.state, known.merged_into) == (incident.incident_key, "open", "")
    assert incident.incident_id in {one.incident_id for one in asked.teaching_nothing()}
    evidence.company.store = open_incidents(clickhouse_settings)
    evidence.company.command("resolve", key=ACTOR.hex(), verdict="benign")
    assert incident.incident_id not in {one.incident_id for one in asked.teaching_nothing()}
    evidence.company.store.close()
