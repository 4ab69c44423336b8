"""Each row by itself and behind the one before (check 6), and what a tree's rows add up to."""

from __future__ import annotations

from .bundle import TreeRange
from .findings import Findings, TreeCounts
from .rows import Row
from .sequences import Sequences


class RowJudge:
    """Check 6 of each row of a tree, in the order of the file; counts what it sees."""

    def __init__(self, tree: TreeRange, found: Findings, counts: TreeCounts, sequences: Sequences) -> None:
        self._tree = tree
        self._found = found
        self._counts = counts
        self._sequences = sequences
        self._place = (tree.topic.encode(), tree.incarnation.encode(), tree.partition)
        self._tables = "ED" if tree.has_entries else "I"
        self._last_offset = -1

    def look_at(self, row: Row, leaf: int) -> None:
        """Whether the row can be read, is in its table and tree, and behind the one before."""
        counts = self._counts
        counts.leaves += 1
        if row.table == "P":
            counts.pruned += 1
            return
        problem = row.problem or ("" if row.table in self._tables else "a table that this tree has no rows of")
        if problem:
            row.problem = problem
            self._sequences.is_partial = True
            self._found.add("leaf_kind", self._tree.id, problem, leaf=leaf)
            return
        if (row.topic, row.incarnation, row.partition) != self._place:
            self._found.add("row_order", self._tree.id, "a row of another tree", offset=row.offset, leaf=leaf)
        elif row.offset <= self._last_offset:
            about = "the offsets do not rise"
            self._found.add("row_order", self._tree.id, about, offset=row.offset, leaf=leaf)
        self._last_offset = row.last_offset
        self._count(row)

    def _count(self, row: Row) -> None:
        counts = self._counts
        if row.leaf_kind == 1:
            counts.events += 1
            counts.unscored += row.is_unscored
            if row.source_seq >= 0:
                self._sequences.add(row.source, row.source_seq)
        elif row.leaf_kind == 2:
            counts.dead_letters += 1
        elif row.leaf_kind == 3:
            counts.gaps += 1
            about = f"Kafka did not give the offsets {row.offset} to {row.last_offset}"
            self._found.add("gap", self._tree.id, about, offset=row.offset)
        else:
            counts.incident_records += 1
