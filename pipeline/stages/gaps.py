"""Records offsets that Kafka does not give: a hole in the log is a leaf of the ledger, never a silent skip.

Place in the flow: beside `decode`; a gap becomes a row of `dead_letters` with `leaf_kind` gap. Reasons for gaps:
retention or deleted records before the first offset, compaction or transaction markers between two, a log made anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.column_batch import Column, ColumnBatch, FixedColumn, Interner, TextColumn
from pipeline.columns import CANON_VERSION
from pipeline.events import LEAF_KINDS, LogPosition, codes

MISSING_OFFSETS = "missing_offsets"
TOPIC_RECREATED = "topic_recreated"
_GAP = codes(LEAF_KINDS)["gap"]


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets `first_offset`–`last_offset` (inclusive) that the log does not hold; found at `received_at_us`."""

    first_offset: int
    last_offset: int
    received_at_us: int
    reason: str


def find_gaps(expected: int, offsets: npt.NDArray[np.int64], received_at_us: npt.NDArray[np.int64]) -> list[Gap]:
    """The holes in `offsets` (strictly increasing, all >= `expected`), each dated by the record after it."""
    before = np.concatenate(([expected - 1], offsets[:-1]))
    holes = np.flatnonzero(offsets - before > 1)
    return [Gap(int(before[i]) + 1, int(offsets[i]) - 1, int(received_at_us[i]), MISSING_OFFSETS) for i in holes]


def gap_columns(gaps: list[Gap], position: LogPosition, versions_id: bytes) -> ColumnBatch:
    """The gaps as rows of `dead_letters`, evidence columns filled; they carry no payload."""
    count = len(gaps)
    names = Interner()

    def text(value: str) -> TextColumn:
        return TextColumn(np.full(count, names[value], np.int32), names)

    columns: dict[str, Column] = {
        "leaf_kind": FixedColumn(np.full(count, _GAP, np.int8)),
        "canon_version": FixedColumn(np.full(count, CANON_VERSION, np.uint8)),
        "partition": FixedColumn(np.full(count, position.partition, np.uint32)),
        "offset": FixedColumn(np.array([gap.first_offset for gap in gaps], np.uint64)),
        "last_offset": FixedColumn(np.array([gap.last_offset for gap in gaps], np.uint64)),
        "received_at": FixedColumn(np.array([gap.received_at_us for gap in gaps], np.int64)),
        "payload_bytes": FixedColumn(np.zeros(count, np.uint64)),
        "payload_digest": FixedColumn(np.zeros(count, "V32")),
        "versions_id": FixedColumn(np.full(count, np.void(versions_id), "V32")),
        "topic": text(position.topic),
        "incarnation": text(position.incarnation),
        "reason": TextColumn(names.ids((gap.reason for gap in gaps), count), names),
        "payload": text(""),
    }
    return ColumnBatch(count, columns)
