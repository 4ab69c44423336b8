"""Rows a second and core that verification does: of a store by both ways, of a bundle, of the stand-alone verifier.

`make bench-verify`, or `python -m tests.bench.verification --rows 200000`. A synthetic sealed history in a real local
ClickHouse, signed at its end; then the same history as a bundle. Seconds are CPU: of this process or the verifier's own
process, and beside it of the server. `trees` is reading and checking of the rows, `whole` also what is derived.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from deploy.local.configuration import settings as state_settings
from deploy.local.supervisor import run_file
from pipeline.adapters.bundle_reading import StoredEvidence
from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.evidence_reading import ENGINE, HERE, EvidenceReader, Tree
from pipeline.adapters.store import open_store
from pipeline.audit.evidence import EvidenceTree, export_range
from pipeline.cli.stack_run import StackOptions, end, launch
from pipeline.cli.verification import StoreVerification
from pipeline.column_batch import ColumnBatch, FixedColumn
from pipeline.config import Settings
from pipeline.events import LogPosition
from pipeline.ledger.bundle_check import verify_bundle
from pipeline.ledger.bundle_writing import BundleWriter
from pipeline.ledger.checkpoint import Checkpoint, TreeName, open_checkpoint
from pipeline.ledger.signed_note import PrivateKey
from pipeline.ledger.verify import Findings, TreeCheck
from pipeline.ports import LedgerEntry
from tests.batches import RECEIVED_AT_US, batch
from tests.bench.system import sample

_DEPLOYMENT = "accesstrail"
_KEY = PrivateKey(_DEPLOYMENT, bytes(range(32)))
_PLACE = LogPosition("access.events", "bench-life", 0)
_VERIFIER = Path(__file__).parents[2] / "deploy" / "verifier"
_DEAD_LETTERS = 10
"""Of every batch."""


def fill(settings: Settings, rows: int, batch_rows: int) -> LedgerEntry:
    """Commits sealed batches of random rows; the last entry."""
    store = open_store(settings.clickhouse)
    previous: LedgerEntry | None = None
    for number in range(max(1, rows // batch_rows)):
        events = batch_rows - _DEAD_LETTERS
        made = batch(
            _PLACE, previous, events=events, dead_letters=_DEAD_LETTERS, seed=10 * number, change=_without_counters
        )
        previous = made.commit(store)
    store.close()
    assert previous is not None
    return previous


def _without_counters(events: ColumnBatch) -> None:
    """Random counters of sources would be holes, one after the other."""
    events.columns["source_seq"] = FixedColumn(np.full(events.count, -1, np.int64))


def sign(migrator: ClickHouse, entry: LedgerEntry) -> bytes:
    """The checkpoint of the whole history, as the notary stores it."""
    note = Checkpoint(TreeName(_DEPLOYMENT, _PLACE), entry.tree_size, entry.root).signed([_KEY])
    migrator.query(
        "INSERT INTO accesstrail_raw.checkpoints (topic, incarnation, partition, epoch, tree_size, root, note, "
        "signed_at) SELECT {topic:String}, {life:String}, {part:UInt32}, 0, {size:UInt64}, unhex({root:String}), "
        "{note:String}, now64(6)",
        {
            "topic": _PLACE.topic, "life": _PLACE.incarnation, "part": _PLACE.partition, "size": entry.tree_size,
            "root": entry.root.hex(), "note": note.decode(),
        },
    )  # fmt: skip
    return note


def verified_trees(reader: EvidenceReader, note: bytes) -> int:
    """Rows read and checked; what is derived is left out. Raises: SystemExit: something differs."""
    checkpoint, _ = open_checkpoint(note, [_KEY.public])
    findings = Findings()
    check = TreeCheck(checkpoint.name, [checkpoint], findings)
    for entry, leaves in reader.batches(Tree(_PLACE, 0), checkpoint.size):
        check.entry(entry, leaves)
    check.end()
    _must_be_right(findings, check.counts.covered, checkpoint.size)
    return checkpoint.size


def verified_store(reader: EvidenceReader, questions: ClickHouse, note: bytes) -> int:
    """Rows of the whole run. Raises: SystemExit: something differs."""
    report = StoreVerification(reader, questions, _DEPLOYMENT, [_KEY.public], [note], wait_s=0).run()
    [(_, counts)] = report.trees
    _must_be_right(report.findings, counts.covered, counts.leaves)
    return counts.leaves


def bundled(questions: ClickHouse, folder: Path) -> int:
    """Writes the history as a bundle; its rows."""
    with BundleWriter(folder, _DEPLOYMENT) as writer:
        made = export_range(StoredEvidence(questions), [EvidenceTree(_PLACE, 0)], 0, 2**62, writer)
        writer.finish("range", {}, RECEIVED_AT_US)
    return made.rows


def verified_bundle(folder: Path) -> int:
    """Rows of the bundle. Raises: SystemExit: something differs."""
    report = verify_bundle(folder, [_KEY.public], [])
    [(_, counts)] = report.trees
    _must_be_right(report.findings, counts.covered, counts.leaves)
    return counts.leaves


def _must_be_right(findings: Findings, covered: int, leaves: int) -> None:
    if findings.has_differences or covered != leaves:
        raise SystemExit(f"the history does not verify: {findings.told[:3]}")


def alone(folder: Path, keys: Path) -> None:
    """The verifier in a process of its own. Raises: SystemExit: it says that something differs."""
    command = [sys.executable, "-m", "accesstrail_verify", str(folder), "--keys", str(keys)]
    told = subprocess.run(command, cwd=_VERIFIER, capture_output=True, text=True, check=False)
    if told.returncode:
        raise SystemExit(f"the verifier ended with {told.returncode}: {told.stdout[-500:]}")


def _children_cpu_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def measured(
    what: str, run: Callable[[], object], rows: int, server: int, cpu_s: Callable[[], float] = time.process_time
) -> dict[str, object]:
    """Rows a second of CPU of the verifying process, of the server beside it, and by the clock."""
    server_s, begun, own_s = sample(server).cpu_s, time.monotonic(), cpu_s()
    run()
    own_s, clock_s, server_s = cpu_s() - own_s, time.monotonic() - begun, sample(server).cpu_s - server_s
    return {
        "what": what, "rows_per_cpu_s": round(rows / own_s), "rows_per_server_cpu_s": round(rows / max(server_s, 0.01)),
        "rows_per_cpu_s_of_both": round(rows / (own_s + server_s)), "rows_per_s": round(rows / clock_s),
    }  # fmt: skip


def _steps(options: argparse.Namespace, state: Path) -> Iterator[dict[str, object]]:
    stack = launch(state, StackOptions(worker=False), say=lambda text: None, tied=True)
    try:
        settings = state_settings(state, {})
        facts = json.loads(run_file(state).read_text(encoding="utf-8"))
        server = next(int(one["pid"]) for one in facts["processes"] if one["name"] == "clickhouse")
        migrator = connect(replace(settings.clickhouse, timeout_s=600), "migrator")
        reader = connect(settings.clickhouse, "reader")
        last = fill(settings, options.rows, options.batch)
        note, rows = sign(migrator, last), last.tree_size
        yield {"rows": rows, "rows_a_batch": options.batch}
        for leaves in (HERE, ENGINE):
            source = EvidenceReader(reader, leaves)
            for _ in range(options.runs):
                yield measured(f"store, trees, {leaves}", partial(verified_trees, source, note), rows, server)
            yield measured(f"store, whole, {leaves}", partial(verified_store, source, reader, note), rows, server)
        folder, keys = state / "bundle", state / "bundle-keys"
        keys.write_text(f"{_KEY.public}\n", encoding="utf-8")
        yield measured("bundle written", partial(bundled, reader, folder), rows, server)
        yield {"bytes_a_row": round(sum(one.stat().st_size for one in folder.rglob("rows.bin")) / rows)}
        for _ in range(options.runs):
            yield measured("bundle", partial(verified_bundle, folder), rows, server)
            yield measured("bundle, alone", partial(alone, folder, keys), rows, server, _children_cpu_s)
        reader.close()
        migrator.close()
    finally:
        end(stack)


def main() -> None:
    """Fills, measures; prints one JSON object a step."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.verification", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=2_000, help="rows a batch (default 2000)")
    parser.add_argument("--runs", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-verify-") as folder:
        for step in _steps(options, Path(folder) / "state"):
            print(json.dumps(step), flush=True)


if __name__ == "__main__":
    main()
