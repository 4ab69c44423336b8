"""Every panel of every board keeps the rules that whatever shows it relies on; the real engine gives its columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboards.panels.boards import BOARDS, board
from dashboards.panels.panel import GIVEN, Board, Column, Panel, Words
from tests.panel_engine import PanelEngine

PANELS = [pytest.param(one, panel, id=f"{one.uid}/{panel.uid}") for one in BOARDS for panel in one.panels]
REPOSITORY = Path(__file__).resolve().parents[3]
UIDS = ("soc-overview", "incident-response", "actor", "subject-audit", "unexplained-access", "partners", "compliance",
        "pipeline-health")  # fmt: skip
VALUES: dict[str, object] = {
    "since": "2026-03-01 00:00:00.000", "until": "2026-03-08 00:00:00.000", "bucket_s": 3600, "zone": "Asia/Shanghai",
    "actor": "61" * 16, "subject": "62" * 16,
}  # fmt: skip
SHAPES = {
    "stat": ("value",),
    "timeseries": ("time", "series", "value"),
    "bars": ("label", "value"),
    "heatmap": ("x", "y", "value"),
    "state": ("label", "value"),
}
_NUMBER = re.compile(r"(Nullable\()?(U?Int|Float)\d+\)?")
_TIME = re.compile(r"DateTime(64\(\d, 'UTC'\)|\('UTC'\))")
_NOT_CHINESE = re.compile(r"^[\x00-\x7f]*$")


@pytest.fixture(scope="module")
def engine() -> Iterator[PanelEngine]:
    with PanelEngine() as opened:
        yield opened


def test_the_boards_are_the_ones_that_links_and_files_name() -> None:
    assert {one.uid for one in BOARDS} == set(UIDS)
    assert all(board(uid) is not None for uid in UIDS)
    assert board("nothing") is None


@pytest.mark.parametrize("one", BOARDS, ids=lambda one: one.uid)
def test_a_board_has_four_to_nine_panels_with_uids_of_their_own(one: Board) -> None:
    assert 4 <= len(one.panels) <= 9
    assert not [uid for uid, count in Counter(panel.uid for panel in one.panels).items() if count > 1]
    assert re.fullmatch(r"[a-z][a-z-]{1,39}", one.uid)
    assert one.range_s > 0
    assert one.refresh_s >= 30


@pytest.mark.parametrize(("one", "panel"), PANELS)
def test_parameters_are_given_or_declared_with_one_type(one: Board, panel: Panel) -> None:
    declared = GIVEN | {given.name: given.kind for given in one.parameters}
    assert all(declared[name] == kind for name, kind in panel.places()), panel.places()
    used = re.findall(r"\{(\w+):", panel.sql)
    assert set(used) == {name for name, _ in panel.places()}


@pytest.mark.parametrize("one", BOARDS, ids=lambda one: one.uid)
def test_every_parameter_of_a_board_is_used_and_says_what_it_is(one: Board) -> None:
    used = {name for panel in one.panels for name, _ in panel.places()}
    for given in one.parameters:
        assert given.name in used
        _both(given.label)
    assert {"since", "until"} & used


@pytest.mark.parametrize(("one", "panel"), PANELS)
def test_a_panel_says_what_it_asks_and_why_in_both_languages(one: Board, panel: Panel) -> None:
    for words in (panel.title, panel.question, panel.decision, panel.empty, one.title, one.about):
        _both(words)
    assert panel.question.en.endswith("?")
    assert panel.question.zh.endswith("？")
    assert panel.decision.en.endswith(".")
    assert re.fullmatch(r"[a-z][a-z-]{1,39}", panel.uid)


@pytest.mark.parametrize(("one", "panel"), PANELS)
def test_a_command_that_a_panel_names_exists(one: Board, panel: Panel) -> None:
    named = [
        word for text in (panel.decision.en, panel.decision.zh) for word in re.findall(r"`accesstrail ([^`]+)`", text)
    ]
    page = (REPOSITORY / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    for command in named:
        assert re.search(f"^#+ accesstrail {re.escape(command)}$", page, re.MULTILINE), command


@pytest.mark.parametrize(("one", "panel"), PANELS)
def test_a_statement_limits_itself_and_reads_views_only(one: Board, panel: Panel, engine: PanelEngine) -> None:
    assert panel.sql.endswith(f" LIMIT {panel.max_rows}")
    read = set(re.findall(r"(?:FROM|(?<!ARRAY )JOIN) (\w+(?:\.\w+)?)", panel.sql))
    assert read <= {f"accesstrail.{name}" for name in engine.views}
    assert ";" not in panel.sql
    assert "SELECT *" not in panel.sql


@pytest.mark.parametrize(("one", "panel"), PANELS)
def test_the_columns_of_the_answer_are_the_declared_ones(one: Board, panel: Panel, engine: PanelEngine) -> None:
    described = engine.ask(f"DESCRIBE ({panel.sql})", _values(panel))
    found = [(str(row[0]), str(row[1])) for row in described.rows]
    assert [name for name, _ in found] == [column.name for column in panel.columns]
    for (_, kind), column in zip(found, panel.columns, strict=True):
        assert _fits(kind, column, panel), (kind, column)


@pytest.mark.parametrize(("one", "panel"), PANELS)
def test_a_view_has_the_columns_it_is_drawn_from(one: Board, panel: Panel) -> None:
    names = [column.name for column in panel.columns]
    if panel.view in SHAPES:
        assert tuple(names) == SHAPES[panel.view]
        assert panel.columns[-1].unit == panel.unit
    assert len(set(names)) == len(names)
    for column in panel.columns:
        _both(column.label)
    assert 1 <= panel.width <= 12
    assert panel.view != "stat" or panel.max_rows == 1


@pytest.mark.parametrize(("one", "panel"), PANELS)
def test_thresholds_ascend_and_colour_one_column(one: Board, panel: Panel) -> None:
    bounds = [threshold.value for threshold in panel.thresholds]
    assert bounds == sorted(set(bounds))
    if bounds:
        assert bounds[0] == 0, "every value has a colour"
        assert len([column for column in panel.columns if column.unit == panel.unit]) == 1


@pytest.mark.parametrize(("one", "panel"), PANELS)
def test_a_click_leads_to_a_board_with_the_parameters_it_asks_for(one: Board, panel: Panel) -> None:
    names = {column.name for column in panel.columns}
    for drill in (column.drill for column in panel.columns if column.drill):
        target = board(drill.board)
        assert target is not None
        assert {name for name, _ in drill.parameters} == {given.name for given in target.parameters}
        assert {column for _, column in drill.parameters} <= names


def test_every_board_for_somebody_is_reached_by_a_click() -> None:
    reached = {column.drill.board for one in BOARDS for panel in one.panels for column in panel.columns if column.drill}
    assert {one.uid for one in BOARDS if one.parameters} <= reached


@pytest.mark.parametrize("one", [one for one in BOARDS if one.parameters], ids=lambda one: one.uid)
def test_choices_are_one_column_of_text(one: Board, engine: PanelEngine) -> None:
    for given in one.parameters:
        if given.choices:
            described = engine.ask(f"DESCRIBE ({given.choices})", {})
            assert [row[1] for row in described.rows] == ["String"]
            assert re.search(r" LIMIT \d+$", given.choices)


def _values(panel: Panel) -> dict[str, object]:
    return {name: VALUES[name] for name, _ in panel.places()}


def _both(words: Words) -> None:
    assert words.en.strip()
    assert words.zh.strip()
    assert not _NOT_CHINESE.match(words.zh), words


def _fits(kind: str, column: Column, panel: Panel) -> bool:
    if column.unit == "time":
        return bool(_TIME.fullmatch(kind))
    if column.unit in ("text", "token"):
        return kind in ("String", "LowCardinality(String)") or (column.unit == "text" and kind.startswith("Enum8"))
    return bool(_NUMBER.fullmatch(kind))
