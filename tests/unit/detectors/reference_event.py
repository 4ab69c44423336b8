"""One event as the plain reference of the features reads it: a row of the arrays, in Python's own numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from detectors.base import EventArrays
from pipeline.events import ACTIONS, DAY_KINDS, EXPLAINED, OUTCOMES, codes

_TAKES_OUT = {codes(ACTIONS)[word] for word in ("export", "download", "share", "print")}
_AT_WORK = {codes(DAY_KINDS)[word] for word in ("workday", "make_up_workday")}
_SUCCESS = codes(OUTCOMES)["success"]
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
    action: int
    outcome: int
    resource_type: int
    sensitivity: int
    records: int
    bytes_out: int
    unmasked: int
    external: int
    explained: int
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
        return self.outcome == _SUCCESS

    @property
    def taken(self) -> int:
        """Records that came back."""
        return self.records if self.succeeded else 0

    @property
    def exports(self) -> bool:
        """An action that takes data out."""
        return self.action in _TAKES_OUT

    @property
    def unexplained(self) -> bool:
        """No work item speaks for it."""
        return self.explained != _EXPLAINED

    @property
    def hour(self) -> int:
        """Place in the 24 hours of working days and the 24 of other days."""
        return self.local_hour + (0 if self.day_kind in _AT_WORK else 24)

    @property
    def placed(self) -> bool:
        """It is known where it came from."""
        return self.latitude != _NOWHERE


def rows_of(events: EventArrays) -> Iterator[Event]:
    """The events of the arrays, one after the other."""
    names = [one.name for one in fields(Event)[2:]]
    columns = [getattr(events, name).tolist() for name in names]
    start = 0
    for key, end, *values in zip(events.actor_keys, events.subject_ends.tolist(), *columns, strict=True):
        yield Event(key, tuple(events.subjects[start:end].tolist()), *values)
        start = end
