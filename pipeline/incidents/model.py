"""An incident as immutable state, the state of one key, and the row that every consumed record leaves.

Place in the flow: what `fold.apply` takes and gives. One incident key (Kafka key) has at most one incident that is not
resolved. Everything here is bounded: an incident keeps per detector what it reached, never the alerts themselves (which
alerts it has taken in stands in the key's `AlertBook`), counts comments and keeps none. Mappings are never changed in
place, and nothing refers back, so that the garbage collector need not look (`gc=False`). Risk in hundredths, times UTC
microseconds, 0 where there is none yet.
"""

from __future__ import annotations

import json
from typing import Literal, TypeAlias
from uuid import UUID, uuid5

from msgspec import Struct

from pipeline.events import SEVERITIES
from pipeline.incidents.alert_book import NO_ALERTS, AlertBook
from pipeline.incidents.records import ChildSummary

State: TypeAlias = Literal["open", "acknowledged", "assigned", "contained", "resolved"]
STATES: tuple[State, ...] = ("open", "acknowledged", "assigned", "contained", "resolved")
KEPT_INCIDENTS = 8
"""Incidents that a key's state holds; a command about an older one is refused."""
KEPT_COMMANDS = 512
"""Ids of people's commands that a key remembers, so that one that comes twice does nothing."""
MOST_DETECTORS, MOST_LINKS, MOST_CHILDREN, MOST_CONTAINMENTS, MOST_STEPS, MOST_PARTED = 200, 200, 200, 50, 100, 20
OTHER_DETECTORS = "other"
"""Detectors beyond MOST_DETECTORS count as this one."""
LONGEST_EXPLANATION = 1200
CAMPAIGN = "campaign"
"""Second part of a campaign's key, `tenant:campaign:name`: its incident is opened by a link, not by an alert."""
_NAMESPACE = UUID("3f0c1a52-7d0e-5b8e-9c7b-6a3f2f4e8d11")
_RANK: dict[str, int] = {severity: rank for rank, severity in enumerate(SEVERITIES)}


class Position(Struct, frozen=True, gc=False):
    """Where a record stands in `access.incidents`."""

    topic: str
    incarnation: str
    partition: int
    offset: int


def incident_id_of(tenant_id: str, incident_key: str, opened_by: Position) -> str:
    """The id that follows from the record that opened it: the same on every replay."""
    at = (opened_by.topic, opened_by.incarnation, opened_by.partition, opened_by.offset)
    return str(uuid5(_NAMESPACE, json.dumps([tenant_id, incident_key, *at])))


def rank(severity: str) -> int:
    """0 for low to 3 for critical."""
    return _RANK[severity]


def higher(one: str, other: str) -> str:
    """The graver of two severities."""
    return one if _RANK[one] >= _RANK[other] else other


class DetectorPart(Struct, frozen=True, gc=False):
    """What one detector has said: the highest risk it reached, distinct alerts, how many of them were taken back."""

    risk: int
    alerts: int
    withdrawn: int = 0


class Grade(Struct, frozen=True, gc=False):
    """A person's own severity; it holds until alerts are graver than the gravest that was there (`over`)."""

    severity: str
    over: str


class LinkedIncident(Struct, frozen=True, gc=False):
    """Another incident that belongs with this one."""

    incident_key: str
    relation: str


class Child(Struct, frozen=True, gc=False):
    """An absorbed incident. `revision` 0: it has not answered; `asked_us`, `tries`: when last asked, how often."""

    incident_key: str
    revision: int
    asked_us: int
    tries: int = 0
    summary: ChildSummary | None = None


class Merged(Struct, frozen=True, gc=False):
    """The parent. `taken`: own revision as far as the parent has it; `sent_us`, `tries`: when last told, how often
    since it last answered; `epoch`: the parent's, as last heard.
    """

    incident_key: str
    incident_id: str
    taken: int
    sent_us: int
    tries: int = 0
    epoch: int = 0


class Containment(Struct, frozen=True, gc=False):
    """One call of the containment webhook: `pending`, `done` or `failed`, and its answer's code."""

    status: str
    by: str
    expires_us: int
    code: str = ""


class Breach(Struct, frozen=True, gc=False):
    """Where a suspected breach stands in the log: since when (log time), known since, by whom; steps by name → when."""

    since_us: int
    known_at_us: int
    by: str
    steps: dict[str, int] = {}


class Timers(Struct, frozen=True, gc=False):
    """What people were told, and when something is due. `pending`: the action that waits for `tell_due_us`.

    `layer`: how far it was escalated. `updates`: told since it opened or reopened. `held_back`: messages that waited
    for a schedule or a maintenance window; `muted`: those of a maintenance window among them.
    """

    told_us: int = 0
    told_severity: str = ""
    told_risk: int = 0
    channels: tuple[str, ...] = ()
    pending: str = ""
    tell_due_us: int = 0
    layer: int = 0
    escalate_due_us: int = 0
    updates: int = 0
    held_back: int = 0
    muted: int = 0


class Incident(Struct, frozen=True, kw_only=True, gc=False):
    """One incident. Why every field has a default: a row of the log tells only what differs from it.

    `alert_revision` grows with every change by an alert. `parted`: former parents and
    children → the revision they parted at, so that what was said before does not join them again.
    """

    incident_id: str = ""
    ordinal: int = 0
    tenant_id: str = ""
    incident_key: str = ""
    state: State = "open"
    severity: str = "low"
    alert_severity: str = "low"
    grade: Grade | None = None
    risk: int = 0
    detectors: dict[str, DetectorPart] = {}
    alerts: int = 0
    withdrawn: int = 0
    gravest_alert_id: str = ""
    gravest_risk: int = -1
    explanation_en: str = ""
    explanation_zh: str = ""
    actor_token: str = ""
    opened_us: int = 0
    first_event_us: int = 0
    last_event_us: int = 0
    changed_us: int = 0
    acknowledged_us: int = 0
    acknowledged_by: str = ""
    assignee: str = ""
    resolved_us: int = 0
    resolved_by: str = ""
    verdict: str = ""
    reopened: int = 0
    comments: int = 0
    links: dict[str, LinkedIncident] = {}
    children: dict[str, Child] = {}
    merged: Merged | None = None
    parted: dict[str, int] = {}
    containments: dict[str, Containment] = {}
    breach: Breach | None = None
    timers: Timers = Timers()
    alert_revision: int = 0

    @property
    def is_open(self) -> bool:
        """Whether somebody has to look after it here."""
        return self.state != "resolved"

    @property
    def merged_into(self) -> str:
        """Id of the parent, "" where it stands alone."""
        return self.merged.incident_id if self.merged else ""

    @property
    def epoch(self) -> int:
        """Grows whenever it is closed or reopened."""
        return 2 * self.reopened + (not self.is_open)

    @property
    def is_active_child(self) -> bool:
        """Whether it lives on in a parent that is not closed: its alerts are told there."""
        return self.merged is not None and not self.verdict

    @property
    def all_alerts(self) -> int:
        """Distinct alerts, those of absorbed incidents included."""
        return self.alerts + sum(one.summary.alerts for one in self.children.values() if one.summary)

    def highest_by_detector(self) -> dict[str, int]:
        """Highest risk of every detector, absorbed incidents included."""
        highest = {name: part.risk for name, part in self.detectors.items()}
        for child in self.children.values():
            for name, risk in child.summary.detectors.items() if child.summary else ():
                highest[name] = max(risk, highest.get(name, 0))
        return highest


class KeyState(Struct, frozen=True, gc=False):
    """Everything of one incident key: its latest incidents by age, alerts, commands, and how far the log was read."""

    incidents: tuple[Incident, ...] = ()
    alerts: AlertBook = NO_ALERTS
    commands: tuple[str, ...] = ()
    position: Position | None = None

    @property
    def latest(self) -> Incident | None:
        """The incident that was opened last."""
        return self.incidents[-1] if self.incidents else None

    @property
    def current(self) -> Incident | None:
        """The incident that is open; else the one that was opened last."""
        return next((one for one in self.incidents if one.is_open), self.latest)

    def incident(self, incident_id: str) -> Incident | None:
        """The incident of this id, if it is held."""
        return next((one for one in self.incidents if one.incident_id == incident_id), None)

    def by_ordinal(self, ordinal: int) -> Incident | None:
        """The incident of this number among the key's, if it is held."""
        return next((one for one in self.incidents if one.ordinal == ordinal), None)

    def has_read(self, position: Position) -> bool:
        """Whether the record there was consumed already: one key's records stand in one partition, in order."""
        last = self.position
        if last is None or (last.topic, last.incarnation, last.partition) != (
            position.topic, position.incarnation, position.partition,
        ):  # fmt: skip
            return False
        return position.offset <= last.offset

    def with_incident(self, after: Incident) -> KeyState:
        """With this incident instead of its former state, or as the latest; the oldest may leave."""
        if any(one.ordinal == after.ordinal for one in self.incidents):
            kept = tuple(after if one.ordinal == after.ordinal else one for one in self.incidents)
        else:
            kept = (*self.incidents, after)[-KEPT_INCIDENTS:]  # a new one opens only where none is open
        return KeyState(kept, self.alerts, self.commands, self.position)


EMPTY = KeyState()


class LogRow(Struct, frozen=True, kw_only=True, gc=False):
    """What one consumed record leaves in `incident_log`; exactly one a record, also where nothing changes.

    `kind`: alert, command or unreadable; `name`: the detector or the command. `transition`: what happened; `code`: why
    not. `changes`: how the key's state differs afterwards (`changes.py`), enough to fold it without Kafka. `detail`:
    what of the record people and the breach clock read. Both JSON texts.
    """

    position: Position
    received_at_us: int
    tenant_id: str
    incident_key: str
    incident_id: str
    kind: str
    name: str
    transition: str
    code: str
    state_before: str
    state_after: str
    by: str
    at_us: int
    why: str
    command_id: str
    alert_id: str
    changes: str
    detail: str
