"""What people are told of an incident, and when: the incident's timers, changed as the log goes on.

Place in the flow: between the fold and `escalate.py`. Each function takes an incident and gives it back with its timers
moved on, and the messages that go out now. Nothing here is remembered elsewhere: a message that waits is `pending` with
its due time, a deadline that runs is `escalate_due_us`, and a `tick` at or after that time does it. A tick that comes
early does nothing, one that comes late does it once, one that comes twice finds it done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from pipeline.incidents.effects import Effect, Notify
from pipeline.incidents.escalate import deadline_us, next_layer, told_by, waits
from pipeline.incidents.model import Incident, Timers, rank
from pipeline.incidents.rules import Rules

TRIGGER, UPDATE, ACKNOWLEDGE, RESOLVE = "trigger", "update", "acknowledge", "resolve"
Told = tuple[Incident, tuple[Effect, ...]]


@dataclass(frozen=True, slots=True)
class Moment:
    """When a record was received (UTC microseconds), what it is called in causes, and the rules in force."""

    at_us: int
    cause: str
    rules: Rules


def trigger(incident: Incident, reason: str, now: Moment) -> Told:
    """It was opened or reopened: told as if it had never been told, and the clock for acknowledging begins."""
    timers = incident.timers
    fresh = Timers(held_back=timers.held_back, muted=timers.muted, channels=timers.channels)
    return _tell(replace(incident, timers=fresh), TRIGGER, reason, now)


def update(incident: Incident, reason: str, now: Moment) -> Told:
    """It has grown: told again if it rose enough since it was told last, and not too often."""
    timers, escalation = incident.timers, now.rules.escalation
    if timers.pending == TRIGGER:
        return _retimed_trigger(incident, reason, now)
    is_graver = bool(timers.told_severity) and rank(incident.severity) > rank(timers.told_severity)
    if is_graver:
        return _tell(incident, UPDATE, "severity", now)
    if not is_worth_telling(incident, reason, now.rules) or timers.pending:
        return incident, ()
    if timers.updates >= escalation.most_updates:
        return incident, ()
    due_us = timers.told_us + escalation.update_interval_s * 1_000_000
    if now.at_us < due_us:
        return _with(incident, pending=UPDATE, tell_due_us=due_us), ()
    return _tell(incident, UPDATE, reason, now)


def is_worth_telling(incident: Incident, reason: str, rules: Rules) -> bool:
    """Whether something new is to be said: a new detector, a suspected breach, or a risk higher by `rise`."""
    if not incident.timers.told_us:
        return False
    return reason in ("detector", "breach", "absorbed") or incident.risk >= incident.timers.told_risk + rules.rise


def _retimed_trigger(incident: Incident, reason: str, now: Moment) -> Told:
    """It waits for its first message; a graver severity may have no reason to wait."""
    wait = _wait(incident, now)
    if wait is None:
        return _tell(incident, TRIGGER, reason, now)
    due_us = min(incident.timers.tell_due_us, wait[0])
    return (_with(incident, tell_due_us=due_us) if due_us != incident.timers.tell_due_us else incident), ()


def settled(incident: Incident, action: str, now: Moment) -> Told:
    """It was acknowledged or resolved: whoever was told hears of it, at any hour; nothing more is due."""
    timers = incident.timers
    quiet = _with(incident, pending="", tell_due_us=0, escalate_due_us=0)
    if not timers.told_us:
        return quiet, ()
    return quiet, (Notify(action, action, timers.channels, quiet, now.at_us, now.cause),) if timers.channels else ()


def tick(incident: Incident, now: Moment) -> Told:
    """Does what is due by now."""
    effects: tuple[Effect, ...] = ()
    timers = incident.timers
    if timers.tell_due_us and now.at_us >= timers.tell_due_us:
        incident, effects = _tell(incident, timers.pending or UPDATE, "due", now)
    timers = incident.timers
    if timers.escalate_due_us and now.at_us >= timers.escalate_due_us:
        incident, more = _escalate(incident, now)
        effects += more
    return incident, effects


def _escalate(incident: Incident, now: Moment) -> Told:
    wait = _wait(incident, now)
    if wait is not None:
        timers = incident.timers
        return _with(
            incident, escalate_due_us=wait[0], held_back=timers.held_back + 1, muted=timers.muted + wait[1]
        ), ()
    escalation, severity = now.rules.escalation, incident.severity
    layer = next_layer(escalation, severity, incident.timers.layer)
    channels = told_by(escalation, severity, layer)
    due_us = deadline_us(escalation, severity, layer, now.at_us)
    incident = _with(
        incident, layer=layer, escalate_due_us=due_us, told_us=now.at_us, channels=_all(incident, channels)
    )
    return incident, (Notify(UPDATE, "escalated", channels, incident, now.at_us, now.cause),) if channels else ()


def _tell(incident: Incident, action: str, reason: str, now: Moment) -> Told:
    timers, wait = incident.timers, _wait(incident, now)
    if wait is not None:
        waiting = _with(
            incident, pending=action, tell_due_us=wait[0], held_back=timers.held_back + 1, muted=timers.muted + wait[1]
        )
        return waiting, ()
    escalation, severity = now.rules.escalation, incident.severity
    channels = told_by(escalation, severity, timers.layer)
    incident = _with(
        incident, told_us=now.at_us, told_severity=severity, told_risk=incident.risk, pending="", tell_due_us=0,
        channels=_all(incident, channels), updates=timers.updates + (action == UPDATE),
        escalate_due_us=_deadline(incident, action, now),
    )  # fmt: skip
    return incident, (Notify(action, reason, channels, incident, now.at_us, now.cause),) if channels else ()


def _deadline(incident: Incident, action: str, now: Moment) -> int:
    """The clock begins with the first message, and anew with a graver severity, never later than it would have rung."""
    running = incident.timers.escalate_due_us
    if incident.acknowledged_us or not incident.is_open:
        return 0
    due_us = deadline_us(now.rules.escalation, incident.severity, incident.timers.layer, now.at_us)
    if action == TRIGGER or not running:
        return due_us
    return min(running, due_us) if due_us else running


def _wait(incident: Incident, now: Moment) -> tuple[int, int] | None:
    """Until when a message waits, and 1 where a maintenance window is why."""
    wait = waits(
        now.rules.escalation, incident.severity, incident.incident_key, incident.highest_by_detector(), now.at_us
    )
    return (wait.until_us, int(wait.is_muted)) if wait else None


def _all(incident: Incident, channels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*incident.timers.channels, *channels)))


def _with(incident: Incident, **values: Any) -> Incident:  # noqa: ANN401  values of the fields of Timers
    return replace(incident, timers=replace(incident.timers, **values))
