"""How `make test` runs its parts: at the same time, each to its end, none left behind, no failure unseen."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.side_by_side import INTERRUPTED, ROOT, TROUBLE, WORKERS_IN_TROUBLE, Part, Result, lanes, run

_SLEEPER = """
import os, pathlib, time
pathlib.Path("{pid}").write_text(str(os.getpid()))
try:
    time.sleep(600)
except KeyboardInterrupt:
    print("put in order")
"""
_PARENT = """
import pathlib, signal, sys
from tests import side_by_side
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell's background job has it
side_by_side.OUTPUT = pathlib.Path(sys.argv[1])
side_by_side.lanes = lambda: [
    [side_by_side.Part(f"part {number}", [sys.executable, "-c", text])] for number, text in enumerate(sys.argv[2:])
]
sys.exit(side_by_side.main())
"""


def _python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_parts_of_a_lane_go_in_turn_and_all_are_done_and_told_whatever_fails(tmp_path: Path) -> None:
    mark = tmp_path / "first"
    parts = [
        Part("first one", _python(f"open({str(mark)!r}, 'w'); print('1 word'); raise SystemExit(3)")),
        Part("second one", _python(f"open({str(mark)!r}); print('FAILED tests/a.py::b - c'); print('== 2 words ==')")),
    ]
    said: list[str] = []
    assert run([parts], tmp_path / "out", said.append) == 1
    assert [text for text in said if "===== first one =====\n1 word" in text]
    head, *summary = said[-1].splitlines()
    assert head == "===== all parts ====="
    assert summary[0].startswith("FAILED  first one, ")
    assert summary[0].endswith(": 1 word")
    assert summary[1].startswith("passed  second one, ")
    assert summary[1].endswith(": 2 words")
    assert summary[2].strip() == "FAILED tests/a.py::b - c"


def test_the_summary_holds_the_last_that_was_said_of_each_failure() -> None:
    def section(name: str, count: int) -> str:
        return "\n".join([f"___ {name} ___", "    assert x", *(f"E   {name} {number}" for number in range(count))])

    output = "\n".join([section("test_a", 60), section("test_b", 1), "FAILED tests/a.py::test_a - x"])
    said = [line.strip() for line in Result("one", 1, 2.0, output).lines()[1:]]
    assert said == [
        *(f"E   test_a {number}" for number in range(20, 60)),
        "E   test_b 0",
        "FAILED tests/a.py::test_a - x",
    ]


def test_lanes_run_at_the_same_time(tmp_path: Path) -> None:
    """Each part ends only when the other one has begun."""
    meet = "import pathlib, time\npathlib.Path({!r}).touch()\nwhile not pathlib.Path({!r}).exists(): time.sleep(0.02)"
    here, there = str(tmp_path / "here"), str(tmp_path / "there")
    parts = [Part("here", _python(meet.format(here, there))), Part("there", _python(meet.format(there, here)))]
    assert run([[part] for part in parts], tmp_path / "out", lambda _: None) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_every_part(number: signal.Signals, tmp_path: Path) -> None:
    pids = [tmp_path / name for name in ("one", "other")]
    sleepers = [_SLEEPER.format(pid=pid) for pid in pids]
    with (tmp_path / "said").open("wb") as out:
        parent = subprocess.Popen(
            [*_python(_PARENT), str(tmp_path / "out"), *sleepers], cwd=ROOT, stdout=out, stderr=out
        )
    try:
        _until(lambda: all(pid.exists() and pid.read_text(encoding="ascii") for pid in pids))
        parent.send_signal(number)
        status = parent.wait(60)
    finally:
        parent.kill()
        parent.wait()
    _until(lambda: not any(Path(f"/proc/{pid.read_text(encoding='ascii')}").exists() for pid in pids))
    if number is not signal.SIGKILL:
        assert status == INTERRUPTED
        assert (tmp_path / "said").read_text(encoding="utf-8").count("put in order") == 2


def test_what_is_run_is_the_checks_and_every_test_once() -> None:
    commands = [part.command for lane in lanes() for part in lane]
    assert [command[-1] for command in commands if command[0] == "make"] == ["check"]
    chosen_by = [command for command in commands if "pytest" in command]
    assert len(chosen_by) == len(commands) - 1
    assert (ROOT / TROUBLE).is_dir()
    assert all((ROOT / path).is_file() for path in WORKERS_IN_TROUBLE)
    for stack, e2e, path in itertools.product(
        (False, True), (False, True), ("tests/x/test_x.py", f"{TROUBLE}/test_x.py", *WORKERS_IN_TROUBLE)
    ):
        chosen = [
            command for command in chosen_by
            if eval(command[-1], {"stack": stack, "e2e": e2e})  # noqa: S307  marks are Python
            and _collects(command, path)
        ]  # fmt: skip
        assert len(chosen) == 1, (stack, e2e, path)


def _collects(command: Sequence[str], path: str) -> bool:
    """Whether pytest looks into a file: below what is named, everything where nothing is, and not below `--ignore`."""
    named = [word for word in command if word.startswith("tests/")] or ["tests"]
    left_out = [word.removeprefix("--ignore=") for word in command if word.startswith("--ignore=")]
    return _is_below(path, named) and not _is_below(path, left_out)


def _is_below(path: str, folders: Sequence[str]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in folders)
