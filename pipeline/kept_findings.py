"""What of judged events could fire, kept until it is known what fires: why `accesstrail score` judges only once.

Place in the flow: below `offline.py`. Thresholds of a budget are known when everything has been judged. Until then only
what is at or above the lowest threshold worth trying is kept, a few events in a hundred: its finding, and what
`decide.tell` needs to write its alert. Findings (48 bytes each) are kept always, the rest of at most `MOST_ROWS`
events (about 1.3 KiB each): under a flood of findings memory stays bounded, and whoever fires without having been
kept is `missing` and has to be judged again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.base import I64, Assessment, EventArrays
from detectors.model import Model
from detectors.policy import SEEKING, Findings, findings_of, joined
from detectors.rules.rule import Rule
from pipeline.batch import JudgedEvents
from pipeline.column_batch import ColumnBatch, take_rows
from pipeline.events import Alert
from pipeline.stages.decide import TOLD_COLUMNS, tell

MOST_ROWS = 100_000

Given = tuple[str, str, str]
"""An event's id, time and actor, the latter two as they were given."""


@dataclass(frozen=True, slots=True)
class FiredAlert:
    """One alert with its event's own time and actor as they were given."""

    alert: Alert
    event_id: str
    event_time: str
    actor_id: str


@dataclass(frozen=True, slots=True)
class _KeptRows:
    """Some rows of one batch, (k,): `rows` where they stood in it, `numbers` which findings they are."""

    rows: I64
    numbers: I64
    columns: ColumnBatch
    arrays: EventArrays
    assessment: Assessment
    given: list[Given]

    def alerts(self, fired: npt.NDArray[np.bool_], model: Model, rules: Sequence[Rule]) -> Iterator[FiredAlert]:
        places = np.flatnonzero(fired[self.numbers]).astype(np.int64)
        for alert in tell(places, self.columns, self.arrays, self.assessment, model, rules):
            own = replace(alert, row=int(self.rows[alert.row]))
            yield FiredAlert(own, *self.given[alert.row])


@dataclass(frozen=True, slots=True)
class Wanted:
    """Findings by number, (m,) increasing, and the places of their events among all."""

    numbers: I64
    places: I64

    def __len__(self) -> int:
        return len(self.numbers)


class KeptFindings:
    """Findings of batches in their order, each with the place of its event among all; and alerts of those that fire."""

    def __init__(self, most_rows: int = MOST_ROWS) -> None:
        """`most_rows`: how many events are kept whole."""
        self._free_rows = most_rows
        self._findings: list[Findings] = []
        self._places: list[I64] = []
        self._kept: list[_KeptRows] = []
        self._count = 0

    def add(self, start: int, judged: JudgedEvents, given: Sequence[Given], slots: I64) -> None:
        """Takes a judged batch; `start`: the place of its first event, `slots`: its actors as small integers."""
        found = findings_of(judged.assessment, slots, judged.arrays.event_time_us)
        rows = found.reach(SEEKING)
        self._findings.append(found.at(rows))
        self._places.append(start + rows)
        numbers = np.arange(self._count, self._count + len(rows))
        self._count += len(rows)
        self._keep(rows[: self._free_rows], numbers[: self._free_rows], judged, given)
        self._free_rows = max(0, self._free_rows - len(rows))

    def again(self, wanted: Wanted, start: int, judged: JudgedEvents, given: Sequence[Given]) -> None:
        """Takes of a batch that is judged a second time what is wanted of it, whatever the number."""
        low, high = np.searchsorted(wanted.places, (start, start + len(given)))
        self._keep(wanted.places[low:high] - start, wanted.numbers[low:high], judged, given)

    def _keep(self, rows: I64, numbers: I64, judged: JudgedEvents, given: Sequence[Given]) -> None:
        if not len(rows):
            return
        columns = ColumnBatch(judged.columns.count, {name: judged.columns.columns[name] for name in TOLD_COLUMNS})
        self._kept.append(
            _KeptRows(
                rows, numbers, take_rows(columns, rows), _events_at(judged.arrays, rows),
                _assessment_at(judged.assessment, rows),
                [given[row] for row in rows.tolist()],
            )
        )  # fmt: skip

    @property
    def findings(self) -> Findings:
        """All of them, (f,), in log order."""
        empty = np.zeros(0, np.int64)
        none = Findings(empty, empty, empty, empty, empty.astype(np.uint64), empty.astype(np.uint64))
        return joined([none, *self._findings])

    @property
    def places(self) -> I64:
        """The place of each finding's event among all, (f,), increasing."""
        return np.concatenate([np.zeros(0, np.int64), *self._places])

    def missing(self, fired: I64) -> Wanted:
        """Which of these findings were not kept: no alert can be written of them yet."""
        kept = np.zeros(self._count, bool)
        for part in self._kept:
            kept[part.numbers] = True
        numbers = fired[~kept[fired]]
        return Wanted(numbers, self.places[numbers])

    def alerts(self, fired: I64, model: Model, rules: Sequence[Rule]) -> list[FiredAlert]:
        """The alerts of these findings, in log order; none may be missing."""
        marked = np.zeros(self._count, bool)
        marked[fired] = True
        parts = sorted(self._kept, key=lambda part: int(part.numbers[0]))
        return [alert for part in parts for alert in part.alerts(marked, model, rules)]


def _events_at(events: EventArrays, rows: I64) -> EventArrays:
    """The rows of the arrays that have one element an event; subjects are counted, not listed."""
    taken = _taken(events, rows, events.count)
    return replace(
        events, **taken, count=len(rows), actor_keys=[events.actor_keys[row] for row in rows.tolist()],
        subject_ends=np.zeros(len(rows), np.int64), subjects=np.zeros(0, np.uint64),
    )  # fmt: skip


def _assessment_at(assessment: Assessment, rows: I64) -> Assessment:
    count = len(assessment.status)
    ends = assessment.reason_ends[rows]
    sizes = np.diff(assessment.reason_ends, prepend=0)[rows]
    own_ends = np.cumsum(sizes)
    places = np.arange(int(sizes.sum())) + np.repeat(ends - own_ends, sizes)
    taken = _taken(assessment, rows, count)
    return replace(assessment, **taken, reason_ends=own_ends, reasons=assessment.reasons[places])


def _taken(whole: EventArrays | Assessment, rows: I64, count: int) -> dict[str, Any]:
    """The rows of every array with `count` of them, but for the flat lists, whose length may be the same by chance."""
    flat = {"subjects", "subject_ends", "reasons", "reason_ends"}
    arrays = {one.name: getattr(whole, one.name) for one in fields(whole) if one.name not in flat}
    return {
        name: values[rows] for name, values in arrays.items() if isinstance(values, np.ndarray) and len(values) == count
    }
