"""Row: the position of each event, the canonical bytes of each row, and the mark of the batch that seals it.

Place in the flow: the last pure stage. Canonical bytes are ClickHouse's `RowBinary` of the evidence columns in declared
order (`pipeline/columns.py`), so that the server can recompute every leaf itself:
`SHA256(concat(char(0), formatRow('RowBinary', …)))`. Fixed-width columns come first in that order: they are packed
once for the whole batch, and only texts, lists and maps are put together row by row.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.columns import (
    CANON_VERSION,
    ArrayColumn,
    Column,
    ColumnBatch,
    ColumnSpec,
    FixedColumn,
    Interner,
    MapColumn,
    TextColumn,
    evidence,
    leb128,
)
from pipeline.events import LEAF_KINDS, RecordBatch, codes
from pipeline.ledger.leaf import leaf_hash
from pipeline.ports import LedgerEntry

_LEAF_CODES = codes(LEAF_KINDS)
_SHORT_LENGTHS = [leb128(number) for number in range(1024)]


def place(columns: ColumnBatch, records: RecordBatch, rows: npt.NDArray[np.int64], kind: str = "event") -> None:
    """Fills the position columns: `rows` (n,) is the index of each row's record in the batch."""
    count, position = columns.count, records.position
    names = Interner()
    columns.columns.update(
        {
            "leaf_kind": FixedColumn(np.full(count, _LEAF_CODES[kind], np.int8)),
            "canon_version": FixedColumn(np.full(count, CANON_VERSION, np.uint8)),
            "partition": FixedColumn(np.full(count, position.partition, np.uint32)),
            "offset": FixedColumn(records.offsets[rows].astype(np.uint64)),
            "received_at": FixedColumn(records.received_at_us[rows]),
            "topic": TextColumn(np.full(count, names[position.topic], np.int32), names),
            "incarnation": TextColumn(np.full(count, names[position.incarnation], np.int32), names),
        }
    )


def canonical_rows(columns: ColumnBatch, specs: Sequence[ColumnSpec]) -> list[bytes]:
    """RowBinary of the evidence columns of each row, in declared order; (n,) byte strings."""
    parts: list[Iterator[bytes]] = []
    for kind, group in itertools.groupby(evidence(tuple(specs)), lambda spec: _part_of(columns, spec)):
        if kind == "fixed":
            parts.append(_packed(columns, list(group)))
        elif kind == "constant":
            same = b"".join(_same_in_all(columns.columns[spec.name]) or b"" for spec in group)
            parts.append(itertools.repeat(same, columns.count))
        else:
            parts += (_encoded(columns.columns[spec.name]) for spec in group)
    return list(map(b"".join, zip(*parts, strict=True)))


def _part_of(columns: ColumnBatch, spec: ColumnSpec) -> str:
    if spec.kind == "fixed":
        return "fixed"
    return "varying" if _same_in_all(columns.columns[spec.name]) is None else "constant"


def _same_in_all(column: Column) -> bytes | None:
    """The bytes that a column has in every row, where it has the same: many columns are empty in a whole batch."""
    if isinstance(column, TextColumn):
        first = int(column.ids[0]) if len(column.ids) else 0
        return column.interner.encoded[first] if (column.ids == first).all() else None
    if isinstance(column, ArrayColumn | MapColumn) and not (len(column.ends) and column.ends[-1]):
        return b"\0"  # a list or map of length zero
    return None


def _packed(columns: ColumnBatch, specs: Sequence[ColumnSpec]) -> Iterator[bytes]:
    """Neighbouring fixed-width columns as one structured array, a slice a row."""
    dtype = np.dtype([(spec.name, spec.dtype) for spec in specs])
    table = np.zeros(columns.count, dtype)
    for spec in specs:
        table[spec.name] = columns.fixed(spec.name).astype(spec.dtype, copy=False)
    raw, width = table.tobytes(), dtype.itemsize
    return (raw[start : start + width] for start in range(0, len(raw), width))


def _encoded(column: Column) -> Iterator[bytes]:
    if isinstance(column, TextColumn):
        return map(column.interner.encoded.__getitem__, column.ids.tolist())
    if isinstance(column, ArrayColumn):
        return _encoded_lists(column)
    if isinstance(column, MapColumn):
        return _encoded_maps(column)
    raise TypeError(f"{type(column).__name__} is packed, not encoded")


def _length(number: int) -> bytes:
    return _SHORT_LENGTHS[number] if number < len(_SHORT_LENGTHS) else leb128(number)


def _encoded_lists(column: ArrayColumn) -> Iterator[bytes]:
    if isinstance(column.items, TextColumn):
        items = list(map(column.items.interner.encoded.__getitem__, column.items.ids.tolist()))
        start = 0
        for end in column.ends.tolist():
            yield _length(end - start) + b"".join(items[start:end])
            start = end
        return
    raw, width = column.items.values.tobytes(), column.items.values.dtype.itemsize
    start = 0
    for end in column.ends.tolist():
        yield _length(end - start) + raw[start * width : end * width]
        start = end


def _encoded_maps(column: MapColumn) -> Iterator[bytes]:
    assert isinstance(column.values, TextColumn)  # noqa: S101  evidence has no numbers in maps
    keys = list(map(column.keys.interner.encoded.__getitem__, column.keys.ids.tolist()))
    values = list(map(column.values.interner.encoded.__getitem__, column.values.ids.tolist()))
    start = 0
    for end in column.ends.tolist():
        pairs = (part for pair in zip(keys[start:end], values[start:end], strict=True) for part in pair)
        yield _length(end - start) + b"".join(pairs)
        start = end


def offset_leaves(columns: ColumnBatch, specs: Sequence[ColumnSpec]) -> list[tuple[int, bytes]]:
    """(Kafka offset, leaf hash) of each row."""
    leaves = map(leaf_hash, canonical_rows(columns, specs))
    return list(zip(columns.fixed("offset").tolist(), leaves, strict=True))


def seal_columns(columns: ColumnBatch, entry: LedgerEntry, retention_class: str) -> None:
    """Writes into every row which batch it belongs to; not evidence, but what readers' views filter by."""
    count = columns.count
    names = Interner()
    columns.columns.update(
        {
            "batch_id": FixedColumn(np.full(count, entry.batch_id, np.uint64)),
            "batch_first_offset": FixedColumn(np.full(count, entry.first_offset, np.uint64)),
            "batch_last_offset": FixedColumn(np.full(count, entry.last_offset, np.uint64)),
            "retention_class": TextColumn(np.full(count, names[retention_class], np.int32), names),
        }
    )
