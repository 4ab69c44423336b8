"""What bounds an account's part in a model: its share of the forest's rows, and what it takes off a rule."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from detectors.train import ACCOUNT_SHARE, rule_cut, within_share


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


ACCOUNTS, DAYS = 100, 40
ALL_DAYS = np.add.outer(np.arange(ACCOUNTS) << 20, np.arange(DAYS)).ravel()
"""One number for each account and day, as training makes them."""


def held(accounts: int, days: int) -> npt.NDArray[np.int64]:
    """A rule that held on so many days of each of so many accounts."""
    numbers: npt.NDArray[np.int64] = np.add.outer(np.arange(accounts) << 20, np.arange(days)).ravel()
    return numbers


def test_a_rule_that_never_held_keeps_its_floor_and_one_in_two_thousand_hardly_loses() -> None:
    assert rule_cut(held(0, 0), ALL_DAYS) == 0
    assert rule_cut(held(1, 1), ALL_DAYS) == 0
    assert rule_cut(held(2, 1), ALL_DAYS) == 388


def test_what_holds_on_many_accounts_loses_up_to_twice_what_its_days_take() -> None:
    """Forty days in four thousand: of one account, of two, of four, of ten, of forty."""
    of_days = round(2000 * math.log10(40.5 / 4000 * 2000))
    cuts = [rule_cut(held(accounts, 40 // accounts), ALL_DAYS) for accounts in (1, 2, 4, 10, 40)]
    assert cuts == [of_days, of_days + 602, of_days + 1204, of_days + 2000, 2 * of_days]


@given(st.integers(1, 40))
def test_one_account_alone_never_takes_more_than_its_days(days: int) -> None:
    assert rule_cut(held(1, days), ALL_DAYS) == max(0, round(2000 * math.log10((days + 0.5) / 4000 * 2000)))


@given(st.integers(0, 99), st.integers(1, 40))
def test_another_account_or_day_never_raises_a_rule(accounts: int, days: int) -> None:
    assert rule_cut(held(accounts + 1, days), ALL_DAYS) >= rule_cut(held(accounts, days), ALL_DAYS)
