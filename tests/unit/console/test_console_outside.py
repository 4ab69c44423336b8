"""What the console asks through: the pool of connections, the shared sender, panels asked once for all viewers."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dashboards.console.outages import KAFKA, STORE, Outages, dependency_of
from dashboards.panels import soc_overview
from dashboards.panels.panel import Panel
from pipeline.adapters.reader_pool import ReaderPool
from pipeline.audit.panels import PanelAnswer
from pipeline.cli.console_incidents import SharedSender
from pipeline.cli.console_live import Allowed, ConsolePanels
from pipeline.config import ClickHouseSettings
from pipeline.errors import Away, StoreRefused

SETTINGS = ClickHouseSettings(
    host="h", native_port=1, http_port=2, database="d", password_files={}, timeout_s=300, commits_at_once=1
)


class Connection:
    """A connection that answers, or raises what a test sets."""

    def __init__(self) -> None:
        self.fails: Exception | None = None
        self.asked = 0
        self.closed = False

    def query(self, sql: str, parameters: Any = None, settings: Any = None) -> list[tuple[Any, ...]]:
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        return [(sql,)]

    def close(self) -> None:
        self.closed = True


def test_a_pool_tells_of_an_outage_once_and_asks_again_after_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    connection, told = Connection(), []
    now_s = [100.0]
    monkeypatch.setattr("pipeline.adapters.reader_pool.time.monotonic", lambda: now_s[0])
    pool = ReaderPool(
        SETTINGS, failed=lambda: told.append("away"), worked=lambda: told.append("back"),
        open_connection=lambda settings, role: connection,  # type: ignore[arg-type,return-value]
    )  # fmt: skip
    assert pool._settings.timeout_s == 15  # a viewer waits
    connection.fails = Away("x", code="store_away")
    for _ in range(5):
        with pytest.raises(Away):
            pool.query("SELECT 1")
    assert connection.asked == 1
    connection.fails = None
    now_s[0] += 2
    assert pool.query("SELECT 1") == [("SELECT 1",)]
    assert told == ["away", "back"]
    connection.fails = StoreRefused("rights")
    with pytest.raises(StoreRefused):
        pool.query("SELECT 2")
    assert told == ["away", "back"]  # refusing is answering
    pool.close()
    assert connection.closed


class Broker:
    """A sender that is away while told so."""

    def __init__(self) -> None:
        self.is_away = False
        self.tries = 0

    def send(self, key: bytes, value: bytes) -> None:
        pass

    def flush(self) -> None:
        self.tries += 1
        if self.is_away:
            raise Away("x", code="kafka_away")


def test_while_kafka_is_away_only_one_viewer_in_a_while_waits_for_it() -> None:
    broker, now_s, told = Broker(), [0.0], []
    sender = SharedSender(
        broker, failed=lambda: told.append("away"), worked=lambda: told.append("back"), monotonic=lambda: now_s[0]
    )
    broker.is_away = True
    sender.send(b"k", b"v")
    with pytest.raises(Away):
        sender.flush()
    for _ in range(10):
        with pytest.raises(Away):
            sender.send(b"k", b"v")
    assert broker.tries == 1
    now_s[0], broker.is_away = 10.0, False
    sender.send(b"k", b"v")
    sender.flush()
    assert told == ["away", "back"]


class Slow:
    """A reader of panels whose answer waits until a test lets it go."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = threading.Event()

    def run(self, panel: Panel, values: Mapping[str, object]) -> PanelAnswer:
        self.asked += 1
        self.go.wait(10)
        return PanelAnswer(("value",), ((self.asked,),))


def test_fifty_viewers_of_a_panel_ask_the_store_once() -> None:
    slow, found = Slow(), []
    panels = ConsolePanels(slow)  # type: ignore[arg-type]
    threads = [
        threading.Thread(target=lambda: found.append(panels.run(soc_overview.WAITING, {"until": "x"}).rows))
        for _ in range(50)
    ]
    for one in threads:
        one.start()
    slow.go.set()
    for one in threads:
        one.join(10)
    assert slow.asked == 1
    assert found == [((1,),)] * 50
    assert panels.run(soc_overview.WAITING, {"until": "another"}).rows == ((2,),)
    assert ConsolePanels(slow, kept_s=0.0).run(soc_overview.WAITING, {"until": "x"}).rows == ((3,),)  # type: ignore[arg-type]


def test_outages_are_dated_by_their_first_failure() -> None:
    outages = Outages()
    assert [outages.failed(STORE, at) for at in (5, 9)] == [5, 5]
    outages.worked(KAFKA)
    assert outages.now() == {STORE: 5}
    outages.worked(STORE)
    assert outages.failed(STORE, 20) == 20
    assert (dependency_of("kafka_away"), dependency_of("store_busy"), dependency_of("away")) == (KAFKA, STORE, STORE)


def test_how_long_sources_may_be_silent_is_read_again_when_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "sources.csv"
    allowed = Allowed(path)
    assert allowed.read() == {}
    path.write_text("source_system,source_instance,max_silence_s,owner\ncrm,eu,60,x\n")
    assert allowed.read() == {("crm", "eu"): 60_000_000}
    path.write_text("source_system,source_instance,max_silence_s,owner\ncrm,eu,soon,x\n")
    assert allowed.read() == {("crm", "eu"): 60_000_000}  # half written: what was known holds
