"""A container's health check: alive where its process says so, not where it is silent, gone or unwell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy import alive as alive_module
from deploy.alive import alive
from pipeline.adapters.health_server import HealthServer
from pipeline.adapters.small_server import Page
from pipeline.adapters.status_file import STALE_AFTER


def _says(folder: Path, name: str, document: object) -> None:
    (folder / name).write_text(json.dumps(document))


@pytest.mark.parametrize(("status", "expected"), [(200, True), (503, False)])
def test_it_is_what_the_process_answers(status: int, expected: bool, tmp_path: Path) -> None:
    server = HealthServer("127.0.0.1", 0, {"/livez": lambda: Page("x", status)})
    server.start()
    try:
        host, port = server.address
        _says(tmp_path, "worker-1.json", {"health": f"http://{host}:{port}", "pid": 1})
        _says(tmp_path, "worker-2.json", {"health": "http://127.0.0.1:9", "pid": 1})
        assert alive(tmp_path, "worker") is expected, "the address of another container leads nowhere here"
        assert not alive(tmp_path, "scheduler")
        done = subprocess.run([sys.executable, "-m", "deploy.alive", str(tmp_path), "worker"], check=False)
        assert (done.returncode == 0) is expected
        old_s = time.time() - 20
        os.utime(tmp_path / "worker-1.json", (old_s, old_s))
        assert not alive(tmp_path, "worker"), "it has not written for long"
    finally:
        server.close()


def test_it_takes_a_process_for_gone_when_status_does() -> None:
    assert STALE_AFTER.total_seconds() == alive_module._STALE_AFTER_S


@pytest.mark.parametrize("document", [None, 5, [], {}, {"health": 5}, {"health": "http://127.0.0.1:9"}])
def test_whoever_says_nothing_or_is_gone_is_not_alive(document: object, tmp_path: Path) -> None:
    assert not alive(tmp_path, "worker")
    _says(tmp_path, "worker-1.json", document)
    assert not alive(tmp_path, "worker")
    (tmp_path / "worker-2.json").write_text("{half")
    assert not alive(tmp_path, "worker")
