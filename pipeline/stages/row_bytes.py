"""Puts the canonical bytes of all rows of a batch together in one buffer: column after column, compiled.

Place in the flow: inside `row`. Every column has one of five forms, each with a kernel that writes the column's bytes
of row i at `at[i]` and moves `at[i]` behind them. A reference that goes value by value is in `tests/unit/stages`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.column_batch import ArrayColumn, Column, FixedColumn, MapColumn, TextColumn
from pipeline.compiled import compiled

U8 = npt.NDArray[np.uint8]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

_LENGTH_STEPS = np.array([1 << 7, 1 << 14, 1 << 21, 1 << 28, 1 << 35], np.int64)


@dataclass(slots=True)
class RowBytes:
    """The bytes of all rows end to end; `ends[i]` is where row i ends, int64 (n,)."""

    buffer: bytes
    ends: I64

    def rows(self) -> list[bytes]:
        """The bytes of each row."""
        ends = self.ends.tolist()
        return [self.buffer[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)] if ends else []


def assemble(parts: Sequence[Column | U8 | bytes], count: int) -> RowBytes:
    """The parts of each row behind each other; a part is a column, a table (n, width) or the same bytes for all."""
    sizes = np.zeros(count, np.int64)
    for part in parts:
        sizes += _sizes(part)
    ends = np.cumsum(sizes)
    at = ends - sizes
    out = np.empty(int(ends[-1]) if count else 0, np.uint8)
    for part in parts:
        _put(part, out, at)
    return RowBytes(out.tobytes(), ends)


def _sizes(part: Column | U8 | bytes) -> I64 | int:
    """How many bytes the part has in each row."""
    if isinstance(part, bytes):
        return len(part)
    if isinstance(part, np.ndarray):
        return int(part.shape[1])
    if isinstance(part, TextColumn):
        return _text_sizes(part)
    if isinstance(part, FixedColumn):
        raise TypeError("fixed-width columns come as one table")
    counts = np.diff(part.ends, prepend=0)
    sizes = 1 + np.searchsorted(_LENGTH_STEPS, counts, "right")  # of the length itself, LEB128
    if isinstance(part, MapColumn):
        sizes += _sums(_text_sizes(part.keys) + _text_sizes(_texts(part)), part.ends)
    elif isinstance(part.items, TextColumn):
        sizes += _sums(_text_sizes(part.items), part.ends)
    else:
        sizes += counts * _table(part.items).shape[1]
    return sizes.astype(np.int64, copy=False)


def _text_sizes(column: TextColumn) -> I64:
    _, starts = column.interner.packed()
    return (starts[1:] - starts[:-1])[column.ids]


def _sums(item_sizes: I64, ends: I64) -> I64:
    """Sum of the items' sizes of each row."""
    totals = np.concatenate((np.zeros(1, np.int64), np.cumsum(item_sizes)))[ends]
    return np.diff(totals, prepend=0)


def _texts(column: MapColumn) -> TextColumn:
    if not isinstance(column.values, TextColumn):
        raise TypeError("evidence has no numbers in maps")
    return column.values


def _table(items: FixedColumn) -> U8:
    """Fixed-width items as bytes, (items, width)."""
    values = np.ascontiguousarray(items.values)
    return values.view(np.uint8).reshape(len(values), values.dtype.itemsize)


def _put(part: Column | U8 | bytes, out: U8, at: I64) -> None:
    if isinstance(part, bytes):
        _put_same(out, at, np.frombuffer(part, np.uint8))
    elif isinstance(part, np.ndarray):
        _put_table(out, at, part)
    elif isinstance(part, TextColumn):
        _put_texts(out, at, part.ids, *part.interner.packed())
    elif isinstance(part, MapColumn):
        keys, values = part.keys, _texts(part)
        _put_maps(out, at, part.ends, keys.ids, *keys.interner.packed(), values.ids, *values.interner.packed())
    elif isinstance(part, ArrayColumn):
        items = part.items
        if isinstance(items, TextColumn):
            _put_text_lists(out, at, part.ends, items.ids, *items.interner.packed())
        else:
            _put_lists(out, at, part.ends, _table(items))


@compiled
def _put_same(out: U8, at: I64, same: U8) -> None:
    for i in range(at.shape[0]):
        for j in range(same.shape[0]):
            out[at[i] + j] = same[j]
        at[i] += same.shape[0]


@compiled
def _put_table(out: U8, at: I64, table: U8) -> None:
    width = table.shape[1]
    for i in range(at.shape[0]):
        for j in range(width):
            out[at[i] + j] = table[i, j]
        at[i] += width


@compiled
def _copy(out: U8, place: int, pool: U8, start: int, end: int) -> int:
    """Copies a stretch of the pool; returns where it ends."""
    for j in range(end - start):
        out[place + j] = pool[start + j]
    return place + end - start


@compiled
def _put_length(out: U8, place: int, length: int) -> int:
    """A length as LEB128; returns where it ends."""
    while length > 127:
        out[place] = length & 127 | 128
        length >>= 7
        place += 1
    out[place] = length
    return place + 1


@compiled
def _put_texts(out: U8, at: I64, ids: I32, pool: U8, starts: I64) -> None:
    for i in range(at.shape[0]):
        at[i] = _copy(out, at[i], pool, starts[ids[i]], starts[ids[i] + 1])


@compiled
def _put_text_lists(out: U8, at: I64, ends: I64, ids: I32, pool: U8, starts: I64) -> None:
    first = 0
    for i in range(at.shape[0]):
        place = _put_length(out, at[i], ends[i] - first)
        for k in range(first, ends[i]):
            place = _copy(out, place, pool, starts[ids[k]], starts[ids[k] + 1])
        at[i], first = place, ends[i]


@compiled
def _put_lists(out: U8, at: I64, ends: I64, items: U8) -> None:
    first = 0
    for i in range(at.shape[0]):
        place = _put_length(out, at[i], ends[i] - first)
        for k in range(first, ends[i]):
            for j in range(items.shape[1]):
                out[place] = items[k, j]
                place += 1
        at[i], first = place, ends[i]


@compiled
def _put_maps(
    out: U8, at: I64, ends: I64, keys: I32, key_pool: U8, key_starts: I64, values: I32, pool: U8, starts: I64
) -> None:
    first = 0
    for i in range(at.shape[0]):
        place = _put_length(out, at[i], ends[i] - first)
        for k in range(first, ends[i]):
            place = _copy(out, place, key_pool, key_starts[keys[k]], key_starts[keys[k] + 1])
            place = _copy(out, place, pool, starts[values[k]], starts[values[k] + 1])
        at[i], first = place, ends[i]
