"""From surprisals to risk: forest and baseline fused, calibrated to a tail probability, raised by rules.

Place in the flow: second half of `assess`. Fusion (measured as good as any tried): −log10 tail probability of the
forest's score plus half that of the top-3 surprisal sum, both among days of an account; the sum is calibrated again
among events. level = 20 × −log10 p in hundredths, without an upper end; risk = min(100, level): 60 is one event in
1,000, 80 one in 10,000. Rules are floors. What a work item explains or an approval covers counts seven tenths.
`anomaly_score` = s / (s + 2) with s = −log10 p: monotone in the calibrated tail, never saturates, breaks ties of risk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.base import F32, F64, I64, U16, U32
from detectors.isolation_forest import Forest, scores
from detectors.surprisal import N_ORDER, daily_largest

MAX_RISK = 10_000
BASELINE_WEIGHT = 0.5
_TOP = 0.995
_KNOTS = 257
_TAIL_CAP = 30.0
ACCOUNTED_WEIGHT = 0.7
_DAYS_TOP = 0.98


B = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Tail:
    """Upper tail of one score: `values` (knots,) ascending at `levels` (knots,), exponential beyond."""

    values: npt.NDArray[np.float64]
    levels: npt.NDArray[np.float64]
    slope: float

    def surprisal(self, score: F64) -> F64:
        """−log10 P(S >= s), (n,), at most 30."""
        inside = np.interp(score, self.values, self.levels)
        beyond = self.levels[-1] + np.minimum((score - self.values[-1]) * self.slope, _TAIL_CAP)
        return np.minimum(np.where(score > self.values[-1], beyond, inside), _TAIL_CAP)


def fit_tail(score: npt.NDArray[np.floating[Any]], top: float = _TOP) -> Tail:
    """The tail of a score on history: empirical to the quantile `top`, exponential above."""
    levels = np.linspace(0.0, -math.log10(1.0 - top), _KNOTS)
    values = np.quantile(score, 1.0 - 10.0**-levels, method="higher").astype(np.float64)
    values = np.maximum.accumulate(values + np.arange(_KNOTS) * 1e-12)  # np.interp wants increasing knots
    beyond = score[score > values[-1]] - values[-1]
    scale = float(beyond.mean()) if len(beyond) else max(float(score.std()) * 0.1, 1e-6)
    return Tail(values, levels, 1.0 / (math.log(10.0) * max(scale, 1e-9)))


@dataclass(frozen=True, slots=True)
class Calibration:
    """The three tails: the forest's score, the top-3 sum, their fusion."""

    forest: Tail
    baseline: Tail
    fused: Tail

    def tail(self, forest_score: F64, top3: F64) -> F64:
        """−log10 p of each event, float64 (n,)."""
        return self.fused.surprisal(self.fuse(forest_score, top3))

    def fuse(self, forest_score: F64, top3: F64) -> F64:
        """The fused score before its own calibration."""
        return self.forest.surprisal(forest_score) + BASELINE_WEIGHT * self.baseline.surprisal(top3)


def calibrate(forest_score: F64, top3: F64, days: I64) -> Calibration:
    """Fits the three tails to history; `days` (n,): one number for each account and day."""
    forest = fit_tail(daily_largest(forest_score, days)[0], _DAYS_TOP)
    baseline = fit_tail(daily_largest(top3, days)[0], _DAYS_TOP)
    fused = forest.surprisal(forest_score) + BASELINE_WEIGHT * baseline.surprisal(top3)
    return Calibration(forest, baseline, fit_tail(fused))


def top3(surprisals: F32) -> F64:
    """The baseline's score: the sum of the surprisals of the three most surprising kinds, float64 (n,)."""
    return surprisals[:, surprisals.shape[1] - N_ORDER + 1].astype(np.float64)


@dataclass(frozen=True, slots=True)
class Judged:
    """Integers of one batch, (n,) each: nothing later depends on floating point (rounded half to even)."""

    anomaly: U32
    """Millionths."""
    top3: U16
    """Hundredths."""
    level: U16
    """Hundredths of risk without its upper end at 10,000."""

    @property
    def risk(self) -> U16:
        """Hundredths, 0–10000."""
        return np.minimum(self.level, np.uint16(MAX_RISK))


def judge(forest: Forest, calibration: Calibration, surprisals: F32, accounted: B) -> Judged:
    """The model's judgement; `accounted` (n,): a work item explains the access or an approval covers it."""
    base = top3(surprisals)
    tail = calibration.tail(scores(forest, surprisals), base) * np.where(accounted, ACCOUNTED_WEIGHT, 1.0)
    anomaly = np.rint(tail / (tail + 2.0) * 1e6).astype(np.uint32)
    level = np.rint(tail * 2000.0).astype(np.uint16)
    return Judged(anomaly, np.minimum(np.rint(base * 100.0), 65_535).astype(np.uint16), level)
