"""Precision and recall over all thresholds, by actor-day.

An actor-day is one actor on one UTC day; it ranks by its largest risk, ties by its largest anomaly score, and is bad
when an event of an attack falls on it. The area is average precision: precision at each threshold, weighted by the
recall it adds. AUC-ROC is left out on purpose: at one attack in a thousand events it flatters everything.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.base import F64
from detectors.evaluation.evidence import DAY_US, Evidence


def actor_day_curve(evidence: Evidence) -> float | None:
    """PR-AUC by actor-day to four digits; None where no event's actor is known."""
    rows = evidence.placed
    if not len(rows):
        return None
    day = evidence.time_us[rows] // DAY_US
    key = evidence.actor[rows] * (day.max() + 1 - day.min()) + day - day.min()
    order = np.lexsort((evidence.anomaly[rows], evidence.risk[rows], key))
    last = np.flatnonzero(np.diff(key[order], append=key.max() + 1))
    best = rows[order[last]]
    bad = np.unique(key[evidence.attacks.of_event[rows] >= 0])
    is_bad = np.isin(key[order[last]], bad)
    return round(average_precision(evidence.risk[best], evidence.anomaly[best], is_bad), 4)


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
