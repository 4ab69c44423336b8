"""The duplicate window against a plain dict: first occurrences, both limits of the window, undoing, rebuilding."""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.stages import duplicates
from pipeline.stages.duplicates import NOT_A_DUPLICATE, WINDOW_IDS, WINDOW_US, DuplicateWindow

NEW = NOT_A_DUPLICATE
SMALL_IDS, SMALL_RING, SMALL_PLACES = 10, 16, 128


def as_ids(numbers: npt.NDArray[np.int64] | list[int], *, at: int = 0) -> npt.NDArray[np.void]:
    """UUIDs that count up, big-endian, in their last eight bytes (`at` 0) or in their first."""
    halves = np.zeros((len(numbers), 2), ">u8")
    halves[:, 1 - at] = numbers
    return np.frombuffer(halves.tobytes(), "V16")


class Model:
    """What the window promises, with a dict and a list."""

    def __init__(self, ids: int, span_us: int) -> None:
        self.ids, self.span_us = ids, span_us
        self.seen: dict[int, tuple[int, int, int]] = {}
        self.firsts = 0

    def mark(self, numbers: list[int], offsets: list[int], times: list[int]) -> list[int]:
        answers = []
        for number, offset, time_us in zip(numbers, offsets, times, strict=True):
            place, first, seen_us = self.seen.get(number, (-sys.maxsize, 0, 0))
            if place >= self.firsts - self.ids and seen_us >= time_us - self.span_us:
                answers.append(first)
                continue
            self.seen[number] = (self.firsts, offset, time_us)
            self.firsts += 1
            answers.append(NEW)
        return answers

    def copy(self) -> Model:
        other = Model(self.ids, self.span_us)
        other.seen, other.firsts = dict(self.seen), self.firsts
        return other


def mark(window: DuplicateWindow, numbers: list[int], first_offset: int, time_us: int = 0) -> list[int]:
    count = len(numbers)
    offsets = np.arange(first_offset, first_offset + count)
    answers: list[int] = window.mark(as_ids(numbers), offsets, np.full(count, time_us, np.int64)).tolist()
    return answers


def test_first_occurrences_are_no_duplicates_and_later_ones_name_the_first() -> None:
    window = DuplicateWindow()
    assert mark(window, [7, 8, 9], 100) == [NEW, NEW, NEW]
    window.commit()
    assert mark(window, [8, 10, 7], 103) == [101, NEW, 100]
    window.commit()
    assert mark(window, [8, 8], 106) == [101, 101]


def test_duplicates_inside_one_batch_are_found() -> None:
    assert mark(DuplicateWindow(), [5, 6, 5, 5, 6], 50) == [NEW, NEW, 50, 50, 51]


def test_ids_that_share_a_half_are_different() -> None:
    window = DuplicateWindow()
    both = np.concatenate((as_ids([3, 0]), as_ids([3, 3], at=1)))
    assert window.mark(both, np.arange(4), np.zeros(4, np.int64)).tolist() == [NEW, NEW, NEW, 2]


def test_the_zero_id_is_an_id() -> None:
    window = DuplicateWindow()
    assert mark(window, [0, 0], 9) == [NEW, 9]


def test_rollback_forgets_every_mark_since_the_commit() -> None:
    window = DuplicateWindow()
    mark(window, [1, 2], 0)
    window.commit()
    mark(window, [3, 1], 2)
    mark(window, [4], 4)
    window.rollback()
    assert mark(window, [3, 4, 1, 2], 10) == [NEW, NEW, 0, 1]


def test_rollback_brings_back_what_an_expired_id_was_overwritten_with() -> None:
    window = DuplicateWindow()
    mark(window, [1], 0, time_us=0)
    window.commit()
    assert mark(window, [1], 1, time_us=WINDOW_US + 1) == [NEW]
    window.rollback()
    assert mark(window, [1], 1, time_us=WINDOW_US) == [0]


def test_an_id_leaves_the_window_after_24_hours_of_broker_time() -> None:
    window = DuplicateWindow()
    mark(window, [1], 0, time_us=1000)
    assert mark(window, [1], 1, time_us=1000 + WINDOW_US) == [0]
    assert mark(window, [1], 2, time_us=1001 + WINDOW_US) == [NEW]
    assert mark(window, [1], 3, time_us=1001 + WINDOW_US) == [2]


def test_a_duplicate_does_not_prolong_the_window() -> None:
    window = DuplicateWindow()
    mark(window, [1], 0, time_us=0)
    mark(window, [1], 1, time_us=WINDOW_US)
    assert mark(window, [1], 2, time_us=WINDOW_US + 1) == [NEW]


def test_the_last_200_000_first_occurrences_are_known_and_no_more() -> None:
    window = DuplicateWindow()
    assert mark(window, list(range(WINDOW_IDS)), 0) == [NEW] * WINDOW_IDS
    window.commit()
    assert mark(window, [0], WINDOW_IDS) == [0]
    assert mark(window, [WINDOW_IDS, 1, 0], WINDOW_IDS) == [NEW, 1, NEW]


@pytest.mark.parametrize("at", [0, 1])
def test_ids_that_count_up_are_as_spread_as_random_ones(at: int) -> None:
    """A source may number its events: then no lookup may walk through all of them."""
    window = DuplicateWindow()
    count = 20_000
    window.mark(as_ids(np.arange(count), at=at), np.arange(count), np.zeros(count, np.int64))
    assert longest_run(window) < 100


def longest_run(window: DuplicateWindow) -> int:
    """The longest run of taken slots: no search is longer."""
    free = np.flatnonzero(window._places == 0)
    return int(np.diff(free, prepend=-1, append=len(window._places)).max()) - 1


HISTORIES = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 40), st.integers(0, WINDOW_US // 8)), min_size=1, max_size=30),
        st.sampled_from(["commit", "commit", "commit", "rollback", "rollback"]),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=150)
@given(HISTORIES)
def test_any_history_is_answered_as_by_a_dict(history: list[tuple[list[tuple[int, int]], str]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "WINDOW_IDS", SMALL_IDS)
        patch.setattr(duplicates, "_RING", SMALL_RING)
        patch.setattr(duplicates, "_PLACES", SMALL_PLACES)
        window, model = DuplicateWindow(), Model(SMALL_IDS, WINDOW_US)
        kept, offset, time_us, kept_at = model.copy(), 0, 0, (0, 0)
        for records, then in history:
            numbers = [number for number, _ in records]
            times = (time_us + np.cumsum([step for _, step in records])).tolist()
            offsets = list(range(offset, offset + len(records)))
            answers = window.mark(as_ids(numbers), np.array(offsets), np.array(times))
            assert answers.tolist() == model.mark(numbers, offsets, times)
            offset, time_us = offset + len(records), times[-1]
            if then == "commit":
                window.commit()
                kept, kept_at = model.copy(), (offset, time_us)
            else:
                window.rollback()
                model, (offset, time_us) = kept.copy(), kept_at


def test_what_was_marked_before_a_rebuild_can_still_be_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "WINDOW_IDS", SMALL_IDS)
    monkeypatch.setattr(duplicates, "_RING", SMALL_RING)
    monkeypatch.setattr(duplicates, "_PLACES", SMALL_PLACES)
    window = DuplicateWindow()
    for start in range(0, 120, 30):
        mark(window, list(range(start, start + 30)), start)
    window.rollback()
    assert mark(window, [115, 116], 0) == [NEW, NEW]
    window.commit()
    for start in range(0, 90, 30):
        mark(window, list(range(start, start + 30)), start + 2)
        window.commit()
    assert mark(window, [89, 80, 79], 200) == [91, 82, NEW]


def test_a_rebuild_keeps_every_answer() -> None:
    """Full size: the third 200,000 make the table drop what has left the window, in the middle of the stream."""
    window, model = DuplicateWindow(), Model(WINDOW_IDS, WINDOW_US)
    draw = np.random.default_rng(5)
    numbers = draw.integers(0, 2**62, 450_000)
    repeats = draw.random(len(numbers)) < 0.05
    numbers[repeats] = numbers[np.maximum(np.flatnonzero(repeats) - draw.integers(1, 230_000, repeats.sum()), 0)]
    for start in range(0, len(numbers), 30_000):
        part = numbers[start : start + 30_000]
        offsets = np.arange(start, start + len(part))
        answers = window.mark(as_ids(part), offsets, offsets * 10)
        window.commit()
        assert answers.tolist() == model.mark(part.tolist(), offsets.tolist(), (offsets * 10).tolist())
    assert window._filled < WINDOW_IDS * 2


def test_replaying_a_log_from_its_last_200_000_first_occurrences_finds_the_same_duplicates() -> None:
    whole, rebuilt = DuplicateWindow(), DuplicateWindow()
    numbers = np.random.default_rng(6).permutation(WINDOW_IDS + 5000)
    offsets = np.arange(len(numbers))
    zeros = np.zeros(len(numbers), np.int64)
    whole.mark(as_ids(numbers), offsets, zeros)
    rebuilt.mark(as_ids(numbers[-WINDOW_IDS:]), offsets[-WINDOW_IDS:], zeros[-WINDOW_IDS:])
    again = np.concatenate((numbers[4000:6000], numbers[-1000:]))
    more = np.arange(len(numbers), len(numbers) + len(again))
    answers = [window.mark(as_ids(again), more, np.zeros(len(again), np.int64)).tolist() for window in (whole, rebuilt)]
    assert answers[0] == answers[1]
