"""Derived tables: what readers ask most, made from inserted events by materialised views.

None of them counts inserts. `subject_access` has one row an event and subject, under the event's position; a rollup has
one row a batch and key. A repeated insert replaces its own rows, and views show rows of sealed batches only. Everything
here can be made again from evidence: insert a sealed batch's rows once more under a new token.
"""

from __future__ import annotations

from dataclasses import replace

from pipeline.columns import ACCESS_EVENT_COLUMNS, AMOUNT_CODEC, REPEATED_CODEC, ColumnSpec
from pipeline.migrations.schema import PUBLIC, RAW, Statement, derive, sealed, table, view

_EVENT = {spec.name: spec for spec in ACCESS_EVENT_COLUMNS}
_POSITION = "topic, incarnation, partition"
_LOW, _TIME = "LowCardinality(String)", "DateTime64(6, 'UTC')"
_MONTH = "retention_class, toYYYYMM(received_at)"
_REPLACING = "ReplacingMergeTree"


def _new(name: str, kind: str, about: str) -> ColumnSpec:
    return ColumnSpec(name, kind, "derived", about, evidence=False)


# -- who touched this customer

SUBJECT_ACCESS_COLUMNS: tuple[ColumnSpec, ...] = (
    _EVENT["tenant_id"],
    _new("subject_token", "FixedString(16)", "the data subject, keyed pseudonym"),
    *(_EVENT[name] for name in ("event_time", "topic", "incarnation")),
    # In the order of subjects positions do not count up.
    *(replace(_EVENT[name], codec=AMOUNT_CODEC) for name in ("partition", "offset")),
    replace(_new("subject_index", "UInt32", "place of the subject in the event's list, from 0"), codec=AMOUNT_CODEC),
    *(_EVENT[name] for name in ("batch_id", "event_id", "duplicate_of", "received_at")),
    # A subject's actors come from the whole company.
    replace(_EVENT["actor_token"], codec=REPEATED_CODEC, wide_blocks=True),
    _EVENT["actor_dept"],
    _new("action", _LOW, "what was done"),
    _new("outcome", _LOW, "how it ended"),
    *(_EVENT[name] for name in ("purpose", "resource_type")),
    _new("explained", _LOW, "whether a work item justifies the access"),
    *(_EVENT[name] for name in ("risk", "retention_class")),
)
_SUBJECT_ACCESS_SELECT = f"""SELECT tenant_id, subject_token, event_time, {_POSITION}, offset,
    toUInt32(subject_number - 1) AS subject_index, batch_id, event_id, duplicate_of, received_at, actor_token,
    actor_dept, toString(action) AS action, toString(outcome) AS outcome, purpose, resource_type,
    toString(explained) AS explained, risk, retention_class
FROM {RAW}.access_events
ARRAY JOIN subject_tokens AS subject_token, arrayEnumerate(subject_tokens) AS subject_number"""


def subject_access_steps() -> list[tuple[str, Statement]]:
    """The table and what fills it; durable, because nobody would see a hole in it."""
    made = table(
        "subject_access",
        SUBJECT_ACCESS_COLUMNS,
        engine=_REPLACING,
        partition_by=f"({_MONTH})",
        order_by=f"tenant_id, subject_token, event_time, {_POSITION}, offset, subject_index, batch_id",
        extra=("INDEX offset_range offset TYPE minmax GRANULARITY 4",),
    )
    return [("subject_access", made), ("subject_access fill", _fill("subject_access", _SUBJECT_ACCESS_SELECT))]


def _fill(name: str, select: str) -> Statement:
    return derive(f"{name}_fill", name, select)


# -- what each source reported

_SOURCE_KEYS = (
    _EVENT["tenant_id"],
    _EVENT["source_system"],
    _EVENT["source_instance"],
    _new("day", "Date", "day of receipt, UTC"),
)
_BATCH_KEYS = tuple(_EVENT[name] for name in ("topic", "incarnation", "partition", "batch_id"))
_SOURCE_MEASURES = (
    _new("events", "UInt64", "events received, duplicates and heartbeats included"),
    _new("misrouted", "UInt64", "of these: in another partition than their key says"),
    _new("duplicates", "UInt64", "of these: repetitions of an event_id"),
    _new("first_seq", "Int64", "smallest source_seq, -1 where none was given"),
    _new("last_seq", "Int64", "largest source_seq, -1 where none was given"),
    _new("last_event_time", _TIME, "newest event time"),
    _new("last_received_at", _TIME, "newest receipt"),
)
SOURCES_COLUMNS = (*_SOURCE_KEYS, *_SOURCE_MEASURES)
_SOURCES_SELECT = f"""SELECT tenant_id, source_system, source_instance, toDate(received_at) AS day,
    {_POSITION}, batch_id, count() AS events, sum(misrouted) AS misrouted,
    countIf(duplicate_of >= 0) AS duplicates,
    if(max(source_seq) < 0, -1, minIf(source_seq, source_seq >= 0)) AS first_seq,
    max(source_seq) AS last_seq, max(event_time) AS last_event_time, max(received_at) AS last_received_at
FROM {RAW}.access_events
GROUP BY tenant_id, source_system, source_instance, day, {_POSITION}, batch_id"""
_SOURCES_VIEW = f"""SELECT tenant_id, source_system, source_instance, day, sum(events) AS events,
    sum(misrouted) AS misrouted, sum(duplicates) AS duplicates,
    if(max(part.last_seq) < 0, -1, minIf(part.first_seq, part.first_seq >= 0)) AS first_seq,
    max(part.last_seq) AS last_seq,
    max(last_event_time) AS last_event_time, max(last_received_at) AS last_received_at
FROM ({sealed("sources")}) AS part
GROUP BY tenant_id, source_system, source_instance, day"""


def _batch_table(name: str, keys: tuple[ColumnSpec, ...], measures: tuple[ColumnSpec, ...]) -> Statement:
    """One row a batch and key; a repeated batch replaces its own rows."""
    return table(
        name,
        (*keys, *_BATCH_KEYS, *measures),
        engine=_REPLACING,
        order_by=", ".join(spec.name for spec in (*keys, *_BATCH_KEYS)),
        durable=False,
    )


def sources_steps() -> list[tuple[str, Statement]]:
    """The table of sources and what fills it."""
    made = _batch_table("sources", _SOURCE_KEYS, _SOURCE_MEASURES)
    return [("sources", made), ("sources fill", _fill("sources", _SOURCES_SELECT))]


# -- rollups of risk

_LARGEST_AMOUNT = 10**12
"""What one event counts for at most in a sum: sources may report up to 2^63, and two of those would overflow."""


def _amount(column: str) -> str:
    return f"sum(toUInt64(least(greatest({column}, 0), {_LARGEST_AMOUNT})))"


_MEASURES: tuple[tuple[ColumnSpec, str, str], ...] = (
    # column, from events, from partial rows
    (_new("events", "UInt64", "events"), "count()", "sum"),
    (_new("denied", "UInt64", "of these: denied"), "countIf(outcome = 'denied')", "sum"),
    (
        _new("explained_events", "UInt64", "of these: justified by a work item"),
        "countIf(explained = 'explained')",
        "sum",
    ),
    (_new("records", "UInt64", "records handed out"), _amount("records_returned"), "sum"),
    (_new("bytes", "UInt64", "bytes handed out"), _amount("bytes_out"), "sum"),
    (_new("subjects", "UInt64", "data subjects touched, one event after the other"), _amount("subject_count"), "sum"),
    (
        _new("unmasked", "UInt64", "events that showed something in clear"),
        "countIf(action IN ('unmask', 'decrypt') OR notEmpty(fields_unmasked))",
        "sum",
    ),
    (
        _new("unscored", "UInt64", "events that got no score although one was due"),
        "countIf(score_status = 'unscored')",
        "sum",
    ),
    (_new("risk_max", "UInt16", "largest risk, hundredths"), "max(risk)", "max"),
    (_new("risk_sum", "UInt64", "sum of risks, hundredths"), "sum(toUInt64(risk))", "sum"),
)
ROLLUP_MEASURES = tuple(spec for spec, _, _ in _MEASURES)
_MEASURED = ", ".join(f"{expression} AS {spec.name}" for spec, expression, _ in _MEASURES)
_SUMMED = ", ".join(f"{function}({spec.name}) AS {spec.name}" for spec, _, function in _MEASURES)
_COUNTED = "duplicate_of < 0 AND NOT (action = 'log_control' AND resource_type = 'heartbeat')"

HOUR_KEYS = (_EVENT["tenant_id"], _EVENT["actor_token"], _new("hour", "DateTime('UTC')", "hour of the event"))
DAY_KEYS = (_EVENT["tenant_id"], _EVENT["actor_token"], _new("day", "Date", "day of the event, UTC"))
RESOURCE_KEYS = (_EVENT["tenant_id"], _EVENT["resource_type"], _new("day", "Date", "day of the event, UTC"))
_ROLLUPS = {
    "risk_actor_1h": (HOUR_KEYS, "tenant_id, actor_token, toStartOfHour(event_time) AS hour"),
    "risk_resource_1d": (RESOURCE_KEYS, "tenant_id, resource_type, toDate(event_time) AS day"),
}


def _rollup(name: str) -> list[tuple[str, Statement]]:
    keys = _ROLLUPS[name][0]
    return [(name, _batch_table(name, keys, ROLLUP_MEASURES)), (f"{name} fill", _fill(name, _rollup_select(name)))]


def _rollup_select(name: str) -> str:
    keys, expressions = _ROLLUPS[name]
    names = ", ".join(spec.name for spec in keys)
    return (
        f"SELECT {expressions}, {_POSITION}, batch_id, {_MEASURED}\nFROM {RAW}.access_events\nWHERE {_COUNTED}\n"
        f"GROUP BY {names}, {_POSITION}, batch_id"
    )


def rollup_steps() -> list[tuple[str, Statement]]:
    """The rollups' tables and what fills them; the one by actor and day is a view over the one by hour."""
    return [
        *_rollup("risk_actor_1h"),
        *_rollup("risk_resource_1d"),
    ]


def _rollup_view(name: str, source: str, expressions: str, names: str) -> tuple[str, Statement]:
    select = f"SELECT {expressions}, {_SUMMED}\nFROM ({sealed(source)}) AS part\nGROUP BY {names}"
    return f"view {name}", view(name, select)


def view_steps() -> list[tuple[str, Statement]]:
    """Sums over sealed batches."""
    hours, days = "tenant_id, actor_token, hour", "tenant_id, actor_token, day"
    resources = "tenant_id, resource_type, day"
    return [
        ("view sources", view("sources", _SOURCES_VIEW)),
        _rollup_view("risk_actor_1h", "risk_actor_1h", hours, hours),
        _rollup_view("risk_actor_1d", "risk_actor_1h", "tenant_id, actor_token, toDate(hour) AS day", days),
        _rollup_view("risk_resource_1d", "risk_resource_1d", resources, resources),
    ]


# -- the same, from the rows that readers see


def subject_access_from_events() -> str:
    """What `subject_access` must show."""
    return _of_visible(_SUBJECT_ACCESS_SELECT)


def sources_from_events() -> str:
    """What `sources` must show."""
    return _SOURCES_VIEW.replace(f"({sealed('sources')})", f"({_of_visible(_SOURCES_SELECT)})")


def batch_select(name: str) -> str:
    """What makes the rows of a table with one row a batch and key."""
    return _SOURCES_SELECT if name == "sources" else _rollup_select(name)


def rollup_from_events(name: str) -> str:
    """What a rollup must show."""
    names = ", ".join(spec.name for spec in _ROLLUPS[name][0])
    return f"SELECT {names}, {_SUMMED}\nFROM ({_of_visible(_rollup_select(name))}) AS part\nGROUP BY {names}"


def _of_visible(select: str) -> str:
    return select.replace(f"FROM {RAW}.access_events", f"FROM {PUBLIC}.access_events")
