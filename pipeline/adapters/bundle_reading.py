"""Evidence as it goes into bundles: rows with the bytes that their leaves are made of, entries, checkpoints.

Place in the flow: under `accesstrail evidence export`; role `pipeline.audit.evidence.EvidenceSource`, over one
connection as the database role reader. Bytes are the server's own `formatRow('RowBinary')` of the evidence columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pipeline.adapters.evidence_reading import VIEWS
from pipeline.adapters.reader_pool import Questions
from pipeline.adapters.store import ENTRY_COLUMNS, OF_LIFE, entry_of, of_life
from pipeline.audit.evidence import EvidenceTree, Row, SignedCheckpoint
from pipeline.columns import ACCESS_EVENT_COLUMNS, DEAD_LETTER_COLUMNS, evidence
from pipeline.events import LogPosition
from pipeline.incident_columns import INCIDENT_LOG_COLUMNS
from pipeline.ledger.bundle_rows import PRUNED_ROW
from pipeline.ledger.checkpoint import parse_text
from pipeline.ports import LedgerEntry
from pipeline.same_person import tokens_in

_PAGE_ENTRIES = 2_000
_PAGE_ROWS = 20_000
_AT_MOST = " LIMIT {most:UInt64}"
_TREE = f"{OF_LIFE} AND epoch = {{epoch:UInt32}}"
_BYTES: Mapping[str, object] = {"strings_as_bytes": True}
_TABLES = (("E", "access_events", ACCESS_EVENT_COLUMNS), ("D", "dead_letters", DEAD_LETTER_COLUMNS))


class StoredEvidence:
    """The store's evidence."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def trees(self) -> list[EvidenceTree]:
        """Every tree that has an entry."""
        places = "topic, incarnation, partition, epoch"
        rows = self._questions.query(f"SELECT DISTINCT {places} FROM {VIEWS}.ledger ORDER BY {places}")
        return [EvidenceTree(LogPosition(topic, life, part), epoch) for topic, life, part, epoch in rows]

    def _entries(
        self, tree: EvidenceTree, where: str, more: Mapping[str, object], *, order: str = "first_offset",
        limit: int = _PAGE_ENTRIES,
    ) -> list[LedgerEntry]:  # fmt: skip
        sql = (
            f"SELECT {ENTRY_COLUMNS} FROM {VIEWS}.ledger WHERE {_TREE} AND {where} "
            f"ORDER BY {order} LIMIT {{most:UInt64}}"
        )
        return [entry_of(row) for row in self._questions.query(sql, {**_place(tree), **more, "most": limit})]

    def entries_between(self, tree: EvidenceTree, from_us: int, until_us: int) -> Iterator[LedgerEntry]:
        """Entries from the first to the last that hold anything received in [from, until)."""
        span = {"from": from_us, "until": until_us}
        sql = (
            f"SELECT min(first_offset), max(last_offset), count() FROM {VIEWS}.ledger WHERE {_TREE} "
            "AND toUnixTimestamp64Micro(last_received_at) >= {from:Int64} "
            "AND toUnixTimestamp64Micro(first_received_at) < {until:Int64}"
        )
        first, last, count = self._questions.query(sql, {**_place(tree), **span})[0]
        begin = first
        while count and begin <= last:
            bounds = {"begin": begin, "last": last}
            page = self._entries(tree, "first_offset >= {begin:UInt64} AND first_offset <= {last:UInt64}", bounds)
            yield from page
            if len(page) < _PAGE_ENTRIES:
                return
            begin = page[-1].last_offset + 1

    def entry_before(self, tree: EvidenceTree, first_offset: int) -> LedgerEntry | None:
        """The entry that ends before an offset."""
        where = "first_offset < {first:UInt64}"
        found = self._entries(tree, where, {"first": first_offset}, order="first_offset DESC", limit=1)
        return found[0] if found else None

    def entries_from(self, tree: EvidenceTree, offset: int, most_leaves: int) -> Sequence[LedgerEntry]:
        """The entry that holds an offset and those behind it, up to a size of the tree."""
        where = "last_offset >= {offset:UInt64} AND tree_size <= {size:UInt64}"
        return self._entries(tree, where, {"offset": offset, "size": most_leaves})

    def rows_between(self, tree: EvidenceTree, first_offset: int, last_offset: int) -> Sequence[Row]:
        """The leaves of a range; of pruned rows their hashes."""
        span = {**_place(tree), "first": first_offset, "last": last_offset}
        found: list[Row] = []
        for letter, table, specs in _TABLES:
            names = ", ".join(f"`{spec.name}`" for spec in evidence(specs))
            sql = (
                f"SELECT offset, formatRow('RowBinary', {names}) FROM {VIEWS}.{table} WHERE {OF_LIFE} "
                "AND offset BETWEEN {first:UInt64} AND {last:UInt64}"
            )
            found += [Row(letter, offset, data) for offset, data in self._questions.query(sql, span, _BYTES)]
        return sorted(found + self._pruned(span, found), key=lambda row: row.offset)

    def _pruned(self, span: Mapping[str, object], found: Sequence[Row]) -> list[Row]:
        """What is left of deleted rows. One whose row is still there says nothing more; another hash stays to be seen.

        Several runs may have written the same leaf.
        """
        sql = (
            f"SELECT DISTINCT offset, leaf_hash FROM {VIEWS}.pruned_leaves WHERE {OF_LIFE} "
            "AND offset BETWEEN {first:UInt64} AND {last:UInt64}"
        )
        leaves = [Row(PRUNED_ROW, offset, leaf) for offset, leaf in self._questions.query(sql, span, _BYTES)]
        if not leaves:
            return []
        visible = {(row.offset, row.leaf) for row in found}
        return [row for row in leaves if (row.offset, row.leaf) not in visible]

    def signed(self, tree: EvidenceTree) -> Sequence[SignedCheckpoint]:
        """The checkpoints, in the order of sizes; of those of one size the first."""
        return self._signed(tree, 0, None)

    def signed_from(self, tree: EvidenceTree, size: int, most: int) -> Sequence[SignedCheckpoint]:
        """The first checkpoints of at least so many leaves."""
        return self._signed(tree, size, most)

    def largest_signed(self, tree: EvidenceTree) -> int:
        """Leaves of the largest checkpoint."""
        sql = f"SELECT max(tree_size) FROM {VIEWS}.checkpoints WHERE {_TREE}"
        return int(self._questions.query(sql, _place(tree))[0][0])

    def _signed(self, tree: EvidenceTree, size: int, most: int | None) -> list[SignedCheckpoint]:
        sql = (
            f"SELECT note, toUnixTimestamp64Micro(signed_at) FROM {VIEWS}.checkpoints WHERE {_TREE} "
            f"AND tree_size >= {{size:UInt64}} ORDER BY tree_size, signed_at{'' if most is None else _AT_MOST}"
        )
        asked = {**_place(tree), "size": size, "most": most or 0}
        found: list[SignedCheckpoint] = []
        for note, at_us in self._questions.query(sql, asked, _BYTES):
            checkpoint = parse_text(note.decode().rpartition("\n\n")[0] + "\n")
            if not found or found[-1].checkpoint.size != checkpoint.size or found[-1].checkpoint != checkpoint:
                found.append(SignedCheckpoint(checkpoint, note, at_us))
        return found

    def incident_trees(self) -> Sequence[LogPosition]:
        """Every tree of the log of incidents."""
        places = "topic, incarnation, partition"
        rows = self._questions.query(f"SELECT DISTINCT {places} FROM {VIEWS}.incident_log ORDER BY {places}")
        return [LogPosition(topic, life, part) for topic, life, part in rows]

    def incident_rows(self, position: LogPosition) -> Iterator[Sequence[Row]]:
        """Its leaves, page by page, in order."""
        names = ", ".join(f"`{spec.name}`" for spec in evidence(INCIDENT_LOG_COLUMNS))
        sql = (
            f"SELECT offset, formatRow('RowBinary', {names}) FROM {VIEWS}.incident_log WHERE {OF_LIFE} "
            "AND toInt64(offset) > {after:Int64} ORDER BY offset LIMIT {most:UInt64}"
        )
        place, after = _place(EvidenceTree(position, 0)), -1
        while rows := self._questions.query(sql, {**place, "after": after, "most": _PAGE_ROWS}, _BYTES):
            yield [Row("I", offset, data) for offset, data in rows]
            after = int(rows[-1][0])

    def places(
        self, kind: str, tenant: str, tokens: Sequence[str], span_us: tuple[int, int], most: int
    ) -> list[tuple[LogPosition, int]]:
        """Where the accesses of an actor, subject or resource lie, under every key of theirs.

        `tokens` in hexadecimal, times of the access.
        """
        view = "subject_access" if kind == "subject" else "access_events"
        column = {"actor": "actor_token", "subject": "subject_token", "resource": "resource_token"}[kind]
        sql = (
            f"SELECT DISTINCT topic, incarnation, partition, offset FROM {VIEWS}.{view} "
            f"WHERE tenant_id = {{tenant:String}} AND {tokens_in(column, 'tokens')} "
            "AND toUnixTimestamp64Micro(event_time) >= {from:Int64} "
            "AND toUnixTimestamp64Micro(event_time) < {until:Int64} LIMIT {most:UInt64}"
        )
        asked = {"tenant": tenant, "tokens": list(tokens), "from": span_us[0], "until": span_us[1], "most": most}
        rows = self._questions.query(sql, asked)
        return [(LogPosition(topic, life, part), offset) for topic, life, part, offset in rows]


def _place(tree: EvidenceTree) -> dict[str, object]:
    return {**of_life(tree.position), "epoch": tree.epoch}
