"""Rows against the entries that seal them (checks 7, 8 and the offsets of 13)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from hashlib import sha256

from . import merkle
from .bundle import TreeRange
from .entries import Entry
from .findings import Findings
from .rows import Row


@dataclass(slots=True)
class EntryRows:
    """What the rows of one entry add up to."""

    rows: int = 0
    hidden: int = 0
    kinds: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    subjects: int = 0
    unscored: int = 0
    first_received_at: int | None = None
    last_received_at: int | None = None
    spans: list[tuple[int, int]] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """One more row."""
        self.rows += 1
        if row.is_hidden:
            self.hidden += 1
            return
        self.kinds[row.leaf_kind] += 1
        self.subjects += row.subjects
        self.unscored += row.is_unscored
        at = row.received_at
        if self.first_received_at is None or self.last_received_at is None:
            self.first_received_at = self.last_received_at = at
        elif at < self.first_received_at:
            self.first_received_at = at
        elif at > self.last_received_at:
            self.last_received_at = at
        self.spans.append((row.offset, row.last_offset))

    def first_missing(self, entry: Entry) -> tuple[int, int]:
        """How many offsets of the entry's range are in no row, and the first of them."""
        missing, first, at = 0, -1, entry.first_offset
        for begin, end in sorted(self.spans):
            hole = min(begin, entry.last_offset + 1) - at
            if hole > 0:
                missing, first = missing + hole, at if first < 0 else first
            at = max(at, end + 1)
        hole = entry.last_offset + 1 - at
        if hole > 0:
            missing, first = missing + hole, at if first < 0 else first
        return missing, first


class EntryWalk:
    """Walks rows and entries of a tree side by side; each entry begins from the frontier that the one before states."""

    def __init__(
        self, tree: TreeRange, entries: list[Entry], start: Entry | None, sizes: frozenset[int], found: Findings
    ) -> None:
        self._tree = tree
        self._entries = entries
        self._sizes = sizes
        self._found = found
        self._at = 0
        self._sum = EntryRows()
        self._growing: merkle.GrowingTree | None = merkle.GrowingTree(0, ())
        self.roots: dict[int, bytes] = {}
        if start is not None:
            is_frontier = merkle.is_frontier(start.size, start.frontier)
            self._growing = merkle.GrowingTree(start.size, start.frontier) if is_frontier else None
        if self._growing is not None:
            self.roots[self._growing.size] = self._growing.root()

    def take(self, row: Row) -> None:
        """The next row, to the entry that it belongs to."""
        is_hidden, entry = row.is_hidden, self._entries[self._at]
        if is_hidden or row.offset > entry.last_offset:
            entry = self._entry_of(row, is_hidden=is_hidden)
        if not is_hidden:
            self._check_place(entry, row)
        self._sum.add(row)
        if self._growing is not None:
            self._growing.add(row.leaf)
            if self._growing.size in self._sizes:
                self.roots.setdefault(self._growing.size, self._growing.root())

    def _entry_of(self, row: Row, *, is_hidden: bool) -> Entry:
        """Closes entries until the row belongs to the one at hand."""
        while self._at + 1 < len(self._entries):
            entry, following = self._entries[self._at], self._entries[self._at + 1]
            if not is_hidden and row.offset <= entry.last_offset:
                break
            is_next = not is_hidden and following.first_offset <= row.offset <= following.last_offset
            if not is_next and self._sum.rows < entry.growth:
                break
            self.close()
        return self._entries[self._at]

    def _check_place(self, entry: Entry, row: Row) -> None:
        if not entry.first_offset <= row.offset <= row.last_offset <= entry.last_offset:
            about = f"a row outside its entry's range, {entry.first_offset} to {entry.last_offset}"
            self._found.add("row_order", self._tree.id, about, offset=row.offset)
        if row.canon_version != entry.canon_version:
            about = "a row of another canon_version than its entry"
            self._found.add("leaf_kind", self._tree.id, about, offset=row.offset)

    def finish(self) -> None:
        """Closes the entries that are left."""
        while self._at < len(self._entries):
            self.close()

    def close(self) -> None:
        """Checks 7, 8 and the offsets of 13 of the entry at hand; the next one begins."""
        entry, rows = self._entries[self._at], self._sum
        root = None if self._growing is None else self._growing.root()
        if root != entry.root:
            about = f"{rows.rows} rows of {entry.growth} do not give the entry's root"
            self._found.add("entry_root", self._tree.id, about, offset=entry.first_offset)
        if about := _miscounted(entry, rows):
            self._found.add("entry_counts", self._tree.id, f"not as its rows: {about}", offset=entry.first_offset)
        if not rows.hidden:
            missing, first = rows.first_missing(entry)
            if missing:
                self._found.add("offset_missing", self._tree.id, f"{missing} offsets in no leaf", offset=first)
        self._begin_after(entry)
        self._at += 1
        self._sum = EntryRows()

    def _begin_after(self, entry: Entry) -> None:
        """The next entry goes on from what this one states, or from its rows where that contradicts itself."""
        if entry.gives_its_root():
            self._growing = merkle.GrowingTree(entry.size, entry.frontier)
        elif self._growing is not None and self._growing.size != entry.size:
            self._growing = None
        if self._growing is not None:
            self.roots.setdefault(entry.size, self._growing.root())


def _miscounted(entry: Entry, rows: EntryRows) -> str:
    """The fields of an entry that are not what its rows say (check 8)."""
    stated = entry.numbers
    wrong = []
    pairs = (
        ("n_events", rows.kinds[1]),
        ("n_dead_letters", rows.kinds[2]),
        ("n_gaps", rows.kinds[3]),
        ("n_subjects", rows.subjects),
        ("n_unscored", rows.unscored),
    )
    for name, counted in pairs:
        if stated[name] != counted and not rows.hidden:
            wrong.append(name)
    if rows.rows != entry.size - entry.size_before:
        wrong.append("tree_size")
    if stated["n_events"] + stated["n_dead_letters"] + stated["n_gaps"] != entry.size - entry.size_before:
        wrong.append("their sum")
    if entry.batch_id != _batch_id(entry):
        wrong.append("batch_id")
    stated_times = (entry.first_received_at, entry.last_received_at)
    if rows.rows and not rows.hidden and stated_times != (rows.first_received_at, rows.last_received_at):
        wrong.append("times")
    return ", ".join(wrong)


def _batch_id(entry: Entry) -> int:
    data = b"\x03" + struct.pack("<Q", entry.first_offset) + entry.root
    return int.from_bytes(sha256(data).digest()[:8], "little")
