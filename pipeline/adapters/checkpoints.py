"""Trees and checkpoints on ClickHouse: `CheckpointStore` and `ProofStore` of `pipeline/notary/model.py`, as the role
notary.

Everything is read through the views. Leaves come as hashes that the server computes from the rows; who takes them
compares the root, so that a wrong one is found. One connection, so one instance a thread.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from hashlib import sha256

import numpy as np

from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.store import ENTRY_COLUMNS, OF_LIFE, entry_of, of_life
from pipeline.checkpoint_columns import CHECKPOINT_COLUMNS
from pipeline.column_batch import ArrayColumn, ColumnBatch, FixedColumn, Interner, TextColumn, raw_texts
from pipeline.columns import ACCESS_EVENT_COLUMNS, DEAD_LETTER_COLUMNS, ColumnSpec, evidence
from pipeline.config import NOTARY, ClickHouseSettings
from pipeline.events import LogPosition
from pipeline.incident_columns import INCIDENT_LOG_COLUMNS
from pipeline.ledger.checkpoint import TreeName
from pipeline.ledger.merkle import Frontier
from pipeline.notary.model import Leaf, SignedCheckpoint, StoredNote, TreeStart
from pipeline.ports import LedgerEntry

RAW, VIEWS = "accesstrail_raw", "accesstrail"
_TREE = f"{OF_LIFE} AND epoch = {{epoch:UInt32}}"
_PAGE_OFFSETS = 20_000


def _leaf(specs: tuple[ColumnSpec, ...]) -> str:
    """The leaf hash of a row, in hex, as the server computes it."""
    columns = ", ".join(f"`{spec.name}`" for spec in evidence(specs))
    return f"hex(SHA256(concat(char(0), formatRow('RowBinary', {columns}))))"


_INCIDENT_LEAF = _leaf(INCIDENT_LOG_COLUMNS)
_INCIDENT_LEAVES = (("incident_log", _INCIDENT_LEAF),)
_EVENT_LEAVES = (("access_events", _leaf(ACCESS_EVENT_COLUMNS)), ("dead_letters", _leaf(DEAD_LETTER_COLUMNS)))


class ClickHouseCheckpoints:
    """Both roles; every method may raise Away or StoreRefused."""

    def __init__(self, client: ClickHouse, incidents_topic: str) -> None:
        self._client, self._incidents_topic = client, incidents_topic

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()

    # -- trees

    def event_trees(self, topic: str) -> Sequence[tuple[LogPosition, int]]:
        """As `CheckpointStore.event_trees`."""
        sql = (
            f"SELECT DISTINCT incarnation, partition, epoch FROM {VIEWS}.ledger WHERE topic = {{topic:String}} "
            "ORDER BY incarnation, partition, epoch"
        )
        rows = self._client.query(sql, {"topic": topic})
        return [(LogPosition(topic, life, partition), epoch) for life, partition, epoch in rows]

    def incident_trees(self, topic: str) -> Sequence[LogPosition]:
        """As `CheckpointStore.incident_trees`."""
        sql = (
            f"SELECT DISTINCT incarnation, partition FROM {VIEWS}.incident_log WHERE topic = {{topic:String}} "
            "ORDER BY incarnation, partition"
        )
        return [LogPosition(topic, *row) for row in self._client.query(sql, {"topic": topic})]

    def entries_from(self, topic: str, starts: Sequence[TreeStart], limit: int) -> Sequence[LedgerEntry]:
        """As `CheckpointStore.entries_from`."""
        if not starts:
            return []
        place, parameters = _any_of(starts, "first_offset", with_epoch=True)
        sql = (
            f"SELECT {ENTRY_COLUMNS} FROM {VIEWS}.ledger WHERE topic = {{topic:String}} AND ({place}) "
            "ORDER BY incarnation, partition, first_offset LIMIT {limit:UInt64}"
        )
        return [entry_of(row) for row in self._client.query(sql, {**parameters, "topic": topic, "limit": limit})]

    def entry_at(self, position: LogPosition, epoch: int, size: int) -> LedgerEntry | None:
        """As `CheckpointStore.entry_at`."""
        sql = (
            f"SELECT {ENTRY_COLUMNS} FROM {VIEWS}.ledger WHERE {_TREE} AND tree_size >= {{size:UInt64}} "
            "ORDER BY first_offset LIMIT 1"
        )
        rows = self._client.query(sql, {**_place(position, epoch), "size": size})
        return entry_of(rows[0]) if rows else None

    def incident_leaves_from(self, topic: str, starts: Sequence[TreeStart], limit: int) -> Sequence[Leaf]:
        """As `CheckpointStore.incident_leaves_from`."""
        if not starts:
            return []
        place, parameters = _any_of(starts, "offset", with_epoch=False)
        sql = (
            f"SELECT incarnation, partition, offset, {_INCIDENT_LEAF} FROM {VIEWS}.incident_log "
            f"WHERE topic = {{topic:String}} AND ({place}) "
            "ORDER BY incarnation, partition, offset LIMIT {limit:UInt64}"
        )
        rows = self._client.query(sql, {**parameters, "topic": topic, "limit": limit})
        return [
            Leaf(LogPosition(topic, life, partition), offset, bytes.fromhex(leaf))
            for life, partition, offset, leaf in rows
        ]

    # -- checkpoints

    def newest(self, topics: Sequence[str]) -> Sequence[StoredNote]:
        """As `CheckpointStore.newest`."""
        tree = "topic, incarnation, partition, epoch"
        here = "WHERE topic IN {topics:Array(String)}"
        sql = (
            "SELECT hex(note), last_offset, arrayMap(h -> hex(h), frontier), toUnixTimestamp64Micro(signed_at) "
            f"FROM {VIEWS}.checkpoints {here} AND ({tree}, tree_size) IN "
            f"(SELECT {tree}, max(tree_size) FROM {VIEWS}.checkpoints {here} GROUP BY {tree}) "
            "ORDER BY signed_at LIMIT 1 BY note"
        )
        rows = self._client.query(sql, {"topics": list(topics)})
        return [
            StoredNote(bytes.fromhex(note), last_offset, tuple(map(bytes.fromhex, frontier)), signed_at_us)
            for note, last_offset, frontier, signed_at_us in rows
        ]

    def add(self, signed: Sequence[SignedCheckpoint]) -> None:
        """As `CheckpointStore.add`: a token of the notes, so that a repetition whose answer was lost adds nothing."""
        if signed:
            token = sha256(b"".join(one.note for one in signed)).hexdigest()
            if self._client.insert(
                f"{RAW}.checkpoints", _rows(signed), CHECKPOINT_COLUMNS, token=f"checkpoints:{token}"
            ):
                # A server that was killed may know a token whose rows it lost; rows that are there twice do no harm.
                self._client.insert(f"{RAW}.checkpoints", _rows(signed), CHECKPOINT_COLUMNS, token=uuid.uuid4().hex)

    # -- proofs

    def at_size(self, name: TreeName, size: int) -> tuple[Frontier, int] | None:
        """As `ProofStore.at_size`."""
        sql = (
            f"SELECT arrayMap(h -> hex(h), frontier), last_offset FROM {VIEWS}.checkpoints WHERE {_TREE} "
            "AND tree_size = {size:UInt64} LIMIT 1"
        )
        rows = self._client.query(sql, {**_place(name.position, name.epoch), "size": size})
        if not rows or len(rows[0][0]) != size.bit_count():
            return None
        return Frontier(size, tuple(map(bytes.fromhex, rows[0][0]))), int(rows[0][1])

    def leaves_between(self, name: TreeName, after_offset: int, last_offset: int) -> Iterator[bytes]:
        """As `ProofStore.leaves_between`; a page of offsets at a time, gaps leapt over."""
        sources = _INCIDENT_LEAVES if name.position.topic == self._incidents_topic else _EVENT_LEAVES
        within = f"{OF_LIFE} AND offset >= {{first:UInt64}} AND offset <= {{last:UInt64}}"
        rows_of = " UNION ALL ".join(
            f"SELECT offset, {leaf} AS leaf FROM {VIEWS}.{view} WHERE {within}" for view, leaf in sources
        )
        any_of = " UNION ALL ".join(f"SELECT offset FROM {VIEWS}.{view} WHERE {within}" for view, _ in sources)
        place, first = _place(name.position, name.epoch), after_offset + 1
        while first <= last_offset:
            page = {**place, "first": first, "last": min(first + _PAGE_OFFSETS - 1, last_offset)}
            rows = self._client.query(f"SELECT leaf FROM ({rows_of}) ORDER BY offset", page)
            yield from (bytes.fromhex(leaf) for (leaf,) in rows)
            first += _PAGE_OFFSETS
            if not rows:
                rest = {**place, "first": first, "last": last_offset}
                [(count, nearest)] = self._client.query(f"SELECT count(), min(offset) FROM ({any_of})", rest)
                first = nearest if count else last_offset + 1


def _place(position: LogPosition, epoch: int) -> dict[str, object]:
    return {**of_life(position), "epoch": epoch}


def _any_of(starts: Sequence[TreeStart], offset: str, *, with_epoch: bool) -> tuple[str, dict[str, object]]:
    """A condition on one of these trees, from its start on, and its parameters."""
    terms, parameters = [], dict[str, object]()
    for number, one in enumerate(starts):
        epoch = f" AND epoch = {{e{number}:UInt32}}" if with_epoch else ""
        terms.append(
            f"(incarnation = {{i{number}:String}} AND partition = {{p{number}:UInt32}}{epoch} "
            f"AND {offset} >= {{o{number}:UInt64}})"
        )
        parameters |= {
            f"i{number}": one.position.incarnation, f"p{number}": one.position.partition, f"e{number}": one.epoch,
            f"o{number}": one.from_offset,
        }  # fmt: skip
    return " OR ".join(terms), parameters


def _rows(signed: Sequence[SignedCheckpoint]) -> ColumnBatch:
    names = [one.checkpoint.name for one in signed]
    numbers = {
        "partition": [name.position.partition for name in names],
        "epoch": [name.epoch for name in names],
        "tree_size": [one.checkpoint.size for one in signed],
        "last_offset": [one.last_offset for one in signed],
        "signed_at": [one.signed_at_us for one in signed],
    }
    words = Interner()
    texts = {
        "topic": words.ids((name.position.topic for name in names), len(names)),
        "incarnation": words.ids((name.position.incarnation for name in names), len(names)),
    }
    dtypes = {spec.name: spec.dtype for spec in CHECKPOINT_COLUMNS if spec.name in numbers}
    hashes = [one for each in signed for one in each.frontier]
    return ColumnBatch(
        len(signed),
        {
            **{name: FixedColumn(np.array(values, dtypes[name])) for name, values in numbers.items()},
            **{name: TextColumn(ids, words) for name, ids in texts.items()},
            "note": raw_texts(one.note for one in signed),
            "root": FixedColumn(np.array([np.void(one.checkpoint.root) for one in signed], "V32")),
            "frontier": ArrayColumn(
                np.cumsum([len(one.frontier) for one in signed]),
                FixedColumn(np.array([np.void(one) for one in hashes], "V32")),
            ),
        },
    )


def open_checkpoints(settings: ClickHouseSettings, incidents_topic: str) -> ClickHouseCheckpoints:
    """As the role notary, with a connection of its own."""
    return ClickHouseCheckpoints(connect(settings, NOTARY), incidents_topic)
