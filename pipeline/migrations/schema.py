"""Statements that make tables and views; `steps.py` numbers them.

Two databases: `accesstrail_raw` holds the tables (writer: INSERT and SELECT), `accesstrail` holds what people and their
own SQL use: views under the plain names, `SQL SECURITY DEFINER`, so that read roles need no right on any table.
A raw row is visible iff the ledger has sealed its batch (`batch_id`), and sort keys end in `batch_id`, so rows of a
writer that lost its partition are never seen and never replace sealed ones. Derived tables never count inserts: they
hold one partial row a batch and key, which a repeated insert replaces.
"""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.columns import ColumnSpec

RAW = "accesstrail_raw"
PUBLIC = "accesstrail"
DEFINER = "migrator"
_WINDOW = 10_000
_POSITION = "topic, incarnation, partition"

Statement = str


def table(
    name: str,
    columns: Iterable[ColumnSpec],
    *,
    engine: str,
    order_by: str,
    partition_by: str = "",
    extra: Iterable[str] = (),
    durable: bool = True,
    window: int = _WINDOW,
) -> Statement:
    """CREATE TABLE in the raw database. `durable`: an insert is answered only when it is on disk."""
    lines = [_column(spec) for spec in columns]
    body = ",\n    ".join([*lines, *extra])
    partition = f"\nPARTITION BY {partition_by}" if partition_by else ""
    return (
        f"CREATE TABLE IF NOT EXISTS {RAW}.{name}\n(\n    {body}\n)\nENGINE = {engine}{partition}\n"
        f"ORDER BY ({order_by})\nSETTINGS {settings(durable=durable, window=window)}"
    )


def settings(*, durable: bool = True, window: int = _WINDOW) -> str:
    """Settings of every table: repeated inserts are dropped; `durable`: an insert is answered when it is on disk.

    Durable is what cannot be made again from evidence, and subject_access, whose holes nobody would see.
    """
    on_disk = ", fsync_after_insert = 1, fsync_part_directory = 1" if durable else ""
    return f"non_replicated_deduplication_window = {window}{on_disk}"


def _column(spec: ColumnSpec) -> str:
    codec = f" CODEC({spec.codec})" if spec.codec else ""
    comment = spec.about.replace("\\", "\\\\").replace("'", "\\'")
    return f"`{spec.name}` {spec.type}{codec} COMMENT '{comment}'"


def view(name: str, select: str) -> Statement:
    """CREATE VIEW in the public database, run with the definer's rights."""
    return (
        f"CREATE OR REPLACE VIEW {PUBLIC}.{name}\nDEFINER = {DEFINER} SQL SECURITY DEFINER\nAS {select}\n"
        "SETTINGS do_not_merge_across_partitions_select_final = 1"
    )


def derive(name: str, target: str, select: str) -> Statement:
    """CREATE MATERIALIZED VIEW that feeds a derived table at each insert."""
    return (
        f"CREATE MATERIALIZED VIEW IF NOT EXISTS {RAW}.{name} TO {RAW}.{target}\n"
        f"DEFINER = {DEFINER} SQL SECURITY DEFINER\nAS {select}"
    )


def sealed(source: str, columns: str = "*", *, where: str = "") -> str:
    """SELECT of the visible rows of a raw table: one row a position, sealed batches only."""
    condition = f" AND {where}" if where else ""
    return (
        f"SELECT {columns} FROM {RAW}.{source} FINAL\nWHERE batch_id IN (SELECT batch_id FROM {RAW}.ledger){condition}"
    )


SUBJECT_ACCESS_COLUMNS = (
    "tenant_id LowCardinality(String)",
    "subject_token FixedString(16)",
    "event_time DateTime64(6, 'UTC')",
    "topic LowCardinality(String)",
    "incarnation LowCardinality(String)",
    "partition UInt32",
    "offset UInt64 CODEC(Delta, ZSTD(1))",
    "subject_index UInt32",
    "batch_id UInt64",
    "event_id UUID",
    "duplicate_of Int64",
    "received_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1))",
    "actor_token FixedString(16)",
    "actor_dept LowCardinality(String)",
    "action LowCardinality(String)",
    "outcome LowCardinality(String)",
    "purpose LowCardinality(String)",
    "resource_type LowCardinality(String)",
    "explained LowCardinality(String)",
    "risk UInt16",
    "retention_class LowCardinality(String)",
)

SUBJECT_ACCESS_SELECT = f"""SELECT tenant_id, subject_token, event_time, {_POSITION}, offset,
    toUInt32(subject_number - 1) AS subject_index, batch_id, event_id, duplicate_of, received_at, actor_token,
    actor_dept, toString(action) AS action, toString(outcome) AS outcome, purpose, resource_type,
    toString(explained) AS explained, risk, retention_class
FROM {RAW}.access_events
ARRAY JOIN subject_tokens AS subject_token, arrayEnumerate(subject_tokens) AS subject_number"""

_LARGEST_AMOUNT = 10**12
"""What one event counts for at most in a sum: sources may report up to 2^63, and two of those would overflow."""


def _amount(column: str) -> str:
    return f"sum(toUInt64(least(greatest({column}, 0), {_LARGEST_AMOUNT})))"


ROLLUP_MEASURES = (
    "events UInt64",
    "denied UInt64",
    "explained_events UInt64",
    "records UInt64",
    "bytes UInt64",
    "subjects UInt64",
    "unmasked UInt64",
    "unscored UInt64",
    "risk_max UInt16",
    "risk_sum UInt64",
)
_MEASURED = (
    "count() AS events, countIf(outcome = 'denied') AS denied, countIf(explained = 'explained') AS explained_events, "
    f"{_amount('records_returned')} AS records, {_amount('bytes_out')} AS bytes, "
    f"{_amount('subject_count')} AS subjects, "
    "countIf(action IN ('unmask', 'decrypt') OR notEmpty(fields_unmasked)) AS unmasked, "
    "countIf(score_status = 'unscored') AS unscored, max(risk) AS risk_max, sum(toUInt64(risk)) AS risk_sum"
)
_SUMMED = (
    "sum(events) AS events, sum(denied) AS denied, sum(explained_events) AS explained_events, sum(records) AS records, "
    "sum(bytes) AS bytes, sum(subjects) AS subjects, sum(unmasked) AS unmasked, sum(unscored) AS unscored, "
    "max(risk_max) AS risk_max, sum(risk_sum) AS risk_sum"
)
_COUNTED = "duplicate_of < 0 AND NOT (action = 'log_control' AND resource_type = 'heartbeat')"


def rollup_table(name: str, keys: Iterable[str]) -> Statement:
    """A rollup: one row a batch and key; a repeated batch replaces its own rows."""
    keys = list(keys)
    names = ", ".join(key.split()[0] for key in keys)
    place = (
        "topic LowCardinality(String)",
        "incarnation LowCardinality(String)",
        "partition UInt32",
        "batch_id UInt64",
    )
    body = ",\n    ".join([*keys, *place, *ROLLUP_MEASURES])
    return (
        f"CREATE TABLE IF NOT EXISTS {RAW}.{name}\n(\n    {body}\n)\nENGINE = ReplacingMergeTree\n"
        f"ORDER BY ({names}, {_POSITION}, batch_id)\nSETTINGS {settings(durable=False)}"
    )


def rollup_select(keys: str, names: str) -> str:
    """What feeds a rollup: counted events of the inserted batch, grouped."""
    return (
        f"SELECT {keys}, {_POSITION}, batch_id, {_MEASURED}\nFROM {RAW}.access_events\nWHERE {_COUNTED}\n"
        f"GROUP BY {names}, {_POSITION}, batch_id"
    )


def rollup_view(name: str, source: str, keys: str, names: str) -> Statement:
    """The sums over sealed batches; `keys` are expressions over the source's columns, `names` what they are called."""
    return view(
        name,
        f"SELECT {keys}, {_SUMMED}\nFROM {RAW}.{source} FINAL\n"
        f"WHERE batch_id IN (SELECT batch_id FROM {RAW}.ledger)\nGROUP BY {names}",
    )
