"""Retention on the running engine: what has had its time goes, holds keep theirs, every tree still verifies."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.evidence_reading import EvidenceReader
from pipeline.adapters.holds import HoldReader, HoldWriter
from pipeline.adapters.retention import BY_POSITION, Due, RetentionStore
from pipeline.adapters.store import ClickHouseStore
from pipeline.audit.rights_events import RETENTION, lettered
from pipeline.cli.retention_job import RetentionJob, nothing
from pipeline.column_batch import ColumnBatch, FixedColumn, uuid_bytes
from pipeline.columns import ACCESS_EVENT_COLUMNS
from pipeline.errors import Away, StoreRefused
from pipeline.events import ACTIONS, LogPosition, codes
from pipeline.ledger.verify import Report
from pipeline.migrations.rederive import REBUILDS
from pipeline.retention.holds import Hold
from pipeline.retention.runs import RetentionRun
from tests.batches import RECEIVED_AT_US, Batch, batch, same_text
from tests.integration.store.test_verify_store import MUTATE, RAW, History, OneTree
from tests.rows import row_values

pytestmark = [pytest.mark.stack, pytest.mark.whole_store]

DUE_BEFORE = 140
"""Rows with smaller offsets have had their time: four batches and a part of the fifth."""
STEPS = ("planned", "announced", "leaves", "deleting", *BY_POSITION, *REBUILDS)


class Killed(Exception):
    """The process ends here."""


@dataclass
class Company:
    """A history of one tenant, whose rows are of a class of their own, and the role that deletes."""

    history: History
    store: ClickHouseStore
    retention: ClickHouse
    tenant: str
    run: RetentionRun
    announced: list[RetentionRun] = field(default_factory=list)

    def announce(self, run: RetentionRun, due: Due) -> None:
        """As the worker stores the access event."""
        self.announced.append(run)

        def change(rows: ColumnBatch) -> None:
            same_text(rows, "tenant_id", self.tenant)
            for name, text in (
                ("source_system", "accesstrail"), ("resource_type", RETENTION),
                ("query_fingerprint", lettered(run.digest)),
            ):  # fmt: skip
                same_text(rows, name, text)
            rows.columns["event_id"] = FixedColumn(np.frombuffer(uuid_bytes(uuid.UUID(run.run_id)), "V16"))
            rows.columns["action"] = FixedColumn(np.array([codes(ACTIONS)["log_control"]], np.int8))

        made = batch(
            self.history.position, self.history.last, events=1, dead_letters=1, seed=4, change=change,
            retention_class=self.run.retention_class,
        )  # fmt: skip
        made.commit(self.store)
        self.history.batches.append(made)

    def job(self, between: Callable[[str], None] = nothing, *, waits: bool = True) -> RetentionJob:
        evidence = OneTree(self.retention, self.history.position)
        return RetentionJob(
            RetentionStore(self.retention), HoldReader(self.retention), evidence, "accesstrail", self.announce,
            lambda look: waits and look(), between, page_rows=40,
        )  # fmt: skip

    def verify(self) -> Report:
        return self.history.verify()

    def rows(self, table: str) -> list[int]:
        sql = f"SELECT offset FROM accesstrail.{table} WHERE incarnation = {{life:String}} ORDER BY offset"
        return [row[0] for row in self.history.reader.query(sql, {"life": self.history.position.incarnation})]

    def values(self) -> dict[int, dict[str, object]]:
        made = self.history.batches
        return {one["offset"]: one for each in made for one in row_values(each.events, ACCESS_EVENT_COLUMNS)}


@pytest.fixture
def company(
    store: ClickHouseStore, reader: ClickHouse, migrator: ClickHouse, position: LogPosition,
    connect_as: Callable[[str], ClickHouse],
) -> Iterator[Company]:  # fmt: skip
    tenant = f"t-{uuid.uuid4().hex}"
    bound_us = RECEIVED_AT_US + DUE_BEFORE * 1000
    run = RetentionRun(
        run_id=str(uuid.uuid4()), retention_class=tenant, days=0, provision_days=0, bound_us=bound_us,
        provision_bound_us=bound_us,
    )  # fmt: skip
    previous, batches = None, list[Batch]()
    for _ in range(6):
        made = batch(
            position, previous, events=30, dead_letters=3, seed=uuid.uuid4().int % 2**31, retention_class=tenant,
            change=lambda rows: same_text(rows, "tenant_id", tenant),
        )  # fmt: skip
        previous = made.commit(store)
        batches.append(made)
    yield Company(History(position, batches, reader, migrator), store, connect_as("retention"), tenant, run)
    for table in (*BY_POSITION, *REBUILDS, "ledger", "pruned_leaves"):
        migrator.query(f"ALTER TABLE {RAW}.{table} DELETE WHERE incarnation = '{position.incarnation}' {MUTATE}")
    migrator.query(f"ALTER TABLE {RAW}.retention_runs DELETE WHERE retention_class = '{tenant}' {MUTATE}")
    migrator.query(f"ALTER TABLE {RAW}.legal_holds DELETE WHERE tenant_id = '{tenant}' {MUTATE}")


def test_rows_past_their_time_go_and_the_tree_verifies_with_their_hashes(company: Company) -> None:
    before = company.values()
    assert company.verify().findings.told == []
    made = company.job().run(company.run)
    assert made is not None
    run, due = made
    assert run == company.run
    assert company.announced == [run]
    dead = [offset for offset in range(DUE_BEFORE) if offset % 33 >= 30]
    assert (due.events, due.dead_letters, due.held) == (DUE_BEFORE - len(dead), len(dead), 0)
    for table in BY_POSITION:
        assert [one for one in company.rows(table) if one < DUE_BEFORE] == [], table
    assert [one for one in company.rows("access_events") if one < 198] == [one for one in before if one >= DUE_BEFORE]
    report = company.verify()
    assert report.findings.told == []
    [(_, counts)] = report.trees
    assert (counts.leaves, counts.pruned, counts.events) == (200, DUE_BEFORE, len(before) - due.events + 1)
    assert "subject_access" in report.derived
    assert company.job().run(replace(company.run, run_id=str(uuid.uuid4()))) is None, "nothing is left to delete"


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_between_any_two_steps_loses_nothing_and_the_next_run_ends_it(company: Company, step: str) -> None:
    def killed(at: str) -> None:
        if at == step:
            raise Killed

    with pytest.raises(Killed):
        company.job(killed).run(company.run)
    between = company.verify().findings
    assert not between.has_differences
    made = company.job().run(replace(company.run, run_id=str(uuid.uuid4())))
    assert made is not None
    assert made[0] == company.run, "what was begun is ended first"
    assert len(company.announced) == 1
    report = company.verify()
    assert report.findings.told == []
    assert report.trees[0][1].pruned == DUE_BEFORE


def test_an_alert_that_was_changed_while_a_run_has_not_ended_is_found(company: Company) -> None:
    """Whoever keeps a run from ending keeps nobody from looking at alerts."""

    def killed(at: str) -> None:
        if at == "access_events":
            raise Killed

    with pytest.raises(Killed):
        company.job(killed).run(company.run)
    company.history.do(f"ALTER TABLE {RAW}.alerts UPDATE actor_token = 'x' WHERE MINE {MUTATE}")
    findings = company.verify().findings
    assert findings.counts["retention_unended"] == 1
    assert findings.counts["derived"] >= 1


def test_alerts_of_scheduled_detectors_stay_whatever_event_they_show(company: Company) -> None:
    """They belong to no batch, and the log of incidents has read them: one that is gone is a difference."""
    life = {"life": company.history.position.incarnation}
    company.history.powerful.query(
        f"INSERT INTO {RAW}.alerts SELECT * REPLACE (generateUUIDv4() AS alert_id, toUInt64(0) AS batch_id) FROM "
        f"(SELECT * FROM {RAW}.alerts WHERE incarnation = {{life:String}} ORDER BY offset LIMIT 1)",
        life,
    )
    [(alert_id, offset)] = company.history.reader.query(
        "SELECT alert_id, offset FROM accesstrail.alerts WHERE incarnation = {life:String} AND batch_id = 0", life
    )
    assert offset < DUE_BEFORE
    detail = {
        "topic": company.history.position.topic, "incarnation": company.history.position.incarnation,
        "partition": company.history.position.partition, "offset": offset, "stage": "final", "digest": "",
    }  # fmt: skip
    company.history.powerful.query(
        f"INSERT INTO {RAW}.incident_log (topic, incarnation, partition, offset, kind, alert_id, detail) SELECT "
        "'access.incidents', {life:String}, 9, 0, 'alert', {alert:UUID}, {detail:String}",
        {**life, "alert": str(alert_id), "detail": json.dumps(detail)},
    )
    try:
        assert company.verify().findings.told == []
        assert company.job().run(company.run) is not None
        assert company.rows("alerts")[0] == offset
        assert company.verify().findings.told == []
    finally:
        company.history.do(f"ALTER TABLE {RAW}.incident_log DELETE WHERE MINE {MUTATE}")


def _place(company: Company, writer: HoldWriter, **fields: object) -> Hold:
    hold = Hold(hold_id=str(uuid.uuid4()), tenant=company.tenant, scope="actor", by="ab" * 16)
    hold = replace(hold, **fields)  # type: ignore[arg-type]
    writer.place(hold, str(uuid.uuid4()))
    return hold


@pytest.mark.parametrize("step", ["before", "leaves"])
def test_what_is_held_stays_also_where_the_hold_comes_in_during_the_run(
    company: Company, connect_as: Callable[[str], ClickHouse], step: str
) -> None:
    writer, values = HoldWriter(connect_as("responder")), company.values()
    kept = {offset: values[offset] for offset in (5, 70, 136)}
    subject = next(one for one in values.values() if one["offset"] < 100 and one["subject_tokens"])  # type: ignore[operator]

    def place(at: str) -> None:
        if at == step:
            _place(company, writer, actors=tuple(str(one["actor_token"]) for one in kept.values()))
            _place(company, writer, subjects=(str(subject["subject_tokens"][0]),))  # type: ignore[index]

    place("before")
    assert company.job(place).run(company.run) is not None
    left = [one for one in company.rows("access_events") if one < DUE_BEFORE]
    assert set(left) >= {5, 70, 136, subject["offset"]}
    assert set(company.rows("subject_access")) >= {subject["offset"]}
    report = company.verify()
    assert report.findings.told == []
    assert report.trees[0][1].pruned == DUE_BEFORE - len(left)
    for hold in HoldReader(company.history.reader).in_force():
        if hold.tenant == company.tenant:
            writer.release(hold, str(uuid.uuid4()))
    second = replace(company.run, run_id=str(uuid.uuid4()))
    assert company.job().run(second) is not None
    assert [one for one in company.rows("access_events") if one < DUE_BEFORE] == []
    assert company.verify().findings.told == []


def test_nothing_is_deleted_where_a_tree_does_not_verify(company: Company) -> None:
    company.history.do(f"ALTER TABLE {RAW}.access_events UPDATE purpose = 'x' WHERE MINE AND offset = 40 {MUTATE}")
    with pytest.raises(StoreRefused) as caught:
        company.job().run(company.run)
    assert caught.value.code == "not_verified"
    assert len([one for one in company.rows("access_events") if one < 198]) == 180


def test_nothing_is_deleted_before_the_announcement_is_in_the_evidence(company: Company) -> None:
    with pytest.raises(Away):
        company.job(waits=False).run(company.run)
    assert len([one for one in company.rows("access_events") if one < 198]) == 180


def _forged(sql: str) -> str:
    leaves = f"{RAW}.pruned_leaves"
    return f"INSERT INTO {leaves} SELECT * REPLACE ({sql}) FROM (SELECT * FROM {leaves} WHERE MINE AND offset = 40)"


def _invented(stage: str) -> str:
    runs = f"{RAW}.retention_runs"
    return (
        f"INSERT INTO {runs} SELECT * REPLACE (generateUUIDv4() AS run_id) FROM (SELECT * FROM {runs} "
        f"WHERE OURS AND stage = '{stage}')"
    )


LEAF_OF_ROW = "toUInt64(170) AS offset, toUInt64(170) AS last_offset, BATCH AS batch_id, unhex('LEAF') AS leaf_hash"
DELETE_ROW = f"ALTER TABLE {RAW}.access_events DELETE WHERE MINE AND offset = 170 {MUTATE}"


@pytest.mark.parametrize(
    ("statements", "code"),
    [
        # another hash than the row had
        ((_forged("toFixedString('x', 32) AS leaf_hash"),), "row_order"),
        ((f"ALTER TABLE {RAW}.pruned_leaves DELETE WHERE MINE AND offset = 40 {MUTATE}",), "offset_missing"),
        # a row that is still there is said to be pruned
        ((_forged(LEAF_OF_ROW),), "row_order"),
        # a row is deleted and its right hash put in its place: it was received after the run's bound
        ((_forged(LEAF_OF_ROW), DELETE_ROW), "pruned_uncovered"),
        ((_forged(f"{LEAF_OF_ROW}, toUUID('5d0c9a31-0000-4000-8000-000000000000') AS run_id"), DELETE_ROW),
         "pruned_uncovered"),
        # the run is made to cover it
        ((f"ALTER TABLE {RAW}.retention_runs UPDATE bound = bound + 3600 WHERE OURS {MUTATE}",), "pruned_uncovered"),
        ((f"ALTER TABLE {RAW}.retention_runs DELETE WHERE OURS {MUTATE}",), "pruned_uncovered"),
        # a run that nobody announced, of which no leaf is
        ((_invented("done"),), "pruned_uncovered"),
        ((_invented("deleting"),), "pruned_uncovered"),
        # what it says that it deleted
        ((f"ALTER TABLE {RAW}.retention_runs UPDATE events = 1 WHERE OURS {MUTATE}",), "pruned_uncovered"),
        ((f"ALTER TABLE {RAW}.pruned_leaves UPDATE source = 'dead_letters' WHERE MINE {MUTATE}",), "pruned_uncovered"),
        # the end of a tree's beginning
        ((f"ALTER TABLE {RAW}.pruned_leaves DELETE WHERE MINE AND offset < 3 {MUTATE}",), "entry_root"),
    ],
)  # fmt: skip
def test_what_only_looks_pruned_is_found(company: Company, statements: tuple[str, ...], code: str) -> None:
    assert company.job().run(company.run) is not None
    leaf = EvidenceReader(company.history.reader, "engine")._leaf(ACCESS_EVENT_COLUMNS)
    life = {"life": company.history.position.incarnation}
    [(batch_id, hash_hex)] = company.history.reader.query(
        f"SELECT batch_id, hex({leaf}) FROM accesstrail.access_events "
        "WHERE incarnation = {life:String} AND offset = 170",
        life,
    )
    for sql in statements:
        filled = sql.replace("LEAF", hash_hex).replace("BATCH", f"toUInt64({batch_id})")
        company.history.do(filled.replace("OURS", f"retention_class = '{company.tenant}'"))
    report = company.verify()
    assert code in report.findings.counts
    assert report.findings.has_differences
