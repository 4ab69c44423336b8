"""The rows of a bundle beside the entries that seal them: which rows are whose, and each row by itself (check 6).

Place in the flow: under `ledger/bundle_check.py`; hands `ledger/verify.py` one entry with its rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.errors import BundleMalformed
from pipeline.events import LEAF_KINDS, codes
from pipeline.ledger.bundle_rows import DEAD_LETTER_ROW, EVENT_ROW, INCIDENT_ROW, PRUNED_ROW, BundleRow
from pipeline.ledger.bundle_sequences import Sequences
from pipeline.ledger.checkpoint import TreeName
from pipeline.ledger.verify import HIDDEN, Findings, Leaves, TreeCounts
from pipeline.ports import LedgerEntry

_KINDS = codes(LEAF_KINDS)


class RowJudge:
    """Looks at each row of a tree in the order of the file, and counts."""

    def __init__(self, name: TreeName, findings: Findings, sequences: Sequences, *, has_entries: bool) -> None:
        self.counts = TreeCounts()
        place = name.position
        self.place = (place.topic.encode(), place.incarnation.encode(), place.partition)
        self._tables = (EVENT_ROW, DEAD_LETTER_ROW) if has_entries else (INCIDENT_ROW,)
        self._tree, self._findings, self._sequences = str(name), findings, sequences
        self._last_offset = -1

    def look_at(self, row: BundleRow, leaf: int) -> None:
        """Whether it can be read, lies in its tree, and behind the row before. Hides a row of a wrong table."""
        counts = self.counts
        counts.leaves += 1
        if row.table == PRUNED_ROW:
            counts.pruned += 1
            return
        if not row.problem and row.table not in self._tables:
            row.problem, row.kind = "this tree has no rows of its table", HIDDEN
        if row.problem:
            self._findings.add("leaf_kind", self._tree, f"leaf {leaf}: {row.problem}", row.offset)
            self._sequences.is_partial = True
            return
        if row.place != self.place:
            self._findings.add("row_order", self._tree, "a row of another tree", row.offset)
        elif row.offset <= self._last_offset:
            self._findings.add("row_order", self._tree, "the offsets do not rise", row.offset)
        self._last_offset = row.last_offset
        self._count(row)

    def look_at_good(
        self, kinds: Mapping[int, int], unscored: int, offsets: npt.NDArray[np.int64],
        last_offsets: npt.NDArray[np.int64], counters: Iterable[tuple[tuple[bytes, bytes, bytes], int]],
    ) -> None:  # fmt: skip
        """The same of rows of which nothing is to be told: how many of each kind, and the sources' own counters."""
        if not len(offsets):
            return
        counts = self.counts
        counts.leaves += len(offsets)
        counts.events += kinds.get(_KINDS["event"], 0)
        counts.dead_letters += kinds.get(_KINDS["dead_letter"], 0)
        counts.gaps += kinds.get(_KINDS["gap"], 0)
        counts.unscored += unscored
        for source, number in counters:
            self._sequences.add(source, number)
        counts.first_offset = int(offsets[0]) if counts.first_offset < 0 else counts.first_offset
        counts.last_offset = self._last_offset = int(last_offsets[-1])

    def _count(self, row: BundleRow) -> None:
        counts = self.counts
        if row.kind == _KINDS["event"]:
            counts.events += 1
            counts.unscored += row.unscored
            if row.source_seq >= 0:
                self._sequences.add(row.source, row.source_seq)
        elif row.kind == _KINDS["dead_letter"]:
            counts.dead_letters += 1
        elif row.kind == _KINDS["gap"]:
            counts.gaps += 1
        counts.first_offset = row.offset if counts.first_offset < 0 else counts.first_offset
        counts.last_offset = row.last_offset


def batches(
    entries: Sequence[LedgerEntry], rows: Iterator[BundleRow], judge: RowJudge, first_leaf: int, path: str
) -> Iterator[tuple[LedgerEntry, Leaves]]:
    """Each entry with its rows. A row goes to the entry whose range holds its offset; one without, by the counts.

    Raises: BundleMalformed: there are rows and no entries.
    """
    at, taken = 0, list[BundleRow]()
    for row in rows:
        if not entries:
            raise BundleMalformed(f"{path} holds no entry for the rows")
        judge.look_at(row, first_leaf + judge.counts.leaves)
        while at + 1 < len(entries) and _begins_next(row, entries[at], entries[at + 1], len(taken)):
            yield entries[at], _leaves(entries[at], taken)
            at, taken = at + 1, []
        taken.append(row)
    for entry in entries[at:]:
        yield entry, _leaves(entry, taken)
        taken = []


def _begins_next(row: BundleRow, entry: LedgerEntry, following: LedgerEntry, taken: int) -> bool:
    is_full = taken >= max(0, entry.tree_size - entry.tree_size_before)
    if row.kind == HIDDEN:
        return is_full
    if row.offset <= entry.last_offset:
        return False
    return is_full or following.first_offset <= row.offset <= following.last_offset


def _leaves(entry: LedgerEntry, rows: Sequence[BundleRow]) -> Leaves:
    hidden = [row.kind == HIDDEN for row in rows]
    return Leaves(
        np.array([-1 if none else row.offset for row, none in zip(rows, hidden, strict=True)], np.int64),
        np.array([-1 if none else row.last_offset for row, none in zip(rows, hidden, strict=True)], np.int64),
        np.array([row.received_at_us for row in rows], np.int64),
        np.array([row.kind for row in rows], np.uint8),
        np.array([row.version for row in rows], np.uint8),
        np.array([row.unscored and row.kind != HIDDEN for row in rows], np.uint8),
        np.array([row.subjects if row.kind != HIDDEN else 0 for row in rows], np.int64),
        np.full(len(rows), entry.batch_id, np.uint64),
        [row.leaf for row in rows],
    )
