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
DAY_BITMAP_WORDS = 32  # 2,048 bits: distinct subjects of the running day
PREFIXES, DEVICES, COUNTRIES, AGENTS, RESOURCES, SUBJECTS = 16, 8, 8, 8, 24, 40
RING_DAYS = 35
ACTION_CODES, CHANNEL_CODES = 20, 8

# Running totals of the day, and the own level of each: mean and variance of log1p of the day's total.
DAY_MEASURES = (
    "subjects", "exposure", "records", "exported", "unmasked", "unexplained", "vip", "external", "searches", "changes",
    "audit", "busiest_hour", "all_subjects", "all_records",
)  # fmt: skip
N_DAY = len(DAY_MEASURES)


def _table(name: str, size: int) -> list[tuple[str, str, tuple[int]]]:
    """What was used on how many days: 32-bit keys (0: none), days of use, the last of them (days since 1970)."""
    return [(f"{name}_keys", "<u4", (size,)), (f"{name}_days", "<u2", (size,)), (f"{name}_last", "<u2", (size,))]


STATE = np.dtype(
    [
        ("newest_us", "<i8"),
        ("events", "<i8"),
        ("gap_until_us", "<i8"),
        ("last_place_us", "<i8"),
        ("rate_10m", "<f8"),
        ("denied_10m", "<f8"),
        ("device_turns", "<f8"),
        ("network_turns", "<f8"),
        ("unlisted_subjects", "<f8", (2,)),  # of the open accesses, of all
        ("hour_bits", "<u8", (HOUR_BITMAP_WORDS,)),
        ("day_bits", "<u8", (2, DAY_BITMAP_WORDS)),  # of the open accesses, of all
        ("hour_ones", "<i4"),  # bits set in the hour
        ("day_ones", "<i4", (2,)),
        ("today", "<f8", (N_DAY,)),
        ("alert_opened_us", "<i8"),
        ("last_alert_us", "<i8"),  # newest finding of the open alert
        ("last_alert_reasons", "<u8"),
        ("day_mean", "<f4", (N_DAY,)),
        ("day_var", "<f4", (N_DAY,)),
        ("rises", "<f4", (3,)),  # sums of small rises of open subjects, records and unmasked looks
        ("first_day", "<i4"),
        ("newest_holidays", "<i4"),  # public holidays before the day of the newest event
        ("day", "<i4"),
        ("active_days", "<i4"),
        ("known_days", "<f4"),  # active days behind the counts below; halved with them
        ("hour_mark", "<i4"),
        ("gap_days", "<f4"),
        ("size_mean", "<f4", (2,)),
        ("size_var", "<f4", (2,)),
        ("size_n", "<f4", (2,)),
        ("off_region_fast", "<f4"),
        ("off_region_slow", "<f4"),
        ("ring_records", "<f4", (RING_DAYS,)),
        ("ring_subjects", "<f4", (RING_DAYS,)),
        ("ring_unexplained", "<f4", (RING_DAYS,)),
        ("past_records", "<f4", (2,)),  # sums over closed days: the last 6, the 28 before this week
        ("past_subjects", "<f4", (3,)),  # the last 6, the 28 before this week, the last 13
        ("past_unexplained", "<f4"),  # the last 13
        ("subject_keys", "<u4", (SUBJECTS,)),
        ("subject_looks", "<f4", (SUBJECTS,)),
        ("subject_visits", "<f4", (SUBJECTS,)),
        ("subject_minutes", "<i4", (SUBJECTS,)),  # minutes since 1970 of the last look
        ("last_device", "<u4"),
        ("last_network", "<u4"),
        ("last_sequence", "<u4"),
        ("sequence_bits", "<u4"),
        ("last_latitude", "<f4"),
        ("last_longitude", "<f4"),
        ("hours_today", "<u4"),  # one bit an hour
        ("actions_today", "<u4"),  # one bit an action
        ("channels_today", "<u4"),  # one bit a channel
        ("last_alert_risk", "<i4"),
        ("alert_day", "<i4"),
        ("alerts_today", "<i4"),
        *_table("prefix", PREFIXES),
        *_table("device", DEVICES),
        *_table("country", COUNTRIES),
        *_table("agent", AGENTS),
        *_table("resource", RESOURCES),
        ("hours", "<u2", (48,)),  # days on which the hour was used; 24 of working days, 24 of others
        ("actions", "<u2", (ACTION_CODES,)),
        ("channels", "<u2", (CHANNEL_CODES,)),
        ("is_off_day", "u1"),  # whether the running day is one
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
