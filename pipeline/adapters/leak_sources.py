"""Everything that is at rest, as bytes: tables, the engine's own logs, topics, files; what `accesstrail scan` reads.

Place in the flow: under that command. Each source is a place and chunks that are read as they are searched, so memory
stays bounded. What is compressed is looked into as well: a snapshot of a profile, an export, a log that was put away.
Left out is where raw identifiers belong: the topic of access events and the broker's files under it, the company's own
directory, keys and secrets.
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import zstandard

from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.kafka import TopicAdmin
from pipeline.adapters.kafka_log import LogReader
from pipeline.config import VAULT, Settings

_CHUNK_BYTES = 1 << 20
_ROWS_AT_ONCE = 2_000
_ZSTD, _GZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b"
_LONGEST_UNPACKED_BYTES = 1 << 30
_NO_FILES = ("clickhouse", "kafka", "directory", "keys", "secrets")
"""Folders of a state folder that are not read as files: tables and topics are read by their servers."""
_ROLES = {"accesstrail_raw": "writer", "accesstrail_vault": VAULT}
_READABLE = ("String", "UUID", "IPv6", "Enum")


@dataclass(frozen=True, slots=True)
class Source:
    """A place, for people, and what is in it."""

    place: str
    chunks: Iterable[bytes]


class Readable(Protocol):
    """A file or what unpacks one."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at its end."""
        ...


def table_sources(settings: Settings, *, texts_only: bool) -> Iterator[Source]:
    """Every column of every table, each database as the role that may read it. Raises: Away; StoreRefused.

    `texts_only`: leaves numbers out, which look like personal numbers by chance.
    """
    roles = {name: role for name, role in _ROLES.items() if role in settings.clickhouse.password_files}
    for database, role in (*roles.items(), ("system", "migrator")):
        client = connect(settings.clickhouse, role)
        try:
            for table, column, kind in _columns(settings, database):
                if not texts_only or any(word in kind for word in _READABLE):
                    yield Source(f"table {database}.{table} column {column}", _column(client, database, table, column))
        finally:
            client.close()


def _columns(settings: Settings, database: str) -> list[tuple[str, str, str]]:
    migrator = connect(settings.clickhouse, "migrator")
    try:
        only = "AND table LIKE '%\\_log'" if database == "system" else "AND table NOT LIKE '.inner%'"
        return migrator.query(
            "SELECT table, name, type FROM system.columns WHERE database = {database:String} AND table NOT IN "
            "(SELECT name FROM system.tables WHERE database = {database:String} AND engine LIKE '%View') "
            f"{only} ORDER BY table, position",
            {"database": database},
        )
    finally:
        migrator.close()


def _column(client: ClickHouse, database: str, table: str, column: str) -> Iterator[bytes]:
    """The column's values, a line each; packed ones unpacked behind them."""
    rows = client.streamed(f"SELECT toString(`{column}`) FROM `{database}`.`{table}`", _ROWS_AT_ONCE)
    for run in rows:
        yield b"\n".join([*run, b""])
        for value in run:
            yield from _unpacked(value)


def topic_sources(settings: Settings) -> Iterator[Source]:
    """Every topic but that of access events. Raises: Away."""
    admin, log = TopicAdmin(settings.kafka.bootstrap_servers), LogReader(settings.kafka.bootstrap_servers)
    try:
        for topic in (settings.kafka.incidents_topic, settings.kafka.notifications_topic):
            facts = admin.describe(topic)
            if facts is not None:
                bounds = admin.partition_bounds(topic, range(facts.partitions))
                for partition, has in bounds.items():
                    if has.end_offset > has.first_offset:
                        records = _records(log, topic, partition, has.first_offset, has.end_offset)
                        yield Source(f"topic {topic} partition {partition}", records)
    finally:
        log.close()
        admin.close()


def _records(log: LogReader, topic: str, partition: int, first: int, end: int) -> Iterator[bytes]:
    for run in log.read(topic, partition, first, end - 1):
        for record in run:
            headers = [value for _, value in record.headers or () if value]
            yield b"\n".join([record.key or b"", record.value or b"", *headers, b""])
            yield from _unpacked(record.value or b"")


def file_sources(state: Path, more: Sequence[Path]) -> Iterator[Source]:
    """Files under the state folder, and other files or folders that were named."""
    for root in (state, *more):
        for folder, folders, names in os.walk(root):
            if Path(folder) == state:
                folders[:] = [name for name in folders if name not in _NO_FILES]
            folders.sort()
            for name in sorted(names):
                path = Path(folder, name)
                if path.is_file() and not path.is_symlink():
                    yield Source(f"file {path}", _file(path))
        if root.is_file():
            yield Source(f"file {root}", _file(root))


def _file(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            first = file.read(4)
            file.seek(0)
            yield from _pieces(file)
            if first.startswith((_ZSTD, _GZIP)):
                file.seek(0)
                yield b"\n"
                yield from _opened(file, first)
    except FileNotFoundError:  # put away meanwhile
        return


def _unpacked(value: bytes) -> Iterator[bytes]:
    if value.startswith((_ZSTD, _GZIP)):
        yield from _opened(io.BytesIO(value), value)
        yield b"\n"


def _opened(file: IO[bytes], first: bytes) -> Iterator[bytes]:
    try:
        if first.startswith(_ZSTD):
            yield from _pieces(zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))
        else:
            yield from _pieces(gzip.GzipFile(fileobj=file))
    except (zstandard.ZstdError, zlib.error, OSError, EOFError):  # it only looked so
        return


def _pieces(file: Readable) -> Iterator[bytes]:
    left = _LONGEST_UNPACKED_BYTES
    while left > 0 and (piece := file.read(_CHUNK_BYTES)):
        left -= len(piece)
        yield piece
