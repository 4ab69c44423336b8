"""Compiles every kernel of the chain once, the detectors' included, and leaves the result in numba's cache.

Run at set-up (`make env`, container build), never at the first event: `python -m pipeline.stages.warm_up`.
"""

from __future__ import annotations

import numpy as np

from detectors import warm_up
from detectors.features import N_FEATURES
from pipeline.column_batch import ArrayColumn, Column, FixedColumn, Interner, MapColumn, TextColumn
from pipeline.stages.assess import WATCH_RISK, reasons_of
from pipeline.stages.duplicates import DuplicateWindow
from pipeline.stages.row_bytes import assemble


def main() -> None:
    """Runs each kernel on a handful of rows."""
    warm_up.main()
    numbers = np.arange(4, dtype=np.int64)
    window = DuplicateWindow()
    window.mark(np.zeros(4, "V16"), numbers, numbers)
    window.rebuild()
    texts = TextColumn(np.zeros(4, np.int32), Interner())
    columns: list[Column] = [
        texts, ArrayColumn(numbers + 1, texts), ArrayColumn(numbers + 1, FixedColumn(np.zeros(4, "V16"))),
        MapColumn(numbers + 1, texts, texts),
    ]  # fmt: skip
    surprise = np.ones((4, N_FEATURES), np.float32)
    reasons_of(surprise, np.full(4, WATCH_RISK, np.uint16), [np.full(4, WATCH_RISK, np.uint16)])
    assemble([b"\0", np.zeros((4, 8), np.uint8), *columns], 4)


if __name__ == "__main__":
    main()
