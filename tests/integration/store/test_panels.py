"""Every panel on a server, as the role that reads for the console and Grafana: rights, limits, types, threads."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dashboards.panels.asked import Asked, values_of
from dashboards.panels.boards import BOARDS, board
from dashboards.panels.panel import Board, Panel
from pipeline.adapters.panel_reading import PanelReader, open_panel_reader
from pipeline.adapters.reader_pool import ReaderPool
from pipeline.adapters.store import ClickHouseStore
from pipeline.cli.dashboards import dashboards_command
from pipeline.errors import Away, StoreRefused, UsageError
from pipeline.events import LogPosition
from tests.batches import RECEIVED_AT_US, batch

pytestmark = pytest.mark.stack

UNTIL = datetime.fromtimestamp(RECEIVED_AT_US / 1e6, UTC) + timedelta(hours=1)
SOMEBODY = "ab" * 16


@pytest.fixture
def panels(clickhouse_settings: Any) -> Iterator[PanelReader]:
    opened = open_panel_reader(clickhouse_settings)
    yield opened
    opened.close()


def _values(one: Board, since: datetime = UNTIL - timedelta(days=1)) -> dict[str, object]:
    given = {parameter.name: SOMEBODY for parameter in one.parameters}
    return values_of(one, Asked(since, UNTIL, "Asia/Shanghai", given))


def _panel(board_uid: str, uid: str) -> tuple[Board, Panel]:
    one = board(board_uid)
    assert one is not None
    panel = one.panel(uid)
    assert panel is not None
    return one, panel


@pytest.mark.parametrize("one", BOARDS, ids=lambda one: one.uid)
def test_the_reader_may_ask_every_panel(
    one: Board, panels: PanelReader, store: ClickHouseStore, position: LogPosition
) -> None:
    batch(position).commit(store)
    for panel in one.panels:
        answer = panels.run(panel, _values(one))
        assert answer.columns == tuple(column.name for column in panel.columns)
        assert len(answer.rows) <= panel.max_rows
        for row in answer.rows:
            for column, value in zip(panel.columns, row, strict=True):
                if column.unit == "time":
                    assert value.tzinfo is not None
                elif column.unit in ("text", "token"):
                    assert isinstance(value, str)
                else:
                    assert value is None or isinstance(value, int | float)


def test_an_answer_says_what_it_cost(panels: PanelReader, store: ClickHouseStore, position: LogPosition) -> None:
    entry = batch(position, events=60).commit(store)
    one, panel = _panel("pipeline-health", "sealed")
    answer = panels.run(panel, _values(one))
    assert answer.rows_read >= 1
    assert answer.elapsed_ms > 0
    assert sum(row["value"] for row in answer.named()) >= entry.n_events


def test_a_value_is_never_part_of_the_text(panels: PanelReader) -> None:
    _one, panel = _panel("actor", "incidents")
    assert not panels.run(panel, {"actor": "') OR 1 = 1 --"}).rows
    assert not panels.run(panel, {"actor": "\\' \n {zone:String} "}).rows


def test_a_value_that_is_missing_is_said_by_name(panels: PanelReader) -> None:
    _one, panel = _panel("actor", "incidents")
    with pytest.raises(UsageError, match="actor"):
        panels.run(panel, {})


def test_an_answer_larger_than_it_says_is_refused_and_the_next_one_comes(panels: PanelReader) -> None:
    _one, panel = _panel("actor", "incidents")
    larger = dataclasses.replace(panel, sql="SELECT toString(number) AS incident FROM numbers(10) LIMIT 10", max_rows=3)
    with pytest.raises((StoreRefused, Away)):
        panels.run(larger, {})
    assert panels.run(dataclasses.replace(larger, max_rows=10), {}).rows[0] == ("0",)


def test_raw_tables_are_out_of_reach(panels: PanelReader) -> None:
    _one, panel = _panel("actor", "incidents")
    raw = dataclasses.replace(panel, sql="SELECT count() AS incident FROM accesstrail_raw.access_events LIMIT 1")
    with pytest.raises(StoreRefused):
        panels.run(raw, {})


def test_threads_ask_at_once_where_connections_are_shared_out(clickhouse_settings: Any) -> None:
    """As in the console; one connection, as on a terminal, is for one thread."""
    panels = PanelReader(ReaderPool(clickhouse_settings))
    one, panel = _panel("soc-overview", "accesses")
    found: list[int] = []

    def ask() -> None:
        for _ in range(5):
            found.append(len(panels.run(panel, _values(one)).columns))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    panels.close()
    assert found == [3] * 30


def test_a_store_that_is_away_is_said_so(clickhouse_settings: Any) -> None:
    reader = open_panel_reader(dataclasses.replace(clickhouse_settings, native_port=1))
    one, panel = _panel("soc-overview", "waiting")
    with pytest.raises(Away):
        reader.run(panel, _values(one))
    reader.close()


# -- the command


@pytest.fixture
def config(stack: Any, clickhouse_settings: Any) -> Path:
    path: Path = stack.state / "config.toml"
    return path


def _shown(config: Path, *words: str) -> str:
    result = CliRunner().invoke(
        dashboards_command, ["show", *words, "--to", UNTIL.isoformat(), "--config", str(config)],
        catch_exceptions=False, standalone_mode=False,
    )  # fmt: skip
    assert result.return_value == 0, result.output
    return result.stdout


@pytest.mark.parametrize("one", BOARDS, ids=lambda one: one.uid)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_board_is_shown_on_a_terminal(one: Board, language: str, config: Path) -> None:
    given = [word for parameter in one.parameters for word in ("--set", f"{parameter.name}={SOMEBODY}")]
    text = _shown(config, one.uid, "--language", language, "--zone", "Asia/Shanghai", *given)
    assert getattr(one.title, language) in text.splitlines()[0]
    for panel in one.panels:
        assert f"== {getattr(panel.title, language)}\n{getattr(panel.question, language)}\n" in text


def test_one_panel_as_json(config: Path, store: ClickHouseStore, position: LogPosition) -> None:
    batch(position).commit(store)
    (line,) = _shown(config, "pipeline-health", "--panel", "sealed", "--json").splitlines()
    told = json.loads(line)
    assert told["columns"] == ["time", "series", "value"]
    assert told["rows"][0][0].endswith("Z")
    assert told["rows_read"] >= 1


@pytest.mark.parametrize(
    "words",
    [
        ("actor", "--set", "actor=nobody"),
        ("actor", "--set", "actor"),
        ("soc-overview", "--set", f"actor={SOMEBODY}"),
        ("soc-overview", "--panel", "nothing"),
        ("soc-overview", "--zone", "Mars/Olympus"),
        ("soc-overview", "--from", UNTIL.isoformat()),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_store_is_asked(words: tuple[str, ...], config: Path) -> None:
    with pytest.raises(UsageError):
        _shown(config, *words)
