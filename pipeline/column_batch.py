"""Rows of one table in memory, a column at a time: what the stages fill and the store is sent.

Place in the flow: made by `protect`, filled up to `row`, written as Native blocks by `adapters/block.py`. Texts are
held once, by interned number. Which columns there are is said in `columns.py`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt


def leb128(number: int) -> bytes:
    """An unsigned integer as LEB128, the length prefix of RowBinary's strings, arrays and maps."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


class Interner(dict[str, int]):
    """Gives each different text a small integer, once; what is derived from a text hangs on that integer.

    `texts[i]` is the text, `encoded[i]` its RowBinary form (length + UTF-8). Not thread-safe. Id 0 is "".
    """

    __slots__ = ("_pool", "_starts", "encoded", "texts")

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.encoded: list[bytes] = []
        self._pool = np.zeros(0, np.uint8)
        self._starts = np.zeros(1, np.int64)
        self.__missing__("")

    def __missing__(self, text: str) -> int:
        number = len(self.texts)
        raw = text.encode()
        self[text] = number
        self.texts.append(text)
        self.encoded.append(leb128(len(raw)) + raw)
        return number

    def ids(self, texts: Iterable[str], count: int) -> npt.NDArray[np.int32]:
        """The integers of `count` texts, int32 (count,)."""
        return np.fromiter(map(self.__getitem__, texts), np.int32, count)

    def packed(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """All encoded texts end to end, and where each begins (and the last one ends), for compiled code.

        The first array may be longer than what is in use; both are right until the next new text.
        """
        known, used = len(self._starts) - 1, int(self._starts[-1])
        if known < len(self.encoded):
            new = self.encoded[known:]
            ends = used + np.cumsum(list(map(len, new)))
            if ends[-1] > len(self._pool):
                larger = np.zeros(2 * int(ends[-1]), np.uint8)
                larger[:used] = self._pool[:used]
                self._pool = larger
            self._pool[used : ends[-1]] = np.frombuffer(b"".join(new), np.uint8)
            self._starts = np.concatenate((self._starts, ends))
        return self._pool, self._starts


@dataclass(slots=True)
class FixedColumn:
    """Fixed-width values, (n,), in the dtype of the column's spec."""

    values: npt.NDArray[np.generic]


@dataclass(slots=True)
class TextColumn:
    """Texts by interned id, int32 (n,)."""

    ids: npt.NDArray[np.int32]
    interner: Interner


@dataclass(slots=True)
class ArrayColumn:
    """A list a row: `ends[i]` is where row i's items end in `items`, int64 (n,), cumulative."""

    ends: npt.NDArray[np.int64]
    items: FixedColumn | TextColumn


@dataclass(slots=True)
class MapColumn:
    """A text → text map a row, keys in stored order; `ends` as in ArrayColumn."""

    ends: npt.NDArray[np.int64]
    keys: TextColumn
    values: TextColumn | FixedColumn


Column = FixedColumn | TextColumn | ArrayColumn | MapColumn
AnyColumn = TypeVar("AnyColumn", FixedColumn, TextColumn, ArrayColumn, MapColumn)


@dataclass(slots=True)
class ColumnBatch:
    """Rows of one table under construction, by column name; every column has `count` rows."""

    count: int
    columns: dict[str, Column]

    def fixed(self, name: str) -> npt.NDArray[np.generic]:
        """The values of a fixed-width column."""
        column = self.columns[name]
        assert isinstance(column, FixedColumn), name  # noqa: S101  a wrong kind is our bug
        return column.values

    def text(self, name: str) -> TextColumn:
        """A text column."""
        column = self.columns[name]
        assert isinstance(column, TextColumn), name  # noqa: S101
        return column


def uuid_bytes(value: uuid.UUID) -> bytes:
    """A UUID as ClickHouse holds it: two little-endian halves."""
    return value.bytes[7::-1] + value.bytes[:7:-1]


def raw_texts(values: Iterable[bytes]) -> TextColumn:
    """A column of arbitrary bytes for a String column of the store; each value is written once, none is interned."""
    interner = Interner()
    interner.encoded.extend(leb128(len(raw)) + raw for raw in values)
    return TextColumn(np.arange(1, len(interner.encoded), dtype=np.int32), interner)


def take_rows(columns: ColumnBatch, rows: npt.NDArray[np.int64]) -> ColumnBatch:
    """Only these rows, in this order."""
    return ColumnBatch(len(rows), {name: _take(column, rows) for name, column in columns.columns.items()})


def _take(column: Column, rows: npt.NDArray[np.int64]) -> Column:
    if isinstance(column, FixedColumn):
        return FixedColumn(column.values[rows])
    if isinstance(column, TextColumn):
        return TextColumn(column.ids[rows], column.interner)
    starts = np.concatenate(([0], column.ends[:-1]))[rows]
    sizes = column.ends[rows] - starts
    ends = np.cumsum(sizes)
    places = np.arange(int(ends[-1]) if len(rows) else 0) + np.repeat(starts - (ends - sizes), sizes)
    if isinstance(column, ArrayColumn):
        items = _take(column.items, places)
        assert isinstance(items, FixedColumn | TextColumn)  # noqa: S101  a column's kind never changes
        return ArrayColumn(ends, items)
    keys, values = _take(column.keys, places), _take(column.values, places)
    assert isinstance(keys, TextColumn)  # noqa: S101
    assert isinstance(values, TextColumn | FixedColumn)  # noqa: S101
    return MapColumn(ends, keys, values)


def join_rows(parts: Sequence[ColumnBatch]) -> ColumnBatch:
    """The rows of all parts, one after the other; their text columns share their interners (made by one batch)."""
    if len(parts) == 1:
        return parts[0]
    joined = {name: _join([part.columns[name] for part in parts]) for name in parts[0].columns}
    return ColumnBatch(sum(part.count for part in parts), joined)


def _join(parts: Sequence[Column]) -> Column:
    first = parts[0]
    if isinstance(first, FixedColumn):
        return FixedColumn(np.concatenate([part.values for part in _of(FixedColumn, parts)]))
    if isinstance(first, TextColumn):
        texts = _of(TextColumn, parts)
        assert all(part.interner is first.interner for part in texts)  # noqa: S101  else ids mean different texts
        return TextColumn(np.concatenate([part.ids for part in texts]), first.interner)
    if isinstance(first, ArrayColumn):
        arrays = _of(ArrayColumn, parts)
        items = _join([part.items for part in arrays])
        assert isinstance(items, FixedColumn | TextColumn)  # noqa: S101  a column's kind never changes
        return ArrayColumn(_join_ends([part.ends for part in arrays]), items)
    maps = _of(MapColumn, parts)
    keys, values = _join([part.keys for part in maps]), _join([part.values for part in maps])
    assert isinstance(keys, TextColumn)  # noqa: S101
    assert isinstance(values, TextColumn | FixedColumn)  # noqa: S101
    return MapColumn(_join_ends([part.ends for part in maps]), keys, values)


def _of(kind: type[AnyColumn], parts: Sequence[Column]) -> list[AnyColumn]:
    of_kind = [part for part in parts if isinstance(part, kind)]
    assert len(of_kind) == len(parts)  # noqa: S101
    return of_kind


def _join_ends(parts: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    before, joined = 0, []
    for ends in parts:
        joined.append(ends + before)
        before += int(ends[-1]) if len(ends) else 0
    return np.concatenate(joined)
