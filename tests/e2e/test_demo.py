"""`accesstrail demo` as a new user runs it: it tells the story in time, and Ctrl-C leaves no process behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

# The design's bars are 90 s and 60 s on two quiet cores; shared machines get three times that.
_FIRST_ALERT_S, _AFTER_READY_S = 270, 180
_MOST_ALERTS = 15


def _processes_of(state: Path) -> list[str]:
    """Command lines of processes that name the state folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(state) in line:
                found.append(line)
    return found


def test_the_demo_shows_an_explained_alert_and_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    state, log = tmp_path / "demo", tmp_path / "demo.txt"
    with log.open("wb") as out:
        demo = subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", "demo", "--state", str(state)], stdout=out, stderr=subprocess.STDOUT,
            # A shell's background job ignores Ctrl-C, and so would whatever it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
    deadline = time.monotonic() + 400
    while "Ctrl-C ends everything" not in (told := log.read_text(encoding="utf-8", errors="replace")):
        assert demo.poll() is None, told[-3000:]
        assert time.monotonic() < deadline, told[-3000:]
        time.sleep(0.5)
    times = re.search(r"The first came (\d+) s after the start,\n(\d+) s after the stack was ready", told)
    assert times is not None, told
    assert int(times[1]) <= _FIRST_ALERT_S
    assert int(times[2]) <= _AFTER_READY_S
    alerts = re.search(r"(\d+) alerts\. The first came", told)
    assert alerts is not None
    assert int(alerts[1]) <= _MOST_ALERTS, "ordinary work of a demo should not look like attacks"
    for chapter in ("1. A partner's agent harvests", "2. An insider takes", "3. An employee looks up"):
        assert chapter in told, told
    assert "12,432 calls" in told
    assert "Nothing found yet" not in told, "each attack of the story has its alert"
    assert "(slow_drip)" in told
    console = re.search(r"The console 控制台: (http://127\.0\.0\.1:\d+)", told)
    assert console is not None
    assert f"{console[1]}/incidents" in told
    assert httpx.get(f"{console[1]}/login", timeout=10).status_code == 200
    assert "Next:" in told
    assert "下一步：" in told
    assert "accesstrail alerts --state" in told
    assert "done: acknowledged" in told
    assert "done: resolved" in told
    assert "desk: " in told, "the channel hears what becomes of it"
    demo.send_signal(signal.SIGINT)
    assert demo.wait(60) == 0
    assert _processes_of(state) == []
