"""Scheduled detectors in `accesstrail score`: the judged rows go into the embedded engine, findings come out as alerts.

Place in the flow: below `offline.py`. `Collector` takes what the stages made, warm-up included; `candidates` runs
every detector over the time of the scored events. `fired_candidates` says which of them raise an alert under a
threshold, and `budget_threshold` chooses one threshold for the stream's and the scheduled alerts together.
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
from detectors.scheduled.base import Finding
from pipeline.column_batch import ColumnBatch
from pipeline.directory import DirectorySnapshot
from pipeline.events import Alert
from pipeline.schedule.findings import NEVER, QueryEngine, Slots, alert_id, find, fired, work_item_rows
from pipeline.stages.decide import severity

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
        first_us, last_us = int(times_us.min()), int(times_us.max())
        found: list[Finding] = []
        for detector in SCHEDULED:
            slots = Slots(detector.cadence.slot_of(first_us, self._zone), detector.cadence.slot_of(last_us, self._zone))
            found += find(self._engine, detector, slots, self._directory, self._zone)
        found.sort(key=lambda one: (one.slot, one.detector, one.tenant_id, one.key))
        return [
            Candidate(
                row=one.contributor.offset - first_offset,
                time_us=one.contributor.event_time_us,
                risk=one.risk,
                kinds=_KIND_OF[one.detector],
                finding=one,
            )
            for one in found
            # The first slot may have begun before: what an alert names must be an event that is scored.
            if first_offset <= one.contributor.offset < first_offset + len(times_us)
        ]


def fired_candidates(candidates: Sequence[Candidate], threshold: int) -> list[Candidate]:
    """The candidates that raise an alert under a threshold, by time; repetitions of a key are left out."""
    kept: list[Candidate] = []
    for detector in SCHEDULED:
        own = {id(one.finding): one for one in candidates if one.finding.detector == detector.name}
        findings = sorted((one.finding for one in own.values()), key=lambda one: one.slot)
        kept += [own[id(one)] for one in fired(findings, threshold, detector.cadence.quiet_slots)]
    return sorted(kept, key=lambda one: (one.time_us, one.finding.detector, one.finding.key))


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
    low, high = _LOWEST_THRESHOLD, NEVER
    while low < high:
        middle = (low + high) // 2
        if stream.fired(middle) + len(fired_candidates(scheduled, middle)) <= fired_at_most:
            high = middle
        else:
            low = middle + 1
    return low
