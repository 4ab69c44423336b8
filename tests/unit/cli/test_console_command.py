"""`accesstrail console` as a process: it starts while store and broker are away, says where it is, ends in order."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipeline.adapters.status_file import StatusFile, read_workers
from pipeline.cli.console import serve_console, told
from pipeline.cli.console_accounts import FIRST_LINK
from pipeline.cli.stack_status import collect
from pipeline.config import load
from pipeline.errors import ConfigError
from tests.unit.versions.deployment import Deployment


@pytest.fixture
def config(tmp_path: Path) -> Path:
    Deployment(tmp_path)
    return tmp_path / "config.toml"


@pytest.fixture
def process(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "pipeline.cli", "console", "--config", str(config)]
    started = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "PYTHONWARNINGS": "ignore"})
    yield started
    if started.poll() is None:
        started.kill()
    started.communicate()


def address_of(config: Path) -> str:
    for _ in range(600):
        found = read_workers(config.parent / "run", "console")
        if found:
            return str(found[0]["address"])
        time.sleep(0.05)
    raise AssertionError("the console did not say where it is")


def get(address: str, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_it_starts_alone_prints_a_link_for_the_first_account_and_ends_as_asked(
    process: subprocess.Popen[bytes], config: Path
) -> None:
    address = address_of(config)
    assert address.startswith("http://127.0.0.1:")
    assert get(address, "/login")[0] == 200
    link = config.parent / FIRST_LINK
    assert link.stat().st_mode & 0o777 == 0o600
    path = urlsplit(link.read_text().strip()).path
    assert get(address, path)[0] == 200
    assert get(address, "/static/console.css")[0] == 200
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert f"{address}{path}" in said.decode()
    assert path not in said.decode().partition("\n{")[0].partition(f"{address}{path}")[2]
    assert not link.exists()
    assert read_workers(config.parent / "run", "console") == []


def test_the_same_port_is_taken_again_so_that_bookmarks_hold(process: subprocess.Popen[bytes], config: Path) -> None:
    first = address_of(config)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    command = [sys.executable, "-m", "pipeline.cli", "console", "--config", str(config)]
    again = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        assert address_of(config) == first
    finally:
        again.send_signal(signal.SIGTERM)
        assert again.wait(30) == 0


def test_a_signal_right_after_the_address_was_told_leaves_no_file_behind(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load(config, {})
    (settings.state_dir / "run").mkdir(exist_ok=True)
    written = StatusFile.write

    def write_and_end(self: StatusFile, document: Mapping[str, object]) -> None:
        written(self, document)
        sys.exit(0)

    monkeypatch.setattr(StatusFile, "write", write_and_end)
    with pytest.raises(SystemExit), told(settings, "http://127.0.0.1:1"):
        pass
    assert list((settings.state_dir / "run").iterdir()) == []


@pytest.fixture
def handlers() -> Iterator[None]:
    """The signals' handlers of this process as they were."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGTERM, before[0])
    signal.signal(signal.SIGINT, before[1])


OPEN = ('host = "0.0.0.0"', 'public_address = "http://console.example.com"', 'public_address = "https://a/b"')


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("more", OPEN)
def test_what_would_be_open_without_a_proxy_is_refused_at_start(more: str, config: Path) -> None:
    with config.open("a") as file:
        file.write(f"[console]\n{more}\n")
    with pytest.raises(ConfigError, match="console"):
        serve_console(load(config, {}))


@pytest.mark.usefixtures("handlers")
def test_a_port_that_is_taken_is_named(config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with config.open("a") as file:
            file.write(f"[console]\nport = {taken.getsockname()[1]}\n")
        with pytest.raises(ConfigError, match="cannot be had"):
            serve_console(load(config, {}))


def test_the_status_document_names_it(config: Path) -> None:
    settings = load(config, {})
    run = settings.state_dir / "run"
    run.mkdir(exist_ok=True)
    body = {"writer": "x", "pid": os.getpid(), "updated_at": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())}
    (run / "console-x.json").write_text(json.dumps({**body, "started_at": body["updated_at"], "address": "http://x"}))
    assert collect(settings)["console"] == "http://x"
