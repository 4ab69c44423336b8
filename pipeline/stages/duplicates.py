"""Finds repeated event ids: the same id sent twice is one event, stored at both offsets and counted once.

Place in the flow: after `enrich`, before `assess`. The window is a function of the partition's log alone (the last
200,000 first occurrences, not older than 24 h of broker time), so a replay finds the same duplicates. Re-sending an
old id with other content never erases the first: the second is stored too, pointing at the first's offset.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from detectors.base import EventArrays
from pipeline.columns import ColumnBatch, FixedColumn

WINDOW_IDS = 200_000
WINDOW_US = 24 * 3600 * 1_000_000
_CAPACITY = 1 << 19  # 2.6 × the window: chains stay short, and a rebuild is needed only every 200,000 events
NOT_A_DUPLICATE = -1


@numba.njit(cache=True)
def _home(high: np.uint64, low: np.uint64, salt: np.uint64) -> np.uint64:
    """Where the search for an id begins, 64 bits of which the table takes the lowest.

    Every bit of the id moves every bit of the answer: ids that count up, or share a time, spread like random ones.
    """
    mixed = (high ^ salt) * np.uint64(0x9E3779B97F4A7C15)
    mixed = ((mixed ^ (mixed >> np.uint64(32))) ^ low) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(32))


@numba.njit(cache=True)  # compiled: it runs once an event
def _mark(
    high: npt.NDArray[np.uint64],
    low: npt.NDArray[np.uint64],
    offsets: npt.NDArray[np.int64],
    received_at_us: npt.NDArray[np.int64],
    table: npt.NDArray[np.int64],
    ids: npt.NDArray[np.uint64],
    salt: np.uint64,
    first_seq: int,
    window_ids: int,
    window_us: int,
    duplicate_of: npt.NDArray[np.int64],
    slots: npt.NDArray[np.int64],
    before: npt.NDArray[np.int64],
) -> int:
    """Looks up and adds each id in order; returns how many first occurrences were added.

    `table` (capacity, 3): sequence number from 1 (0 is empty), offset, received_at; `ids` (capacity, 2).
    `slots` and `before` note what was overwritten, for undoing.
    """
    mask = np.uint64(table.shape[0] - 1)
    added = 0
    for i in range(high.shape[0]):
        slot = _home(high[i], low[i], salt) & mask
        while table[slot, 0] != 0 and (ids[slot, 0] != high[i] or ids[slot, 1] != low[i]):
            slot = (slot + np.uint64(1)) & mask
        sequence = first_seq + added
        alive = (
            table[slot, 0] != 0
            and table[slot, 0] >= sequence - window_ids
            and table[slot, 2] >= received_at_us[i] - window_us
        )
        if alive:
            duplicate_of[i] = table[slot, 1]
            continue
        slots[added] = np.int64(slot)
        before[added, 0] = table[slot, 0]
        before[added, 1] = table[slot, 1]
        before[added, 2] = table[slot, 2]
        ids[slot, 0] = high[i]
        ids[slot, 1] = low[i]
        table[slot, 0] = sequence
        table[slot, 1] = offsets[i]
        table[slot, 2] = received_at_us[i]
        added += 1
    return added


@dataclass(slots=True)
class _Undo:
    slots: npt.NDArray[np.int64]
    before: npt.NDArray[np.int64]
    next_seq: int


class DuplicateWindow:
    """The ids one partition has seen lately; 20 MB, whatever comes."""

    def __init__(self) -> None:
        self._table = np.zeros((_CAPACITY, 3), np.int64)
        self._ids = np.zeros((_CAPACITY, 2), np.uint64)
        # Secret, so that no source can aim its ids at one slot; answers do not depend on it.
        self._salt = np.uint64(secrets.randbits(64))
        self._next_seq = 1
        self._filled = 0
        self._undo: list[_Undo] = []

    def mark(
        self,
        event_ids: npt.NDArray[np.void],
        offsets: npt.NDArray[np.int64],
        received_at_us: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.int64]:
        """Offset of the first occurrence of each id, or -1 where this is it; remembers the new ones.

        Shapes (n,); `event_ids` are UUIDs as 16 bytes. Undone by `rollback`, kept by `commit`.
        """
        count = len(offsets)
        if not self._undo and self._filled + count > _CAPACITY * 7 // 10:
            self._rebuild()
        assert self._filled + count < _CAPACITY, "commit before marking so many"  # noqa: S101  else it would never end
        halves = np.ascontiguousarray(event_ids).view(np.uint64).reshape(count, 2)
        duplicate_of = np.full(count, NOT_A_DUPLICATE, np.int64)
        slots, before = np.empty(count, np.int64), np.empty((count, 3), np.int64)
        added = _mark(
            np.ascontiguousarray(halves[:, 0]), np.ascontiguousarray(halves[:, 1]),
            offsets, received_at_us, self._table, self._ids, self._salt, self._next_seq, WINDOW_IDS,
            WINDOW_US, duplicate_of, slots, before,
        )  # fmt: skip
        self._undo.append(_Undo(slots[:added].copy(), before[:added].copy(), self._next_seq))
        self._next_seq += added
        self._filled += added
        return duplicate_of

    def commit(self) -> None:
        """Keeps what was marked since the last commit."""
        self._undo.clear()

    def rollback(self) -> None:
        """Forgets what was marked since the last commit."""
        while self._undo:
            undo = self._undo.pop()
            # Newest first: a slot taken twice gets its oldest content back.
            self._table[undo.slots[::-1]] = undo.before[::-1]
            self._filled -= len(undo.slots)
            self._next_seq = undo.next_seq

    def _rebuild(self) -> None:
        """Drops what has left the window by count; only with nothing to undo, since slots change."""
        alive = self._table[:, 0] >= self._next_seq - WINDOW_IDS
        alive &= self._table[:, 0] != 0
        kept = np.flatnonzero(alive)
        order = kept[np.argsort(self._table[kept, 0], kind="stable")]
        table, ids = self._table[order].copy(), self._ids[order].copy()
        self._table[:] = 0
        self._ids[:] = 0
        self._filled = len(order)
        _place(table, ids, self._table, self._ids, self._salt)


@numba.njit(cache=True)
def _place(
    rows: npt.NDArray[np.int64],
    row_ids: npt.NDArray[np.uint64],
    table: npt.NDArray[np.int64],
    ids: npt.NDArray[np.uint64],
    salt: np.uint64,
) -> None:
    mask = np.uint64(table.shape[0] - 1)
    for i in range(rows.shape[0]):
        slot = _home(row_ids[i, 0], row_ids[i, 1], salt) & mask
        while table[slot, 0] != 0:
            slot = (slot + np.uint64(1)) & mask
        for j in range(3):
            table[slot, j] = rows[i, j]
        ids[slot, 0] = row_ids[i, 0]
        ids[slot, 1] = row_ids[i, 1]


def mark_duplicates(columns: ColumnBatch, arrays: EventArrays, window: DuplicateWindow) -> None:
    """Fills `duplicate_of`; a duplicate is stored but neither judged nor learnt."""
    duplicate_of = window.mark(
        columns.fixed("event_id").astype("V16", copy=False),
        columns.fixed("offset").astype(np.int64),
        columns.fixed("received_at").astype(np.int64, copy=False),
    )
    columns.columns["duplicate_of"] = FixedColumn(duplicate_of)
    arrays.scorable[duplicate_of >= 0] = 0
