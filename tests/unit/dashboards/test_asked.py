"""What a viewer asks for becomes values that the server takes, or is refused with a reason that repeats nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from dashboards.panels.asked import Asked, bucket_s, newest, values_of
from dashboards.panels.boards import BOARDS, board
from dashboards.panels.panel import GIVEN, Board
from pipeline.errors import UsageError

UNTIL = datetime(2026, 3, 8, 12, 30, 0, 123_456, tzinfo=UTC)


def _board(uid: str) -> Board:
    found = board(uid)
    assert found is not None
    return found


@pytest.mark.parametrize("one", BOARDS, ids=lambda one: one.uid)
def test_every_board_has_a_value_for_every_parameter_its_panels_use(one: Board) -> None:
    values = values_of(one, newest(one, UNTIL))
    assert set(values) == set(GIVEN) | {given.name for given in one.parameters}
    assert {name for panel in one.panels for name, _ in panel.places()} <= set(values)


def test_times_are_utc_to_the_millisecond_whatever_zone_they_come_in() -> None:
    china = timezone(timedelta(hours=8))
    values = values_of(_board("compliance"), Asked(UNTIL - timedelta(days=1), UNTIL.astimezone(china), "Asia/Shanghai"))
    assert values["since"] == "2026-03-07 12:30:00.123"
    assert values["until"] == "2026-03-08 12:30:00.123"
    assert values["zone"] == "Asia/Shanghai"


@pytest.mark.parametrize(("range_s", "width"), [(1, 60), (7200, 60), (7201, 300), (86_400, 900), (7 * 86_400, 10_800),
                                                (90 * 86_400, 86_400), (3 * 366 * 86_400, 28 * 86_400)])  # fmt: skip
def test_a_range_has_at_most_120_buckets_of_a_readable_width(range_s: int, width: int) -> None:
    assert bucket_s(range_s) == width
    assert range_s / bucket_s(range_s) <= 120


def test_a_token_is_taken_in_any_case() -> None:
    values = values_of(_board("actor"), newest(_board("actor"), UNTIL, parameters={"actor": " " + "AB" * 16}))
    assert values["actor"] == "ab" * 16
    assert values_of(_board("actor"), newest(_board("actor"), UNTIL))["actor"] == ""


@pytest.mark.parametrize("text", ["zz", "ab" * 15, "ab" * 17, "ab" * 15 + "a'", "' OR 1 = 1 --"])
def test_what_is_no_token_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        values_of(_board("actor"), newest(_board("actor"), UNTIL, parameters={"actor": text}))
    assert text not in str(refused.value)


@pytest.mark.parametrize(
    "asked",
    [
        Asked(UNTIL, UNTIL),
        Asked(UNTIL, UNTIL - timedelta(seconds=1)),
        Asked(UNTIL - timedelta(days=4000), UNTIL),
        Asked(UNTIL.replace(tzinfo=None) - timedelta(days=1), UNTIL),
        Asked(UNTIL - timedelta(days=1), UNTIL, "Mars/Olympus"),
        Asked(UNTIL - timedelta(days=1), UNTIL, "../../etc/passwd"),
        Asked(UNTIL - timedelta(days=1), UNTIL, parameters={"actor": "ab" * 16}),
    ],
)
def test_a_range_a_zone_or_a_parameter_that_makes_no_sense_is_refused(asked: Asked) -> None:
    with pytest.raises(UsageError):
        values_of(_board("compliance"), asked)
