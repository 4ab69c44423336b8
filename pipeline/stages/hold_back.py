"""Hold back: what exceptions of the alert policy take away from the causes of alerts, and the evidence that they did.

Place in the flow: after `assess`, before `decide`; for events that reach a threshold. Scores and risk stay as judged.
The rules that an exception names, and the model up to the exception's level, raise no alert here; its code is
appended to the event's reasons, followed by the rules it took away, so that every time it held is evidence that SQL can
count. Pure: which exceptions are valid is decided by the time of receipt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from detectors.base import I64, Assessment, EventArrays
from detectors.combine import lowered_by
from detectors.exceptions import OF_EVENTS, TOKEN_KINDS, AlertException, Causes, Left, left_of
from detectors.features import KIND_OF, KINDS
from detectors.model import Model
from detectors.policy import NEVER, SEEKING, Policy, reaches
from detectors.rules.rule import Rule
from pipeline.column_batch import ArrayColumn, ColumnBatch, Interner, TextColumn
from pipeline.columns import TOKEN_BYTES
from pipeline.directory.work_items import first_half
from pipeline.events import SCORE_STATUSES, codes

TEXT_COLUMNS: Mapping[str, str] = {
    "source_system": "source_system",
    "source_instance": "source_instance",
    "app_id": "app_id",
    "resource_type": "resource_type",
    "endpoint": "endpoint",
    "partner": "actor_org",
}
"""Conditions on a text of the event, and the stored column that they are compared with."""
_TOLD_TOKENS = tuple(name for name in TOKEN_KINDS if name in OF_EVENTS)
"""Conditions on a token that can be asked of one event."""
_SCORED = codes(SCORE_STATUSES)["scored"]
_RULE, _FEATURE = "rule:", "feature:"
Mask = npt.NDArray[np.bool_]


def hold_back(
    columns: ColumnBatch,
    events: EventArrays,
    assessment: Assessment,
    policy: Policy,
    model: Model | None,
    rules: Sequence[Rule],
    exceptions: Sequence[AlertException],
) -> Assessment:
    """The assessment that alerts are decided by; fills the column `reasons` anew where an exception held.

    Its `level` and `floor` are what exceptions leave, its `risk` and score are the event's own.
    """
    if not exceptions or model is None:
        return assessment
    policy = _seeking(policy)
    rows = _reached(assessment, policy)
    if not len(rows):
        return assessment
    asked = [(one, _in_scope(one, columns, events, rows)) for one in exceptions]
    floors = floors_of(rules, model)
    left: dict[int, Left] = {}
    for place, row in enumerate(rows.tolist()):
        valid = [one for one, mask in asked if mask[place]]
        if valid:
            found = left_of(_causes(row, assessment, floors), policy.threshold, valid)
            left |= {row: found} if found.taken else {}
    return _without(assessment, left, columns) if left else assessment


def floors_of(rules: Sequence[Rule], model: Model) -> Mapping[str, int]:
    """The floor of each rule that holds, by name, less what history takes off it (hundredths)."""
    return floors_less(rules, model.rule_cuts)


def floors_less(rules: Sequence[Rule], cuts: Mapping[str, int]) -> Mapping[str, int]:
    """The floor of each rule, by name, less what history takes off it (`cuts`: of a model's manifest)."""
    return {rule.name: lowered_by(rule.floor, cuts.get(rule.name, 0)) for rule in rules}


def _seeking(policy: Policy) -> Policy:
    """Where nothing may fire, thresholds are yet to be found on what is judged: whatever could reach one counts."""
    return SEEKING if policy.threshold == NEVER else policy


def _reached(assessment: Assessment, policy: Policy) -> I64:
    reached = reaches(assessment.level, assessment.floor, policy) & (assessment.status == _SCORED)
    return np.flatnonzero(reached).astype(np.int64)


def _causes(row: int, assessment: Assessment, floors: Mapping[str, int]) -> Causes:
    told = [assessment.reason_codes[code] for code in assessment.told(row)]
    return causes_of(told, int(assessment.level[row]), floors)


def causes_of(reasons: Sequence[str], level: int, floors: Mapping[str, int]) -> Causes:
    """What could raise an alert about an event with these reason codes; `floors`: of every rule, by name."""
    held = [code.removeprefix(_RULE) for code in reasons if code.startswith(_RULE)]
    leading = next((code.removeprefix(_FEATURE) for code in reasons if code.startswith(_FEATURE)), "")
    kind = KINDS[KIND_OF[leading]][0] if leading else ""
    return Causes(level, {name: floors[name] for name in held if name in floors}, kind)


# -- scope


def _in_scope(one: AlertException, columns: ColumnBatch, events: EventArrays, rows: I64) -> Mask:
    """Which of these rows an exception is about and was valid for when they were received, (rows,)."""
    received = columns.fixed("received_at")[rows].astype(np.int64)
    mask: Mask = (received >= one.valid_from_us) & (received < one.valid_until_us)
    for name, value in one.scope.items():
        if not mask.any():
            break
        mask &= _holds(name, value, columns, events, rows)
    return mask


def _holds(name: str, value: str, columns: ColumnBatch, events: EventArrays, rows: I64) -> Mask:
    if name in TEXT_COLUMNS:
        column = columns.text(TEXT_COLUMNS[name])
        texts = column.interner.texts
        return np.array([texts[number].casefold() == value for number in column.ids[rows].tolist()], bool)
    if name == "peer_group":
        groups = events.peer_groups
        return np.array([groups[number].casefold() == value for number in events.peer_group_ids[rows].tolist()], bool)
    if name in _TOLD_TOKENS:
        return _names(name, bytes.fromhex(value), events, rows)
    return np.zeros(len(rows), bool)  # a condition that no event can meet: the exception never holds


def _names(kind: str, token: bytes, events: EventArrays, rows: I64) -> Mask:
    """Which rows a canonical token is about: an exception outlasts every rotation of the key."""
    if kind == "actor":
        return np.array([events.actor_keys[row].endswith(token) for row in rows.tolist()], bool)
    mask: Mask = events.credential[rows] == first_half(np.frombuffer(token, f"V{TOKEN_BYTES}"))
    return mask


# -- evidence


def _without(assessment: Assessment, left: Mapping[int, Left], columns: ColumnBatch) -> Assessment:
    """Levels and floors of these rows as they are left, and their reasons in the order of evidence."""
    names = list(assessment.reason_codes)
    number_of = {name: number for number, name in enumerate(names)}
    level, floor = assessment.level.copy(), assessment.floor.copy()
    sizes = np.diff(assessment.reason_ends, prepend=0)
    parts: list[npt.NDArray[np.int32]] = []
    done = 0
    for row, found in left.items():  # in the order of rows
        level[row], floor[row] = found.causes.level, found.causes.floor
        end = int(assessment.reason_ends[row])
        start = end - int(sizes[row])
        taken = {number_of[_RULE + name] for _, rules in found.taken for name in rules}
        own = [code for code in assessment.reasons[start:end].tolist() if code not in taken]
        for one, rules in found.taken:
            if one.code not in number_of:
                number_of[one.code] = len(names)
                names.append(one.code)
            own += [number_of[one.code], *(number_of[_RULE + name] for name in rules)]
        parts += [assessment.reasons[done:start], np.array(own, np.int32)]
        sizes[row], done = len(own), end
    parts.append(assessment.reasons[done:])
    made = replace(
        assessment, level=level, floor=floor, reason_ends=np.cumsum(sizes), reasons=np.concatenate(parts),
        reason_codes=names,
    )  # fmt: skip
    interner = Interner()
    ids = interner.ids(names, len(names))
    columns.columns["reasons"] = ArrayColumn(made.reason_ends, TextColumn(ids[made.reasons], interner))
    return made
