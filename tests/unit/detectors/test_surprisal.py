"""Surprisals of days: one-sided, monotone, floored; small groups are measured against everybody, kinds count once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.base import F32
from detectors.features import INDEX, KIND_OF, KINDS, N_FEATURES, NAMES
from detectors.surprisal import (
    BY_WEEK,
    GLOBAL_GROUP,
    KNOTS,
    N_ORDER,
    PeerStatistics,
    daily_largest,
    fit,
    levels,
    surprisals,
    weeks_of,
)

_COLUMNS = 7
_DRAW = np.random.default_rng(4)
HISTORY = _DRAW.gamma(1.0, 1.0, (6000, _COLUMNS)).astype(np.float32)
HISTORY[:, 1] = np.round(HISTORY[:, 1])  # ties
GROUPS = np.repeat(np.array([0, 1, 2], np.int32), (5701, 150, 149))
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


def test_the_tail_ends_two_decades_beyond_the_last_knot() -> None:
    rows = np.full((1, _COLUMNS), 1e9, np.float32)
    assert of(rows)[0, :_COLUMNS] == pytest.approx(float(levels()[-1]) + 2.0, rel=1e-6)


def test_a_feature_that_never_moved_surprises_at_the_first_move() -> None:
    always_zero = fit(np.zeros((3000, 1), np.float32), [], np.zeros(3000, np.int32))
    out = surprisals(np.array([[0.0], [1.0]], np.float32), np.zeros(2, np.int32), always_zero)
    assert out[0, 0] == 0
    assert out[1, 0] > float(levels()[-1])


def all_alike(columns: int) -> PeerStatistics:
    """Tables in which every feature has the same tail."""
    return PeerStatistics(
        PEERS.groups,
        np.repeat(PEERS.values[:, :1], columns, axis=1),
        PEERS.levels,
        np.repeat(PEERS.slopes[:, :1], columns, axis=1),
    )


def random_rows(seed: int, count: int = 50) -> F32:
    return np.random.default_rng(seed).gamma(1.0, 3.0, (count, N_FEATURES)).astype(np.float32)


def of_every_feature(rows: F32) -> F32:
    return surprisals(rows, np.zeros(len(rows), np.int32), all_alike(N_FEATURES))


def test_the_order_columns_are_the_largest_and_the_sums_of_three_and_five_kinds() -> None:
    out = of_every_feature(random_rows(1))
    kinds = np.stack([out[:, [INDEX[name] for name in names]].max(axis=1) for _, names in KINDS], axis=1)
    ranked = -np.sort(-kinds.astype(np.float64), axis=1)
    assert out.shape[1] == N_FEATURES + N_ORDER
    assert out[:, N_FEATURES] == pytest.approx(ranked[:, 0], rel=1e-6)
    assert out[:, N_FEATURES + 1] == pytest.approx(ranked[:, :3].sum(1), rel=1e-6)
    assert out[:, N_FEATURES + 2] == pytest.approx(ranked[:, :5].sum(1), rel=1e-6)


@pytest.mark.parametrize("kind", [names for _, names in KINDS if len(names) > 1], ids=lambda names: names[0])
def test_one_cause_seen_from_several_sides_counts_once(kind: tuple[str, ...]) -> None:
    rows = np.zeros((2, N_FEATURES), np.float32)
    rows[0, INDEX[kind[0]]] = 9.0
    rows[1, [INDEX[name] for name in kind]] = 9.0
    alone, together = of_every_feature(rows)[:, N_FEATURES:]
    assert alone[0] > 1
    assert together.tolist() == alone.tolist() == [alone[0]] * N_ORDER


@given(st.integers(0, 10_000))
def test_order_columns_never_exceed_the_sum_of_kinds(seed: int) -> None:
    out = of_every_feature(random_rows(seed, 5)).astype(np.float64)
    kinds = sum(out[:, [INDEX[name] for name in names]].max(axis=1) for _, names in KINDS)
    largest, three, five = out[:, N_FEATURES:].T
    assert (largest == out[:, :N_FEATURES].max(axis=1)).all()
    assert (largest <= three).all()
    assert (three <= five).all()
    assert (five <= kinds + 1e-4).all()
    assert (three <= 3 * largest + 1e-4).all()


@given(st.permutations(range(len(KINDS))), st.integers(0, 10_000))
def test_order_columns_do_not_depend_on_which_kinds_are_large(order: list[int], seed: int) -> None:
    of_kinds = np.random.default_rng(seed).gamma(1.0, 4.0, len(KINDS)).astype(np.float32)
    rows = np.array([[kinds[KIND_OF[name]] for name in NAMES] for kinds in (of_kinds, of_kinds[order])], np.float32)
    first, second = of_every_feature(rows)
    assert first[N_FEATURES:] == pytest.approx(second[N_FEATURES:], rel=1e-6)


def test_a_day_is_one_witness_however_many_events_show_it() -> None:
    """A thousand events of one strange day move the tables no further than one event of it."""
    rows, days = HISTORY[:600], np.arange(600) // 3
    strange = np.full((1000, _COLUMNS), 50.0, np.float32)
    once = daily_largest(np.concatenate((rows, strange[:1])), np.append(days, 999))
    often = daily_largest(np.concatenate((rows, strange)), np.append(days, [999] * 1000))
    assert once[0].tobytes() == often[0].tobytes()
    assert once[1].tolist() == often[1].tolist()
    assert len(once[0]) == 201


def of_weeks(accounts: int, weeks: int) -> tuple[F32, np.ndarray, np.ndarray, np.ndarray]:
    """Accounts that differ and hardly change from day to day: values of every feature, account, local day, group."""
    actors, days = np.repeat(np.arange(accounts), weeks * 7), np.tile(np.arange(4, 4 + weeks * 7), accounts)
    level = np.random.default_rng(5).gamma(1.0, 2.0, (accounts, weeks)).astype(np.float32)
    values = np.repeat(level[actors, (days - 4) // 7][:, None], N_FEATURES, axis=1)
    return values, actors, days, np.zeros(len(days), np.int32)


def test_what_looks_back_over_weeks_is_as_rare_as_the_weeks_that_show_it() -> None:
    """One account high for a week is one week of many, not seven days; all other features stay counted by days."""
    values, actors, days, groups = of_weeks(60, 6)
    by_days = fit(values, ["all"], groups)
    peers = fit(values, ["all"], groups, weeks_of(values, actors, days, groups))
    plain = fit(weeks_of(values, actors, days, groups).largest, [], np.zeros(360, np.int32))
    assert peers.values[0, BY_WEEK].tolist() == plain.values[0].tolist()
    assert peers.slopes[0, BY_WEEK].tolist() == plain.slopes[0].tolist()
    others = np.setdiff1d(np.arange(N_FEATURES), BY_WEEK)
    assert peers.values[:, others].tobytes() == by_days.values[:, others].tobytes()
    assert peers.slopes[:, others].tobytes() == by_days.slopes[:, others].tobytes()


def test_a_week_runs_from_monday_to_sunday_and_belongs_to_one_account() -> None:
    values, actors, days, groups = of_weeks(3, 2)
    weeks = weeks_of(values, actors, days, groups)
    assert len(weeks.largest) == 6
    assert weeks.largest[:, 0].tolist() == values[::7, 0].tolist()


def test_a_group_with_fewer_than_60_weeks_is_measured_by_everybodys_weeks() -> None:
    values, actors, days, groups = of_weeks(40, 6)
    groups[actors >= 31] = 1  # 9 accounts: 378 days are enough for a table, 54 weeks are not
    peers = fit(values, ["many", "few"], groups, weeks_of(values, actors, days, groups))
    assert peers.groups == (GLOBAL_GROUP, "many", "few")
    assert peers.values[2, BY_WEEK].tolist() == peers.values[0, BY_WEEK].tolist()
    assert peers.values[1, BY_WEEK].tolist() != peers.values[0, BY_WEEK].tolist()
    assert (peers.slopes[1] <= 2 * peers.slopes[0]).all()


def test_groups_with_fewer_than_150_days_get_no_table() -> None:
    assert PEERS.groups == (GLOBAL_GROUP, "large", "exactly enough")
    assert PEERS.values.shape == (3, _COLUMNS, KNOTS)


def test_small_and_unknown_groups_are_measured_against_everybody() -> None:
    names = ["small", "exactly enough", "never seen", "large"]
    assert PEERS.index(names, np.arange(4, dtype=np.int32)).tolist() == [0, 2, 0, 1]


def test_a_tail_of_few_days_is_at_most_twice_as_steep_as_everybodys() -> None:
    """150 days that all end at 1 say little of what comes after 1."""
    wide = np.concatenate((HISTORY[:3000, :1], np.ones((150, 1), np.float32)))
    peers = fit(wide, ["wide", "short"], np.repeat(np.array([0, 1], np.int32), (3000, 150)))
    everybody, _, short = peers.slopes[:, 0]
    assert short == pytest.approx(2 * everybody)


def test_the_same_value_is_judged_by_the_own_group() -> None:
    rows = np.full((1, _COLUMNS), 4.5, np.float32)
    assert of(rows, group=1)[0, 0] > of(rows, group=2)[0, 0]


def test_knots_rise_from_the_smallest_value_to_the_last_quantile() -> None:
    assert (np.diff(PEERS.values, axis=2) >= 0).all()
    assert PEERS.values[0, 0, 0] == HISTORY[:, 0].min()
    assert (PEERS.slopes > 0).all()
