"""Sample: which judgements are kept beside the evidence, with the features they stand on.

Place in the flow: after `decide`, before `row`. Kept are events from the watch level on, by the model or by a shadow
model, and one event in 256 by chance. From these rows the nightly budget, the drift report and the comparison with a
shadow model are made. They are no evidence: nothing of them is hashed, and they are made again with their batch.

A *shadow model* judges the same features by the same rules with its own peers, trees and history. It decides nothing:
no alert, no risk and no reason of an event comes from it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from detectors.base import Assessment, EventArrays
from detectors.features import FEATURE_VERSION
from detectors.model import Model
from detectors.rules.rule import Rule
from pipeline.column_batch import ArrayColumn, Column, ColumnBatch, FixedColumn, Interner, TextColumn, take_rows
from pipeline.stages.assess import WATCH_RISK, judge_again

SAMPLE_BITS = 8
"""One event in 2 ** 8 is kept by chance."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing (Knuth, TAOCP 3, 6.4): neighbours fall far apart
_SHARED = (
    "partition", "offset", "received_at", "event_time", "actor_token", "risk", "versions_id", "tenant_id", "topic",
    "incarnation", "reasons",
)  # fmt: skip


def sample(
    columns: ColumnBatch, events: EventArrays, assessment: Assessment, rules: Sequence[Rule], shadow_model: Model | None
) -> ColumnBatch | None:
    """The kept rows of a judged batch as rows of `features`; None where there are none. Columns up to `decide`."""
    duplicate = columns.fixed("duplicate_of").astype(np.int64) >= 0
    shadow = None
    if shadow_model is not None:
        shadow = judge_again(events, assessment, duplicate, shadow_model, rules)
    chosen = by_chance(columns.fixed("partition").astype(np.uint64), columns.fixed("offset").astype(np.uint64))
    chosen &= (events.scorable == 1) & ~duplicate
    watched = assessment.risk >= WATCH_RISK
    if shadow is not None:
        watched = watched | (shadow.risk >= WATCH_RISK)
    rows = np.flatnonzero(chosen | watched).astype(np.int64)
    if not len(rows):
        return None
    kept = take_rows(ColumnBatch(columns.count, {name: columns.columns[name] for name in _SHARED}), rows)
    kept.columns.update(_own_columns(events, assessment, chosen, rows))
    kept.columns.update(_shadow_columns(shadow, shadow_model.model_id if shadow_model else "", rows))
    return kept


def by_chance(partition: npt.NDArray[np.uint64], offset: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Which positions (n,) belong to the sample: a function of the position, the same in every replay."""
    mixed = (offset + (partition << np.uint64(40)) + np.uint64(1)) * _GOLDEN
    return np.asarray((mixed >> np.uint64(64 - SAMPLE_BITS)) == 0, np.bool_)


def _own_columns(
    events: EventArrays, assessment: Assessment, chosen: npt.NDArray[np.bool_], rows: npt.NDArray[np.int64]
) -> dict[str, Column]:
    names = Interner()
    groups = names.ids(events.peer_groups, len(events.peer_groups))
    features = assessment.features[rows]
    width = features.shape[1]
    return {
        "level": FixedColumn(assessment.level[rows]),
        "floor": FixedColumn(assessment.floor[rows]),
        "by_chance": FixedColumn(chosen[rows].astype(np.uint8)),
        "peer_group": TextColumn(groups[events.peer_group_ids[rows]], names),
        "feature_version": TextColumn(np.full(len(rows), names[FEATURE_VERSION], np.int32), names),
        "features": ArrayColumn(
            np.arange(1, len(rows) + 1, dtype=np.int64) * width, FixedColumn(features.astype("<f4").reshape(-1))
        ),
    }


def _shadow_columns(shadow: Assessment | None, model_id: str, rows: npt.NDArray[np.int64]) -> dict[str, Column]:
    names = Interner()
    count = len(rows)
    text = TextColumn(np.full(count, names[model_id], np.int32), names)
    if shadow is None:
        none = FixedColumn(np.zeros(count, np.uint16))
        empty = ArrayColumn(np.zeros(count, np.int64), TextColumn(np.zeros(0, np.int32), names))
        return {"shadow_level": none, "shadow_floor": none, "shadow_model": text, "shadow_reasons": empty}
    codes = names.ids(shadow.reason_codes, len(shadow.reason_codes))
    reasons = ColumnBatch(
        len(shadow.risk), {"reasons": ArrayColumn(shadow.reason_ends, TextColumn(codes[shadow.reasons], names))}
    )
    return {
        "shadow_level": FixedColumn(shadow.level[rows]),
        "shadow_floor": FixedColumn(shadow.floor[rows]),
        "shadow_model": text,
        "shadow_reasons": take_rows(reasons, rows).columns["reasons"],
    }
