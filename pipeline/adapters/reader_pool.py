"""Connections of one role, shared by many threads: each question borrows one, an outage is noticed once.

Place in the flow: under everything that reads for the console. Not more connections than `most`: who comes later waits.
While the store is away, questions within the next second are refused at once instead of waiting for a time-out each.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

from pipeline.adapters.clickhouse import ClickHouse, Measured, connect
from pipeline.config import ClickHouseSettings
from pipeline.errors import Away

MOST_CONNECTIONS = 8
LONGEST_QUESTION_S = 15
_REFUSED_FOR_S = 1.0
_LONGEST_WAIT_S = 20.0
IT_ANSWERS = frozenset(("store_busy", "store_slow"))
"""Codes of a store that is there, and cannot answer this question now or in time: no outage."""


class RowQuestions(Protocol):
    """What answers statements with rows, for those who need nothing else of it."""

    def query(
        self, sql: str, parameters: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        """Rows of one statement. Raises: Away; StoreRefused."""
        ...


class Questions(RowQuestions, Protocol):
    """What answers statements: one connection, or several in turns."""

    def named_rows(self, sql: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
        """Rows by column name. Raises: as `query`."""
        ...

    def measured(
        self, sql: str, parameters: Mapping[str, object], settings: Mapping[str, object] | None = None
    ) -> Measured:
        """Rows of one statement, and what they cost the server. Raises: as `query`."""
        ...

    def close(self) -> None:
        """Ends the connections."""
        ...


class ColumnQuestions(Questions, Protocol):
    """What also answers column by column, which costs less where rows are many."""

    def columns(
        self, sql: str, parameters: Mapping[str, object], settings: Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        """The answer by columns; empty where it has no rows. Raises: as `query`."""
        ...


class ReaderPool:
    """`Questions` over several connections. `failed`, `worked`: told of every outage and every answer."""

    def __init__(
        self, settings: ClickHouseSettings, role: str = "reader", *, most: int = MOST_CONNECTIONS,
        failed: Callable[[], object] = lambda: None, worked: Callable[[], object] = lambda: None,
        open_connection: Callable[[ClickHouseSettings, str], ClickHouse] = connect,
    ) -> None:  # fmt: skip
        self._settings = replace(settings, timeout_s=min(settings.timeout_s, LONGEST_QUESTION_S))
        self._role, self._failed, self._worked, self._open = role, failed, worked, open_connection
        self._lock = threading.Lock()
        self._free: list[ClickHouse] = []
        self._room = threading.BoundedSemaphore(most)
        self._refused_until_s = 0.0

    def query(
        self, sql: str, parameters: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        """Rows of one statement. Raises: Away; StoreRefused."""
        with self._borrowed() as connection:
            return connection.query(sql, parameters, settings)

    def named_rows(self, sql: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
        """Rows by column name. Raises: Away; StoreRefused."""
        with self._borrowed() as connection:
            return connection.named_rows(sql, parameters)

    def measured(
        self, sql: str, parameters: Mapping[str, object], settings: Mapping[str, object] | None = None
    ) -> Measured:
        """Rows of one statement, and what they cost the server. Raises: Away; StoreRefused."""
        with self._borrowed() as connection:
            return connection.measured(sql, parameters, settings)

    def columns(
        self, sql: str, parameters: Mapping[str, object], settings: Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        """The answer by columns; empty where it has no rows. Raises: Away; StoreRefused."""
        with self._borrowed() as connection:
            return connection.columns(sql, parameters, settings)

    def close(self) -> None:
        """Ends the connections that nobody has borrowed."""
        with self._lock:
            free, self._free = self._free, []
        for one in free:
            one.close()

    @contextmanager
    def _borrowed(self) -> Iterator[ClickHouse]:
        if time.monotonic() < self._refused_until_s:
            raise _away()
        if not self._room.acquire(timeout=_LONGEST_WAIT_S):
            raise Away("every connection to ClickHouse is busy: it is tried again", code="store_busy")
        try:
            with self._lock:
                connection = self._free.pop() if self._free else None
            connection = connection or self._open(self._settings, self._role)
            try:
                yield connection
            except Away as exc:
                self._noticed(exc)
                raise
            else:
                self._worked()
            finally:
                # A connection that failed has disconnected itself and connects again at its next use.
                with self._lock:
                    self._free.append(connection)
        finally:
            self._room.release()

    def _noticed(self, exc: Away) -> None:
        if exc.code not in IT_ANSWERS:
            self._refused_until_s = time.monotonic() + _REFUSED_FOR_S
            self._failed()


def _away() -> Away:
    return Away("ClickHouse does not answer: check that it runs and the address in [clickhouse]", code="store_away")
