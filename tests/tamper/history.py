"""A store with one honest history of three partitions, whose partitions are kept beside it and put back.

Two states are kept of each table: the newest, and an older one, as a backup from before has it: four of six batches,
no run of retention. A run of retention has taken the oldest rows of every partition.
"""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.evidence_reading import EvidenceReader
from pipeline.adapters.holds import HoldReader
from pipeline.adapters.incident_store import open_incidents
from pipeline.adapters.retention import RetentionStore
from pipeline.adapters.store import ClickHouseStore, _entry_row, open_store
from pipeline.audit.rights_events import RETENTION as RETENTION_EVENT
from pipeline.audit.rights_events import SOURCE_SYSTEM, lettered
from pipeline.cli.retention_job import RetentionJob, nothing
from pipeline.cli.verification import StoreVerification
from pipeline.column_batch import ColumnBatch, FixedColumn, uuid_bytes
from pipeline.columns import LEDGER_COLUMNS
from pipeline.config import RETENTION, Settings
from pipeline.errors import AccesstrailError
from pipeline.events import ACTIONS, LogPosition, codes
from pipeline.incidents.model import Position
from pipeline.incidents.records import AlertRecord, Explanation, seen_digest
from pipeline.ledger.checkpoint import Checkpoint, TreeName
from pipeline.ledger.merkle import Frontier
from pipeline.ledger.signed_note import PrivateKey, PublicKey
from pipeline.ledger.verify import Findings
from pipeline.response.roles import IncidentSnapshot
from pipeline.retention.runs import RetentionRun
from tests.batches import RECEIVED_AT_US, Batch, batch, same_text
from tests.incident_logs import World, command
from tests.tamper.tables import RAW, TABLES

KEY = PrivateKey("accesstrail", bytes(range(32)))
BATCHES, OLDER_BATCHES, PARTITIONS = 6, 4, 3
EVENTS, DEAD_LETTERS = 20, 2
DUE_BEFORE = 30
"""Rows of smaller offsets have had their time: one batch and a part of the second."""
LIFE = "honest-life"
CLASS = "standard"
LOG = LogPosition("access.incidents", LIFE, 0)
_LOG_ROWS, _INCIDENTS, _TENANT = 60, 4, "t"
_PART = re.compile(r"[^_]+_[0-9]+_[0-9]+_[0-9]+(_[0-9]+)?")
_FEATURES = (
    "partition, offset, received_at, event_time, actor_token, risk, versions_id, tenant_id, topic, incarnation, "
    "batch_id, batch_first_offset, batch_last_offset, retention_class"
)


@dataclass(slots=True)
class TamperedStore:
    """The history, who may read it, and who may do everything."""

    settings: Settings
    store: ClickHouseStore
    reader: ClickHouse
    powerful: ClickHouse
    batches: dict[int, list[Batch]] = field(default_factory=dict)
    kept: list[bytes] = field(default_factory=list)
    """The newest checkpoints, as an anchor outside has them."""
    world: World = field(default_factory=lambda: World(at_us=RECEIVED_AT_US))
    """Incident handling."""

    @classmethod
    def made(cls, settings: Settings) -> TamperedStore:
        """Grows the history and keeps both states of it."""
        of = settings.clickhouse
        made = cls(settings, open_store(of), connect(of, "reader"), connect(of, "migrator"))
        for count, state in ((OLDER_BATCHES, "older"), (BATCHES, "kept")):
            for partition in range(PARTITIONS):
                have = made.batches.get(partition, [])
                made.batches[partition] = made.grown(partition, have, count - len(have), seed=partition * 100 + count)
                for one in made.batches[partition][len(have) + 1 :: 2]:
                    made.sign(made.checkpoint_of(one))
            if state == "kept":
                made._features()
                made.retain(DUE_BEFORE)
            made._log(_LOG_ROWS * count // BATCHES)
            for table in TABLES:
                made.do(f"CREATE TABLE {RAW}.{table}_{state} AS {RAW}.{table}")
                made.copy(table, f"{table}_{state}")
            assert made.verify().counts == {}, made.verify().told
        return made

    def connect(self) -> None:
        """Anew, after the engine was away."""
        of = self.settings.clickhouse
        self.store, self.reader, self.powerful = open_store(of), connect(of, "reader"), connect(of, "migrator")

    def grown(self, partition: int, before: Sequence[Batch], count: int, seed: int) -> list[Batch]:
        """Batches sealed behind others."""
        position, found = LogPosition("access.events", LIFE, partition), list(before)
        for number in range(count):
            previous = found[-1].entry if found else None
            one = batch(position, previous, events=EVENTS, dead_letters=DEAD_LETTERS, seed=seed * 1000 + number)
            self.write(one)
            found.append(one)
        return found

    def write(self, one: Batch) -> None:
        """Rows, then the entry, as a worker does; under tokens of their own, since an engine remembers those of rows
        that were put back.
        """
        self.write_rows(one)
        token = uuid.uuid4().hex
        self.powerful.insert(f"{RAW}.ledger", _entry_row(one.entry, "test"), LEDGER_COLUMNS, token=token)

    def write_rows(self, one: Batch) -> None:
        """The rows alone: a writer that has not sealed."""
        token = uuid.uuid4().hex
        self.store.insert_events(one.events, token)
        self.store.insert_dead_letters(one.dead_letters, token)
        # Incident handling takes no alert without one.
        one.alerts.columns["severity"] = FixedColumn(np.maximum(one.alerts.fixed("severity"), 1))
        self.store.insert_alerts(one.alerts, token)

    def checkpoint_of(self, one: Batch) -> Checkpoint:
        """Of the tree as it is behind a batch."""
        entry = one.entry
        name = TreeName("accesstrail", LogPosition(entry.topic, entry.incarnation, entry.partition))
        return Checkpoint(name, entry.tree_size, entry.root)

    def sign(self, checkpoint: Checkpoint, *, is_kept: bool = True, key: PrivateKey = KEY) -> None:
        """Signs and stores one, as the notary does."""
        note, place = checkpoint.signed([key]), checkpoint.name.position
        if is_kept:
            self.kept.append(note)
        self.do(
            f"INSERT INTO {RAW}.checkpoints (topic, incarnation, partition, epoch, tree_size, root, note, signed_at) "
            "SELECT {topic:String}, {life:String}, {part:UInt32}, 0, {size:UInt64}, unhex({root:String}), "
            "{note:String}, fromUnixTimestamp64Micro({at:Int64}, 'UTC') SETTINGS insert_deduplicate = 0",
            {
                "topic": place.topic, "life": place.incarnation, "part": place.partition, "size": checkpoint.size,
                "root": checkpoint.root.hex(), "note": note.decode(), "at": RECEIVED_AT_US + checkpoint.size,
            },
        )  # fmt: skip

    # -- what else an honest store has

    def _log(self, size: int) -> None:
        """The log of incidents up to a size, as the responder makes it: alerts of the stream, then remarks."""
        alerts = self.reader.query(
            "SELECT alert_id, topic, partition, offset, lower(hex(actor_token)), detector, risk, toString(severity), "
            "reasons, explanation_en, explanation_zh, seen FROM accesstrail.alerts WHERE alert_id NOT IN "
            "(SELECT alert_id FROM accesstrail.incident_log) ORDER BY topic, partition, offset"
        )
        have = len(self.world.rows)
        for number, told in enumerate(alerts):
            self.world.put(_read(told, f"key {number % _INCIDENTS}"))
        while (number := len(self.world.rows)) < size:
            self.world.put(command("comment", tenant_id=_TENANT, incident_key=f"key {number % _INCIDENTS}"))
        rows = [
            replace(one, position=Position(LOG.topic, LIFE, LOG.partition, one.position.offset))
            for one in self.world.rows[have:]
        ]
        newest: dict[str, IncidentSnapshot] = {}
        for row in rows:
            incident = self.world.states[row.incident_key].incident(row.incident_id)
            if incident is not None:
                newest[row.incident_id] = IncidentSnapshot(incident, row.position, row.received_at_us)
        incidents = open_incidents(self.settings.clickhouse)
        incidents.append(rows, list(newest.values()), [], "test")
        incidents.close()
        self.sign(self.log_checkpoint(have + len(rows)))

    def log_checkpoint(self, size: int) -> Checkpoint:
        """Of the log of incidents as it stands."""
        leaves = [leaf for _, page in EvidenceReader(self.reader).incident_leaves(LOG) for leaf in page]
        return Checkpoint(TreeName("accesstrail", LOG), size, Frontier().append(leaves[:size]).root())

    def _features(self) -> None:
        """Of every fourth event."""
        self.do(
            f"INSERT INTO {RAW}.features ({_FEATURES}) SELECT {_FEATURES} FROM {RAW}.access_events WHERE offset % 4 = 0"
        )

    def retain(self, due_before: int, between: Callable[[str], None] = nothing) -> RetentionRun:
        """A run of retention takes the rows of smaller offsets; its announcement is an event of the last partition."""
        bound_us = RECEIVED_AT_US + due_before * 1000
        run = RetentionRun(
            run_id=str(uuid.uuid4()), retention_class=CLASS, days=0, provision_days=0, bound_us=bound_us,
            provision_bound_us=bound_us,
        )  # fmt: skip
        client = connect(self.settings.clickhouse, RETENTION)
        job = RetentionJob(
            RetentionStore(client), HoldReader(client), EvidenceReader(client), "accesstrail",
            lambda told, due: self._announce(told), lambda look: look(), between,
        )  # fmt: skip
        assert job.run(run) is not None
        client.close()
        return run

    def _announce(self, run: RetentionRun) -> None:
        def change(rows: ColumnBatch) -> None:
            for name, text in (
                ("source_system", SOURCE_SYSTEM), ("resource_type", RETENTION_EVENT),
                ("query_fingerprint", lettered(run.digest)),
            ):  # fmt: skip
                same_text(rows, name, text)
            rows.columns["event_id"] = FixedColumn(np.frombuffer(uuid_bytes(uuid.UUID(run.run_id)), "V16"))
            rows.columns["action"] = FixedColumn(np.array([codes(ACTIONS)["log_control"]], np.int8))

        number = PARTITIONS - 1
        previous = self.batches[number][-1].entry
        made = batch(previous.position, previous, events=1, dead_letters=1, seed=4, change=change)
        self.write(made)
        self.batches[number].append(made)
        self.sign(self.checkpoint_of(made))

    # -- looking at it and putting it back

    def do(self, sql: str, parameters: dict[str, object] | None = None) -> list[tuple[Any, ...]]:
        """As the all-powerful user."""
        return self.powerful.query(sql, parameters)

    def partitions(self, table: str) -> list[str]:
        """Ids of the partitions that have rows."""
        sql = (
            f"SELECT DISTINCT partition_id FROM system.parts WHERE database = '{RAW}' AND active "
            "AND table = {t:String} ORDER BY 1"
        )
        return [row[0] for row in self.do(sql, {"t": table})]

    def verify(self, *, alone: bool = False, keys: Sequence[PublicKey] = (KEY.public,)) -> Findings:
        """`alone`: without what is kept outside."""
        kept = [] if alone else self.kept
        reader = EvidenceReader(self.reader)
        return StoreVerification(reader, self.reader, "accesstrail", keys, kept, wait_s=0).run().findings

    def shown(self, table: str) -> object:
        """What readers see of a table, as a number: evidence is what the views show, and so is a change of it."""
        return self.do(f"SELECT count(), sum(cityHash64(tuple(*))) FROM accesstrail.{table}")

    def copy(self, source: str, target: str) -> None:
        """Makes a table what another is, by its partitions."""
        wanted = self.partitions(source)
        for part in set(self.partitions(target)) - set(wanted):
            self.do(f"ALTER TABLE {RAW}.{target} DROP PARTITION ID '{part}'")
        for part in wanted:
            self.do(f"ALTER TABLE {RAW}.{target} REPLACE PARTITION ID '{part}' FROM {RAW}.{source}")

    def folders(self) -> dict[Path, frozenset[Path]]:
        """Of each table its folder and the directories of its active parts."""
        sql = f"SELECT name, data_paths[1] FROM system.tables WHERE database = '{RAW}' AND name IN {{t:Array(String)}}"
        paths = {name: Path(path) for name, path in self.do(sql, {"t": list(TABLES)})}
        parts = f"SELECT table, path FROM system.parts WHERE database = '{RAW}' AND active"
        found: dict[str, set[Path]] = {name: set() for name in paths}
        for table, path in self.do(parts):
            if table in found:
                found[table].add(Path(path))
        return {paths[name]: frozenset(active) for name, active in found.items()}

    def put_back(self, tables: Iterable[str], state: str = "kept") -> None:
        """Partitions as they were."""
        for table in tables:
            self.copy(f"{table}_{state}", table)
            with suppress(AccesstrailError):
                self.do(f"DROP TABLE {RAW}.{table}_other SYNC")


def sweep(folders: Mapping[Path, frozenset[Path]]) -> None:
    """What an engine that stopped would have removed minutes later: parts that were replaced when tables were put back.

    One that starts reads them again, as it does whatever lies there.
    """
    for folder, active in folders.items():
        for one in folder.iterdir():
            if one.is_dir() and _PART.fullmatch(one.name) and one not in active:
                shutil.rmtree(one)


def _read(alert: Sequence[Any], key: str) -> AlertRecord:
    """The record that the responder read of an alert."""
    alert_id, topic, partition, offset, actor, detector, risk, severity, reasons, en, zh, seen = alert
    return AlertRecord(
        alert_id=alert_id, tenant_id=_TENANT, incident_key=key, topic=topic, incarnation=LIFE, partition=partition,
        offset=offset, event_time_us=RECEIVED_AT_US, actor_token=actor, detector=detector, risk=risk / 100,
        severity=severity, reasons=tuple(reasons), explanation=Explanation(en, zh), seen_digest=seen_digest(seen),
    )  # fmt: skip
