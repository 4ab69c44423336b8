"""What bounds an account's part in a model: its share of the forest's rows."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.train import ACCOUNT_SHARE, within_share


@given(st.lists(st.integers(1, 400), min_size=1, max_size=60), st.integers(0, 2**32))
def test_no_account_gives_more_than_its_share_and_nobody_else_loses_a_row(sizes: list[int], seed: int) -> None:
    actors = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    rows = np.arange(len(actors))
    kept = within_share(rows, actors)
    most = math.ceil(max(ACCOUNT_SHARE, 3.0 / len(sizes)) * len(rows))
    counts = np.bincount(actors[kept], minlength=len(sizes))
    assert counts.tolist() == [min(size, most) for size in sizes]
    assert (np.diff(kept) > 0).all()
    assert within_share(rows, actors).tolist() == kept.tolist()


def test_what_is_kept_of_a_large_account_is_spread_over_all_its_rows() -> None:
    actors = np.concatenate((np.zeros(10_000, np.int64), np.repeat(np.arange(1, 201), 100)))
    kept = within_share(np.arange(len(actors)), actors)
    own = kept[actors[kept] == 0]
    assert len(own) == 600
    assert np.diff(own).max() <= 17
    assert (own[0], own[-1]) == (16, 9_999)


def test_rows_may_be_a_part_of_the_events() -> None:
    actors = np.array([7] * 50 + [3] * 50 + [*range(100, 300)])
    rows = np.flatnonzero(actors != 3)
    kept = within_share(rows, actors)
    assert set(actors[kept]) == {7, *range(100, 300)}
    assert int((actors[kept] == 7).sum()) == 5
