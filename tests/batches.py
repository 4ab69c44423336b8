"""Sealed batches of random rows: what stores are tested with, formed by the same row stage and ledger as real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.column_batch import (
    ArrayColumn,
    ColumnBatch,
    FixedColumn,
    Interner,
    MapColumn,
    TextColumn,
    take_rows,
    uuid_bytes,
)
from pipeline.columns import ACCESS_EVENT_COLUMNS, ALERT_COLUMNS, DEAD_LETTER_COLUMNS, ColumnSpec
from pipeline.events import SCORE_STATUSES, LogPosition, RecordBatch, codes
from pipeline.ledger.append import BatchContent, seal
from pipeline.ports import EvidenceStore, LedgerEntry
from pipeline.stages.decide import alert_id
from pipeline.stages.row import offset_leaves, place, seal_columns
from tests.rows import random_rows

_UNSCORED = codes(SCORE_STATUSES)["unscored"]
RECEIVED_AT_US = 1_790_000_000_000_000
"""2026-09-21T14:13:20Z; offset n is received n milliseconds later, so a batch stays within one month."""


@dataclass(slots=True)
class Batch:
    """Rows of one batch and the entry that seals them."""

    entry: LedgerEntry
    events: ColumnBatch
    dead_letters: ColumnBatch
    alerts: ColumnBatch

    @property
    def token(self) -> str:
        """Names position, range and content."""
        place_ = self.entry.position
        return (
            f"{place_.topic}:{place_.incarnation}:{place_.partition}:"
            f"{self.entry.first_offset}-{self.entry.last_offset}:{self.entry.root.hex()}"
        )

    def store_rows(self, store: EvidenceStore) -> None:
        """Step 2 of a commit: everything but the ledger entry."""
        store.insert_events(self.events, self.token)
        store.insert_dead_letters(self.dead_letters, self.token)
        if self.alerts.count:
            store.insert_alerts(self.alerts, self.token)

    def commit(self, store: EvidenceStore, writer: str = "test") -> LedgerEntry:
        """Rows, then the entry."""
        self.store_rows(store)
        store.seal(self.entry, writer)
        return self.entry


def batch(
    position: LogPosition,
    previous: LedgerEntry | None = None,
    *,
    events: int = 20,
    dead_letters: int = 2,
    seed: int = 0,
    versions_id: bytes = b"v" * 32,
    retention_class: str = "standard",
    change: Callable[[ColumnBatch], None] = lambda events: None,
) -> Batch:
    """The batch after `previous`: events, then dead letters; the first event raises an alert.

    `change` may set columns of the events before they are hashed.
    """
    first = 0 if previous is None else previous.last_offset + 1
    event_rows = _rows(ACCESS_EVENT_COLUMNS, position, first, events, seed, "event")
    event_rows.columns["duplicate_of"] = FixedColumn(np.full(events, -1, np.int64))
    _bounded(event_rows)
    change(event_rows)
    dead_rows = _rows(DEAD_LETTER_COLUMNS, position, first + events, dead_letters, seed + 1, "dead_letter")
    dead_rows.columns["last_offset"] = dead_rows.columns["offset"]
    alert_rows = _alert_rows(event_rows, seed)
    for rows in (event_rows, dead_rows, alert_rows):
        rows.columns["versions_id"] = FixedColumn(np.full(rows.count, np.void(versions_id), "V32"))
    return _sealed(position, previous, event_rows, dead_rows, alert_rows, versions_id, retention_class)


def part_of(whole: Batch, previous: LedgerEntry | None, last_offset: int) -> Batch:
    """The batch after `previous` that holds the same rows as `whole` up to `last_offset`."""
    first = 0 if previous is None else previous.last_offset + 1

    def within(rows: ColumnBatch) -> ColumnBatch:
        offsets = rows.fixed("offset").astype(np.int64)
        return take_rows(rows, np.flatnonzero((offsets >= first) & (offsets <= last_offset)))

    tables = within(whole.events), within(whole.dead_letters), within(whole.alerts)
    return _sealed(whole.entry.position, previous, *tables, whole.entry.versions_id, "standard")


def _sealed(
    position: LogPosition, previous: LedgerEntry | None, events: ColumnBatch, dead_letters: ColumnBatch,
    alerts: ColumnBatch, versions_id: bytes, retention_class: str,
) -> Batch:  # fmt: skip
    leaves = offset_leaves(events, ACCESS_EVENT_COLUMNS) + offset_leaves(dead_letters, DEAD_LETTER_COLUMNS)
    first, last = min(leaves)[0], max(leaves)[0]
    subjects = events.columns["subject_tokens"]
    assert isinstance(subjects, ArrayColumn)
    content = BatchContent(
        first_offset=first,
        last_offset=last,
        first_received_at_us=RECEIVED_AT_US + first * 1000,
        last_received_at_us=RECEIVED_AT_US + last * 1000,
        n_events=events.count,
        n_dead_letters=dead_letters.count,
        n_subjects=int(subjects.ends[-1]) if events.count else 0,
        n_alerts=alerts.count,
        n_unscored=int((events.fixed("score_status") == _UNSCORED).sum()) if events.count else 0,
    )
    entry = seal(previous, position, [leaf for _, leaf in sorted(leaves)], content, versions_id)
    for rows in (events, dead_letters, alerts):
        seal_columns(rows, entry, retention_class)
    return Batch(entry, events, dead_letters, alerts)


def _rows(
    specs: tuple[ColumnSpec, ...], position: LogPosition, first: int, count: int, seed: int, kind: str
) -> ColumnBatch:
    columns = random_rows(specs, count, seed)
    offsets = np.arange(first, first + count, dtype=np.int64)
    records = RecordBatch(position, offsets, RECEIVED_AT_US + offsets * 1000, [], [])
    place(columns, records, np.arange(count), kind)
    return columns


def _bounded(events: ColumnBatch) -> None:
    """Amounts as sources report them: the extremes are tested where they matter, here sums must mean something."""
    for name in ("records_returned", "bytes_out", "subject_count"):
        events.columns[name] = FixedColumn(events.fixed(name) % 1000 - 1)


def _alert_rows(events: ColumnBatch, seed: int) -> ColumnBatch:
    count = min(1, events.count)
    of_event = take_rows(events, np.arange(count))
    rows = random_rows(ALERT_COLUMNS, count, seed + 2)
    for name in (
        "partition", "offset", "received_at", "event_time", "event_id", "actor_token", "tenant_id", "topic",
        "incarnation", "versions_id",
    ):  # fmt: skip
        rows.columns[name] = of_event.columns[name]
    names = Interner()
    shown = TextColumn(names.ids(["客服部", "subjects_1h"] * count, 2 * count), names)
    numbers = FixedColumn(np.random.default_rng(seed).normal(size=2 * count))
    rows.columns["seen"] = MapColumn(np.arange(2, 2 * count + 1, 2, dtype=np.int64), shown, numbers)
    ids = [
        uuid_bytes(alert_id(rows, row, rows.text("detector").interner.texts[row_id]))
        for row, row_id in enumerate(rows.text("detector").ids.tolist())
    ]
    rows.columns["alert_id"] = FixedColumn(np.frombuffer(b"".join(ids), "V16"))
    return rows


def same_text(rows: ColumnBatch, name: str, text: str) -> None:
    """Gives every row the same text."""
    names = Interner()
    rows.columns[name] = TextColumn(np.full(rows.count, names[text], np.int32), names)


def with_reason(rows: ColumnBatch, reason: str) -> ColumnBatch:
    """Dead letters with one reason for all."""
    same_text(rows, "reason", reason)
    return rows
