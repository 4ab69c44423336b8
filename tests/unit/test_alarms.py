"""The system's own alarms as rows: deterministic ids, words in two languages, the place they speak of."""

from __future__ import annotations

import pytest

from pipeline.column_batch import ColumnBatch
from pipeline.columns import ALERT_COLUMNS
from pipeline.events import LogPosition
from pipeline.health.alarms import AlarmPlace, alarm_row, away_alarm, partition_alarm
from pipeline.health.troubles import TROUBLES

PLACE = AlarmPlace(LogPosition("access.events", "life-1", 5), 41)


def _text(rows: ColumnBatch, name: str) -> str:
    column = rows.text(name)
    return column.interner.texts[int(column.ids[0])]


def _id(rows: ColumnBatch) -> bytes:
    return bytes(rows.fixed("alert_id").tobytes())


@pytest.mark.parametrize("code", TROUBLES)
def test_any_code_makes_a_whole_row(code: str) -> None:
    for rows in (alarm_row(code, bytes(32), 1, "standard"), partition_alarm(code, PLACE, bytes(32), 1, "standard")[0]):
        assert set(rows.columns) == {spec.name for spec in ALERT_COLUMNS}
        assert _text(rows, "detector") == f"system:{code}"
        assert "Next: " in _text(rows, "explanation_en")
        assert "下一步：" in _text(rows, "explanation_zh")


def test_a_partitions_alarm_names_its_place_and_is_one_however_often_it_is_raised() -> None:
    rows, token = partition_alarm("profile_gap", PLACE, b"v" * 32, 1_000, "standard")
    again, same_token = partition_alarm("profile_gap", PLACE, b"w" * 32, 2_000, "standard")
    assert (int(rows.fixed("partition")[0]), int(rows.fixed("offset")[0])) == (5, 41)
    assert _text(rows, "incarnation") == "life-1"
    assert "Partition 5 of access.events" in _text(rows, "explanation_en")
    assert "分区 5" in _text(rows, "explanation_zh")
    assert (_id(rows), token) == (_id(again), same_token)
    elsewhere, _ = partition_alarm("profile_gap", AlarmPlace(PLACE.position, 42), b"v" * 32, 1_000, "standard")
    assert _id(elsewhere) != _id(rows)


def test_an_outages_end_replaces_its_begin_and_tells_from_when_until_when() -> None:
    since_us = 1_764_000_000_000_000
    begun, first = away_alarm("kafka_away", since_us, None, "standard")
    ended, second = away_alarm("kafka_away", since_us, since_us + 90_000_000, "standard")
    assert _id(begun) == _id(ended)
    assert first != second  # the store must not take the second for a repetition of the first
    assert _text(begun, "explanation_en").startswith("Since 2025-11-24T16:00:00+00:00: ")
    assert _text(ended, "explanation_en").startswith("From 2025-11-24T16:00:00+00:00 until 2025-11-24T16:01:30+00:00: ")
    other_worker, _ = away_alarm("kafka_away", since_us + 2_000_000, None, "standard")
    assert _id(other_worker) == _id(begun)
    assert _id(away_alarm("kafka_away", since_us + 3_600_000_000, None, "standard")[0]) != _id(begun)
