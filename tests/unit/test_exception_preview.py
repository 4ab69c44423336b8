"""What an exception would have held back: the stage's own decision about stored events, and the alerts it concerns."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.base import MODEL_DETECTOR
from detectors.policy import Policy
from pipeline.exception_preview import WORST, Position, StoredAlert, StoredEvent, level_of, preview
from tests.exceptions import exception

POLICY = Policy(9000)
FLOORS = {"break_glass": 8500, "enumeration": 7900}


def place(offset: int) -> Position:
    return "access.events", "life", 0, offset


def score_of(level: int) -> int:
    """As `detectors.combine.judge` stores it."""
    tail = level / 2000
    return round(tail / (tail + 2.0) * 1e6)


def event(offset: int, level: int, *reasons: str) -> StoredEvent:
    return StoredEvent(place(offset), score_of(level), reasons)


def alert(offset: int, detector: str = "break_glass", risk: int = 8500) -> StoredAlert:
    return StoredAlert(f"alert-{offset}", place(offset), offset, detector, risk, "high")


@given(st.integers(0, 60_000))
def test_the_level_follows_from_the_stored_score_to_a_hundredth(level: int) -> None:
    assert abs(level_of(score_of(level)) - level) <= 1


def test_an_event_is_held_back_only_where_nothing_is_left_that_reaches_a_threshold() -> None:
    events = [
        event(0, 100, "rule:break_glass"),
        event(1, 9500, "rule:break_glass", "feature:records_day"),  # the model still speaks
        event(2, 100, "rule:enumeration"),  # below the rules' threshold: it raised nothing anyway
        event(3, 100, "rule:break_glass", "exception:0123456789ab"),
        event(4, 100, "exception:0123456789ab", "rule:break_glass"),  # another exception has it already
    ]
    found = preview(exception("break_glass"), events, [alert(row) for row in range(5)], set(), POLICY, FLOORS)
    assert (found.reaching, found.held_back) == (3, 2)
    assert found.alerts == {"break_glass": 2}
    assert [one.alert_id for one in found.worst] == ["alert-0", "alert-3"]


def test_a_model_exception_holds_back_up_to_its_level() -> None:
    one = exception(MODEL_DETECTOR, up_to=12_000, kinds=("volume",))
    events = [
        event(0, 11_990, "feature:records_day"),
        event(1, 12_100, "feature:records_day"),
        event(2, 11_990, "feature:new_network"),
    ]
    found = preview(one, events, [alert(row, MODEL_DETECTOR) for row in range(3)], set(), POLICY, FLOORS)
    assert (found.reaching, found.held_back, found.alerts) == (3, 1, {MODEL_DETECTOR: 1})


@pytest.mark.parametrize(
    ("detector", "offset", "risk", "held"),
    [("slow_drip", 1, 8000, True), ("slow_drip", 1, 8001, False), ("slow_drip", 2, 7000, False),
     ("profile_assembly", 1, 7000, False)],
)  # fmt: skip
def test_a_scheduled_alert_is_held_back_where_its_event_lies_in_scope(
    detector: str, offset: int, risk: int, held: bool
) -> None:
    one = exception("slow_drip", up_to=8000)
    found = preview(one, [], [alert(offset, detector, risk)], {place(1)}, POLICY, FLOORS)
    assert found.alerts.total() == int(held)


def test_the_worst_alerts_come_first_and_are_few() -> None:
    events = [event(row, 100, "rule:break_glass") for row in range(30)]
    alerts = [replace(alert(row), risk=8000 + row) for row in range(30)]
    found = preview(exception("break_glass"), events, alerts, set(), POLICY, FLOORS)
    assert [one.risk for one in found.worst] == list(range(8029, 8029 - WORST, -1))
    assert found.alerts.total() == 30
