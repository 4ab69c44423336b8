"""The engine of the chdb-core wheel in this process: what `accesstrail score` runs the scheduled detectors' SQL in.

Adapter of vendor chdb-core. Tables have the names of the views that a server's readers use, and only the columns that
the detectors read. Rows come in as blocks of the format Native, as the stages made them; tables lie in a temporary
folder, so memory stays bounded whatever the number of events. One engine a process.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from detectors.scheduled.base import Value
from detectors.scheduled.sql import EVENT_COLUMNS
from pipeline.adapters.block import native_block
from pipeline.column_batch import ColumnBatch
from pipeline.columns import ACCESS_EVENT_COLUMNS, WORK_ITEM_COLUMNS, ColumnSpec
from pipeline.errors import StoreRefused

DATABASE = "accesstrail"
_ROWS_AT_ONCE = 50_000
_MEMORY_BYTES = 768 << 20
_SETTINGS: Mapping[str, int] = {
    "max_memory_usage": _MEMORY_BYTES,
    "max_bytes_before_external_group_by": 192 << 20,
    "max_bytes_before_external_sort": 192 << 20,
    "max_threads": 2,
    "max_insert_threads": 1,
    # A join copies arrays to each of its rows: few rows at once.
    "max_joined_block_size_rows": 512,
    "output_format_json_quote_64bit_integers": 0,
}
_BY_NAME = {spec.name: spec for spec in ACCESS_EVENT_COLUMNS}
_TABLES: Mapping[str, tuple[Sequence[ColumnSpec], str]] = {
    "access_events": (tuple(_BY_NAME[name] for name in EVENT_COLUMNS), "event_time"),
    "work_items": (WORK_ITEM_COLUMNS, "tenant_id, actor_token"),
}


_BY_PERSON = f"CREATE OR REPLACE VIEW {DATABASE}.person_events AS SELECT * FROM {DATABASE}.access_events"  # noqa: S608  our own text


class EmbeddedEngine:
    """Use as a context manager. Role `schedule.findings.QueryEngine`."""

    def __enter__(self) -> EmbeddedEngine:
        """Starts the engine over empty tables in a new temporary folder."""
        self._folder = tempfile.mkdtemp(prefix="accesstrail-")
        self._waiting: dict[str, list[bytes]] = {name: [] for name in _TABLES}
        self._waiting_rows = dict.fromkeys(_TABLES, 0)
        self._session, self._error = open_session(self._folder, _SETTINGS)
        self._session.query(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
        self.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the engine and removes its folder."""
        self._session.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def clear(self) -> None:
        """Makes all tables empty."""
        for name, (specs, order) in _TABLES.items():
            columns = ", ".join(f"`{spec.name}` {spec.type}" for spec in specs)
            self._session.query(f"DROP TABLE IF EXISTS {DATABASE}.{name} SYNC")
            self._session.query(f"CREATE TABLE {DATABASE}.{name} ({columns}) ENGINE = MergeTree ORDER BY ({order})")
            self._waiting[name], self._waiting_rows[name] = [], 0
        # Files are judged under one key: everybody has one token.
        self._session.query(_BY_PERSON)

    def add_events(self, rows: ColumnBatch) -> None:
        """Takes judged events; any column beyond those the detectors read is left out."""
        self._add("access_events", rows)

    def add_work_items(self, rows: ColumnBatch) -> None:
        """Takes work items."""
        self._add("work_items", rows)

    def rows(self, sql: str, parameters: Mapping[str, Value]) -> list[dict[str, Any]]:
        """The rows of one query by column name.

        Raises: StoreRefused: the engine cannot run it (its words hold no data of ours: they are not repeated).
        """
        for name in _TABLES:
            self._send(name)
        texts = {name: _text(value) for name, value in parameters.items()}
        try:
            answer = self._session.query(sql, "JSONEachRow", params=texts)
        except self._error as exc:
            code = str(exc).partition("Code: ")[2].partition(".")[0]
            raise StoreRefused(f"the embedded engine cannot run a detector (its code {code or 'unknown'})") from exc
        return [json.loads(line) for line in answer.bytes().splitlines()]

    def _add(self, table: str, rows: ColumnBatch) -> None:
        if not rows.count:
            return
        self._waiting[table].append(native_block(rows, _TABLES[table][0]))
        self._waiting_rows[table] += rows.count
        if self._waiting_rows[table] >= _ROWS_AT_ONCE:
            self._send(table)

    def _send(self, table: str) -> None:
        if not self._waiting[table]:
            return
        with self._session.send_insert(f"INSERT INTO {DATABASE}.{table}", "Native") as insert:
            for block in self._waiting[table]:
                insert.append(block)
            insert.finish()
        self._waiting[table], self._waiting_rows[table] = [], 0


def _text(value: Value) -> str:
    """A parameter as the engine reads it."""
    if isinstance(value, str | int):
        return str(value)
    return "[" + ",".join(str(one) if isinstance(one, int) else _quoted(one) for one in value) + "]"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def open_session(folder: str, settings: Mapping[str, int]) -> tuple[Any, type[Exception]]:
    """A session of the engine with its data in the folder, and the error that it raises."""
    with _within(folder):  # the import obeys a config.xml of the current directory
        from chdb import session
        from chdb._exceptions import ChdbError

        untyped: Any = session.Session
        opened = untyped(os.path.join(folder, "data"))
    for name, value in settings.items():
        opened.query(f"SET {name} = {value}")
    return opened, ChdbError


@contextlib.contextmanager
def _within(folder: str) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
