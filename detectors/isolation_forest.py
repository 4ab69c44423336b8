"""The isolation forest: fitted by scikit-learn, scored by a compiled walk of the same trees.

Liu, Ting, Zhou: Isolation Forest (ICDM 2008). The walk equals `IsolationForest.score_samples` to 1e-12 (a property
test, boundary rows included): nodes are renumbered breadth-first so that the right child follows the left one, leaves
point to themselves, and thresholds are rounded down to float32, which keeps every comparison as scikit-learn makes it
(float32 values against float64 thresholds). Eight rows go through a tree side by side. Only this file knows sklearn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from detectors.base import F32, F64
from pipeline.compiled import compiled

TREES = 100
MAX_SAMPLES = 4096
_RANDOM_STATE = 20261124
_NODE = np.dtype([("threshold", "<f4"), ("left", "<u4"), ("feature", "<u4"), ("unused", "<u4")])  # 16 bytes


@dataclass(frozen=True, slots=True)
class Forest:
    """Flat trees: `feature` int32 (nodes,), `threshold` float32 (nodes,) (+inf at leaves), `left` int32 (nodes,),
    `path` float64 (nodes,) (depth + expected rest, at leaves), `roots` int32 (trees,), `depths` int32 (trees,),
    `norm` = trees × c(max_samples)."""

    feature: npt.NDArray[np.int32]
    threshold: npt.NDArray[np.float32]
    left: npt.NDArray[np.int32]
    path: npt.NDArray[np.float64]
    roots: npt.NDArray[np.int32]
    depths: npt.NDArray[np.int32]
    norm: float
    nodes: npt.NDArray[np.void] = field(init=False, repr=False, compare=False)
    """What one step of a walk reads, side by side: one look into memory a node instead of three."""
    covers: F64 = field(init=False, repr=False, compare=False)
    """Training rows that reached each node, (nodes,)."""

    def __post_init__(self) -> None:
        nodes = np.zeros(len(self.feature), _NODE)
        nodes["threshold"], nodes["left"], nodes["feature"] = self.threshold, self.left, self.feature
        object.__setattr__(self, "nodes", nodes)
        object.__setattr__(self, "covers", _covers(self))


def average_path(samples: int) -> float:
    """c(n): the expected path length of an unsuccessful search in a tree of n samples."""
    if samples <= 1:
        return 0.0
    if samples == 2:
        return 1.0
    return 2.0 * (math.log(samples - 1.0) + np.euler_gamma) - 2.0 * (samples - 1.0) / samples


_PATHS = np.array([average_path(count) for count in range(1, MAX_SAMPLES + 1)])
"""c(n) of every number of rows that a tree may have grown from."""


def _covers(forest: Forest) -> F64:
    """A leaf's path is its depth plus c(its rows): the rows follow from it, those of inner nodes are sums."""
    covers = np.zeros(len(forest.left), np.float64)
    _fill_covers(forest.left, forest.path, forest.roots, _PATHS, covers)
    return covers


@compiled
def _fill_covers(left: npt.NDArray[np.int32], path: F64, roots: npt.NDArray[np.int32], paths: F64, covers: F64) -> None:
    """Depths downwards, covers upwards: a tree's nodes stand breadth-first."""
    depths = np.zeros(left.shape[0], np.float64)
    for tree in range(roots.shape[0]):
        end = roots[tree + 1] if tree + 1 < roots.shape[0] else left.shape[0]
        for node in range(roots[tree], end):
            if left[node] != node:
                depths[left[node]] = depths[left[node] + 1] = depths[node] + 1.0
        for node in range(end - 1, roots[tree] - 1, -1):
            if left[node] != node:
                covers[node] = covers[left[node]] + covers[left[node] + 1]
            else:
                covers[node] = _rows_of(paths, path[node] - depths[node])


@compiled
def _rows_of(paths: F64, rest: float) -> float:
    """The number n with c(n) nearest to `rest`; `paths[n - 1]` is c(n), ascending."""
    low, high = 0, paths.shape[0] - 1
    while low < high:
        middle = (low + high) // 2
        if paths[middle] < rest - 1e-6:
            low = middle + 1
        else:
            high = middle
    return low + 1.0


def fit(rows: F32) -> Forest:
    """Fits scikit-learn's forest to history (n, k), deterministic, and flattens it."""
    from sklearn.ensemble import IsolationForest

    fitted = IsolationForest(
        n_estimators=TREES, max_samples=min(MAX_SAMPLES, len(rows)), random_state=_RANDOM_STATE, n_jobs=1
    ).fit(rows)
    return flatten(fitted)


def flatten(fitted: object) -> Forest:
    """The flat form of a fitted `sklearn.ensemble.IsolationForest`."""
    parts = [_flatten_tree(estimator.tree_) for estimator in fitted.estimators_]  # type: ignore[attr-defined]
    sizes = [len(part[0]) for part in parts]
    roots = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int32)
    left = np.concatenate([part[2] + root for part, root in zip(parts, roots, strict=True)]).astype(np.int32)
    return Forest(
        feature=np.concatenate([part[0] for part in parts]).astype(np.int32),
        threshold=np.concatenate([part[1] for part in parts]).astype(np.float32),
        left=left,
        path=np.concatenate([part[3] for part in parts]),
        roots=roots,
        depths=np.array([part[4] for part in parts], np.int32),
        norm=len(parts) * average_path(int(fitted.max_samples_)),  # type: ignore[attr-defined]
    )


def _rounded_down(thresholds: F64) -> F32:
    """The largest float32 not above each threshold: x <= t stays as it is for every float32 x."""
    near = thresholds.astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)


def _flatten_tree(tree: object) -> tuple[npt.NDArray[np.int32], F32, npt.NDArray[np.int32], F64, int]:
    left_of, right_of = tree.children_left, tree.children_right  # type: ignore[attr-defined]
    order, depth = [0], [0]
    number = {0: 0}
    for place, node in enumerate(order):  # grows while it is read: breadth-first
        if left_of[node] >= 0:
            for child in (left_of[node], right_of[node]):
                number[child] = len(order)
                order.append(child)
                depth.append(depth[place] + 1)
    nodes = np.array(order)
    leaf = left_of[nodes] < 0
    samples = tree.n_node_samples[nodes]  # type: ignore[attr-defined]
    feature = np.where(leaf, 0, tree.feature[nodes]).astype(np.int32)  # type: ignore[attr-defined]
    threshold = np.where(leaf, np.float32(np.inf), _rounded_down(tree.threshold[nodes]))  # type: ignore[attr-defined]
    left = np.array([number[left_of[node]] if left_of[node] >= 0 else number[node] for node in order], np.int32)
    rest = np.array([average_path(int(count)) for count in samples])
    path = np.where(leaf, np.array(depth, np.float64) + rest, 0.0)
    return feature, threshold.astype(np.float32), left, path, max(depth)


@compiled
def _step(rows: F32, row: np.uint64, nodes: npt.NDArray[np.void], at: np.uint64) -> np.uint64:
    """One level down; unsigned indexes, because a signed one is looked at for being negative each time."""
    node = nodes[at]
    beyond = rows[row, np.uint64(node.feature)] > node.threshold
    return np.uint64(node.left) + np.uint64(beyond)


@compiled
def _walk(
    rows: F32,
    nodes: npt.NDArray[np.void],
    path: npt.NDArray[np.float64],
    roots: npt.NDArray[np.int32],
    depths: npt.NDArray[np.int32],
    out: F64,
) -> None:
    n = rows.shape[0]
    whole = n - n % 8
    for start in range(0, whole, 8):
        r0 = np.uint64(start)
        r1, r2, r3, r4 = r0 + np.uint64(1), r0 + np.uint64(2), r0 + np.uint64(3), r0 + np.uint64(4)
        r5, r6, r7 = r0 + np.uint64(5), r0 + np.uint64(6), r0 + np.uint64(7)
        for t in range(roots.shape[0]):
            n0 = n1 = n2 = n3 = n4 = n5 = n6 = n7 = np.uint64(roots[t])
            for _ in range(depths[t]):
                n0 = _step(rows, r0, nodes, n0)
                n1 = _step(rows, r1, nodes, n1)
                n2 = _step(rows, r2, nodes, n2)
                n3 = _step(rows, r3, nodes, n3)
                n4 = _step(rows, r4, nodes, n4)
                n5 = _step(rows, r5, nodes, n5)
                n6 = _step(rows, r6, nodes, n6)
                n7 = _step(rows, r7, nodes, n7)
            out[r0] += path[n0]
            out[r1] += path[n1]
            out[r2] += path[n2]
            out[r3] += path[n3]
            out[r4] += path[n4]
            out[r5] += path[n5]
            out[r6] += path[n6]
            out[r7] += path[n7]
    for i in range(whole, n):
        row = np.uint64(i)
        for t in range(roots.shape[0]):
            at = np.uint64(roots[t])
            for _ in range(depths[t]):
                at = _step(rows, row, nodes, at)
            out[row] += path[at]


def scores(forest: Forest, rows: F32) -> F64:
    """Anomaly score in (0, 1), high is abnormal, float64 (n,); rows float32 (n, k) without NaN."""
    total = np.zeros(len(rows), np.float64)
    _walk(np.ascontiguousarray(rows), forest.nodes, forest.path, forest.roots, forest.depths, total)
    return np.exp2(-total / forest.norm)
