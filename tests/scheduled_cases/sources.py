"""Cases of partner_over_contract_day, silent_source and sequence_holes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from pipeline.directory import DirectorySnapshot
from pipeline.directory.snapshot import PartnerRow, SourceRow
from tests.scheduled_rows import DAY_ZERO, Case, EventFields, at, event, look

ORG = "parcel"
CRM = "crm/crm-1"
_ZERO = (DAY_ZERO - date(1970, 1, 1)).days


def _contract(
    limit: int | None = 40, *, until: int | None = 1000, purposes: tuple[str, ...] = ("delivery",)
) -> DirectorySnapshot:
    row = PartnerRow(ORG, "k1", ("order",), purposes, limit, _ZERO - 100, None if until is None else _ZERO + until)
    return DirectorySnapshot(partners=(row,))


def _larger_for(first: int, last: int) -> DirectorySnapshot:
    """The usual contract, and a larger one for some days."""
    larger = PartnerRow(ORG, "k2", ("order",), ("delivery",), 400, _ZERO + first, _ZERO + last)
    return DirectorySnapshot(partners=(*_contract().partners, larger))


def _partner(day: int, count: int, *, agents: int = 2, first: int = 0, **more: Any) -> list[EventFields]:
    fields = {"resource_type": "order", "purpose": "delivery", "actor_type": "partner", "actor_org": ORG, **more}
    return [look(f"g{n % agents}", f"d{first + n}", at(day, 10, 30 * n), **fields) for n in range(count)]


_USUAL = [one for day in range(10) for one in _partner(day, 20, first=100 * day)]

PARTNER: Sequence[Case] = (
    Case("true", "two agents together above the limit", [*_USUAL, *_partner(10, 60, first=5000)], (ORG,), (), _contract()),
    Case("true", "after the contract's end", [*_USUAL, *_partner(10, 20, first=5000)], (ORG,), (), _contract(until=9)),
    Case("true", "another kind of data",
         [*_USUAL, *_partner(10, 30, first=5000, resource_type="payment")], (ORG,), (), _contract()),
    Case("true", "another purpose", [*_USUAL, *_partner(10, 30, first=5000, purpose="marketing")], (ORG,), (), _contract()),
    Case("true", "no limit, far above its own usual", [*_USUAL, *_partner(10, 150, first=5000)], (ORG,), (), _contract(None)),
    Case("true", "a larger contract that was over yesterday", [*_USUAL, *_partner(10, 60, first=5000)], (ORG,), (),
         _larger_for(5, 9)),
    Case("true", "customers that a file names only by number", [*_USUAL, event("g0", at(10), subject_count=500,
         actor_org=ORG, actor_type="partner", resource_type="order", action="export")], (ORG,), (), _contract()),
    Case("false", "below the limit", [*_USUAL, *_partner(10, 35, first=5000)], (), (), _contract()),
    Case("false", "another organisation", [*_USUAL, *_partner(10, 60, first=5000, actor_org="bank")], (), (), _contract()),
    Case("false", "refused", [*_USUAL, *_partner(10, 60, first=5000, outcome="denied")], (), (), _contract()),
    Case("look_alike", "a larger contract for these days", [*_USUAL, *_partner(10, 60, first=5000)], (), (),
         _larger_for(10, 11)),
    Case("look_alike", "a sales holiday within the limit", [*_USUAL, *_partner(10, 190, first=5000)], (), (), _contract(200)),
    Case("look_alike", "the same thirty customers again and again",
         [*_USUAL, *_partner(10, 30, first=5000), *_partner(10, 30, first=5000, outcome="success", risk=1)], (), (),
         _contract()),
    Case("look_alike", "approved beyond the contract",
         [*_USUAL, *_partner(10, 60, first=5000, approval="a1", explained="claimed")], (), (), _contract()),
    Case("look_alike", "one standing deviation every day",
         [one for day in range(3, 11) for one in _partner(day, 25, first=100 * day, purpose="returns")][25:], (), (),
         _contract(purposes=("delivery", "returns"))),
)  # fmt: skip


def _source(days: range, *, hours: range = range(24), minutes: int = 10, **more: Any) -> list[EventFields]:
    """A source that reports every `minutes`."""
    return [
        event("svc", at(day, hour, 60 * minute), action="log_control", resource_type="heartbeat", **more)
        for day in days for hour in hours for minute in range(0, 60, minutes)
    ]  # fmt: skip


_WATCHED_SYSTEM = DirectorySnapshot(sources=(SourceRow("crm", "", 3600, "team-crm"),))
_WATCHED = DirectorySnapshot(sources=(SourceRow("crm", "crm-1", 3600, "team-crm"),))

SILENCE: Sequence[Case] = (
    Case("true", "nothing since noon", [*_source(range(3)), *_source(range(3, 4), hours=range(12))], (CRM,), (), _WATCHED, 3),
    Case("true", "six hours, then it is back",
         [*_source(range(3)), *_source(range(3, 4), hours=range(6)), *_source(range(3, 4), hours=range(12, 24))],
         (CRM,), (), _WATCHED),
    Case("true", "one instance of a system that is listed as a whole",
         [*_source(range(3)), *_source(range(5), source_instance="crm-2")], (CRM,), (), _WATCHED_SYSTEM),
    Case("true", "other sources go on", [*_source(range(3)), *_source(range(5), source_instance="crm-2")], (CRM,), (), _WATCHED),
    Case("false", "it reports", _source(range(4)), (), (), _WATCHED),
    Case("false", "not listed", _source(range(3)), (), (), DirectorySnapshot(), 3),
    Case("false", "never heard of", _source(range(3), source_instance="crm-2"), (), (), _WATCHED),
    Case("look_alike", "a pause within the bound", [*_source(range(3)), *_source(range(3, 4), minutes=59)], (), (), _WATCHED),
    Case("look_alike", "it sleeps every night", _source(range(8), hours=range(8, 20))[6 * 12 * 4 :], (), (),
         DirectorySnapshot(sources=(SourceRow("crm", "crm-1", 13 * 3600, "team-crm"),))),
    Case("look_alike", "an instance with a bound of its own beside its system's", _source(range(3), minutes=59), (), (),
         DirectorySnapshot(sources=(SourceRow("crm", "", 600, "t"), SourceRow("crm", "crm-1", 3600, "t")))),
    Case("look_alike", "no work, but heartbeats", [*_source(range(4), minutes=30)], (), (), _WATCHED),
)  # fmt: skip


def _counted(day: int, numbers: Sequence[int], *, hour: float = 9, **more: Any) -> list[EventFields]:
    return [event("svc", at(day, hour, 20 * n), source_seq=number, **more) for n, number in enumerate(numbers)]


_DENSE = [one for day in range(5) for one in _counted(day, range(100 * day, 100 * day + 100))]

HOLES: Sequence[Case] = (
    Case("true", "thirty numbers in a row", [*_DENSE, *_counted(5, [*range(500, 540), *range(570, 600)])], (CRM,)),
    Case("true", "one here, one there", [*_DENSE, *_counted(5, [n for n in range(500, 600) if n % 10])], (CRM,)),
    Case("true", "cut off at midnight", [*_DENSE, *_counted(5, range(540, 600))], (CRM,)),
    Case("false", "no hole", [*_DENSE, *_counted(5, range(500, 600))]),
    Case("false", "three lost", [*_DENSE, *_counted(5, [*range(500, 540), *range(543, 600)])]),
    Case("false", "no numbers", [*_DENSE, *_counted(5, [-1] * 100)]),
    Case("look_alike", "restarted, it counts from one", [*_DENSE, *_counted(5, [*range(500, 540), *range(1, 61)])]),
    Case("look_alike", "late and out of order", [*_DENSE, *_counted(5, [*range(500, 600, 2), *range(501, 600, 2)])]),
    Case("look_alike", "a counter that counts more than it reports",
         [one for day in range(6) for one in _counted(day, range(300 * day, 300 * day + 300, 3))]),
    Case("look_alike", "the same numbers twice", [*_DENSE, *_counted(5, range(500, 600)),
         *_counted(5, range(500, 600), hour=15)]),
)  # fmt: skip

CASES: Mapping[str, Sequence[Case]] = {
    "partner_over_contract_day": PARTNER, "silent_source": SILENCE, "sequence_holes": HOLES,
}  # fmt: skip
