"""The compiled walk equals scikit-learn's own scores: any batch size, rows on thresholds and beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from detectors.base import F32
from detectors.isolation_forest import Forest, average_path, fit, flatten, scores

_COLUMNS = 6


def history(rows: int, seed: int) -> F32:
    """Skewed numbers with many ties, like surprisals: trees get thresholds on and between shared values."""
    draw = np.random.default_rng(seed)
    table = draw.gamma(1.0, 1.0, (rows, _COLUMNS))
    table[:, 0] = np.round(table[:, 0])
    table[:, 1] = np.where(draw.random(rows) < 0.8, 0.0, table[:, 1])
    return table.astype(np.float32)


@pytest.fixture(scope="module")
def fitted() -> Any:
    return IsolationForest(n_estimators=40, max_samples=512, random_state=3, n_jobs=1).fit(history(3000, 1))


@pytest.fixture(scope="module")
def forest(fitted: Any) -> Forest:
    return flatten(fitted)


def rows_on_thresholds(fitted: Any) -> F32:
    """For every split of every tree: a row exactly on it (rounded to float32), one step above and one below."""
    base, rows = history(1, 9)[0], []
    for estimator in fitted.estimators_[:10]:
        tree = estimator.tree_
        for column, threshold in zip(tree.feature, tree.threshold, strict=True):
            if column < 0:
                continue
            near = np.float32(threshold)
            for value in (near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))):
                row = base.copy()
                row[column] = value
                rows.append(row)
    return np.array(rows, np.float32)


def test_scores_of_new_rows_equal_scikit_learn(fitted: Any, forest: Forest) -> None:
    rows = history(2003, 2)
    assert np.abs(scores(forest, rows) + fitted.score_samples(rows)).max() < 1e-12


def test_rows_exactly_on_a_threshold_go_the_same_way(fitted: Any, forest: Forest) -> None:
    rows = rows_on_thresholds(fitted)
    assert len(rows) > 1000
    assert np.abs(scores(forest, rows) + fitted.score_samples(rows)).max() < 1e-12


def test_thresholds_are_never_rounded_up(fitted: Any, forest: Forest) -> None:
    exact = np.sort(np.concatenate([one.tree_.threshold[one.tree_.feature >= 0] for one in fitted.estimators_]))
    flat = np.sort(forest.threshold[np.isfinite(forest.threshold)].astype(np.float64))
    assert len(exact) == len(flat)
    assert (flat <= exact).all()
    assert (np.nextafter(flat.astype(np.float32), np.float32(np.inf)) > exact).all()


@pytest.mark.parametrize("size", range(1, 18))
def test_the_score_does_not_depend_on_the_batch(fitted: Any, forest: Forest, size: int) -> None:
    rows = np.concatenate((history(size, 5), rows_on_thresholds(fitted)[:size]))[:size]
    together = scores(forest, rows)
    assert np.abs(together + fitted.score_samples(rows)).max() < 1e-12
    alone = np.concatenate([scores(forest, rows[index : index + 1]) for index in range(size)])
    assert together.tobytes() == alone.tobytes()


def test_no_rows_give_no_scores(forest: Forest) -> None:
    assert scores(forest, np.zeros((0, _COLUMNS), np.float32)).shape == (0,)


def test_columns_in_another_memory_order_score_the_same(forest: Forest) -> None:
    rows = history(33, 6)
    assert scores(forest, np.asfortranarray(rows)).tobytes() == scores(forest, rows).tobytes()


def test_fitting_twice_gives_the_same_forest() -> None:
    first, second = fit(history(300, 7)), fit(history(300, 7))
    for name in ("feature", "threshold", "left", "path", "roots", "depths"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()
    assert first.norm == second.norm


def test_a_constant_history_gives_trees_of_one_leaf() -> None:
    constant = np.ones((200, _COLUMNS), np.float32)
    flat = fit(constant)
    assert not flat.depths.any()
    assert scores(flat, constant[:3]) == pytest.approx([0.5] * 3)


def test_an_outlier_scores_above_every_known_row() -> None:
    rows = history(1000, 8)
    flat = fit(rows)
    outlier = np.full((1, _COLUMNS), 50.0, np.float32)
    assert scores(flat, outlier)[0] > scores(flat, rows).max()


@pytest.mark.parametrize(
    ("samples", "expected"), [(0, 0.0), (1, 0.0), (2, 1.0), (3, 2 * (0.69314718 + 0.57721566) - 4 / 3)]
)
def test_average_path_is_that_of_an_unsuccessful_search(samples: int, expected: float) -> None:
    assert average_path(samples) == pytest.approx(expected)
