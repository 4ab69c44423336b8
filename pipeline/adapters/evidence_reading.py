"""Evidence as it lies in the store, for verification: entries, rows with their leaf hashes, checkpoints.

Place in the flow: under `accesstrail verify --store`, as a database role that reads the views. What the views show is
what auditors and courts are shown, so it is what is verified: a row that was hidden from them is a row that is missing.
Leaves are hashed here, over the bytes that the server writes (`formatRow('RowBinary')`), or by the server itself; that
both are the same is tested. Nothing here is believed: a wrong answer is a difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.adapters.reader_pool import ColumnQuestions
from pipeline.adapters.store import ENTRY_COLUMNS, OF_LIFE, entry_of, of_life
from pipeline.columns import ACCESS_EVENT_COLUMNS, CANON_VERSION, DEAD_LETTER_COLUMNS, ColumnSpec, evidence
from pipeline.events import LogPosition
from pipeline.incident_columns import INCIDENT_LOG_COLUMNS
from pipeline.ledger.leaf import LEAF_PREFIX
from pipeline.ledger.verify import END_OF_LOG, HIDDEN, Leaves
from pipeline.ports import LedgerEntry

VIEWS = "accesstrail"
PAGE_ENTRIES = 2_000
PAGE_ROWS = 50_000
ENGINE, HERE = "engine", "here"
_ALL = 2**62
_UNKNOWN = 255
"""Leaf kind of a row whose version this program does not know."""
_SETTINGS: Mapping[str, object] = {"strings_as_bytes": True, "optimize_move_to_prewhere_if_final": 1}


_OF_TREE = f"{OF_LIFE} AND epoch = {{epoch:UInt32}} AND greatest(first_offset, last_offset) <= {END_OF_LOG}"
"""Entries of one tree. What lies behind the end of every log is no place that can be read: `beyond` tells it."""

_Columns = Sequence[Sequence[Any]]
"""Rows as columns, of equal length: what `EvidenceReader.rows` asks for, and the leaf hash."""
_Number = TypeVar("_Number", bound=np.generic)


class Tree(NamedTuple):
    """One tree of access events."""

    position: LogPosition
    epoch: int


class StoredNote(NamedTuple):
    """A row of `checkpoints`: the note, when it was signed (UTC µs, unsigned), and what the row says of it."""

    note: bytes
    signed_at_us: int
    size: int
    root: bytes


class EvidenceReader:
    """Reads over one connection. `leaves`: `here` hashes in this process, `engine` in the server."""

    def __init__(self, questions: ColumnQuestions, leaves: str = HERE, page_rows: int = PAGE_ROWS) -> None:
        self._questions, self._page_rows = questions, page_rows
        self._by_engine = leaves == ENGINE

    def trees(self) -> list[Tree]:
        """Every tree that has an entry or a row."""
        places = "topic, incarnation, partition"
        rows = " UNION ALL ".join(
            f"SELECT {places}, toUInt32(0) AS epoch FROM {VIEWS}.{table} "
            f"WHERE ({places}) NOT IN (SELECT {places} FROM {VIEWS}.ledger)"
            for table in ("access_events", "dead_letters", "pruned_leaves")
        )
        sql = (
            f"SELECT DISTINCT {places}, epoch FROM (SELECT {places}, epoch FROM {VIEWS}.ledger UNION ALL {rows}) "
            f"ORDER BY {places}, epoch"
        )
        return [Tree(LogPosition(topic, life, part), epoch) for topic, life, part, epoch in self._questions.query(sql)]

    def sizes(self) -> dict[Tree, int]:
        """How many leaves each tree has now: by its entries, of the log of incidents by its rows."""
        places = "topic, incarnation, partition"
        sql = (
            f"SELECT {places}, epoch, max(tree_size) FROM {VIEWS}.ledger GROUP BY {places}, epoch UNION ALL "
            f"SELECT {places}, toUInt32(0), count() FROM {VIEWS}.incident_log GROUP BY {places}"
        )
        return {Tree(LogPosition(*place), epoch): size for *place, epoch, size in self._questions.query(sql)}

    def signed_trees(self) -> list[Tree]:
        """Every tree that has a checkpoint, whatever else is left of it."""
        places = "topic, incarnation, partition, epoch"
        rows = self._questions.query(f"SELECT DISTINCT {places} FROM {VIEWS}.checkpoints ORDER BY {places}")
        return [Tree(LogPosition(topic, life, part), epoch) for topic, life, part, epoch in rows]

    def entries(self, tree: Tree) -> Iterator[LedgerEntry]:
        """All entries in the order of offsets, page by page; several of one place follow each other."""
        after, seen = -1, 0
        while True:
            sql = (
                f"SELECT {ENTRY_COLUMNS} FROM {VIEWS}.ledger WHERE {_OF_TREE} "
                "AND toInt64(first_offset) >= {after:Int64} ORDER BY first_offset, entry_hash "
                "LIMIT {limit:UInt64} OFFSET {seen:UInt64}"
            )
            place = {**of_life(tree.position), "epoch": tree.epoch, "after": after, "seen": seen, "limit": PAGE_ENTRIES}
            page = [entry_of(row) for row in self._questions.query(sql, place)]
            yield from page
            if len(page) < PAGE_ENTRIES:
                return
            newest = page[-1].first_offset
            here = sum(entry.first_offset == newest for entry in page)
            after, seen = (newest, here) if newest != after else (after, seen + len(page))

    def batches(self, tree: Tree, most_leaves: int) -> Iterator[tuple[LedgerEntry, Leaves]]:
        """Each entry up to a size of the tree with the rows of its range; rows are read for many entries at once."""
        waiting: list[LedgerEntry] = []
        for entry in self.entries(tree):
            if entry.tree_size_before >= most_leaves and entry.tree_size > most_leaves:
                break  # sealed since the run began
            waiting.append(entry)
            if entry.last_offset - waiting[0].first_offset >= self._page_rows:
                yield from self._with_rows(tree.position, waiting)
                waiting = []
        if waiting:
            yield from self._with_rows(tree.position, waiting)

    def newest_at(self, tree: Tree, last_offset: int) -> LedgerEntry | None:
        """The entry that ends at an offset, None where there is none; of several the first by hash."""
        sql = (
            f"SELECT {ENTRY_COLUMNS} FROM {VIEWS}.ledger WHERE {_OF_TREE} "
            "AND last_offset = {last:UInt64} AND first_offset <= {last:UInt64} "
            "ORDER BY first_offset DESC, entry_hash LIMIT 1"
        )
        rows = self._questions.query(sql, {**of_life(tree.position), "epoch": tree.epoch, "last": last_offset})
        return entry_of(rows[0]) if rows else None

    def behind(self, tree: Tree, last_offset: int, most_rows: int) -> Sequence[tuple[LedgerEntry, Leaves]]:
        """The next entries behind an offset with their rows: about so many rows at most, and at least one entry."""
        sql = (
            f"SELECT {ENTRY_COLUMNS} FROM {VIEWS}.ledger WHERE {_OF_TREE} "
            "AND toInt64(first_offset) > {after:Int64} ORDER BY first_offset, entry_hash LIMIT {limit:UInt64}"
        )
        place = {**of_life(tree.position), "epoch": tree.epoch, "after": last_offset, "limit": PAGE_ENTRIES}
        entries = [entry_of(row) for row in self._questions.query(sql, place)]
        taken = [one for one in entries if one.last_offset - entries[0].first_offset < most_rows] or entries[:1]
        return list(self._with_rows(tree.position, taken)) if taken else []

    def checkpoints(self, tree: Tree, newest: int = 0) -> list[StoredNote]:
        """Notes in the order of sizes; `newest`: only the last so many."""
        sql = (
            "SELECT note, toUnixTimestamp64Micro(signed_at), tree_size, root, signed_at "
            f"FROM {VIEWS}.checkpoints WHERE {OF_LIFE} AND epoch = {{epoch:UInt32}} "
            "ORDER BY tree_size DESC, signed_at DESC LIMIT {newest:UInt64}"
        )
        place: dict[str, object] = {**of_life(tree.position), "epoch": tree.epoch, "newest": newest or _ALL}
        rows = self._questions.query(f"SELECT * FROM ({sql}) ORDER BY tree_size, signed_at", place, _SETTINGS)
        return [StoredNote(*row[:-1]) for row in rows]

    def _with_rows(self, place: LogPosition, entries: Sequence[LedgerEntry]) -> Iterator[tuple[LedgerEntry, Leaves]]:
        first, last = min(one.first_offset for one in entries), max(one.last_offset for one in entries)
        rows = self.rows(place, first, last)
        for entry in entries:
            begin, end = np.searchsorted(rows.offsets, [entry.first_offset, entry.last_offset], "left")
            while end < len(rows.offsets) and rows.offsets[end] == entry.last_offset:
                end += 1
            yield entry, rows.part(int(begin), int(end))

    def rows(self, place: LogPosition, first_offset: int, last_offset: int) -> Leaves:
        """The rows of a range in the order of offsets: events, dead letters, gaps."""
        columns = (
            "offset, {last}, toUnixTimestamp64Micro(received_at), toUInt8(toInt8(leaf_kind)), canon_version, "
            "{unscored}, {subjects}, batch_id, {leaf}"
        )
        events = columns.format(
            last="offset", unscored="score_status = 'unscored'", subjects="length(subject_tokens)",
            leaf=self._leaf(ACCESS_EVENT_COLUMNS),
        )  # fmt: skip
        dead = columns.format(
            last="last_offset", unscored="toUInt8(0)", subjects="toUInt64(0)", leaf=self._leaf(DEAD_LETTER_COLUMNS)
        )
        found: list[_Columns] = []
        span = {**of_life(place), "first": first_offset, "last": last_offset}
        for table, end, selected in (("access_events", "offset", events), ("dead_letters", "last_offset", dead)):
            sql = (
                f"SELECT {selected} FROM {VIEWS}.{table} WHERE {OF_LIFE} "
                f"AND offset BETWEEN {{first:UInt64}} AND {{last:UInt64}} AND {end} <= {END_OF_LOG}"
            )
            read = self._questions.columns(sql, span, _SETTINGS)
            if read:
                found.append([*read[:-1], self._hashes(read[-1])])
        return _leaves([*found, *self._pruned(span, found)])

    def _pruned(self, span: Mapping[str, object], found: Sequence[_Columns]) -> Sequence[_Columns]:
        """What is left of deleted rows: hashes. One whose row is still there, of a run under way, is left out."""
        sql = (
            "SELECT offset, last_offset, toUnixTimestamp64Micro(received_at), "
            f"toUInt8({HIDDEN}), toUInt8({CANON_VERSION}), toUInt8(0), toUInt64(0), batch_id, leaf_hash, "
            f"run_id IN (SELECT run_id FROM {VIEWS}.retention_runs WHERE stage = 'done') FROM {VIEWS}.pruned_leaves "
            f"WHERE {OF_LIFE} AND offset BETWEEN {{first:UInt64}} AND {{last:UInt64}} AND last_offset <= {END_OF_LOG}"
        )
        leaves = self._questions.query(sql, span, _SETTINGS)
        hashes = dict(pair for one in found for pair in zip(one[0], one[-1], strict=True)) if leaves else {}
        left = [row[:-1] for row in leaves if row[-1] or hashes.get(row[0]) != row[-2]]
        return [list(zip(*left, strict=True))] if left else []

    def _hashes(self, data: Sequence[bytes]) -> Sequence[bytes]:
        return data if self._by_engine else [sha256(LEAF_PREFIX + one).digest() for one in data]

    def _leaf(self, specs: Sequence[ColumnSpec]) -> str:
        data = f"formatRow('RowBinary', {', '.join(f'`{spec.name}`' for spec in evidence(tuple(specs)))})"
        return f"SHA256(concat(char(0), {data}))" if self._by_engine else data

    def incident_trees(self) -> list[LogPosition]:
        """Every life of a partition that has a row in the log of incidents."""
        places = "topic, incarnation, partition"
        rows = self._questions.query(f"SELECT DISTINCT {places} FROM {VIEWS}.incident_log ORDER BY {places}")
        return [LogPosition(topic, life, part) for topic, life, part in rows]

    def incident_places(self) -> list[LogPosition]:
        """Every life of a partition that a row of `incidents` names."""
        places = "topic, incarnation, partition"
        rows = self._questions.query(f"SELECT DISTINCT {places} FROM {VIEWS}.incidents ORDER BY {places}")
        return [LogPosition(topic, life, part) for topic, life, part in rows]

    def incident_leaves(self, place: LogPosition) -> Iterator[tuple[Sequence[int], Sequence[bytes]]]:
        """Offsets and leaf hashes, page by page in the order of offsets."""
        after, seen = -1, 0
        while True:
            sql = (
                f"SELECT offset, {self._leaf(INCIDENT_LOG_COLUMNS)} AS leaf FROM {VIEWS}.incident_log "
                f"WHERE {OF_LIFE} "
                "AND toInt64(offset) >= {after:Int64} ORDER BY offset, leaf LIMIT {limit:UInt64} OFFSET {seen:UInt64}"
            )
            page = {**of_life(place), "after": after, "limit": self._page_rows, "seen": seen}
            rows = self._questions.query(sql, page, _SETTINGS)
            yield [row[0] for row in rows], self._hashes([row[1] for row in rows])
            if len(rows) < self._page_rows:
                return
            newest = int(rows[-1][0])
            here = sum(row[0] == newest for row in rows)
            after, seen = (newest, here) if newest != after else (after, seen + len(rows))

    def strays(self) -> list[tuple[LogPosition, int, int]]:
        """Visible rows that lie outside the range of the entry whose batch they name: where, first offset, how many."""
        places = "topic, incarnation, partition"
        rows = " UNION ALL ".join(
            f"SELECT {places}, offset, {last} AS last_offset, batch_id FROM {VIEWS}.{table}"
            for table, last in (("access_events", "offset"), ("dead_letters", "last_offset"))
        )
        sql = (
            f"SELECT {places}, min(row.offset), count() FROM ({rows}) AS row LEFT ANY JOIN "
            f"(SELECT batch_id, {places}, first_offset, last_offset, 1 AS is_sealed FROM {VIEWS}.ledger) AS entry "
            f"USING (batch_id, {places}) "
            "WHERE entry.last_offset < greatest(row.offset, row.last_offset) OR entry.first_offset > row.offset "
            "OR entry.is_sealed = 0 "
            f"GROUP BY {places} ORDER BY {places}"
        )
        found = self._questions.query(sql)
        return [(LogPosition(*place), int(first), int(count)) for *place, first, count in found]

    def beyond(self) -> list[tuple[str, LogPosition, int]]:
        """Entries and rows of the log of incidents behind the end of every log: in which table, where, how many.

        No offset is 2^63 or more, so no tree reaches there, and readers would see them all the same. Other rows need
        an entry that does.
        """
        places = "topic, incarnation, partition"
        sql = " UNION ALL ".join(
            f"SELECT '{table}', {places}, count() FROM {VIEWS}.{table} WHERE {end} > {END_OF_LOG} GROUP BY {places}"
            for table, end in (("ledger", "greatest(first_offset, last_offset)"), ("incident_log", "offset"))
        )
        found = self._questions.query(f"SELECT * FROM ({sql}) ORDER BY ALL")
        return [(table, LogPosition(*place), int(count)) for table, *place, count in found]


def _leaves(found: Sequence[_Columns]) -> Leaves:
    """The rows in the order of offsets; of those that claim the same one, in the order of what was read."""

    def joined(number: int, kind: type[_Number]) -> npt.NDArray[_Number]:
        parts = [np.array(columns[number], kind) for columns in found]
        return np.concatenate(parts)[order] if parts else np.zeros(0, kind)

    order: slice | npt.NDArray[np.intp] = slice(None)
    order = np.argsort(joined(0, np.int64), kind="stable")
    hashes = [one for columns in found for one in columns[-1]]
    versions, kinds = joined(4, np.uint8), joined(3, np.uint8)
    return Leaves(
        joined(0, np.int64), joined(1, np.int64), joined(2, np.int64),
        np.where(versions == CANON_VERSION, kinds, _UNKNOWN).astype(np.uint8), versions, joined(5, np.uint8),
        joined(6, np.int64), joined(7, np.uint64), [hashes[row] for row in order.tolist()],
    )  # fmt: skip
