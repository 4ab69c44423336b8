"""What people ask about incidents, as the database role reader: lists, one incident, its log, its alerts, numbers.

Place in the flow: beside it; used by `accesstrail incidents` and by the page behind a message's link. Statements are
our own text; every value is a typed parameter that the server puts in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from pipeline.adapters.clickhouse import connect
from pipeline.adapters.incident_rows import DELIVERY_FIELDS, delivery_row, id_text, selected
from pipeline.adapters.reader_pool import Questions
from pipeline.audit.incidents import (
    SUBJECTS_OF_ROW,
    AlertView,
    Arrivals,
    CommandOutcome,
    Durations,
    EvidenceRow,
    IncidentFilter,
    IncidentPlace,
    IncidentStatistics,
    IncidentView,
    TimelineEntry,
    Verdicts,
)
from pipeline.columns import ALERT_COLUMNS, NO_TOKEN, ColumnSpec
from pipeline.config import ClickHouseSettings
from pipeline.errors import UsageError
from pipeline.incident_columns import INCIDENT_COLUMNS, INCIDENT_LOG_COLUMNS
from pipeline.incidents.records import WITHDRAWN_REASON
from pipeline.notifications.outcome import DELIVERED, REFUSED
from pipeline.notifications.policy import DeliveryRow
from pipeline.same_person import tokens_in

LEAST_PREFIX = 6
_DAY_US = 86_400_000_000
_NO_TOKEN = NO_TOKEN.hex()
_NO_ID = "00000000-0000-0000-0000-000000000000"
_US_NAMES = {
    "opened_at": "opened_us", "first_event_time": "first_event_us", "last_event_time": "last_event_us",
    "changed_at": "changed_us", "acknowledged_at": "acknowledged_us", "resolved_at": "resolved_us",
    "breach_since": "breach_since_us", "received_at": "at_us", "at": "sent_us", "event_time": "event_time_us",
}  # fmt: skip
_WITHIN = (
    "{column} >= fromUnixTimestamp64Micro({{since:Int64}}, 'UTC') "
    "AND {column} < fromUnixTimestamp64Micro({{until:Int64}}, 'UTC')"
)
_EVIDENCE = (
    "toString(event_id), toUnixTimestamp64Micro(event_time), toUnixTimestamp64Micro(received_at), "
    "lower(hex(actor_token)), toString(action), toString(outcome), resource_type, resource_id, "
    "toInt64(if(subject_count < 0, length(subject_tokens), subject_count)), records_returned, purpose, "
    "toString(explained), toString(channel), toString(network_kind), src_country, app_id, endpoint, fields_unmasked, "
    "justification, risk, topic, partition, offset, "
    f"arrayMap(x -> lower(hex(x)), arraySlice(subject_tokens, 1, {SUBJECTS_OF_ROW}))"
)
# What one page shows are few rows of small tables: a second thread makes nothing faster and waits for a core longer.
_FEW_ROWS: Mapping[str, object] = {"max_threads": 1}
# Conditions that name a row, all its versions alike: the key's columns are read first, the others only of blocks that
# hold such a row. Half the CPU of the same question without it.
_KEYS_FIRST: Mapping[str, object] = {**_FEW_ROWS, "optimize_move_to_prewhere_if_final": 1}
_NUMBERS = "count(), quantileExact(0.5)(took_s), quantileExact(0.9)(took_s)"


def _columns_of(kind: type, specs: Sequence[ColumnSpec]) -> tuple[ColumnSpec, ...]:
    """The columns that a type is made of."""
    names = {field.name for field in fields(kind)}
    return tuple(spec for spec in specs if _US_NAMES.get(spec.name, spec.name) in names)


_INCIDENT = _columns_of(IncidentView, INCIDENT_COLUMNS)
_ENTRY = _columns_of(TimelineEntry, INCIDENT_LOG_COLUMNS)
_ALERT = _columns_of(AlertView, ALERT_COLUMNS)


class IncidentReader:
    """Questions about incidents on one connection; every method may raise Away or StoreRefused."""

    def __init__(self, reader: Questions) -> None:
        self._reader = reader

    def close(self) -> None:
        """Ends the connection."""
        self._reader.close()

    def _rows(
        self, sql: str, parameters: Mapping[str, object], settings: Mapping[str, object] = _FEW_ROWS
    ) -> list[tuple[Any, ...]]:
        return self._reader.query(sql, parameters, settings)

    def listed(
        self, states: Sequence[str] = (), severities: Sequence[str] = (), limit: int = 50, tenant: str = ""
    ) -> Sequence[IncidentView]:
        """The gravest first, of one severity the newest; no states, severities, tenant: all of them."""
        sql = (
            f"SELECT {selected(_INCIDENT)} FROM accesstrail.incidents "
            "WHERE (empty({states:Array(String)}) OR state IN {states:Array(String)}) "
            "AND (empty({severities:Array(String)}) OR toString(severity) IN {severities:Array(String)}) "
            "AND ({tenant:String} = '' OR tenant_id = {tenant:String}) "
            "ORDER BY severity DESC, opened_at DESC, incident_id LIMIT {limit:UInt64}"
        )
        given = {"states": list(states), "severities": list(severities), "tenant": tenant, "limit": limit}
        return [_incident(row) for row in self._rows(sql, given)]

    def page(self, wanted: IncidentFilter, after: IncidentPlace | None, limit: int) -> Sequence[IncidentView]:
        """The gravest first, of one severity the newest, from behind `after` on: a page that moves nothing twice."""
        sql = (
            f"SELECT {selected(_INCIDENT)} FROM accesstrail.incidents "
            "WHERE (empty({states:Array(String)}) OR state IN {states:Array(String)}) "
            "AND (empty({severities:Array(String)}) OR toString(severity) IN {severities:Array(String)}) "
            "AND ({handler:String} = '' OR assignee = {handler:String} OR acknowledged_by = {handler:String}) "
            f"AND (empty({{actors:Array(String)}}) OR {tokens_in('actor_token', 'actors')}) "
            "AND (NOT {goes_on:Bool} OR severity < {severity:String} OR severity = {severity:String} AND "
            "(opened_at < fromUnixTimestamp64Micro({opened:Int64}, 'UTC') "
            "OR opened_at = fromUnixTimestamp64Micro({opened:Int64}, 'UTC') AND incident_id > {incident:UUID})) "
            "ORDER BY severity DESC, opened_at DESC, incident_id LIMIT {limit:UInt64}"
        )
        place = after or IncidentPlace("low", 0, _NO_ID)
        given = {
            "states": list(wanted.states), "severities": list(wanted.severities), "handler": wanted.handler,
            "actors": [wanted.actor_token] if wanted.actor_token else [], "goes_on": after is not None,
            "severity": place.severity, "opened": place.opened_us, "incident": place.incident_id, "limit": limit,
        }  # fmt: skip
        return [_incident(row) for row in self._rows(sql, given)]

    def open_counts(self) -> Mapping[tuple[str, str], int]:
        """How many incidents are not closed, by severity and state."""
        sql = (
            "SELECT toString(severity), state, count() FROM accesstrail.incidents WHERE state != 'resolved' "
            "AND merged_into = toUUID({none:String}) GROUP BY severity, state"
        )
        return {(str(severity), str(state)): int(count) for severity, state, count in
                self._rows(sql, {"none": _NO_ID})}  # fmt: skip

    def events_of(self, alerts: Sequence[AlertView], limit: int = 200) -> Sequence[EvidenceRow]:
        """The accesses that raised these alerts, oldest first; alerts without an event have none."""
        found = [one for one in alerts if one.actor_token and one.topic][:limit]
        if not found:
            return []
        sql = (
            f"SELECT {_EVIDENCE} FROM accesstrail.access_events WHERE {tokens_in('actor_token', 'actors')} "
            "AND event_time >= fromUnixTimestamp64Micro({since:Int64}, 'UTC') "
            "AND event_time <= fromUnixTimestamp64Micro({until:Int64}, 'UTC') "
            "AND (topic, incarnation, partition, offset) IN arrayZip({topics:Array(String)}, "
            "{lives:Array(String)}, {partitions:Array(UInt32)}, {offsets:Array(UInt64)}) "
            "ORDER BY event_time, partition, offset LIMIT {limit:UInt64}"
        )
        given = {
            "actors": sorted({one.actor_token for one in found}), "since": min(one.event_time_us for one in found),
            "until": max(one.event_time_us for one in found), "topics": [one.topic for one in found],
            "lives": [one.incarnation for one in found], "partitions": [one.partition for one in found],
            "offsets": [one.offset for one in found], "limit": limit,
        }  # fmt: skip
        names = [field.name for field in fields(EvidenceRow)]
        found_rows = self._rows(sql, given, _KEYS_FIRST)
        rows = (dict(zip(names, row, strict=True)) for row in found_rows)
        lists = ("fields_unmasked", "subject_tokens")
        return [EvidenceRow(**one | {name: tuple(one[name]) for name in lists}) for one in rows]

    def incident(self, id_or_prefix: str) -> IncidentView | None:
        """The incident whose id begins so, hyphens or not. Raises: UsageError: several do, or that says too little."""
        prefix = id_or_prefix.strip().lower().replace("-", "")
        if not re.fullmatch(f"[0-9a-f]{{{LEAST_PREFIX},32}}", prefix):
            raise UsageError(f"an incident is named by its id or by its first hex digits, {LEAST_PREFIX} or more")
        here = (
            "FROM accesstrail.incidents WHERE startsWith(replaceAll(toString(incident_id), '-', ''), {prefix:String})"
        )
        rows = self._rows(f"SELECT {selected(_INCIDENT)} {here} LIMIT 2", {"prefix": prefix})
        if len(rows) > 1:
            count = self._rows(f"SELECT count() {here}", {"prefix": prefix})[0][0]
            raise UsageError(f"{count} incidents begin with {prefix}: give more digits of the id")
        return _incident(rows[0]) if rows else None

    def of_actor(self, tenant: str, token: str, limit: int = 50) -> Sequence[IncidentView]:
        """The incidents of an account, the newest first; `token`: hex."""
        sql = (
            f"SELECT {selected(_INCIDENT)} FROM accesstrail.incidents WHERE tenant_id = {{tenant:String}} "
            f"AND {tokens_in('actor_token', 'tokens')} "
            "ORDER BY opened_at DESC, incident_id LIMIT {limit:UInt64}"
        )
        rows = self._rows(sql, {"tenant": tenant, "tokens": [token], "limit": limit})
        return [_incident(row) for row in rows]

    def alerts_of_actor(self, tenant: str, token: str, since_us: int, limit: int = 50) -> Sequence[AlertView]:
        """The alerts about an account's accesses since then, the newest first; those taken back are left out."""
        sql = (
            f"SELECT {selected(_ALERT)} FROM accesstrail.alerts WHERE tenant_id = {{tenant:String}} "
            f"AND {tokens_in('actor_token', 'tokens')} AND NOT has(reasons, {{withdrawn:String}}) "
            "AND NOT startsWith(detector, 'system:') "
            "AND event_time >= fromUnixTimestamp64Micro({since:Int64}, 'UTC') "
            "ORDER BY event_time DESC, alert_id LIMIT {limit:UInt64}"
        )
        given = {"tenant": tenant, "tokens": [token], "since": since_us, "limit": limit, "withdrawn": WITHDRAWN_REASON}
        return [AlertView(**_named(_ALERT, row)) for row in self._rows(sql, given)]

    def timeline(self, incident_key: str, incident_id: str) -> Sequence[TimelineEntry]:
        """Everything that the log says of an incident, oldest first."""
        sql = (
            f"SELECT {selected(_ENTRY)} FROM accesstrail.incident_log WHERE incident_key = {{key:String}} "
            "AND incident_id = {incident:UUID} ORDER BY received_at, incarnation, partition, offset"
        )
        rows = self._rows(sql, {"key": incident_key, "incident": incident_id})
        return [TimelineEntry(**_named(_ENTRY, row)) for row in rows]

    def outcome_of(self, command_id: str) -> CommandOutcome | None:
        """What became of a command; None: nobody has handled it yet."""
        sql = (
            "SELECT transition, code, toString(incident_id), state_after FROM accesstrail.incident_log "
            "WHERE command_id = {command:UUID} ORDER BY received_at, offset LIMIT 1"
        )
        rows = self._rows(sql, {"command": command_id})
        if not rows:
            return None
        transition, code, incident_id, state = rows[0]
        return CommandOutcome(transition, code, id_text(incident_id), state)

    def alerts_of(self, incident: IncidentView, limit: int = 10_000) -> Sequence[AlertView]:
        """Alerts that an incident took in itself, those of the highest risk first."""
        sql = (
            f"SELECT {selected(_ALERT)} FROM accesstrail.alerts WHERE tenant_id = {{tenant:String}} AND alert_id IN "
            "(SELECT alert_id FROM accesstrail.incident_log WHERE incident_key = {key:String} "
            "AND incident_id = {incident:UUID} AND kind = 'alert') "
            "ORDER BY risk DESC, event_time, alert_id LIMIT {limit:UInt64}"
        )
        given = {
            "tenant": incident.tenant_id, "key": incident.incident_key, "incident": incident.incident_id,
            "limit": limit,
        }  # fmt: skip
        named = (_named(_ALERT, row) for row in self._rows(sql, given, _KEYS_FIRST))
        return [_alert(one) for one in named]

    def deliveries_of(self, incident_id: str) -> Sequence[DeliveryRow]:
        """Attempts to tell of an incident, in their order."""
        sql = (
            f"SELECT {selected(DELIVERY_FIELDS)} FROM accesstrail.deliveries WHERE incident_id = {{incident:UUID}} "
            "ORDER BY at, channel, offset, attempt LIMIT 1 BY channel, notification_id, attempt"
        )
        return list(map(delivery_row, self._rows(sql, {"incident": incident_id})))

    def statistics(self, from_us: int, until_us: int) -> IncidentStatistics:
        """A period (UTC microseconds, its end not in it) in numbers; times to resolve leave out what was merged."""
        period = {"since": from_us, "until": until_us}
        taken_in = (
            "SELECT uniqExact(alert_id) FROM accesstrail.incident_log WHERE kind = 'alert' "
            f"AND transition IN ('opened', 'joined', 'reopened') AND {_within('received_at')}"
        )
        opened = f"SELECT count() FROM accesstrail.incidents WHERE {_within('opened_at')}"
        return IncidentStatistics(
            days=(until_us - from_us) / _DAY_US,
            alerts=int(self._reader.query(taken_in, period)[0][0]),
            opened=int(self._reader.query(opened, period)[0][0]),
            detectors=self._verdicts(period),
            to_acknowledge=self._to_acknowledge(period),
            to_resolve=self._to_resolve(period),
            channels=self._arrivals(period),
        )

    def _verdicts(self, period: dict[str, int]) -> dict[str, Verdicts]:
        sql = (
            "SELECT detector, countIf(verdict = 'true_positive'), countIf(verdict = 'benign'), "
            "countIf(verdict = 'false_positive') FROM accesstrail.incidents ARRAY JOIN mapKeys(detectors) AS detector "
            f"WHERE verdict NOT IN ('', 'test') AND {_within('resolved_at')} GROUP BY detector ORDER BY detector"
        )
        return {str(name): Verdicts(*map(int, counts)) for name, *counts in self._reader.query(sql, period)}

    def _to_acknowledge(self, period: dict[str, int]) -> Durations:
        """From the opening to the first person who took it, as the log has it: reopened incidents forget theirs."""
        taken = (
            "SELECT incident_id, min(received_at) AS taken_at FROM accesstrail.incident_log WHERE transition IN "
            "('acknowledged', 'assigned', 'contain_asked') AND NOT startsWith(by, 'system:') GROUP BY incident_id"
        )
        sql = (
            f"SELECT {_NUMBERS} FROM (SELECT dateDiff('microsecond', opened_at, taken_at) / 1e6 AS took_s "
            f"FROM accesstrail.incidents AS one INNER JOIN ({taken}) AS taken ON one.incident_id = taken.incident_id "
            f"WHERE {_within('taken_at')})"
        )
        return _durations(self._reader.query(sql, period)[0])

    def _to_resolve(self, period: dict[str, int]) -> Durations:
        sql = (
            f"SELECT {_NUMBERS} FROM (SELECT dateDiff('microsecond', opened_at, resolved_at) / 1e6 AS took_s "
            "FROM accesstrail.incidents WHERE verdict != '' AND merged_into = toUUID({none:String}) "
            f"AND {_within('resolved_at')})"
        )
        return _durations(self._reader.query(sql, {**period, "none": _NO_TOKEN})[0])

    def _arrivals(self, period: dict[str, int]) -> dict[str, Arrivals]:
        sql = (
            "SELECT channel, uniqExactIf(notification_id, outcome = {delivered:String}), "
            "uniqExactIf(notification_id, outcome = {refused:String}) FROM accesstrail.deliveries "
            f"WHERE {_within('at')} GROUP BY channel ORDER BY channel"
        )
        rows = self._reader.query(sql, {**period, "delivered": DELIVERED, "refused": REFUSED})
        return {str(channel): Arrivals(int(arrived), int(failed)) for channel, arrived, failed in rows}


def _within(column: str) -> str:
    return _WITHIN.format(column=column)


def _durations(row: Sequence[Any]) -> Durations:
    count, median_s, p90_s = row
    return Durations(int(count), float(median_s), float(p90_s)) if count else Durations(0, 0.0, 0.0)


def _named(specs: Sequence[ColumnSpec], row: Sequence[Any]) -> dict[str, Any]:
    """A row by the names of our types; zero ids as ""."""
    named = {_US_NAMES.get(spec.name, spec.name): value for spec, value in zip(specs, row, strict=True)}
    return {name: id_text(value) if name.endswith("_id") else value for name, value in named.items()}


def _incident(row: Sequence[Any]) -> IncidentView:
    named = _named(_INCIDENT, row)
    token = named["actor_token"].lower()
    extra = {"actor_token": "" if token == _NO_TOKEN else token, "merged_into": id_text(named["merged_into"])}
    return IncidentView(**named | extra)


def _alert(named: dict[str, Any]) -> AlertView:
    token = str(named["actor_token"]).lower()
    actor = "" if token == _NO_TOKEN else token
    return AlertView(**named | {"reasons": tuple(named["reasons"]), "actor_token": actor})


def open_incident_reader(settings: ClickHouseSettings) -> IncidentReader:
    """Questions as the role reader, with a connection of its own."""
    return IncidentReader(connect(settings, "reader"))
