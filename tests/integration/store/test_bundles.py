"""Bundles out of the running engine: what is exported verifies with public keys only, and any change of it is found."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.bundle_reading import StoredEvidence
from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.store import ClickHouseStore
from pipeline.audit.evidence import EvidenceTree, Exported, by_tree, export_range, export_selection
from pipeline.cli import evidence_archive
from pipeline.cli.evidence import SIGNED_WITHIN_S, await_signed
from pipeline.cli.evidence_archive import EvidenceArchives
from pipeline.columns import ACCESS_EVENT_COLUMNS
from pipeline.errors import UsageError
from pipeline.events import LogPosition
from pipeline.ledger.bundle_check import verify_bundle
from pipeline.ledger.bundle_writing import BundleWriter
from pipeline.ledger.checkpoint import Checkpoint, TreeName
from pipeline.ledger.signed_note import PrivateKey
from pipeline.ledger.verify import Report
from tests.batches import RECEIVED_AT_US, Batch, batch, same_text
from tests.rows import row_values
from tests.unit.versions.deployment import Deployment

pytestmark = pytest.mark.stack

KEY = PrivateKey("accesstrail", bytes(range(32)))
ALWAYS = (0, 2**62)


@dataclass(slots=True)
class History:
    """Six sealed batches of 33 offsets; signed after the second and the fifth."""

    position: LogPosition
    batches: list[Batch]
    source: StoredEvidence
    folder: Path

    @property
    def tree(self) -> EvidenceTree:
        return EvidenceTree(self.position, 0)

    def signed_at(self, number: int) -> bytes:
        entry = self.batches[number].entry
        return Checkpoint(TreeName("accesstrail", self.position), entry.tree_size, entry.root).signed([KEY])

    def range(self, span: tuple[int, int] = ALWAYS, name: str = "bundle") -> Exported:
        with BundleWriter(self.folder / name, "accesstrail") as writer:
            made = export_range(self.source, [self.tree], *span, writer)
            writer.finish("range", {}, RECEIVED_AT_US)
        return made

    def selection(self, offsets: list[int], name: str = "bundle") -> Exported:
        with BundleWriter(self.folder / name, "accesstrail") as writer:
            places = [(self.position, offset) for offset in offsets]
            made = export_selection(self.source, by_tree(places, [self.tree]), writer)
            writer.finish("selection", {}, RECEIVED_AT_US)
        return made

    def verify(self, *kept: bytes, name: str = "bundle") -> Report:
        return verify_bundle(self.folder / name, [KEY.public], kept)


@pytest.fixture
def history(
    store: ClickHouseStore, reader: ClickHouse, migrator: ClickHouse, position: LogPosition, tmp_path: Path
) -> Iterator[History]:
    made = History(position, [], StoredEvidence(reader), tmp_path)
    for number in range(6):
        one = batch(position, made.batches[-1].entry if made.batches else None, events=30, dead_letters=3, seed=number)
        one.commit(store)
        made.batches.append(one)
    for number in (1, 4):
        sign(migrator, made, number)
    yield made
    migrator.query(f"ALTER TABLE accesstrail_raw.checkpoints DELETE WHERE incarnation = '{position.incarnation}'")


def sign(migrator: ClickHouse, history: History, number: int) -> None:
    entry = history.batches[number].entry
    migrator.query(
        "INSERT INTO accesstrail_raw.checkpoints (topic, incarnation, partition, epoch, tree_size, root, note, "
        "signed_at) SELECT {topic:String}, {life:String}, {part:UInt32}, 0, {size:UInt64}, unhex({root:String}), "
        "{note:String}, fromUnixTimestamp64Micro({at:Int64}, 'UTC')",
        {
            "topic": entry.topic, "life": entry.incarnation, "part": entry.partition, "size": entry.tree_size,
            "root": entry.root.hex(), "note": history.signed_at(number).decode(), "at": RECEIVED_AT_US + number,
        },
    )  # fmt: skip


def test_the_whole_tree_verifies_and_what_is_not_signed_yet_is_said(history: History) -> None:
    made = history.range()
    assert made == Exported(trees=1, rows=198, unsigned=33)
    report = history.verify()
    assert set(report.findings.counts) <= {"not_covered", "sequence_missing"}, report.findings.told
    [(_, counts)] = report.trees
    assert (counts.leaves, counts.events, counts.dead_letters, counts.covered) == (198, 180, 18, 165)
    assert report.findings.counts["not_covered"] == 1


def test_rows_that_were_just_sealed_are_waited_for_until_a_notary_signs_them(
    history: History, migrator: ClickHouse
) -> None:
    offsets, slept = {history.tree: [3, 190]}, list[float]()

    def signs(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            sign(migrator, history, 5)

    await_signed(history.source, offsets, signs, lambda: sum(slept))
    assert len(slept) == 3
    assert history.selection([3, 190]).rows == 2
    await_signed(history.source, offsets | {EvidenceTree(history.position, 1): []}, signs, lambda: sum(slept))
    assert len(slept) == 3, "what is signed is not waited for"


def test_where_nobody_signs_the_wait_ends_and_the_export_says_so(history: History) -> None:
    slept: list[float] = []
    await_signed(history.source, {history.tree: [190]}, slept.append, lambda: sum(slept))
    assert SIGNED_WITHIN_S <= sum(slept) <= SIGNED_WITHIN_S + 1
    with pytest.raises(UsageError) as refused:
        history.selection([190])
    assert refused.value.code == "not_signed_yet"


def test_a_range_in_the_middle_begins_behind_an_entry_and_leads_to_a_later_checkpoint(history: History) -> None:
    begin, end = RECEIVED_AT_US + 40_000, RECEIVED_AT_US + 100_000  # offset n is received n milliseconds later
    assert history.range((begin, end)) == Exported(trees=1, rows=99, unsigned=0)
    report = history.verify(history.signed_at(4))
    assert not report.findings.has_differences, report.findings.told
    assert "not_covered" not in report.findings.counts
    [(_, counts)] = report.trees
    assert counts.leaves == 99
    assert counts.covered == 132


def test_a_kept_checkpoint_that_the_bundle_hides_is_found(history: History) -> None:
    history.range()
    assert history.verify(history.signed_at(5)).findings.counts["not_covered"] == 0
    other = Checkpoint(TreeName("accesstrail", history.position), 198, bytes(32)).signed([KEY])
    assert history.verify(other).findings.counts["checkpoint_root"] == 1
    beyond = Checkpoint(TreeName("accesstrail", history.position), 230, bytes(32)).signed([KEY])
    assert history.verify(beyond).findings.counts["checkpoint_beyond"] == 1


@pytest.mark.parametrize("offsets", [[0], [31, 40, 41, 77], list(range(0, 165, 7))])
def test_rows_of_a_selection_are_each_proven(history: History, offsets: list[int]) -> None:
    assert history.selection(offsets).rows == len(offsets)
    report = history.verify()
    assert report.findings.told == []
    [(_, counts)] = report.trees
    assert counts.covered == len(offsets)


def test_a_row_that_nobody_has_signed_is_not_handed_out_as_proven(history: History) -> None:
    with pytest.raises(UsageError, match="not behind a signed checkpoint"):
        history.selection([170])


@pytest.mark.parametrize("seed", range(30))
def test_no_changed_byte_of_a_bundle_passes(seed: int, history: History) -> None:
    chance = random.Random(seed)
    if seed % 2:
        history.range((0, RECEIVED_AT_US + 150_000))
    else:
        history.selection([3, 40, 99, 131])
    assert not history.verify().findings.has_differences
    path = chance.choice(sorted(one for one in (history.folder / "bundle").rglob("*") if one.is_file()))
    content = bytearray(path.read_bytes())
    at = chance.randrange(len(content))
    content[at] ^= 1 << chance.randrange(8)
    path.write_bytes(bytes(content))
    assert history.verify().findings.has_differences or path.name == "manifest.json"


VERIFIER = Path(__file__).parents[3] / "deploy" / "verifier"


@pytest.mark.parametrize("make", [lambda one: one.range(), lambda one: one.selection([0, 33, 34, 100])])
def test_the_stand_alone_verifier_says_the_same(history: History, make: Callable[[History], Exported]) -> None:
    make(history)
    assert stand_alone(history) == (3 if history.verify().findings.is_incomplete else 0)


def stand_alone(history: History, text: str = "") -> int:
    """How the verifier that stands alone ends on the bundle; what it prints holds `text`."""
    keys = history.folder / "keys"
    keys.write_text(f"{KEY.public}\n")
    command = [sys.executable, "-m", "accesstrail_verify", str(history.folder / "bundle"), "--keys", str(keys)]
    told = subprocess.run(command, cwd=VERIFIER, capture_output=True, text=True, check=False, timeout=60)
    assert text in told.stdout, told.stdout + told.stderr
    return told.returncode


def _tokens(history: History) -> tuple[str, list[str], int]:
    """A data subject of the signed batches, hex, and how many accesses name it."""
    rows = [row for one in history.batches[:5] for row in row_values(one.events, ACCESS_EVENT_COLUMNS)]
    token = next(row["subject_tokens"][0] for row in rows if row["subject_tokens"])
    return rows[0]["tenant_id"], [token], sum(token in row["subject_tokens"] for row in rows)


@pytest.fixture
def tenant(monkeypatch: pytest.MonkeyPatch) -> str:
    """Rows of a tenant of their own: the store is shared, and so are the few tokens of random rows."""
    name = f"t-{uuid.uuid4().hex}"
    made = batch

    def of_tenant(*given: Any, **more: Any) -> Batch:
        return made(*given, **more, change=lambda rows: same_text(rows, "tenant_id", name))

    monkeypatch.setattr(f"{__name__}.batch", of_tenant)
    return name


def _archives(history: History, reader: ClickHouse) -> EvidenceArchives:
    settings = Deployment(history.folder / "deployment").settings()
    return EvidenceArchives(settings, reader)


def test_the_consoles_archive_holds_a_bundle_that_verifies_and_leaves_no_draft(
    tenant: str, history: History, reader: ClickHouse
) -> None:
    name, tokens, count = _tokens(history)
    assert name == tenant
    archives = _archives(history, reader)
    found = archives.of_subject(tenant, tokens, ALWAYS, RECEIVED_AT_US)
    assert (found.rows, found.trees) == (count, 1)
    with zipfile.ZipFile(io.BytesIO(found.body)) as packed:
        packed.extractall(history.folder / "got")
    folder = history.folder / "got" / found.name.removesuffix(".zip")
    assert sha256((folder / "manifest.json").read_bytes()).hexdigest() == found.fingerprint
    assert json.loads((folder / "manifest.json").read_text())["query"] == {"by": "subject"}
    report = verify_bundle(folder, [KEY.public], [history.signed_at(4)])
    assert report.findings.told == []
    assert sum(counts.covered for _, counts in report.trees) == count
    assert (history.folder / "got" / "HOW-TO-VERIFY.txt").is_file()
    assert list((history.folder / "deployment").glob(".bundle-*")) == []
    assert archives.of_subject(tenant, tokens, ALWAYS, RECEIVED_AT_US) == found, "the same evidence, the same archive"


@pytest.mark.parametrize(("limit", "value"), [("MOST_BYTES", 100), ("MOST_SPAN", 10), ("LONGEST_S", -1.0)])
def test_the_consoles_archive_is_refused_beyond_each_of_its_limits(
    tenant: str, history: History, reader: ClickHouse, monkeypatch: pytest.MonkeyPatch, limit: str, value: float
) -> None:
    _, tokens, _ = _tokens(history)
    monkeypatch.setattr(evidence_archive, limit, value)
    with pytest.raises(UsageError) as refused:
        _archives(history, reader).of_subject(tenant, tokens, ALWAYS, RECEIVED_AT_US)
    assert refused.value.code == "export_large"
    assert list((history.folder / "deployment").glob(".bundle-*")) == []


RAW, AT_ONCE = "accesstrail_raw", "SETTINGS mutations_sync = 2"


@pytest.fixture
def pruned(history: History, reader: ClickHouse, migrator: ClickHouse, position: LogPosition) -> Iterator[History]:
    """The same history; what a run of retention leaves of the rows up to offset 50, of every kind, and of 70."""
    due = "incarnation = {life:String} AND (offset <= 50 OR offset = 70)"
    life = {"life": position.incarnation}
    rows = [row for row in history.source.rows_between(history.tree, 0, 197) if row.offset <= 50 or row.offset == 70]
    for row in rows:
        leaf(migrator, position, row.offset, row.leaf)
    assert {row.table for row in rows} == {"E", "D"}
    for table in ("access_events", "dead_letters"):
        migrator.query(f"ALTER TABLE {RAW}.{table} DELETE WHERE {due} {AT_ONCE}", life)
        assert reader.query(f"SELECT count() FROM accesstrail.{table} WHERE {due}", life) == [(0,)]
    yield history
    for table in ("access_events", "dead_letters", "ledger", "pruned_leaves"):
        migrator.query(f"ALTER TABLE {RAW}.{table} DELETE WHERE incarnation = {{life:String}} {AT_ONCE}", life)


def leaf(migrator: ClickHouse, position: LogPosition, offset: int, value: bytes, run_id: str = "") -> None:
    """What is left of a row."""
    migrator.query(
        f"INSERT INTO {RAW}.pruned_leaves (topic, incarnation, partition, epoch, offset, last_offset, leaf_hash, "
        "run_id) SELECT {topic:String}, {life:String}, {part:UInt32}, 0, {at:UInt64}, {at:UInt64}, "
        "unhex({leaf:String}), toUUID({run:String})",
        {
            "topic": position.topic, "life": position.incarnation, "part": position.partition, "at": offset,
            "leaf": value.hex(), "run": run_id or "5d0c9a31-0000-4000-8000-000000000000",
        },
    )  # fmt: skip


def test_a_range_with_pruned_rows_verifies_by_their_hashes(pruned: History) -> None:
    assert pruned.range((0, RECEIVED_AT_US + 150_000)) == Exported(trees=1, rows=165, unsigned=0)
    report = pruned.verify(pruned.signed_at(4))
    assert not report.findings.has_differences, report.findings.told
    [(_, counts)] = report.trees
    assert (counts.leaves, counts.pruned, counts.covered) == (165, 52, 165)
    assert counts.events + counts.dead_letters == 165 - 52
    assert stand_alone(pruned, "52 pruned") == 0


def test_a_range_behind_pruned_rows_leads_over_them_to_the_next_checkpoint(pruned: History) -> None:
    """Nothing of the first batch is left; the way to the first checkpoint goes over pruned rows."""
    assert pruned.range((0, RECEIVED_AT_US + 10_000)) == Exported(trees=1, rows=33, unsigned=0)
    report = pruned.verify()
    assert not report.findings.has_differences, report.findings.told
    assert "not_covered" not in report.findings.counts
    [(_, counts)] = report.trees
    assert (counts.leaves, counts.pruned, counts.covered) == (33, 33, 33)


def test_a_pruned_row_of_a_selection_is_proven_by_its_hash_too(pruned: History) -> None:
    assert pruned.selection([0, 40, 51, 70, 71]).rows == 5
    report = pruned.verify()
    assert not report.findings.has_differences, report.findings.told
    [(_, counts)] = report.trees
    assert (counts.pruned, counts.covered) == (3, 5)
    assert stand_alone(pruned, "3 pruned") == 0


def test_a_leaf_whose_row_is_still_there_or_that_two_runs_wrote_is_one_row(
    pruned: History, migrator: ClickHouse
) -> None:
    by_offset = {row.offset: row for row in pruned.source.rows_between(pruned.tree, 0, 197)}
    for offset in (40, 100):
        leaf(migrator, pruned.position, offset, by_offset[offset].leaf, "5d0c9a31-0000-4000-8000-000000000001")
    assert [row.offset for row in pruned.source.rows_between(pruned.tree, 0, 197)] == list(range(198))
    assert {row.offset: row for row in pruned.source.rows_between(pruned.tree, 0, 197)} == by_offset
    assert by_offset[100].table == "E"


@pytest.mark.parametrize("offset", [40, 100])
def test_another_hash_at_a_place_goes_into_the_bundle_and_is_found(
    offset: int, pruned: History, migrator: ClickHouse
) -> None:
    leaf(migrator, pruned.position, offset, b"x" * 32, "5d0c9a31-0000-4000-8000-000000000001")
    pruned.range((0, RECEIVED_AT_US + 150_000))
    assert pruned.verify().findings.has_differences
    assert stand_alone(pruned) == 1
