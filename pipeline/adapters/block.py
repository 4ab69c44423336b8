"""Writes columns as one block of ClickHouse's native format, without the driver's column writers.

The driver spends 10–14 µs an event turning Python lists into bytes; here the arrays already are the bytes. The driver
stays the protocol client (`adapters/clickhouse.py`): it sends the query, hands us the server's sample block, whose
names and types are compared with ours (any difference is refused), and reads what the server answers.
Format: for each column its name, type, a zero byte (no custom serialisation) and its data; LowCardinality data are
version 1 (UInt64, once a column, before an array's offsets), then flags 0x600 | index width, dictionary, indexes.
Private names of clickhouse-driver 0.2.11 are used (pinned; `tests/contracts` fails when one moves).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from clickhouse_driver import Client
from clickhouse_driver.block import BaseBlock, BlockInfo, ColumnOrientedBlock
from clickhouse_driver.protocol import ClientPacketTypes, ServerPacketTypes
from clickhouse_driver.varint import write_varint
from clickhouse_driver.writer import write_binary_str

from pipeline.column_batch import ArrayColumn, Column, ColumnBatch, FixedColumn, MapColumn, TextColumn, leb128
from pipeline.columns import ColumnSpec
from pipeline.errors import StoreRefused

_LOW_CARDINALITY_VERSION = struct.pack("<Q", 1)
_HAS_ADDITIONAL_KEYS = 0x600
_REPEATED = "DuplicatedInsertedBlocks"
_INDEX_WIDTHS = ((1 << 8, 0, "<u1"), (1 << 16, 1, "<u2"), (1 << 32, 2, "<u4"))


class NativeRows(list[Any]):
    """A block ready to be sent; a list because the driver asks for one."""

    def __init__(self, layout: Sequence[tuple[str, str]], count: int, body: bytes) -> None:
        super().__init__()
        self.layout, self.row_count, self.body = list(layout), count, body


class BlockClient(Client):  # type: ignore[misc]  # the driver ships no types
    """The driver's client that also sends a `NativeRows` and hears whether the server had a block already."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  the driver's own signature
        super().__init__(*args, **kwargs)
        self.repeated_blocks = 0
        """How many blocks, views' included, the server has called repetitions of known tokens since this was set."""
        receive = self.connection.receive_packet

        def receive_packet() -> Any:  # noqa: ANN401  the driver's packet
            packet = receive()
            if packet.type == ServerPacketTypes.PROFILE_EVENTS:
                self.repeated_blocks += _counted(packet.block, _REPEATED)
            return packet

        self.connection.receive_packet = receive_packet

    def send_data(
        self,
        sample_block: BaseBlock,
        data: Any,  # noqa: ANN401  whatever else the driver takes
        types_check: bool = False,
        columnar: bool = False,
    ) -> int:
        """Sends the rows of an INSERT. Raises: StoreRefused: the table's columns are not ours."""
        if not isinstance(data, NativeRows):
            return int(super().send_data(sample_block, data, types_check=types_check, columnar=columnar))
        wanted = [(name, kind) for name, kind in sample_block.columns_with_types]
        if wanted != data.layout:
            different = next(
                (a for a, b in zip(wanted, data.layout, strict=False) if a != b), ("number of columns", "")
            )
            raise StoreRefused(
                f"the store's table differs from ours at {different[0]}: run `accesstrail migrate --plan`"
            )
        out = self.connection.fout
        write_varint(ClientPacketTypes.DATA, out)
        write_binary_str("", out)
        BlockInfo().write(out)
        write_varint(len(data.layout), out)
        write_varint(data.row_count, out)
        out.write(data.body)
        out.flush()
        self.receive_profile_events()
        self.connection.send_data(ColumnOrientedBlock())
        self.receive_profile_events()
        return data.row_count


def _counted(block: BaseBlock, name: str) -> int:
    """The sum of one of the server's counters over a block of profile events."""
    names = [column for column, _ in block.columns_with_types]
    if not {"name", "value"} <= set(names):
        return 0
    at, value = names.index("name"), names.index("value")
    return sum(int(row[value]) for row in block.get_rows() if row[at] == name)


def native_block(columns: ColumnBatch, specs: Sequence[ColumnSpec]) -> bytes:
    """The rows as one block of the file format Native, which has no byte for custom serialisation."""
    parts: list[bytes] = [leb128(len(specs)), leb128(columns.count)]
    for spec in specs:
        for text in (spec.name, spec.type):
            raw = text.encode()
            parts += (leb128(len(raw)), raw)
        _write(columns.columns[spec.name], spec, parts)
    return b"".join(parts)


def native_rows(columns: ColumnBatch, specs: Sequence[ColumnSpec]) -> NativeRows:
    """The rows as one block of the native format, columns in the order of `specs`."""
    parts: list[bytes] = []
    for spec in specs:
        for text in (spec.name, spec.type):
            raw = text.encode()
            parts += (leb128(len(raw)), raw)
        parts.append(b"\0")
        _write(columns.columns[spec.name], spec, parts)
    return NativeRows([(spec.name, spec.type) for spec in specs], columns.count, b"".join(parts))


def _write(column: Column, spec: ColumnSpec, parts: list[bytes]) -> None:
    if isinstance(column, FixedColumn):
        parts.append(_raw(column.values, spec.dtype))
    elif isinstance(column, TextColumn):
        if spec.type.startswith("LowCardinality"):
            parts.append(_LOW_CARDINALITY_VERSION)
        _write_texts(column, parts, low_cardinality=spec.type.startswith("LowCardinality"))
    elif isinstance(column, ArrayColumn):
        low = "LowCardinality" in spec.type
        if low:
            parts.append(_LOW_CARDINALITY_VERSION)
        parts.append(_raw(column.ends, np.dtype("<u8")))
        if isinstance(column.items, FixedColumn):
            parts.append(_raw(column.items.values, spec.dtype))
        else:
            _write_texts(column.items, parts, low_cardinality=low)
    else:
        _write_map(column, spec, parts)


def _write_map(column: MapColumn, spec: ColumnSpec, parts: list[bytes]) -> None:
    low = spec.type.startswith("Map(LowCardinality")
    if low:
        parts.append(_LOW_CARDINALITY_VERSION)
    parts.append(_raw(column.ends, np.dtype("<u8")))
    _write_texts(column.keys, parts, low_cardinality=low)
    if isinstance(column.values, FixedColumn):
        parts.append(_raw(column.values.values, np.dtype("<u4" if spec.type.endswith("UInt32)") else "<f8")))
    else:
        _write_texts(column.values, parts, low_cardinality=False)


def _raw(values: npt.NDArray[np.generic], dtype: np.dtype[np.generic]) -> bytes:
    return values.astype(dtype, copy=False).tobytes()


def _write_texts(column: TextColumn, parts: list[bytes], *, low_cardinality: bool) -> None:
    encoded = column.interner.encoded
    if not low_cardinality:
        parts.append(b"".join(map(encoded.__getitem__, column.ids.tolist())))
        return
    if not len(column.ids):
        return
    dictionary, indexes = _dictionary(column)
    code, width = next((code, width) for limit, code, width in _INDEX_WIDTHS if len(dictionary) <= limit)
    parts.append(struct.pack("<QQ", _HAS_ADDITIONAL_KEYS | code, len(dictionary)))
    parts.append(b"".join(map(encoded.__getitem__, dictionary.tolist())))
    parts.append(struct.pack("<Q", len(column.ids)))
    parts.append(indexes.astype(width).tobytes())


def _dictionary(column: TextColumn) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.int_]]:
    """The ids that occur, ascending, and the place of each row's id among them; by a table, sorting costs more."""
    used = np.zeros(int(column.ids.max()) + 1, np.bool_)
    used[column.ids] = True
    dictionary = np.flatnonzero(used)
    places = np.empty(len(used), np.int64)
    places[dictionary] = np.arange(len(dictionary))
    return dictionary, places[column.ids]
