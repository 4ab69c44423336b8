"""Surprisals written out plainly, value by value: what the quantile tables and the compiled search must equal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

EVERYBODY = "*"
_KNOTS = 129
_TOP = 0.995
_ENOUGH_ROWS = 2000
Row = Sequence[float]
# 0 to −log10(0.005) in equal steps, as 32-bit numbers.
LEVELS = [float(np.float32(-math.log10(1.0 - _TOP) * step / (_KNOTS - 1))) for step in range(_KNOTS)]


@dataclass(frozen=True, slots=True)
class Tail:
    """The upper tail of one feature in one group: a value for each level, and decades per unit beyond the last."""

    knots: list[float]
    slope: float


def tail(values: list[float]) -> Tail:
    """The tail of one feature's history."""
    ordered = sorted(values)
    knots = [_quantile(ordered, 1.0 - 10.0**-level) for level in LEVELS]
    edge = _quantile(ordered, _TOP)
    beyond = [value - edge for value in ordered if value > edge]
    scale = sum(beyond) / len(beyond) if beyond else max(_deviation(ordered), 0.05)
    return Tail(knots, 1.0 / (math.log(10.0) * max(scale, 0.02)))


def _quantile(ordered: list[float], chance: float) -> float:
    """The first value at or above the chance's place, never one between two values."""
    return ordered[math.ceil(chance * (len(ordered) - 1))]


def _deviation(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def fit(rows: Sequence[Row], names: Sequence[str]) -> dict[str, list[Tail]]:
    """Tails by group and feature: everybody's, and those of each group with 2,000 rows or more; a name for each row."""
    members: dict[str, list[Row]] = {EVERYBODY: list(rows)}
    for row, name in zip(rows, names, strict=True):
        members.setdefault(name, []).append(row)
    return {
        name: [tail(list(column)) for column in zip(*own, strict=True)]
        for name, own in members.items()
        if name == EVERYBODY or len(own) >= _ENOUGH_ROWS
    }


def surprisal(value: float, known: Tail) -> float:
    """Decades of rarity: 0 up to the smallest value, then the level of the first knot the value does not exceed.

    Between two knots the upper one's level counts, without interpolation. Beyond the last knot the tail is exponential,
    at most three decades more; below half a decade nothing counts.
    """
    if value <= known.knots[0]:
        return 0.0
    if value > known.knots[-1]:
        return LEVELS[-1] + min(3.0, (value - known.knots[-1]) * known.slope)
    level = next(step for step, knot in zip(LEVELS, known.knots, strict=True) if knot >= value)
    return level if level >= 0.5 else 0.0


def surprisals(row: Row, tails: Sequence[Tail]) -> list[float]:
    """The surprisal of each feature, then the largest, the sum of the 3 and the sum of the 5 largest."""
    each = [surprisal(value, known) for value, known in zip(row, tails, strict=True)]
    ranked = sorted(each, reverse=True)
    return [*each, ranked[0], sum(ranked[:3]), sum(ranked[:5])]
