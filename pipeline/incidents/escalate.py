"""Who is told of an incident, when, and who next if nobody acknowledges: timers as data.

Place in the flow: settings (`escalation_config.py`) and pure questions; the fold asks them with the log's time. A
message waits where its severity is told in duty hours only, or while a maintenance window covers the incident; it is
then due later, never dropped. Deadlines are computed once, when they begin to run, and kept in the incident's state:
other settings tomorrow do not move what runs today.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from pipeline.incidents.duty_hours import DutyHours


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One step of escalation: who is told in addition, and how long they have, in seconds (0: as the plan says).

    Of the last one `repeat_every_s` of its plan counts: there is nobody else to call.
    """

    name: str
    channels: tuple[str, ...]
    acknowledge_within_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is done about one severity. `acknowledge_within_s` 0: nobody is called further.

    `hours`: duty hours in which it is told; None: at any time. `repeat_every_s`: the last layer is told again so often
    while nobody acknowledges; 0: never.
    """

    channels: tuple[str, ...] = ()
    acknowledge_within_s: int = 0
    layers: tuple[Layer, ...] = ()
    hours: DutyHours | None = None
    repeat_every_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceWindow:
    """While it lasts, incidents all of whose detectors it names, or whose key it names, are told later.

    Both empty: every incident. From `from_us` to before `until_us`, UTC microseconds.
    """

    name: str
    from_us: int
    until_us: int
    detectors: frozenset[str] = frozenset()
    incident_keys: frozenset[str] = frozenset()

    def covers(self, incident_key: str, detectors: Collection[str], at_us: int) -> bool:
        """Whether messages about such an incident wait then."""
        if not self.from_us <= at_us < self.until_us:
            return False
        if not self.detectors and not self.incident_keys:
            return True
        return incident_key in self.incident_keys or (bool(detectors) and self.detectors.issuperset(detectors))


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """All of it. `update_interval_s`: between two messages about one incident that is told already, unless its severity
    rises; `most_updates`: after so many it is not told again until it is closed or reopened, severity excepted."""

    plans: Mapping[str, Plan] = field(default_factory=dict)
    maintenance: tuple[MaintenanceWindow, ...] = ()
    update_interval_s: int = 300
    most_updates: int = 10

    def plan(self, severity: str) -> Plan:
        """The plan of a severity; nobody is told where there is none."""
        return self.plans.get(severity, _TELL_NOBODY)


_TELL_NOBODY = Plan()
NOBODY = Escalation()


@dataclass(frozen=True, slots=True)
class Wait:
    """Until when a message waits (UTC microseconds), and whether a maintenance window is why."""

    until_us: int
    is_muted: bool


def waits(
    escalation: Escalation, severity: str, incident_key: str, detectors: Collection[str], at_us: int
) -> Wait | None:
    """Whether a message about such an incident has to wait, and until when; None: it goes out now."""
    until_us, is_muted = at_us, False
    for _ in range(len(escalation.maintenance) + 1):  # windows that follow each other, and hours after them
        covering = [one for one in escalation.maintenance if one.covers(incident_key, detectors, until_us)]
        if not covering:
            break
        until_us, is_muted = max(one.until_us for one in covering), True
    hours = escalation.plan(severity).hours
    if hours is not None:
        until_us = hours.open_from(until_us)
    return Wait(until_us, is_muted) if until_us > at_us else None


def deadline_us(escalation: Escalation, severity: str, layer: int, told_us: int) -> int:
    """Until when somebody has to acknowledge what was told at `told_us` to this layer (0: the plan's own channels).

    0 where nobody is called further. Duty hours count where the plan has some.
    """
    plan = escalation.plan(severity)
    if not plan.acknowledge_within_s:
        return 0
    if layer and layer >= len(plan.layers):
        within_s = plan.repeat_every_s
    elif layer:
        within_s = plan.layers[layer - 1].acknowledge_within_s or plan.acknowledge_within_s
    else:
        within_s = plan.acknowledge_within_s if plan.layers or plan.repeat_every_s else 0
    if not within_s:
        return 0
    return plan.hours.after(told_us, within_s) if plan.hours else told_us + within_s * 1_000_000


def told_by(escalation: Escalation, severity: str, layer: int) -> tuple[str, ...]:
    """Channels that hear of an incident which has come to this layer, each once: the plan's and those of its layers."""
    plan = escalation.plan(severity)
    layers = plan.layers[:layer]
    return tuple(dict.fromkeys((*plan.channels, *(name for one in layers for name in one.channels))))


def next_layer(escalation: Escalation, severity: str, layer: int) -> int:
    """The layer after this one; the last one again where there is none, 1 where nobody but the plan's own is told."""
    return min(layer + 1, max(1, len(escalation.plan(severity).layers)))
