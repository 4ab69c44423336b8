"""The seam between the stream's and the scheduled alerts of `accesstrail score`: one budget, no repetition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.scheduled import SCHEDULED
from detectors.scheduled.base import Contributor, Finding, Value
from detectors.scheduled.sql import INPUT_END
from pipeline.adapters.embedded import EmbeddedEngine
from pipeline.column_batch import ColumnBatch
from pipeline.directory import DirectorySnapshot
from pipeline.directory.snapshot import SourceRow
from pipeline.schedule.findings import RISE, fired
from pipeline.schedule.simulated import Candidate, Collector, within_budget
from tests.scheduled_rows import EventFields, at, event, rows_of

HOUR_US = 3_600_000_000


def finding(risk: int, key: str = "", slot: int = 0, *, offset: int = 0) -> Finding:
    where = Contributor("id", slot * HOUR_US, 0, "00", "offline", "offline", 0, offset, 3)
    return Finding(
        detector="slow_drip", tenant_id="default", key=key or str(risk), slot=slot, window_start_us=0, window_end_us=1,
        risk=risk, numbers={}, contributor=where, explanation_en="", explanation_zh="",
    )  # fmt: skip


def candidate(risk: int, key: str = "", slot: int = 0) -> Candidate:
    return Candidate(0, finding(risk, key, slot))


@given(
    st.lists(st.tuples(st.integers(7000, 9500), st.integers(0, 50)), unique=True, max_size=12),
    st.floats(0, 15, allow_nan=False),
)
def test_of_too_many_the_gravest_are_kept_and_never_more_than_the_budget(
    drawn: list[tuple[int, int]], budget: float
) -> None:
    candidates = [candidate(risk, f"{risk}/{slot}", slot) for risk, slot in drawn]
    kept = within_budget(candidates, budget)
    assert len(kept) == min(len(candidates), int(budget))
    left = [one.finding.risk for one in candidates if one not in kept]
    assert max(left, default=0) <= min((one.finding.risk for one in kept), default=10_000)
    times = [one.finding.contributor.event_time_us for one in kept]
    assert times == sorted(times)


def test_of_equal_risks_the_earliest_are_kept_whatever_the_order() -> None:
    candidates = [candidate(8000, "k", slot) for slot in (3, 1, 2)]
    assert [one.finding.slot for one in within_budget(candidates, 2)] == [1, 2]


def test_a_key_is_told_once_in_its_quiet_time_unless_its_risk_rises() -> None:
    told = [finding(7000, "k", 0), finding(7000 + RISE, "k", 2), finding(7000, "k", 40)]
    silent = [finding(7000 + RISE - 1, "k", 1), finding(9000, "k", 3)]
    in_slot_order = sorted([*silent, *told], key=lambda one: one.slot)
    assert [one.slot for one in fired(in_slot_order, 30)] == [0, 2, 40]


def test_a_candidate_becomes_an_alert_of_the_streams_form() -> None:
    alert = candidate(9000).alert()
    assert (alert.detector, alert.risk, alert.severity, alert.reasons) == (
        "slow_drip", 9000, "high", ("scheduled:slow_drip",)
    )  # fmt: skip
    assert alert.alert_id == candidate(7000, key="9000").alert().alert_id


class Engine:
    """Implements `Collecting`: one finding of `slow_drip` an event, so many on each day, whatever is asked."""

    def __init__(self, offsets: list[int], a_day: int = 1_000_000) -> None:
        self._offsets, self._a_day = offsets, a_day

    def add_events(self, rows: ColumnBatch) -> None:
        raise AssertionError("the test adds none")

    def add_work_items(self, rows: ColumnBatch) -> None:
        pass

    def rows(self, sql: str, parameters: Mapping[str, Value]) -> list[dict[str, Any]]:
        if sql == INPUT_END:
            return [{"end_us": 5}]
        if sql != next(one.sql for one in SCHEDULED if one.name == "slow_drip"):
            return []
        return [
            {
                "tenant_id": "default", "slot": offset // self._a_day, "key": str(offset), "subjects": 50,
                "all_subjects": 50, "usual": 4,
                "open_today": 2, "steady": 45, "deviations": 4.0, "event_time_us": offset, "received_at_us": 0,
                "event_id": "id", "actor": "00", "topic": "offline", "incarnation": "offline", "partition": 0,
                "offset": offset, "sensitivity": 3,
            }
            for offset in self._offsets
        ]  # fmt: skip


def test_a_detector_that_finds_much_every_day_does_not_use_up_the_budget() -> None:
    engine = Engine(list(range(200)), a_day=10)
    collector = Collector(engine, DirectorySnapshot(), ZoneInfo("Asia/Shanghai"))
    times_us = np.arange(200, dtype=np.int64) // 10 * 24 * HOUR_US
    found = collector.candidates(times_us, 0)
    assert [one.row for one in found] == list(range(10)), "the first day has no week before it"


def test_the_warm_up_tells_what_is_noise() -> None:
    engine = Engine(list(range(200)), a_day=10)
    collector = Collector(engine, DirectorySnapshot(), ZoneInfo("Asia/Shanghai"))
    times_us = np.arange(100, 200, dtype=np.int64) // 10 * 24 * HOUR_US
    assert collector.candidates(times_us, 100) == []


@pytest.mark.parametrize("warmed_up", [0, 10])
def test_only_events_that_are_scored_are_named_never_those_of_the_warm_up(warmed_up: int) -> None:
    offsets = [warmed_up - 1, warmed_up, warmed_up + 4, warmed_up + 5]
    collector = Collector(Engine(offsets), DirectorySnapshot(), ZoneInfo("Asia/Shanghai"))
    found = collector.candidates(np.arange(5, dtype=np.int64), warmed_up)
    assert [one.row for one in found] == [0, 4]


def test_without_scored_events_nothing_is_asked() -> None:
    collector = Collector(Engine([0]), DirectorySnapshot(), ZoneInfo("Asia/Shanghai"))
    assert collector.candidates(np.zeros(0, np.int64), 0) == []


def _reports(instance: str, until_h: float) -> list[EventFields]:
    """A source that reports every ten minutes of some hours."""
    return [
        event(
            "svc", at(0, 0, 600 * n), action="log_control", resource_type="heartbeat", source_instance=instance
        )
        for n in range(int(6 * until_h))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("until_h", "silent"),
    [((20, 20, 20, 30), set()), ((12, 20, 20, 30), {"crm/crm-0"}), ((20, 20, 12, 12), {"crm/crm-2", "crm/crm-3"})],
)
def test_where_a_file_ends_no_source_has_fallen_silent(until_h: tuple[int, ...], silent: set[str]) -> None:
    events = sorted(
        (one for number, hours in enumerate(until_h) for one in _reports(f"crm-{number}", hours)),
        key=lambda one: int(one["event_time"]),
    )
    watched = DirectorySnapshot(sources=(SourceRow("crm", "", 3600, "team"),))
    with EmbeddedEngine() as engine:
        collector = Collector(engine, watched, ZoneInfo("Asia/Shanghai"))
        collector.add(rows_of(events))
        found = collector.candidates(np.array([one["event_time"] for one in events], np.int64), 0)
    assert {one.finding.key for one in found} == silent
