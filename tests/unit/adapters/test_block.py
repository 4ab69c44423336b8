"""The dictionary of a low-cardinality column equals what sorting gives."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.block import _dictionary
from pipeline.column_batch import Interner, TextColumn


@given(st.lists(st.integers(0, 300), min_size=1, max_size=500))
def test_the_dictionary_holds_the_ids_that_occur_once_each_in_order(ids: list[int]) -> None:
    column = TextColumn(np.array(ids, np.int32), Interner())
    expected, places = np.unique(column.ids, return_inverse=True)
    dictionary, indexes = _dictionary(column)
    assert dictionary.tolist() == expected.tolist()
    assert indexes.tolist() == places.tolist()
