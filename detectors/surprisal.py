"""How rare a feature's value is among the actor's peers: −log10 of the upper-tail probability of a day.

Place in the flow: between features and forest. The unit is a day of one account: P(the largest value of a peer's day >=
x), because a strange day shows in hundreds of its events and would pass for hundreds of witnesses. Of features that
look back over a week and more it is a week of one account, for the same reason: told by days, 6 to 20 times as many
ordinary days as promised lay beyond three decades. Peer groups are frozen arrays of a model (quantiles by group and
feature), never live shared state. A group needs enough days of its own; smaller ones use the global table. Values
beyond the last quantile are extended by an exponential tail, two decades at most: one day in 5,000 is about what a
history can know. Order columns (largest, sums of the 3 and 5 largest) are taken over *kinds* of features: what shows
one thing from several sides counts once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.base import F32
from detectors.features import INDEX, KIND_OF, LOOK_BACK, NAMES
from pipeline.compiled import compiled

KNOTS = 129
N_ORDER = 3
"""Order columns appended to the surprisals: over kinds, the largest, the sum of the 3 and of the 5 largest."""
_TOP = 0.98
_CAP = 2.0
_FLOOR = 0.5
_MIN_GROUP_DAYS, _MIN_GROUP_WEEKS = 150, 60
_STEEPEST = 2.0
"""A group's tail is at most so many times steeper than everybody's: few days make tails that end too soon."""
GLOBAL_GROUP = "*"
BY_WEEK = np.array([INDEX[name] for name in LOOK_BACK], np.int64)
"""Columns whose unit is a week of one account."""
DAYS_OF_WEEK = 7
_FIRST_WEEKDAY = 3
"""1970-01-01, day 0, was a Thursday; weeks begin on Mondays."""
_MANY_WEEKS = 1 << 20
_KINDS = np.array([KIND_OF[name] for name in NAMES], np.int64)


@dataclass(frozen=True, slots=True)
class PeerStatistics:
    """Upper tails of a day by peer group: `values` (g, k, KNOTS) ascending, `levels` (KNOTS,) surprisal at each knot,
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
    """Surprisal of the knots: dense where it matters, 0 … −log10(1 − 0.98)."""
    return np.linspace(0.0, -math.log10(1.0 - _TOP), KNOTS).astype(np.float32)


def daily_largest(
    values: npt.NDArray[np.floating[Any]], days: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.floating[Any]], npt.NDArray[np.int64]]:
    """The largest value of each day of each account (d, k) and the row at which it begins (d,).

    `values` (n, k); `days` (n,): one number for each account and day.
    """
    order = np.argsort(days, kind="stable")
    starts = np.flatnonzero(np.diff(days[order], prepend=days[order[0]] - 1))
    return np.maximum.reduceat(values[order], starts, axis=0), order[starts]


def fit(
    features: F32, groups: Sequence[str], group_ids: npt.NDArray[np.int32], weeks: Weeks | None = None
) -> PeerStatistics:
    """Quantile tables of history: each day's largest features (d, k), `group_ids` (d,) into `groups`.

    `weeks`: what the columns `BY_WEEK` are told by; without it days serve for them too.
    """
    known = {GLOBAL_GROUP: _Tails.of(features)}
    for index, name in enumerate(groups):
        own = features[group_ids == index]
        if len(own) >= _MIN_GROUP_DAYS:
            known[name] = _Tails.of(own, known[GLOBAL_GROUP])
    if weeks is not None:
        everybody = _Tails.of(weeks.largest)
        for name, tails in known.items():
            own = weeks.largest[weeks.group_ids == groups.index(name)] if name != GLOBAL_GROUP else weeks.largest
            enough = name != GLOBAL_GROUP and len(own) >= _MIN_GROUP_WEEKS
            tails.take(BY_WEEK, _Tails.of(own, everybody) if enough else everybody)
    tables = list(known.values())
    return PeerStatistics(
        tuple(known), np.stack([one.values for one in tables]), levels(), np.stack([one.slopes for one in tables])
    )


@dataclass(frozen=True, slots=True)
class Weeks:
    """Weeks of accounts: the largest values of the columns `BY_WEEK` (w, b), and `group_ids` (w,) as in `fit`."""

    largest: F32
    group_ids: npt.NDArray[np.int32]


def weeks_of(
    features: F32, actors: npt.NDArray[np.int64], local_days: npt.NDArray[np.int64], group_ids: npt.NDArray[np.int32]
) -> Weeks:
    """The weeks of history's events (n, k): each has its actor, local day and group, (n,) each."""
    week = actors * _MANY_WEEKS + (local_days + _FIRST_WEEKDAY) // DAYS_OF_WEEK
    largest, begins = daily_largest(features[:, BY_WEEK], week)
    return Weeks(largest.astype(np.float32), group_ids[begins])


@dataclass(frozen=True, slots=True)
class _Tails:
    """One group's tails: `values` (k, KNOTS), `slopes` (k,)."""

    values: npt.NDArray[np.float32]
    slopes: npt.NDArray[np.float32]

    @classmethod
    def of(cls, rows: F32, everybody: _Tails | None = None) -> _Tails:
        """Those of these rows (d, k); at most so much steeper than everybody's."""
        slopes = _slopes(rows)
        if everybody is not None:
            slopes = np.minimum(slopes, everybody.slopes * _STEEPEST)
        return cls(_table(rows, 1.0 - 10.0 ** (-levels().astype(np.float64))), slopes)

    def take(self, columns: npt.NDArray[np.int64], others: _Tails) -> None:
        """Replaces these columns by the others', in their order."""
        self.values[columns], self.slopes[columns] = others.values, others.slopes


def _table(rows: F32, chances: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    # "higher": P(X >= value) is never understated where many rows share a value.
    return np.quantile(rows, chances, axis=0, method="higher").T.astype(np.float32)


def _slopes(rows: F32) -> npt.NDArray[np.float32]:
    """Decades per unit of an exponential tail above the last quantile (mean excess)."""
    edge = np.quantile(rows, _TOP, axis=0, method="higher")
    slopes = np.empty(rows.shape[1], np.float32)
    for j in range(rows.shape[1]):
        beyond = rows[rows[:, j] > edge[j], j] - edge[j]
        scale = float(beyond.mean()) if len(beyond) else float(rows[:, j].std()) * 0.3
        slopes[j] = 1.0 / (math.log(10.0) * max(scale, 0.05))
    return slopes


@compiled
def _surprisal(x: float, knots: npt.NDArray[np.float32], steps: npt.NDArray[np.float32], slope: float) -> float:
    """Of one value against one table; below the floor it counts as nothing."""
    last = steps.shape[0] - 1
    if x > knots[last]:
        s = float(steps[last] + min(_CAP, (x - knots[last]) * slope))
    elif x > knots[0]:
        low, high = 0, last
        while low < high:  # first knot >= x
            middle = (low + high) // 2
            if knots[middle] < x:
                low = middle + 1
            else:
                high = middle
        s = float(steps[low])
    else:
        return 0.0
    return s if s >= _FLOOR else 0.0


@compiled
def _order(largest: npt.NDArray[np.float32], top: npt.NDArray[np.float32]) -> None:
    """The five largest numbers, descending."""
    top[:] = 0.0
    for j in range(largest.shape[0]):
        s = largest[j]
        if s <= top[4]:
            continue
        place = 4
        while place > 0 and s > top[place - 1]:
            top[place] = top[place - 1]
            place -= 1
        top[place] = s


@compiled
def _surprisals(
    features: F32,
    table: npt.NDArray[np.int32],
    values: npt.NDArray[np.float32],
    steps: npt.NDArray[np.float32],
    slopes: npt.NDArray[np.float32],
    kinds: npt.NDArray[np.int64],
    out: F32,
) -> None:
    n, k = features.shape
    largest, top = np.zeros(kinds.max() + 1, np.float32), np.zeros(5, np.float32)
    for i in range(n):
        largest[:] = 0.0
        for j in range(k):
            s = _surprisal(features[i, j], values[table[i], j], steps, slopes[table[i], j])
            out[i, j] = s
            largest[kinds[j]] = max(largest[kinds[j]], out[i, j])
        _order(largest, top)
        out[i, k] = top[0]
        out[i, k + 1] = top[0] + top[1] + top[2]
        out[i, k + 2] = top[0] + top[1] + top[2] + top[3] + top[4]


def surprisals(features: F32, table: npt.NDArray[np.int32], peers: PeerStatistics) -> F32:
    """Surprisals and the three order columns, float32 (n, k + 3); below 0.5 counts as nothing."""
    out = np.empty((len(features), features.shape[1] + N_ORDER), np.float32)
    _surprisals(np.ascontiguousarray(features), table, peers.values, peers.levels, peers.slopes, _KINDS, out)
    return out
