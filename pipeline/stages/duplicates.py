"""Finds repeated event ids: the same id sent twice is one event, stored at both offsets and counted once.

Place in the flow: after `enrich`, before `assess`. The window is a function of the partition's log alone (the last
200,000 first occurrences, not older than 24 h of broker time), so a replay finds the same duplicates. Re-sending an
old id with other content never erases the first: the second is stored too, pointing at the first's offset.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.base import EventArrays
from pipeline.column_batch import ColumnBatch, FixedColumn
from pipeline.compiled import compiled

WINDOW_IDS = 200_000
WINDOW_US = 24 * 3600 * 1_000_000
_RING = 1 << 18  # longer than the window: what is overwritten has left it
_PLACES = 1 << 19  # chains stay short, and a rebuild is needed only every 160,000 events
NOT_A_DUPLICATE = -1


@compiled
def _home(high: np.uint64, low: np.uint64, salt: np.uint64) -> np.uint64:
    """Where the search for an id begins, 64 bits of which the table takes the lowest.

    Every bit of the id moves every bit of the answer: ids that count up, or share a time, spread like random ones.
    """
    mixed = (high ^ salt) * np.uint64(0x9E3779B97F4A7C15)
    mixed = ((mixed ^ (mixed >> np.uint64(32))) ^ low) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(32))


@compiled  # compiled: it runs once an event
def _mark(
    halves: npt.NDArray[np.uint64],
    offsets: npt.NDArray[np.int64],
    received_at_us: npt.NDArray[np.int64],
    places: npt.NDArray[np.int32],
    ids: npt.NDArray[np.uint64],
    facts: npt.NDArray[np.int64],
    salt: np.uint64,
    first_seq: int,
    window_ids: int,
    window_us: int,
    duplicate_of: npt.NDArray[np.int64],
    slots: npt.NDArray[np.int64],
    places_before: npt.NDArray[np.int32],
    ids_before: npt.NDArray[np.uint64],
    facts_before: npt.NDArray[np.int64],
) -> int:
    """Looks up and adds each id in order; returns how many first occurrences were added.

    First occurrences are numbered from 1; number s lies in the ring at (s - 1) modulo its length, which is a power of
    two. `ids` (ring, 2) and `facts` (ring, 2: offset, received_at) are the ring, `places` (capacity,) a hash table of
    ring places plus one (0 is empty). A place whose id was overwritten in the ring is passed by like any other id's.
    `slots` and `…_before` note what was overwritten, for undoing.
    """
    mask = np.uint64(places.shape[0] - 1)
    ring = ids.shape[0]
    added = 0
    for i in range(halves.shape[0]):
        high, low = halves[i, 0], halves[i, 1]
        slot = _home(high, low, salt) & mask
        while places[slot] != 0 and (ids[places[slot] - 1, 0] != high or ids[places[slot] - 1, 1] != low):
            slot = (slot + np.uint64(1)) & mask
        sequence = first_seq + added
        if places[slot] != 0:
            place = places[slot] - 1
            # The newest number that lies there: how many were added since it, this one included.
            age = ((sequence - 2 - place) & (ring - 1)) + 1
            if age <= window_ids and facts[place, 1] >= received_at_us[i] - window_us:
                duplicate_of[i] = facts[place, 0]
                continue
        place = (sequence - 1) & (ring - 1)
        slots[added] = np.int64(slot)
        places_before[added] = places[slot]
        for j in range(2):
            ids_before[added, j] = ids[place, j]
            facts_before[added, j] = facts[place, j]
        places[slot] = place + 1
        ids[place, 0], ids[place, 1] = high, low
        facts[place, 0], facts[place, 1] = offsets[i], received_at_us[i]
        added += 1
    return added


@dataclass(slots=True)
class _Undo:
    slots: npt.NDArray[np.int64]
    places: npt.NDArray[np.int32]
    ids: npt.NDArray[np.uint64]
    facts: npt.NDArray[np.int64]
    next_seq: int


class DuplicateWindow:
    """The ids one partition has seen lately; 10 MB, whatever comes."""

    def __init__(self) -> None:
        self._places = np.zeros(_PLACES, np.int32)
        self._ids = np.zeros((_RING, 2), np.uint64)
        self._facts = np.zeros((_RING, 2), np.int64)
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
        if not self._undo and self._filled + count > _PLACES * 7 // 10:
            self.rebuild()
        assert self._filled + count < _PLACES, "commit before marking so many"  # noqa: S101  else it would never end
        halves = np.ascontiguousarray(event_ids).view(np.uint64).reshape(count, 2)
        duplicate_of = np.full(count, NOT_A_DUPLICATE, np.int64)
        slots, places = np.empty(count, np.int64), np.empty(count, np.int32)
        ids, facts = np.empty((count, 2), np.uint64), np.empty((count, 2), np.int64)
        added = _mark(
            halves, offsets, received_at_us, self._places, self._ids, self._facts, self._salt, self._next_seq,
            WINDOW_IDS, WINDOW_US, duplicate_of, slots, places, ids, facts,
        )  # fmt: skip
        self._undo.append(_Undo(slots[:added], places[:added], ids[:added], facts[:added], self._next_seq))
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
            numbers = np.arange(undo.next_seq, undo.next_seq + len(undo.slots))
            ring = (numbers - 1) & (_RING - 1)
            # Newest first: a slot taken twice gets its oldest content back.
            self._places[undo.slots[::-1]] = undo.places[::-1]
            self._ids[ring[::-1]] = undo.ids[::-1]
            self._facts[ring[::-1]] = undo.facts[::-1]
            self._filled -= len(undo.slots)
            self._next_seq = undo.next_seq

    def rebuild(self) -> None:
        """Drops what has left the window by count; only with nothing to undo, since slots change."""
        numbers = np.arange(max(1, self._next_seq - WINDOW_IDS), self._next_seq)
        self._places[:] = 0
        self._filled = len(numbers)
        _place((numbers - 1) & (_RING - 1), self._places, self._ids, self._salt)


@compiled
def _place(
    ring: npt.NDArray[np.int64],
    places: npt.NDArray[np.int32],
    ids: npt.NDArray[np.uint64],
    salt: np.uint64,
) -> None:
    """Notes ring places, oldest first: of an id that is there twice the newer one stays."""
    mask = np.uint64(places.shape[0] - 1)
    for place in ring:
        slot = _home(ids[place, 0], ids[place, 1], salt) & mask
        while places[slot] != 0:
            other = places[slot] - 1
            if ids[other, 0] == ids[place, 0] and ids[other, 1] == ids[place, 1]:
                break
            slot = (slot + np.uint64(1)) & mask
        places[slot] = place + 1


def mark_duplicates(columns: ColumnBatch, arrays: EventArrays, window: DuplicateWindow) -> None:
    """Fills `duplicate_of`; a duplicate is stored but neither judged nor learnt."""
    duplicate_of = window.mark(
        columns.fixed("event_id").astype("V16", copy=False),
        columns.fixed("offset").astype(np.int64),
        columns.fixed("received_at").astype(np.int64, copy=False),
    )
    columns.columns["duplicate_of"] = FixedColumn(duplicate_of)
    arrays.scorable[duplicate_of >= 0] = 0
