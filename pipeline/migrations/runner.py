"""Applies the numbered steps: forward only, one statement a step, each safe to repeat, none edited afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.config import Settings
from pipeline.errors import StoreRefused
from pipeline.migrations.schema import RAW
from pipeline.migrations.steps import DATABASES, MIGRATIONS_TABLE, STEPS


@dataclass(frozen=True, slots=True)
class Step:
    """One statement and whether the store has it."""

    number: int
    name: str
    sql: str
    applied: bool

    @property
    def checksum(self) -> str:
        """SHA-256 of the statement, hex."""
        return checksum(self.sql)


def checksum(sql: str) -> str:
    """SHA-256 of a statement, hex."""
    return sha256(sql.encode()).hexdigest()


def plan(store: ClickHouse) -> list[Step]:
    """Every step and whether it was applied.

    Raises: StoreRefused: an applied step reads otherwise here, or the store has steps this version does not know.
    """
    applied = _applied(store)
    for number, name, sql in STEPS:
        if applied.get(number, checksum(sql)) != checksum(sql):
            raise StoreRefused(
                f"schema step {number} ({name}) was applied with another text: this store belongs to another version",
                code="schema_changed",
            )
    if applied and max(applied) > len(STEPS):
        raise StoreRefused("the store's schema is newer than this version: upgrade accesstrail", code="schema_newer")
    return [Step(number, name, sql, number in applied) for number, name, sql in STEPS]


def _applied(store: ClickHouse) -> dict[int, str]:
    known = store.query(
        "SELECT count() FROM system.tables WHERE database = {database:String} AND name = 'schema_migrations'",
        {"database": RAW},
    )
    if not known or not known[0][0]:
        return {}
    return {
        int(number): str(text)
        for number, text in store.query(f"SELECT number, checksum FROM {RAW}.schema_migrations FINAL")
    }


def apply_all(settings: Settings, *, progress: Callable[[str], None] = lambda text: None) -> list[str]:
    """Applies what is missing as the role migrator; returns the names of the steps it applied.

    A crash between a statement and its record is safe: every statement may be repeated.
    """
    store = connect(settings.clickhouse, "migrator")
    try:
        for sql in (*DATABASES, MIGRATIONS_TABLE):
            store.query(sql)
        done: list[str] = []
        for step in plan(store):
            if step.applied:
                continue
            store.query(step.sql)
            store.query(
                f"INSERT INTO {RAW}.schema_migrations (number, name, checksum) "
                "SELECT {number:UInt32}, {name:String}, {checksum:String}",
                {"number": step.number, "name": step.name, "checksum": step.checksum},
            )
            progress(f"{step.number} {step.name}")
            done.append(step.name)
        return done
    finally:
        store.close()
