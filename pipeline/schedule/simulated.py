"""Scheduled detectors in `accesstrail score`: the judged rows go into the embedded engine, findings come out as alerts.

Place in the flow: below `offline.py`. `Collector` takes what the stages made, warm-up included; `candidates` runs
every detector over the time of the scored events and leaves repetitions and noise out (`noise.py`). `within_budget`
keeps the gravest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from detectors.exceptions import AlertException
from detectors.scheduled import SCHEDULED
from detectors.scheduled.base import Finding
from detectors.scheduled.sql import INPUT_END
from pipeline.column_batch import ColumnBatch
from pipeline.directory import DirectorySnapshot
from pipeline.events import Alert
from pipeline.schedule.findings import QueryEngine, Slots, alert_id, find, fired, work_item_rows
from pipeline.schedule.held_back import HeldBack
from pipeline.schedule.noise import most_told, slots_before, told_of
from pipeline.stages.decide import severity


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
    """One alert that a scheduled detector raises: `row` is the place of its event among the scored ones."""

    row: int
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
    """What a scoring run hands to the scheduled detectors; what an exception covers raises no alert."""

    def __init__(
        self, engine: Collecting, directory: DirectorySnapshot, zone: ZoneInfo,
        exceptions: Sequence[AlertException] = (),
    ) -> None:  # fmt: skip
        self._engine, self._directory, self._zone = engine, directory, zone
        self._held_back = HeldBack(exceptions, directory)
        engine.add_work_items(work_item_rows(directory.work_items, directory.tenant))

    def add(self, rows: ColumnBatch) -> None:
        """Takes one judged batch, of the warm-up or of the scored events."""
        self._engine.add_events(rows)

    def candidates(self, times_us: npt.NDArray[np.int64], first_offset: int) -> list[Candidate]:
        """Every alert that scheduled detectors raise on the scored events, by time; repetitions of a key left out.

        `times_us` (n,): of the scored events; `first_offset`: the offset of the first of them.
        """
        if not len(times_us):
            return []
        first_us, last_us = int(times_us.min()), int(times_us.max())
        found: list[Finding] = []
        for detector in SCHEDULED:
            cadence, end_us = detector.cadence, self._end_us() if detector.of_absence else last_us + 1
            first, last = (cadence.slot_of(at_us, self._zone) for at_us in (first_us, last_us))
            slots = Slots(first - slots_before(cadence), last, until_us=end_us)
            own = find(self._engine, detector, slots, self._directory, self._zone)
            open_ones = [one for one in own if not self._held_back.by(one, detector)]
            told = told_of(open_ones, cadence, most_told(self._directory))
            # The first slot may have begun before: what an alert names must be an event that is scored.
            scored = [one for one in told if first_offset <= one.contributor.offset < first_offset + len(times_us)]
            found += fired([one for one in scored if one.slot >= first], cadence.quiet_slots)
        return [Candidate(one.contributor.offset - first_offset, one) for one in sorted(found, key=_in_time)]

    def _end_us(self) -> int:
        return int(self._engine.rows(INPUT_END, {})[0]["end_us"])


def within_budget(candidates: Sequence[Candidate], fired_at_most: float) -> list[Candidate]:
    """At most so many of them, by time: the highest risks, of equal ones the earliest."""
    gravest = sorted(candidates, key=lambda one: (-one.finding.risk, _in_time(one.finding)))
    return sorted(gravest[: max(0, int(fired_at_most))], key=lambda one: _in_time(one.finding))


def _in_time(finding: Finding) -> tuple[int, str, str, str]:
    return finding.contributor.event_time_us, finding.detector, finding.tenant_id, finding.key
