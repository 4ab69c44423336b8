"""Kinds of change that an all-powerful user of the engine can make, each drawn by chance."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.columns import ACCESS_EVENT_COLUMNS, DEAD_LETTER_COLUMNS, LEDGER_COLUMNS, evidence
from pipeline.incident_columns import INCIDENT_LOG_COLUMNS
from pipeline.migrations.derived import (
    HOUR_KEYS,
    RESOURCE_KEYS,
    ROLLUP_MEASURES,
    SOURCES_COLUMNS,
    SUBJECT_ACCESS_COLUMNS,
)
from tests.tamper.history import BATCHES, DERIVED, LIFE, PARTITIONS, RAW, TABLES, TamperedStore

_WAIT = "SETTINGS mutations_sync = 2"
BOUND: Mapping[str, frozenset[str]] = {
    "access_events": frozenset(one.name for one in evidence(ACCESS_EVENT_COLUMNS)) | {"batch_id"},
    "dead_letters": frozenset(one.name for one in evidence(DEAD_LETTER_COLUMNS)) | {"batch_id"},
    "ledger": frozenset(one.name for one in evidence(LEDGER_COLUMNS)) | {"entry_hash"},
    "incident_log": frozenset(one.name for one in evidence(INCIDENT_LOG_COLUMNS)),
    "checkpoints": frozenset({"note"}),
    "subject_access": frozenset(one.name for one in SUBJECT_ACCESS_COLUMNS) | {"batch_id"},
    "risk_actor_1h": frozenset(one.name for one in (*HOUR_KEYS, *ROLLUP_MEASURES)) | {"batch_id"},
    "risk_resource_1d": frozenset(one.name for one in (*RESOURCE_KEYS, *ROLLUP_MEASURES)) | {"batch_id"},
    "sources": frozenset(one.name for one in SOURCES_COLUMNS) | {"batch_id"},
    "alerts": frozenset({"event_id", "event_time", "received_at", "actor_token", "versions_id", "batch_id"}),
    "features": frozenset({"event_time", "received_at", "actor_token", "risk", "versions_id"}),
}
"""Columns that verification answers for."""


@dataclass(slots=True)
class Change:
    """One change. `tables`: what must be put back afterwards."""

    about: str
    tables: tuple[str, ...]
    statements: Sequence[str]
    store: TamperedStore
    then: Callable[[], None] = lambda: None

    def do(self) -> None:
        for sql in self.statements:
            self.store.do(sql)
        self.then()


def _row(store: TamperedStore, table: str, chance: random.Random) -> str:
    """A condition that one row meets."""
    rows = store.do(f"SELECT cityHash64(tuple(*)) FROM {RAW}.{table} ORDER BY 1")
    return f"cityHash64(tuple(*)) = {chance.choice(rows)[0]}" if rows else "0"


def _where(store: TamperedStore, table: str, chance: random.Random) -> str:
    """The same by columns that a mutation can name."""
    names = [row[0] for row in _columns(store, table)]
    rows = store.do(f"SELECT cityHash64({', '.join(names)}) FROM {RAW}.{table} ORDER BY 1")
    return f"cityHash64({', '.join(names)}) = {chance.choice(rows)[0]}"


def _columns(store: TamperedStore, table: str) -> list[tuple[str, str, int]]:
    sql = (
        "SELECT name, type, is_in_sorting_key OR is_in_partition_key FROM system.columns "
        f"WHERE database = '{RAW}' AND table = {{t:String}} ORDER BY position"
    )
    return [(name, kind, int(is_key)) for name, kind, is_key in store.do(sql, {"t": table})]


def _other(name: str, kind: str) -> str:
    """An expression that is never what stands there."""
    fixed = re.fullmatch(r"FixedString\((\d+)\)", kind)
    if fixed:
        forward = f"toFixedString(unhex(repeat('a7', {fixed[1]})), {fixed[1]})"
        return f"if({name} = {forward}, toFixedString('', {fixed[1]}), {forward})"
    if kind.startswith("Enum8"):
        return f"CAST(if(toInt8({name}) = 1, 2, 1), '{kind.replace(chr(39), chr(39) * 2)}')"
    if kind.startswith("DateTime64"):
        return f"{name} + toIntervalMicrosecond(1)"
    if kind.startswith("DateTime"):
        return f"{name} + 1"
    if kind == "UUID":
        return "generateUUIDv4()"
    if kind == "IPv6":
        return f"if({name} = toIPv6('2001:db8::1'), toIPv6('2001:db8::2'), toIPv6('2001:db8::1'))"
    if kind.startswith("Array"):
        return f"arrayResize({name}, length({name}) + 1)"
    if kind.startswith("Map(LowCardinality(String), Float64"):
        return f"CAST(mapUpdate({name}, map('x', toFloat64(length({name}) + 1))), '{kind}')"
    if kind.startswith("Map"):
        return f"CAST(mapUpdate({name}, map('x', toString(length({name})))), '{kind}')"
    if "String" in kind:
        return f"concat({name}, 'x')"
    if kind.startswith("Float"):
        return f"{name} + 1"
    return f"CAST(bitXor({name}, 1), '{kind}')"


def _changeable(store: TamperedStore, table: str) -> list[tuple[str, str]]:
    return [(name, kind) for name, kind, is_key in _columns(store, table) if not is_key and name in BOUND[table]]


def _filled(store: TamperedStore, chance: random.Random) -> str:
    """A table that has rows."""
    while True:
        table = chance.choice(TABLES)
        if store.partitions(table):
            return table


def update(store: TamperedStore, chance: random.Random) -> Change:
    """One column of one row."""
    table = _filled(store, chance)
    while not (columns := _changeable(store, table)):
        table = _filled(store, chance)
    name, kind = chance.choice(columns)
    sql = f"ALTER TABLE {RAW}.{table} UPDATE {name} = {_other(name, kind)} WHERE {_where(store, table, chance)} {_WAIT}"
    return Change(f"update {table}.{name}", (table,), [sql], store)


def delete(store: TamperedStore, chance: random.Random) -> Change:
    """One row; of checkpoints all, since the outside has them too."""
    table = chance.choice([one for one in TABLES if one not in ("checkpoints", "features") and store.partitions(one)])
    sql = f"ALTER TABLE {RAW}.{table} DELETE WHERE {_where(store, table, chance)} {_WAIT}"
    return Change(f"delete from {table}", (table,), [sql], store)


def insert(store: TamperedStore, chance: random.Random) -> Change:
    """A copy of a row with another value in one column, as the last one written."""
    table = chance.choice([one for one in TABLES if one != "features" and store.partitions(one)])
    columns = [one for one in _changeable(store, table) if one[0] not in ("batch_id",)]
    if table in ("access_events", "dead_letters") and chance.random() < 0.5:
        columns = [("offset", "UInt64")]
    name, kind = chance.choice(columns)
    value = "toUInt64(offset + 1)" if name == "offset" else _other(name, kind)
    names = ", ".join(one[0] for one in _columns(store, table))
    chosen = ", ".join(f"{value} AS {one[0]}" if one[0] == name else one[0] for one in _columns(store, table))
    sql = (
        f"INSERT INTO {RAW}.{table} ({names}) SELECT {chosen} FROM (SELECT * FROM {RAW}.{table} "
        f"WHERE {_row(store, table, chance)} LIMIT 1) SETTINGS prefer_column_name_to_alias = 1, insert_deduplicate = 0"
    )
    tables = (table, *DERIVED[:4]) if table == "access_events" else (table,)
    return Change(f"insert into {table} with another {name}", tables, [sql], store)


def partition(store: TamperedStore, chance: random.Random) -> Change:
    """A partition is taken out, dropped, or replaced by a changed copy."""
    table = chance.choice([one for one in TABLES if one not in ("checkpoints", "features") and store.partitions(one)])
    part = chance.choice(store.partitions(table))
    how = chance.choice(("DETACH", "DROP", "REPLACE"))
    if how != "REPLACE":
        return Change(
            f"{how} a partition of {table}", (table,), [f"ALTER TABLE {RAW}.{table} {how} PARTITION ID '{part}'"], store
        )
    name, kind = chance.choice(_changeable(store, table))
    other = f"{RAW}.{table}_other"
    return Change(
        f"REPLACE a partition of {table}, {name}", (table,),
        [
            f"CREATE TABLE {other} AS {RAW}.{table}",
            f"ALTER TABLE {other} REPLACE PARTITION ID '{part}' FROM {RAW}.{table}",
            f"ALTER TABLE {other} UPDATE {name} = {_other(name, kind)} WHERE {_where(store, table, chance)} {_WAIT}",
            f"ALTER TABLE {RAW}.{table} REPLACE PARTITION ID '{part}' FROM {other}",
        ],
        store,
    )  # fmt: skip


def exchange(store: TamperedStore, chance: random.Random) -> Change:
    """Another table in its place: an empty one, or one that lacks a row."""
    table = chance.choice([one for one in TABLES if one not in ("checkpoints", "features") and store.partitions(one)])
    other = f"{RAW}.{table}_other"
    fill = [f"ALTER TABLE {other} REPLACE PARTITION ID '{one}' FROM {RAW}.{table}" for one in store.partitions(table)]
    fill.append(f"ALTER TABLE {other} DELETE WHERE {_where(store, table, chance)} {_WAIT}")
    statements = [f"CREATE TABLE {other} AS {RAW}.{table}", *(fill if chance.random() < 0.7 else [])]
    return Change(f"EXCHANGE {table}", (table,), [*statements, f"EXCHANGE TABLES {RAW}.{table} AND {other}"], store)


def stolen_key(store: TamperedStore, chance: random.Random) -> Change:
    """A partition's history written anew from some batch on, sealed and signed with the real key."""
    number, cut = chance.randrange(PARTITIONS), chance.randrange(1, BATCHES)
    first = store.batches[number][cut].entry.first_offset
    mine = f"incarnation = '{LIFE}' AND partition = {number} AND topic = 'access.events'"
    tables = ("access_events", "dead_letters", *DERIVED)
    gone = [f"ALTER TABLE {RAW}.{one} DELETE WHERE {mine} AND {_behind(one, first)} {_WAIT}" for one in tables]
    gone += [
        f"ALTER TABLE {RAW}.ledger DELETE WHERE {mine} AND first_offset >= {first} {_WAIT}",
        f"ALTER TABLE {RAW}.checkpoints DELETE WHERE {mine} {_WAIT}",
    ]
    seed = chance.randrange(10**6, 10**7)

    def forge() -> None:
        made = store.grown(number, store.batches[number][:cut], BATCHES - cut, seed)
        for one in made[1::2]:
            store.sign(store.checkpoint_of(one), is_kept=False)

    return Change(f"stolen key, batch {cut}", (*tables, "ledger", "checkpoints"), gone, store, forge)


def _behind(table: str, first: int) -> str:
    if table in ("risk_actor_1h", "risk_resource_1d", "sources"):
        return f"batch_id IN (SELECT batch_id FROM {RAW}.ledger WHERE first_offset >= {first})"
    return f"offset >= {first}"


KINDS: Mapping[str, Callable[[TamperedStore, random.Random], Change]] = {
    "update": update, "delete": delete, "insert": insert, "partition": partition, "exchange": exchange,
    "stolen key": stolen_key,
}  # fmt: skip
"""Kinds on the running engine."""
