"""Row: positions, canonical bytes against an independent row-by-row encoder, leaves in the order of offsets."""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import Any

import numpy as np
import pytest

from pipeline.column_batch import ColumnBatch, FixedColumn, take_rows
from pipeline.columns import ACCESS_EVENT_COLUMNS, CANON_VERSION, DEAD_LETTER_COLUMNS, ColumnSpec, evidence
from pipeline.events import LogPosition, RecordBatch
from pipeline.stages.row import canonical_rows, offset_leaves, place, seal_columns
from tests.batches import batch
from tests.rows import random_rows, row_values, rows_from

TABLES = [pytest.param(ACCESS_EVENT_COLUMNS, id="events"), pytest.param(DEAD_LETTER_COLUMNS, id="dead letters")]
_FORMATS = {"u1": "<B", "i1": "<b", "<u2": "<H", "<u4": "<I", "<u8": "<Q", "<i8": "<q"}


def row_binary(values: dict[str, Any], specs: tuple[ColumnSpec, ...]) -> bytes:
    """ClickHouse's RowBinary of one row, value by value, from its format page."""
    return b"".join(_encoded(values[spec.name], spec) for spec in specs)


def _encoded(value: Any, spec: ColumnSpec) -> bytes:
    if spec.kind == "fixed" and isinstance(value, str):
        return bytes.fromhex(value)
    if spec.kind == "fixed":
        numbers = {np.dtype(name): form for name, form in _FORMATS.items()}
        return struct.pack(numbers[spec.dtype], value)
    if spec.kind == "text":
        return _sized(value.encode())
    if spec.kind == "array_fixed":
        return _varint(len(value)) + bytes.fromhex("".join(value))
    if spec.kind == "array_text":
        return _varint(len(value)) + b"".join(_sized(item.encode()) for item in value)
    return _varint(len(value)) + b"".join(_sized(key.encode()) + _sized(text.encode()) for key, text in value)


def _sized(raw: bytes) -> bytes:
    return _varint(len(raw)) + raw


def _varint(number: int) -> bytes:
    digits = []
    while True:
        number, low = divmod(number, 128)
        digits.append(low | (128 if number else 0))
        if not number:
            return bytes(digits)


@pytest.mark.parametrize("specs", TABLES)
@pytest.mark.parametrize("seed", range(5))
def test_canonical_rows_equal_an_encoder_that_goes_value_by_value(specs: tuple[ColumnSpec, ...], seed: int) -> None:
    rows = random_rows(specs, 40, seed)
    expected = [row_binary(values, evidence(specs)) for values in row_values(rows, specs)]
    assert canonical_rows(rows, specs) == expected


def test_long_texts_and_lists_have_long_lengths() -> None:
    values = row_values(random_rows(ACCESS_EVENT_COLUMNS, 1, 3), ACCESS_EVENT_COLUMNS)[0]
    values["justification"] = "客" * 20_000
    values["subject_tokens"] = ["ab" * 16] * 10_000
    values["fields_accessed"] = ["name"] * 256
    rows = rows_from([values], ACCESS_EVENT_COLUMNS)
    assert canonical_rows(rows, ACCESS_EVENT_COLUMNS) == [row_binary(values, evidence(ACCESS_EVENT_COLUMNS))]


@pytest.mark.parametrize("specs", TABLES)
def test_no_rows_have_no_bytes(specs: tuple[ColumnSpec, ...]) -> None:
    assert canonical_rows(random_rows(specs, 0, 0), specs) == []
    assert offset_leaves(random_rows(specs, 0, 0), specs) == []


def test_a_leaf_is_the_hash_of_a_zero_byte_and_the_row() -> None:
    rows = random_rows(DEAD_LETTER_COLUMNS, 3, 1)
    expected = [sha256(b"\0" + raw).digest() for raw in canonical_rows(rows, DEAD_LETTER_COLUMNS)]
    assert offset_leaves(rows, DEAD_LETTER_COLUMNS) == list(zip(rows.fixed("offset").tolist(), expected, strict=True))


@pytest.mark.parametrize("specs", TABLES)
def test_only_evidence_columns_change_the_leaf(specs: tuple[ColumnSpec, ...]) -> None:
    values = row_values(random_rows(specs, 1, 5), specs)[0]
    [leaf] = offset_leaves(rows_from([values], specs), specs)
    other = row_values(random_rows(specs, 200, 6), specs)
    for spec in specs:
        changed = next(row[spec.name] for row in other if row[spec.name] != values[spec.name])
        [moved] = offset_leaves(rows_from([{**values, spec.name: changed}], specs), specs)
        assert (moved[1] != leaf[1]) == spec.evidence, spec.name


def test_place_takes_each_rows_own_record() -> None:
    position = LogPosition("access.events", "life", 5)
    records = RecordBatch(position, np.array([7, 8, 11]), np.array([70, 80, 110]), [None] * 3, [None] * 3)
    columns = ColumnBatch(2, {})
    place(columns, records, np.array([0, 2]))
    assert columns.fixed("offset").tolist() == [7, 11]
    assert columns.fixed("received_at").tolist() == [70, 110]
    assert columns.fixed("partition").tolist() == [5, 5]
    assert columns.fixed("leaf_kind").tolist() == [1, 1]
    assert columns.fixed("canon_version").tolist() == [CANON_VERSION] * 2
    assert [columns.text("topic").interner.texts[i] for i in columns.text("topic").ids] == ["access.events"] * 2
    assert [columns.text("incarnation").interner.texts[i] for i in columns.text("incarnation").ids] == ["life"] * 2


def test_the_mark_of_the_batch_is_no_evidence() -> None:
    made = batch(LogPosition("access.events", "life", 5))
    before = canonical_rows(made.events, ACCESS_EVENT_COLUMNS)
    seal_columns(made.events, made.entry, "long")
    assert canonical_rows(made.events, ACCESS_EVENT_COLUMNS) == before
    assert set(made.events.fixed("batch_id").tolist()) == {made.entry.batch_id}
    assert set(made.events.fixed("batch_last_offset").tolist()) == {made.entry.last_offset}


@pytest.mark.parametrize("specs", TABLES)
def test_taking_rows_takes_their_lists_and_maps_along(specs: tuple[ColumnSpec, ...]) -> None:
    rows = random_rows(specs, 12, 9)
    picked = np.array([11, 0, 0, 5])
    assert row_values(take_rows(rows, picked), specs) == [row_values(rows, specs)[i] for i in picked]
    assert take_rows(rows, np.array([], np.int64)).count == 0


def test_values_survive_the_way_there_and_back() -> None:
    rows = random_rows(ACCESS_EVENT_COLUMNS, 6, 2)
    values = row_values(rows, ACCESS_EVENT_COLUMNS)
    assert row_values(rows_from(values, ACCESS_EVENT_COLUMNS), ACCESS_EVENT_COLUMNS) == values
    assert isinstance(rows.columns["offset"], FixedColumn)
