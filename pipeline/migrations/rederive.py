"""Derived tables made again from the rows that verification has checked, and compared with what readers are shown.

Place in the flow: behind `accesstrail verify --store`; check 12 of `docs/reference/evidence.md`. Each comparison is two
statements that give one line an hour or day: how many rows, and two keyed sums of hashes over all their columns. The
keys are drawn anew for each run, so that nobody can make a table that differs and sums up alike (SipHash, keyed). What
the stream decides by itself (which alerts, which features) cannot be made from rows alone: of these it is checked that
each one belongs to its event; `accesstrail replay --check` judges the whole log again.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.columns import ColumnSpec
from pipeline.migrations.derived import (
    HOUR_KEYS,
    RESOURCE_KEYS,
    ROLLUP_MEASURES,
    SOURCES_COLUMNS,
    SUBJECT_ACCESS_COLUMNS,
    batch_select,
    rollup_from_events,
    sources_from_events,
    subject_access_from_events,
)
from pipeline.migrations.schema import PUBLIC, RAW
from pipeline.stages.decide import ALERT_NAMESPACE

_PLACE = "topic, incarnation, partition, offset"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two statements whose lines (hour or day, rows, two sums) must be equal; parameters `a` to `d`: UInt64, random."""

    table: str
    from_rows: str
    shown: str


def _sums(span: str, columns: tuple[ColumnSpec, ...], source: str) -> str:
    names = ", ".join(spec.name for spec in columns)
    first = f"sum(sipHash64Keyed(({{a:UInt64}}, {{b:UInt64}}), {names}))"
    second = f"sum(sipHash64Keyed(({{c:UInt64}}, {{d:UInt64}}), {names}))"
    return (
        f"SELECT toString({span}) AS within, count(), {first}, {second} FROM {source} GROUP BY within ORDER BY within"
    )


def comparisons() -> tuple[Comparison, ...]:
    """Every table that follows from the rows wholly."""
    made = (
        ("subject_access", "toStartOfHour(event_time)", SUBJECT_ACCESS_COLUMNS, subject_access_from_events()),
        ("sources", "day", SOURCES_COLUMNS, sources_from_events()),
        ("risk_actor_1h", "hour", (*HOUR_KEYS, *ROLLUP_MEASURES), rollup_from_events("risk_actor_1h")),
        ("risk_resource_1d", "day", (*RESOURCE_KEYS, *ROLLUP_MEASURES), rollup_from_events("risk_resource_1d")),
    )
    return tuple(
        Comparison(table, _sums(span, columns, f"({select})"), _sums(span, columns, f"{PUBLIC}.{table}"))
        for table, span, columns, select in made
    )


def _strangers(table: str, fields: tuple[str, ...]) -> str:
    """Rows of a table that are not of the event at their place, at most ten: topic, partition, offset."""
    differs = " OR ".join(("event.is_event = 0", *(f"event.{name} != told.{name}" for name in fields)))
    return (
        f"SELECT told.topic, told.partition, told.offset FROM (SELECT {_PLACE}, batch_id, {', '.join(fields)} "
        f"FROM {PUBLIC}.{table} WHERE batch_id != 0) AS told LEFT ANY JOIN (SELECT {_PLACE}, batch_id, "
        f"{', '.join(fields)}, 1 AS is_event FROM {PUBLIC}.access_events WHERE ({_PLACE}) IN (SELECT {_PLACE} "
        f"FROM {PUBLIC}.{table} WHERE batch_id != 0)) AS event USING ({_PLACE}, batch_id) "
        f"WHERE {differs} ORDER BY ALL LIMIT 10"
    )


STRANGERS: dict[str, str] = {
    "alerts": _strangers(
        "alerts", ("event_id", "event_time", "received_at", "actor_token", "tenant_id", "versions_id")
    ),
    "features": _strangers("features", ("event_time", "received_at", "actor_token", "risk", "versions_id")),
}
"""Table to the statement that finds rows that belong to no event or say otherwise than it."""

_SHOWN_OF_EVENT = ("event_id", "event_time", "received_at", "tenant_id")
_SCHEDULED = f"FROM {PUBLIC}.alerts WHERE batch_id = 0 AND NOT startsWith(detector, 'system:')"
SCHEDULED_STRANGERS = (
    "SELECT told.topic, told.partition, told.offset FROM "
    f"(SELECT {_PLACE}, {', '.join(_SHOWN_OF_EVENT)} {_SCHEDULED}) AS told INNER JOIN "
    f"(SELECT {_PLACE}, {', '.join(_SHOWN_OF_EVENT)} FROM {PUBLIC}.access_events WHERE ({_PLACE}) IN "
    f"(SELECT {_PLACE} {_SCHEDULED})) AS event USING ({_PLACE}) "
    f"WHERE {' OR '.join(f'event.{name} != told.{name}' for name in _SHOWN_OF_EVENT)} ORDER BY ALL LIMIT 10"
)
"""Alerts of scheduled detectors that say otherwise than the event that they show, where it is still there. Alarms of
the system show a place, and no event."""

_NAMED = "concat(topic, ':', incarnation, ':', toString(partition), ':', toString(offset), ':', toString(detector))"
_HASHED = f"SHA1(concat(unhex('{ALERT_NAMESPACE.hex}'), {_NAMED}))"
ALERT_IDS = (
    "SELECT topic, partition, offset FROM (SELECT topic, partition, offset, UUIDStringToNum(toString(alert_id)) AS "
    f"own, {_HASHED} AS hash FROM {PUBLIC}.alerts WHERE batch_id != 0) WHERE own != concat(substring(hash, 1, 6), "
    "char(bitOr(bitAnd(reinterpretAsUInt8(substring(hash, 7, 1)), 0x0F), 0x50)), substring(hash, 8, 1), "
    "char(bitOr(bitAnd(reinterpretAsUInt8(substring(hash, 9, 1)), 0x3F), 0x80)), substring(hash, 10, 7)) "
    "ORDER BY ALL LIMIT 10"
)
"""Alerts of the stream whose id is not that of their detector at their event (RFC 9562, 5.5): the log of incidents has
read an alert under its id, so that one under another would be bound by nothing."""

ALERTS_TWICE = (
    f"SELECT any(topic), any(partition), any(offset) FROM {PUBLIC}.alerts GROUP BY alert_id HAVING count() > 1 "
    "ORDER BY ALL LIMIT 10"
)
"""Alerts that are shown more than once: under another batch, or as one that belongs to none. No two have one id."""

_LOGGED = f"SELECT alert_id, detail FROM {PUBLIC}.incident_log WHERE kind = 'alert'"
_POSITIONS = ("topic", "incarnation", "partition", "offset")
_TOLD_AT = ", ".join(
    f"JSONExtract{'String' if name in ('topic', 'incarnation') else 'UInt'}(detail, '{name}')" for name in _POSITIONS
)
_SEEN = (
    "lower(hex(SHA256(arrayStringConcat(arrayMap(name -> concat(toString(length(name)), ':', "
    "name, '=', toString(reinterpretAsInt64(seen[name]))), arraySort(mapKeys(seen))), '\\0'))))"
)
_SAYS = (
    "lower(hex(SHA256(arrayStringConcat([lower(hex(actor_token)), toString(detector), toString(risk), "
    "toString(severity), arrayStringConcat(reasons, ','), explanation_en, explanation_zh], '\\0'))))"
)
ALERT_CONTENT = (
    "SELECT topic, partition, offset FROM (SELECT alert.topic AS topic, alert.partition AS partition, "
    "alert.offset AS offset, alert.batch_id AS batch_id, has(told.digests, '') AS is_unbound, "
    "arrayFilter(at -> at = (alert.topic, alert.incarnation, toUInt64(alert.partition), alert.offset), told.places) "
    "AS here, arrayExists((says, saw, at) -> says = alert.says AND saw IN ('', alert.saw) AND at = (alert.topic, "
    "alert.incarnation, toUInt64(alert.partition), alert.offset), told.digests, told.seen, told.places) AS is_told "
    f"FROM (SELECT topic, incarnation, partition, offset, alert_id, batch_id, {_SAYS} AS says, {_SEEN} AS saw "
    f"FROM {PUBLIC}.alerts) AS alert INNER JOIN (SELECT alert_id, groupArray(JSONExtractString(detail, 'digest')) "
    f"AS digests, groupArray(JSONExtractString(detail, 'seen')) AS seen, groupArray(({_TOLD_AT})) AS places "
    f"FROM ({_LOGGED}) GROUP BY alert_id) AS told USING alert_id) "
    "WHERE NOT is_told AND NOT is_unbound AND (batch_id = 0 OR notEmpty(here)) ORDER BY ALL LIMIT 10"
)
"""Alerts that say otherwise, or show other numbers, than the log of incidents, which is evidence, has read of them. An
alert of the stream is known by its id and the event it is about; one of a scheduled detector by its id, whatever event
it is said to be about now. Rows of the log from before it kept digests bind none; an alert that was published again
with more in it, or taken back, has several."""

ALERTS_GONE = (
    "SELECT JSONExtractString(detail, 'topic') AS topic, JSONExtractUInt(detail, 'partition') AS partition, "
    f"JSONExtractUInt(detail, 'offset') AS offset FROM ({_LOGGED}) WHERE JSONExtractString(detail, 'stage') != '' "
    f"AND alert_id NOT IN (SELECT alert_id FROM {PUBLIC}.alerts) ORDER BY ALL LIMIT 10"
)
"""Alerts of scheduled detectors that the log of incidents has read and the table has not; those of the stream are
counted by the batch that sealed them."""

ALERTS_SWAPPED = (
    "SELECT gone.topic, gone.partition, gone.offset FROM (SELECT JSONExtractString(detail, 'topic') AS topic, "
    "JSONExtractString(detail, 'incarnation') AS incarnation, toUInt32(JSONExtractUInt(detail, 'partition')) AS "
    f"partition, JSONExtractUInt(detail, 'offset') AS offset FROM ({_LOGGED}) WHERE "
    f"JSONExtractString(detail, 'stage') = '' AND alert_id NOT IN (SELECT alert_id FROM {PUBLIC}.alerts)) AS gone "
    "ASOF INNER JOIN (SELECT topic, incarnation, partition, first_offset, last_offset, batch_id "
    f"FROM {PUBLIC}.ledger) AS entry ON gone.topic = entry.topic AND gone.incarnation = entry.incarnation "
    "AND gone.partition = entry.partition AND gone.offset >= entry.first_offset "
    "WHERE gone.offset <= entry.last_offset "
    f"AND entry.batch_id NOT IN (SELECT batch_id FROM {PUBLIC}.pruned_leaves) "
    f"AND entry.batch_id IN (SELECT batch_id FROM {PUBLIC}.alerts WHERE batch_id != 0 "
    f"AND alert_id NOT IN (SELECT alert_id FROM ({_LOGGED}))) ORDER BY ALL LIMIT 10"
)
"""Alerts of the stream that the log of incidents has read and the table has not, where the same batch shows one that
the log has not read: its number is the sealed one. Alerts are told before their batch is sealed, so alone the first is
no difference (a worker that lost its partition may have told it), and neither is the second (a responder is behind)."""

ALERT_COUNTS = (
    "SELECT entry.topic, entry.partition, entry.first_offset "
    f"FROM (SELECT topic, partition, first_offset, batch_id, n_alerts FROM {PUBLIC}.ledger) AS entry "
    f"LEFT ANY JOIN (SELECT batch_id, count() AS found FROM {PUBLIC}.alerts WHERE batch_id != 0 GROUP BY batch_id) "
    "AS alert USING batch_id WHERE entry.n_alerts < alert.found OR (entry.n_alerts > alert.found AND batch_id NOT IN "
    f"(SELECT batch_id FROM {PUBLIC}.pruned_leaves)) ORDER BY ALL LIMIT 10"
)
"""Batches that have more or fewer alerts than their sealed entry counts; fewer where rows of the batch were pruned."""

_PRUNED_BATCHES = f"batch_id IN (SELECT DISTINCT batch_id FROM {RAW}.pruned_leaves WHERE run_id = {{run:UUID}})"


def _again(table: str, columns: tuple[ColumnSpec, ...], select: str) -> str:
    names = ", ".join((*(spec.name for spec in columns), "topic", "incarnation", "partition", "batch_id"))
    source = f"FROM (SELECT * FROM {PUBLIC}.access_events WHERE {_PRUNED_BATCHES})"
    made = select.replace(f"FROM {RAW}.access_events", source)
    return f"INSERT INTO {RAW}.{table} ({names}) SELECT {names} FROM ({made})"


REBUILDS: dict[str, str] = {
    "risk_actor_1h": _again("risk_actor_1h", (*HOUR_KEYS, *ROLLUP_MEASURES), batch_select("risk_actor_1h")),
    "risk_resource_1d": _again(
        "risk_resource_1d", (*RESOURCE_KEYS, *ROLLUP_MEASURES), batch_select("risk_resource_1d")
    ),
    "sources": _again("sources", SOURCES_COLUMNS, batch_select("sources")),
}
"""Batch table to the statement that makes its rows again for batches that a run of retention took rows from."""
