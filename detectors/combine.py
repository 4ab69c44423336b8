"""From surprisals to risk: forest and baseline fused, calibrated to a tail probability, raised by rules.

Place in the flow: second half of `assess`. Fusion (measured as good as any tried): −log10 tail probability of the
forest's score plus half that of the top-3 surprisal sum; the sum is calibrated again on history.
risk = min(100, 20 × −log10 p), kept in hundredths: 60 is one event in 1,000, 80 one in 10,000. Rules are floors.
`anomaly_score` = s / (s + 2) with s = −log10 p: monotone in the calibrated tail, never saturates, breaks ties of risk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.base import F32, F64, U16, U32
from detectors.isolation_forest import Forest, scores
from detectors.surprisal import N_ORDER

BASELINE_WEIGHT = 0.5
_TOP = 0.995
_KNOTS = 257
_TAIL_CAP = 8.0


@dataclass(frozen=True, slots=True)
class Tail:
    """Upper tail of one score: `values` (knots,) ascending at `levels` (knots,), exponential beyond."""

    values: npt.NDArray[np.float64]
    levels: npt.NDArray[np.float64]
    slope: float

    def surprisal(self, score: F64) -> F64:
        """−log10 P(S >= s), (n,), at most 8."""
        inside = np.interp(score, self.values, self.levels)
        beyond = self.levels[-1] + np.minimum((score - self.values[-1]) * self.slope, _TAIL_CAP)
        return np.minimum(np.where(score > self.values[-1], beyond, inside), _TAIL_CAP)


def fit_tail(score: F64) -> Tail:
    """The tail of a score on history: empirical to 99.5 %, exponential above."""
    levels = np.linspace(0.0, -math.log10(1.0 - _TOP), _KNOTS)
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


def calibrate(forest_score: F64, top3: F64) -> Calibration:
    """Fits the three tails to history."""
    forest, baseline = fit_tail(forest_score), fit_tail(top3)
    fused = forest.surprisal(forest_score) + BASELINE_WEIGHT * baseline.surprisal(top3)
    return Calibration(forest, baseline, fit_tail(fused))


def top3(surprisals: F32) -> F64:
    """The baseline's score: the sum of the three largest surprisals, float64 (n,)."""
    return surprisals[:, surprisals.shape[1] - N_ORDER + 1].astype(np.float64)


def judge(forest: Forest, calibration: Calibration, surprisals: F32) -> tuple[U32, U16, U16]:
    """Anomaly score (millionths), top-3 sum (hundredths) and model risk (hundredths) of each event.

    Rounded half to even, the integers are what is stored: nothing later depends on floating point.
    """
    base = top3(surprisals)
    tail = calibration.tail(scores(forest, surprisals), base)
    anomaly = np.rint(tail / (tail + 2.0) * 1e6).astype(np.uint32)
    risk = np.minimum(np.rint(tail * 2000.0), 10_000).astype(np.uint16)
    return anomaly, np.minimum(np.rint(base * 100.0), 65_535).astype(np.uint16), risk
