"""Work items (tickets, orders, assignments) and the question they answer: does one of them explain this access?

Held as sorted arrays, about 90 bytes an item, because a company opens millions. Times are UTC microseconds.

An item *covers* a moment t when it was opened by then and not closed yet, or closed but opened at most 24 hours
before t (after-call work): opened − 5 min ≤ t and (t ≤ closed or t − opened ≤ 24 h). The five minutes allow for
clocks of two systems that differ. What is opened later is the business of the final verdict a day after, not of the
stream: a replay must find what the stream found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.columns import NO_TOKEN, TOKEN_BYTES

AFTER_WORK_US = 24 * 3600 * 1_000_000
CLOCK_TOLERANCE_US = 5 * 60 * 1_000_000
STILL_OPEN = np.iinfo(np.int64).max

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
_MIX = np.uint64(0x9E3779B97F4A7C15)
_DTYPE = f"V{TOKEN_BYTES}"


def first_half(tokens: npt.NDArray[np.generic]) -> U64:
    """The first 64 bits of each token, little-endian, (n,): what the detectors' arrays hold; 0 where absent."""
    return np.ascontiguousarray(tokens).view("<u8")[::2].copy()


@dataclass(frozen=True)
class WorkItems:
    """All known work items, n, in canonical order. Tokens V16; `subjects` NO_TOKEN for bulk jobs; `closed_us`
    STILL_OPEN while open.
    """

    cases: npt.NDArray[np.void]
    actors: npt.NDArray[np.void]
    subjects: npt.NDArray[np.void]
    opened_us: I64
    closed_us: I64
    kinds: tuple[str, ...]

    @classmethod
    def empty(cls) -> WorkItems:
        """No work items."""
        return cls.from_rows([])

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[Any]]) -> WorkItems:
        """From (case, actor, subject or "", opened_us, closed_us or None, kind) with tokens in hexadecimal."""
        rows = sorted(rows, key=lambda row: (row[3], row[0], row[1], row[2], row[5]))

        def tokens(place: int) -> npt.NDArray[np.void]:
            return np.frombuffer(bytes.fromhex("".join(row[place] or NO_TOKEN.hex() for row in rows)), _DTYPE)

        return cls(
            cases=tokens(0),
            actors=tokens(1),
            subjects=tokens(2),
            opened_us=np.array([row[3] for row in rows], np.int64),
            closed_us=np.array([STILL_OPEN if row[4] is None else row[4] for row in rows], np.int64),
            kinds=tuple(row[5] for row in rows),
        )

    def rows(self) -> list[list[Any]]:
        """What `from_rows` makes this of, in canonical order."""
        return [
            [case.hex(), actor.hex(), "" if subject == NO_TOKEN else subject.hex(), opened, closed, kind]
            for case, actor, subject, opened, closed, kind in zip(
                self.cases.tolist(),
                self.actors.tolist(),
                self.subjects.tolist(),
                self.opened_us.tolist(),
                [None if closed == STILL_OPEN else closed for closed in self.closed_us.tolist()],
                self.kinds,
                strict=True,
            )
        ]

    def __len__(self) -> int:
        return len(self.kinds)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WorkItems) and self.rows() == other.rows()

    __hash__ = None  # type: ignore[assignment]  # arrays inside

    @cached_property
    def _subject_halves(self) -> U64:
        return first_half(self.subjects)

    @cached_property
    def _by_case(self) -> _Index:
        keys = _pair_key(first_half(self.cases), first_half(self.actors))
        return _Index.of(keys, np.arange(len(self)))

    @cached_property
    def _by_subject(self) -> _Index:
        rows = np.flatnonzero(self._subject_halves != 0)
        return _Index.of(_pair_key(self._subject_halves[rows], first_half(self.actors)[rows]), rows)

    def explained(
        self, cases: U64, actors: U64, times_us: I64, subject_rows: npt.NDArray[np.int32], subjects: U64
    ) -> npt.NDArray[np.bool_]:
        """Which of n events a work item explains, (n,).

        `cases`, `actors` (n,): first halves of tokens, case 0 where none is claimed; `subjects` (s,) and the event
        each belongs to, `subject_rows` (s,). With a case: an item of that case and actor covers the moment and is
        a bulk job or names one of the event's subjects. Without: an item of this actor and subject covers it.
        """
        result = np.zeros(len(cases), np.bool_)
        if not len(self):
            return result
        claimed = np.flatnonzero(cases)
        places, items = self._by_case.find(_pair_key(cases[claimed], actors[claimed]))
        events = claimed[places]
        good = self._covers(items, times_us[events])
        wanted = self._subject_halves[items]
        matched = good & (wanted == 0)
        result[events[matched]] = True
        open_questions = good & (wanted != 0)
        if open_questions.any():
            touched = np.sort(_pair_key(subjects, subject_rows.astype(np.uint64)))
            asked = _pair_key(wanted[open_questions], events[open_questions].astype(np.uint64))
            result[events[open_questions][_contains(touched, asked)]] = True

        unclaimed = np.flatnonzero(cases[subject_rows] == 0)
        owners = subject_rows[unclaimed].astype(np.int64)
        places, items = self._by_subject.find(_pair_key(subjects[unclaimed], actors[owners]))
        events = owners[places]
        result[events[self._covers(items, times_us[events])]] = True
        return result

    def _covers(self, items: npt.NDArray[np.int64], times_us: I64) -> npt.NDArray[np.bool_]:
        opened = self.opened_us[items]
        return (opened - CLOCK_TOLERANCE_US <= times_us) & (
            (times_us <= self.closed_us[items]) | (times_us - opened <= AFTER_WORK_US)
        )


def _pair_key(left: U64, right: U64) -> U64:
    """One 64-bit key of two; the parts are keyed hashes, so a collision among millions is as likely as a forgery."""
    mixed: U64 = right * _MIX
    key: U64 = left ^ mixed ^ (mixed >> np.uint64(29))
    return key


def _contains(sorted_keys: U64, wanted: U64) -> npt.NDArray[np.bool_]:
    if not len(sorted_keys):
        return np.zeros(len(wanted), np.bool_)
    place = np.minimum(np.searchsorted(sorted_keys, wanted), len(sorted_keys) - 1)
    found: npt.NDArray[np.bool_] = sorted_keys[place] == wanted
    return found


@dataclass(frozen=True, slots=True)
class _Index:
    """Sorted keys and the item each belongs to."""

    keys: U64
    items: npt.NDArray[np.int64]

    @classmethod
    def of(cls, keys: U64, items: npt.NDArray[np.int64]) -> _Index:
        order = np.argsort(keys, kind="stable")
        return cls(keys[order], items[order])

    def find(self, wanted: U64) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Every (place in `wanted`, item) with an equal key."""
        first = np.searchsorted(self.keys, wanted, "left")
        counts = np.searchsorted(self.keys, wanted, "right") - first
        places = np.repeat(np.arange(len(wanted)), counts)
        starts = np.repeat(first - (np.cumsum(counts) - counts), counts)
        return places, self.items[starts + np.arange(len(places))]
