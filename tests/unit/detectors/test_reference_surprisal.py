"""The quantile tables and the compiled search in them equal the plain reference of surprisals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import F32
from detectors.surprisal import PeerStatistics, daily_largest, fit, levels, surprisals
from tests.unit.detectors import reference_surprisal as plain

NAMES = ("large", "just enough", "one too few", "tiny")
SIZES = (4300, 150, 149, 3)
Fitted = tuple[PeerStatistics, dict[str, list[plain.Tail]]]
numbers = st.integers(-3, 12).map(float) | st.floats(-5.0, 80.0, width=32)


def history(seed: int) -> tuple[F32, npt.NDArray[np.int32]]:
    """Days and their groups in no order: smooth, rounded, mostly zero, constant, with and without a long tail."""
    draw = np.random.default_rng(seed)
    groups = draw.permutation(np.repeat(np.arange(len(NAMES), dtype=np.int32), SIZES))
    count = len(groups)
    columns = [
        draw.gamma(1.0, 1.0, count) + groups,
        np.round(draw.gamma(1.0, 1.5, count)),
        np.where(draw.random(count) < 0.97, 0.0, draw.gamma(2.0, 1.0, count)),
        np.full(count, 2.5),
        np.minimum(draw.normal(0.0, 1.0, count), 1.0),  # nothing beyond the last quantile
        draw.pareto(1.2, count) * 100.0,
        np.where(groups == 1, 1e-3 * draw.random(count), draw.normal(5.0, 2.0, count)),
    ]
    return np.stack(columns, axis=1).astype(np.float32), groups


@pytest.fixture(scope="module", params=range(2))
def fitted(request: pytest.FixtureRequest) -> Fitted:
    """The same history fitted both ways."""
    features, groups = history(request.param)
    return fit(features, NAMES, groups), plain.fit(features.tolist(), [NAMES[group] for group in groups])


def both_ways(rows: F32, names: Sequence[str], peers: PeerStatistics, tails: dict[str, list[plain.Tail]]) -> None:
    """Asserts that rows of actors in these groups get the same surprisals and order columns."""
    table = peers.index(names, np.arange(len(names), dtype=np.int32))
    plainly = [
        plain.surprisals(row, tails.get(name, tails[plain.EVERYBODY]))
        for row, name in zip(rows.tolist(), names, strict=True)
    ]
    np.testing.assert_allclose(surprisals(rows, table, peers), np.array(plainly), rtol=1e-5, atol=1e-5)


def test_the_levels_are_those_of_the_definition() -> None:
    assert levels().tolist() == plain.LEVELS


def test_the_tables_are_those_of_the_definition(fitted: Fitted) -> None:
    peers, tails = fitted
    assert list(peers.groups) == [plain.EVERYBODY, "large", "just enough"]
    assert set(peers.groups) == set(tails)
    for group, name in enumerate(peers.groups):
        assert peers.values[group].tolist() == [one.knots for one in tails[name]]
        assert peers.slopes[group].tolist() == pytest.approx([one.slope for one in tails[name]], rel=1e-5)


def test_a_group_of_few_days_is_no_steeper_than_twice_everybody(fitted: Fitted) -> None:
    peers, _ = fitted
    assert (peers.slopes <= 2 * peers.slopes[0]).all()
    assert (peers.slopes[2] == 2 * peers.slopes[0]).any()


@pytest.mark.parametrize("seed", range(5))
def test_days_are_the_largest_of_their_rows(seed: int) -> None:
    """Rows of an account's day stand anywhere in the log."""
    draw = np.random.default_rng(seed)
    rows, days = history(seed)[0][:400], draw.integers(0, 1 + 300 * (seed % 3), 400)
    largest, begins = daily_largest(rows, days)
    plainly = plain.days_of(rows.tolist(), days.tolist())
    assert days[begins].tolist() == sorted(plainly)
    assert begins.tolist() == [plainly[day][0] for day in sorted(plainly)]
    assert largest.tolist() == [plainly[day][1] for day in sorted(plainly)]


def test_values_of_history_and_around_every_knot(fitted: Fitted) -> None:
    """Of each group, of groups without a table of their own, and of a group nobody knew."""
    peers, tails = fitted
    knots = np.concatenate([*peers.values.transpose(0, 2, 1), history(7)[0][:400]])
    above, below = np.nextafter(knots, np.float32(np.inf)), np.nextafter(knots, np.float32(-np.inf))
    rows = np.concatenate([knots, above, below])
    names = np.random.default_rng(0).choice([*NAMES, "unknown"], len(rows)).tolist()
    both_ways(rows, names, peers, tails)


@pytest.mark.parametrize("beyond", [1e-3, 0.1, 1.0, 5.0, 30.0, 1e3, 1e9, -1e-3, -1e9])
def test_values_beyond_the_last_knot_and_below_the_first(fitted: Fitted, beyond: float) -> None:
    peers, tails = fitted
    rows = peers.values[:, :, -1 if beyond > 0 else 0] + np.float32(beyond)
    both_ways(rows, peers.groups, peers, tails)


def stretched(few: list[float]) -> list[float]:
    """As many knots as a table has: a few values in order, each of them shared by many knots."""
    return [sorted(few)[place * len(few) // len(plain.LEVELS)] for place in range(len(plain.LEVELS))]


@settings(max_examples=150)
@given(st.lists(st.lists(numbers, min_size=1, max_size=129), min_size=1, max_size=12), st.floats(0.25, 32.0), st.data())
def test_any_table(few: list[list[float]], slope: float, data: st.DataObject) -> None:
    knots = list(map(stretched, few))
    row = data.draw(st.tuples(*[numbers | st.sampled_from(one) for one in knots]))
    values, slopes = np.array([knots], np.float32), np.full((1, len(knots)), slope, np.float32)
    peers = PeerStatistics((plain.EVERYBODY,), values, levels(), slopes)
    tails = {plain.EVERYBODY: [plain.Tail(one, slope) for one in knots]}
    both_ways(np.array([row], np.float32), ["anybody"], peers, tails)
