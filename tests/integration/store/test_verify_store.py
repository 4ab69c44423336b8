"""`verify --store` on the running engine: honest histories pass; what an all-powerful user changes by SQL is found."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.evidence_reading import ENGINE, HERE, EvidenceReader, Tree
from pipeline.adapters.store import ClickHouseStore
from pipeline.cli.verification import StoreVerification
from pipeline.events import LogPosition
from pipeline.incidents.records import AlertRecord, Explanation, seen_digest
from pipeline.ledger.checkpoint import Checkpoint, TreeName
from pipeline.ledger.merkle import Frontier
from pipeline.ledger.signed_note import PrivateKey
from pipeline.ledger.verify import Report
from pipeline.ports import LedgerEntry
from tests.batches import Batch, batch

pytestmark = [pytest.mark.stack, pytest.mark.whole_store]

KEY = PrivateKey("accesstrail", bytes(range(32)))
RAW = "accesstrail_raw"
MUTATE = "SETTINGS mutations_sync = 2"


class OneTree(EvidenceReader):
    """Reads one tree of the shared store."""

    def __init__(self, questions: ClickHouse, position: LogPosition, leaves: str = HERE, page_rows: int = 50) -> None:
        super().__init__(questions, leaves, page_rows)
        self._only = position

    def trees(self) -> list[Tree]:
        return [one for one in super().trees() if one.position == self._only]

    def signed_trees(self) -> list[Tree]:
        return [one for one in super().signed_trees() if one.position == self._only]

    def incident_trees(self) -> list[LogPosition]:
        return [one for one in super().incident_trees() if one == self._only]

    def strays(self) -> list[tuple[LogPosition, int, int]]:
        return [one for one in super().strays() if one[0].incarnation.startswith(self._only.incarnation)]

    def beyond(self) -> list[tuple[str, LogPosition, int]]:
        return [one for one in super().beyond() if one[1].incarnation == self._only.incarnation]

    def incident_places(self) -> list[LogPosition]:
        return [one for one in super().incident_places() if one == self._only]


@dataclass(slots=True)
class History:
    """A sealed history of one partition, its last checkpoint kept outside."""

    position: LogPosition
    batches: list[Batch]
    reader: ClickHouse
    powerful: ClickHouse

    @property
    def last(self) -> LedgerEntry:
        return self.batches[-1].entry

    @property
    def kept(self) -> bytes:
        name = TreeName("accesstrail", self.position)
        return Checkpoint(name, self.last.tree_size, self.last.root).signed([KEY])

    def verify(self, leaves: str = HERE) -> Report:
        reader = OneTree(self.reader, self.position, leaves)
        run = StoreVerification(reader, self.reader, "accesstrail", [KEY.public], [self.kept], wait_s=0)
        return run.run()

    def do(self, sql: str) -> None:
        self.powerful.query(sql.replace("MINE", f"incarnation = '{self.position.incarnation}'"))


@pytest.fixture
def history(
    store: ClickHouseStore, reader: ClickHouse, migrator: ClickHouse, position: LogPosition
) -> Iterator[History]:
    yield from sealed_history(store, reader, migrator, position)


def sealed_history(
    store: ClickHouseStore, reader: ClickHouse, migrator: ClickHouse, position: LogPosition
) -> Iterator[History]:
    """Six batches; taken out of the shared store afterwards, with whatever a test put beside them."""
    previous, batches = None, []
    for number in range(6):
        made = batch(position, previous, events=30, dead_letters=3, seed=1000 + number)
        previous = made.commit(store)
        batches.append(made)
    yield History(position, batches, reader, migrator)
    tables = (
        "access_events", "dead_letters", "alerts", "subject_access", "risk_actor_1h", "risk_resource_1d", "sources",
        "ledger", "features",
    )  # fmt: skip
    for table in tables:  # what was changed must not be seen by other tests
        migrator.query(f"ALTER TABLE {RAW}.{table} DELETE WHERE incarnation LIKE '{position.incarnation}%' {MUTATE}")


def test_an_honest_history_passes_by_both_ways_of_making_leaves(history: History) -> None:
    here, engine = history.verify(HERE), history.verify(ENGINE)
    assert here.findings.told == []
    assert here == engine
    [(name, counts)] = here.trees
    assert name.position == history.position
    assert (counts.leaves, counts.events, counts.dead_letters) == (198, 180, 18)
    assert counts.covered == 198


def test_merges_repetitions_and_leftovers_of_a_writer_that_lost_change_nothing(
    history: History, store: ClickHouseStore
) -> None:
    for made in history.batches:
        made.store_rows(store)
    zombie = batch(history.position, history.batches[3].entry, events=40, seed=77)
    zombie.store_rows(store)  # formed before it lost its partition, never sealed
    batch(history.position, history.last, events=10, seed=78).store_rows(store)  # killed before it sealed
    for table in ("access_events", "dead_letters", "subject_access", "alerts"):
        history.do(f"OPTIMIZE TABLE {RAW}.{table} FINAL")
    assert history.verify().findings.told == []


ROW = "MINE AND offset = 40"
EVENTS, DEAD = f"ALTER TABLE {RAW}.access_events", f"ALTER TABLE {RAW}.dead_letters"
LEDGER, SUBJECTS = f"ALTER TABLE {RAW}.ledger", f"ALTER TABLE {RAW}.subject_access"
TAMPERS: dict[str, tuple[str, str]] = {
    # an edit
    "edit a number": (f"{EVENTS} UPDATE records_returned = 7 WHERE {ROW} {MUTATE}", "entry_root"),
    "edit a text": (f"{EVENTS} UPDATE purpose = 'x' WHERE {ROW} {MUTATE}", "entry_root"),
    "edit who": (f"{EVENTS} UPDATE device_token = 'x' WHERE {ROW} {MUTATE}", "entry_root"),
    "empty a list": (f"{EVENTS} UPDATE subject_tokens = [] WHERE {ROW} {MUTATE}", "entry_root"),
    "hide a row": (f"{DEAD} UPDATE reason = 'x' WHERE MINE AND offset = 30 {MUTATE}", "entry_root"),
    # a deletion
    "delete a row": (f"{EVENTS} DELETE WHERE {ROW} {MUTATE}", "entry_root"),
    "delete a dead letter": (f"{DEAD} DELETE WHERE MINE AND offset = 31 {MUTATE}", "entry_root"),
    "delete an actor": (
        f"{EVENTS} DELETE WHERE MINE AND offset BETWEEN 50 AND 52 {MUTATE}", "offset_missing",
    ),
    "delete the end": (f"{EVENTS} DELETE WHERE MINE AND offset >= 165 {MUTATE}", "entry_root"),
    "delete the end and its entry": (
        f"{LEDGER} DELETE WHERE MINE AND first_offset >= 165 {MUTATE}", "checkpoint_beyond",
    ),
    "delete an entry": (f"{LEDGER} DELETE WHERE MINE AND first_offset = 66 {MUTATE}", "entry_chain"),
    "delete the whole tree": (f"{LEDGER} DELETE WHERE MINE {MUTATE}", "checkpoint_beyond"),
    # an insertion
    "insert a row": (
        f"INSERT INTO {RAW}.access_events SELECT * REPLACE (generateUUIDv4() AS event_id, now() AS event_time) "
        f"FROM {RAW}.access_events WHERE {ROW}", "row_order",
    ),
    "insert a row behind the end": (
        f"INSERT INTO {RAW}.access_events SELECT * REPLACE (toUInt64(100000) AS offset) FROM "
        f"(SELECT * FROM {RAW}.access_events WHERE {ROW})", "row_order",
    ),
    "insert a dead letter right behind the end": (
        f"INSERT INTO {RAW}.dead_letters SELECT * REPLACE (toUInt64(offset + 1) AS offset) FROM "
        f"(SELECT * FROM {RAW}.dead_letters WHERE MINE ORDER BY offset DESC LIMIT 1)", "row_order",
    ),
    "insert a row into another life": (
        f"INSERT INTO {RAW}.access_events SELECT * REPLACE (concat(incarnation, '-other') AS incarnation) "
        f"FROM (SELECT * FROM {RAW}.access_events WHERE {ROW})", "row_order",
    ),
    "insert an entry": (
        f"INSERT INTO {RAW}.ledger SELECT * REPLACE (toUInt64(1) AS n_events) FROM {RAW}.ledger "
        "WHERE MINE AND first_offset = 66", "entry_chain",
    ),
    # the ledger
    "edit a count": (f"{LEDGER} UPDATE n_unscored = 0 WHERE MINE AND first_offset = 33 {MUTATE}", "entry_hash"),
    "edit a root": (f"{LEDGER} UPDATE root = 'x' WHERE MINE AND first_offset = 33 {MUTATE}", "entry_hash"),
    "hide a batch": (f"{LEDGER} UPDATE batch_id = 1 WHERE MINE AND first_offset = 33 {MUTATE}", "entry_root"),
    # derived tables
    "hide from the subject": (
        f"{SUBJECTS} DELETE WHERE MINE AND offset BETWEEN 0 AND 60 {MUTATE}", "derived",
    ),
    "edit for the subject": (f"{SUBJECTS} UPDATE purpose = 'care' WHERE MINE {MUTATE}", "derived"),
    "edit a rollup": (f"ALTER TABLE {RAW}.risk_actor_1h UPDATE events = events + 1 WHERE MINE {MUTATE}", "derived"),
    "delete a rollup": (f"ALTER TABLE {RAW}.risk_resource_1d DELETE WHERE MINE {MUTATE}", "derived"),
    "edit a source": (f"ALTER TABLE {RAW}.sources UPDATE misrouted = misrouted + 1 WHERE MINE {MUTATE}", "derived"),
    "delete alerts": (f"ALTER TABLE {RAW}.alerts DELETE WHERE MINE {MUTATE}", "derived"),
    "blame another": (f"ALTER TABLE {RAW}.alerts UPDATE actor_token = 'x' WHERE MINE {MUTATE}", "derived"),
    "invent an alert": (
        f"INSERT INTO {RAW}.alerts SELECT * REPLACE (generateUUIDv4() AS alert_id) FROM {RAW}.alerts WHERE MINE "
        "LIMIT 1",
        "derived",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERS)
def test_what_an_all_powerful_user_changes_by_sql_is_found(name: str, history: History) -> None:
    sql, code = TAMPERS[name]
    history.do(sql)
    findings = history.verify().findings
    assert findings.counts[code] > 0, findings.told
    assert findings.has_differences


def test_a_partition_of_which_nothing_but_a_checkpoint_is_left_is_found_without_another_one(history: History) -> None:
    name = TreeName("accesstrail", history.position)
    history.powerful.query(
        f"INSERT INTO {RAW}.checkpoints (topic, incarnation, partition, tree_size, root, note) SELECT "
        "{topic:String}, {life:String}, {part:UInt32}, 198, unhex({root:String}), {note:String}",
        {
            "topic": history.position.topic, "life": history.position.incarnation, "root": history.last.root.hex(),
            "part": history.position.partition, "note": history.kept.decode(),
        },
    )  # fmt: skip
    for table in ("access_events", "dead_letters", "ledger"):
        history.do(f"ALTER TABLE {RAW}.{table} DELETE WHERE MINE {MUTATE}")
    reader = OneTree(history.reader, history.position)
    run = StoreVerification(reader, history.reader, "accesstrail", [KEY.public], wait_s=0)
    told = run.run().findings.told
    history.do(f"ALTER TABLE {RAW}.checkpoints DELETE WHERE MINE {MUTATE}")
    assert [(one.code, one.tree) for one in told if one.code != "derived"] == [("checkpoint_beyond", str(name))]


def test_one_difference_is_told_where_it_is(history: History) -> None:
    history.do(f"ALTER TABLE {RAW}.access_events UPDATE trace_id = 'x' WHERE {ROW} {MUTATE}")
    findings = history.verify().findings
    assert [(one.code, one.offset) for one in findings.told] == [("entry_root", 33)]


def test_an_edit_of_what_a_checkpoint_ends_with_is_told_of_both(history: History) -> None:
    history.do(f"ALTER TABLE {RAW}.access_events UPDATE trace_id = 'x' WHERE MINE AND offset = 170 {MUTATE}")
    assert history.verify().findings.counts == {"entry_root": 1, "checkpoint_root": 1, "not_covered": 1}


WHOLE: dict[str, tuple[str, str]] = {
    "subject_access": (
        "CREATE TABLE {t}_other AS {t}; EXCHANGE TABLES {t} AND {t}_other",
        "EXCHANGE TABLES {t} AND {t}_other; DROP TABLE {t}_other SYNC",
    ),
    "dead_letters": (
        "CREATE TABLE {t}_other AS {t}; EXCHANGE TABLES {t} AND {t}_other",
        "EXCHANGE TABLES {t} AND {t}_other; DROP TABLE {t}_other SYNC",
    ),
    "ledger": (
        "CREATE TABLE {t}_other AS {t}; EXCHANGE TABLES {t} AND {t}_other",
        "EXCHANGE TABLES {t} AND {t}_other; DROP TABLE {t}_other SYNC",
    ),
}


@pytest.mark.parametrize("table", ["subject_access", "dead_letters", "ledger"])
def test_a_table_in_another_s_place_is_found(table: str, history: History) -> None:
    begin, end = WHOLE[table]
    for sql in begin.format(t=f"{RAW}.{table}").split("; "):
        history.powerful.query(sql)
    try:
        assert history.verify().findings.has_differences
    finally:
        for sql in end.format(t=f"{RAW}.{table}").split("; "):
            history.powerful.query(sql)
    assert history.verify().findings.told == []


def test_a_partition_that_is_taken_out_is_found(history: History) -> None:
    month = "('standard', 202609)"
    history.powerful.query(f"ALTER TABLE {RAW}.access_events DETACH PARTITION {month}")
    try:
        assert history.verify().findings.counts["entry_root"] == 6
    finally:
        history.powerful.query(f"ALTER TABLE {RAW}.access_events ATTACH PARTITION {month}")
    assert history.verify().findings.told == []


@pytest.mark.parametrize("seed", range(12))
def test_any_changed_column_of_any_row_is_found(
    seed: int, history: History, connect_as: Callable[[str], ClickHouse]
) -> None:
    chance = random.Random(seed)
    numbers = ("records_matched", "bytes_out", "subject_count", "http_status", "risk", "anomaly_score", "sensitivity")
    texts = ("justification", "trace_id", "query_fingerprint", "resource_id", "endpoint", "app_id", "actor_dept")
    column = chance.choice(numbers + texts)
    value = f"{column} + 1" if column in numbers else f"'{uuid.uuid4().hex}'"
    offset = chance.choice([one for one in range(198) if one % 33 < 30])
    history.do(f"ALTER TABLE {RAW}.access_events UPDATE {column} = {value} WHERE MINE AND offset = {offset} {MUTATE}")
    findings: Any = history.verify().findings
    assert findings.counts["entry_root"] == 1
    assert [one.offset for one in findings.told if one.code == "entry_root"] == [offset - offset % 33]


# -- the log of incidents


@dataclass(slots=True)
class Log:
    """Forty rows of the log of incidents, signed at thirty and forty."""

    position: LogPosition
    reader: ClickHouse
    powerful: ClickHouse
    notes: list[bytes]

    @classmethod
    def made(cls, position: LogPosition, reader: ClickHouse, powerful: ClickHouse) -> Log:
        place = LogPosition("access.incidents", position.incarnation, 1)
        powerful.query(
            f"INSERT INTO {RAW}.incident_log (topic, incarnation, partition, offset, incident_key, why) SELECT "
            "'access.incidents', {life:String}, 1, number * 3, 'key', toString(number) FROM numbers(40)",
            {"life": place.incarnation},
        )
        made = cls(place, reader, powerful, [])
        leaves = [leaf for _, page in EvidenceReader(reader).incident_leaves(place) for leaf in page]
        for size in (30, 40):
            checkpoint = Checkpoint(TreeName("accesstrail", place), size, Frontier().append(leaves[:size]).root())
            made.notes.append(checkpoint.signed([KEY]))
        return made

    def verify(self, leaves: str = HERE) -> Report:
        reader = OneTree(self.reader, self.position, leaves, page_rows=7)
        return StoreVerification(reader, self.reader, "accesstrail", [KEY.public], self.notes, wait_s=0).run()

    def do(self, sql: str) -> None:
        mine = f"incarnation = '{self.position.incarnation}'"
        self.powerful.query(f"{sql.replace('MINE', mine)} {MUTATE}")


@pytest.fixture
def log(reader: ClickHouse, migrator: ClickHouse, position: LogPosition) -> Iterator[Log]:
    made = Log.made(position, reader, migrator)
    yield made
    made.do(f"ALTER TABLE {RAW}.incident_log DELETE WHERE MINE")


def test_the_log_of_incidents_is_verified_by_both_ways(log: Log) -> None:
    here = log.verify()
    assert here.findings.told == []
    assert [(counts.leaves, counts.covered, counts.last_offset) for _, counts in here.trees] == [(40, 40, 117)]
    assert log.verify(ENGINE) == here


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        (f"ALTER TABLE {RAW}.incident_log UPDATE why = 'x' WHERE MINE AND offset = 9", "checkpoint_root"),
        (
            f"ALTER TABLE {RAW}.incident_log UPDATE state_after = 'resolved' WHERE MINE AND offset = 117",
            "checkpoint_root",
        ),
        (f"ALTER TABLE {RAW}.incident_log DELETE WHERE MINE AND offset = 9", "checkpoint_root"),
        (f"ALTER TABLE {RAW}.incident_log DELETE WHERE MINE AND offset = 117", "checkpoint_beyond"),
        (f"ALTER TABLE {RAW}.incident_log DELETE WHERE MINE", "checkpoint_beyond"),
    ],
)
def test_a_changed_log_of_incidents_is_found(log: Log, sql: str, code: str) -> None:
    log.do(sql)
    assert log.verify().findings.counts[code] > 0


def test_a_row_put_into_the_log_of_incidents_is_found(log: Log) -> None:
    log.powerful.query(
        f"INSERT INTO {RAW}.incident_log SELECT * REPLACE (toUInt64(10) AS offset) FROM "
        f"(SELECT * FROM {RAW}.incident_log WHERE incarnation = {{life:String}} AND offset = 9)",
        {"life": log.position.incarnation},
    )
    assert log.verify().findings.counts["checkpoint_root"] == 2


# -- what an alert says


def logged(history: History) -> int:
    """As the responder reads each alert of the history: one row of the log, with the alert's digest."""
    rows = history.reader.query(
        "SELECT alert_id, topic, partition, offset, lower(hex(actor_token)), detector, risk, toString(severity), "
        "reasons, explanation_en, explanation_zh, seen FROM accesstrail.alerts WHERE incarnation = {life:String}",
        {"life": history.position.incarnation},
    )
    for number, (
        alert_id,
        topic,
        partition,
        offset,
        actor,
        detector,
        risk,
        severity,
        reasons,
        en,
        zh,
        seen,
    ) in enumerate(rows):
        record = AlertRecord(
            alert_id=alert_id, tenant_id="t", incident_key="k", topic=topic, incarnation=history.position.incarnation,
            partition=partition, offset=offset, event_time_us=0, actor_token=actor, detector=detector, risk=risk / 100,
            severity=severity, reasons=tuple(reasons), explanation=Explanation(en, zh),
        )  # fmt: skip
        place = {"topic": topic, "incarnation": history.position.incarnation, "partition": partition, "offset": offset}
        history.powerful.query(
            f"INSERT INTO {RAW}.incident_log (topic, incarnation, partition, offset, kind, alert_id, detail) SELECT "
            "'access.incidents', {life:String}, 9, {offset:UInt64}, 'alert', {alert:UUID}, {detail:String}",
            {
                "life": history.position.incarnation, "offset": number, "alert": str(alert_id),
                "detail": json.dumps({**place, "stage": "", "digest": record.digest, "seen": seen_digest(seen)}),
            },
        )  # fmt: skip
    return len(rows)


@pytest.mark.parametrize(
    "change",
    [
        "explanation_zh = 'nothing happened'",
        "risk = risk + 1",
        "reasons = []",
        "detector = 'x'",
        "seen = map()",
        "seen = mapApply((name, number) -> (name, number + 1), seen)",
    ],
)
def test_an_alert_says_what_the_log_of_incidents_has_read(change: str, history: History) -> None:
    try:
        assert logged(history) > 0
        assert history.verify().findings.told == []
        history.do(f"ALTER TABLE {RAW}.alerts UPDATE {change} WHERE MINE {MUTATE}")
        about = [one.about for one in history.verify().findings.told if one.code == "derived"]
        assert any("the log of incidents" in one for one in about)
    finally:
        history.do(f"ALTER TABLE {RAW}.incident_log DELETE WHERE MINE {MUTATE}")


def test_an_alert_under_another_id_is_found_although_the_log_has_read_the_one_that_stood_there(
    history: History,
) -> None:
    [(first,)] = history.reader.query(
        "SELECT toString(min(alert_id)) FROM accesstrail.alerts WHERE incarnation = {life:String}",
        {"life": history.position.incarnation},
    )
    history.do(
        f"INSERT INTO {RAW}.alerts SELECT * REPLACE (toUUID('00000000-0000-5000-8000-000000000001') AS alert_id, "
        f"'harmless' AS explanation_en) FROM {RAW}.alerts WHERE MINE AND alerts.alert_id = '{first}' "
        "SETTINGS insert_deduplicate = 0, prefer_column_name_to_alias = 1"
    )
    history.do(f"ALTER TABLE {RAW}.alerts DELETE WHERE MINE AND alert_id = '{first}' {MUTATE}")
    [told] = history.verify().findings.told
    assert told.code == "derived"
    assert "the id that its detector and its event give" in told.about
