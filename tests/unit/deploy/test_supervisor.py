"""The supervisor with small children: restarts, order, locks, and no orphan however the parent ends."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local import keeper
from deploy.local.configuration import prepare_folder
from deploy.local.process import Service, end_leftover, start_ticks
from deploy.local.supervisor import Supervisor, is_locked, lock_file, run_file
from pipeline.errors import LocalStackError

# A child that starts a grandchild of its own, writes both pids, and stays.
FAMILY = """
import os, subprocess, sys, time
below = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], stdin=subprocess.DEVNULL)
with open(sys.argv[1] + ".part", "w") as file:
    file.write(f"{os.getpid()} {below.pid}")
os.rename(sys.argv[1] + ".part", sys.argv[1])
time.sleep(300)
"""
PARENT = """
import sys
from pathlib import Path
from deploy.local.process import Service
from deploy.local.supervisor import Supervisor
state = Path(sys.argv[1])
service = Service(
    name="family", command=[sys.executable, "-c", sys.argv[2], str(state / "pids")], folder=state,
    log=state / "logs" / "family.log", ready=(state / "pids").exists, explain=lambda: "", start_timeout_s=20,
    stop_timeout_s=5)
with Supervisor(state) as supervisor:
    supervisor.start(service)
    supervisor.announce(state="ready")
    supervisor.watch()
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return prepare_folder(tmp_path / "state")


def service(state: Path, name: str, script: str, **changes: object) -> Service:
    """A small Python child; it is ready once it has written the file of its name."""
    given: dict[str, object] = {
        "name": name,
        "command": [sys.executable, "-I", "-S", "-c", script, str(state / name), str(state / "order")],
        "folder": state,
        "log": state / "logs" / f"{name}.log",
        "ready": (state / name).exists,
        "explain": lambda: "read its log",
        "start_timeout_s": 20,
        "stop_timeout_s": 5,
    }
    return Service(**{**given, **changes})  # type: ignore[arg-type]


STAYS = "import sys, time; open(sys.argv[1], 'a').write('x'); time.sleep(300)"
ORDERED = """
import signal, sys, time
def end(*_):
    open(sys.argv[2], "a").write(sys.argv[1].rpartition("/")[2] + " ")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
open(sys.argv[1], "w").close()
while True: time.sleep(0.05)
"""


def until(condition: Callable[[], bool], what: str, limit_s: float = 20) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"not seen: {what}"
        time.sleep(0.02)


def runs(pid: int) -> bool:
    return start_ticks(pid) is not None


@pytest.fixture
def parent(state: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A supervisor in a process of its own, over a child that has a child."""
    process = subprocess.Popen([sys.executable, "-c", PARENT, str(state), FAMILY])
    yield process
    if process.poll() is None:
        process.kill()
    process.wait()


def family(state: Path, parent: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Process ids of the child and of what it started."""
    until(lambda: _running_state(state, parent.pid) == "ready", "ready")
    child, grandchild = (state / "pids").read_text().split()
    return int(child), int(grandchild)


def _running_state(state: Path, pid: int) -> object:
    try:
        document = json.loads(run_file(state).read_text())
    except (OSError, ValueError):
        return None
    return document.get("state") if document.get("pid") == pid else None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_however_the_parent_ends_nothing_it_started_is_left(
    state: Path, parent: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    child, grandchild = family(state, parent)
    assert runs(child)
    assert runs(grandchild)
    parent.send_signal(number)
    parent.wait(20)
    until(lambda: not runs(child) and not runs(grandchild), "the end of both")
    assert not is_locked(state)


def test_a_child_that_dies_leaves_no_grandchild_and_is_started_again(
    state: Path, parent: subprocess.Popen[bytes]
) -> None:
    child, grandchild = family(state, parent)
    (state / "pids").unlink()
    os.kill(child, signal.SIGKILL)
    until((state / "pids").exists, "another child")
    assert not runs(grandchild)
    until(lambda: json.loads(run_file(state).read_text())["processes"] != [], "its entry")
    (entry,) = json.loads(run_file(state).read_text())["processes"]
    assert entry["pid"] == int((state / "pids").read_text().split()[0]) != child


def test_a_second_supervisor_is_refused_and_told_who_runs(state: Path, parent: subprocess.Popen[bytes]) -> None:
    family(state, parent)
    with pytest.raises(LocalStackError, match=f"already runs.*process {parent.pid}") as caught, Supervisor(state):
        pass
    assert caught.value.code == "already_running"
    assert _running_state(state, parent.pid) == "ready"


def test_a_lock_held_only_for_a_moment_does_not_refuse_a_start(state: Path) -> None:
    """`status`, polled by a monitor, holds it while it asks whether a stack runs."""
    asking = lock_file(state).open("ab")
    fcntl.flock(asking, fcntl.LOCK_EX)
    answered = threading.Timer(0.05, asking.close)
    answered.start()
    with Supervisor(state):
        assert is_locked(state)
    answered.join()


def test_children_stop_in_reverse_order_and_the_run_files_go(state: Path) -> None:
    with Supervisor(state) as supervisor:
        for name in ("first", "second", "third"):
            supervisor.start(service(state, name, ORDERED))
        assert [entry["name"] for entry in json.loads(run_file(state).read_text())["processes"]] == [
            "first", "second", "third",
        ]  # fmt: skip
    assert (state / "order").read_text().split() == ["third", "second", "first"]
    assert list((state / "run").glob("*.json")) == []


def test_restarts_wait_longer_each_time(state: Path) -> None:
    said: list[str] = []
    with Supervisor(state, progress=said.append) as supervisor:
        # Started well once, then it dies at once, again and again.
        supervisor.start(service(state, "brief", "import sys; open(sys.argv[1], 'a').close(); sys.stdin.close(); "
                                 "import time; time.sleep(0.3); sys.exit(3)"))  # fmt: skip

        def stop_after_the_second_restart() -> None:
            until(lambda: sum("status 3" in line for line in said) >= 2, "two deaths")
            os.kill(os.getpid(), signal.SIGTERM)

        watcher = threading.Thread(target=stop_after_the_second_restart)
        watcher.start()
        supervisor.watch()
        watcher.join()
    waits = [line.rpartition("again in ")[2] for line in said if "status 3" in line]
    assert waits[:2] == ["1 s", "2 s"]


def test_a_first_start_that_fails_shows_the_reason_and_the_end_of_the_log(state: Path) -> None:
    failing = service(state, "broken", "import sys; sys.stderr.write('the very reason'); sys.exit(1)")
    with pytest.raises(LocalStackError) as caught, Supervisor(state) as supervisor:
        supervisor.start(service(state, "other", STAYS), failing)
    assert "read its log" in str(caught.value)
    assert "the very reason" in str(caught.value)
    assert not is_locked(state)


def test_a_child_that_is_never_ready_is_given_up(state: Path) -> None:
    with pytest.raises(LocalStackError, match="not ready within"), Supervisor(state) as supervisor:
        supervisor.start(service(state, "mute", STAYS, ready=lambda: False, start_timeout_s=0.3))


def test_a_missing_program_is_reported(state: Path) -> None:
    missing = service(state, "missing", "", command=["/no/such/program"])
    with pytest.raises(LocalStackError, match="cannot start /no/such/program"), Supervisor(state) as supervisor:
        supervisor.start(missing)


def test_a_start_can_be_interrupted(state: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", PARENT, str(state), "import time; time.sleep(300)"])
    until(lambda: (json.loads(run_file(state).read_text()) if run_file(state).exists() else {}).get("processes")
          not in (None, []), "a child that is not ready")  # fmt: skip
    (entry,) = json.loads(run_file(state).read_text())["processes"]
    process.terminate()
    assert process.wait(20) != 0
    until(lambda: not runs(entry["pid"]), "its end")


def test_what_a_killed_run_left_is_ended_and_its_files_removed(state: Path) -> None:
    left = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(300)"])
    entry = {"name": "old", "pid": left.pid, "start_ticks": start_ticks(left.pid), "since": ""}
    run_file(state).write_text(json.dumps({"pid": 1, "state": "ready", "processes": [entry]}))
    (state / "run" / "worker.json").write_text('{"ready": true}')
    reaper = threading.Thread(target=left.wait)
    reaper.start()
    with Supervisor(state):
        assert not (state / "run" / "worker.json").exists()
    reaper.join()
    assert left.returncode == -signal.SIGKILL


def test_a_process_that_only_has_the_old_number_is_left_alone() -> None:
    other = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(300)"])
    ticks = start_ticks(other.pid)
    assert ticks is not None
    end_leftover(other.pid, ticks - 1)
    assert other.poll() is None
    other.kill()
    other.wait()


def test_a_tethered_child_dies_with_its_parent_without_any_helper(tmp_path: Path) -> None:
    script = """
import subprocess, sys
from pathlib import Path
from deploy.local.process import tethered
child = subprocess.Popen(tethered([sys.executable, "-I", "-S", "-c", sys.argv[2], sys.argv[1]]))
child.wait()
"""
    says = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid()) + ' '); time.sleep(300)"
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "pid"), says])
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith(" "), "the child")
    child = int((tmp_path / "pid").read_text())
    assert runs(child)
    parent.kill()
    parent.wait()
    until(lambda: not runs(child), "its end")


def test_the_keeper_kills_what_was_opened_and_not_closed() -> None:
    assert keeper.groups_left(["+12\n", "+13\n", "-12\n", "+14\n", "nonsense\n", "+\n", "-14\n"]) == {13}
