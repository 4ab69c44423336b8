"""Scheduled detectors in `accesstrail score`: the judged rows go into the embedded engine, findings come out as alerts.

Place in the flow: beside `offline.py`. `Collector` takes what the stages made, warm-up included; `candidates` runs
every detector over the time of the scored events. A candidate is an alert that fires where its risk reaches the
threshold: `budget_threshold` chooses one threshold for the stream's and the scheduled alerts together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from detectors.policy import count_fired
from detectors.scheduled import SCHEDULED
from detectors.scheduled.base import LOWEST_RISK, Finding
from pipeline.column_batch import ColumnBatch
from pipeline.directory import DirectorySnapshot
from pipeline.events import Alert
from pipeline.schedule import QueryEngine, alert_id, run_over, work_item_rows
from pipeline.stages.decide import severity

NEVER = 10_001
_LOWEST_THRESHOLD = 4000
_HIGHEST_KIND_BIT = 63
_KIND_OF: Mapping[str, int] = {one.name: 1 << (_HIGHEST_KIND_BIT - place) for place, one in enumerate(SCHEDULED)}


class Collecting(QueryEngine, Protocol):
    """An engine that also takes rows."""

    def add_events(self, rows: ColumnBatch) -> None:
        """Takes judged events."""
        ...

    def add_work_items(self, rows: ColumnBatch) -> None:
        """Takes work items."""
        ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """One alert that a scheduled detector would raise: `row` is the place of its event among the scored ones.

    `risk` in hundredths, `kinds` as `detectors.policy` counts kinds of reasons: every scheduled detector its own bit.
    """

    row: int
    time_us: int
    risk: int
    kinds: int
    finding: Finding

    def alert(self) -> Alert:
        """The alert of the stream's own form."""
        finding = self.finding
        return Alert(
            alert_id=str(alert_id(finding)),
            tenant_id=finding.tenant_id,
            row=self.row,
            detector=finding.detector,
            risk=finding.risk,
            severity=severity(finding.risk, finding.contributor.sensitivity, explained=False),
            reasons=finding.reasons,
            explanation_en=finding.explanation_en,
            explanation_zh=finding.explanation_zh,
            seen=finding.numbers,
        )


class Collector:
    """What a scoring run hands to the scheduled detectors."""

    def __init__(self, engine: Collecting, directory: DirectorySnapshot, zone: ZoneInfo) -> None:
        self._engine, self._directory, self._zone = engine, directory, zone
        engine.add_work_items(work_item_rows(directory.work_items, directory.tenant))

    def add(self, rows: ColumnBatch) -> None:
        """Takes one judged batch, of the warm-up or of the scored events."""
        self._engine.add_events(rows)

    def candidates(self, times_us: npt.NDArray[np.int64], first_offset: int) -> list[Candidate]:
        """Every alert that scheduled detectors would raise on the scored events, by time.

        `times_us` (n,): of the scored events; `first_offset`: the offset of the first of them.
        """
        if not len(times_us):
            return []
        found = run_over(self._engine, SCHEDULED, self._directory, self._zone, int(times_us.min()), int(times_us.max()))
        return [
            Candidate(
                row=one.contributor.offset - first_offset,
                time_us=one.contributor.event_time_us,
                risk=one.risk,
                kinds=_KIND_OF[one.detector],
                finding=one,
            )
            for one in found
            if first_offset <= one.contributor.offset < first_offset + len(times_us)
        ]


def fires(risk: int, threshold: int) -> bool:
    """Whether a scheduled alert fires; without any threshold (no model) all of them do."""
    return risk >= (threshold if threshold < NEVER else LOWEST_RISK)


@dataclass(frozen=True, slots=True)
class StreamCandidates:
    """What the stream alone would choose alerts from: scored events in log order, (n,) each."""

    actors: npt.NDArray[np.int64]
    time_us: npt.NDArray[np.int64]
    risk: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.uint64]

    def fired(self, threshold: int) -> int:
        """How many alerts fire under a threshold, suppression included."""
        return count_fired(threshold, self.actors, self.time_us, self.risk, self.kinds)


def budget_threshold(stream: StreamCandidates, scheduled: Sequence[Candidate], fired_at_most: float) -> int:
    """The smallest risk threshold (hundredths) under which both together fire at most this often; 10,001: never."""
    risks = np.array([one.risk for one in scheduled], np.int64)
    low, high = _LOWEST_THRESHOLD, NEVER
    while low < high:
        middle = (low + high) // 2
        if stream.fired(middle) + int((risks >= middle).sum()) <= fired_at_most:
            high = middle
        else:
            low = middle + 1
    return low
