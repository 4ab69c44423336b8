"""The evidence store on ClickHouse: the role `EvidenceStore` of `pipeline/ports.py`, as the database role writer.

One connection, so one instance a thread. Statements are our own text; every value is a typed parameter that the server
puts in. Hashes travel as hex in results: the driver would read fixed strings as text.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard

from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.column_batch import ArrayColumn, Column, ColumnBatch, FixedColumn, Interner, TextColumn, raw_texts
from pipeline.columns import (
    ACCESS_EVENT_COLUMNS,
    ALERT_COLUMNS,
    ARTEFACT_COLUMNS,
    DEAD_LETTER_COLUMNS,
    FEATURE_COLUMNS,
    LEDGER_COLUMNS,
    PROFILE_COLUMNS,
    ColumnSpec,
)
from pipeline.config import ClickHouseSettings
from pipeline.errors import Fenced, StoreRefused
from pipeline.events import LogPosition
from pipeline.ports import LedgerEntry, ProfileSnapshot, UnsealedBatch

RAW = "accesstrail_raw"
_AWAKE_S = 30.0
"""The ledger's window holds 100,000 tokens: at 3,000 entries a second, far above any load, it lasts longer."""
_PAGE_IDS = 20_000
_AS_BYTES = {"strings_as_bytes": True}
STORE_REJECTED = "store_rejected"
OF_LIFE = "topic = {topic:String} AND incarnation = {incarnation:String} AND partition = {partition:UInt32}"
"""Condition on one life of a partition."""
ENTRY_COLUMNS = (
    "topic, incarnation, partition, epoch, first_offset, last_offset, tree_size_before, tree_size, n_events, "
    "n_dead_letters, n_gaps, n_subjects, n_alerts, n_unscored, hex(root), arrayMap(h -> hex(h), frontier), "
    "hex(previous_hash), hex(entry_hash), canon_version, hex(versions_id), batch_id, "
    "toUnixTimestamp64Micro(first_received_at), toUnixTimestamp64Micro(last_received_at)"
)


def _clocks_s() -> tuple[float, float]:
    """A clock that goes on while the machine sleeps, and the wall's, which is set right when a guest was paused."""
    return time.clock_gettime(time.CLOCK_BOOTTIME), time.time()


def _was_awake(since_s: tuple[float, float] | None) -> bool:
    """Whether both clocks say that little time has passed."""
    return since_s is not None and all(
        abs(now_s - then_s) < _AWAKE_S for now_s, then_s in zip(_clocks_s(), since_s, strict=True)
    )


def of_life(position: LogPosition) -> dict[str, object]:
    """The parameters of `OF_LIFE`."""
    return {"topic": position.topic, "incarnation": position.incarnation, "partition": position.partition}


class ClickHouseStore:
    """Evidence in ClickHouse; every method may raise Away, RejectedRow or StoreRefused."""

    def __init__(self, client: ClickHouse) -> None:
        self._client = client
        self._sealed_at_s: dict[LogPosition, tuple[float, float]] = {}

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()

    # -- the ledger

    def last_entry(self, position: LogPosition) -> LedgerEntry | None:
        """The newest sealed entry of this life of the partition."""
        sql = f"SELECT {ENTRY_COLUMNS} FROM {RAW}.ledger WHERE {OF_LIFE} ORDER BY first_offset DESC LIMIT 1"
        rows = self._client.query(sql, of_life(position))
        return entry_of(rows[0]) if rows else None

    def incarnations(self, topic: str, partition: int) -> Sequence[LedgerEntry]:
        """The newest sealed entry of every life of the partition."""
        # The newest of each by two narrow columns first: a ledger of millions of entries is not sorted for it.
        here = "WHERE topic = {topic:String} AND partition = {partition:UInt32}"
        sql = (
            f"SELECT {ENTRY_COLUMNS} FROM {RAW}.ledger {here} AND (incarnation, first_offset) IN "
            f"(SELECT incarnation, max(first_offset) FROM {RAW}.ledger {here} GROUP BY incarnation)"
        )
        return [entry_of(row) for row in self._client.query(sql, {"topic": topic, "partition": partition})]

    def entries(self, position: LogPosition, after_offset: int, limit: int) -> Sequence[LedgerEntry]:
        """Sealed entries with `last_offset` > `after_offset`, in order."""
        sql = (
            f"SELECT {ENTRY_COLUMNS} FROM {RAW}.ledger WHERE {OF_LIFE} AND toInt64(last_offset) > {{after:Int64}} "
            "ORDER BY first_offset LIMIT {limit:UInt64}"
        )
        rows = self._client.query(sql, {**of_life(position), "after": after_offset, "limit": limit})
        return [entry_of(row) for row in rows]

    def seal(self, entry: LedgerEntry, writer: str) -> None:
        """Writes the entry under its position's token: the first writer wins. Raises: Fenced: it was not us.

        The token decides between two writers of one moment (`ClickHouse.insert_first`). The look before it catches a
        writer that slept until the table's window of tokens had moved on; one that sealed a moment ago can do without.
        """
        if _was_awake(self._sealed_at_s.get(entry.position)) or not self._is_sealed(entry):
            place = f"ledger:{entry.topic}:{entry.incarnation}:{entry.partition}:{entry.tree_size_before}"
            self._client.insert_first(
                f"{RAW}.ledger", _entry_row(entry, writer), LEDGER_COLUMNS, token=place,
                look=lambda: self._is_sealed(entry) or None,
            )  # fmt: skip
        self._sealed_at_s[entry.position] = _clocks_s()

    def _is_sealed(self, entry: LedgerEntry) -> bool:
        """Whether this very entry is in the ledger, byte by byte. Raises: Fenced: another one is at its place."""
        sql = (
            f"SELECT {ENTRY_COLUMNS} FROM {RAW}.ledger WHERE {OF_LIFE} AND epoch = {{epoch:UInt32}} "
            "AND first_offset >= {first:UInt64} AND tree_size_before >= {before:UInt64} ORDER BY first_offset LIMIT 2"
        )
        # By the sort key, so that a long history costs nothing: who follows the same entry begins at the same offset.
        place = {"before": entry.tree_size_before, "first": entry.first_offset}
        parameters = {**of_life(entry.position), **place, "epoch": entry.epoch}
        found = [entry_of(row) for row in self._client.query(sql, parameters)]
        here = [one for one in found if one.tree_size_before == entry.tree_size_before]
        if found and here != [entry]:
            raise Fenced(
                f"partition {entry.partition}: another worker has sealed offset {entry.first_offset} already; "
                "this one wrote nothing that anyone can see"
            )
        return bool(found)

    # -- rows

    def unsealed(self, position: LogPosition, after_offset: int) -> UnsealedBatch | None:
        """The first range of stored rows above `after_offset` that no entry seals."""
        select = (
            "SELECT batch_first_offset, batch_last_offset, hex(versions_id) AS versions, max(stored_at) AS at "
            f"FROM {RAW}.{{table}} WHERE {OF_LIFE} AND offset > {{after:Int64}} "
            f"AND batch_id NOT IN (SELECT batch_id FROM {RAW}.ledger WHERE {OF_LIFE} "
            "AND toInt64(last_offset) > {after:Int64}) AND toInt64(batch_first_offset) = {after:Int64} + 1 GROUP BY ALL"
        )
        sql = " UNION ALL ".join(select.replace("{table}", name) for name in ("access_events", "dead_letters"))
        rows = self._client.query(
            f"SELECT batch_first_offset, batch_last_offset, versions FROM ({sql}) ORDER BY at DESC LIMIT 1",
            {**of_life(position), "after": after_offset},
        )
        return UnsealedBatch(rows[0][0], rows[0][1], bytes.fromhex(rows[0][2])) if rows else None

    def event_ids(
        self, position: LogPosition, last_offset: int, count: int
    ) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Ids, offsets and received_at (µs) of the newest `count` sealed first occurrences, in offset order.

        Asked for in pages, newest first: as rows of Python numbers all of them took 45 MB a partition, and after a
        rebalance every partition asks at once.
        """
        pages: list[npt.NDArray[np.uint64]] = []
        missing, upper, span = count, last_offset, 2 * _PAGE_IDS
        while missing > 0 and upper >= 0:
            limit = min(missing, _PAGE_IDS)
            rows = self._first_occurrences(position, upper - span, upper, limit)
            pages.append(np.array(rows, np.uint64).reshape(len(rows), 4))
            missing -= len(rows)
            if len(rows) == limit:
                upper = rows[0][2] - 1
            else:
                upper, span = upper - span, 4 * span
        numbers = np.concatenate(pages[::-1]) if pages else np.zeros((0, 4), np.uint64)
        ids = np.ascontiguousarray(numbers[:, :2]).view("V16").reshape(len(numbers))
        return ids, numbers[:, 2].astype(np.int64), numbers[:, 3].astype(np.int64)

    def _first_occurrences(
        self, position: LogPosition, after_offset: int, last_offset: int, count: int
    ) -> list[tuple[int, int, int, int]]:
        """Both halves of the id, offset, received_at; bounded below so that the offset index can leave parts out."""
        sql = (
            "SELECT reinterpretAsUInt64(substring(raw, 1, 8)), reinterpretAsUInt64(substring(raw, 9, 8)), offset, at "
            "FROM ("
            "SELECT reinterpretAsFixedString(event_id) AS raw, offset, toUnixTimestamp64Micro(received_at) AS at "
            f"FROM {RAW}.access_events WHERE {OF_LIFE} AND offset > {{after:Int64}} AND offset <= {{last:UInt64}} "
            f"AND duplicate_of < 0 AND batch_id IN (SELECT batch_id FROM {RAW}.ledger WHERE {OF_LIFE} "
            "AND toInt64(last_offset) > {after:Int64} AND first_offset <= {last:UInt64}) "
            "ORDER BY offset DESC LIMIT 1 BY offset LIMIT {count:UInt64}) ORDER BY offset"
        )
        parameters = {**of_life(position), "after": after_offset, "last": last_offset, "count": count}
        return self._client.query(sql, parameters)

    def rejected_offsets(self, position: LogPosition, first_offset: int, last_offset: int) -> Sequence[int]:
        """Offsets of sealed dead letters with the reason `store_rejected`."""
        sql = (
            f"SELECT DISTINCT offset FROM {RAW}.dead_letters WHERE {OF_LIFE} AND reason = {{reason:String}} "
            "AND offset BETWEEN {first:UInt64} AND {last:UInt64} "
            f"AND batch_id IN (SELECT batch_id FROM {RAW}.ledger WHERE {OF_LIFE} "
            "AND last_offset >= {first:UInt64} AND first_offset <= {last:UInt64})"
        )
        span = {"first": first_offset, "last": last_offset, "reason": STORE_REJECTED}
        return [int(row[0]) for row in self._client.query(sql, {**of_life(position), **span})]

    def gap_end(self, position: LogPosition, offset: int) -> int:
        """Last offset of the sealed gap that begins at `offset`; -1 where none does."""
        sql = (
            f"SELECT last_offset FROM {RAW}.dead_letters WHERE {OF_LIFE} AND offset = {{offset:UInt64}} "
            f"AND leaf_kind = 'gap' AND batch_id IN (SELECT batch_id FROM {RAW}.ledger WHERE {OF_LIFE} "
            "AND last_offset >= {offset:UInt64} AND first_offset <= {offset:UInt64}) LIMIT 1"
        )
        rows = self._client.query(sql, {**of_life(position), "offset": offset})
        return int(rows[0][0]) if rows else -1

    def insert_events(self, rows: ColumnBatch, token: str) -> None:
        """Stores one batch's events in one insert."""
        self._insert("access_events", rows, ACCESS_EVENT_COLUMNS, token)

    def insert_dead_letters(self, rows: ColumnBatch, token: str) -> None:
        """Stores one batch's dead letters or gaps in one insert."""
        self._insert("dead_letters", rows, DEAD_LETTER_COLUMNS, token)

    def insert_alerts(self, rows: ColumnBatch, token: str) -> None:
        """Stores alerts in one insert. Of an alarm of the system itself, which has no batch, the first row stays."""
        if int(rows.fixed("batch_id")[0]):
            self._insert("alerts", rows, ALERT_COLUMNS, token)
        else:
            self._client.insert(f"{RAW}.alerts", rows, ALERT_COLUMNS, token=token)

    def insert_features(self, rows: ColumnBatch, token: str) -> None:
        """Stores what of one batch's judgement is kept beside the evidence, in one insert."""
        self._insert("features", rows, FEATURE_COLUMNS, token)

    def _insert(self, table: str, rows: ColumnBatch, specs: Sequence[ColumnSpec], token: str) -> None:
        """Inserts, and where the server says it knows the token, once more under one of this run of the server.

        A token alone proves nothing after a crash of the server (`ClickHouse.insert`), neither here nor in the tables
        made from this one; written twice, rows replace themselves. A server that runs knows what it has, so that a
        token with its start in it may be trusted: repetitions stay as cheap as they are, also where it is slow.
        """
        if self._client.insert(f"{RAW}.{table}", rows, specs, token=token):
            started_s = self._client.query("SELECT toUnixTimestamp(now()) - uptime()")[0][0]
            self._client.insert(f"{RAW}.{table}", rows, specs, token=f"{token}:server:{started_s}")

    # -- profiles and artefacts

    def save_profiles(
        self,
        position: LogPosition,
        sealed_offset: int,
        feature_version: str,
        keys: Sequence[bytes],
        states: Iterable[bytes],
    ) -> None:
        """One insert of one block: the changed profiles and the marker that names the snapshot, all or none."""
        compress = zstandard.ZstdCompressor(level=1).compress
        count = len(keys) + 1
        names = Interner()

        def text(value: str) -> Column:
            return TextColumn(np.full(count, names[value], np.int32), names)

        rows = ColumnBatch(
            count,
            {
                "partition": FixedColumn(np.full(count, position.partition, np.uint32)),
                "sealed_offset": FixedColumn(np.full(count, sealed_offset, np.uint64)),
                "topic": text(position.topic),
                "incarnation": text(position.incarnation),
                "feature_version": text(feature_version),
                "actor_key": raw_texts([b"", *keys]),
                "state": raw_texts([b"", *map(compress, states)]),
            },
        )
        self._client.insert(f"{RAW}.actor_profiles", rows, PROFILE_COLUMNS, token=None)

    def load_profiles(self, position: LogPosition) -> ProfileSnapshot | None:
        """The newest snapshot: the marker's offset and every actor's newest state."""
        sql = (
            "SELECT actor_key, state, sealed_offset, feature_version "
            f"FROM {RAW}.actor_profiles FINAL WHERE {OF_LIFE} ORDER BY actor_key"
        )
        rows = self._client.query(sql, of_life(position), _AS_BYTES)
        if not rows or rows[0][0]:  # the marker, whose key is empty, comes first
            return None
        _, _, sealed_offset, version = rows[0]
        expand = zstandard.ZstdDecompressor().decompress
        kept = [(key, expand(state)) for key, state, _, made in rows[1:] if made == version]
        return ProfileSnapshot(
            int(sealed_offset), version.decode(), [key for key, _ in kept], [state for _, state in kept]
        )

    def save_artefact(self, kind: str, content: bytes) -> str:
        """Keeps immutable content; returns its id, the SHA-256 in hex."""
        digest = sha256(content)
        names = Interner()
        rows = ColumnBatch(
            1,
            {
                "artefact_id": FixedColumn(np.array([np.void(digest.digest())])),
                "kind": TextColumn(np.array([names[kind]], np.int32), names),
                "content": raw_texts([content]),
            },
        )
        identity = digest.hexdigest()
        if not self._client.query(
            f"SELECT 1 FROM {RAW}.artefacts WHERE artefact_id = unhex({{id:String}}) LIMIT 1", {"id": identity}
        ):
            self._insert("artefacts", rows, ARTEFACT_COLUMNS, f"artefact:{identity}")
            self._read_back(identity)
        return identity

    def _read_back(self, identity: str) -> None:
        """A set of versions may be used only when all its parts can be read again."""
        sql = (
            f"SELECT lower(hex(SHA256(content))) FROM {RAW}.artefacts WHERE artefact_id = unhex({{id:String}}) LIMIT 1"
        )
        if self._client.query(sql, {"id": identity}) != [(identity,)]:
            raise StoreRefused(f"artefact {identity[:12]}… was accepted but reads back otherwise")

    def load_artefact(self, artefact_id: str) -> bytes:
        """The content of an artefact; its id is checked against the bytes."""
        sql = f"SELECT content FROM {RAW}.artefacts WHERE artefact_id = unhex({{id:String}}) LIMIT 1"
        rows = self._client.query(sql, {"id": artefact_id}, _AS_BYTES)
        content: bytes = rows[0][0] if rows else b""
        if not rows or sha256(content).hexdigest() != artefact_id:
            raise StoreRefused(f"artefact {artefact_id[:12]}… is missing or damaged in the store")
        return content


def entry_of(row: Sequence[Any]) -> LedgerEntry:
    """The entry of one row of `ENTRY_COLUMNS`."""
    (
        topic, incarnation, partition, epoch, first_offset, last_offset, size_before, size, events, dead, gaps,
        subjects, alerts, unscored, root, frontier, previous, own, canon, versions, batch_id, first_at, last_at,
    ) = row  # fmt: skip
    return LedgerEntry(
        topic=topic, incarnation=incarnation, partition=partition, epoch=epoch, first_offset=first_offset,
        last_offset=last_offset, tree_size_before=size_before, tree_size=size, n_events=events, n_dead_letters=dead,
        n_gaps=gaps, n_subjects=subjects, n_alerts=alerts, n_unscored=unscored, root=bytes.fromhex(root),
        frontier=tuple(map(bytes.fromhex, frontier)), previous_hash=bytes.fromhex(previous),
        entry_hash=bytes.fromhex(own), canon_version=canon, versions_id=bytes.fromhex(versions), batch_id=batch_id,
        first_received_at_us=first_at, last_received_at_us=last_at,
    )  # fmt: skip


def _entry_row(entry: LedgerEntry, writer: str) -> ColumnBatch:
    names = Interner()
    special = {"first_received_at": entry.first_received_at_us, "last_received_at": entry.last_received_at_us}
    columns: dict[str, Column] = {}
    for spec in LEDGER_COLUMNS:
        if spec.name == "frontier":
            items = FixedColumn(np.array([np.void(one) for one in entry.frontier], "V32"))
            columns[spec.name] = ArrayColumn(np.array([len(entry.frontier)], np.int64), items)
            continue
        value = writer if spec.name == "writer" else special.get(spec.name, getattr(entry, spec.name, None))
        if isinstance(value, str):
            columns[spec.name] = TextColumn(np.array([names[value]], np.int32), names)
        elif isinstance(value, bytes):
            columns[spec.name] = FixedColumn(np.array([np.void(value)]))
        else:
            columns[spec.name] = FixedColumn(np.array([value], spec.dtype))
    return ColumnBatch(1, columns)


def open_store(settings: ClickHouseSettings) -> ClickHouseStore:
    """A store as the role writer, with a connection of its own."""
    return ClickHouseStore(connect(settings, "writer"))
