"""The breach clock of one incident: its log and the store's counts make duties and deadlines, for people and programs.

Place in the flow: below `incident_breach.py` and `incidents show`. Nothing is decided here: what applies and until when
is `breach/clock.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.adapters.breach_counts import Scope, SubjectCounts
from pipeline.audit.incidents import IncidentView, TimelineEntry
from pipeline.breach.clock import Clock, Duty, clock_at
from pipeline.breach.model import COUNT_WORDS, COUNTS, Breach, Counted, accumulated
from pipeline.breach.record import COUNTED, Period, Step, breach_of, counted_detail, period_of
from pipeline.breach.register import read_register
from pipeline.cli.incident_desk import Desk, Outcome
from pipeline.cli.incident_documents import detail_of, moment_or_none
from pipeline.cli.table import aligned, moment_of
from pipeline.errors import UsageError
from pipeline.incidents.records import BreachStep
from pipeline.response.settings import read_response

_TAKEN_IN = ("breach_suspected", "breach_step")
_HOUR_US = 3_600_000_000
_STATES = {
    "overdue": ("OVERDUE", "已逾期"), "due": ("due", "待办"), "done": ("done", "已完成"),
    "not_required": ("not required", "无须"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class BreachView:
    """One incident's breach at a moment; `known` None: none is suspected there."""

    incident: IncidentView
    timeline: Sequence[TimelineEntry]
    counts: SubjectCounts
    known: tuple[Breach, Clock] | None

    @property
    def is_suspected(self) -> bool:
        """Whether somebody suspects one."""
        return self.known is not None

    @property
    def breach(self) -> Breach:
        """What is known of it. Raises: UsageError: none is suspected."""
        return self._both[0]

    @property
    def clock(self) -> Clock:
        """Its duties. Raises: UsageError: none is suspected."""
        return self._both[1]

    @property
    def _both(self) -> tuple[Breach, Clock]:
        if self.known is None:
            raise UsageError("no breach is suspected in this incident")
        return self.known


def view_of(desk: Desk, incident: IncidentView) -> BreachView:
    """The breach as it stands now, counted anew. Raises: Away; ConfigError: [operator] or the register is wrong."""
    timeline = desk.reader.timeline(incident.incident_key, incident.incident_id)
    steps = steps_of(timeline)
    counts = desk.evidence.counted(_scopes(desk, incident, period_of(steps)))
    breach = breach_of(steps)
    if breach is None:
        return BreachView(incident=incident, timeline=timeline, counts=counts, known=None)
    at_us = max(desk.now_us(), breach.discovery.at_us, *(one.at_us for one in breach.counted))
    breach = replace(breach, counted=(*breach.counted, replace(counts.counted, at_us=at_us)))
    profile = read_response(desk.settings.response, desk.settings.source.parent).operator
    clock = clock_at(read_register(), profile, breach, at_us)
    return BreachView(incident=incident, timeline=timeline, counts=counts, known=(breach, clock))


def steps_of(timeline: Sequence[TimelineEntry]) -> list[Step]:
    """The accepted rows about the breach, in the order of the log."""
    found = []
    for entry in timeline:
        if entry.transition in _TAKEN_IN:
            said = detail_of(entry)
            inner = said.get("detail")
            name = entry.name if entry.transition == _TAKEN_IN[0] else str(said.get("step", ""))
            detail: Mapping[str, object] = inner if isinstance(inner, dict) else said
            found.append(Step(at_us=entry.at_us, name=name, by=entry.by, why=entry.why, detail=detail))
    return found


def _scopes(desk: Desk, incident: IncidentView, named: Period | None) -> list[Scope]:
    """Whose accesses count: the incident's and those of incidents merged into it, from first to last alert."""
    scopes = []
    for one in desk.evidence.family(incident.incident_id):
        alerts = desk.evidence.alerts(one.incident_id)
        period = named
        if period is None and alerts:
            period = Period(min(at.period.from_us for at in alerts), max(at.period.to_us for at in alerts))
        if period is not None:
            scopes.append(Scope(one.tenant_id, one.incident_key, period))
    return scopes


def count_step(desk: Desk, view: BreachView, by: str, *, why: str = "", always: bool = False) -> Sequence[Outcome]:
    """Writes the present count into the log, where the log knows less; as the one outcome, or none."""
    if not always and not log_knows_less(view):
        return ()
    detail = dict(counted_detail(view.counts.counted))
    return (desk.hand_in(BreachStep, view.incident, by, why=why, step=COUNTED, detail=detail),)


def log_knows_less(view: BreachView) -> bool:
    """Whether the present count is the first one, or more than what the log says was counted."""
    written = [one for one in (view.breach.counted[:-1] if view.is_suspected else ()) if _is_count(one)]
    return not written or _is_more(accumulated(written)[-1], view.counts.counted)


def _is_count(one: Counted) -> bool:
    return not one.facts


def _is_more(before: Counted, now: Counted) -> bool:
    return any(now.count(name) > before.count(name) for name in COUNTS) or bool(now.categories - before.categories)


# -- saying


def clock_document(view: BreachView) -> dict[str, Any]:
    """The clock in plain values; times ISO 8601 in UTC, what is left in hours."""
    breach, clock = view.breach, view.clock
    return {
        "incident_id": view.incident.incident_id,
        "at": moment_of(clock.at_us),
        "known_at": moment_of(breach.discovery.at_us),
        "known_by": breach.discovery.set_by,
        "why": breach.discovery.why,
        "counts": {name: clock.counts.count(name) for name in COUNTS},
        "unlisted": view.counts.unlisted,
        "categories": sorted(clock.counts.categories),
        "facts": sorted(clock.counts.facts),
        "grades": {scale.scale: grade.grade if grade else None for scale, grade in clock.grades},
        "duties": [_plain_duty(one) for one in clock.duties],
    }


def _plain_duty(one: Duty) -> dict[str, Any]:
    return {
        "duty": one.law.law_id, "state": one.state,
        "recipient": {"en": one.law.recipient.en, "zh": one.law.recipient.zh},
        "deadline": moment_or_none(one.deadline_us or 0), "own_target": one.own_target,
        "hours_left": None if one.left_us is None else round(one.left_us / _HOUR_US, 2),
        "reason": {"en": one.reason.en, "zh": one.reason.zh}, "confirmed": one.law.confirmed, "outdated": one.outdated,
    }  # fmt: skip


_WORDS = {
    "en": ("suspected breach, known since {0} (set by {1}: {2})", "counted until now: ",
           "at least {0:,} more that events count without naming them", "unconfirmed",
           ("state", "deadline", "left", "duty", "recipient", "why")),
    "zh": ("疑似泄露，发现时间 {0}（由 {1} 认定：{2}）", "截至目前：",
           "另有至少 {0:,} 人在事件中仅计数、未列明", "未经核对",
           ("状态", "截止", "剩余", "义务", "接收方", "说明")),
}  # fmt: skip


def clock_lines(view: BreachView, language: str) -> Iterator[str]:
    """The clock as people read it, most pressing first."""
    head, counted, unlisted, unconfirmed, columns = _WORDS[language]
    discovery, counts = view.breach.discovery, view.clock.counts
    yield head.format(moment_of(discovery.at_us), discovery.set_by, discovery.why)
    parts = [f"{COUNT_WORDS[name].in_language(language)} {counts.count(name):,}" for name in COUNTS]
    yield counted + ("，" if language == "zh" else ", ").join(parts)
    if view.counts.unlisted:
        yield unlisted.format(view.counts.unlisted)
    for scale, grade in view.clock.grades:
        yield f"{scale.text.in_language(language)}: {grade.text.in_language(language) if grade else '-'}"
    rows = [_duty_cells(one, language, unconfirmed) for one in view.clock.duties]
    yield from aligned(columns, rows)


def _duty_cells(one: Duty, language: str, unconfirmed: str) -> list[Any]:
    state = _STATES[one.state][language == "zh"]
    left = "-" if one.left_us is None else f"{one.left_us / _HOUR_US:.1f} h"
    name = one.law.law_id if one.law.confirmed else f"{one.law.law_id} ({unconfirmed})"
    return [
        state, moment_or_none(one.deadline_us or 0) or "-", left, name, one.law.recipient.in_language(language),
        one.reason.in_language(language),
    ]  # fmt: skip
