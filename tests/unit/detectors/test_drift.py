"""Drift: nothing moved gives nothing, what moved is named first, too little says nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.drift import MIN_ROWS, SHIFTED, feature_shifts, index_of, risk_shifts


def drawn(seed: int, rows: int = 4000, columns: int = 3) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.random.default_rng(seed).gamma(2.0, 3.0, (rows, columns)).astype(np.float32)


def test_two_samples_of_the_same_are_no_shift() -> None:
    shifts = feature_shifts("abc", drawn(1), drawn(2))
    assert [one.name for one in shifts if one.is_shifted] == []
    assert max(one.index for one in shifts) < 0.02


def test_what_moved_is_named_first_and_nothing_else() -> None:
    later = drawn(2)
    later[:, 1] *= 2.0
    shifts = feature_shifts("abc", drawn(1), later)
    assert shifts[0].name == "b"
    assert [one.name for one in shifts if one.is_shifted] == ["b"]


def test_a_rare_flag_that_becomes_frequent_is_a_shift() -> None:
    """Deciles of a flag are all zero: one bin must not swallow the change."""
    chance = np.random.default_rng(3)
    before = (chance.random((5000, 1)) < 0.01).astype(np.float32)
    after = (chance.random((5000, 1)) < 0.4).astype(np.float32)
    assert feature_shifts("a", before, after)[0].index > SHIFTED


def test_missing_values_are_a_bin_of_their_own() -> None:
    before, after = drawn(1, columns=1), drawn(2, columns=1)
    after[: len(after) // 2] = np.nan
    assert feature_shifts("a", before, after)[0].is_shifted


@pytest.mark.parametrize(("before", "after"), [(MIN_ROWS - 1, 5000), (5000, MIN_ROWS - 1), (0, 0)])
def test_too_few_rows_say_nothing(before: int, after: int) -> None:
    assert feature_shifts("abc", drawn(1, before), drawn(2, after)) == []


def test_groups_are_judged_by_themselves_and_small_ones_not_at_all() -> None:
    chance = np.random.default_rng(4)
    groups = np.array(["desk"] * 2000 + ["partner"] * 2000 + ["few"] * 100)
    before, after = chance.exponential(8.0, 4100), chance.exponential(8.0, 4100)
    after[2000:4000] += 20.0
    shifts = risk_shifts(before, after, groups, groups)
    assert [one.name for one in shifts] == ["risk", "partner", "desk"]
    assert shifts[1].is_shifted
    assert not shifts[2].is_shifted


@given(st.lists(st.floats(0, 100), max_size=50), st.lists(st.floats(0, 100), max_size=50))
def test_the_index_is_never_negative_and_nothing_against_itself(left: list[float], right: list[float]) -> None:
    one, other = np.array(left, np.float64), np.array(right, np.float64)
    assert index_of(one, other) >= 0
    assert index_of(one, one) == pytest.approx(0.0)
