"""What incident handling and sending keep, on ClickHouse: `IncidentStore` and `DeliveryStore` of
`pipeline/response/roles.py`, as the database role responder.

One connection, so one instance a thread. As in the ledger, rows of the log are written under a token that names the
position of their first one and read back: the first writer wins, and whoever comes second learns it. Incidents, holds
and deliveries replace themselves when they are written again, so each of their inserts has a token of its own: a server
that was killed may know a token whose rows it lost.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.incident_rows import (
    DELIVERY_FIELDS,
    as_stored,
    delivery_columns,
    delivery_row,
    hold_columns,
    incident_columns,
    log_columns,
    log_row,
    selected,
)
from pipeline.column_batch import ColumnBatch
from pipeline.columns import ColumnSpec
from pipeline.config import RESPONDER, ClickHouseSettings
from pipeline.errors import ConfigError, Fenced
from pipeline.incident_columns import DELIVERY_COLUMNS, HOLD_COLUMNS, INCIDENT_COLUMNS, INCIDENT_LOG_COLUMNS
from pipeline.incidents.effects import FreezeEvidence
from pipeline.incidents.model import LogRow, Position
from pipeline.notifications.outcome import DELIVERED, REFUSED, SKIPPED
from pipeline.notifications.policy import DeliveryRow
from pipeline.response.roles import Delivery, IncidentSnapshot

RAW = "accesstrail_raw"
MOST_ROWS = 10_000
"""Rows of one block: one insert is one part of the table, all or none."""
_PAGE_ROWS = 2_000
"""At 32 KiB a row, the most one can have, 64 MiB; at the usual 500 bytes 1 MiB."""
_HERE = "topic = {topic:String} AND incarnation = {incarnation:String} AND partition = {partition:UInt32}"


class ClickHouseIncidents:
    """Both roles on one connection; every method may raise Away, RejectedRow or StoreRefused."""

    def __init__(self, client: ClickHouse) -> None:
        self._client = client

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()

    # -- incidents

    def log_rows(self, topic: str, partition: int) -> Iterator[LogRow]:
        """Every row of the partition's log, one a position, in the order they were consumed; read in pages."""
        lives = self._client.query(
            f"SELECT incarnation FROM {RAW}.incident_log WHERE topic = {{topic:String}} "
            "AND partition = {partition:UInt32} GROUP BY incarnation ORDER BY min(written_at), incarnation",
            {"topic": topic, "partition": partition},
        )
        for (incarnation,) in lives:
            for row, _ in self._stored(Position(topic, incarnation, partition, 0), 2**64 - 1):
                yield row

    def append(
        self,
        rows: Sequence[LogRow],
        snapshots: Sequence[IncidentSnapshot],
        holds: Sequence[FreezeEvidence],
        writer: str,
    ) -> None:
        """Keeps holds and snapshots, then the rows, and reads these back. Raises: Fenced: another writer was first.

        The look before it catches a writer that slept until the table's window of tokens had moved on, and keeps one
        that lost its partition from showing people incidents as it sees them.
        """
        if not 0 < len(rows) <= MOST_ROWS:
            raise ValueError(f"an append is 1 to {MOST_ROWS} rows")
        wanted = list(map(as_stored, rows))
        if self._has(wanted, writer):
            return
        if holds:
            self._replace("evidence_holds", hold_columns(holds), HOLD_COLUMNS)
        if snapshots:
            newest = {one.incident.incident_id: one for one in snapshots}
            self._replace("incidents", incident_columns(list(newest.values())), INCIDENT_COLUMNS)
        first = rows[0].position
        self._client.insert_first(
            f"{RAW}.incident_log", log_columns(rows, writer), INCIDENT_LOG_COLUMNS,
            token=f"incident_log:{first.topic}:{first.incarnation}:{first.partition}:{first.offset}",
            look=lambda: self._has(wanted, writer) or None,
        )  # fmt: skip

    def _has(self, wanted: Sequence[LogRow], writer: str) -> bool:
        """Whether these very rows are in the log. Raises: Fenced: others, or another writer's, are at their places."""
        first, last = wanted[0].position, wanted[-1].position
        found = 0
        for row, wrote in self._stored(first, last.offset):
            if wrote != writer or found == len(wanted) or row != wanted[found]:
                raise _fenced(first)
            found += 1
        if 0 < found < len(wanted):
            raise _fenced(first)
        return bool(found)

    def _stored(self, first: Position, last_offset: int) -> Iterator[tuple[LogRow, str]]:
        """Stored rows of one life from a position on; of a position that was written twice the first."""
        sql = (
            f"SELECT {selected(INCIDENT_LOG_COLUMNS)} FROM {RAW}.incident_log WHERE {_HERE} "
            "AND offset BETWEEN {first:UInt64} AND {last:UInt64} ORDER BY offset, written_at LIMIT 1 BY offset "
            "LIMIT {page:UInt64}"
        )
        place = {"topic": first.topic, "incarnation": first.incarnation, "partition": first.partition}
        offset = first.offset
        while True:
            span = {"first": offset, "last": last_offset, "page": _PAGE_ROWS}
            page = list(map(log_row, self._client.query(sql, {**place, **span})))
            yield from page
            if len(page) < _PAGE_ROWS:
                return
            offset = page[-1][0].position.offset + 1

    # -- deliveries

    def settled_offsets(self, topic: str, incarnation: str, partition: int, from_offset: int) -> Sequence[int]:
        """Offsets from `from_offset` on whose notification is settled, ascending."""
        rows = self._client.query(
            f"SELECT DISTINCT offset FROM {RAW}.deliveries FINAL WHERE {_HERE} AND offset >= {{first:UInt64}} "
            "AND outcome IN ({settled:Array(String)}) ORDER BY offset",
            {"topic": topic, "incarnation": incarnation, "partition": partition, "first": from_offset,
             "settled": [DELIVERED, REFUSED, SKIPPED]},
        )  # fmt: skip
        return [int(offset) for (offset,) in rows]

    def deliveries(self, channel: str, since_us: int) -> Sequence[DeliveryRow]:
        """The channel's rows made since then, in the order they were made; an attempt at two offsets is one."""
        rows = self._client.query(
            f"SELECT {selected(DELIVERY_FIELDS)} FROM {RAW}.deliveries FINAL WHERE channel = {{channel:String}} "
            "AND at >= fromUnixTimestamp64Micro({since:Int64}, 'UTC') "
            "ORDER BY at, offset, attempt LIMIT 1 BY notification_id, attempt",
            {"channel": channel, "since": since_us},
        )
        return list(map(delivery_row, rows))

    def record(self, deliveries: Sequence[Delivery]) -> None:
        """Keeps rows; one that is written again replaces itself."""
        for first in range(0, len(deliveries), MOST_ROWS):
            part = deliveries[first : first + MOST_ROWS]
            self._replace("deliveries", delivery_columns(part), DELIVERY_COLUMNS)

    def _replace(self, table: str, rows: ColumnBatch, specs: Sequence[ColumnSpec]) -> None:
        self._client.insert(f"{RAW}.{table}", rows, specs, token=uuid.uuid4().hex)


def _fenced(first: Position) -> Fenced:
    return Fenced(
        f"partition {first.partition} of {first.topic}: another responder has handled the records from offset "
        f"{first.offset} on; this one begins anew from the store"
    )


def open_incidents(settings: ClickHouseSettings) -> ClickHouseIncidents:
    """The store as the role responder. Raises: ConfigError: its password is not configured."""
    if RESPONDER not in settings.password_files:
        raise ConfigError(["[clickhouse] responder_password_file is missing: responders run as a role of their own"])
    return ClickHouseIncidents(connect(settings, RESPONDER))
