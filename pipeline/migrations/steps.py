"""The numbered steps, in order. A released step is never edited: a change is a new step."""

from __future__ import annotations

from pipeline.columns import (
    ACCESS_EVENT_COLUMNS,
    ACTIVATION_COLUMNS,
    ALERT_COLUMNS,
    ANNOUNCEMENT_COLUMNS,
    ARTEFACT_COLUMNS,
    DEAD_LETTER_COLUMNS,
    EXPLANATION_COLUMNS,
    FEATURE_COLUMNS,
    LEASE_COLUMNS,
    LEDGER_COLUMNS,
    NIGHT_COLUMNS,
    PROFILE_COLUMNS,
    RUN_COLUMNS,
    WORK_ITEM_COLUMNS,
)
from pipeline.incident_columns import DELIVERY_COLUMNS, HOLD_COLUMNS, INCIDENT_COLUMNS, INCIDENT_LOG_COLUMNS
from pipeline.migrations.checkpoints import checkpoint_steps
from pipeline.migrations.derived import rollup_steps, sources_steps, subject_access_steps, view_steps
from pipeline.migrations.links import link_steps
from pipeline.migrations.retention import retention_steps
from pipeline.migrations.schema import PUBLIC, RAW, VAULT, Statement, sealed, settings, table, view
from pipeline.migrations.vault import vault_steps

_REPLACING = "ReplacingMergeTree"
_STORED_AT = "stored_at DateTime64(3, 'UTC') DEFAULT now64(3)"
_MONTH = "retention_class, toYYYYMM(received_at)"
_POSITION = "topic, incarnation, partition, offset, batch_id"

MIGRATIONS_TABLE = (
    f"CREATE TABLE IF NOT EXISTS {RAW}.schema_migrations (number UInt32, name String, checksum FixedString(64), "
    f"applied_at DateTime64(3, 'UTC') DEFAULT now64(3)) ENGINE = {_REPLACING} ORDER BY number"
)


_EVENT_INDEXES = (
    "INDEX event_time_range event_time TYPE minmax GRANULARITY 4",
    "INDEX offset_range offset TYPE minmax GRANULARITY 4",
    "INDEX event_id_bloom event_id TYPE bloom_filter(0.001) GRANULARITY 4",
    "INDEX resource_bloom resource_token TYPE bloom_filter(0.01) GRANULARITY 4",
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
                "actor_profiles", PROFILE_COLUMNS, engine=f"{_REPLACING}(sealed_offset)",
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
    ]  # fmt: skip
    return (
        steps
        + subject_access_steps()
        + sources_steps()
        + rollup_steps()
        + _views()
        + _version_steps()
        + _schedule_steps()
        + _learning_steps()
        + _response_steps()
        + _told_steps()
        + checkpoint_steps()
        + vault_steps()
        + retention_steps()
        + link_steps()
        + _engine_steps()
    )


def _views() -> list[tuple[str, Statement]]:
    plain = ("access_events", "dead_letters", "subject_access")
    views = [(f"view {name}", view(name, sealed(name))) for name in plain]
    of_system = f"SELECT * FROM {RAW}.alerts FINAL\nWHERE batch_id = 0"
    views.append(("view alerts", view("alerts", f"{sealed('alerts')}\nUNION ALL\n{of_system}")))
    views.append(("view ledger", view("ledger", f"SELECT * FROM {RAW}.ledger")))
    views += view_steps()
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


def _version_steps() -> list[tuple[str, Statement]]:
    """Which version set is in force: one log a topic, and which of its changes Kafka has."""
    told = f"(topic, number) IN (SELECT topic, number FROM {RAW}.version_announcements) AS announced"
    names = ", ".join(spec.name for spec in ACTIVATION_COLUMNS if spec.name != "event")
    # A number is written once; a writer that slept beyond the window of tokens comes second and is not seen.
    first = f"SELECT * FROM {RAW}.version_activations ORDER BY topic, number, written_at LIMIT 1 BY topic, number"
    return [
        (
            "version_activations",
            table(
                "version_activations", ACTIVATION_COLUMNS, engine="MergeTree", order_by="topic, number",
                extra=("written_at DateTime64(6, 'UTC') DEFAULT now64(6)",),
            ),
        ),
        (
            "version_announcements",
            table("version_announcements", ANNOUNCEMENT_COLUMNS, engine=_REPLACING, order_by="topic, number"),
        ),
        ("view version_activations", view("version_activations", f"SELECT {names}, {told}\nFROM ({first})")),
    ]  # fmt: skip


def _schedule_steps() -> list[tuple[str, Statement]]:
    """What scheduled detectors read besides events, and what they write."""
    plain = ("work_items", "access_explanations", "scheduled_runs")
    return [
        (
            "work_items",
            table(
                "work_items", WORK_ITEM_COLUMNS, engine=f"{_REPLACING}(stored_at)", durable=False,
                order_by="tenant_id, actor_token, case_token, subject_token, opened_at", extra=(_STORED_AT,),
            ),
        ),
        (
            "access_explanations",
            table(
                "access_explanations", EXPLANATION_COLUMNS, engine=f"{_REPLACING}(stored_at)",
                order_by="tenant_id, topic, incarnation, partition, offset", extra=(_STORED_AT,),
            ),
        ),
        (
            "scheduled_runs",
            table(
                "scheduled_runs", RUN_COLUMNS, engine="MergeTree", order_by="topic, detector, slot, stage, started_at",
                extra=(_STORED_AT,),
            ),
        ),
        (
            "scheduled_leases",
            table(
                "scheduled_leases", LEASE_COLUMNS, engine="MergeTree", order_by="topic, number", window=100_000,
                extra=("taken_at DateTime64(6, 'UTC') DEFAULT now64(6)",),
            ),
        ),
        *((f"view {name}", view(name, f"SELECT * FROM {RAW}.{name}{_final(name)}")) for name in plain),
    ]  # fmt: skip


def _learning_steps() -> list[tuple[str, Statement]]:
    """What drift, budget and a shadow model are told from, and what is told each night."""
    return [
        (
            "features",
            table(
                "features", FEATURE_COLUMNS, engine=_REPLACING, partition_by=f"({_MONTH})", order_by=_POSITION,
                durable=False, extra=(_STORED_AT,),
            ),
        ),
        (
            "nightly_reports",
            table(
                "nightly_reports", NIGHT_COLUMNS, engine=f"{_REPLACING}(stored_at)", order_by="topic, day",
                extra=(_STORED_AT,),
            ),
        ),
        ("view features", view("features", sealed("features"))),
        ("view nightly_reports", view("nightly_reports", f"SELECT * FROM {RAW}.nightly_reports FINAL")),
    ]  # fmt: skip


def _response_steps() -> list[tuple[str, Statement]]:
    """What incident handling keeps: its log, incidents as they stand, messages sent, evidence held."""
    place = "topic, incarnation, partition, offset"
    replacing = {
        "incidents": (INCIDENT_COLUMNS, f"{_REPLACING}(version)", "tenant_id, incident_id"),
        # A message may stand at several offsets, since Kafka takes a repetition: each of them has to be settled.
        "deliveries": (DELIVERY_COLUMNS, _REPLACING, f"channel, notification_id, attempt, {place}"),
        "evidence_holds": (HOLD_COLUMNS, _REPLACING, "tenant_id, incident_id"),
    }
    # Of a position that was written twice the first row counts. FINAL, because a filter of whoever reads the view does
    # not pass a `LIMIT 1 BY`: what became of a command, 1 M rows, loaded machine: 110 instead of 530 ms.
    precedence = "precedence UInt64 DEFAULT bitNot(toUInt64(toUnixTimestamp64Micro(written_at)))"
    return [
        (
            "incident_log",
            table(
                "incident_log", INCIDENT_LOG_COLUMNS, engine=f"{_REPLACING}(precedence)", order_by=place,
                window=100_000, extra=("written_at DateTime64(6, 'UTC') DEFAULT now64(6)", precedence),
            ),
        ),
        *((name, table(name, columns, engine=engine, order_by=order, extra=(_STORED_AT,)))
          for name, (columns, engine, order) in replacing.items()),
        ("view incident_log", view("incident_log", f"SELECT * EXCEPT precedence FROM {RAW}.incident_log FINAL")),
        *((f"view {name}", view(name, f"SELECT * FROM {RAW}.{name} FINAL")) for name in replacing),
    ]  # fmt: skip


# A packed model (`detectors/model.py`) is: length of a name, the name, length of its bytes, the bytes; file after file.
_MANIFEST_AT = "position(content, concat(char(13, 0, 0, 0), 'manifest.json'))"
_MANIFEST = (
    f"if({_MANIFEST_AT} = 0, '', substring(content, {_MANIFEST_AT} + 25, "
    f"reinterpretAsUInt64(substring(content, {_MANIFEST_AT} + 17, 8))))"
)


def _told_steps() -> list[tuple[str, Statement]]:
    """What readers may see of what events are judged by: no trees, no statistics of colleagues."""
    contents = (
        f"SELECT artefact_id, kind, created_at, if(kind = 'model', {_MANIFEST}, content) AS content\n"
        f"FROM {RAW}.artefacts FINAL\nWHERE kind IN ('exceptions', 'policy', 'versions', 'model')"
    )
    return [("view version_contents", view("version_contents", contents))]


def _engine_steps() -> list[tuple[str, Statement]]:
    """Which engine each table behind the views has: verification sees no table, and a view could stand in its place."""
    engines = f"SELECT name, engine\nFROM system.tables\nWHERE database = '{RAW}'"
    return [("view stored_tables", view("stored_tables", engines))]


def _final(name: str) -> str:
    return "" if name == "scheduled_runs" else " FINAL"


STEPS: tuple[tuple[int, str, Statement], ...] = tuple(
    (number, name, statement) for number, (name, statement) in enumerate(_steps(), start=1)
)
DATABASES = tuple(f"CREATE DATABASE IF NOT EXISTS {name}" for name in (RAW, PUBLIC, VAULT))
