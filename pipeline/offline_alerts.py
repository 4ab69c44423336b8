"""Which events of a file alert when the thresholds are known only after all of them were judged.

Place in the flow: inside `accesstrail score --budget`: events are judged once, by a policy that fires nothing. What
could fire is kept with all that deciding and explaining it takes; then the thresholds are chosen, once for the whole
file or anew each night as the live system does, and alerts are made of what fires. The details are bounded: of more
than `MOST_DETAILED` events those of the lowest level are dropped, which hardly ever fire; where one does, `missing`
says so and the events are judged again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from detectors.base import I64, Assessment, Detector, EventArrays
from detectors.budget import BUDGET_DAYS, LEAST_DAYS, ORDINARY_DAYS, next_policy, ordinary_days
from detectors.model import Model
from detectors.policy import (
    LOWEST_THRESHOLD,
    RULE_THRESHOLD,
    Findings,
    Firing,
    Policy,
    findings_of,
    joined,
)
from detectors.scheduled.base import DAY_US, Cadence
from pipeline.batch import JudgedEvents
from pipeline.column_batch import ColumnBatch, take_rows
from pipeline.directory.local_time import local_days_and_hours
from pipeline.events import Alert
from pipeline.stages.decide import alerts_at

MOST_DETAILED = 200_000
_DAY = Cadence(unit="day", lateness_s=0, history_days=0, quiet_slots=0)
_FLAT = ("subjects",)


@dataclass(slots=True)
class _Details:
    """Some events of a batch: `places` in the file, and what explanations are written from."""

    places: I64
    strength: I64
    columns: ColumnBatch
    arrays: EventArrays
    assessment: Assessment


@dataclass(slots=True)
class Reachable:
    """Every event that could fire under any threshold worth trying, in order."""

    most: int = MOST_DETAILED
    only: I64 | None = None
    """Places whose details are wanted; None: all."""
    _parts: list[Findings] = field(default_factory=list)
    _places: list[I64] = field(default_factory=list)
    _details: list[_Details] = field(default_factory=list)
    _detailed: int = 0

    def add(self, start: int, judged: JudgedEvents, actors: I64) -> None:
        """Keeps what of a batch could fire; `start`: the place of its first event in the file."""
        found = findings_of(judged.assessment, actors, judged.arrays.event_time_us)
        rows = found.reach(Policy(LOWEST_THRESHOLD, RULE_THRESHOLD))
        own = found.at(rows)
        self._parts.append(own)
        self._places.append(start + rows)
        if self.only is not None:
            rows = rows[np.isin(start + rows, self.only)]
        if len(rows):
            strength = np.maximum(found.level[rows], found.floor[rows])
            self._details.append(_details(start, judged, rows, strength))
            self._detailed += len(rows)
            if self._detailed > self.most:
                self._drop_half()

    @property
    def findings(self) -> Findings:
        """All of them, details or not."""
        return joined(self._parts) if self._parts else _no_findings()

    @property
    def places(self) -> I64:
        """Where in the file each finding is."""
        return np.concatenate(self._places) if self._places else np.zeros(0, np.int64)

    def missing(self, places: I64) -> bool:
        """Whether the details of an event are not kept any more."""
        kept = np.concatenate([one.places for one in self._details]) if self._details else np.zeros(0, np.int64)
        return not bool(np.isin(places, kept).all())

    def alerts(self, places: I64, model: Model, rules: Sequence[Detector]) -> list[tuple[int, Alert]]:
        """The alerts of the events at these places, each with its place, in order."""
        made: list[tuple[int, Alert]] = []
        for one in self._details:
            rows = np.flatnonzero(np.isin(one.places, places)).astype(np.int64)
            alerts = alerts_at(rows, one.columns, one.arrays, one.assessment, model, rules)
            made += [(int(one.places[alert.row]), alert) for alert in alerts]
        return made

    def _drop_half(self) -> None:
        """Keeps the details of the stronger half."""
        cut = int(np.median(np.concatenate([one.strength for one in self._details])))
        kept = []
        for one in self._details:
            rows = np.flatnonzero(one.strength > cut).astype(np.int64)
            if len(rows):
                kept.append(_narrowed(one, rows))
        self._details = kept
        self._detailed = sum(len(one.places) for one in kept)


class Activity:
    """Which accounts were active on each local day."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._seen: dict[int, set[int]] = {}

    def add(self, events: EventArrays, actors: I64) -> None:
        """Takes a judged batch; `actors`: small integers, the same for the same account in every batch."""
        rows = np.flatnonzero(events.scorable == 1)
        days, _ = local_days_and_hours(events.event_time_us[rows], np.zeros(len(rows), np.int32), [self._zone])
        for day in np.unique(days).tolist():
            self._seen.setdefault(day, set()).update(np.unique(actors[rows][days == day]).tolist())

    def until(self, day: int) -> list[int]:
        """How many on each day up to this one (days since 1970), `ORDINARY_DAYS` or fewer, oldest first."""
        first = max(day + 1 - ORDINARY_DAYS, min(self._seen, default=day + 1))
        return [len(self._seen.get(one, ())) for one in range(first, day + 1)]


def fired_nightly(
    findings: Findings, scheduled_us: I64, first: Policy, budget_per_day: float, activity: Activity, zone: ZoneInfo
) -> tuple[I64, list[tuple[int, Policy]]]:
    """Which findings fire where the policy is set anew each midnight from the fourteen days before, as live.

    `scheduled_us` (m,): when scheduled detectors alerted. Returns rows, and each local day with the policy it had.
    """
    if not len(findings.time_us):
        return np.zeros(0, np.int64), []
    firing, policy = Firing(int(findings.actors.max()) + 1), first
    days = (_DAY.slot_of(int(findings.time_us[0]), zone), _DAY.slot_of(int(findings.time_us[-1]), zone))
    begin_us, fired, policies = _DAY.start_us(days[0], zone), [], []
    for day in range(days[0], days[1] + 1):
        from_us, until_us = _DAY.start_us(day, zone), _DAY.start_us(day + 1, zone)
        rows = _between(findings.time_us, from_us, until_us)
        fired.append(rows[firing.fire(findings.at(rows), policy)])
        policies.append((day, policy))
        since_us = max(begin_us, until_us - BUDGET_DAYS * DAY_US)
        active = activity.until(day)
        if len(active) >= LEAST_DAYS:
            window = findings.at(_between(findings.time_us, since_us, until_us))
            beside = int(((scheduled_us >= since_us) & (scheduled_us < until_us)).sum())
            worth = ordinary_days(active, min(BUDGET_DAYS, len(active)))
            policy = next_policy(window, worth, beside, budget_per_day, policy)
    return np.concatenate(fired), policies


def _between(time_us: I64, from_us: int, until_us: int) -> I64:
    return np.flatnonzero((time_us >= from_us) & (time_us < until_us)).astype(np.int64)


def _details(start: int, judged: JudgedEvents, rows: I64, strength: I64) -> _Details:
    columns = take_rows(judged.columns, rows)
    return _Details(
        start + rows, strength, columns, take_events(judged.arrays, rows), take_assessment(judged.assessment, rows)
    )


def _narrowed(one: _Details, rows: I64) -> _Details:
    return _Details(
        one.places[rows], one.strength[rows], take_rows(one.columns, rows), take_events(one.arrays, rows),
        take_assessment(one.assessment, rows),
    )  # fmt: skip


def take_events(events: EventArrays, rows: I64) -> EventArrays:
    """Only these events, in this order."""
    starts = np.concatenate(([0], events.subject_ends[:-1])).astype(np.int64)
    sizes = events.subject_ends[rows] - starts[rows]
    ends = np.cumsum(sizes)
    flat = np.arange(int(ends[-1]) if len(rows) else 0) + np.repeat(starts[rows] - (ends - sizes), sizes)
    changed: dict[str, Any] = {
        one.name: getattr(events, one.name)[rows]
        for one in fields(events)
        if isinstance(getattr(events, one.name), np.ndarray) and one.name not in _FLAT
    }
    changed |= {
        "count": len(rows), "actor_keys": [events.actor_keys[row] for row in rows.tolist()],
        "subject_ends": ends, "subjects": events.subjects[flat],
    }  # fmt: skip
    return replace(events, **changed)


def take_assessment(assessment: Assessment, rows: I64) -> Assessment:
    """Only these events' judgement, in this order."""
    starts = np.concatenate(([0], assessment.reason_ends[:-1])).astype(np.int64)
    sizes = assessment.reason_ends[rows] - starts[rows]
    ends = np.cumsum(sizes)
    flat = np.arange(int(ends[-1]) if len(rows) else 0) + np.repeat(starts[rows] - (ends - sizes), sizes)
    changed: dict[str, Any] = {
        one.name: getattr(assessment, one.name)[rows]
        for one in fields(assessment)
        if isinstance(getattr(assessment, one.name), np.ndarray) and one.name != "reasons"
    }
    return replace(assessment, **{**changed, "reason_ends": ends, "reasons": assessment.reasons[flat]})


def _no_findings() -> Findings:
    none, nothing = np.zeros(0, np.int64), np.zeros(0, np.uint64)
    return Findings(none, none, none, none, nothing, nothing)
