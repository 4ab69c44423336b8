"""A board becomes a dashboard that Grafana's schemas accept and that is the same every time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dashboards.grafana.build import as_text, dashboard, lint
from dashboards.grafana.macros import faults_of, grafana_sql, variable
from dashboards.grafana.views import LANGUAGES, Language
from dashboards.panels.boards import BOARDS
from dashboards.panels.panel import Board, Parameter
from tests.grafana_samples import ONE_ACTOR, OVERVIEW, SAMPLES, panel, words
from tests.grafana_schemas import faults

ALL = (*SAMPLES, *BOARDS)
ZONE = "Asia/Shanghai"
_SCHEMAS = ("stat", "timeseries", "barchart", "table")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("board", ALL, ids=lambda one: one.uid)
def test_every_dashboard_is_valid_by_grafanas_schemas(board: Board, language: Language, real_data: Path) -> None:
    built = dashboard(board, language, zone=ZONE)
    assert faults(real_data, "dashboard", "Dashboard", built) == []
    for one in built["panels"]:
        assert one["type"] in _SCHEMAS
        assert faults(real_data, one["type"], "Options", one["options"]) == []
        custom = one["fieldConfig"]["defaults"].get("custom", {})
        if one["type"] != "stat":
            assert faults(real_data, one["type"], "FieldConfig", custom) == []


@pytest.mark.parametrize("board", ALL, ids=lambda one: one.uid)
def test_panels_of_a_board_lie_beside_each_other_and_never_overlap(board: Board) -> None:
    taken: set[tuple[int, int]] = set()
    for one in dashboard(board, "en", zone=ZONE)["panels"]:
        place = one["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
        assert place["x"] + place["w"] <= 24
        assert not taken & cells
        taken |= cells


@pytest.mark.parametrize("board", ALL, ids=lambda one: one.uid)
def test_every_link_leads_to_a_board_that_has_what_it_hands_over(board: Board) -> None:
    known = {one.uid: {given.name for given in one.parameters} for one in ALL}
    for one in board.panels:
        names = {column.name for column in one.columns}
        for column in one.columns:
            if column.drill:
                assert {name for name, _ in column.drill.parameters} <= known[column.drill.board]
                assert {source for _, source in column.drill.parameters} <= names


def test_the_same_board_gives_the_same_bytes_and_another_dashboard_a_language() -> None:
    english, chinese = (dashboard(OVERVIEW, language, zone=ZONE) for language in LANGUAGES)
    assert as_text(english) == as_text(dashboard(OVERVIEW, "en", zone=ZONE))
    assert (english["uid"], chinese["uid"]) == ("accesstrail-sample-overview", "accesstrail-sample-overview-zh")
    assert (english["title"], chinese["title"]) == ("Overview", "Overview（中文）")
    assert all(len(dashboard(one, "zh", zone=ZONE)["uid"]) <= 40 for one in ALL)
    assert json.loads(as_text(chinese)) == chinese
    assert "（中文）" in as_text(chinese)


def _panel(board: Board, number: int) -> Any:
    return dashboard(board, "en", zone=ZONE)["panels"][number]


def test_a_panel_tells_its_question_and_decision_and_what_an_empty_answer_means() -> None:
    found = _panel(OVERVIEW, 0)
    assert found["description"] == "Who?\n\n**What to do with it**: Ask."
    assert found["fieldConfig"]["defaults"]["noValue"] == "Nothing in this range."
    assert found["fieldConfig"]["defaults"]["thresholds"]["steps"] == [
        {"value": None, "color": "green"}, {"value": 5, "color": "orange"}, {"value": 10, "color": "red"},
    ]  # fmt: skip


def test_a_time_series_is_asked_as_one_and_named_by_its_series() -> None:
    found = _panel(OVERVIEW, 1)
    assert (found["targets"][0]["format"], found["targets"][0]["queryType"]) == (0, "timeseries")
    assert found["fieldConfig"]["defaults"]["displayName"] == "${__field.labels.series}"
    assert "CAST($__fromTime_ms AS DateTime64(3, 'UTC'))" in found["targets"][0]["rawSql"]
    assert "toIntervalSecond(toUInt32($__interval_s))" in found["targets"][0]["rawSql"]


def test_a_click_leads_to_the_other_board_with_the_rows_value_and_the_same_range() -> None:
    bars = _panel(OVERVIEW, 2)["fieldConfig"]["defaults"]["links"]
    url = "/d/accesstrail-one-actor?${__url_time_range}&var-actor=${__data.fields.actor:percentencode}"
    assert [one["url"] for one in bars] == [url]
    cells = _panel(ONE_ACTOR, 0)["fieldConfig"]["overrides"][2]["properties"]
    link = next(one["value"] for one in cells if one["id"] == "links")[0]
    # The text of a number is what is shown, with its unit.
    assert "var-least=${__data.fields.risk.numeric:percentencode}" in link["url"]


def test_of_an_explanation_in_two_languages_the_dashboards_own_is_shown() -> None:
    chosen: tuple[tuple[Language, str], ...] = (("en", "explanation_zh"), ("zh", "explanation_en"))
    for language, hidden in chosen:
        built = dashboard(next(one for one in BOARDS if one.uid == "incident-response"), language, zone=ZONE)
        found = [
            override["matcher"]["options"]
            for one in built["panels"]
            for override in one["fieldConfig"]["overrides"]
            if {"id": "custom.hidden", "value": True} in override["properties"]
        ]
        assert found == [hidden]


def test_what_a_viewer_chooses_is_a_variable_asked_from_the_store_or_typed() -> None:
    source, zone, actor, least = dashboard(ONE_ACTOR, "en", zone=ZONE)["templating"]["list"]
    assert (source["type"], source["query"]) == ("datasource", "grafana-clickhouse-datasource")
    assert (zone["type"], zone["query"], zone["hide"]) == ("constant", ZONE, 2)
    assert (actor["type"], least["type"]) == ("query", "textbox")
    assert "CAST($__fromTime_ms" in actor["query"]
    assert dashboard(ONE_ACTOR, "en", zone=ZONE)["time"] == {"from": "now-90m", "to": "now"}


def test_a_variable_is_decoded_by_the_server_and_cast_to_its_type() -> None:
    assert variable("actor", "String") == "decodeURLComponent('${actor:percentencode}')"
    assert variable("least", "UInt16") == "CAST(decodeURLComponent('${least:percentencode}') AS UInt16)"


def test_a_place_that_nobody_fills_or_of_another_type_is_refused() -> None:
    for sql in ("SELECT {who:String}", "SELECT {least:UInt8}"):
        with pytest.raises(ValueError, match="no parameter of its board"):
            grafana_sql(sql, ONE_ACTOR.parameters)


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("SELECT $__fromTime", "unknown macro $__fromTime"),
        ("SELECT $__timeFilter(t)", "unknown macro $__timeFilter"),
        ("SELECT '${who:percentencode}'", "unknown variable who"),
        ("SELECT '${actor}'", "variable actor is not percent-encoded"),
        ("SELECT ${actor:singlequote}", "variable actor is not percent-encoded"),
        ("SELECT $actor", "a $ that is no macro of ours"),
        ("SELECT {actor:String}", "place actor:String is left"),
    ],
)
def test_sql_that_grafana_would_not_fill_is_refused(sql: str, fault: str) -> None:
    assert faults_of(sql, ["actor"]) == [fault]


def test_a_board_whose_sql_or_words_are_wrong_is_not_built() -> None:
    unknown = replace(OVERVIEW, panels=(replace(OVERVIEW.panels[0], sql="SELECT $__timeFilter(t) AS value"),))
    with pytest.raises(ValueError, match=r"unknown macro \$__timeFilter"):
        dashboard(unknown, "en", zone=ZONE)
    silent = panel("silent", "SELECT 1", "stat", (), title=words(""))
    built = dashboard(OVERVIEW, "en", zone=ZONE)
    built["panels"][0]["title"] = silent.title.en
    built["panels"][0]["targets"] = []
    assert lint(built) == ["panel 1 (): no title", "panel 1 (): asks nothing"]
    chosen = replace(ONE_ACTOR, parameters=(Parameter("actor", "String", words("a"), "", "SELECT $__bad"),), panels=())
    with pytest.raises(ValueError, match="variable actor: unknown macro"):
        dashboard(chosen, "en", zone=ZONE)
