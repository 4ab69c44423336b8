"""`accesstrail down` asks exactly the stack that runs, however early, and nobody else."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.configuration import prepare_folder
from deploy.local.process import start_ticks
from deploy.local.supervisor import is_locked, lock_file, run_file
from pipeline.cli.stack_run import stop
from pipeline.errors import LocalStackError

# Holds the lock, says so, and ends on SIGTERM; what it is it says later, when told to.
HOLDER = """
import fcntl, sys
lock = open(sys.argv[1], "ab")
fcntl.flock(lock, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.readline()
"""
# The same, but lives on for a moment when its lock is free.
LINGERER = """
import fcntl, signal, sys, time
lock = open(sys.argv[1], "ab")
fcntl.flock(lock, fcntl.LOCK_EX)
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
print("locked", flush=True)
while not ended:
    time.sleep(0.01)
lock.close()
time.sleep(1.5)
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return prepare_folder(tmp_path / "state")


@pytest.fixture
def holder(state: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", HOLDER, str(lock_file(state))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    with process:
        yield process
        process.kill()


def _say_who_runs(state: Path, pid: int, ticks: int | None) -> None:
    run_file(state).write_text(json.dumps({"pid": pid, "start_ticks": ticks}))


def test_a_stack_that_has_not_yet_said_who_it_is_is_stopped_once_it_has(
    state: Path, holder: subprocess.Popen[str]
) -> None:
    def later() -> None:
        time.sleep(0.3)
        _say_who_runs(state, holder.pid, start_ticks(holder.pid))

    saying = threading.Thread(target=later)
    saying.start()
    assert stop(state, timeout_s=20)
    saying.join()
    assert holder.wait() == -signal.SIGTERM
    assert not is_locked(state)


def test_a_process_that_only_has_a_dead_stacks_number_is_not_signalled(
    state: Path, holder: subprocess.Popen[str]
) -> None:
    """The run file of a stack that was killed may still lie there while the next one starts."""
    ticks = start_ticks(holder.pid)
    assert ticks is not None
    _say_who_runs(state, holder.pid, ticks - 1)
    with pytest.raises(LocalStackError, match="did not stop"):
        stop(state, timeout_s=0.3)
    assert holder.poll() is None


def test_where_nothing_runs_nothing_is_stopped(state: Path) -> None:
    assert not stop(state)


def test_stop_waits_for_the_end_of_the_process_and_not_only_of_its_lock(state: Path) -> None:
    """Python takes its time to end; whoever starts again, or looks who is left, must not meet it."""
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", LINGERER, str(lock_file(state))], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        _say_who_runs(state, process.pid, start_ticks(process.pid))
        assert stop(state)
        assert start_ticks(process.pid) is None
