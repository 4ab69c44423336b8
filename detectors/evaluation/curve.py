"""Precision and recall over all thresholds, by actor-day.

An actor-day is one actor on one UTC day; it ranks by its largest risk, of its events and of the alerts that name one of
them, ties by the anomaly score, and is bad when an event of an attack falls on it. Alerts of the stream tell their
event's own risk and change nothing; those of scheduled detectors are all that is known of what no single event shows.
The same of the events' risk alone is reported beside it. The area is average precision: precision at each threshold,
weighted by the recall it adds. AUC-ROC is left out on purpose: at one attack in a thousand events it flatters
everything.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.base import F64
from detectors.evaluation.evidence import DAY_US, Evidence


def actor_day_curve(evidence: Evidence, *, with_alerts: bool = True) -> float | None:
    """PR-AUC by actor-day to four digits; None where no event's actor is known."""
    placed = evidence.placed
    if not len(placed):
        return None
    risk, rows = evidence.risk[placed], placed
    if with_alerts:
        known = evidence.actor[evidence.named_row] >= 0
        rows = np.concatenate((placed, evidence.named_row[known]))
        risk = np.concatenate((risk, evidence.named_risk[known]))
    day = evidence.time_us[rows] // DAY_US
    key = evidence.actor[rows] * (day.max() + 1 - day.min()) + day - day.min()
    order = np.lexsort((evidence.anomaly[rows], risk, key))
    best = order[np.flatnonzero(np.diff(key[order], append=key.max() + 1))]
    bad = np.unique(key[evidence.attacks.of_event[rows] >= 0])
    return round(average_precision(risk[best], evidence.anomaly[rows[best]], np.isin(key[best], bad)), 4)


def average_precision(first: F64, second: F64, is_bad: npt.NDArray[np.bool_]) -> float:
    """Area under the precision-recall curve by steps, of items (k,) ranked by `first`, then `second`, high first.

    Equal items are taken together, so that their order does not matter. 0 where nothing is bad.

    >>> average_precision(np.array([2.0, 1.0]), np.zeros(2), np.array([True, False]))
    1.0
    """
    positives = int(is_bad.sum())
    if not positives:
        return 0.0
    order = np.lexsort((-second, -first))
    one, two, bad = first[order], second[order], is_bad[order]
    ends = np.flatnonzero(np.append((np.diff(one) != 0) | (np.diff(two) != 0), True))
    found = np.cumsum(bad)[ends]
    precision = found / (ends + 1)
    return float((np.diff(found, prepend=0) / positives * precision).sum())
