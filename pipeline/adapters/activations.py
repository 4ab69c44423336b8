"""The activation log on ClickHouse: the role `ActivationLog` of `pipeline/ports.py`, as the database role writer.

One connection, so one instance a thread. As in the ledger, a number is written under a token that names the number and
read back: the first writer wins, and everyone sees the same log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.column_batch import Column, ColumnBatch, FixedColumn, Interner, MapColumn, TextColumn, uuid_bytes
from pipeline.columns import ACTIVATION_COLUMNS, ANNOUNCEMENT_COLUMNS
from pipeline.config import ClickHouseSettings
from pipeline.version_sets.sets import Activation

RAW = "accesstrail_raw"
_FIELDS = (
    "topic, number, hex(versions_id), hex(previous_id), hex(files_id), kind, reason, hex(by_token), threshold, "
    "toUnixTimestamp64Micro(activated_at), parts, event"
)


class ClickHouseActivations:
    """One topic's or every topic's activation log; every method may raise Away or StoreRefused."""

    def __init__(self, client: ClickHouse) -> None:
        self._client = client

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()

    def newest(self, topic: str) -> Activation | None:
        """The activation in force."""
        found = self._read(topic, "AND number = (SELECT max(number) FROM {raw}.version_activations WHERE {here})")
        return found[0] if found else None

    def history(self, topic: str) -> Sequence[Activation]:
        """Every activation of a topic, oldest first."""
        return self._read(topic, "")

    def append(self, activation: Activation) -> Activation:
        """Writes the activation at its number and returns what the log holds there: ours, or who was faster."""
        return self._at(activation) or self._client.insert_first(
            f"{RAW}.version_activations", _row(activation), ACTIVATION_COLUMNS,
            token=f"activation:{activation.topic}:{activation.number}", look=lambda: self._at(activation),
        )  # fmt: skip

    def unannounced(self, topic: str) -> Sequence[Activation]:
        """Changes whose access event Kafka has not acknowledged yet, oldest first."""
        condition = "AND event != '' AND number NOT IN (SELECT number FROM {raw}.version_announcements WHERE {here})"
        return self._read(topic, condition)

    def mark_announced(self, activation: Activation) -> None:
        """Kafka has acknowledged the change's access event."""
        texts = Interner()
        rows = ColumnBatch(
            1,
            {
                "topic": TextColumn(np.array([texts[activation.topic]], np.int32), texts),
                "number": FixedColumn(np.array([activation.number], np.uint64)),
            },
        )
        token = f"announced:{activation.topic}:{activation.number}"
        self._client.insert(f"{RAW}.version_announcements", rows, ANNOUNCEMENT_COLUMNS, token=token)

    def _at(self, activation: Activation) -> Activation | None:
        found = self._read(activation.topic, "AND number = {number:UInt64}", {"number": activation.number})
        return found[0] if found else None

    def _read(self, topic: str, condition: str, parameters: Mapping[str, object] | None = None) -> list[Activation]:
        here = "topic = {topic:String}"
        narrowed = condition.replace("{raw}", RAW).replace("{here}", here)
        sql = (
            f"SELECT {_FIELDS} FROM {RAW}.version_activations WHERE {here} {narrowed} "  # noqa: S608  our own text
            "ORDER BY number, written_at LIMIT 1 BY number"
        )
        return [_activation(row) for row in self._client.query(sql, {"topic": topic, **(parameters or {})})]


def _activation(row: Sequence[Any]) -> Activation:
    topic, number, versions, previous, files, kind, reason, by, threshold, at_us, parts, event = row
    return Activation(
        topic=topic, number=number, versions_id=bytes.fromhex(versions), previous_id=bytes.fromhex(previous),
        files_id=bytes.fromhex(files), kind=kind, reason=reason, by_token=bytes.fromhex(by), threshold=threshold,
        activated_at_us=at_us, parts=dict(parts), event=event,
    )  # fmt: skip


def _row(activation: Activation) -> ColumnBatch:
    texts = Interner()
    special: dict[str, Any] = {
        "activated_at": activation.activated_at_us,
        "event_id": uuid_bytes(activation.event_id),
    }
    columns: dict[str, Column] = {}
    for spec in ACTIVATION_COLUMNS:
        value = special[spec.name] if spec.name in special else getattr(activation, spec.name)
        if isinstance(value, Mapping):
            pairs = sorted(value.items())
            keys, items = (texts.ids((pair[place] for pair in pairs), len(pairs)) for place in (0, 1))
            columns[spec.name] = MapColumn(
                np.array([len(pairs)], np.int64), TextColumn(keys, texts), TextColumn(items, texts)
            )
        elif isinstance(value, str):
            columns[spec.name] = TextColumn(np.array([texts[value]], np.int32), texts)
        elif isinstance(value, bytes):
            columns[spec.name] = FixedColumn(np.array([np.void(value)]))
        else:
            columns[spec.name] = FixedColumn(np.array([value], spec.dtype))
    return ColumnBatch(1, columns)


def open_activations(settings: ClickHouseSettings) -> ClickHouseActivations:
    """The activation log as the role writer, with a connection of its own."""
    return ClickHouseActivations(connect(settings, "writer"))
