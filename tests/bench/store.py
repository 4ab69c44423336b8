"""Bytes on disk and the time of a subject's history at millions of events, through the product's own chain.

`make bench-store`, or `python -m tests.bench.store --events 1000000 --state FOLDER`. Events go through `Chain.form` and
`commit_batch` into a real local ClickHouse; Kafka is left out. The folder keeps the data: a second run goes on where
the ledger ends. Size is measured after merges (`OPTIMIZE … FINAL`); lookups as role reader through the views, before
and after merges, each subject twice in a row.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from deploy.local.configuration import settings as state_settings
from detectors.profile import Profiles
from pipeline.adapters.access_reading import AccessReader
from pipeline.adapters.activations import open_activations
from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.store import open_store
from pipeline.audit.search import Question
from pipeline.batch import FormedBatch, PartitionMemory
from pipeline.cli.stack_run import StackOptions, end, launch
from pipeline.column_batch import ColumnBatch
from pipeline.config import Settings
from pipeline.events import Alert, LogPosition, RecordBatch
from pipeline.flow import Chain, commit_batch
from pipeline.migrations.schema import RAW
from pipeline.privacy.keys import Keyring
from pipeline.privacy.protector import Protectors
from pipeline.stages.duplicates import DuplicateWindow
from pipeline.version_sets.judgements import StoreAccess, stored_judgements
from tests.bench.workload import SUBJECTS, Workload, prepare

PARTITIONS = 8
_INCARNATION = "bench-life"
_COMMITTERS = 2
_LOOKUPS = 40
_LATEST_US = 4_102_444_800_000_000


class _NoPublisher:
    """Alerts go nowhere: Kafka is left out."""

    def publish(self, position: LogPosition, alerts: Sequence[Alert], rows: ColumnBatch) -> None:
        """Nothing."""


@dataclass(slots=True)
class _Partition:
    """One partition being loaded: events that wait, and the commit that runs."""

    memory: PartitionMemory
    offset: int = 0
    waiting: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    running: Future[FormedBatch] | None = None

    def add(self, records: list[tuple[int, bytes, bytes]]) -> None:
        """Records that come next in the log; those below the sealed offset are in the store already."""
        known = 0 if self.waiting or self.running else max(0, self.memory.next_offset - self.offset)
        self.waiting += records[known:]
        self.offset += len(records)

    def settle(self) -> None:
        """Waits for the running commit."""
        if self.running is not None:
            self.memory.commit(self.running.result().entry)
            self.running = None

    def take(self, count: int) -> RecordBatch:
        """The next records as the flow takes them."""
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        first = self.memory.next_offset
        return RecordBatch(
            self.memory.position,
            np.arange(first, first + len(taken), dtype=np.int64),
            np.array([received_ms for received_ms, _, _ in taken], np.int64) * 1000,
            [key for _, key, _ in taken],
            [line for _, _, line in taken],
        )


class Loader:
    """Forms batches in this thread and commits them in others, partition by partition in turn."""

    def __init__(self, settings: Settings) -> None:
        keyring = Keyring.load(settings.protection.token_keys_file)
        self._chain = Chain(Protectors(keyring))
        self._judgements = stored_judgements(
            settings,
            keyring,
            lambda: StoreAccess(open_store(settings.clickhouse), open_activations(settings.clickhouse)),
        )
        self._own = threading.local()
        self._committers = ThreadPoolExecutor(_COMMITTERS, initializer=self._connect, initargs=(settings,))
        store = open_store(settings.clickhouse)
        positions = [LogPosition("access.events", _INCARNATION, number) for number in range(PARTITIONS)]
        self.parts = [
            _Partition(PartitionMemory(position, store.last_entry(position), Profiles(), DuplicateWindow()))
            for position in positions
        ]
        store.close()

    def load(self, workload: Workload, events: int, batch: int) -> None:
        """Brings the store to `events` events; goes on behind what the ledger holds."""
        if sum(part.memory.next_offset for part in self.parts) >= events:
            return
        place, done, begun = workload.partitions(PARTITIONS), 0, time.monotonic()
        for day in workload.days():
            wanted = min(len(day.lines), events - done)
            whose = place[day.actors[:wanted]]
            for number, part in enumerate(self.parts):
                rows = np.flatnonzero(whose == number)
                part.add([(int(day.received_ms[i]), workload.keys[day.actors[i]], day.lines[i]) for i in rows])
            done += wanted
            self._form(batch, last=done >= events)
            print(f"{done:,} of {events:,} events, {time.monotonic() - begun:.0f} s", flush=True)
            if done >= events:
                break
        for part in self.parts:
            part.settle()
        self._committers.shutdown()

    def _form(self, batch: int, *, last: bool) -> None:
        while full := [part for part in self.parts if len(part.waiting) >= (1 if last else batch)]:
            for part in full:
                part.settle()
                formed = self._chain.form(part.take(batch), part.memory, self._judgements.current())
                part.running = self._committers.submit(self._commit, formed)

    def _connect(self, settings: Settings) -> None:
        self._own.store = open_store(settings.clickhouse)

    def _commit(self, formed: FormedBatch) -> FormedBatch:
        commit_batch(formed, self._own.store, _NoPublisher(), "bench")
        return formed


def sizes(migrator: ClickHouse) -> dict[str, object]:
    """Bytes on disk of every table and per event, and the dearest columns."""
    events = migrator.query(f"SELECT count() FROM {RAW}.access_events")[0][0]
    tables = migrator.query(
        "SELECT table, sum(bytes_on_disk), sum(rows), count(), sum(secondary_indices_compressed_bytes) "
        "FROM system.parts WHERE active AND database = {d:String} GROUP BY table ORDER BY 2 DESC",
        {"d": RAW},
    )
    columns = migrator.query(
        "SELECT table, name, data_compressed_bytes FROM system.columns WHERE database = {d:String} "
        "ORDER BY data_compressed_bytes DESC LIMIT 45",
        {"d": RAW},
    )
    return {
        "events": events,
        "bytes_per_event": round(sum(row[1] for row in tables) / events, 1),
        "tables": {
            table: {"bytes_per_event": round(size / events, 2), "rows": rows, "parts": parts,
                    "indexes_per_event": round(indexes / events, 2)}
            for table, size, rows, parts, indexes in tables
        },
        "dearest_columns": {f"{table}.{name}": round(size / events, 2) for table, name, size in columns},
    }  # fmt: skip


def merge(migrator: ClickHouse) -> None:
    """Merges every table to one part a partition."""
    names = migrator.query("SELECT DISTINCT table FROM system.parts WHERE active AND database = {d:String}", {"d": RAW})
    for (name,) in names:
        migrator.query(f"OPTIMIZE TABLE {RAW}.{name} FINAL")


def lookups(settings: Settings) -> dict[str, object]:
    """Milliseconds of a subject's newest 100 accesses: subjects of every popularity, each asked once, then again.

    What `accesstrail search --subject` asks: links of the token, the accesses, verdicts of those nothing explained.
    """
    keyring = Keyring.load(settings.protection.token_keys_file)
    reader = AccessReader(connect(settings.clickhouse, "reader"))
    anytime = Question(tenant="default", from_us=0, until_us=_LATEST_US)
    ranks = np.unique(np.geomspace(1, SUBJECTS - 1, _LOOKUPS).astype(int))
    first: list[float] = []
    again: list[float] = []
    rows = 0
    for rank in ranks.tolist():
        token = keyring.token("default", "subject", f"c-{100_000 + rank}").hex()
        for spent in (first, again):
            begun = time.perf_counter()
            found = reader.listed(replace(anytime, subjects=(token,)), 100)
            spent.append((time.perf_counter() - begun) * 1000)
        rows += len(found)
    reader.close()
    return {"first": _spread(first), "again": _spread(again), "rows_each": round(rows / len(ranks))}


def _spread(values_ms: list[float]) -> dict[str, float]:
    return {
        name: round(float(np.percentile(values_ms, share)), 1)
        for name, share in (("p50", 50), ("p95", 95), ("max", 100))
    }


def _steps(options: argparse.Namespace) -> Iterator[dict[str, object]]:
    state: Path = options.state
    workload = Workload(options.actors, options.events_a_day)
    if not (state / "model").exists():
        state.mkdir(parents=True, exist_ok=True)
        prepare(workload, state)
    stack = launch(state, StackOptions(worker=False, partitions=PARTITIONS), say=lambda text: None, tied=True)
    try:
        settings = state_settings(state, {})
        migrator = connect(replace(settings.clickhouse, timeout_s=600), "migrator")
        begun = time.process_time()
        Loader(settings).load(workload, options.events, options.batch)
        yield {"loader_cpu_s": round(time.process_time() - begun), "batch": options.batch}
        yield {"lookup_ms_unmerged": lookups(settings)}
        merge(migrator)
        yield sizes(migrator)
        yield {"lookup_ms_merged": lookups(settings)}
        migrator.close()
    finally:
        end(stack)


def size_options(module: str, about: str | None) -> argparse.Namespace:
    """The options of a bench over a store of many events: where it lies and how large it is."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=about)
    parser.add_argument("--state", type=Path, default=Path("/tmp/accesstrail-bench-store"))  # noqa: S108
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--actors", type=int, default=2_000)
    parser.add_argument("--events-a-day", type=int, default=111_000)
    parser.add_argument("--batch", type=int, default=5_000, help="events a batch (default 5000)")
    return parser.parse_args()


def main() -> None:
    """Loads, merges, measures; prints one JSON object a step."""
    for step in _steps(size_options("tests.bench.store", __doc__)):
        print(json.dumps(step, indent=1), flush=True)


if __name__ == "__main__":
    main()
