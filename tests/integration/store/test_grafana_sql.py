"""Every statement that Grafana would send runs on the real engine as Grafana's own role, with data and without."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dashboards.grafana.build import dashboard
from dashboards.grafana.views import Json
from dashboards.panels.boards import BOARDS
from dashboards.panels.panel import Board
from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.store import ClickHouseStore
from pipeline.columns import TOKEN_BYTES
from pipeline.events import LogPosition
from tests.batches import batch
from tests.grafana_samples import ONE_ACTOR, SAMPLES, expanded

pytestmark = pytest.mark.stack

ALL = (*SAMPLES, *BOARDS)
LONG_AGO = datetime(1971, 1, 1, tzinfo=UTC)
NOW = datetime(2030, 1, 1, tzinfo=UTC)
RANGES = {"all": (datetime(2000, 1, 1, tzinfo=UTC), NOW), "nothing": (LONG_AGO, LONG_AGO + timedelta(days=1))}


@pytest.fixture
def grafana(clickhouse_settings: Any) -> Any:
    with closing(connect(clickhouse_settings, "grafana")) as client:
        yield client


@pytest.fixture
def seeded(store: ClickHouseStore, position: LogPosition) -> None:
    made = batch(position, None, events=60, seed=7)
    made.commit(store)


def _values(board: Board) -> dict[str, str]:
    """What a viewer may choose: a token that looks like one, else the default."""
    token = "ab" * TOKEN_BYTES
    return {"zone": "Asia/Shanghai"} | {
        one.name: one.default or (token if one.kind == "String" else "0") for one in board.parameters
    }


def _asked(client: ClickHouse, sql: str) -> tuple[list[tuple[Any, ...]], list[tuple[str, str]]]:
    return client.query_with_columns(sql)


@pytest.mark.parametrize("span", RANGES)
@pytest.mark.parametrize("board", ALL, ids=lambda one: one.uid)
def test_every_panel_and_variable_runs_as_grafana(board: Board, span: str, grafana: ClickHouse, seeded: None) -> None:
    built = dashboard(board, "en", zone="Asia/Shanghai")
    since, until = RANGES[span]
    for one in built["templating"]["list"]:
        if one["type"] == "query":
            _, columns = _asked(grafana, expanded(one["query"], since, until, _values(board)))
            assert len(columns) == 1, one["name"]
    for panel, defined in zip(built["panels"], board.panels, strict=True):
        sql = expanded(panel["targets"][0]["rawSql"], since, until, _values(board), interval_s=86_400)
        rows, columns = _asked(grafana, sql)
        assert {one.name for one in defined.columns} <= {name for name, _ in columns}, panel["title"]
        assert len(rows) <= max(defined.max_rows, 10_000), panel["title"]
        _CHECKS.get(defined.view, _anything)(panel, rows, columns)


def _anything(panel: Json, rows: list[tuple[Any, ...]], columns: list[tuple[str, str]]) -> None:
    assert columns


def _is_number(kind: str) -> bool:
    return kind.removeprefix("Nullable(").startswith(("UInt", "Int", "Float", "Decimal"))


def _one_number(panel: Json, rows: list[tuple[Any, ...]], columns: list[tuple[str, str]]) -> None:
    assert len(rows) <= 1, panel["title"]
    assert any(_is_number(kind) for _, kind in columns), panel["title"]


def _series(panel: Json, rows: list[tuple[Any, ...]], columns: list[tuple[str, str]]) -> None:
    """Grafana makes one line a series of them only where time ascends and exactly one column is a number."""
    kinds = dict(columns)
    assert kinds["time"].startswith("DateTime"), panel["title"]
    assert sum(_is_number(kind) for kind in kinds.values()) == 1, panel["title"]
    times = [dict(zip(kinds, row, strict=True))["time"] for row in rows]
    assert times == sorted(times), panel["title"]


def _bars(panel: Json, rows: list[tuple[Any, ...]], columns: list[tuple[str, str]]) -> None:
    assert sum(_is_number(kind) for _, kind in columns) >= 1, panel["title"]
    assert any("String" in kind for _, kind in columns), panel["title"]


_CHECKS: dict[str, Callable[[Json, list[tuple[Any, ...]], list[tuple[str, str]]], None]] = {
    "stat": _one_number, "timeseries": _series, "bars": _bars, "state": _bars, "heatmap": _bars,
}  # fmt: skip


@pytest.mark.parametrize("chosen", ["' OR 1 = 1 --", "\\' OR 1 = 1 --", "\\", "'", "a'); SELECT 1 --", "%27", "客服 +"])
def test_nothing_a_viewer_types_gets_out_of_its_literal(chosen: str, grafana: ClickHouse, seeded: None) -> None:
    sql = dashboard(ONE_ACTOR, "en", zone="UTC")["panels"][0]["targets"][0]["rawSql"]
    shown = sql.replace("SELECT event_time", "SELECT event_time", 1)
    place = "decodeURLComponent('${actor:percentencode}')"
    assert place in shown
    since, until = RANGES["all"]
    values = _values(ONE_ACTOR) | {"actor": chosen}
    assert grafana.query(expanded(f"SELECT {place}", since, until, values)) == [(chosen,)]
