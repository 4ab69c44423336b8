"""Assess: how unusual each event is, in integers.

Place in the flow: after `duplicates`, before `decide`. Features learn from every scorable event, also while no model
can be used: then events are stored unscored, baselines go on. Fills score_status, anomaly_score, top3_surprisal, risk
and reasons. Duplicates, heartbeats and accesstrail's own changes are neither judged nor learnt.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from detectors.base import U8, U16, Assessment, EventArrays
from detectors.combine import judge, lowered
from detectors.features import N_FEATURES, NAMES, compute
from detectors.model import Model
from detectors.profile import Profiles
from detectors.rules.rule import Rule, floors_of
from detectors.surprisal import N_ORDER, surprisals
from pipeline.column_batch import ArrayColumn, ColumnBatch, FixedColumn, Interner, TextColumn
from pipeline.events import EXPLAINED, SCORE_STATUSES, codes

WATCH_RISK = 4000
"""Reasons are kept from this risk on (hundredths): one event in a hundred."""
MAX_REASONS = 3
MIN_SURPRISAL = 1.0
_STATUS = codes(SCORE_STATUSES)
_EXPLAINED = codes(EXPLAINED)["explained"]


def assess(
    columns: ColumnBatch,
    events: EventArrays,
    model: Model | None,
    profiles: Profiles,
    rules: Sequence[Rule],
) -> Assessment:
    """Judges the batch and fills the assessment columns. `model` None: everything scorable is `unscored`."""
    features, usual, spread = compute(events, profiles)
    duplicate = columns.fixed("duplicate_of").astype(np.int64) >= 0
    names = [*(f"feature:{name}" for name in NAMES), *(rule.code for rule in rules)]
    count = events.count
    if model is None:
        assessment = Assessment(
            status=_statuses(events.scorable, duplicate, "unscored"),
            anomaly_score=np.zeros(count, np.uint32),
            top3_surprisal=np.zeros(count, np.uint16),
            risk=np.zeros(count, np.uint16),
            level=np.zeros(count, np.uint16),
            floor=np.zeros(count, np.uint16),
            reason_ends=np.zeros(count, np.int64),
            reasons=np.zeros(0, np.int32),
            reason_codes=names,
            features=features,
            surprisals=np.zeros((count, N_FEATURES + N_ORDER), np.float32),
            usual=usual,
            spread=spread,
        )
    else:
        assessment = _judged(events, model, rules, features, usual, spread, duplicate, names)
    _fill(columns, assessment)
    return assessment


def judge_again(
    events: EventArrays, assessment: Assessment, duplicate: npt.NDArray[np.bool_], model: Model, rules: Sequence[Rule]
) -> Assessment:
    """What another model says of a batch that was judged: same features, same rules, its own peers and history."""
    given = assessment
    return _judged(
        events, model, rules, given.features, given.usual, given.spread, duplicate, given.reason_codes
    )  # fmt: skip


def _judged(
    events: EventArrays,
    model: Model,
    rules: Sequence[Rule],
    features: npt.NDArray[np.float32],
    usual: npt.NDArray[np.float32],
    spread: npt.NDArray[np.float32],
    duplicate: npt.NDArray[np.bool_],
    names: Sequence[str],
) -> Assessment:
    table = model.peers.index(events.peer_groups, events.peer_group_ids)
    surprise = surprisals(features, table, model.peers)
    judged = judge(model.forest, model.calibration, surprise, (events.explained == _EXPLAINED) | (events.approved == 1))
    cuts = model.rule_cuts
    floors = [
        lowered(floor, cuts.get(rule.name, 0))
        for rule, floor in zip(rules, floors_of(rules, events, features), strict=True)
    ]
    floor = np.maximum.reduce(floors) if floors else np.zeros(events.count, np.uint16)
    silent = events.scorable == 0
    for values in (judged.anomaly, judged.top3, judged.level, floor):
        values[silent] = 0
    risk = np.maximum(judged.risk, floor)
    ends, reasons = reasons_of(surprise, risk, floors)
    return Assessment(
        status=_statuses(events.scorable, duplicate, "scored"),
        anomaly_score=judged.anomaly,
        top3_surprisal=judged.top3,
        risk=risk,
        level=judged.level,
        floor=floor,
        reason_ends=ends,
        reasons=reasons,
        reason_codes=names,
        features=features,
        surprisals=surprise,
        usual=usual,
        spread=spread,
    )


def _statuses(scorable: U8, duplicate: npt.NDArray[np.bool_], judged: str) -> U8:
    status = np.where(scorable == 1, _STATUS[judged], _STATUS["not_scored"])
    return np.where(duplicate, _STATUS["duplicate"], status).astype(np.uint8)


def reasons_of(
    surprise: npt.NDArray[np.float32], risk: U16, floors: Sequence[U16]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Rules that hold, the highest first, then the most surprising features, for every event from the watch level on.

    A rule that history lowers below the watch level comes last: it holds, but it is not why anybody should look.
    """
    sizes = np.zeros(len(risk), np.int64)
    reasons: list[int] = []
    watched = np.flatnonzero(risk >= WATCH_RISK)
    of_features = surprise[watched, :N_FEATURES]
    largest = np.argsort(-of_features, axis=1, kind="stable")[:, :MAX_REASONS]
    values = np.take_along_axis(of_features, largest, axis=1)
    for row, order, surprising in zip(
        watched.tolist(), largest.tolist(), (values >= MIN_SURPRISAL).tolist(), strict=True
    ):
        held = sorted((-int(floor[row]), N_FEATURES + index) for index, floor in enumerate(floors) if floor[row])
        own = [code for floor, code in held if -floor >= WATCH_RISK]
        own += [index for index, counts in zip(order, surprising, strict=True) if counts]
        own += [code for floor, code in held if -floor < WATCH_RISK]
        sizes[row] = len(own)
        reasons += own
    return np.cumsum(sizes), np.array(reasons, np.int32)


def _fill(columns: ColumnBatch, assessment: Assessment) -> None:
    interner = Interner()
    ids = interner.ids(assessment.reason_codes, len(assessment.reason_codes))
    columns.columns.update(
        {
            "score_status": FixedColumn(assessment.status.astype(np.int8)),
            "anomaly_score": FixedColumn(assessment.anomaly_score),
            "top3_surprisal": FixedColumn(assessment.top3_surprisal),
            "risk": FixedColumn(assessment.risk),
            "reasons": ArrayColumn(assessment.reason_ends, TextColumn(ids[assessment.reasons], interner)),
        }
    )
