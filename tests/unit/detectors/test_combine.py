"""From surprisals to risk: more is never less, what work accounts for counts less, floors are only lowered."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import isolation_forest
from detectors.base import F32
from detectors.combine import (
    ACCOUNTED_WEIGHT,
    Calibration,
    Judged,
    calibrate,
    fit_tail,
    fit_tail_of_days,
    judge,
    lowered,
    top3,
)
from detectors.features import N_FEATURES, NAMES
from detectors.isolation_forest import Forest
from detectors.patterns import PATTERNS, pattern_scores
from detectors.policy import NEVER
from detectors.strength import MAX_RISK, PRESSED_FROM, risk_of
from detectors.surprisal import N_ORDER, PeerStatistics, fit, surprisals

DAYS = 4000


def features(count: int, seed: int, scale: float = 1.0) -> F32:
    return (np.random.default_rng(seed).gamma(1.0, scale, (count, N_FEATURES))).astype(np.float32)


@cache
def fitted() -> tuple[PeerStatistics, Forest, Calibration]:
    """Days of one event each."""
    history = features(DAYS, 1)
    peers = fit(history, [], np.zeros(DAYS, np.int32))
    surprise = surprisals(history, np.zeros(DAYS, np.int32), peers)
    forest = isolation_forest.fit(surprise[:1000])
    return peers, forest, calibrate(isolation_forest.scores(forest, surprise), surprise, np.arange(DAYS))


def surprise_of(rows: F32) -> F32:
    return surprisals(rows, np.zeros(len(rows), np.int32), fitted()[0])


def judged(surprise: F32, accounted: bool = False) -> Judged:
    _, forest, calibration = fitted()
    return judge(forest, calibration, surprise, np.full(len(surprise), accounted))


def test_a_level_is_twenty_for_every_tenfold_of_rarity_among_events() -> None:
    """Of history's own events, one in a hundred is at 40 or more, one in a thousand at 60."""
    level = judged(surprise_of(features(DAYS, 1))).level
    assert (level >= 4000).mean() == pytest.approx(0.01, rel=0.1)
    assert (level >= 6000).mean() == pytest.approx(0.001, rel=0.8)


def test_no_level_reaches_the_threshold_that_nothing_reaches() -> None:
    level = judged(surprise_of(features(50, 2, scale=1e6))).level
    assert level.max() > MAX_RISK
    assert level.max() < NEVER - 1


def test_risk_is_the_level_up_to_98_and_keeps_its_order_below_a_hundred_where_the_level_has_no_end() -> None:
    one = judged(surprise_of(features(2000, 3, scale=3.0)))
    risk = risk_of(one.level, np.zeros_like(one.level))
    low = one.level <= PRESSED_FROM
    assert (risk[low] == one.level[low]).all()
    assert (risk[~low] >= PRESSED_FROM).all()
    assert risk.max() < MAX_RISK < one.level.max()
    assert (np.diff(risk[np.argsort(one.level, kind="stable")].astype(int)) >= 0).all()


def test_a_burst_in_the_history_weighs_as_one_day() -> None:
    """A thousand events of one strange day move the tail of the fusion no further than one event of it."""
    history = np.random.default_rng(8).gamma(1.0, 1.0, 3000)
    days = np.arange(3000) // 10
    once = fit_tail_of_days(np.append(history, 40.0), np.append(days, 900))
    often = fit_tail_of_days(np.append(history, np.full(1000, 40.0)), np.append(days, np.full(1000, 900)))
    assert np.array_equal(once.values, often.values)
    assert once.slope == pytest.approx(often.slope)


def test_a_tail_of_decades_falls_no_faster_than_a_decade_a_decade() -> None:
    """Few days of history that end at one value say little of what comes after it; the forest's score is no decades."""
    history = np.append(np.random.default_rng(10).gamma(1.0, 0.1, 400), 1.0)
    assert fit_tail(history).slope > 1.0
    assert fit_tail(history, steepest=1.0).slope == 1.0
    assert fit_tail_of_days(history, np.arange(401), steepest=1.0).slope == 1.0
    _, _, calibration = fitted()
    assert all(tail.slope <= 1.0 for tail in (*calibration.witnesses[1:], calibration.fused))


def test_where_days_are_alike_their_tail_is_that_of_the_events() -> None:
    history = np.random.default_rng(9).gamma(1.0, 1.0, 4000)
    one, other = fit_tail_of_days(history, np.arange(4000) // 8), fit_tail(history)
    assert one.surprisal(history) == pytest.approx(other.surprisal(history), abs=0.1)


def test_anomaly_orders_events_as_the_level_does_and_breaks_its_ties() -> None:
    one = judged(surprise_of(features(3000, 4, scale=2.0)))
    order = np.argsort(one.anomaly, kind="stable")
    assert (np.diff(one.level[order].astype(int)) >= 0).all()
    assert len(set(one.anomaly.tolist())) >= len(set(np.minimum(one.level, MAX_RISK).tolist()))
    assert one.anomaly.max() < 1_000_000


def test_what_work_accounts_for_counts_less_and_is_not_forgotten() -> None:
    surprise = surprise_of(features(500, 5, scale=2.0))
    plain, accounted = judged(surprise), judged(surprise, accounted=True)
    assert accounted.level == pytest.approx(plain.level * ACCOUNTED_WEIGHT, abs=1)
    assert (accounted.anomaly <= plain.anomaly).all()
    assert (accounted.top3 == plain.top3).all()


@settings(max_examples=50)
@given(st.integers(0, 2**32), st.integers(0, N_FEATURES - 1))
def test_the_fusion_never_falls_where_a_witness_says_more(seed: int, column: int) -> None:
    """With the forest's score held: it alone may fall where another corner of a leaf is reached."""
    _, _, calibration = fitted()
    rows = features(5, seed)
    more = rows.copy()
    more[:, column] += np.float32(3.0)
    score = np.full(5, 0.5)
    assert (calibration.tail(score, surprise_of(more)) >= calibration.tail(score, surprise_of(rows)) - 1e-9).all()


@given(st.lists(st.floats(0, 50), min_size=200, max_size=300), st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_tail_rises_and_ends(values: list[float], one: float, other: float) -> None:
    tail = fit_tail(np.array(values))
    low, high = tail.surprisal(np.array(sorted((one, other))))
    assert 0 <= low <= high <= 30


def test_the_baseline_is_the_sum_of_the_three_most_surprising_kinds() -> None:
    surprise = surprise_of(features(20, 6))
    assert top3(surprise).tolist() == surprise[:, N_FEATURES + 1].astype(np.float64).tolist()
    assert surprise.shape[1] == N_FEATURES + N_ORDER


@given(st.lists(st.integers(0, 10_000), max_size=20), st.integers(0, 20_000))
def test_a_rule_that_holds_stays_a_reason_however_much_is_cut(floors: list[int], cut: int) -> None:
    given_floors: npt.NDArray[np.uint16] = np.array(floors, np.uint16)
    expected = [max(1, floor - cut) if floor else 0 for floor in floors]
    assert lowered(given_floors, cut).tolist() == expected
    assert given_floors.tolist() == floors


def test_a_pattern_is_the_sum_of_the_strongest_sign_of_each_of_its_parts() -> None:
    surprise = surprise_of(features(30, 7))
    for column, pattern in enumerate(PATTERNS):
        plainly = [
            sum(max(float(row[NAMES.index(name)]) for name in part) for part in pattern.parts) for row in surprise
        ]
        assert pattern_scores(surprise)[:, column].tolist() == pytest.approx(plainly, rel=1e-6)


def test_patterns_have_names_of_their_own_and_parts_that_do_not_overlap() -> None:
    assert len({pattern.name for pattern in PATTERNS}) == len(PATTERNS)
    for pattern in PATTERNS:
        named = [name for part in pattern.parts for name in part]
        assert len(named) == len(set(named)), pattern.name
        assert len(pattern.parts) > 1, pattern.name


def test_of_two_scores_beyond_history_the_rarer_stays_the_rarer() -> None:
    """However far out: a bound that both reach would leave a budget no threshold between them."""
    tail = fit_tail(np.random.default_rng(1).gamma(1.0, 1.0, 5000))
    far = tail.values[-1] + np.array([1.0, 10.0, 50.0, 200.0, 500.0])
    levels = np.rint(tail.surprisal(far) * 2000)
    assert (np.diff(levels) > 0).all()
    assert levels[-1] < 60_000
    assert tail.surprisal(tail.values[-1:])[0] == tail.levels[-1]


@given(st.lists(st.floats(-1.0, 60.0), max_size=40))
def test_a_tail_is_its_knots_inside_and_its_exponential_beyond_whatever_rows_come_together(drawn: list[float]) -> None:
    history = np.round(np.random.default_rng(3).exponential(2.0, 4000))  # with many zeros: a first knot that most reach
    tail = fit_tail(history)
    score = np.array([*drawn, *tail.values[:3], *np.nextafter(tail.values[-3:], 99.0)])
    plainly = []
    for one in score.tolist():
        beyond = float(tail.levels[-1]) + (one - float(tail.values[-1])) * tail.slope
        pressed = min(beyond, 15.0) + 15.0 * max(beyond - 15.0, 0.0) / (15.0 + max(beyond - 15.0, 0.0))
        plainly.append(pressed if one > tail.values[-1] else float(np.interp(one, tail.values, tail.levels)))
    assert tail.surprisal(score).tolist() == plainly
