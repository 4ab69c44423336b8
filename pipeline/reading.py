"""The first two stages, `decode` and `protect`, over the records of a batch: what is personal is masked from here on.

Place in the flow: the first thing `flow.Chain.form` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipeline.batch import Judgement
from pipeline.events import RecordBatch, Rejected
from pipeline.ports import Identity
from pipeline.privacy.protected import Protected
from pipeline.privacy.protector import Protector
from pipeline.stages.decode import RUN_VALUES, Decoded, decode
from pipeline.stages.protect import protect

STORE_REJECTED = "store_rejected"


@dataclass(slots=True)
class ReadRecords:
    """A batch after `protect`: its valid events, the record of each (n,), and the records that are none."""

    protected: Protected | None
    rows: npt.NDArray[np.int64]
    rejected: list[Rejected]
    identities: Sequence[Identity] = field(default=(), repr=False)
    """Whom the events name, as far as the vault may not hold them yet."""


def read_records(
    records: RecordBatch, judgement: Judgement, protector: Protector, rejected_offsets: frozenset[int]
) -> ReadRecords:
    """`decode` and `protect`, a run at a time: both cost least while its texts are in the processor's cache."""
    parts: list[Protected] = []
    rows: list[npt.NDArray[np.int64]] = []
    rejected: list[Rejected] = []
    for first in range(0, len(records), RUN_VALUES):
        run = records.part(first, first + RUN_VALUES)
        decoded = _without(decode(run), run, rejected_offsets)
        rejected += [Rejected(first + one.index, one.reason) for one in decoded.rejected]
        if decoded.events:
            parts.append(protect_events(decoded, judgement, protector))
            rows.append(first + decoded.rows)
    if not parts:
        return ReadRecords(None, np.zeros(0, np.int64), rejected)
    protected = Protected.joined(parts)
    identities = protector.known.unknown(protected.identities) if protector.known is not None else ()
    return ReadRecords(protected, np.concatenate(rows), rejected, identities)


def protect_events(decoded: Decoded, judgement: Judgement, protector: Protector) -> Protected:
    """The stage `protect` for at least one event."""
    protector.attrs_allowed = judgement.attrs_allowed
    object_types = judgement.directory.object_types
    return protect(decoded.events, protector, object_types, decoded.event_time_us, decoded.fields)


def _without(decoded: Decoded, records: RecordBatch, rejected_offsets: frozenset[int]) -> Decoded:
    """Turns events that the store refused before into rejected records."""
    if not rejected_offsets:
        return decoded
    refused = np.isin(records.offsets[decoded.rows], np.fromiter(rejected_offsets, np.int64))
    rejected = decoded.rejected + [Rejected(int(row), STORE_REJECTED) for row in decoded.rows[refused]]
    kept = np.flatnonzero(~refused)
    return Decoded(
        events=[decoded.events[i] for i in kept],
        rows=decoded.rows[kept],
        event_time_us=decoded.event_time_us[kept],
        rejected=sorted(rejected, key=lambda one: one.index),
    )
