"""One event as the plain reference of the features reads it: a row of the arrays, in Python's own numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from detectors.base import EventArrays
from pipeline.events import ACTIONS, DAY_KINDS, EXPLAINED, NETWORK_KINDS, OUTCOMES, codes

_ACTION = codes(ACTIONS)
_TAKES_OUT = {_ACTION[word] for word in ("export", "download", "share", "print")}
_CHANGES = {_ACTION[word] for word in ("update", "delete")}
_QUERIES_AUDIT = {_ACTION[word] for word in ("audit_query", "audit_export")}
_AT_WORK = {codes(DAY_KINDS)[word] for word in ("workday", "make_up_workday")}
_NOBODY_SITS_THERE = {codes(NETWORK_KINDS)[word] for word in ("vpn", "cloud")}
_OUTCOME = codes(OUTCOMES)
_EXPLAINED = codes(EXPLAINED)["explained"]
_NOWHERE = 1000.0


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the arrays, the fields by their names there."""

    actor_key: bytes
    subjects: tuple[int, ...]
    event_time_us: int
    local_day: int
    local_hour: int
    day_kind: int
    holidays: int
    channel: int
    action: int
    outcome: int
    resource_type: int
    sensitivity: int
    records: int
    bytes_out: int
    unmasked: int
    external: int
    explained: int
    approved: int
    ip_prefix: int
    network_kind: int
    country: int
    latitude: float
    longitude: float
    device: int
    user_agent: int
    subject_count: int
    vip_subjects: int
    own_subject: int
    off_region: int
    sequence: int
    scorable: int

    @property
    def succeeded(self) -> bool:
        """Neither refused nor failed."""
        return self.outcome == _OUTCOME["success"]

    @property
    def refused(self) -> bool:
        """The actor was not allowed to."""
        return self.outcome == _OUTCOME["denied"]

    @property
    def taken(self) -> int:
        """Records that came back."""
        return self.records if self.succeeded else 0

    @property
    def exports(self) -> bool:
        """An action that takes data out."""
        return self.action in _TAKES_OUT

    @property
    def searches(self) -> bool:
        """An action that looks for customers."""
        return self.action == _ACTION["search"]

    @property
    def changes(self) -> bool:
        """An action that alters what is there."""
        return self.action in _CHANGES

    @property
    def queries_audit(self) -> bool:
        """An action on the log of accesses itself."""
        return self.action in _QUERIES_AUDIT

    @property
    def open(self) -> bool:
        """Neither a work item nor an approval speaks for it."""
        return self.explained != _EXPLAINED and not self.approved

    @property
    def off_day(self) -> bool:
        """Not a day of work at the actor's site."""
        return self.day_kind not in _AT_WORK

    @property
    def hour_number(self) -> int:
        """The local hour, counted from 1970 on."""
        return self.local_day * 24 + self.local_hour

    @property
    def placed(self) -> bool:
        """Somebody sits where it came from: the place is known, and no VPN or cloud stands there."""
        return self.latitude != _NOWHERE and self.network_kind not in _NOBODY_SITS_THERE


def rows_of(events: EventArrays) -> Iterator[Event]:
    """The events of the arrays, one after the other."""
    names = [one.name for one in fields(Event)[2:]]
    columns = [getattr(events, name).tolist() for name in names]
    start = 0
    for key, end, *values in zip(events.actor_keys, events.subject_ends.tolist(), *columns, strict=True):
        yield Event(key, tuple(events.subjects[start:end].tolist()), *values)
        start = end
