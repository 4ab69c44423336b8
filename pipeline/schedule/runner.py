"""The live runner of scheduled detectors: one at a time, window by window, every run a row.

Place in the flow: beside it, over sealed rows only. A tick:

1. lease: somebody else's turn → stand by
2. watermark: everything received before it is sealed
3. the version set in force: directory, time zone; its work items → store
4. every due window, oldest first: ask, final verdicts → store, alert rows → store, alerts → Kafka, run row → store
5. once a day: the nightly turn (`nightly.py`), and where it is asked for retention (`retention_nights.py`)

The watermark is the smallest, over the topic's partitions, of the last sealed `received_at`; a partition whose log end
is sealed counts as now. A window closes when the watermark has passed its end and lateness; its final result reads only
what was received before that moment, so it does not depend on when it is made. A run whose row is missing is repeated:
alert ids and rows are functions of the window, so a repetition changes nothing.

A runner works only while it has the lease of now and the next one. It looks again after every query and before it
writes, so that it has a whole lease's time to write what it found: else a slow provisional result of a runner that lost
its turn could replace another one's final result.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from zoneinfo import ZoneInfo

from detectors.exceptions import AlertException
from detectors.scheduled import SCHEDULED, SCHEDULED_VERSION
from detectors.scheduled.base import Finding, ScheduledDetector, Value
from detectors.scheduled.unexplained_access import UNEXPLAINED_ACCESS, VERDICTS
from pipeline.column_batch import ColumnBatch
from pipeline.directory import DirectorySnapshot
from pipeline.errors import AccesstrailError, Away
from pipeline.events import LogPosition
from pipeline.schedule.alert_rows import FINAL, PROVISIONAL, RunCounts, RunFacts, alert_rows, run_row
from pipeline.schedule.findings import (
    QueryEngine,
    Slots,
    alert_id,
    find,
    incident_key,
    parameters,
    repeats,
    window_alert_id,
)
from pipeline.schedule.held_back import HeldBack
from pipeline.schedule.noise import NOISE, Week, most_told, slots_before

_log = logging.getLogger(__name__)
NIGHTLY, RETENTION = "nightly", "retention"
"""What a turn of the night that fails is called among the detectors that do."""
CLOCKS_DIFFER_US = 5_000_000
"""The broker stamps records by its own clock: as much earlier than ours may "now" be."""


@dataclass(frozen=True, slots=True)
class LogEnd:
    """What the broker holds of one partition: the offset of the next record."""

    end_offset: int


@dataclass(frozen=True, slots=True)
class SealedPoint:
    """How far one partition is sealed: the next offset, and when the last sealed record was received (UTC µs)."""

    next_offset: int
    received_at_us: int


@dataclass(frozen=True, slots=True)
class Versions:
    """What of the version set in force scheduled detectors use."""

    versions_id: bytes
    directory: DirectorySnapshot
    zone: ZoneInfo
    exceptions: Sequence[AlertException] = ()


@dataclass(frozen=True, slots=True)
class KnownAlert:
    """An alert that was written before: its risk, and whether it was taken back."""

    risk: int
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class HandledAlert:
    """An alert as incident handling took it in: under which key, and where its event stands.

    From `actor_token` on: as its row will stand once it is taken back, so that the log of incidents binds that too.
    """

    alert_id: str
    tenant_id: str
    incident_key: str
    detector: str
    position: LogPosition
    offset: int
    event_time_us: int
    actor_token: str = ""
    reasons: tuple[str, ...] = ()
    explanation_en: str = ""
    explanation_zh: str = ""
    seen: Mapping[str, float] = field(default_factory=dict)


class ScheduleStore(QueryEngine, Protocol):
    """What the runner needs of the store; every method may raise Away or StoreRefused."""

    def now_us(self) -> int:
        """The store's clock, UTC microseconds."""
        ...

    def lease(self, topic: str, number: int, runner: str) -> str:
        """Takes a lease unless somebody has it; returns who has it."""
        ...

    def sealed(self, topic: str, topic_id: str) -> Mapping[int, SealedPoint]:
        """How far each partition of this life of the topic is sealed."""
        ...

    def next_slots(self, topic: str) -> Mapping[str, int]:
        """The oldest slot of each detector that is not done for good; none of a detector that was never begun."""
        ...

    def add_work_items(self, directory: DirectorySnapshot) -> None:
        """Keeps the directory's work items that are not kept yet."""
        ...

    def write_verdicts(self, sql: str, parameters: Mapping[str, Value], versions_id: bytes) -> None:
        """Keeps the rows of a query in `access_explanations`."""
        ...

    def known_alerts(self, detector: str, ids: Sequence[str]) -> Mapping[str, KnownAlert]:
        """Which of these alerts were written before."""
        ...

    def alerts_of_window(self, detector: str, window_end_us: int) -> Sequence[str]:
        """Alerts of a window that were written and not taken back."""
        ...

    def write_alerts(self, rows: ColumnBatch) -> None:
        """Keeps alert rows; a row of the same alert replaces the one before."""
        ...

    def handled_alerts(self, ids: Sequence[str]) -> Sequence[HandledAlert]:
        """Those of these alerts that incident handling has taken in."""
        ...

    def withdraw(self, ids: Sequence[str]) -> None:
        """Takes alerts back that a window's final result does not hold any more."""
        ...

    def record_run(self, row: ColumnBatch) -> None:
        """Keeps the row of a run."""
        ...


class FindingPublisher(Protocol):
    """Hands findings on to incident handling."""

    def publish_findings(self, findings: Sequence[tuple[str, str, Finding]], stage: str) -> None:
        """(alert id, incident key, finding); returns when all are acknowledged. Raises: Away."""
        ...

    def publish_withdrawn(self, alerts: Sequence[HandledAlert]) -> None:
        """Alerts that later events took back; returns when all are acknowledged. Raises: Away."""
        ...


@dataclass(slots=True)
class Progress:
    """What the runner says of itself: numbers and codes only."""

    holds_lease: bool = False
    code: str = ""
    """What keeps it from its work; empty where nothing does."""
    watermark_us: int = 0
    waiting: int = 0
    """Windows that are due and not done."""
    runs: dict[tuple[str, str], int] = field(default_factory=dict)
    """By detector and result (done, failed)."""
    alerts: dict[str, int] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)
    """Detectors whose last run failed, with the code."""
    ticks: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """One window to ask about. `until_us`: how far; `received_before_us`: what counts."""

    detector: ScheduledDetector
    slot: int
    stage: str
    until_us: int
    received_before_us: int


def watermark_us(now_us: int, ends: Mapping[int, LogEnd], sealed: Mapping[int, SealedPoint]) -> int | None:
    """Everything received before is sealed; None: of some partition nothing is known yet.

    `now_us` must have been read before `ends`, and `ends` before `sealed`.
    """
    marks = []
    for partition, end in ends.items():
        point = sealed.get(partition, SealedPoint(0, 0))
        if point.next_offset >= end.end_offset:
            marks.append(now_us - CLOCKS_DIFFER_US)
        elif point.received_at_us:
            marks.append(min(point.received_at_us, now_us - CLOCKS_DIFFER_US))
        else:
            return None
    return min(marks) if marks else None


def due_windows(
    detector: ScheduledDetector, mark_us: int, next_slot: int, asked_us: Mapping[int, int], zone: ZoneInfo
) -> list[Due]:
    """The windows of a detector to ask about now, oldest first.

    `next_slot`: the oldest one that is not done for good. `asked_us`: the watermark when open slots were asked last.
    """
    cadence = detector.cadence
    found = []
    for slot in range(next_slot, cadence.slot_of(mark_us, zone) + 1):
        end_us = cadence.start_us(slot + 1, zone)
        close_us = end_us + cadence.lateness_s * 1_000_000
        if close_us <= mark_us:
            found.append(Due(detector, slot, FINAL, end_us, close_us))
        elif cadence.early_s is not None and mark_us - asked_us.get(slot, 0) >= cadence.early_s * 1_000_000:
            found.append(Due(detector, slot, PROVISIONAL, min(end_us, mark_us), mark_us))
    return found


class Runner:
    """Runs what is due; `tick` again and again from one thread."""

    def __init__(
        self, topic: str, name: str, store: ScheduleStore, publisher: FindingPublisher,
        read_log: Callable[[], tuple[str, Mapping[int, LogEnd]]], versions: Callable[[], Versions | None], *,
        retention_class: str, lease_s: int = 15, detectors: Sequence[ScheduledDetector] = SCHEDULED,
        go_on: Callable[[], bool] = lambda: True,
        nightly: Callable[[int, Versions], None] | None = None,
        retention: Callable[[int, Versions], None] | None = None,
    ) -> None:  # fmt: skip
        """`go_on`: asked after every run, so that a long turn can be watched and ended. `nightly`: `nightly.py`;
        `retention`: `retention_nights.py`.
        """
        self.progress = Progress()
        self._topic, self._name, self._store, self._publisher = topic, name, store, publisher
        self._read_log, self._versions, self._detectors = read_log, versions, detectors
        self._retention_class, self._lease_s = retention_class, lease_s
        self._go_on = go_on
        self._nights = {name: one for name, one in ((NIGHTLY, nightly), (RETENTION, retention)) if one is not None}
        self._leases: set[int] = set()
        self._told: dict[tuple[str, int], dict[str, Finding]] = {}
        self._asked_us: dict[str, dict[int, int]] = {one.name: {} for one in detectors}
        self._attempts: dict[tuple[str, int, str], int] = {}
        self._items_of = b""

    def tick(self) -> None:
        """One turn. Raises: nothing of ours; what keeps it from its work is in `progress.code`."""
        progress = self.progress
        try:
            self._turn()
            progress.code = ""
        except AccesstrailError as exc:
            if progress.code != exc.code:
                _log.warning("scheduled detectors wait: code=%s: %s", exc.code, exc)
            progress.code = exc.code
        progress.ticks += 1

    def ask_again(self) -> None:
        """The next turn asks about the open slots too, however lately they were asked: for after an import."""
        for asked_us in self._asked_us.values():
            asked_us.clear()

    def _turn(self) -> None:
        if not self._has_lease():
            self.progress.waiting = 0
            self.progress.failing.clear()
            return
        mark_us = self._watermark()
        versions = self._versions()
        if mark_us is None or versions is None:
            return  # nothing was sealed yet
        self.progress.watermark_us = mark_us
        if versions.versions_id != self._items_of:
            self._store.add_work_items(versions.directory)
            self._items_of = versions.versions_id
        self._run_all(mark_us, versions)
        for name in self._nights:
            if self._go_on() and self._has_lease():
                self._run_night(name, mark_us, versions)

    def _run_night(self, name: str, mark_us: int, versions: Versions) -> None:
        """A night that fails is tried again in the next turn; the detectors go on meanwhile."""
        try:
            self._nights[name](mark_us, versions)
            self.progress.failing.pop(name, None)
        except AccesstrailError as exc:
            if self.progress.failing.get(name) != exc.code:
                _log.error("the night's turn failed: turn=%s code=%s: %s", name, exc.code, exc)
            self.progress.failing[name] = exc.code

    def _has_lease(self) -> bool:
        """Whether this runner has the lease of now and the next one; the store's clock counts, the first one has it."""
        now = self._store.now_us() // (self._lease_s * 1_000_000)
        self._leases = {number for number in self._leases if number >= now}
        for number in (now, now + 1):
            if number not in self._leases and self._store.lease(self._topic, number, self._name) == self._name:
                self._leases.add(number)
            if number not in self._leases:
                break
        self.progress.holds_lease = {now, now + 1} <= self._leases
        return self.progress.holds_lease

    def _watermark(self) -> int | None:
        now_us = self._store.now_us()
        topic_id, ends = self._read_log()
        return watermark_us(now_us, ends, self._store.sealed(self._topic, topic_id))

    def _run_all(self, mark_us: int, versions: Versions) -> None:
        begun = self._begun(mark_us, versions)
        windows = {
            one.name: due_windows(one, mark_us, begun[one.name], self._asked_us[one.name], versions.zone)
            for one in self._detectors
        }
        self.progress.waiting = sum(len(found) for found in windows.values())
        for found in windows.values():
            for due in found:
                done = self._run(due, mark_us, versions)
                self.progress.waiting -= done
                if not self._go_on() or not self._has_lease():
                    return
                # The next one builds on it: the last final slot of a detector is how far it is done.
                if not done:
                    break

    def _begun(self, mark_us: int, versions: Versions) -> Mapping[str, int]:
        """The next slot of each detector. One that never ran begins with the running slot, and a row says so."""
        begun = dict(self._store.next_slots(self._topic))
        for one in self._detectors:
            if one.name not in begun:
                begun[one.name] = one.cadence.slot_of(mark_us, versions.zone)
                row = RunFacts(self._topic, self._name, versions, mark_us, mark_us, mark_us, SCHEDULED_VERSION)
                self._store.record_run(run_row(one, begun[one.name], PROVISIONAL, "begun", "", RunCounts(), 0, row))
        return begun

    def _run(self, due: Due, mark_us: int, versions: Versions) -> bool:
        """One run and its row; False where it failed and will be repeated. Raises: Away: not even the row was taken.

        A query that the store cannot serve (its memory, its time) fails alone: the other detectors go on.
        """
        name, progress = due.detector.name, self.progress
        key = (name, due.slot, due.stage)
        attempt = self._attempts[key] = self._attempts.get(key, 0) + 1
        started_us, code, counts = self._store.now_us(), "", RunCounts()
        try:
            counts = self._findings(due, versions)
        except AccesstrailError as exc:
            code = exc.code
            _log.error("scheduled detector failed: detector=%s slot=%d code=%s: %s", name, due.slot, code, exc)
        result = "failed" if code else "done"
        facts = RunFacts(
            self._topic, self._name, versions, mark_us, started_us, self._store.now_us(), SCHEDULED_VERSION
        )
        self._store.record_run(run_row(due.detector, due.slot, due.stage, result, code, counts, attempt, facts))
        progress.runs[name, result] = progress.runs.get((name, result), 0) + 1
        if code:
            progress.failing[name] = code
            return False
        progress.failing.pop(name, None)
        self._attempts.pop(key, None)
        asked = self._asked_us[name]
        asked[due.slot] = mark_us
        for slot in [one for one in asked if one < due.slot and due.stage == FINAL]:
            del asked[slot]
        return True

    def _findings(self, due: Due, versions: Versions) -> RunCounts:
        """Asks, and writes and publishes what is found and not excepted."""
        detector = due.detector
        slots = Slots(due.slot, due.slot, due.received_before_us, due.until_us)
        if detector is UNEXPLAINED_ACCESS:
            values = parameters(detector, slots, versions.directory, versions.zone)
            self._store.write_verdicts(VERDICTS, values, versions.versions_id)
        found = find(self._store, detector, slots, versions.directory, versions.zone)
        open_ones, held_back = self._held_back(found, detector, versions)
        raised = {str(alert_id(one)): one for one in open_ones if self._raises_alert(one, detector, versions)}
        kept = self._not_drowned(raised, due, versions)
        if len(kept) < len(raised):
            held_back = {**held_back, NOISE: len(raised) - len(kept)}
        if not self._has_lease():
            raise Away("another scheduler has its turn now", code="lease_lost")
        told = self._told.setdefault((detector.name, due.slot), {})
        # An open window is asked again and again: what did not change since is told again only when it is final.
        fresh = {name: one for name, one in kept.items() if due.stage == FINAL or told.get(name) != one}
        if fresh:
            rows = alert_rows(list(fresh.values()), versions.versions_id, due.stage, self._retention_class)
            self._store.write_alerts(rows)
            self._publisher.publish_findings(
                [(name, incident_key(one, detector), one) for name, one in fresh.items()], due.stage
            )
            told.update(fresh)
        if due.stage == FINAL:
            end_us = detector.cadence.window(due.slot, versions.zone)[1]
            gone = [one for one in self._store.alerts_of_window(detector.name, end_us) if one not in kept]
            if gone:
                # Told first: a run that ends between the two finds them again, after the rows it would not.
                self._publisher.publish_withdrawn(self._store.handled_alerts(gone))
                self._store.withdraw(gone)
            del self._told[detector.name, due.slot]
        self.progress.alerts[detector.name] = self.progress.alerts.get(detector.name, 0) + len(fresh)
        return RunCounts(len(found), len(fresh), held_back)

    def _held_back(
        self, found: Sequence[Finding], detector: ScheduledDetector, versions: Versions
    ) -> tuple[Sequence[Finding], Mapping[str, int]]:
        """The findings that no exception covers, and how many each one covers.

        What was told before an exception came stays told and is brought up to date: somebody may be working on it.
        """
        if not versions.exceptions:
            return found, {}
        asked = HeldBack(versions.exceptions, versions.directory)
        open_ones: list[Finding] = []
        counts: Counter[str] = Counter()
        for one in found:
            covering = asked.by(one, detector)
            own = str(alert_id(one))
            if not covering or own in self._store.known_alerts(detector.name, [own]):
                open_ones.append(one)
            else:
                counts.update(covering)
        return open_ones, counts

    def _not_drowned(self, raised: Mapping[str, Finding], due: Due, versions: Versions) -> Mapping[str, Finding]:
        """The alerts that this detector's other findings of the week before do not drown; asked only where one is new.

        What was told before stays told and is brought up to date.
        """
        detector = due.detector
        known = self._store.known_alerts(detector.name, list(raised)) if raised else {}
        if len(known) == len(raised):
            return raised
        slots = Slots(due.slot - slots_before(detector.cadence), due.slot - 1, due.received_before_us)
        found = find(self._store, detector, slots, versions.directory, versions.zone)
        covered = HeldBack(versions.exceptions, versions.directory)
        week, most = Week(one for one in found if not covered.by(one, detector)), most_told(versions.directory)
        return {name: one for name, one in raised.items() if name in known or not week.drowns(one, most)}

    def _raises_alert(self, finding: Finding, detector: ScheduledDetector, versions: Versions) -> bool:
        """Whether a finding fires: no alert of the quiet time before has told it already."""
        cadence = detector.cadence
        earlier = range(finding.slot - cadence.quiet_slots, finding.slot)
        ids = {
            str(
                window_alert_id(detector.name, finding.tenant_id, finding.key, *cadence.window(slot, versions.zone))
            ): slot
            for slot in earlier
        }
        own = str(alert_id(finding))
        known = self._store.known_alerts(detector.name, [own, *ids])
        if own in known:
            return True  # told before: it is brought up to date
        last = max((ids[one] for one, alert in known.items() if not alert.withdrawn), default=None)
        if last is None:
            return True
        risk = next(alert.risk for one, alert in known.items() if ids[one] == last)
        before = _with(finding, last, risk)
        return not repeats(finding, before, cadence.quiet_slots)


def _with(finding: Finding, slot: int, risk: int) -> Finding:
    """The alert about the same key in an earlier slot, as far as `repeats` looks at it."""
    return Finding(
        detector=finding.detector, tenant_id=finding.tenant_id, key=finding.key, slot=slot,
        window_start_us=0, window_end_us=0, risk=risk, numbers={}, contributor=finding.contributor,
        explanation_en="", explanation_zh="",
    )  # fmt: skip


__all__ = [
    "Due", "FindingPublisher", "KnownAlert", "LogEnd", "Progress", "Runner", "ScheduleStore", "SealedPoint",
    "Versions", "due_windows", "watermark_us",
]  # fmt: skip
