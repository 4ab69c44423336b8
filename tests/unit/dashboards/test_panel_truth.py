"""Every panel's answer on the real engine equals what plain Python counts from the same records."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dashboards.panels.asked import Asked, values_of
from dashboards.panels.boards import BOARDS
from dashboards.panels.panel import Board, Panel
from tests.panel_engine import PanelEngine
from tests.panel_history import HISTORIES, UNTIL, History, hexed, token, write, write_rotated
from tests.panel_truths import TRUTHS, Question

CHINA = "Asia/Shanghai"
DAY = timedelta(days=1)
ACTOR, SUBJECT = hexed(token("ann")), hexed(token("zoe"))
QUESTIONS = {
    "a week in China by days": (UNTIL - 7 * DAY, UNTIL, CHINA, 86_400),
    "a day in China by hours": (UNTIL - DAY, UNTIL, CHINA, 3600),
    "a week where summer begins": (UNTIL - 8 * DAY, UNTIL, "America/New_York", 6 * 3600),
    "odd days by weeks": (UNTIL - 5 * DAY - timedelta(milliseconds=1), UNTIL - 2 * DAY, "Asia/Kathmandu", 604_800),
}  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> Iterator[PanelEngine]:
    with PanelEngine() as opened:
        yield opened


@pytest.fixture(scope="module", params=[(name, way) for name in HISTORIES for way in (write, write_rotated)],
                ids=lambda one: f"{one[0]}, {one[1].__name__}")  # fmt: skip
def history(request: pytest.FixtureRequest, engine: PanelEngine) -> History:
    name, way = request.param
    made = HISTORIES[name]()
    way(engine, made)
    return made


def test_every_panel_has_a_truth_and_every_truth_a_panel() -> None:
    assert set(TRUTHS) == {(one.uid, panel.uid) for one in BOARDS for panel in one.panels}


@pytest.mark.parametrize("asked", QUESTIONS)
@pytest.mark.parametrize(("one", "panel"), [pytest.param(one, panel, id=f"{one.uid}/{panel.uid}")
                                            for one in BOARDS for panel in one.panels])  # fmt: skip
def test_a_panel_answers_what_python_counts(
    one: Board, panel: Panel, asked: str, history: History, engine: PanelEngine
) -> None:
    since, until, zone, width_s = QUESTIONS[asked]
    given = {name: value for name, value in (("actor", ACTOR), ("subject", SUBJECT))
             if name in {parameter.name for parameter in one.parameters}}  # fmt: skip
    values = values_of(one, Asked(since, until, zone, given)) | {"bucket_s": width_s}
    answer = engine.ask(panel.sql, {name: values[name] for name, _ in panel.places()})
    question = Question(since, until, width_s, ZoneInfo(zone), **given)
    truth = TRUTHS[one.uid, panel.uid](history, question)
    assert [_read(panel, row) for row in answer.rows] == [_rounded(row) for row in truth]
    assert len(answer.rows) <= panel.max_rows


def test_a_busy_week_says_something_in_every_panel() -> None:
    """Else the equality above would be one of empty lists."""
    made = HISTORIES["a busy week"]()
    question = Question(UNTIL - 7 * DAY, UNTIL, 3600, ZoneInfo(CHINA), ACTOR, SUBJECT)
    silent = [name for name, truth in TRUTHS.items() if not any(row[-1] for row in truth(made, question))]
    assert not silent


def test_a_board_about_somebody_says_nothing_about_nobody(engine: PanelEngine) -> None:
    write(engine, HISTORIES["a busy week"]())
    for one in BOARDS:
        for panel in one.panels if one.parameters else ():
            values = values_of(one, Asked(UNTIL - 7 * DAY, UNTIL, CHINA))
            answer = engine.ask(panel.sql, {name: values[name] for name, _ in panel.places()})
            assert panel.uid == "completeness" or not any(row[-1] for row in answer.rows), panel.uid


def _read(panel: Panel, row: list[Any]) -> tuple[Any, ...]:
    return _rounded([_instant(value) if column.unit == "time" else value
                     for column, value in zip(panel.columns, row, strict=True)])  # fmt: skip


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _rounded(row: Any) -> tuple[Any, ...]:
    return tuple(round(value, 9) if isinstance(value, float) else value for value in row)
