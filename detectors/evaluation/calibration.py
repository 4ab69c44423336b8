"""Whether risk says what it promises, and whether it still says the same.

risk = −20 log10 p: at risk r or above lie p(r) = 10^(−r / 20) of ordinary events, if the calibration holds. Ordinary
events are those of no attack. Rules put floors under risk, so more than p may lie above it; what the model alone says
is in the anomaly score a = s / (s + 2) with s = −log10 p, from which its own risk 20 s = 40 a / (1 − a) is taken.

Population stability index: Σ (q − p) ln(q / p) over bins of ten points of risk, p and q the shares of the first and the
second half of the time. Half a count is added to each bin, so that an empty one does not make it infinite. It is
0 for equal shares, never negative, and the same with the halves exchanged. Above 0.2 is called a shift by habit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.base import F64, I64
from detectors.evaluation.evidence import Evidence
from detectors.evaluation.shares import wilson

STEPS = tuple(range(10, 101, 10))
_BINS = np.array((-np.inf, *STEPS, np.inf))


def tail_calibration(evidence: Evidence) -> list[dict[str, Any]]:
    """One row each ten points of risk: predicted and observed share of ordinary events at it or above.

    `ordinary`: how many there are; `events`: those at or above by risk, `model_events`: by the model alone.
    """
    rows = evidence.attacks.of_event < 0
    risk, of_model = evidence.risk[rows], model_risk(evidence.anomaly[rows])
    return [_row(step, len(risk), int((risk >= step).sum()), int((of_model >= step).sum())) for step in STEPS]


def model_risk(anomaly: F64) -> F64:
    """What risk the model alone gives, without an upper end, from the anomaly score in [0, 1)."""
    return 40.0 * anomaly / np.maximum(1.0 - anomaly, 1e-6)


def _row(step: int, ordinary: int, events: int, model_events: int) -> dict[str, Any]:
    predicted = float(10 ** (-step / 20))
    low, high = wilson(events, ordinary)
    return {
        "risk": step,
        "ordinary": ordinary,
        "events": events,
        "model_events": model_events,
        "predicted": _short(predicted),
        "observed": _short(events / ordinary) if ordinary else None,
        "observed_interval": [_short(low), _short(high)],
        "model_observed": _short(model_events / ordinary) if ordinary else None,
        "ratio": round(events / ordinary / predicted, 3) if ordinary else None,
    }


def _short(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")


def stability(evidence: Evidence) -> dict[str, Any] | None:
    """The index of risk of ordinary events between the halves of the time; None where a half has none of them."""
    rows = evidence.placed
    rows = rows[evidence.attacks.of_event[rows] < 0]
    if not len(rows):
        return None
    times = evidence.time_us[rows]
    late = times >= int(times.min()) + (int(times.max()) - int(times.min()) + 1) // 2
    first, second = (histogram(evidence.risk[rows[half]]) for half in (~late, late))
    if not first.sum() or not second.sum():
        return None
    return {
        "index": round(stability_index(first, second), 4),
        "first_half": first.tolist(),
        "second_half": second.tolist(),
    }


def histogram(risk: F64) -> I64:
    """Events by ten points of risk, (11,): 0–10, …, 90–100, 100."""
    return np.histogram(risk, _BINS)[0].astype(np.int64)


def stability_index(first: I64, second: I64) -> float:
    """The index between two histograms over the same bins (b,)."""
    p, q = ((counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (first, second))
    return float(((q - p) * np.log(q / p)).sum())
