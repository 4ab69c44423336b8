"""Kinds of change that an all-powerful user of the engine can make, each drawn by chance."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.tamper.history import BATCHES, LIFE, LOG, PARTITIONS, TamperedStore
from tests.tamper.tables import BOUND, DERIVED, RAW, TABLES, WHOLE

_WAIT = "SETTINGS mutations_sync = 2"
_FROM_EVENTS = ("subject_access", "risk_actor_1h", "risk_resource_1d", "sources")


@dataclass(slots=True)
class Change:
    """One change. `tables`: what must be put back afterwards."""

    about: str
    tables: tuple[str, ...]
    statements: Sequence[str]
    store: TamperedStore
    then: Callable[[], None] = lambda: None
    is_seen_alone: bool = False
    """Whether the store must show it without what is kept outside: there a copy of it makes it good."""

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


_OTHERS = (
    ("Enum8", "CAST(if(toInt8({name}) = 1, 2, 1), '{kind}')"),
    ("DateTime64", "{name} + toIntervalMicrosecond(1)"),
    ("DateTime", "{name} + 1"),
    ("UUID", "generateUUIDv4()"),
    ("IPv6", "if({name} = toIPv6('2001:db8::1'), toIPv6('2001:db8::2'), toIPv6('2001:db8::1'))"),
    ("Array(String", "arrayPushBack({name}, 'x')"),
    ("Array(LowCardinality(String", "arrayPushBack({name}, 'x')"),
    ("Array", "arrayResize({name}, length({name}) + 1)"),
    (
        "Map(LowCardinality(String), Float64",
        "CAST(mapUpdate({name}, map('x', toFloat64(length({name}) + 1))), '{kind}')",
    ),
    (
        "Map(LowCardinality(String), UInt32",
        "CAST(mapUpdate({name}, map('x', toUInt32(length({name}) + 1))), '{kind}')",
    ),
    ("Map", "CAST(mapUpdate({name}, map('x', toString(length({name})))), '{kind}')"),
)
"""How a type begins, and what makes another value of it."""


def _other(name: str, kind: str) -> str:
    """An expression that is never what stands there."""
    fixed = re.fullmatch(r"FixedString\((\d+)\)", kind)
    if fixed:
        forward = f"toFixedString(unhex(repeat('a7', {fixed[1]})), {fixed[1]})"
        return f"if({name} = {forward}, toFixedString('', {fixed[1]}), {forward})"
    for begin, expression in _OTHERS:
        if kind.startswith(begin):
            return expression.format(name=name, kind=kind.replace("'", "''"))
    if "String" in kind:
        return f"concat({name}, 'x')"
    if kind.startswith("Float"):
        return f"{name} + 1"
    return f"CAST(bitXor({name}, 1), '{kind}')"


def changeable(store: TamperedStore, table: str) -> list[tuple[str, str]]:
    """Columns that a mutation may set and verification answers for: name and type."""
    return [(name, kind) for name, kind, is_key in _columns(store, table) if not is_key and name in BOUND[table]]


def forge(store: TamperedStore, chance: random.Random, table: str, target: str) -> tuple[str, str]:
    """Which column, and the statement that sets it in one row of `target`, a table with the rows of `table`."""
    name, kind = chance.choice(changeable(store, table))
    where = _where(store, table, chance)
    return name, f"ALTER TABLE {RAW}.{target} UPDATE {name} = {_other(name, kind)} WHERE {where} {_WAIT}"


def drop_row(store: TamperedStore, chance: random.Random, table: str, target: str) -> str:
    """The statement that takes one row out of `target`, a table with the rows of `table`; of a run all its rows."""
    where = "1" if table == "retention_runs" else _where(store, table, chance)
    return f"ALTER TABLE {RAW}.{target} DELETE WHERE {where} {_WAIT}"


def update(store: TamperedStore, chance: random.Random, table: str) -> Change:
    """One column of one row."""
    name, sql = forge(store, chance, table, table)
    return Change(f"update {table}.{name}", (table,), [sql], store)


def delete(store: TamperedStore, chance: random.Random, table: str) -> Change:
    """One row."""
    return Change(f"delete from {table}", (table,), [drop_row(store, chance, table, table)], store)


def insert(store: TamperedStore, chance: random.Random, table: str) -> Change:
    """A copy of a row with another value in one column, as the last one written."""
    columns = [one for one in changeable(store, table) if one[0] not in ("batch_id",)]
    if table in ("access_events", "dead_letters") and chance.random() < 0.5:
        columns = [("offset", "UInt64")]
    name, kind = chance.choice(columns)
    tables = (table, *_FROM_EVENTS) if table == "access_events" else (table,)
    return Change(
        f"insert into {table} with another {name}", tables, [_insertion(store, chance, table, table, name, kind)], store
    )


def _insertion(
    store: TamperedStore, chance: random.Random, table: str, target: str, name: str, kind: str
) -> str:  # fmt: skip
    value = "toUInt64(offset + 1)" if name == "offset" else _other(name, kind)
    columns = [one[0] for one in _columns(store, table)]
    chosen = ", ".join(f"{value} AS {one}" if one == name else one for one in columns)
    return (
        f"INSERT INTO {RAW}.{target} ({', '.join(columns)}) SELECT {chosen} FROM (SELECT * FROM {RAW}.{table} "
        f"WHERE {_row(store, table, chance)} LIMIT 1) SETTINGS prefer_column_name_to_alias = 1, insert_deduplicate = 0"
    )


def copied_row(store: TamperedStore, chance: random.Random, table: str, target: str) -> tuple[str, str]:
    """Which column, and the statement that puts a changed copy of one row into `target`, an empty table."""
    name, kind = chance.choice([one for one in changeable(store, table) if one[0] != "batch_id"])
    return name, _insertion(store, chance, table, target, name, kind)


def partition(store: TamperedStore, chance: random.Random, table: str) -> Change:
    """A partition is taken out, dropped, or replaced by a changed copy."""
    part = chance.choice(store.partitions(table))
    how = chance.choice(("DETACH", "DROP", "REPLACE"))
    if how != "REPLACE" and table in WHOLE:
        return Change(
            f"{how} a partition of {table}", (table,), [f"ALTER TABLE {RAW}.{table} {how} PARTITION ID '{part}'"], store
        )
    other = f"{table}_other"
    name, changed = forge(store, chance, table, other)
    return Change(
        f"REPLACE a partition of {table}, {name}", (table,),
        [
            f"CREATE TABLE {RAW}.{other} AS {RAW}.{table}", *_filled(store, table), changed,
            f"ALTER TABLE {RAW}.{table} REPLACE PARTITION ID '{part}' FROM {RAW}.{other}",
        ],
        store,
    )  # fmt: skip


def _filled(store: TamperedStore, table: str) -> list[str]:
    other = f"{RAW}.{table}_other"
    parts = store.partitions(table)
    return [f"ALTER TABLE {other} REPLACE PARTITION ID '{one}' FROM {RAW}.{table}" for one in parts]


def exchange(store: TamperedStore, chance: random.Random, table: str) -> Change:
    """Another table in its place: an empty one, one that lacks a row, or one that says otherwise."""
    other, how = f"{table}_other", chance.choice(("empty", "short", "forged") if table in WHOLE else ("forged",))
    statements = [f"CREATE TABLE {RAW}.{other} AS {RAW}.{table}"]
    if how != "empty":
        statements += _filled(store, table)
        changed = drop_row(store, chance, table, other) if how == "short" else forge(store, chance, table, other)[1]
        statements.append(changed)
    about = f"EXCHANGE {table} for one that is {how}"
    return Change(about, (table,), [*statements, f"EXCHANGE TABLES {RAW}.{table} AND {RAW}.{other}"], store)


def gone(store: TamperedStore, chance: random.Random, table: str) -> Change:
    """Checkpoints: those of one tree are deleted, and nobody has kept any."""
    number = chance.randrange(PARTITIONS + 1)
    tree = f"topic = '{LOG.topic}'" if number == PARTITIONS else f"topic != '{LOG.topic}' AND partition = {number}"
    sql = f"ALTER TABLE {RAW}.{table} DELETE WHERE {tree} {_WAIT}"
    return Change(f"delete {table} where {tree}", (table,), [sql], store, is_seen_alone=True)


def stolen_key(store: TamperedStore, chance: random.Random, table: str) -> Change:
    """A history written anew from some place on, sealed and signed with the real key."""
    return _forged_log(store, chance) if table == "incident_log" else _forged_tree(store, chance)


def _forged_log(store: TamperedStore, chance: random.Random) -> Change:
    name, changed = forge(store, chance, "incident_log", "incident_log")
    signed = f"ALTER TABLE {RAW}.checkpoints DELETE WHERE topic = '{LOG.topic}' {_WAIT}"
    [(size,)] = store.do(f"SELECT count() FROM {RAW}.incident_log")

    def sign() -> None:
        store.sign(store.log_checkpoint(size), is_kept=False)

    return Change(f"stolen key, {name}", ("incident_log", "checkpoints"), [changed, signed], store, sign)


def _forged_tree(store: TamperedStore, chance: random.Random) -> Change:
    number, cut = chance.randrange(PARTITIONS), chance.randrange(1, BATCHES)
    first = store.batches[number][cut].entry.first_offset
    mine = f"incarnation = '{LIFE}' AND partition = {number} AND topic = 'access.events'"
    tables = ("access_events", "dead_letters", *DERIVED)
    taken = [f"ALTER TABLE {RAW}.{one} DELETE WHERE {mine} AND {_behind(one, first)} {_WAIT}" for one in tables]
    taken += [
        f"ALTER TABLE {RAW}.ledger DELETE WHERE {mine} AND first_offset >= {first} {_WAIT}",
        f"ALTER TABLE {RAW}.checkpoints DELETE WHERE {mine} {_WAIT}",
    ]
    seed = chance.randrange(10**6, 10**7)

    def write() -> None:
        made = store.grown(number, store.batches[number][:cut], BATCHES - cut, seed)
        for one in made[1::2]:
            store.sign(store.checkpoint_of(one), is_kept=False)

    return Change(f"stolen key, batch {cut}", (*tables, "ledger", "checkpoints"), taken, store, write)


def _behind(table: str, first: int) -> str:
    if table in ("risk_actor_1h", "risk_resource_1d", "sources"):
        return f"batch_id IN (SELECT batch_id FROM {RAW}.ledger WHERE first_offset >= {first})"
    return f"offset >= {first}"


_BEHIND_EVERY_LOG = "toUInt64(9223372036854775808)"
_NOBODY = {
    "event_time": "toDateTime64(0, 6, 'UTC')", "received_at": "toDateTime64(0, 6, 'UTC')",
    "actor_token": "toFixedString('', 16)", "risk": "toUInt16(0)", "versions_id": "toFixedString('', 32)",
}  # fmt: skip
ODD: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "ledger": (
        "1",
        {"first_offset": _BEHIND_EVERY_LOG, "last_offset": _BEHIND_EVERY_LOG, "batch_id": "rand64()", "n_alerts": "0"},
    ),
    "incident_log": ("1", {"offset": _BEHIND_EVERY_LOG}),
    "retention_runs": ("stage != 'planned'", {"run_id": "generateUUIDv4()"}),
    "alerts": ("1", {"batch_id": "0", "explanation_en": "'nothing was wrong'"}),
    "features": ("1", {**_NOBODY, "offset": "rand64() % 100000 + 100000"}),
    "incidents": ("1", {"tenant_id": "concat(tenant_id, 'x')", "explanation_en": "'nothing was wrong'"}),
}
"""Of each table which rows are copied, and what of them is changed so that no check of true rows looks at the copy."""


def odd_row(store: TamperedStore, chance: random.Random, table: str) -> Change:
    """A row that no honest writer makes, where nothing looks for it, or beside the true one."""
    which, values = ODD[table]
    columns = [one[0] for one in _columns(store, table)]
    chosen = ", ".join(f"{values[one]} AS {one}" if one in values else one for one in columns)
    sql = (
        f"INSERT INTO {RAW}.{table} ({', '.join(columns)}) SELECT {chosen} FROM (SELECT * FROM {RAW}.{table} "
        f"WHERE {which} ORDER BY cityHash64(tuple(*), {chance.randrange(10**9)}) LIMIT 1) "
        "SETTINGS prefer_column_name_to_alias = 1, insert_deduplicate = 0"
    )
    return Change(f"odd row in {table}", (table,), [sql], store)


Maker = Callable[[TamperedStore, random.Random, str], Change]
KINDS: Mapping[str, tuple[Maker, tuple[str, ...]]] = {
    "update": (update, TABLES),
    "delete": (delete, WHOLE),
    "insert": (insert, TABLES),
    "odd row": (odd_row, tuple(ODD)),
    "partition": (partition, TABLES),
    "exchange": (exchange, TABLES),
    "checkpoints gone": (gone, ("checkpoints",)),
    "stolen key": (stolen_key, ("ledger", "incident_log")),
}
"""Kinds on the running engine, and the tables that each is done to in turn."""
