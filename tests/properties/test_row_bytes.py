"""The compiled assembly of canonical bytes equals one that goes value by value, for any columns."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.column_batch import ArrayColumn, Column, FixedColumn, Interner, MapColumn, TextColumn, leb128
from pipeline.stages.row_bytes import assemble

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=150)
ROWS = st.integers(0, 6)


def _encoded(text: str) -> bytes:
    raw = text.encode()
    return leb128(len(raw)) + raw


def _text_column(values: list[str], interner: Interner) -> TextColumn:
    return TextColumn(interner.ids(values, len(values)), interner)


def _ends(lists: list[list[str]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.cumsum([0, *map(len, lists)], dtype=np.int64)[1:]


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first example compiles
@given(st.data(), ROWS)
def test_every_form_of_column_equals_the_bytes_value_by_value(data: st.DataObject, count: int) -> None:
    interner = Interner()
    interner.packed()  # texts that come later must be found as well
    texts = data.draw(st.lists(TEXTS, min_size=count, max_size=count))
    lists = data.draw(st.lists(st.lists(TEXTS, max_size=4), min_size=count, max_size=count))
    tokens = data.draw(
        st.lists(st.lists(st.binary(min_size=16, max_size=16), max_size=3), min_size=count, max_size=count)
    )
    flat_tokens = np.frombuffer(b"".join(token for one in tokens for token in one), "V16")
    items = _text_column([text for one in lists for text in one], interner)
    parts: list[Column] = [
        _text_column(texts, interner),
        ArrayColumn(_ends(lists), items),
        ArrayColumn(np.cumsum([0, *map(len, tokens)], dtype=np.int64)[1:], FixedColumn(flat_tokens)),
        MapColumn(_ends(lists), items, _text_column([text[:1] for one in lists for text in one], interner)),
    ]
    fixed = np.arange(count * 3, dtype=np.uint8).reshape(count, 3)
    expected = [
        b"\0same"
        + fixed[row].tobytes()
        + _encoded(texts[row])
        + leb128(len(lists[row])) + b"".join(map(_encoded, lists[row]))
        + leb128(len(tokens[row])) + b"".join(tokens[row])
        + leb128(len(lists[row])) + b"".join(_encoded(text) + _encoded(text[:1]) for text in lists[row])
        for row in range(count)
    ]  # fmt: skip
    made = assemble([b"\0same", fixed, *parts], count)
    assert made.rows() == expected
    assert made.buffer == b"".join(expected)


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first example compiles
@given(st.sampled_from([0, 1, 127, 128, 129, 16_383, 16_384, 20_000]))
def test_lengths_of_lists_are_leb128(length: int) -> None:
    interner = Interner()
    items = TextColumn(np.full(length, interner["x"], np.int32), interner)
    ends = np.array([length, length], np.int64)
    empty = leb128(0)
    [first, second] = assemble([ArrayColumn(ends, items)], 2).rows()
    assert (first, second) == (leb128(length) + b"\x01x" * length, empty)
    tokens = ArrayColumn(ends, FixedColumn(np.zeros(length, "V16")))
    assert assemble([tokens], 2).rows() == [leb128(length) + bytes(16 * length), empty]


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first example compiles
@given(st.lists(st.lists(TEXTS, max_size=20), max_size=6))
def test_the_packed_texts_follow_the_interner_as_it_grows(rounds: list[list[str]]) -> None:
    interner = Interner()
    for texts in rounds:
        interner.ids(texts, len(texts))
        pool, starts = interner.packed()
        found = [pool[start:end].tobytes() for start, end in itertools.pairwise(starts.tolist())]
        assert found == [_encoded(text) for text in interner.texts] == interner.encoded
