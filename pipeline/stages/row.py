"""Row: the position of each event, the canonical bytes of each row, and the mark of the batch that seals it.

Place in the flow: the last pure stage. Canonical bytes are ClickHouse's `RowBinary` of the evidence columns in declared
order (`pipeline/columns.py`), so that the server can recompute every leaf itself:
`SHA256(concat(char(0), formatRow('RowBinary', …)))`. Fixed-width columns come first in that order: they are packed
once for the whole batch, columns that are the same in every row are written once, the rest is assembled by kernels.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from pipeline.column_batch import ArrayColumn, Column, ColumnBatch, FixedColumn, Interner, MapColumn, TextColumn
from pipeline.columns import CANON_VERSION, ColumnSpec, evidence
from pipeline.events import LEAF_KINDS, RecordBatch, codes
from pipeline.ledger.leaf import LEAF_PREFIX
from pipeline.ports import LedgerEntry
from pipeline.stages.row_bytes import RowBytes, assemble

_LEAF_CODES = codes(LEAF_KINDS)


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
    return _row_bytes(columns, specs).rows()


def _row_bytes(columns: ColumnBatch, specs: Sequence[ColumnSpec], prefix: bytes = b"") -> RowBytes:
    """`prefix` and the canonical bytes of each row."""
    parts: list[Column | npt.NDArray[np.uint8] | bytes] = [prefix]
    for kind, group in itertools.groupby(evidence(tuple(specs)), lambda spec: _part_of(columns, spec)):
        if kind == "fixed":
            parts.append(_packed(columns, list(group)))
        elif kind == "constant":
            parts.append(b"".join(_same_in_all(columns.columns[spec.name]) or b"" for spec in group))
        else:
            parts += (columns.columns[spec.name] for spec in group)
    return assemble(parts, columns.count)


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


def _packed(columns: ColumnBatch, specs: Sequence[ColumnSpec]) -> npt.NDArray[np.uint8]:
    """Neighbouring fixed-width columns as bytes, uint8 (n, width)."""
    dtype = np.dtype([(spec.name, spec.dtype) for spec in specs])
    table = np.empty(columns.count, dtype)
    for spec in specs:
        table[spec.name] = columns.fixed(spec.name)
    return table.view(np.uint8).reshape(columns.count, dtype.itemsize)


def offset_leaves(columns: ColumnBatch, specs: Sequence[ColumnSpec]) -> list[tuple[int, bytes]]:
    """(Kafka offset, leaf hash) of each row."""
    prefixed = _row_bytes(columns, specs, LEAF_PREFIX)
    leaves = [sha256(row).digest() for row in prefixed.rows()]
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
