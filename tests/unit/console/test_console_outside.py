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
from pipeline.adapters.health_reading import HealthReader
from pipeline.adapters.reader_pool import ReaderPool
from pipeline.adapters.verification_results import VerificationResults
from pipeline.audit.panels import PanelAnswer
from pipeline.cli import console_sources
from pipeline.cli.console_incidents import SharedSender
from pipeline.cli.console_live import ConsoleLive, ConsolePanels
from pipeline.cli.console_sources import ListedSources
from pipeline.config import ClickHouseSettings
from pipeline.directory.snapshot import SourceRow
from pipeline.errors import Away, DirectoryError, StoreRefused
from pipeline.privacy.keys import Keyring
from tests.audit_desk import differing, failed, intact

NOW_US = 1_795_000_000_000_000
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
    for code in ("store_busy", "store_slow"):
        connection.fails = Away("x", code=code)
        for _ in range(2):
            with pytest.raises(Away):
                pool.query("SELECT 3")
    assert told == ["away", "back"]  # so is being too slow
    assert connection.asked == 7
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
    panels = ConsolePanels(slow, kept_s=30.0)  # type: ignore[arg-type]
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
    assert dependency_of("store_slow") == STORE


def test_what_the_directory_says_of_sources_is_read_again_when_the_file_changes(tmp_path: Path) -> None:
    path, head = tmp_path / "sources.csv", "source_system,source_instance,max_silence_s,owner\n"
    listed = ListedSources(tmp_path, Keyring.offline())
    assert listed.latest() == ()
    path.write_text(f"{head}crm,eu,60,x\n")
    known = [SourceRow("crm", "eu", 60, "x")]
    assert list(listed.rows()) == known
    path.write_text(f"{head}crm,eu,soon,x\n")
    with pytest.raises(DirectoryError):
        listed.rows()
    assert list(listed.latest()) == known, "half written: what was known holds"
    path.write_text(f"{head}crm,,61,x\n")
    assert list(listed.rows()) == [SourceRow("crm", "", 61, "x")]


def test_a_file_that_did_not_change_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def counted(folder: Path, keyring: Keyring) -> tuple[SourceRow, ...]:
        asked.append(folder)
        return ()

    monkeypatch.setattr(console_sources, "read_sources", counted)
    listed = ListedSources(tmp_path, Keyring.offline())
    for _ in range(3):
        listed.rows()
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("system", "instance", "is_silent"),
    [("crm", "eu", True), ("crm", "us", True), ("erp", "a", False), ("accesstrail", "console", False)],
)
def test_the_overview_counts_the_same_sources_as_silent_as_the_page_of_health(
    system: str, instance: str, is_silent: bool, tmp_path: Path
) -> None:
    """A bound of a whole system, one of an instance, none (a day), and accesstrail's own events, which come rarely."""
    (tmp_path / "sources.csv").write_text("source_system,source_instance,max_silence_s,owner\ncrm,,60,x\n")
    last_us = {"crm": NOW_US - 61_000_000, "erp": NOW_US - 3_600_000_000, "accesstrail": NOW_US - 9 * 86_400_000_000}

    class Asked:
        def query(self, sql: str, parameters: Mapping[str, object] | None = None, settings: Any = None) -> list[Any]:
            return [(system, instance, 1, 0, 0, last_us[system])] if ".sources " in sql else []

    health = HealthReader(Asked(), "default", "access.events")  # type: ignore[arg-type]
    listed = ListedSources(tmp_path, Keyring.offline())
    live = ConsoleLive(tmp_path, Incidents(), health, listed, lambda: NOW_US)  # type: ignore[arg-type]
    assert live.facts().silent == ([f"{system}/{instance}"] if is_silent else [])


def test_differences_that_the_last_verification_found_are_told_on_the_overview(tmp_path: Path) -> None:
    class Quiet:
        def query(self, *_: object) -> list[Any]:
            return []

    health = HealthReader(Quiet(), "default", "access.events")  # type: ignore[arg-type]
    listed = ListedSources(tmp_path, Keyring.offline())
    live = ConsoleLive(tmp_path, Incidents(), health, listed, lambda: NOW_US)  # type: ignore[arg-type]
    assert live.facts().changed == 0
    results = VerificationResults(tmp_path)
    results.keep(differing(NOW_US - 60_000_000))
    results.keep(failed(NOW_US))
    assert live.facts().changed == 150
    results.keep(intact(NOW_US + 1))
    assert live.facts().changed == 0


class Incidents:
    """No incidents."""

    def open_counts(self) -> Mapping[tuple[str, str], int]:
        return {}

    def page(self, *given: object) -> list[object]:
        return []
