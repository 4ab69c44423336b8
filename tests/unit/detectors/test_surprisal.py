"""Surprisals: one-sided, monotone, floored; small groups are measured against everybody."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.base import F32
from detectors.surprisal import GLOBAL_GROUP, KNOTS, N_ORDER, PeerStatistics, fit, levels, surprisals

_COLUMNS = 7
_DRAW = np.random.default_rng(4)
HISTORY = _DRAW.gamma(1.0, 1.0, (6000, _COLUMNS)).astype(np.float32)
HISTORY[:, 1] = np.round(HISTORY[:, 1])  # ties
GROUPS = np.repeat(np.array([0, 1, 2], np.int32), (2500, 2000, 1500))
HISTORY[GROUPS == 1] += np.float32(3.0)
PEERS = fit(HISTORY, ["large", "exactly enough", "small"], GROUPS)
EVERYBODY = 0


def of(rows: F32, group: int = EVERYBODY) -> F32:
    return surprisals(rows, np.full(len(rows), group, np.int32), PEERS)


def ramp(column: int) -> F32:
    """Rows in which one column climbs from far below to far above anything known."""
    rows = np.zeros((4000, _COLUMNS), np.float32)
    rows[:, column] = np.linspace(-5.0, 60.0, len(rows))
    return rows


@pytest.mark.parametrize("column", range(_COLUMNS))
@pytest.mark.parametrize("group", range(3))
def test_more_is_never_less_surprising(column: int, group: int) -> None:
    climbed = of(ramp(column), group)
    assert (np.diff(climbed[:, column]) >= 0).all()
    assert (np.diff(climbed[:, _COLUMNS:], axis=0) >= 0).all()
    assert climbed[-1, column] > climbed[0, column]


def test_less_than_usual_is_no_surprise() -> None:
    assert not of(np.full((3, _COLUMNS), -100.0, np.float32)).any()
    assert not of(np.repeat(np.median(HISTORY, axis=0)[None], 2, axis=0)).any()


def test_anything_counted_is_at_least_half_a_decade() -> None:
    given_values = of(HISTORY)
    assert given_values[given_values > 0].min() >= 0.5
    assert (given_values[:, :_COLUMNS] == 0).mean() > 0.5


def test_a_surprise_is_the_decades_of_the_upper_tail() -> None:
    rows = np.zeros((2, _COLUMNS), np.float32)
    rows[0, 0], rows[1, 0] = np.quantile(HISTORY[:, 0], 0.90), np.quantile(HISTORY[:, 0], 0.99)
    step = float(levels()[1])
    assert of(rows)[:, 0] == pytest.approx([1.0, 2.0], abs=step * 1.01)


def test_shared_values_are_as_rare_as_all_who_share_them() -> None:
    """P(X >= 2) of a rounded column: the ties count whole, so the surprise is not overstated."""
    rows = np.zeros((1, _COLUMNS), np.float32)
    rows[0, 1] = 4.0
    true = -np.log10((HISTORY[:, 1] >= 4.0).mean())
    assert of(rows)[0, 1] <= true + float(levels()[1])


def test_the_tail_ends_three_decades_beyond_the_last_knot() -> None:
    rows = np.full((1, _COLUMNS), 1e9, np.float32)
    assert of(rows)[0, :_COLUMNS] == pytest.approx(float(levels()[-1]) + 3.0, rel=1e-6)


def test_a_feature_that_never_moved_surprises_at_the_first_move() -> None:
    always_zero = fit(np.zeros((3000, 1), np.float32), [], np.zeros(3000, np.int32))
    out = surprisals(np.array([[0.0], [1.0]], np.float32), np.zeros(2, np.int32), always_zero)
    assert out[0, 0] == 0
    assert out[1, 0] > float(levels()[-1])


def test_the_order_columns_are_the_largest_and_the_sums_of_three_and_five() -> None:
    out = of(HISTORY[::7] * 2)
    ranked = -np.sort(-out[:, :_COLUMNS].astype(np.float64), axis=1)
    assert out.shape[1] == _COLUMNS + N_ORDER
    assert out[:, _COLUMNS] == pytest.approx(ranked[:, 0], rel=1e-6)
    assert out[:, _COLUMNS + 1] == pytest.approx(ranked[:, :3].sum(1), rel=1e-6)
    assert out[:, _COLUMNS + 2] == pytest.approx(ranked[:, :5].sum(1), rel=1e-6)


@given(st.permutations(range(_COLUMNS)), st.integers(0, 10_000))
def test_order_columns_do_not_depend_on_which_features_are_large(order: list[int], seed: int) -> None:
    row = np.random.default_rng(seed).gamma(1.0, 4.0, (1, _COLUMNS)).astype(np.float32)
    same = PeerStatistics(
        PEERS.groups,
        np.repeat(PEERS.values[:, :1], _COLUMNS, axis=1),
        PEERS.levels,
        np.repeat(PEERS.slopes[:, :1], _COLUMNS, axis=1),
    )
    table = np.zeros(1, np.int32)
    first, second = surprisals(row, table, same), surprisals(row[:, order], table, same)
    assert first[0, _COLUMNS:] == pytest.approx(second[0, _COLUMNS:], rel=1e-6)


def test_groups_with_too_few_rows_get_no_table() -> None:
    assert PEERS.groups == (GLOBAL_GROUP, "large", "exactly enough")
    assert PEERS.values.shape == (3, _COLUMNS, KNOTS)


def test_small_and_unknown_groups_are_measured_against_everybody() -> None:
    names = ["small", "exactly enough", "never seen", "large"]
    assert PEERS.index(names, np.arange(4, dtype=np.int32)).tolist() == [0, 2, 0, 1]


def test_the_same_value_is_judged_by_the_own_group() -> None:
    rows = np.full((1, _COLUMNS), 4.5, np.float32)
    assert of(rows, group=1)[0, 0] > of(rows, group=2)[0, 0]


def test_knots_rise_from_the_smallest_value_to_the_last_quantile() -> None:
    assert (np.diff(PEERS.values, axis=2) >= 0).all()
    assert PEERS.values[0, 0, 0] == HISTORY[:, 0].min()
    assert (PEERS.slopes > 0).all()
