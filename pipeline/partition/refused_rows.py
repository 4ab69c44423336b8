"""Which rows of a batch the store refuses: found by bisection, they become dead letters and the others go on.

Place in the flow: `worker.py` asks when `flow.commit_batch` raises `RejectedRow` (the second of the three classes
of trouble).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.batch import FormedBatch
from pipeline.column_batch import take_rows
from pipeline.errors import RejectedRow, StoreRefused
from pipeline.ports import EvidenceStore


def find_rejected(
    batch: FormedBatch, store: EvidenceStore, after_probe: Callable[[], None] = lambda: None
) -> frozenset[int]:
    """Offsets of the rows that the store refuses, by bisection; many of them take minutes, `after_probe` sees it move.

    Parts that pass leave rows behind whose batch is never sealed: nobody sees them.
    Raises: StoreRefused: no single row is to blame; Away: repeat.
    """
    if batch.events is None:
        raise StoreRefused("the store refuses dead letters or alerts: its schema is not ours; run `accesstrail doctor`")
    offsets = batch.events.fixed("offset")
    found: set[int] = set()
    pending = [np.arange(batch.events.count)]
    while pending:
        rows = pending.pop()
        token = f"{batch.token()}:probe:{offsets[rows[0]]}-{offsets[rows[-1]]}"
        try:
            store.insert_events(take_rows(batch.events, rows), token)
        except RejectedRow:
            if len(rows) == 1:
                found.add(int(offsets[rows[0]]))
            else:
                middle = len(rows) // 2
                pending += [rows[:middle], rows[middle:]]
        after_probe()
    if not found:
        raise StoreRefused("the store refuses a batch but none of its rows alone: run `accesstrail doctor`")
    return frozenset(found)
