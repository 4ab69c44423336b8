"""`make test`: the checks and every test, in lanes that run at the same time; exit status 0 where all of it passed.

Tests on real servers wait much of the time, the others compute, so that two cores are busy throughout. What a part
says is in a file of its own, named at the start, and printed as a whole when the part ends; nothing is left out
because another part failed. `pytest` without arguments runs the same tests one after another.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.local.process import tethered

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / ".cache" / "test"
TROUBLE = "tests/integration/trouble"
WORKERS_IN_TROUBLE = (f"{TROUBLE}/test_classes_of_trouble.py", f"{TROUBLE}/test_worker_health.py")
"""More than half of it, by time."""
INTERRUPTED = 128 + signal.SIGINT
_POLL_S = 0.2
_FOUND = re.compile(r"^(?:FAILED|ERROR) .*", re.MULTILINE)
_SECTION = re.compile(r"^_{3,} .+ _{3,}$", re.MULTILINE)
_SAID = re.compile(r"^E  .*", re.MULTILINE)
_SAID_LINES = 40

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Part:
    """One command of a lane."""

    name: str
    command: Sequence[str]


@dataclass(frozen=True, slots=True)
class Result:
    """How a part ended."""

    name: str
    status: int
    seconds: float
    output: str

    def lines(self) -> list[str]:
        """The part in the summary: how it ended, its own last line, what failed and the last that it said of each.

        Where only the end of a long log is kept, what servers said of a failure is in it.
        """
        last = (self.output.splitlines() or [""])[-1].strip("= ")
        head = f"{'passed' if not self.status else 'FAILED'}  {self.name}, {self.seconds:.0f} s: {last}"
        said = [line for one in _SECTION.split(self.output)[1:] for line in _SAID.findall(one)[-_SAID_LINES:]]
        return [head, *(f"        {line}" for line in (*(said if self.status else ()), *_FOUND.findall(self.output)))]


class _Running:
    """A part under way, in a process group of its own, so that it hears of a Ctrl-C once; it dies with this process."""

    def __init__(self, part: Part, folder: Path) -> None:
        self._part, self._began = part, time.monotonic()
        self.file = folder / f"{part.name.replace(' ', '-')}.txt"
        with self.file.open("wb") as out:
            self._process = subprocess.Popen(
                tethered(part.command), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )

    def result(self) -> Result | None:
        """How it ended; None while it runs."""
        status = self._process.poll()
        if status is None:
            return None
        output = self.file.read_text(encoding="utf-8", errors="replace")
        return Result(self._part.name, status, time.monotonic() - self._began, output)

    def interrupt(self) -> None:
        """Asks it to end, as Ctrl-C does."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGINT)

    def last_words(self) -> str:
        """What it said until it had put its things in order."""
        self._process.wait()
        return self.file.read_text(encoding="utf-8", errors="replace")


def run(lanes: Sequence[Sequence[Part]], folder: Path, say: Say) -> int:
    """Runs every part, those of a lane in turn; 0 where all passed, INTERRUPTED after SIGINT or SIGTERM.

    Main thread only: children are tied to it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waiting = [list(lane) for lane in lanes]
    running: list[_Running | None] = [None] * len(lanes)
    results: list[Result] = []
    try:
        while any(waiting) or any(running):
            for number, lane in enumerate(waiting):
                under_way = running[number]
                if under_way is None and lane:
                    running[number] = begun = _Running(lane.pop(0), folder)
                    say(f"begun: {begun.file}")
                elif under_way is not None and (result := under_way.result()) is not None:
                    running[number] = None
                    results.append(result)
                    say(f"\n===== {result.name} =====\n{result.output}")
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        _interrupt([one for one in running if one is not None], say)
        return INTERRUPTED
    say("\n".join(["===== all parts =====", *(line for result in results for line in result.lines())]))
    return 1 if any(result.status for result in results) else 0


def _interrupt(running: Sequence[_Running], say: Say) -> None:
    """Ends what is under way, and tells what it said so far."""
    for one in running:
        one.interrupt()
    for one in running:
        say(one.last_words())
    say("interrupted")


def lanes() -> list[list[Part]]:
    """The parts of `make test`: every test is in exactly one of those that run tests.

    The lanes take about as long as each other: tests that make trouble on purpose, and mostly wait, stand behind the
    others on one stack and behind the whole systems, about half of them each. While the checks run only one part starts
    servers, so that on a new machine one alone fetches Kafka.
    """
    pytest = [sys.executable, "-m", "pytest", "--durations=20", "--durations-min=5"]
    return [
        [
            Part("tests of whole systems", [*pytest, "-m", "e2e"]),
            Part(
                "tests of trouble",
                [*pytest, TROUBLE, *(f"--ignore={one}" for one in WORKERS_IN_TROUBLE), "-m", "stack and not e2e"],
            ),
        ],
        [
            Part("check", ["make", "--no-print-directory", "check"]),
            Part("tests on one stack", [*pytest, f"--ignore={TROUBLE}", "-m", "stack and not e2e"]),
            Part("tests of workers in trouble", [*pytest, *WORKERS_IN_TROUBLE, "-m", "stack and not e2e"]),
        ],
        [Part("tests without servers", [*pytest, "-m", "not stack and not e2e"])],
    ]


def main() -> int:
    """Runs `make test`."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    os.chdir(ROOT)
    return run(lanes(), OUTPUT, lambda text: print(text, flush=True))


if __name__ == "__main__":
    sys.exit(main())
