"""Decide: alert ids are functions of the position, severity of risk and circumstances, rows of the alerts table."""

from __future__ import annotations

import uuid
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.base import MODEL_DETECTOR, Assessment
from detectors.features import N_FEATURES, NAMES
from detectors.policy import Policy
from detectors.profile import Profiles
from detectors.rules import all_rules
from detectors.strength import pressed
from pipeline.column_batch import ArrayColumn, Column, ColumnBatch, FixedColumn, Interner, MapColumn, TextColumn
from pipeline.columns import ALERT_COLUMNS, ColumnSpec
from pipeline.events import SEVERITIES, Alert
from pipeline.stages.decide import alert_columns, alert_id, decide, severity
from tests.arrays import event_arrays

RULES = all_rules()
CODES = [*(f"feature:{name}" for name in NAMES), *(code for rule in RULES for code in rule.reasons)]
RECORDS, ENUMERATION = CODES.index("feature:records"), CODES.index("rule:enumeration")


def columns_of(count: int, *, first_offset: int = 100, incarnation: str = "i1", partition: int = 3) -> ColumnBatch:
    texts = Interner()

    def text(value: str) -> TextColumn:
        return TextColumn(np.full(count, texts[value], np.int32), texts)

    offsets = first_offset + np.arange(count)
    ids = b"".join(uuid.UUID(int=offset).bytes for offset in offsets.tolist())
    columns: dict[str, Column] = {
        "partition": FixedColumn(np.full(count, partition, np.uint32)),
        "offset": FixedColumn(offsets.astype(np.uint64)),
        "received_at": FixedColumn(offsets.astype(np.int64)),
        "event_time": FixedColumn(offsets.astype(np.int64)),
        "event_id": FixedColumn(np.frombuffer(ids, "V16")),
        "actor_token": FixedColumn(np.frombuffer(ids, "V16")),
        "versions_id": FixedColumn(np.frombuffer(bytes(32 * count), "V32")),
        "risk": FixedColumn(np.zeros(count, np.uint16)),
        "tenant_id": text("acme"),
        "topic": text("access.events"),
        "incarnation": text(incarnation),
        "reasons": ArrayColumn(np.zeros(count, np.int64), TextColumn(np.zeros(0, np.int32), texts)),
    }
    return ColumnBatch(count, columns)


def judged(risks: list[int], reasons: list[list[int]]) -> Assessment:
    count = len(risks)
    features = (np.arange(count * N_FEATURES) / 100).astype(np.float32).reshape(count, N_FEATURES)
    return Assessment(
        status=np.ones(count, np.uint8),
        anomaly_score=np.zeros(count, np.uint32),
        top3_surprisal=np.zeros(count, np.uint16),
        risk=np.array(risks, np.uint16),
        level=np.array(risks, np.uint16),
        floor=np.zeros(count, np.uint16),
        reason_ends=np.cumsum([len(one) for one in reasons]).astype(np.int64),
        reasons=np.array([code for one in reasons for code in one], np.int32),
        reason_codes=CODES,
        features=features,
        surprisals=np.ones((count, N_FEATURES + 3), np.float32),
        usual=features,
        spread=features,
    )


def decided(first_offset: int = 100, incarnation: str = "i1") -> tuple[list[Alert], ColumnBatch]:
    """Three events of three actors: the first stays quiet, the second and third fire."""
    events, profiles = event_arrays(3, actors=[0, 1, 2], sensitivity=[2, 2, 4], explained=[1, 3, 3]), Profiles()
    profiles.begin()
    profiles.slots(events.actor_keys)
    assessment = judged([5999, 6000, 9000], [[], [RECORDS], [ENUMERATION, RECORDS]])
    columns = columns_of(3, first_offset=first_offset, incarnation=incarnation)
    return decide(columns, events, assessment, profiles, Policy(6000), None, RULES), columns


def test_events_at_the_threshold_become_alerts_in_log_order() -> None:
    alerts, _ = decided()
    assert [alert.row for alert in alerts] == [1, 2]
    assert [alert.risk for alert in alerts] == [6000, 9000]
    assert [alert.tenant_id for alert in alerts] == ["acme", "acme"]


def test_an_alert_is_explained_in_both_languages() -> None:
    for alert in decided()[0]:
        assert alert.explanation_en.isascii() or "–" in alert.explanation_en
        assert "risk" in alert.explanation_en
        assert "风险" in alert.explanation_zh


def test_a_rule_that_holds_is_the_detector_else_the_model() -> None:
    assert [alert.detector for alert in decided()[0]] == [MODEL_DETECTOR, "enumeration"]


def test_a_rule_that_history_lowered_holds_and_does_not_name_the_alert() -> None:
    """It comes last among the reasons; the rarity told is the model's."""
    events, profiles = event_arrays(1, actors=[0], explained=[3]), Profiles()
    profiles.begin()
    profiles.slots(events.actor_keys)
    assessment = replace(judged([7000], [[RECORDS, ENUMERATION]]), floor=np.ones(1, np.uint16))
    (alert,) = decide(columns_of(1), events, assessment, profiles, Policy(6000), None, RULES)
    assert alert.detector == MODEL_DETECTOR
    assert "about 1 event in 3,200" in alert.explanation_en
    by_rule = replace(judged([9000], [[ENUMERATION]]), floor=np.array([9000], np.uint16))
    profiles.begin()
    profiles.slots(events.actor_keys)
    (alert,) = decide(columns_of(1), events, by_rule, profiles, Policy(6000), None, RULES)
    assert "by rule" in alert.explanation_en


def test_that_model_and_rule_agree_makes_an_alert_surer_and_not_graver() -> None:
    events, profiles = event_arrays(1, actors=[0], explained=[3], sensitivity=[2]), Profiles()
    profiles.begin()
    profiles.slots(events.actor_keys)
    both = replace(
        judged([pressed(10_500)], [[ENUMERATION]]), level=np.array([6500], np.uint16), floor=np.array([8000], np.uint16)
    )
    (alert,) = decide(columns_of(1), events, both, profiles, Policy(6000), None, RULES)
    assert (alert.risk, alert.severity) == (pressed(10_500), "medium") == (9851, "medium")
    assert "risk 99 of 100 by rule and by how unusual it is" in alert.explanation_en


def test_an_alert_carries_its_reasons_and_the_features_behind_them() -> None:
    _, by_rule = decided()[0]
    assert by_rule.reasons == ("rule:enumeration", "feature:records")
    value = pytest.approx((2 * N_FEATURES + RECORDS) / 100)
    # The fixture knows the account's own level and deviation, and no colleagues.
    own = pytest.approx((2 * N_FEATURES + NAMES.index("records_own")) / 100)
    assert by_rule.seen == {"records": value, "records:own_deviation": own, "records:own_mean": own}


def test_a_replay_gives_the_same_alerts() -> None:
    assert decided()[0] == decided()[0]


def test_ids_depend_on_position_incarnation_and_detector() -> None:
    columns = columns_of(2)
    ids = {
        alert_id(columns, 0, "a"),
        alert_id(columns, 1, "a"),
        alert_id(columns, 0, "b"),
        alert_id(columns_of(1, incarnation="i2"), 0, "a"),
        alert_id(columns_of(1, partition=4), 0, "a"),
    }
    assert len(ids) == 5
    assert alert_id(columns_of(1, first_offset=101), 0, "a") == alert_id(columns, 1, "a")


def test_the_id_of_a_position_never_changes() -> None:
    """Written down once: another value would raise every old alert again on a replay."""
    assert str(alert_id(columns_of(1), 0, MODEL_DETECTOR)) == "320b5efe-e487-5e50-b060-08073fd4893b"


def test_nothing_fires_nothing_is_made() -> None:
    events, profiles = event_arrays(1), Profiles()
    profiles.begin()
    profiles.slots(events.actor_keys)
    assert decide(columns_of(1), events, judged([5000], [[]]), profiles, Policy(6000), None, RULES) == []


@pytest.mark.parametrize(
    ("risk", "plain"),
    [
        (4000, "low"),
        (6999, "low"),
        (7000, "medium"),
        (8499, "medium"),
        (8500, "high"),
        (9799, "high"),
        (9800, "critical"),
    ],
)
def test_severity_steps(risk: int, plain: str) -> None:
    assert severity(risk, 3, explained=False) == plain
    step = SEVERITIES.index(plain)
    assert severity(risk, 4, explained=False) == SEVERITIES[min(step + 1, 3)]
    assert severity(risk, 1, explained=True) == SEVERITIES[max(step - 1, 0)]
    assert severity(risk, 4, explained=True) == plain


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 4), st.booleans())
def test_more_risk_is_never_less_severe(one: int, other: int, sensitivity: int, explained: bool) -> None:
    low, high = (SEVERITIES.index(severity(risk, sensitivity, explained=explained)) for risk in sorted((one, other)))
    assert low <= high


def test_severities_of_a_batch_come_from_each_row() -> None:
    assert [alert.severity for alert in decided()[0]] == ["low", "critical"]


def test_rows_of_the_alerts_table_repeat_the_alerts() -> None:
    alerts, columns = decided()
    rows = alert_columns(alerts, columns)
    assert rows.count == 2
    assert rows.fixed("offset").tolist() == [101, 102]
    assert rows.fixed("risk").tolist() == [6000, 9000]
    assert rows.fixed("severity").tolist() == [1, 4]
    for name in ("detector", "explanation_en", "explanation_zh"):
        column = rows.text(name)
        assert [column.interner.texts[one] for one in column.ids] == [getattr(alert, name) for alert in alerts]
    reasons, seen = rows.columns["reasons"], rows.columns["seen"]
    assert isinstance(reasons, ArrayColumn)
    assert isinstance(reasons.items, TextColumn)
    assert [reasons.items.interner.texts[one] for one in reasons.items.ids] == [
        "feature:records",
        "rule:enumeration",
        "feature:records",
    ]
    assert reasons.ends.tolist() == [1, 3]
    assert isinstance(seen, MapColumn)
    assert isinstance(seen.values, FixedColumn)
    assert seen.ends.tolist() == [3, 6]
    assert seen.values.values.tolist() == [value for alert in alerts for _, value in sorted(alert.seen.items())]


def test_every_stored_column_but_those_of_the_seal_is_filled() -> None:
    rows = alert_columns(*decided())
    missing = {spec.name for spec in ALERT_COLUMNS} - set(rows.columns)
    assert missing == {spec.name for spec in ALERT_COLUMNS if not spec.evidence}
    assert all(fits(rows.columns[spec.name], spec) for spec in ALERT_COLUMNS if spec.name not in missing)


def fits(column: Column, spec: ColumnSpec) -> bool:
    return not isinstance(column, FixedColumn) or column.values.dtype.itemsize == spec.dtype.itemsize


def test_alert_ids_are_stored_as_the_store_holds_uuids() -> None:
    alerts, columns = decided()
    stored = alert_columns(alerts, columns).fixed("alert_id")
    for alert, raw in zip(alerts, stored, strict=True):
        halves = raw.tobytes()
        assert uuid.UUID(bytes=halves[7::-1] + halves[:7:-1]) == uuid.UUID(alert.alert_id)
