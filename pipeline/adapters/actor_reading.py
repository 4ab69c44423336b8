"""What one account does, as the database role reader: from the rollup by hour, and one pass over its accesses.

Place in the flow: beside it; used by the console. Days and hours are cut in the viewer's time zone, from whole hours of
UTC: in a zone that is off by half an hour (India) an hour belongs to the local hour it begins in.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.adapters.access_conditions import moment
from pipeline.adapters.clickhouse import connect
from pipeline.adapters.reader_pool import Questions
from pipeline.audit.actor import (
    NOW_DAYS,
    USUAL_DAYS,
    ActorDay,
    ActorFacts,
    ActorProfile,
    Slice,
    comparisons,
    shares,
)
from pipeline.config import ClickHouseSettings
from pipeline.same_person import tokens_in

PROFILE_DAYS = NOW_DAYS + USUAL_DAYS
MOST_SLICES = 10_000
_DAY_US = 86_400_000_000
_DAY_ZERO = date(1970, 1, 1)
_WHO = f"tenant_id = {{tenant:String}} AND {tokens_in('actor_token', 'tokens')}"
_PERIOD = f"event_time >= {moment('from_us')} AND event_time < {moment('until_us')}"
_HOURS = f"hour >= {moment('from_us')} AND hour < {moment('until_us')}"
# As the rollups leave them out.
_HEARTBEAT = "action = 'log_control' AND resource_type = 'heartbeat'"
_LOCAL = "toTimeZone(hour, {zone:String})"
_DAYS_SQL = (
    f"SELECT toInt32(toDate({_LOCAL})) AS day, sum(events), sum(denied), sum(explained_events), sum(records), "
    f"sum(subjects), sum(unmasked), max(risk_max) FROM accesstrail.risk_actor_1h WHERE {_WHO} AND {_HOURS} "
    "GROUP BY day ORDER BY day"
)
_HOURS_SQL = (
    f"SELECT toHour({_LOCAL}) AS local, sum(events) FROM accesstrail.risk_actor_1h WHERE {_WHO} AND {_HOURS} "
    "GROUP BY local"
)
_SLICES_SQL = (
    "SELECT resource_type, purpose, toString(action), toString(outcome), src_country, toString(network_kind), "
    "toString(explained), count() AS events, sum(greatest(subject_count, 0)), "
    "toUnixTimestamp64Micro(min(event_time)), toUnixTimestamp64Micro(max(event_time)), argMax((toString(actor_type), "
    "actor_org, actor_dept, actor_role, toString(actor_status)), event_time) FROM accesstrail.access_events "
    f"WHERE {_WHO} AND {_PERIOD} AND duplicate_of < 0 AND NOT ({_HEARTBEAT}) "
    "GROUP BY ALL ORDER BY events DESC, 1, 2, 3, 4, 5, 6, 7 LIMIT {most:UInt64}"
)
_KEYS = 9


class ActorReader:
    """Questions about accounts on one connection; every method may raise Away or StoreRefused."""

    def __init__(self, reader: Questions) -> None:
        self._reader = reader

    def close(self) -> None:
        """Ends the connection."""
        self._reader.close()

    def profile(self, tenant: str, token: str, until_us: int, zone: str) -> ActorProfile:
        """The account's last 35 days up to a moment. Tables by word speak of the same days."""
        from_us = until_us - PROFILE_DAYS * _DAY_US
        given = {"tenant": tenant, "tokens": [token], "from_us": from_us, "until_us": until_us}
        local = {**given, "zone": zone}
        days = [ActorDay(*map(int, row)) for row in self._reader.query(_DAYS_SQL, local)]
        hours = {int(hour): int(count) for hour, count in self._reader.query(_HOURS_SQL, local)}
        rows: Sequence[Sequence[Any]] = self._reader.query(_SLICES_SQL, {**given, "most": MOST_SLICES + 1})
        slices = [Slice(*row[:_KEYS]) for row in rows[:MOST_SLICES]]
        compared, usual_days = comparisons(days, _local_day(until_us - 1, zone))
        return ActorProfile(
            facts=_facts(rows), days=days, hours=[hours.get(hour, 0) for hour in range(24)],
            resource_types=shares(slices, lambda one: one.resource_type),
            purposes=shares(slices, lambda one: one.purpose), actions=shares(slices, lambda one: one.action),
            countries=shares(slices, lambda one: one.country), networks=shares(slices, lambda one: one.network_kind),
            comparisons=compared, usual_days=usual_days, is_cut=len(rows) > MOST_SLICES,
        )  # fmt: skip


def _facts(rows: Sequence[Sequence[Any]]) -> ActorFacts | None:
    """What the newest access says, from the newest of each kind of accesses."""
    if not rows:
        return None
    first_us, last_us, said = _KEYS, _KEYS + 1, _KEYS + 2
    newest = max(rows, key=lambda row: int(row[last_us]))
    actor_type, org, department, role, status = newest[said]
    return ActorFacts(
        actor_type=actor_type, org=org, department=department, role=role, status=status,
        first_us=min(int(row[first_us]) for row in rows), last_us=int(newest[last_us]),
    )  # fmt: skip


def _local_day(at_us: int, zone: str) -> int:
    """Days since 1970 of a moment's date in a zone."""
    return (datetime.fromtimestamp(at_us / 1_000_000, ZoneInfo(zone)).date() - _DAY_ZERO).days


def open_actor_reader(settings: ClickHouseSettings) -> ActorReader:
    """Questions as the role reader, with a connection of its own."""
    return ActorReader(connect(settings, "reader"))
