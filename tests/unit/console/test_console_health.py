"""The page of pipeline health says what it could not find out, and only what it knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.health_reading import HealthReader
from pipeline.audit.health import HealthView, ProcessView
from pipeline.cli import console_health
from pipeline.cli.console_health import health_of
from pipeline.cli.console_sources import ListedSources
from pipeline.errors import StoreRefused
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
    return {"problems": [], "partitions": [{"partition": 0, "lag": 0, "sealed_offset": 7, "incarnation": "life"}]}


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
    assert list(view.problems) == ([REFUSED] if part else [])
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
    half = replace(good, ready=False, unknown=["runs", "channels"], problems=[REFUSED])
    text = page(world, half, monkeypatch, "en")
    assert "Everything runs." not in text
    assert "Could not be found out:" in text
    assert "scheduled detectors, messages" in text
    assert "None ran in the last 24 hours." not in text, "nobody knows that"
    chinese = page(world, replace(good, unknown=["partitions"]), monkeypatch, "zh")
    assert "一切正常运行" not in chinese
    assert "未能查明：" in chinese
    assert "待入库数量" in chinese
