"""The page of pipeline health says what it could not find out, and only what it knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dashboards.console.panel_view import shown
from dashboards.panels import pipeline_health
from pipeline.adapters.health_reading import HealthReader
from pipeline.audit.health import DeadLetters, HealthView, ProcessView
from pipeline.audit.panels import PanelAnswer
from pipeline.cli import console_health
from pipeline.cli.console_health import health_of
from pipeline.cli.console_sources import ListedSources
from pipeline.errors import Away, StoreRefused
from pipeline.health.problems import Problem, problem_of
from pipeline.privacy.keys import Keyring
from tests.console import NOW_US, World
from tests.unit.versions.deployment import Deployment

REFUSED = "ClickHouse refuses the request (its code 456)"


class Store:
    """Answers every question with no row, but refuses those about one table."""

    def __init__(self, refuses: str) -> None:
        self.refuses = refuses

    def query(
        self, sql: str, parameters: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        if self.refuses and f"accesstrail.{self.refuses} " in sql:
            raise StoreRefused(REFUSED)
        return [(0, 0)] if "risk_resource_1d" in sql else []

    def named_rows(self, sql: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
        raise NotImplementedError

    def measured(self, sql: str, parameters: Mapping[str, object], settings: Any = None) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is open."""


def _running(*_given: object) -> dict[str, Any]:
    return {
        "problems": [],
        "problems_zh": [],
        "partitions": [{"partition": 0, "lag": 0, "sealed_offset": 7, "incarnation": "life"}],
    }


def asked(folder: Path, refuses: str) -> HealthView:
    settings = Deployment(folder).settings()
    listed = ListedSources(settings.detection.directory, Keyring.offline())
    return health_of(settings, HealthReader(Store(refuses), "default", "access.events"), listed, NOW_US)


@pytest.mark.parametrize(
    ("table", "part"),
    [("sources", "sources"), ("dead_letters", "dead_letters"), ("scheduled_runs", "runs"), ("deliveries", "channels"),
     ("risk_resource_1d", "events"), ("", "")],
)  # fmt: skip
def test_a_question_that_is_refused_is_a_problem_and_its_part_unknown(
    table: str, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_health, "collect", _running)
    view = asked(tmp_path, table)
    assert list(view.unknown) == ([part] if part else [])
    assert [one.english for one in view.problems] == ([REFUSED] if part else [])
    assert view.ready == (not part)


def page(world: World, view: HealthView, monkeypatch: pytest.MonkeyPatch, language: str) -> str:
    monkeypatch.setattr(world.looked, "health", lambda now_us: view)
    client = world.signed_in("soc")
    client.cookies.set("accesstrail_language", language)
    return str(client.get("/health").text).partition("<main")[2]


def _good(world: World) -> HealthView:
    good: Sequence[ProcessView] = []
    return replace(
        world.looked.health(NOW_US), processes=good, sources=[], dead_letters=[], runs=[], channels=[], unscored=0
    )


def test_the_page_says_that_everything_runs_only_where_it_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    good = _good(world)
    assert "Everything runs." in page(world, good, monkeypatch, "en")
    half = replace(good, ready=False, unknown=["runs", "channels"], problems=[problem_of(StoreRefused(REFUSED))])
    text = page(world, half, monkeypatch, "en")
    assert "Everything runs." not in text
    assert "Could not be found out:" in text
    assert "scheduled detectors, messages" in text
    assert "None ran in the last 24 hours." not in text, "nobody knows that"
    chinese = page(world, replace(good, unknown=["partitions"]), monkeypatch, "zh")
    assert "一切正常运行" not in chinese
    assert "未能查明：" in chinese
    assert "待入库数量" in chinese


def test_reasons_of_dead_letters_are_said_in_the_viewers_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    letters = [DeadLetters("bad_json", "dead_letter", 3, NOW_US), DeadLetters("missing_offsets", "gap", 40, NOW_US)]
    view = replace(_good(world), dead_letters=[*letters, DeadLetters("newer_one", "dead_letter", 1, NOW_US)])
    chinese = page(world, view, monkeypatch, "zh")
    assert "内容不是单个 JSON 值" in chinese
    assert "Kafka 已不再保存这些记录" in chinese
    assert ">newer_one</span>" in chinese
    assert "the value is not one JSON value" in page(world, view, monkeypatch, "en")
    panel = next(one for one in pipeline_health.BOARD.panels if one.uid == "rejected")
    told = PanelAnswer(("kind", "reason", "records", "last_at"), (("gap", "missing_offsets", 40.0, None),))
    assert "Kafka 已不再保存这些记录" in shown(panel, told, "zh", (0, 1)).rows[0][1].text


def test_problems_are_said_in_the_viewers_language_and_unknown_codes_in_english(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    problems = [
        problem_of(StoreRefused(REFUSED)),
        problem_of(Away("no answer", code="store_away")),
        problem_of(StoreRefused("new trouble", code="newer_one")),
    ]
    view = replace(
        _good(world), ready=False, problems=[*problems, Problem("no worker runs here", "此处没有 worker 运行")]
    )
    chinese = page(world, view, monkeypatch, "zh")
    assert "ClickHouse 拒绝查询" in chinese
    assert "ClickHouse 没有响应" in chinese
    assert "分区已停止" not in chinese, "somebody asked; no partition stopped"
    assert "此处没有 worker 运行" in chinese
    assert "new trouble" in chinese
    assert REFUSED not in chinese
    english = page(world, view, monkeypatch, "en")
    assert REFUSED in english
    assert "此处没有" not in english
