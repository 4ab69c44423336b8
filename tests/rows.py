"""Random rows for any list of columns: what the store, the leaves and the block writer are tested with."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline import events
from pipeline.column_batch import ArrayColumn, Column, ColumnBatch, FixedColumn, Interner, MapColumn, TextColumn
from pipeline.columns import ColumnSpec

TEXTS = (
    "",
    "a",
    "customer_profile",
    "客服部",
    "é\u0301",
    "'quo\\ted'",
    "x" * 200,
    "tab\tnew\nline",
    "😀",
    "{{7*7}}",
    "a\0b",
)
_ENUM_SIZES = {
    events.enum8(words): len(words)
    for words in (
        events.LEAF_KINDS, events.ACTOR_TYPES, events.FLAG_WORDS, events.CHANNELS, events.ACTIONS, events.OUTCOMES,
        events.RECIPIENT_TYPES, events.LEGAL_BASES, events.NETWORK_KINDS, events.DAY_KINDS, events.ACTOR_STATUSES,
        events.EXPLAINED, events.SCORE_STATUSES, events.SEVERITIES,
    )
}  # fmt: skip
_FIRST_US, _LAST_US = 946_684_800_000_000, 1_900_000_000_000_000


def random_rows(specs: Sequence[ColumnSpec], count: int, seed: int) -> ColumnBatch:
    """`count` rows with every column of `specs`, extremes included."""
    chance = random.Random(seed)
    return ColumnBatch(count, {spec.name: _column(spec, count, chance) for spec in specs})


def _column(spec: ColumnSpec, count: int, chance: random.Random) -> Column:
    if spec.kind == "fixed":
        return FixedColumn(_fixed(spec, count, chance))
    if spec.kind == "text":
        return _texts(count, chance)
    sizes = [chance.choice((0, 0, 1, 2, 7)) for _ in range(count)]
    ends, total = np.cumsum(sizes, dtype=np.int64), sum(sizes)
    if spec.kind == "map":
        return MapColumn(ends, _texts(total, chance), _map_values(spec, total, chance))
    if spec.kind == "array_fixed":
        return ArrayColumn(ends, FixedColumn(_bytes(spec.dtype.itemsize, total, chance)))
    return ArrayColumn(ends, _texts(total, chance))


def _map_values(spec: ColumnSpec, total: int, chance: random.Random) -> TextColumn | FixedColumn:
    if spec.type.endswith("Float64)"):
        return FixedColumn(np.array([chance.choice((0.0, -0.5, 1e300, chance.random())) for _ in range(total)]))
    if spec.type.endswith("UInt32)"):
        return FixedColumn(np.array([chance.choice((0, 1, 2**32 - 1)) for _ in range(total)], np.uint32))
    assert spec.type.endswith("String)"), spec.type
    return _texts(total, chance)


def _texts(count: int, chance: random.Random) -> TextColumn:
    interner = Interner()
    return TextColumn(interner.ids((chance.choice(TEXTS) for _ in range(count)), count), interner)


def _bytes(width: int, count: int, chance: random.Random) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    return np.frombuffer(chance.randbytes(width * count), f"V{width}")


def _fixed(spec: ColumnSpec, count: int, chance: random.Random) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
    if spec.dtype.kind == "V":
        return _bytes(spec.dtype.itemsize, count, chance)
    if spec.type in _ENUM_SIZES:
        return np.array([chance.randrange(_ENUM_SIZES[spec.type] + 1) for _ in range(count)], spec.dtype)
    if spec.type.startswith("DateTime64"):
        return np.array([chance.randrange(_FIRST_US, _LAST_US) for _ in range(count)], spec.dtype)
    limits = np.iinfo(spec.dtype)  # type: ignore[type-var]  # integers only are left
    values = (0, 1, limits.max, limits.min, chance.randrange(limits.min, int(limits.max) + 1))
    return np.array([chance.choice(values) for _ in range(count)], spec.dtype)


def row_values(columns: ColumnBatch, specs: Sequence[ColumnSpec]) -> list[dict[str, Any]]:
    """Each row as plain values by column: integers, texts, bytes as hex; lists of them; maps as lists of pairs."""
    by_column = {spec.name: _values(columns.columns[spec.name]) for spec in specs}
    return [{name: values[row] for name, values in by_column.items()} for row in range(columns.count)]


def _values(column: Column) -> list[Any]:
    if isinstance(column, FixedColumn):
        return [value.hex() if isinstance(value, bytes) else value for value in column.values.tolist()]
    if isinstance(column, TextColumn):
        return [column.interner.texts[number] for number in column.ids.tolist()]
    items = (
        _values(column.items)
        if isinstance(column, ArrayColumn)
        else [list(pair) for pair in zip(_values(column.keys), _values(column.values), strict=True)]
    )
    ends = column.ends.tolist()
    return [items[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def rows_from(values: Sequence[Mapping[str, Any]], specs: Sequence[ColumnSpec]) -> ColumnBatch:
    """The inverse of `row_values`."""
    return ColumnBatch(
        len(values), {spec.name: _from_values(spec, [row[spec.name] for row in values]) for spec in specs}
    )


def _from_values(spec: ColumnSpec, values: list[Any]) -> Column:
    if spec.kind == "fixed":
        return FixedColumn(_fixed_from(spec, values))
    if spec.kind == "text":
        return _texts_from(values)
    ends = np.cumsum([len(items) for items in values], dtype=np.int64)
    items = [item for row in values for item in row]
    if spec.kind == "array_fixed":
        return ArrayColumn(ends, FixedColumn(_fixed_from(spec, items)))
    if spec.kind == "array_text":
        return ArrayColumn(ends, _texts_from(items))
    return MapColumn(ends, _texts_from([key for key, _ in items]), _texts_from([value for _, value in items]))


def _fixed_from(spec: ColumnSpec, values: list[Any]) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
    if spec.dtype.kind == "V":
        return np.frombuffer(bytes.fromhex("".join(values)), spec.dtype)
    return np.array(values, spec.dtype)


def _texts_from(values: list[str]) -> TextColumn:
    interner = Interner()
    return TextColumn(interner.ids(values, len(values)), interner)
