"""What the store knows of exceptions, as the database role reader: how often each held, and what one would hold back.

Place in the flow: beside it; used by `accesstrail exceptions`. Every value is a typed parameter. Texts are compared
without regard to case, as the exceptions themselves are (`stages/hold_back.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detectors.base import EXCEPTION_CODE
from detectors.exceptions import TOKEN_KINDS
from pipeline.adapters.reader_pool import Questions
from pipeline.exception_preview import Position, StoredAlert, StoredEvent
from pipeline.same_person import any_of_query, same_person
from pipeline.stages.assess import WATCH_RISK
from pipeline.stages.hold_back import TEXT_COLUMNS

MOST_ROWS = 200_000
_POSITION = "topic, incarnation, partition, offset"
_SINCE = "received_at >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')"
_PEER_GROUP = (
    "if(actor_status = 'unlisted' OR (actor_dept = '' AND actor_role = ''), concat('type:', toString(actor_type)), "
    "concat(actor_dept, '/', actor_role))"
)
_SCHEDULED_HITS = (
    "SELECT held.1, sum(held.2), toUnixTimestamp64Micro(max(window_end)) FROM accesstrail.scheduled_runs "
    "ARRAY JOIN CAST(held_back, 'Array(Tuple(String, UInt32))') AS held "
    "WHERE stage = 'final' AND result = 'done' GROUP BY held.1"
)


@dataclass(frozen=True, slots=True)
class Hits:
    """How often an exception held: events and final windows; the last one in UTC microseconds."""

    count: int
    last_us: int


class ExceptionHistory:
    """Questions about exceptions; every method may raise Away or StoreRefused."""

    def __init__(self, reader: Questions) -> None:
        self._reader = reader

    def now_us(self) -> int:
        """The store's clock, UTC microseconds."""
        return int(self._reader.query("SELECT toUnixTimestamp64Micro(now64(6))")[0][0])

    def hits(self, since_us: int) -> Mapping[str, Hits]:
        """By id: how often each exception held since then, in the stream and in final windows."""
        of_events = (
            "SELECT code, count(), toUnixTimestamp64Micro(max(received_at)) FROM (SELECT received_at, "
            "arrayJoin(arrayFilter(code -> startsWith(code, {mark:String}), reasons)) AS code "
            f"FROM accesstrail.access_events WHERE risk >= {{watched:UInt16}} AND {_SINCE}) GROUP BY code"
        )
        found: dict[str, Hits] = {}
        parameters = {"since": since_us, "mark": EXCEPTION_CODE, "watched": WATCH_RISK}
        for name, count, last_us in [*self._reader.query(of_events, parameters), *self._reader.query(_SCHEDULED_HITS)]:
            identity = str(name).removeprefix(EXCEPTION_CODE)
            known = found.get(identity, Hits(0, 0))
            found[identity] = Hits(known.count + int(count), max(known.last_us, int(last_us)))
        return found

    def knows(self, scope: Mapping[str, str], since_us: int) -> bool:
        """Whether any event since then lies in a scope; where none does, a name may be misspelt."""
        here, parameters = scope_sql(scope)
        sql = f"SELECT 1 FROM accesstrail.access_events WHERE {_SINCE} AND {here} LIMIT 1"
        return bool(self._reader.query(sql, {"since": since_us, **parameters}))

    def events(self, scope: Mapping[str, str], since_us: int, least_risk: int) -> Sequence[StoredEvent]:
        """Scored events of a scope from a risk (hundredths) on, the newest first, at most `MOST_ROWS`."""
        here, parameters = scope_sql(scope)
        sql = (
            f"SELECT {_POSITION}, anomaly_score, reasons FROM accesstrail.access_events WHERE {_SINCE} AND {here} "
            "AND score_status = 'scored' AND risk >= {risk:UInt16} ORDER BY received_at DESC LIMIT {most:UInt64}"
        )
        rows = self._reader.query(sql, {"since": since_us, "risk": least_risk, "most": MOST_ROWS, **parameters})
        return [StoredEvent(_position(row), int(row[4]), tuple(row[5])) for row in rows]

    def alerts(self, since_us: int) -> Sequence[StoredAlert]:
        """Alerts about accesses since then that were not taken back, at most `MOST_ROWS`."""
        sql = (
            f"SELECT {_POSITION}, toString(alert_id), toUnixTimestamp64Micro(event_time), detector, risk, "
            f"toString(severity) FROM accesstrail.alerts WHERE {_SINCE} AND NOT startsWith(detector, 'system:') "
            "AND NOT has(reasons, 'scheduled:withdrawn') ORDER BY received_at DESC LIMIT {most:UInt64}"
        )
        rows = self._reader.query(sql, {"since": since_us, "most": MOST_ROWS})
        return [
            StoredAlert(str(row[4]), _position(row), int(row[5]), str(row[6]), int(row[7]), str(row[8])) for row in rows
        ]

    def alerted(self, scope: Mapping[str, str], since_us: int, detectors: Sequence[str]) -> set[Position]:
        """Positions of events of a scope that alerts of these detectors name."""
        here, parameters = scope_sql(scope)
        named = f"SELECT {_POSITION} FROM accesstrail.alerts WHERE {_SINCE} AND detector IN {{detectors:Array(String)}}"
        sql = (
            f"SELECT DISTINCT {_POSITION} FROM accesstrail.access_events WHERE {_SINCE} AND {here} "
            f"AND ({_POSITION}) IN ({named})"
        )
        rows = self._reader.query(sql, {"since": since_us, "detectors": list(detectors), **parameters})
        return {_position(row) for row in rows}


def scope_sql(scope: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """A scope as a condition on `access_events`, and its parameters."""
    conditions = []
    for name in sorted(scope):
        value = f"{{scope_{name}:String}}"
        token = f"SELECT toFixedString(unhex({value}), 16)"
        if name == "subject":
            conditions.append(any_of_query("subject_tokens", token))
        elif name in TOKEN_KINDS:
            conditions.append(f"{name}_token IN ({same_person(token)})")
        elif name == "peer_group":
            conditions.append(f"lowerUTF8({_PEER_GROUP}) = {value}")
        else:
            conditions.append(f"lowerUTF8({TEXT_COLUMNS[name]}) = {value}")
    return " AND ".join(conditions), {f"scope_{name}": value for name, value in scope.items()}


def _position(row: Sequence[Any]) -> Position:
    return str(row[0]), str(row[1]), int(row[2]), int(row[3])
