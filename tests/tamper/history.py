"""A store with one honest history of three partitions, whose partitions are kept beside it and put back."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.evidence_reading import EvidenceReader
from pipeline.adapters.store import ClickHouseStore, open_store
from pipeline.cli.verification import StoreVerification
from pipeline.config import ClickHouseSettings
from pipeline.errors import AccesstrailError
from pipeline.events import LogPosition
from pipeline.ledger.checkpoint import Checkpoint, TreeName
from pipeline.ledger.merkle import Frontier
from pipeline.ledger.signed_note import PrivateKey
from pipeline.ledger.verify import Findings
from tests.batches import RECEIVED_AT_US, Batch, batch

RAW = "accesstrail_raw"
KEY = PrivateKey("accesstrail", bytes(range(32)))
DERIVED = ("subject_access", "risk_actor_1h", "risk_resource_1d", "sources", "alerts", "features")
EVIDENCE = ("access_events", "dead_letters", "ledger", "incident_log", "checkpoints")
TABLES = (*EVIDENCE, *DERIVED)
BATCHES, PARTITIONS = 6, 3
LIFE = "honest-life"


@dataclass(slots=True)
class TamperedStore:
    """The history, who may read it, and who may do everything."""

    store: ClickHouseStore
    reader: ClickHouse
    powerful: ClickHouse
    batches: dict[int, list[Batch]] = field(default_factory=dict)
    kept: list[bytes] = field(default_factory=list)
    """The newest checkpoints, as an anchor outside has them."""

    @classmethod
    def made(cls, settings: ClickHouseSettings) -> TamperedStore:
        made = cls(open_store(settings), connect(settings, "reader"), connect(settings, "migrator"))
        for partition in range(PARTITIONS):
            made.batches[partition] = made.grown(partition, [], BATCHES, seed=partition)
            for one in made.batches[partition][1::2]:
                made.sign(made.checkpoint_of(one))
        made._log()
        for table in TABLES:
            made.do(f"CREATE TABLE {RAW}.{table}_kept AS {RAW}.{table}")
            for part in made.partitions(table):
                made.do(f"ALTER TABLE {RAW}.{table}_kept REPLACE PARTITION ID '{part}' FROM {RAW}.{table}")
        assert made.verify().counts == {}, made.verify().told
        return made

    def grown(self, partition: int, before: list[Batch], count: int, seed: int) -> list[Batch]:
        """Batches sealed behind others."""
        position, found = LogPosition("access.events", LIFE, partition), list(before)
        for number in range(count):
            previous = found[-1].entry if found else None
            one = batch(position, previous, events=20, dead_letters=2, seed=seed * 1000 + number)
            one.commit(self.store)
            found.append(one)
        return found

    def checkpoint_of(self, one: Batch) -> Checkpoint:
        entry = one.entry
        name = TreeName("accesstrail", LogPosition(entry.topic, entry.incarnation, entry.partition))
        return Checkpoint(name, entry.tree_size, entry.root)

    def sign(self, checkpoint: Checkpoint, *, is_kept: bool = True) -> None:
        """Signs and stores one, as the notary does."""
        note, place = checkpoint.signed([KEY]), checkpoint.name.position
        if is_kept:
            self.kept.append(note)
        self.do(
            f"INSERT INTO {RAW}.checkpoints (topic, incarnation, partition, epoch, tree_size, root, note, signed_at) "
            "SELECT {topic:String}, {life:String}, {part:UInt32}, 0, {size:UInt64}, unhex({root:String}), "
            "{note:String}, fromUnixTimestamp64Micro({at:Int64}, 'UTC')",
            {
                "topic": place.topic, "life": place.incarnation, "part": place.partition, "size": checkpoint.size,
                "root": checkpoint.root.hex(), "note": note.decode(), "at": RECEIVED_AT_US + checkpoint.size,
            },
        )  # fmt: skip

    def _log(self) -> None:
        place = LogPosition("access.incidents", LIFE, 0)
        self.do(
            f"INSERT INTO {RAW}.incident_log (topic, incarnation, partition, offset, incident_key, why, received_at) "
            f"SELECT 'access.incidents', '{LIFE}', 0, number, 'key', toString(number), "
            f"fromUnixTimestamp64Micro({RECEIVED_AT_US}, 'UTC') FROM numbers(60)"
        )
        leaves = [leaf for _, page in EvidenceReader(self.reader).incident_leaves(place) for leaf in page]
        for size in (30, 60):
            self.sign(Checkpoint(TreeName("accesstrail", place), size, Frontier().append(leaves[:size]).root()))

    def do(self, sql: str, parameters: dict[str, object] | None = None) -> list[tuple[Any, ...]]:
        """As the all-powerful user."""
        return self.powerful.query(sql, parameters)

    def partitions(self, table: str) -> list[str]:
        sql = (
            f"SELECT DISTINCT partition_id FROM system.parts WHERE database = '{RAW}' AND active "
            "AND table = {t:String}"
        )
        return [row[0] for row in self.do(sql, {"t": table})]

    def verify(self) -> Findings:
        reader = EvidenceReader(self.reader)
        return StoreVerification(reader, self.reader, "accesstrail", [KEY.public], self.kept, wait_s=0).run().findings

    def put_back(self, tables: Iterable[str]) -> None:
        """Partitions as they were."""
        for table in tables:
            kept = set(self.partitions(f"{table}_kept"))
            for part in set(self.partitions(table)) - kept:
                self.do(f"ALTER TABLE {RAW}.{table} DROP PARTITION ID '{part}'")
            for part in sorted(kept):
                self.do(f"ALTER TABLE {RAW}.{table} REPLACE PARTITION ID '{part}' FROM {RAW}.{table}_kept")
            with suppress(AccesstrailError):
                self.do(f"DROP TABLE {RAW}.{table}_other SYNC")
