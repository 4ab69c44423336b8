"""The data subjects of a batch's events, event by event and end to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class SubjectLists:
    """`lists[i]`: the ids event i names, `sizes` int64 (n,) how many; `flat`: all of them in order, `rows` int32 (s,)
    the event each of them belongs to."""

    lists: Sequence[Sequence[str]]
    sizes: npt.NDArray[np.int64]
    flat: Sequence[str]
    rows: npt.NDArray[np.int32]

    @classmethod
    def of(cls, column: Sequence[Sequence[str] | None]) -> SubjectLists:
        """From the wire field `subject_ids`, one value an event."""
        lists = [ids or () for ids in column]
        sizes = np.fromiter(map(len, lists), np.int64, len(lists))
        rows = np.repeat(np.arange(len(lists), dtype=np.int32), sizes)
        return cls(lists, sizes, list(chain.from_iterable(lists)), rows)
