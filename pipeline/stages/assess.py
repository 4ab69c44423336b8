"""Assess: how unusual each event is, in integers.

Place in the flow: after `duplicates`, before `decide`. Features learn from every scorable event, also while no model
can be used: then events are stored unscored, baselines go on. Fills score_status, anomaly_score, top3_surprisal, risk
and reasons. Duplicates, heartbeats and accesstrail's own changes are neither judged nor learnt.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from detectors.base import F32, I32, I64, U8, U16, Assessment, EventArrays
from detectors.combine import judge, lowered
from detectors.features import N_FEATURES, NAMES, compute
from detectors.model import Model
from detectors.policy import LOWEST_THRESHOLD
from detectors.profile import Profiles
from detectors.rules.rule import Rule, floors_of
from detectors.strength import risk_of
from detectors.surprisal import N_ORDER, surprisals
from pipeline.column_batch import ArrayColumn, ColumnBatch, FixedColumn, Interner, TextColumn
from pipeline.compiled import compiled
from pipeline.events import EXPLAINED, SCORE_STATUSES, codes

WATCH_RISK = LOWEST_THRESHOLD
"""Reasons are kept from this risk on (hundredths): one event in fifty by the calibration, all that could alert."""
MAX_REASONS = 3
MIN_SURPRISAL = 1.0
_NO_FLOOR = 65_536
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
    risk = risk_of(judged.level, floor)
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
    watched = np.flatnonzero(risk >= WATCH_RISK)
    of_rules = np.zeros((len(watched), len(floors)), np.uint16)
    for column, floor in enumerate(floors):
        of_rules[:, column] = floor[watched]
    sizes = np.zeros(len(risk), np.int64)
    reasons = np.empty(len(watched) * (len(floors) + MAX_REASONS), np.int32)
    of_features = np.ascontiguousarray(surprise[watched, :N_FEATURES])
    found = _list_reasons(of_features, of_rules, WATCH_RISK, watched, sizes, reasons)
    return np.cumsum(sizes), reasons[:found].copy()


@compiled
def _list_reasons(surprise: F32, of_rules: U16, watch: int, watched: I64, sizes: I64, reasons: I32) -> int:
    """Writes the reasons of each watched row one after the other; returns how many there are in all.

    What other modules define arrives as an argument: the cache of compiled code looks at this file only.
    """
    found = 0
    for place in range(len(watched)):
        begin = found
        found = _list_rules(of_rules[place], watch, _NO_FLOOR, surprise.shape[1], reasons, found)
        found = _list_features(surprise[place], reasons, found)
        found = _list_rules(of_rules[place], 1, watch, surprise.shape[1], reasons, found)
        sizes[watched[place]] = found - begin
    return found


@compiled
def _list_rules(floors: U16, from_floor: int, below: int, first_code: int, reasons: I32, found: int) -> int:
    """The rules with a floor in [from_floor, below), the highest first, of equal ones the first."""
    begin = found
    for rule in range(len(floors)):
        if not from_floor <= floors[rule] < below:
            continue
        place = found
        while place > begin and floors[reasons[place - 1] - first_code] < floors[rule]:
            reasons[place] = reasons[place - 1]
            place -= 1
        reasons[place] = first_code + rule
        found += 1
    return found


@compiled
def _list_features(surprise: F32, reasons: I32, found: int) -> int:
    """The most surprising features, the largest first, of equal ones the first."""
    begin = found
    for feature in range(len(surprise)):
        if surprise[feature] < MIN_SURPRISAL:
            continue
        place = found
        while place > begin and surprise[reasons[place - 1]] < surprise[feature]:
            if place < begin + MAX_REASONS:
                reasons[place] = reasons[place - 1]
            place -= 1
        if place < begin + MAX_REASONS:
            reasons[place] = feature
            found = min(found + 1, begin + MAX_REASONS)
    return found


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
