"""ClickHouse behind two methods: insert a block, run a query. One client a thread; disconnect after any error.

Adapter of vendor clickhouse-driver 0.2.11 (native protocol). Its errors become ours by code (`ServerCode`), never by
message: the server's text may hold data. Servers older than the oldest one that was run are refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple, TypeVar

from clickhouse_driver import errors as driver_errors

from pipeline.adapters.block import BlockClient, native_rows
from pipeline.column_batch import ColumnBatch
from pipeline.columns import ColumnSpec
from pipeline.config import GRAFANA, RETENTION, SCHEDULER, ClickHouseSettings
from pipeline.errors import AccesstrailError, Away, RejectedRow, StoreRefused, UsageError

OLDEST_SERVER = (26, 7)
Found = TypeVar("Found")
_INSERT_SETTINGS: Mapping[str, object] = {
    "async_insert": 0,
    # Derived tables beside each other: 44 instead of 64 ms for 2,000 events on two cores.
    "parallel_view_processing": 1,
    # Timestamps of a broker that takes them from producers may lie anywhere; that must not stop a partition for ever.
    "max_partitions_per_insert_block": 0,
}
RAW_DATABASE = "accesstrail_raw"
_PLACE_TOKENS = 4
_LOOK_AGAIN_S, _LONGEST_INSERT_S = 0.02, 20.0
# Every worker is the writer; which table an insert goes to stands in its text, which nobody need see.
_OLDER_INSERTS = (
    "SELECT count() FROM system.processes "
    "WHERE query_kind = 'Insert' AND user = currentUser() AND elapsed >= {age:Float64}"
)


class ServerCode(IntEnum):
    """The server's error codes that we act on; names are the server's own (checked against `system.errors`)."""

    # The content of a block
    CANNOT_PARSE_TEXT = 6
    CANNOT_PARSE_QUOTED_STRING = 26
    CANNOT_PARSE_INPUT_ASSERTION_FAILED = 27
    ATTEMPT_TO_READ_AFTER_EOF = 32
    CANNOT_PARSE_DATE = 38
    CANNOT_PARSE_DATETIME = 41
    TYPE_MISMATCH = 53
    ARGUMENT_OUT_OF_BOUND = 69
    CANNOT_CONVERT_TYPE = 70
    CANNOT_PARSE_NUMBER = 72
    INCORRECT_DATA = 117
    TOO_LARGE_STRING_SIZE = 131
    VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE = 321
    FUNCTION_THROW_IF_VALUE_IS_NON_ZERO = 395
    DECIMAL_OVERFLOW = 407
    VIOLATED_CONSTRAINT = 469
    UNKNOWN_ELEMENT_OF_ENUM = 691
    # The server's own trouble
    CANNOT_WRITE_TO_OSTREAM = 24
    CANNOT_READ_ALL_DATA = 33
    CANNOT_WRITE_TO_FILE_DESCRIPTOR = 75
    CANNOT_OPEN_FILE = 76
    TIMEOUT_EXCEEDED = 159
    TOO_SLOW = 160
    CANNOT_CREATE_DIRECTORY = 172
    CANNOT_ALLOCATE_MEMORY = 173
    DNS_ERROR = 198
    QUOTA_EXCEEDED = 201
    TOO_MANY_SIMULTANEOUS_QUERIES = 202
    NO_FREE_CONNECTION = 203
    SOCKET_TIMEOUT = 209
    NETWORK_ERROR = 210
    NO_ZOOKEEPER = 225
    ABORTED = 236
    MEMORY_LIMIT_EXCEEDED = 241
    TABLE_IS_READ_ONLY = 242
    NOT_ENOUGH_SPACE = 243
    TOO_MANY_PARTS = 252
    ALL_CONNECTION_TRIES_FAILED = 279
    TOO_FEW_LIVE_REPLICAS = 285
    UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE = 286
    CANNOT_WRITE_TO_FILE = 294
    UNKNOWN_STATUS_OF_INSERT = 319
    QUERY_WAS_CANCELLED = 394
    SYSTEM_ERROR = 425
    CANNOT_SCHEDULE_TASK = 439
    DEADLOCK_AVOIDED = 473
    USER_SESSION_LIMIT_EXCEEDED = 700
    SERVER_OVERLOADED = 745
    KEEPER_EXCEPTION = 999
    POCO_EXCEPTION = 1000
    STD_EXCEPTION = 1001


_ROW_CODES = frozenset(
    {
        ServerCode.CANNOT_PARSE_TEXT, ServerCode.CANNOT_PARSE_QUOTED_STRING,
        ServerCode.CANNOT_PARSE_INPUT_ASSERTION_FAILED, ServerCode.ATTEMPT_TO_READ_AFTER_EOF,
        ServerCode.CANNOT_PARSE_DATE, ServerCode.CANNOT_PARSE_DATETIME, ServerCode.TYPE_MISMATCH,
        ServerCode.ARGUMENT_OUT_OF_BOUND, ServerCode.CANNOT_CONVERT_TYPE, ServerCode.CANNOT_PARSE_NUMBER,
        ServerCode.INCORRECT_DATA, ServerCode.TOO_LARGE_STRING_SIZE, ServerCode.VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE,
        ServerCode.FUNCTION_THROW_IF_VALUE_IS_NON_ZERO, ServerCode.DECIMAL_OVERFLOW, ServerCode.VIOLATED_CONSTRAINT,
        ServerCode.UNKNOWN_ELEMENT_OF_ENUM,
    }
)  # fmt: skip
# Every other code we know is trouble of the server's own; codes we do not know stop the partition.
_AWAY_CODES = frozenset(ServerCode) - _ROW_CODES
_SLOW_CODES = frozenset({ServerCode.TIMEOUT_EXCEEDED, ServerCode.TOO_SLOW})
"""Away too, for whoever must go on until it is done; who asks may ask for less."""


def translated(exc: Exception) -> AccesstrailError:
    """Our error for one of the driver's; never repeats the server's text."""
    if isinstance(exc, driver_errors.ServerException):
        code = exc.code
        if code in _SLOW_CODES:
            return Away(
                f"ClickHouse takes longer over this than it may (its code {code}): ask about a shorter time",
                code="store_slow",
            )
        if code in _AWAY_CODES:
            return Away(f"ClickHouse cannot serve now (its code {code}): it is retried", code="store_busy")
        if code in _ROW_CODES:
            return RejectedRow(f"ClickHouse refuses a row (its code {code})")
        return StoreRefused(
            f"ClickHouse refuses the request (its code {code}): check the role's rights "
            "and run `accesstrail migrate --plan`"
        )
    return Away("ClickHouse does not answer: check that it runs and the address in [clickhouse]", code="store_away")


_NETWORK_ERRORS = (driver_errors.Error, OSError, EOFError)


class Measured(NamedTuple):
    """Rows by column, and what they cost: rows read by the server, milliseconds until they were here."""

    names: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    rows_read: int
    elapsed_ms: float


class ClickHouse:
    """One connection as one role. Not thread-safe: one a thread."""

    def __init__(self, settings: ClickHouseSettings, role: str) -> None:
        password = settings.password_files[role].read_text(encoding="utf-8").strip()
        self._client = BlockClient(
            settings.host,
            port=settings.native_port,
            # People name views without a database; writer and migrator name everything in full.
            database=settings.database if role in ("reader", GRAFANA) else "",
            user=role,
            password=password,
            connect_timeout=min(settings.timeout_s, 10),
            send_receive_timeout=settings.timeout_s,
            client_name="accesstrail",
            # The driver's time-out starts again at every sign of progress; the server's does not. A schema change may
            # take as long as it takes, and a scheduled detector has its own limit in its role.
            settings={"server_side_params": True}
            | ({} if role in ("migrator", SCHEDULER, RETENTION) else {"max_execution_time": settings.timeout_s}),
        )
        self._checked = False

    def insert(self, table: str, columns: ColumnBatch, specs: Sequence[ColumnSpec], *, token: str | None) -> bool:
        """One INSERT of one block; the same token within the table's window is stored once.

        Returns whether the server knew the token, in this table or in one that is made from it. It notes a token
        before the rows are in place: killed between the two, it knows a token whose rows it does not have.
        Raises: Away: unknown outcome or busy, repeat unchanged; RejectedRow; StoreRefused.
        """
        if not columns.count:
            return False  # the server answers an empty block with an error
        self._check_server()
        names = ", ".join(f"`{spec.name}`" for spec in specs)
        settings: dict[str, Any] = dict(_INSERT_SETTINGS)
        if token is not None:
            settings["insert_deduplication_token"] = token
        self._client.repeated_blocks = 0
        try:
            self._client.execute(
                f"INSERT INTO {table} ({names}) VALUES", native_rows(columns, specs), settings=settings
            )
        except _NETWORK_ERRORS as exc:
            self._client.disconnect()
            raise translated(exc) from None
        except StoreRefused:
            self._client.disconnect()
            raise
        return self._client.repeated_blocks > 0

    def insert_first(
        self, table: str, columns: ColumnBatch, specs: Sequence[ColumnSpec], *, token: str,
        look: Callable[[], Found | None],
    ) -> Found:  # fmt: skip
        """Writes the one row of a place unless another writer was first; returns what `look` then finds there.

        `token` names the place, so the first writer wins. A server killed at the wrong moment knows a token whose row
        it lost: then every writer goes on to the place's next token, and there too the first one wins, since the row
        before it is there for none of them. A row that another writer is just putting in place is not lost: it is
        waited for. Raises: Away; StoreRefused: the row was accepted and is not there; whatever `look` raises.
        """
        for number in range(_PLACE_TOKENS):
            known = self.insert(table, columns, specs, token=f"{token}:{number}" if number else token)
            found = self._look_again(look) if known else look()
            if found is not None:
                return found
            if not known:
                break
        raise StoreRefused(f"a row of {table} was accepted but is not there: check the table's settings")

    def _look_again(self, look: Callable[[], Found | None]) -> Found | None:
        """What `look` finds, at the latest when no insert of our role runs any more that began before this call.

        The server notes a token before the rows can be seen: another connection may still be putting them in place.
        Raises: Away: such an insert does not end.
        """
        called_s = time.monotonic()
        while True:
            waited_s = time.monotonic() - called_s
            others = self.query(_OLDER_INSERTS, {"age": waited_s})[0][0]
            found = look()
            if found is not None or not others:
                return found
            if waited_s > _LONGEST_INSERT_S:
                raise Away("another connection's insert does not end: it is waited for", code="store_busy")
            time.sleep(_LOOK_AGAIN_S)

    def query(
        self, sql: str, parameters: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        """Rows of one statement; `{name:Type}` in the text is replaced by the server, never by us.

        Raises: Away; StoreRefused: rights, unknown table or a statement it cannot run.
        """
        self._check_server()
        return self._run(sql, parameters, settings)

    def columns(
        self, sql: str, parameters: Mapping[str, object], settings: Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        """The answer of one statement column by column; empty where it has no rows. Raises: as `query`."""
        self._check_server()
        return self._run(sql, parameters, settings, columnar=True)

    def streamed(self, sql: str, rows_at_once: int) -> Iterator[list[bytes]]:
        """The first column of a large answer as bytes, so many rows at a time. Raises: as `query`."""
        self._check_server()
        try:
            settings = {"strings_as_bytes": True, "max_block_size": rows_at_once}
            rows = self._client.execute_iter(sql, settings=settings, chunk_size=rows_at_once)
            for run in rows:
                yield [row[0] for row in run]
        except _NETWORK_ERRORS as exc:
            self._client.disconnect()
            raise translated(exc) from None

    def named_rows(self, sql: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
        """Rows of one statement by column name. Raises: as `query`."""
        self._check_server()
        try:
            rows, columns = self._client.execute(sql, dict(parameters), with_column_types=True)
        except _NETWORK_ERRORS as exc:
            self._client.disconnect()
            raise translated(exc) from None
        names = [name for name, _ in columns]
        return [dict(zip(names, row, strict=True)) for row in rows]

    def measured(
        self, sql: str, parameters: Mapping[str, object], settings: Mapping[str, object] | None = None
    ) -> Measured:
        """Rows of one statement, and what they cost the server. Raises: as `query`."""
        self._check_server()
        begun_s = time.perf_counter()
        try:
            rows, columns = self._client.execute(sql, dict(parameters), with_column_types=True, settings=settings)
        except _NETWORK_ERRORS as exc:
            self._client.disconnect()
            raise translated(exc) from None
        progress = self._client.last_query.progress
        elapsed_ms = (time.perf_counter() - begun_s) * 1000
        return Measured(tuple(name for name, _ in columns), rows, progress.rows if progress else 0, elapsed_ms)

    def query_with_columns(
        self, sql: str, parameters: Mapping[str, object] | None = None
    ) -> tuple[list[tuple[Any, ...]], list[tuple[str, str]]]:
        """Rows and (name, type) of each column of one statement of a person; texts that are no UTF-8 come as bytes.

        Raises: UsageError: the statement cannot be run, in the server's words (they are the person's own).
        """
        self._check_server()
        try:
            rows, columns = self._client.execute(
                sql,
                dict(parameters) if parameters else None,
                with_column_types=True,
                settings={"strings_as_bytes": True},
            )
        except driver_errors.ServerException as exc:
            self._client.disconnect()
            if exc.code in _AWAY_CODES:
                raise translated(exc) from None
            raise UsageError(f"the query cannot be run: {exc.message.splitlines()[0]}") from None
        except _NETWORK_ERRORS as exc:
            self._client.disconnect()
            raise translated(exc) from None
        return rows, columns

    def close(self) -> None:
        """Ends the connection."""
        self._client.disconnect()

    def _run(
        self, sql: str, parameters: Mapping[str, object] | None, settings: Mapping[str, object] | None = None,
        *, columnar: bool = False,
    ) -> list[tuple[Any, ...]]:  # fmt: skip
        given = dict(parameters) if parameters else None
        try:
            result = self._client.execute(sql, given, settings=settings, columnar=columnar)
        except _NETWORK_ERRORS as exc:
            self._client.disconnect()
            raise translated(exc) from None
        return result if isinstance(result, list) else []

    def _check_server(self) -> None:
        if self._checked:
            return
        version = str(self._run("SELECT version()", None)[0][0])
        refuse_old(version)
        self._checked = True


def refuse_old(version: str) -> None:
    """Raises: StoreRefused: the server is older than the oldest one accesstrail was run on."""
    numbers = tuple(int(part) for part in version.split(".")[:2])
    if numbers < OLDEST_SERVER:
        oldest = ".".join(map(str, OLDEST_SERVER))
        raise StoreRefused(f"ClickHouse {version} is too old: accesstrail needs {oldest} or newer", code="old_server")


def connect(settings: ClickHouseSettings, role: str) -> ClickHouse:
    """A connection as one of the roles of `pipeline.roles`; connects at the first use."""
    return ClickHouse(settings, role)
