"""Surprisals written out plainly, value by value: what the quantile tables and the compiled search must equal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detectors.features import KINDS, NAMES

EVERYBODY = "*"
_KNOTS = 129
_TOP = 0.98
_ENOUGH_DAYS = 150
_STEEPEST = 2.0
Row = Sequence[float]
# 0 to −log10(0.02) in equal steps, as 32-bit numbers.
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
    scale = sum(beyond) / len(beyond) if beyond else 0.3 * _deviation(ordered)
    return Tail(knots, 1.0 / (math.log(10.0) * max(scale, 0.05)))


def _quantile(ordered: list[float], chance: float) -> float:
    """The first value at or above the chance's place, never one between two values."""
    return ordered[math.ceil(chance * (len(ordered) - 1))]


def _deviation(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def days_of(rows: Sequence[Row], days: Sequence[int]) -> dict[int, tuple[int, Row]]:
    """For each day of each account, by its number: its first row's place and the largest of each feature."""
    found: dict[int, tuple[int, Row]] = {}
    for place, (row, day) in enumerate(zip(rows, days, strict=True)):
        first, largest = found.get(day, (place, row))
        found[day] = first, [max(pair) for pair in zip(largest, row, strict=True)]
    return found


def fit(rows: Sequence[Row], names: Sequence[str]) -> dict[str, list[Tail]]:
    """Tails by group and feature: everybody's, and those of each group with 150 days or more; a name for each day.

    A group's tail is at most twice as steep as everybody's.
    """
    everybody = [tail(list(column)) for column in zip(*rows, strict=True)]
    tails = {EVERYBODY: everybody}
    for name in dict.fromkeys(names):
        own = [row for row, of in zip(rows, names, strict=True) if of == name]
        if len(own) >= _ENOUGH_DAYS:
            found = [tail(list(column)) for column in zip(*own, strict=True)]
            tails[name] = [
                Tail(one.knots, min(one.slope, _STEEPEST * all_.slope))
                for one, all_ in zip(found, everybody, strict=True)
            ]
    return tails


def surprisal(value: float, known: Tail) -> float:
    """Decades of rarity: 0 up to the smallest value, then the level of the first knot the value does not exceed.

    Between two knots the upper one's level counts, without interpolation. Beyond the last knot the tail is exponential,
    at most two decades more; below half a decade nothing counts.
    """
    if value <= known.knots[0]:
        return 0.0
    if value > known.knots[-1]:
        return LEVELS[-1] + min(2.0, (value - known.knots[-1]) * known.slope)
    level = next(step for step, knot in zip(LEVELS, known.knots, strict=True) if knot >= value)
    return level if level >= 0.5 else 0.0


def surprisals(row: Row, tails: Sequence[Tail]) -> list[float]:
    """The surprisal of each feature, then of kinds of features: the largest, the sum of the 3 and of the 5 largest.

    A kind is as surprising as the most surprising of its features; a row may end before the last feature.
    """
    each = [surprisal(value, known) for value, known in zip(row, tails, strict=True)]
    of = dict(zip(NAMES, each, strict=False))
    ranked = sorted((max((of.get(name, 0.0) for name in kind)) for _, kind in KINDS), reverse=True)
    return [*each, ranked[0], sum(ranked[:3]), sum(ranked[:5])]
