"""Path attribution: exact Shapley values, as a plain definition and as the shap package compute them."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import IsolationForest

from detectors import isolation_forest
from detectors.attribution import contributions, of_features
from detectors.base import F32
from detectors.features import INDEX, N_FEATURES
from detectors.isolation_forest import Forest, flatten, scores
from detectors.surprisal import N_ORDER
from tests.golden.make_attribution import PATH, TREE_FIELDS
from tests.models import small_model

COLUMNS = 5


def history(seed: int, count: int = 300, columns: int = COLUMNS) -> F32:
    """Rows with many equal values and zeros, as surprisals have."""
    rows = np.random.default_rng(seed).gamma(1.0, 1.0, (count, columns)).astype(np.float32)
    rows[:, 0] = np.round(rows[:, 0])
    rows[rows < 0.5] = 0.0
    return rows


@cache
def fitted(seed: int) -> IsolationForest:
    return IsolationForest(n_estimators=4, max_samples=40, random_state=seed).fit(history(seed))


def expected_path(tree: Any, node: int, row: F32, known: frozenset[int], depth: int = 0) -> float:
    """Path length expected in scikit-learn's own tree when only some columns are known, by the definition."""
    if tree.children_left[node] < 0:
        return depth + isolation_forest.average_path(int(tree.n_node_samples[node]))
    children = (tree.children_left[node], tree.children_right[node])
    if tree.feature[node] in known:
        child = children[int(row[tree.feature[node]] > tree.threshold[node])]
        return expected_path(tree, child, row, known, depth + 1)
    parts = [tree.n_node_samples[child] * expected_path(tree, child, row, known, depth + 1) for child in children]
    return float(sum(parts) / tree.n_node_samples[node])


def shapley(forest: IsolationForest, row: F32) -> list[float]:
    """The mean over all orders of the columns of what each shortens when it becomes known, by subsets."""
    values = {
        known: -sum(expected_path(one.tree_, 0, row, known) for one in forest.estimators_)
        for size in range(COLUMNS + 1)
        for known in map(frozenset, itertools.combinations(range(COLUMNS), size))
    }
    shares = []
    for column in range(COLUMNS):
        share = 0.0
        for known, value in values.items():
            if column not in known:
                weight = math.factorial(len(known)) * math.factorial(COLUMNS - 1 - len(known)) / math.factorial(COLUMNS)
                share += weight * (values[known | {column}] - value)
        shares.append(share)
    return shares


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_parts_are_the_shapley_values_of_the_definition(seed: int) -> None:
    rows = np.vstack((history(seed)[:3], history(seed)[3:5] * 5, np.zeros((1, COLUMNS)))).astype(np.float32)
    found = contributions(flatten(fitted(seed)), rows)
    for row, parts in zip(rows, found, strict=True):
        assert parts == pytest.approx(shapley(fitted(seed), row), abs=1e-9)


def golden() -> tuple[Forest, F32, npt.NDArray[np.float64]]:
    content: Mapping[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    trees = content["forest"]
    dtypes = {"threshold": np.float32, "path": np.float64}
    arrays = {name: np.array(trees[name], dtypes.get(name, np.int32)) for name in TREE_FIELDS}
    forest = Forest(**arrays, norm=trees["norm"])
    return forest, np.array(content["rows"], np.float32), np.array(content["values"])


def test_parts_are_those_of_the_shap_package() -> None:
    """tests/golden/make_attribution.py asked it; it divides the mean path length, and counts length, not suspicion."""
    forest, rows, values = golden()
    assert np.abs(values).max() > 0.5
    assert contributions(forest, rows) == pytest.approx(-values * len(forest.roots), abs=1e-5)


@given(seed=st.integers(0, 1000), scale=st.floats(0.0, 20.0))
@settings(max_examples=30)
def test_parts_of_a_row_sum_to_the_expected_less_its_own_path(seed: int, scale: float) -> None:
    forest = small_model().forest
    columns = N_FEATURES + N_ORDER
    rows = (np.random.default_rng(seed).gamma(1.0, 1.0, (3, columns)) * scale).astype(np.float32)
    covers = forest.covers
    leaves = forest.left == np.arange(len(forest.left))
    ends = np.append(forest.roots[1:], len(forest.left))
    expected = sum(
        float(np.sum(forest.path[root:end] * covers[root:end] * leaves[root:end]) / covers[root])
        for root, end in zip(forest.roots, ends, strict=True)
    )
    own = -np.log2(scores(forest, rows)) * forest.norm
    assert contributions(forest, rows).sum(axis=1) == pytest.approx(expected - own, abs=1e-6)


def test_rows_that_reached_a_node_are_found_again() -> None:
    """They are not stored: a leaf's path tells them."""
    forest = fitted(1)
    flat = flatten(forest)
    found = sorted(flat.covers.tolist())
    assert found == sorted(float(count) for one in forest.estimators_ for count in one.tree_.n_node_samples)
    assert int(flat.depths.max()) == max(one.tree_.max_depth for one in forest.estimators_)


def test_a_column_that_no_tree_asks_for_has_no_part() -> None:
    rows = history(5)
    rows[:, 3] = 1.0
    forest = flatten(IsolationForest(n_estimators=4, max_samples=40, random_state=5).fit(rows))
    assert contributions(forest, rows[:20])[:, 3].tolist() == [0.0] * 20


def test_the_order_columns_parts_go_to_the_features_they_sum_up() -> None:
    """Every part of the row arrives at a feature, and none at a feature without surprisal by way of the sums."""
    forest = small_model().forest
    surprise = np.zeros(N_FEATURES + N_ORDER, np.float32)
    surprise[[INDEX["new_country"], INDEX["records"], INDEX["bytes"]]] = 4.0, 2.0, 1.0
    surprise[N_FEATURES:] = 4.0, 6.0, 6.0  # records and bytes are one kind
    parts = contributions(forest, surprise[np.newaxis])[0]
    found = of_features(forest, surprise)
    own = np.rint(parts[:N_FEATURES] * 1e6)
    assert found.dtype == np.int64
    assert int(found.sum()) == pytest.approx(parts.sum() * 1e6, abs=N_FEATURES)
    moved = {index for index in range(N_FEATURES) if abs(found[index] - own[index]) > 1}
    assert moved == {INDEX["new_country"], INDEX["records"]}


def test_the_one_strange_column_is_named_first() -> None:
    forest = small_model().forest
    quiet = np.zeros(N_FEATURES + N_ORDER, np.float32)
    for index in (INDEX["new_country"], INDEX["denied_10m"], INDEX["sequence"]):
        row = quiet.copy()
        row[index] = row[N_FEATURES] = row[N_FEATURES + 1] = row[N_FEATURES + 2] = 6.0
        assert int(of_features(forest, row).argmax()) == index
