"""Dead letters: what could not become an event, as rows that hold nothing in clear but the reason.

Place in the flow: beside `protect`.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np

from pipeline.column_batch import Column, ColumnBatch, FixedColumn, Interner, TextColumn
from pipeline.columns import CANON_VERSION
from pipeline.events import LEAF_KINDS, RecordBatch, Rejected, codes
from pipeline.privacy.protector import Protector
from pipeline.privacy.sealing import position_bytes, record_bytes

_DEAD_LETTER = codes(LEAF_KINDS)["dead_letter"]


def protect_dead_letters(
    records: RecordBatch, rejected: Sequence[Rejected], protector: Protector, versions_id: bytes
) -> ColumnBatch:
    """The refused records as rows of `dead_letters`, evidence columns filled; key and value only encrypted.

    `payload` is base64 of the sealed bytes (`pipeline.privacy.sealing`), because stored texts are UTF-8.
    """
    count, position = len(rejected), records.position
    rows = np.array([one.index for one in rejected], np.int64)
    offsets = records.offsets[rows]
    texts = Interner()
    payloads, digests, sizes = [], [], []
    for one in rejected:
        value = records.values[one.index]
        raw = record_bytes(records.keys[one.index], value)
        place = position_bytes(position, int(records.offsets[one.index]))
        payloads.append(texts[base64.b64encode(protector.sealer.seal(raw, place)).decode("ascii")])
        digests.append(protector.sealer.digest(raw))
        sizes.append(len(value or b""))

    def same(text: str) -> TextColumn:
        return TextColumn(np.full(count, texts[text], np.int32), texts)

    columns: dict[str, Column] = {
        "leaf_kind": FixedColumn(np.full(count, _DEAD_LETTER, np.int8)),
        "canon_version": FixedColumn(np.full(count, CANON_VERSION, np.uint8)),
        "partition": FixedColumn(np.full(count, position.partition, np.uint32)),
        "offset": FixedColumn(offsets.astype(np.uint64)),
        "last_offset": FixedColumn(offsets.astype(np.uint64)),
        "received_at": FixedColumn(records.received_at_us[rows]),
        "payload_bytes": FixedColumn(np.array(sizes, np.uint64)),
        "payload_digest": FixedColumn(np.frombuffer(b"".join(digests), "V32")),
        "versions_id": FixedColumn(np.full(count, np.void(versions_id), "V32")),
        "topic": same(position.topic),
        "incarnation": same(position.incarnation),
        "reason": TextColumn(texts.ids((one.reason for one in rejected), count), texts),
        "payload": TextColumn(np.array(payloads, np.int32), texts),
    }
    return ColumnBatch(count, columns)
