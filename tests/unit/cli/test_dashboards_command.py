"""Boards on a terminal: every unit and view as text, thresholds as words, nothing stored steers the terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from dashboards.panels.boards import BOARDS, board
from dashboards.panels.panel import Panel
from pipeline.audit.panels import PanelAnswer
from pipeline.cli.dashboards import dashboards_command
from pipeline.cli.panel_text import panel_lines

CHINA = ZoneInfo("Asia/Shanghai")
AT = datetime(2026, 3, 8, 17, 30, tzinfo=UTC)


def _panel(board_uid: str, uid: str) -> Panel:
    one = board(board_uid)
    assert one is not None
    found = one.panel(uid)
    assert found is not None
    return found


def _text(board_uid: str, uid: str, *rows: tuple[object, ...], language: str = "en") -> list[str]:
    panel = _panel(board_uid, uid)
    answer = PanelAnswer(tuple(column.name for column in panel.columns), rows)
    return list(panel_lines(panel, answer, CHINA, language))[2:]


def test_the_list_names_every_board_in_both_languages() -> None:
    for language in ("en", "zh"):
        text = CliRunner().invoke(dashboards_command, ["list", "--language", language]).output
        for one in BOARDS:
            assert one.uid in text
            assert getattr(one.title, language) in text


def test_the_list_as_json_is_one_object_a_board() -> None:
    lines = CliRunner().invoke(dashboards_command, ["list", "--json"]).output.splitlines()
    told = [json.loads(line) for line in lines]
    assert [one["board"] for one in told] == [one.uid for one in BOARDS]
    assert all(one["panels"] and one["title"]["zh"] for one in told)


@pytest.mark.parametrize(
    ("place", "value", "shown"),
    [
        (("soc-overview", "waiting"), 0, "0"),
        (("soc-overview", "waiting"), 1, "1 (warning)"),
        (("soc-overview", "waiting"), 1234, "1,234 (bad)"),
        (("unexplained-access", "share"), 82.345, "82.3 %"),
        (("unexplained-access", "share"), 12.0, "12.0 % (bad)"),
        (("unexplained-access", "share"), None, "-"),
        (("incident-response", "to-acknowledge"), 3661, "1:01:01 (bad)"),
    ],
)
def test_a_number_has_its_unit_and_the_word_of_its_threshold(
    place: tuple[str, str], value: float | None, shown: str
) -> None:
    assert _text(*place, (value,)) == [shown]


def test_a_threshold_is_said_in_chinese_too() -> None:
    assert _text("soc-overview", "waiting", (7,), language="zh") == ["7（严重）"]


def test_series_stand_beside_each_other_by_the_viewers_clock() -> None:
    later = AT + timedelta(hours=1)
    assert _text("soc-overview", "accesses", (AT, "denied", 2), (AT, "success", 1500), (later, "success", 3)) == [
        "Time                 denied  success",
        "2026-03-09 01:30:00  2       1,500",
        "2026-03-09 02:30:00          3",
    ]


def test_a_heat_map_has_its_hours_in_order() -> None:
    assert _text("actor", "hours", ("9", "1", 4), ("22", "1", 1), ("3", "2", 8)) == [
        "Weekday  3  9  22",
        "1           4  1",
        "2        8",
    ]


def test_an_empty_answer_says_what_that_means() -> None:
    assert _text("pipeline-health", "alarms") == ["No alarm."]
    assert _text("pipeline-health", "alarms", language="zh") == ["无告警。"]


def test_what_sources_send_cannot_steer_the_terminal() -> None:
    lines = _text("pipeline-health", "rejected", ("dead_letter", "\x1b[31mred\n", 3, AT))
    assert "\x1b" not in "".join(lines)
    assert len(lines) == 2
    series = _text("partners", "volume", (AT, "\x1b[2J", 3))
    assert "\x1b" not in "".join(series)
