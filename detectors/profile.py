"""What is remembered of each actor: one fixed-size record, changed by the feature kernel, undone when a batch fails.

Place in the flow: owned by the partition, used by `assess` (features) and `decide` (suppression). Bounded: under 4 KiB
an actor whatever they do (counters, small tables, bitmaps that estimate distinct counts). Keyed by tenant and actor
token; nothing is shared between actors, so a partition's profiles are a function of its log and versions alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.errors import BrokenInvariant

HOUR_BITMAP_WORDS = 16  # 1,024 bits: distinct subjects of the running hour
DAY_BITMAP_WORDS = 64  # 4,096 bits: distinct subjects of the running day
PREFIXES, DEVICES, COUNTRIES, AGENTS, RESOURCES, SUBJECTS = 16, 8, 8, 8, 24, 32
RING_DAYS = 35

# Running totals of the day, and the own level of each: mean and variance of log1p of the day's total.
DAY_MEASURES = ("subjects", "exposure", "records", "exported", "unmasked", "unexplained", "vip", "external")
N_DAY = len(DAY_MEASURES)

STATE = np.dtype(
    [
        ("newest_us", "<i8"),
        ("events", "<i8"),
        ("first_day", "<i4"),
        ("day", "<i4"),
        ("active_days", "<i4"),
        ("hour_mark", "<i4"),
        ("gap_days", "<f4"),
        ("gap_until_us", "<i8"),
        ("hours", "<f4", (48,)),
        ("hours_total", "<f4"),
        ("size_mean", "<f4", (2,)),
        ("size_var", "<f4", (2,)),
        ("size_n", "<f4", (2,)),
        ("rate_10m", "<f8"),
        ("denied_10m", "<f8"),
        ("device_turns", "<f8"),
        ("off_region_fast", "<f4"),
        ("off_region_slow", "<f4"),
        ("hour_bits", "<u8", (HOUR_BITMAP_WORDS,)),
        ("day_bits", "<u8", (DAY_BITMAP_WORDS,)),
        ("today", "<f8", (N_DAY,)),
        ("day_mean", "<f4", (N_DAY,)),
        ("day_var", "<f4", (N_DAY,)),
        ("ring_records", "<f4", (RING_DAYS,)),
        ("ring_subjects", "<f4", (RING_DAYS,)),
        ("prefix_keys", "<u8", (PREFIXES,)),
        ("prefix_counts", "<f4", (PREFIXES,)),
        ("device_keys", "<u8", (DEVICES,)),
        ("device_counts", "<f4", (DEVICES,)),
        ("country_keys", "<u8", (COUNTRIES,)),
        ("country_counts", "<f4", (COUNTRIES,)),
        ("agent_keys", "<u8", (AGENTS,)),
        ("agent_counts", "<f4", (AGENTS,)),
        ("resource_keys", "<u8", (RESOURCES,)),
        ("resource_counts", "<f4", (RESOURCES,)),
        ("actions", "<f4", (20,)),
        ("subject_keys", "<u8", (SUBJECTS,)),
        ("subject_counts", "<f4", (SUBJECTS,)),
        ("subject_days", "<i4", (SUBJECTS,)),
        ("last_device", "<u8"),
        ("last_sequence", "<u4"),
        ("sequence_bits", "<u4"),
        ("last_latitude", "<f4"),
        ("last_longitude", "<f4"),
        ("last_place_us", "<i8"),
        # alert policy
        ("last_alert_us", "<i8"),
        ("last_alert_reasons", "<u8"),
        ("last_alert_risk", "<i4"),
        ("alert_day", "<i4"),
        ("alerts_today", "<i4"),
    ]
)
assert STATE.itemsize <= 4096  # noqa: S101  a promise of the design, checked where it is made

Records = npt.NDArray[np.void]


class Profiles:
    """The profiles of one partition. `begin` … `commit` or `rollback` frame one batch."""

    def __init__(self) -> None:
        self._slots: dict[bytes, int] = {}
        self._keys: list[bytes] = []
        self._state: Records = np.zeros(64, STATE)
        self._dirty: set[int] = set()
        self._undo: list[tuple[npt.NDArray[np.int64], Records]] = []
        self._known_before = 0

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def state(self) -> Records:
        """The records, by slot; longer than the number of actors."""
        return self._state

    def begin(self) -> None:
        """Starts a batch; what an earlier one left uncommitted is undone."""
        self.rollback()
        self._known_before = len(self._keys)

    def slots(self, keys: Sequence[bytes]) -> npt.NDArray[np.int64]:
        """The slot of each actor, made where new; remembers the records for undoing. int64 (n,)."""
        table = self._slots
        found = np.empty(len(keys), np.int64)
        for index, key in enumerate(keys):
            slot = table.get(key)
            if slot is None:
                slot = table[key] = len(self._keys)
                self._keys.append(key)
            found[index] = slot
        self._grow()
        touched = np.unique(found)
        self._undo.append((touched, self._state[touched].copy()))
        return found

    def slot_of(self, keys: Sequence[bytes]) -> npt.NDArray[np.int64]:
        """The slots of actors that `slots` has seen, int64 (n,)."""
        return np.fromiter(map(self._slots.__getitem__, keys), np.int64, len(keys))

    def _grow(self) -> None:
        if len(self._keys) > len(self._state):
            bigger = np.zeros(max(2 * len(self._state), len(self._keys)), STATE)
            bigger[: len(self._state)] = self._state
            self._state = bigger

    def commit(self) -> None:
        """Keeps the batch's changes."""
        for touched, _ in self._undo:
            self._dirty.update(touched.tolist())
        self._undo.clear()

    def rollback(self) -> None:
        """Undoes the batch's changes, new actors included."""
        if not self._undo:
            return
        while self._undo:  # newest first: a record taken twice gets its oldest content back
            touched, before = self._undo.pop()
            self._state[touched] = before
        for key in self._keys[self._known_before :]:
            del self._slots[key]
        del self._keys[self._known_before :]

    def dirty(self) -> list[bytes]:
        """Keys of the profiles that changed since `clear_dirty`, in a fixed order."""
        return [self._keys[slot] for slot in sorted(self._dirty)]

    def clear_dirty(self) -> None:
        """Called when a snapshot has been written."""
        self._dirty.clear()

    def export(self, keys: Sequence[bytes]) -> list[bytes]:
        """The records of these actors as bytes."""
        return list(self.exported(keys))

    def exported(self, keys: Sequence[bytes]) -> Iterator[bytes]:
        """The same one after the other, as they are when they are asked for: a snapshot need not hold all at once."""
        return (self._state[self._slots[key]].tobytes() for key in keys)

    def restore(self, keys: Sequence[bytes], states: Sequence[bytes]) -> None:
        """Puts records back that `export` wrote. Raises: BrokenInvariant: a record is not of this version's size."""
        if any(len(state) != STATE.itemsize for state in states):
            raise BrokenInvariant(
                "a stored profile has another size than this version's: it was made by another version of accesstrail",
                code="profile_size",
            )
        for key, state in zip(keys, states, strict=True):
            if key not in self._slots:
                self._slots[key] = len(self._keys)
                self._keys.append(key)
                self._grow()
            self._state[self._slots[key]] = np.frombuffer(state, STATE)[0]
