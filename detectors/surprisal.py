"""How rare a feature's value is among the actor's peers: −log10 of the upper-tail probability.

Place in the flow: between features and forest. Peer groups are frozen arrays of a model (quantiles by group and
feature), never live shared state. A group needs enough rows of its own; smaller ones use the global table. Values
beyond the last quantile are extended by an exponential tail, at most three decades further.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from detectors.base import F32

KNOTS = 129
N_ORDER = 3
"""Order columns appended to the surprisals: the largest, the sum of the 3 and of the 5 largest."""
_TOP = 0.995
_CAP = 3.0
_FLOOR = 0.5
_MIN_GROUP_ROWS = 2000
GLOBAL_GROUP = "*"


@dataclass(frozen=True, slots=True)
class PeerStatistics:
    """Upper tails by peer group: `values` (g, k, KNOTS) ascending, `levels` (KNOTS,) surprisal at each knot,
    `slopes` (g, k) surprisal per unit beyond the last knot. Group 0 is everybody."""

    groups: tuple[str, ...]
    values: npt.NDArray[np.float32]
    levels: npt.NDArray[np.float32]
    slopes: npt.NDArray[np.float32]

    def index(self, names: Sequence[str], ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """The table of each row: its own group's, or everybody's."""
        known = {name: index for index, name in enumerate(self.groups)}
        lookup = np.array([known.get(name, 0) for name in names], np.int32)
        return lookup[ids]


def levels() -> npt.NDArray[np.float32]:
    """Surprisal of the knots: dense where it matters, 0 … −log10(1 − 0.995)."""
    return np.linspace(0.0, -math.log10(1.0 - _TOP), KNOTS).astype(np.float32)


def fit(features: F32, groups: Sequence[str], group_ids: npt.NDArray[np.int32]) -> PeerStatistics:
    """Quantile tables of history: features (n, k), `group_ids` (n,) into `groups`."""
    steps = levels()
    chances = 1.0 - 10.0 ** (-steps.astype(np.float64))
    names, tables, slopes = [GLOBAL_GROUP], [_table(features, chances)], [_slopes(features)]
    for index, name in enumerate(groups):
        own = features[group_ids == index]
        if len(own) >= _MIN_GROUP_ROWS:
            names.append(name)
            tables.append(_table(own, chances))
            slopes.append(_slopes(own))
    return PeerStatistics(tuple(names), np.stack(tables), steps, np.stack(slopes))


def _table(rows: F32, chances: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    # "higher": P(X >= value) is never understated where many rows share a value.
    return np.quantile(rows, chances, axis=0, method="higher").T.astype(np.float32)


def _slopes(rows: F32) -> npt.NDArray[np.float32]:
    """Decades per unit of an exponential tail above the 99.5 % quantile (mean excess)."""
    edge = np.quantile(rows, _TOP, axis=0, method="higher")
    slopes = np.empty(rows.shape[1], np.float32)
    for j in range(rows.shape[1]):
        beyond = rows[rows[:, j] > edge[j], j] - edge[j]
        scale = float(beyond.mean()) if len(beyond) else max(float(rows[:, j].std()), 0.05)
        slopes[j] = 1.0 / (math.log(10.0) * max(scale, 0.02))
    return slopes


@numba.njit(cache=True)
def _surprisals(
    features: F32,
    table: npt.NDArray[np.int32],
    values: npt.NDArray[np.float32],
    steps: npt.NDArray[np.float32],
    slopes: npt.NDArray[np.float32],
    out: F32,
) -> None:
    n, k = features.shape
    last = steps.shape[0] - 1
    for i in range(n):
        top0, top1, top2, top3, top4 = 0.0, 0.0, 0.0, 0.0, 0.0
        for j in range(k):
            x = features[i, j]
            knots = values[table[i], j]
            if x > knots[last]:
                s = steps[last] + min(_CAP, (x - knots[last]) * slopes[table[i], j])
            else:
                low, high = 0, last
                while low < high:  # first knot >= x
                    middle = (low + high) // 2
                    if knots[middle] < x:
                        low = middle + 1
                    else:
                        high = middle
                s = steps[low] if x > knots[0] else 0.0
            if s < _FLOOR:
                s = 0.0
            out[i, j] = s
            if s > top4:
                if s > top0:
                    top0, top1, top2, top3, top4 = s, top0, top1, top2, top3
                elif s > top1:
                    top1, top2, top3, top4 = s, top1, top2, top3
                elif s > top2:
                    top2, top3, top4 = s, top2, top3
                elif s > top3:
                    top3, top4 = s, top3
                else:
                    top4 = s
        out[i, k] = top0
        out[i, k + 1] = top0 + top1 + top2
        out[i, k + 2] = top0 + top1 + top2 + top3 + top4


def surprisals(features: F32, table: npt.NDArray[np.int32], peers: PeerStatistics) -> F32:
    """Surprisals and the three order columns, float32 (n, k + 3); below 0.5 counts as nothing."""
    out = np.empty((len(features), features.shape[1] + N_ORDER), np.float32)
    _surprisals(np.ascontiguousarray(features), table, peers.values, peers.levels, peers.slopes, out)
    return out
