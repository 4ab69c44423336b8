"""From surprisals to risk: several witnesses, fused, calibrated to a tail probability, raised by rules.

Place in the flow: second half of `assess`. Witnesses are the isolation forest, the sum of the three most surprising
kinds of features and each pattern; each is a −log10 tail probability among days of an account. Fusion: the forest, the
top-3 sum and the strongest pattern added up: three ways of looking that agree are worth more than the loudest of
fourteen. (Patterns are written from a list of threats; in companies that simulators of other authors drew, the loudest
alone cost a tenth of the area.) The sum is calibrated again among events, where each day of an account weighs as much
as any other: one burst of a thousand events in the history must not stand for a thousand days. level = 20 × −log10 p in
hundredths, without an upper end: 60 is one event in 1,000, 80 one in 10,000. Rules are floors; `strength.py` says what
both come to, and the risk. What a work item explains or an approval covers counts eight tenths. `anomaly_score` =
s / (s + 2) with s = −log10 p: monotone in the calibrated tail, never saturates, breaks ties of risk. The top-3 sum of
surprisals is kept beside it too: the baseline that all of this must match.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.base import F32, F64, I64, U16, U32
from detectors.isolation_forest import Forest, scores
from detectors.patterns import pattern_scores
from detectors.surprisal import N_ORDER, daily_largest

_TOP = 0.995
_KNOTS = 257
_PRESSED_FROM = 15.0
ACCOUNTED_WEIGHT = 0.8
_DAYS_TOP = 0.98
_DECADE_A_DECADE = 1.0
"""The steepest tail of what is itself told in decades: few days of history make tails that end too soon."""
_ROUNDING = 1e-9
"""What a sum of weights may lack of a share that it reaches."""

B = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Tail:
    """Upper tail of one score: `values` (knots,) ascending at `levels` (knots,), exponential beyond."""

    values: npt.NDArray[np.float64]
    levels: npt.NDArray[np.float64]
    slope: float

    def surprisal(self, score: F64) -> F64:
        """−log10 P(S >= s), (n,), below 30: beyond 15 it is pressed together, so that the rarer of two stays the rarer.

        Nobody knows such tails; a bound that many events share would leave a budget no threshold between all and none.
        """
        heard = np.full(len(score), self.levels[0])
        # Most events say nothing to most witnesses, and one in a hundred lies beyond the last knot.
        some = np.flatnonzero(score > self.values[0])
        heard[some] = np.interp(score[some], self.values, self.levels)
        rare = some[score[some] > self.values[-1]]
        if len(rare):
            beyond = self.levels[-1] + (score[rare] - self.values[-1]) * self.slope
            excess = np.maximum(beyond - _PRESSED_FROM, 0.0)
            heard[rare] = np.minimum(beyond, _PRESSED_FROM) + _PRESSED_FROM * excess / (_PRESSED_FROM + excess)
        return heard


def fit_tail(score: npt.NDArray[np.floating[Any]], top: float = _TOP, steepest: float = math.inf) -> Tail:
    """The tail of a score on history: empirical to the quantile `top`, exponential above, at most so steep."""
    levels = np.linspace(0.0, -math.log10(1.0 - top), _KNOTS)
    values = np.quantile(score, 1.0 - 10.0**-levels, method="higher").astype(np.float64)
    return _tail(values, levels, score, np.ones(len(score)), steepest)


def fit_tail_of_days(score: F64, days: I64, top: float = _TOP, steepest: float = math.inf) -> Tail:
    """The same where each day of an account weighs alike, its events share the weight; `days` as in `calibrate`."""
    levels = np.linspace(0.0, -math.log10(1.0 - top), _KNOTS)
    _, place, counts = np.unique(days, return_inverse=True, return_counts=True)
    weight = 1.0 / counts[place]
    order = np.argsort(score, kind="stable")
    reached = np.cumsum(weight[order]) / len(counts)
    values = score[order[np.minimum(np.searchsorted(reached, 1.0 - 10.0**-levels - _ROUNDING), len(order) - 1)]]
    return _tail(values, levels, score, weight, steepest)


def _tail(values: F64, levels: F64, score: npt.NDArray[np.floating[Any]], weight: F64, steepest: float) -> Tail:
    """Knots made increasing, and beyond the last of them the exponential tail of the mean excess."""
    values = np.maximum.accumulate(values + np.arange(_KNOTS) * 1e-12)  # np.interp wants increasing knots
    above = score > values[-1]
    if above.any():
        scale = float((weight[above] * (score[above] - values[-1])).sum() / weight[above].sum())
    else:
        scale = max(float(score.std()) * 0.1, 1e-6)
    return Tail(values, levels, min(steepest, 1.0 / (math.log(10.0) * max(scale, 1e-9))))


@dataclass(frozen=True, slots=True)
class Calibration:
    """The tails of the witnesses (forest, top-3 sum, then the patterns in their order) and of their fusion."""

    witnesses: tuple[Tail, ...]
    fused: Tail

    def tail(self, forest_score: F64, surprisals: F32) -> F64:
        """−log10 p of each event, float64 (n,)."""
        return self.fused.surprisal(self.fuse(forest_score, surprisals))

    def fuse(self, forest_score: F64, surprisals: F32) -> F64:
        """Forest, top-3 sum and the strongest pattern added up, before their own calibration."""
        heard = [
            tail.surprisal(score) for tail, score in zip(self.witnesses, _scores(forest_score, surprisals), strict=True)
        ]
        together: F64 = heard[0] + heard[1] + np.maximum.reduce(heard[2:])
        return together

    def leading(self, forest_score: F64, surprisals: F32) -> I64:
        """The strongest witness of each event, (n,): 0 the forest, 1 the top-3 sum, then the patterns.

        Compared in millionths, so that it is the same one on every machine; of equals it is the first.
        """
        scores_of = zip(self.witnesses, _scores(forest_score, surprisals), strict=True)
        heard = np.stack([np.rint(tail.surprisal(score) * 1e6) for tail, score in scores_of])
        strongest: I64 = heard.argmax(axis=0).astype(np.int64)
        return strongest


def _scores(forest_score: F64, surprisals: F32) -> list[F64]:
    """What each witness says, in their order."""
    return [forest_score, top3(surprisals), *pattern_scores(surprisals).T.astype(np.float64)]


def calibrate(forest_score: F64, surprisals: F32, days: I64) -> Calibration:
    """Fits the tails to history; `days` (n,): one number for each account and day."""
    of_forest, *sums = (daily_largest(score, days)[0] for score in _scores(forest_score, surprisals))
    witnesses = (fit_tail(of_forest, _DAYS_TOP), *(fit_tail(one, _DAYS_TOP, _DECADE_A_DECADE) for one in sums))
    fused = Calibration(witnesses, witnesses[0]).fuse(forest_score, surprisals)
    return Calibration(witnesses, fit_tail_of_days(fused, days, steepest=_DECADE_A_DECADE))


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


def judge(forest: Forest, calibration: Calibration, surprisals: F32, accounted: B) -> Judged:
    """The model's judgement; `accounted` (n,): a work item explains the access or an approval covers it."""
    base = top3(surprisals)
    tail = calibration.tail(scores(forest, surprisals), surprisals) * np.where(accounted, ACCOUNTED_WEIGHT, 1.0)
    anomaly = np.rint(tail / (tail + 2.0) * 1e6).astype(np.uint32)
    level = np.rint(tail * 2000.0).astype(np.uint16)
    return Judged(anomaly, np.minimum(np.rint(base * 100.0), 65_535).astype(np.uint16), level)


_LEAST_FLOOR = 1
"""What a rule that holds keeps, so that it stays a reason."""


def lowered(floor: U16, cut: int) -> U16:
    """A rule's floors less what history takes off them; 0 where it does not hold."""
    kept: U16 = np.where(floor > 0, np.maximum(floor.astype(np.int64) - cut, _LEAST_FLOOR), 0).astype(np.uint16)
    return kept


def lowered_by(floor: int, cut: int) -> int:
    """The same of one rule that holds."""
    return max(floor - cut, _LEAST_FLOOR)
