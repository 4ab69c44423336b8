"""Whether what is seen still looks like what was seen before: a population stability index for each feature.

Place in the flow: beside it, once a night, over the sample of judged events (`pipeline/stages/sample.py`). Bins are the
deciles of the reference, so that each holds a tenth of it unless values repeat. 0: the same; above 0.25 is called a
shift by habit (S. Siddiqi, Credit Risk Scorecards, 2006: below 0.1 stable, 0.1–0.25 to be watched). Half a count is
added to each bin, so that an empty one does not make it infinite; with few rows the index is noise, hence `MIN_ROWS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.base import F32, F64
from detectors.evaluation.calibration import stability_index

SHIFTED = 0.25
MIN_ROWS = 500
"""Chance alone gives an index of about 10 / rows a side: 0.04 of 500 and 500."""
_BINS = 10


@dataclass(frozen=True, slots=True)
class Shift:
    """How far one measure moved. `name`: a feature, "risk", or a peer group (its risk)."""

    name: str
    index: float

    @property
    def is_shifted(self) -> bool:
        """Whether it moved so far that somebody should know why."""
        return self.index > SHIFTED


def index_of(reference: F64, current: F64) -> float:
    """The index of one measure between two samples, (n,) and (m,); what is not a number is a bin of its own."""
    known = reference[~np.isnan(reference)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])) if len(known) else np.zeros(0)
    counts = [np.bincount(_bins(side, edges), minlength=len(edges) + 2) for side in (reference, current)]
    return stability_index(counts[0].astype(np.int64), counts[1].astype(np.int64))


def _bins(values: F64, edges: F64) -> npt.NDArray[np.int64]:
    return np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, "left")).astype(np.int64)


def feature_shifts(names: Sequence[str], reference: F32, current: F32) -> list[Shift]:
    """The index of every feature, largest first; arrays (n, k) and (m, k). Empty where a side has too few rows."""
    if min(len(reference), len(current)) < MIN_ROWS:
        return []
    shifts = [
        Shift(name, round(index_of(reference[:, place].astype(np.float64), current[:, place].astype(np.float64)), 4))
        for place, name in enumerate(names)
    ]
    return sorted(shifts, key=lambda one: (-one.index, one.name))


def risk_shifts(
    reference: F64, current: F64, reference_groups: npt.NDArray[np.str_], current_groups: npt.NDArray[np.str_]
) -> list[Shift]:
    """The index of risk over all, then of every peer group that has enough rows on both sides, largest first."""
    if min(len(reference), len(current)) < MIN_ROWS:
        return []
    shifts = []
    for group in np.intersect1d(reference_groups, current_groups).tolist():
        before, after = reference[reference_groups == group], current[current_groups == group]
        if min(len(before), len(after)) >= MIN_ROWS:
            shifts.append(Shift(str(group), round(index_of(before, after), 4)))
    return [
        Shift("risk", round(index_of(reference, current), 4)),
        *sorted(shifts, key=lambda one: (-one.index, one.name)),
    ]
