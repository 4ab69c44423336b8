"""The real engine with the product's own schema in this process: what every panel's SQL is proved on.

The engine of the chdb-core wheel takes the numbered migrations as they are, except that its only user is the definer of
every view. Rows are written into the raw tables, so that derived tables and views are made as on a server.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple

from pipeline.adapters.embedded import open_session
from pipeline.migrations.schema import PUBLIC, RAW
from pipeline.migrations.steps import DATABASES, MIGRATIONS_TABLE, STEPS

_DEFINER = "DEFINER = migrator SQL SECURITY DEFINER"
_SETTINGS = {"max_threads": 2, "output_format_json_quote_64bit_integers": 0, "use_query_condition_cache": 0}
_KEPT = ("schema_migrations",)


class Answer(NamedTuple):
    """Names and types of columns, rows, and how many rows were read for them."""

    names: list[str]
    types: list[str]
    rows: list[list[Any]]
    rows_read: int


class PanelEngine:
    """Use as a context manager; one at a time in a process."""

    def __enter__(self) -> PanelEngine:
        """Starts the engine in a new folder and applies every migration."""
        self._folder = tempfile.mkdtemp(prefix="panels-")
        self._session, _ = open_session(self._folder, _SETTINGS)
        for statement in (*DATABASES, MIGRATIONS_TABLE, *(text for _, _, text in STEPS)):
            self.run(statement.replace(_DEFINER, ""))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the engine and removes its folder."""
        self._session.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, sql: str) -> None:
        """One statement that answers nothing."""
        self._session.query(sql)

    def clear(self) -> None:
        """Makes all tables empty."""
        names = self.ask(
            "SELECT name FROM system.tables WHERE database = {d:String} AND engine LIKE '%MergeTree'", {"d": RAW}
        )
        for (name,) in names.rows:
            if name not in _KEPT:
                self.run(f"TRUNCATE TABLE {RAW}.{name}")
        self.follow_links()

    def follow_links(self) -> None:
        """What the server does each minute: takes up which tokens are one person's."""
        self.run(f"SYSTEM REFRESH VIEW {RAW}.token_canon_fill")
        self.run(f"SYSTEM WAIT VIEW {RAW}.token_canon_fill")

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows of a raw table by column name; what is left out is the column's default."""
        if rows:
            lines = "\n".join(json.dumps(row) for row in rows)
            self.run(f"INSERT INTO {RAW}.{table} FORMAT JSONEachRow\n{lines}")

    def ask(self, sql: str, values: Mapping[str, object]) -> Answer:
        """The answer of one statement, in the public database as the role reader is."""
        texts = {name: str(value) for name, value in values.items()}
        answer = self._session.query(sql, "JSONCompactEachRowWithNamesAndTypes", params=texts)
        names, types, *rows = [json.loads(line) for line in answer.bytes().splitlines()] or [[], []]
        return Answer(names, types, rows, answer.storage_rows_read())

    @property
    def views(self) -> set[str]:
        """What readers may read."""
        found = self.ask("SELECT name FROM system.tables WHERE database = {d:String}", {"d": PUBLIC})
        return {name for (name,) in found.rows}
