"""Rows of a bundle by the thousand and one by one: the same verdict in the same words, whatever was done to it."""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.events import LogPosition
from pipeline.ledger import bundle_blocks, bundle_check
from pipeline.ledger.bundle_check import verify_bundle
from pipeline.ledger.bundle_form import BundleFolder
from pipeline.ledger.bundle_rows import KNOWN, BundleRows
from pipeline.ledger.bundle_walk import RowJudge, batches
from pipeline.ledger.row_walk import Program, program_of, walk
from pipeline.ledger.signed_note import PublicKey
from pipeline.ledger.verify import Leaves, Report
from pipeline.ports import LedgerEntry
from tests.bundle_files import LEDGER, BundleFiles, packed
from tests.bundle_making import END_OF_LOG, Maker, Tree

ROWS, ENTRIES = "trees/0001/rows.bin", "trees/0001/entries.ndjson"
KEY = PublicKey.parse(LEDGER.public_line.strip())


@functools.cache
def _tree(*, ends: bool) -> Tree:
    tree = Tree(LogPosition("access.events", "q_8sT-0AAAA", 3), 4100)
    for kinds in ("EEEEDEEE", "E", "GEGE", "EDEEEEEEDDEEEE", "D", "EEEEEE"):
        tree.seal(kinds)
    if ends:
        tree.seal("G", END_OF_LOG)
    return tree


@functools.cache
def _files(*, first_entry: int = 0, ends: bool = False) -> dict[str, bytes]:
    tree, maker = _tree(ends=ends), Maker()
    signed = [tree.checkpoint(entry.tree_size, minute, LEDGER) for minute, entry in enumerate(tree.entries)]
    maker.add(tree, signed, first_entry=first_entry)
    return maker.done().files


def _bundle(*, first_entry: int = 0, ends: bool = False) -> BundleFiles:
    return BundleFiles(dict(_files(first_entry=first_entry, ends=ends)))


def _one_by_one(
    folder: BundleFolder, path: str, reading: BundleRows, entries: Sequence[LedgerEntry], judge: RowJudge,
    first_leaf: int, where: str,
) -> Iterator[tuple[LedgerEntry, Leaves]]:  # fmt: skip
    yield from batches(entries, reading.read(folder, path), judge, first_leaf, where)


def _verdict(report: Report) -> tuple[Any, ...]:
    trees = [(str(name), *(getattr(counts, field) for field in counts.__slots__)) for name, counts in report.trees]
    return report.findings.counts, report.findings.told, trees, report.notes


def _both(bundle: BundleFiles, chunk_bytes: int) -> tuple[Report, int]:
    """The report, and how many rows went one by one."""
    slow: list[int] = []

    def noted(*given: Any) -> Iterator[tuple[LedgerEntry, Leaves]]:
        for entry, leaves in batches(*given):
            slow.append(len(leaves.hashes))
            yield entry, leaves

    with tempfile.TemporaryDirectory() as folder:
        path = bundle.write(Path(folder) / "b")
        with patch.object(bundle_check, "fast_batches", _one_by_one):
            expected = verify_bundle(path, [KEY])
        with (
            patch.object(bundle_blocks, "CHUNK_BYTES", chunk_bytes),
            patch.object(bundle_blocks, "batches", noted),
        ):
            found = verify_bundle(path, [KEY])
    assert _verdict(found) == _verdict(expected)
    return found, sum(slow)


CHUNKS = st.sampled_from((64, 700, 5_000, 1 << 22))


@pytest.mark.parametrize("chunk_bytes", [1, 64, 700, 5_000, 1 << 22])
@pytest.mark.parametrize(("first_entry", "ends"), [(0, False), (2, False), (0, True), (3, True)])
def test_a_good_bundle_has_no_row_that_goes_one_by_one(chunk_bytes: int, first_entry: int, ends: bool) -> None:
    report, slow = _both(_bundle(first_entry=first_entry, ends=ends), chunk_bytes)
    assert not report.findings.has_differences
    assert slow == 0
    [(_, counts)] = report.trees
    tree = _tree(ends=ends)
    assert counts.leaves == len(tree.rows) - (tree.entries[first_entry].tree_size_before if first_entry else 0)


@given(at=st.floats(0, 1, exclude_max=True), byte=st.integers(1, 255), chunk_bytes=CHUNKS)
def test_any_byte_of_the_rows_may_be_another(at: float, byte: int, chunk_bytes: int) -> None:
    bundle = _bundle(ends=True)
    data = bytearray(bundle.files[ROWS])
    data[int(at * len(data))] ^= byte
    bundle.files[ROWS] = bytes(data)
    report, _ = _both(bundle, chunk_bytes)
    assert report.findings.has_differences


@given(begin=st.floats(0, 1), length=st.integers(0, 900), put=st.binary(max_size=40), chunk_bytes=CHUNKS)
def test_bytes_may_be_cut_out_and_put_in(begin: float, length: int, put: bytes, chunk_bytes: int) -> None:
    bundle = _bundle()
    data = bundle.files[ROWS]
    at = int(begin * len(data))
    bundle.files[ROWS] = data[:at] + put + data[at + length :]
    _both(bundle, chunk_bytes)


@given(data=st.data(), chunk_bytes=CHUNKS)
def test_rows_may_be_gone_doubled_swapped_renamed_or_hidden(data: st.DataObject, chunk_bytes: int) -> None:
    bundle = _bundle(first_entry=data.draw(st.integers(0, 3)), ends=data.draw(st.booleans()))
    rows = bundle.rows()
    for _ in range(data.draw(st.integers(1, 3))):
        one, other = (data.draw(st.integers(0, len(rows) - 1)) for _ in range(2))
        match data.draw(st.sampled_from(("gone", "doubled", "swapped", "table", "pruned", "longer", "shorter"))):
            case "gone" if len(rows) > 1:
                del rows[one]
            case "doubled":
                rows.insert(other, rows[one])
            case "swapped":
                rows[one], rows[other] = rows[other], rows[one]
            case "table":
                rows[one] = (data.draw(st.sampled_from("EDIPX")), rows[one][1])
            case "pruned":
                rows[one] = ("P", bytes(32))
            case "longer":
                rows[one] = (rows[one][0], rows[one][1] + b"\0")
            case "shorter":
                rows[one] = (rows[one][0], rows[one][1][: data.draw(st.integers(0, len(rows[one][1])))])
    bundle.files[ROWS] = packed(rows)
    _both(bundle, chunk_bytes)


@given(data=st.data(), chunk_bytes=CHUNKS)
def test_entries_may_say_otherwise(data: st.DataObject, chunk_bytes: int) -> None:
    bundle = _bundle(ends=data.draw(st.booleans()))
    entries = bundle.lines(ENTRIES)
    for _ in range(data.draw(st.integers(1, 2))):
        one = data.draw(st.integers(0, len(entries) - 1))
        if data.draw(st.booleans()) and len(entries) > 1:
            del entries[one]
            continue
        name = data.draw(st.sampled_from(("first_offset", "last_offset", "tree_size", "tree_size_before")))
        entries[one] = entries[one] | {name: max(0, entries[one][name] + data.draw(st.integers(-3, 3)))}
    bundle.set_lines(ENTRIES, entries)
    _both(bundle, chunk_bytes)


def test_rows_of_an_entry_are_copied_a_few_times_however_little_is_read_at_once() -> None:
    """What grows with rows times reads would not end for one entry of ten million rows."""
    copied = 0

    class Counted(bundle_blocks._Rows):
        @classmethod
        def joined(cls, parts: Sequence[bundle_blocks._Rows]) -> bundle_blocks._Rows:
            nonlocal copied
            copied += sum(map(len, parts)) if len(parts) > 1 else 0
            return super().joined(parts)

    tree, maker = Tree(LogPosition("access.events", "q_8sT-0AAAA", 3), 4100), Maker()
    tree.seal("E" * 300)
    maker.add(tree, [tree.checkpoint(300, 1, LEDGER)])
    with patch.object(bundle_blocks, "_Rows", Counted):
        _, slow = _both(maker.done(), 64)
    assert slow == 0
    assert 300 <= copied <= 900


def test_what_a_row_costs_does_not_grow_with_lists_of_other_versions() -> None:
    columns = dict(_known_columns())
    many = [("leaf_kind", "Enum8('event' = 1)"), ("canon_version", "UInt8")]
    many += [(f"more{number}", "Enum8('a' = 1)") for number in range(500)]
    more = columns | {("access_events", version): tuple(many) for version in range(3, 256)}
    few_s, many_s = (_walk_s(program_of({(0, version): one for (table, version), one in lists.items()
                     if table == "access_events"}, ((1,), (2, 3)))) for lists in (columns, more))  # fmt: skip
    assert many_s < 20 * few_s + 0.001


def _known_columns() -> dict[tuple[str, int], tuple[tuple[str, str], ...]]:
    return {place: tuple(pairs) for place, pairs in KNOWN.items()}


def _walk_s(program: Program) -> float:
    """The least of some runs over 500 events, seconds."""
    rows = _many_rows()
    data = np.frombuffer(rows, np.uint8)
    place = (np.frombuffer(b"access.events", np.uint8), np.frombuffer(b"q_8sT-0AAAA", np.uint8), 3)
    spent = []
    for _ in range(5):
        begun = time.perf_counter()
        found, _, _, _ = walk(data, 0, program, place, -1, 1000, 2)
        spent.append(time.perf_counter() - begun)
        assert len(found) == 500
    return min(spent)


@functools.cache
def _many_rows() -> bytes:
    tree = Tree(LogPosition("access.events", "q_8sT-0AAAA", 3), 4100)
    tree.seal("E" * 500)
    return packed(tree.rows)


def test_a_bundle_without_entries_is_said_to_hold_none() -> None:
    bundle = _bundle()
    bundle.files[ENTRIES] = b""
    report, _ = _both(bundle, 1 << 22)
    assert "bundle_malformed" in report.findings.counts


def test_columns_of_a_version_that_nobody_knows_are_walked_over_too() -> None:
    bundle = _bundle()
    columns = bundle.manifest["columns"]
    newer = {
        name.replace("/", "/9") if name.startswith(("access", "dead")) else name: one for name, one in columns.items()
    }
    rows = [(table, data[:1] + bytes([int(f"9{data[1]}")]) + data[2:]) for table, data in bundle.rows()]
    bundle.change_manifest(columns=newer)
    bundle.files[ROWS] = packed(rows)
    report, slow = _both(bundle, 1 << 22)
    assert slow == 0
    assert report.findings.counts["entry_root"] > 0
