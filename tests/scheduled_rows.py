"""Small hand-written events for the scheduled detectors' cases: dictionaries in, rows of the embedded engine out.

A case is one situation of one tenant: true (must be found), false (must not), look-alike (benign, and easy to take for
the other). Days count from `DAY_ZERO`, a Monday; hours are China's. Names become tokens of sixteen bytes.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_address
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np

from detectors.scheduled.base import Finding, ScheduledDetector
from detectors.scheduled.sql import EVENT_COLUMNS
from pipeline.adapters.embedded import EmbeddedEngine
from pipeline.column_batch import ArrayColumn, Column, ColumnBatch, FixedColumn, Interner, TextColumn
from pipeline.columns import ACCESS_EVENT_COLUMNS, NO_TOKEN, ColumnSpec
from pipeline.directory import DirectorySnapshot
from pipeline.directory.work_items import WorkItems
from pipeline.schedule.findings import Slots, find, work_item_rows

ZONE = ZoneInfo("Asia/Shanghai")
DAY_ZERO = date(2026, 3, 2)
SPECS = tuple(spec for spec in ACCESS_EVENT_COLUMNS if spec.name in EVENT_COLUMNS)
EventFields = dict[str, Any]
_UTC_OFFSET = timedelta(hours=8)
_DEFAULTS: EventFields = {
    "tenant_id": "default", "topic": "access.events", "incarnation": "life", "partition": 0, "duplicate_of": -1,
    "actor_type": "employee", "actor_dept": "service", "actor_role": "agent", "src_ip": "10.20.1.7",
    "src_country": "CN", "network_kind": "office", "action": "read", "outcome": "success",
    "endpoint": "/customers/{id}", "source_system": "crm", "source_instance": "crm-1", "source_seq": -1,
    "resource_type": "customer_profile", "sensitivity": 3, "explained": "not_yet_explained", "risk": 0,
}  # fmt: skip


def at(day: int, hour: float = 10, second: float = 0) -> int:
    """A moment of China's day, UTC microseconds."""
    midnight = datetime(DAY_ZERO.year, DAY_ZERO.month, DAY_ZERO.day, tzinfo=UTC) - _UTC_OFFSET
    moment = midnight + timedelta(days=day, hours=hour, seconds=second)
    return round(moment.timestamp() * 1e6)


def token(name: str) -> bytes:
    """A name as a token, which is no UTF-8; the empty name is no token."""
    return name.encode().ljust(16, b"\xb7") if name else NO_TOKEN


def event(actor: str, when: int, **more: Any) -> EventFields:
    """One event; `subjects`, `device`, `session`, `credential`, `case`, `approval`, `resource`: names."""
    return {"actor": actor, "event_time": when, **more}


def look(actor: str, subject: str, when: int, **more: Any) -> EventFields:
    """One look at one customer."""
    return event(actor, when, subjects=(subject,), **more)


def looks(actor: str, day: int, count: int, *, hour: float = 10, first: int = 0, **more: Any) -> list[EventFields]:
    """Looks at `count` different customers, half a minute apart."""
    return [look(actor, f"c{first + n}", at(day, hour, 30 * n), **more) for n in range(count)]


def ordinary(days: Iterable[int], *, actors: int = 6, count: int = 3, **more: Any) -> list[EventFields]:
    """Everyday work of a department: a few looks an account and day, at customers of its own."""
    return [
        one
        for day in days
        for actor in range(actors)
        for one in looks(f"p{actor}", day, count, first=1000 * actor + 10 * (day % 30), **more)
    ]


@dataclass(frozen=True, slots=True)
class Case:
    """One situation and the keys that must be found in it."""

    kind: Literal["true", "false", "look_alike"]
    name: str
    events: Sequence[EventFields]
    found: tuple[str, ...] = ()
    items: Sequence[Sequence[Any]] = ()
    directory: DirectorySnapshot = field(default_factory=DirectorySnapshot)
    last_day: int | None = None


def item(case: str, actor: str, subject: str, opened: int, closed: int | None = None) -> list[Any]:
    """One work item."""
    return [token(case).hex(), token(actor).hex(), token(subject).hex() if subject else "", opened, closed, "support"]


def rows_of(events: Sequence[EventFields]) -> ColumnBatch:
    """The events as rows, in the order given; ids follow from content, so that order changes nothing."""
    made = [_row(one, number) for number, one in enumerate(events)]
    return ColumnBatch(len(made), {spec.name: _column(spec, [one.get(spec.name) for one in made]) for spec in SPECS})


def _row(one: EventFields, number: int) -> EventFields:
    row = {**_DEFAULTS, **{name: value for name, value in one.items() if name in EVENT_COLUMNS}}
    content = repr(sorted(item for item in one.items() if item[0] != "tenant_id"))
    identity = one.get("event_id") or uuid.uuid5(uuid.NAMESPACE_OID, content)
    subjects = one.get("subjects", ())
    row |= {
        "event_id": identity.bytes[7::-1] + identity.bytes[:7:-1],
        "offset": one.get("offset", number),
        "received_at": one.get("received_at", one["event_time"]),
        "actor_token": token(one["actor"]),
        "credential_token": token(one.get("credential", "")),
        "session_token": token(one.get("session", "")),
        "device_token": token(one.get("device", "")),
        "user_agent_hash": token(one.get("user_agent", "browser")),
        "case_token": token(one.get("case", "")),
        "approval_token": token(one.get("approval", "")),
        "resource_token": token(one.get("resource", "")),
        "subject_tokens": [token(subject) for subject in subjects],
        "subject_count": one.get("subject_count", len(subjects)),
        "src_ip": _address(row["src_ip"]),
    }
    return row


def _address(text: str) -> bytes:
    address = ip_address(text)
    return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed


def _codes(spec: ColumnSpec) -> dict[str, int]:
    words = spec.type.removeprefix("Enum8(").removesuffix(")").split(", ")
    return {word.split("' = ")[0].strip("'"): int(word.split(" = ")[1]) for word in words}


def _column(spec: ColumnSpec, values: Sequence[Any]) -> Column:
    names = Interner()
    if spec.kind == "text":
        return TextColumn(names.ids([value or "" for value in map(_or_empty, values)], len(values)), names)
    if spec.kind.startswith("array"):
        lists = [value or () for value in values]
        ends, flat = np.cumsum([len(one) for one in lists], dtype=np.int64), [x for one in lists for x in one]
        items = TextColumn(names.ids(flat, len(flat)), names) if spec.kind == "array_text" else _fixed(spec, flat)
        return ArrayColumn(ends, items)
    if spec.type.startswith("Enum8"):
        known = _codes(spec)
        values = [known[value or ""] for value in values]
    return _fixed(spec, values)


def _or_empty(value: Any) -> str:
    return "" if value is None else str(value)


def _fixed(spec: ColumnSpec, values: Sequence[Any]) -> FixedColumn:
    if spec.dtype.kind == "V":
        return FixedColumn(np.frombuffer(b"".join(values), spec.dtype))
    return FixedColumn(np.array(values, spec.dtype))


def of_tenant(events: Sequence[EventFields], tenant: str) -> list[EventFields]:
    """The same events in another tenant."""
    return [{**one, "tenant_id": tenant} for one in events]


def run_case(engine: EmbeddedEngine, detector: ScheduledDetector, case: Case) -> list[Finding]:
    """The findings in the whole time of a case."""
    engine.clear()
    engine.add_events(rows_of(case.events))
    engine.add_work_items(work_item_rows(WorkItems.from_rows(list(case.items)), "default"))
    return find(engine, detector, slots_of(detector, case.events, case.last_day), case.directory, ZONE)


def slots_of(detector: ScheduledDetector, events: Sequence[EventFields], last_day: int | None = None) -> Slots:
    """All slots the events lie in, or up to a day's end."""
    times = [one["event_time"] for one in events]
    last = max(times) if last_day is None else at(last_day, 23.99)
    return Slots(detector.cadence.slot_of(min(times), ZONE), detector.cadence.slot_of(last, ZONE))


def without_place(finding: Finding) -> Finding:
    """A finding without what depends on the order of the log."""
    return dataclasses.replace(
        finding, contributor=dataclasses.replace(finding.contributor, offset=0, partition=0, received_at_us=0)
    )
