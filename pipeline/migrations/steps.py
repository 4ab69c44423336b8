"""The numbered steps, in order. A released step is never edited: a change is a new step."""

from __future__ import annotations

from pipeline.columns import (
    ACCESS_EVENT_COLUMNS,
    ALERT_COLUMNS,
    ARTEFACT_COLUMNS,
    DEAD_LETTER_COLUMNS,
    LEDGER_COLUMNS,
    PROFILE_COLUMNS,
)
from pipeline.migrations.schema import (
    PUBLIC,
    RAW,
    SUBJECT_ACCESS_COLUMNS,
    SUBJECT_ACCESS_SELECT,
    Statement,
    derive,
    rollup_select,
    rollup_table,
    rollup_view,
    sealed,
    settings,
    table,
    view,
)

_REPLACING = "ReplacingMergeTree"
_STORED_AT = "stored_at DateTime64(3, 'UTC') DEFAULT now64(3)"
_MONTH = "retention_class, toYYYYMM(received_at)"
_POSITION = "topic, incarnation, partition, offset, batch_id"

MIGRATIONS_TABLE = (
    f"CREATE TABLE IF NOT EXISTS {RAW}.schema_migrations (number UInt32, name String, checksum FixedString(64), "
    f"applied_at DateTime64(3, 'UTC') DEFAULT now64(3)) ENGINE = {_REPLACING} ORDER BY number"
)


def _subject_access() -> Statement:
    body = ",\n    ".join([*SUBJECT_ACCESS_COLUMNS, "INDEX offset_range offset TYPE minmax GRANULARITY 4"])
    return (
        f"CREATE TABLE IF NOT EXISTS {RAW}.subject_access\n(\n    {body}\n)\nENGINE = {_REPLACING}\n"
        f"PARTITION BY ({_MONTH})\n"
        f"ORDER BY (tenant_id, subject_token, event_time, {_POSITION.replace('batch_id', 'subject_index')}, batch_id)\n"
        f"SETTINGS {settings()}"
    )


def _sources() -> Statement:
    return (
        f"CREATE TABLE IF NOT EXISTS {RAW}.sources\n(\n    tenant_id LowCardinality(String),\n"
        "    source_system LowCardinality(String),\n    source_instance LowCardinality(String),\n    day Date,\n"
        "    topic LowCardinality(String),\n    incarnation LowCardinality(String),\n    partition UInt32,\n"
        "    batch_id UInt64,\n    events UInt64,\n    misrouted UInt64,\n    duplicates UInt64,\n"
        "    first_seq Int64,\n    last_seq Int64,\n    last_event_time DateTime64(6, 'UTC'),\n"
        f"    last_received_at DateTime64(6, 'UTC')\n)\nENGINE = {_REPLACING}\n"
        "ORDER BY (tenant_id, source_system, source_instance, day, topic, incarnation, partition, batch_id)\n"
        f"SETTINGS {settings(durable=False)}"
    )


_SOURCES_SELECT = f"""SELECT tenant_id, source_system, source_instance, toDate(received_at) AS day,
    topic, incarnation, partition, batch_id, count() AS events, sum(misrouted) AS misrouted,
    countIf(duplicate_of >= 0) AS duplicates,
    if(max(source_seq) < 0, -1, minIf(source_seq, source_seq >= 0)) AS first_seq,
    max(source_seq) AS last_seq, max(event_time) AS last_event_time, max(received_at) AS last_received_at
FROM {RAW}.access_events
GROUP BY tenant_id, source_system, source_instance, day, topic, incarnation, partition, batch_id"""

_SOURCES_VIEW = f"""SELECT tenant_id, source_system, source_instance, day, sum(events) AS events,
    sum(misrouted) AS misrouted, sum(duplicates) AS duplicates,
    if(max(part.last_seq) < 0, -1, minIf(part.first_seq, part.first_seq >= 0)) AS first_seq,
    max(part.last_seq) AS last_seq,
    max(last_event_time) AS last_event_time, max(last_received_at) AS last_received_at
FROM {RAW}.sources AS part FINAL
WHERE batch_id IN (SELECT batch_id FROM {RAW}.ledger)
GROUP BY tenant_id, source_system, source_instance, day"""

_EVENT_INDEXES = (
    "INDEX event_time_range event_time TYPE minmax GRANULARITY 4",
    "INDEX offset_range offset TYPE minmax GRANULARITY 4",
    "INDEX event_id_bloom event_id TYPE bloom_filter(0.001) GRANULARITY 4",
    "INDEX resource_bloom resource_token TYPE bloom_filter(0.01) GRANULARITY 4",
)

_ROLLUPS = (
    (
        "risk_actor_1h",
        ("tenant_id LowCardinality(String)", "actor_token FixedString(16)", "hour DateTime('UTC')"),
        "tenant_id, actor_token, toStartOfHour(event_time) AS hour",
        "tenant_id, actor_token, hour",
    ),
    (
        "risk_resource_1d",
        ("tenant_id LowCardinality(String)", "resource_type LowCardinality(String)", "day Date"),
        "tenant_id, resource_type, toDate(event_time) AS day",
        "tenant_id, resource_type, day",
    ),
)


def _steps() -> list[tuple[str, Statement]]:
    steps: list[tuple[str, Statement]] = [
        (
            "ledger",
            table(
                "ledger", LEDGER_COLUMNS, engine="MergeTree", window=100_000,
                order_by="topic, incarnation, partition, first_offset",
                extra=("sealed_at DateTime64(3, 'UTC') DEFAULT now64(3)",),
            ),
        ),
        (
            "access_events",
            table(
                "access_events", ACCESS_EVENT_COLUMNS, engine=_REPLACING, partition_by=f"({_MONTH})",
                order_by=f"tenant_id, toDate(event_time), actor_token, event_time, {_POSITION}",
                extra=(_STORED_AT, *_EVENT_INDEXES),
            ),
        ),
        (
            "dead_letters",
            table(
                "dead_letters", DEAD_LETTER_COLUMNS, engine=_REPLACING, partition_by=f"({_MONTH})",
                order_by=_POSITION, extra=(_STORED_AT,),
            ),
        ),
        (
            "alerts",
            table(
                "alerts", ALERT_COLUMNS, engine=_REPLACING, order_by="tenant_id, alert_id, batch_id",
                extra=(_STORED_AT,),
            ),
        ),
        (
            "actor_profiles",
            table(
                "actor_profiles", PROFILE_COLUMNS, engine=f"{_REPLACING}(sealed_offset)", durable=False,
                order_by="topic, incarnation, partition, actor_key",
            ),
        ),
        (
            "artefacts",
            table(
                "artefacts", ARTEFACT_COLUMNS, engine=_REPLACING, order_by="artefact_id",
                extra=("created_at DateTime64(3, 'UTC') DEFAULT now64(3)",),
            ),
        ),
        (
            "models",
            f"CREATE TABLE IF NOT EXISTS {RAW}.models (model_id FixedString(32), state LowCardinality(String), "
            "manifest String, changed_at DateTime64(3, 'UTC') DEFAULT now64(3)) "
            f"ENGINE = {_REPLACING}(changed_at) ORDER BY model_id SETTINGS {settings()}",
        ),
        ("subject_access", _subject_access()),
        ("subject_access fill", derive("subject_access_fill", "subject_access", SUBJECT_ACCESS_SELECT)),
        ("sources", _sources()),
        ("sources fill", derive("sources_fill", "sources", _SOURCES_SELECT)),
    ]  # fmt: skip
    for name, key_columns, keys, names in _ROLLUPS:
        steps.append((name, rollup_table(name, key_columns)))
        steps.append((f"{name} fill", derive(f"{name}_fill", name, rollup_select(keys, names))))
    return steps + _views()


def _views() -> list[tuple[str, Statement]]:
    plain = ("access_events", "dead_letters", "subject_access")
    views = [(f"view {name}", view(name, sealed(name))) for name in plain]
    system = f"SELECT * FROM {RAW}.alerts FINAL\nWHERE batch_id = 0 OR batch_id IN (SELECT batch_id FROM {RAW}.ledger)"
    views.append(("view alerts", view("alerts", system)))
    views.append(("view ledger", view("ledger", f"SELECT * FROM {RAW}.ledger")))
    views.append(("view sources", view("sources", _SOURCES_VIEW)))
    views += [(f"view {name}", rollup_view(name, name, names, names)) for name, _, _, names in _ROLLUPS]
    days = rollup_view(
        "risk_actor_1d", "risk_actor_1h", "tenant_id, actor_token, toDate(hour) AS day", "tenant_id, actor_token, day"
    )
    views.append(("view risk_actor_1d", days))
    artefacts = f"SELECT artefact_id, kind, length(content) AS bytes, created_at FROM {RAW}.artefacts FINAL"
    views.append(("view artefacts", view("artefacts", artefacts)))
    views.append(("view models", view("models", f"SELECT * FROM {RAW}.models FINAL")))
    profiles = (
        "SELECT topic, incarnation, partition, sealed_offset, feature_version, actor_key != '' AS is_profile "
        f"FROM {RAW}.actor_profiles FINAL"
    )
    views.append(("view actor_profiles", view("actor_profiles", profiles)))
    views.append(("view schema_migrations", view("schema_migrations", f"SELECT * FROM {RAW}.schema_migrations FINAL")))
    return views


STEPS: tuple[tuple[int, str, Statement], ...] = tuple(
    (number, name, statement) for number, (name, statement) in enumerate(_steps(), start=1)
)
DATABASES = (f"CREATE DATABASE IF NOT EXISTS {RAW}", f"CREATE DATABASE IF NOT EXISTS {PUBLIC}")
