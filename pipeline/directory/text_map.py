"""A number for each text: how the directory's tables are asked with whole columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.column_batch import Interner, TextColumn


class TextMap:
    """One number for each text of whatever interner a column comes with; computed once per text."""

    def __init__(self, dtype: npt.DTypeLike, compute: Callable[[str], int]) -> None:
        self._compute = compute
        self._source: Interner | None = None
        self._numbers: npt.NDArray[Any] = np.zeros(0, dtype)

    def of(self, column: TextColumn, rows: npt.NDArray[np.int64] | slice = slice(None)) -> npt.NDArray[Any]:
        """The numbers of a column's texts, shape of its ids; of these rows only."""
        if column.interner is not self._source:
            self._source, self._numbers = column.interner, self._numbers[:0]
        known, texts = len(self._numbers), column.interner.texts
        if len(texts) > known:
            new = np.array([self._compute(text) for text in texts[known:]], self._numbers.dtype)
            self._numbers = np.concatenate((self._numbers, new))
        return self._numbers[column.ids[rows]]
