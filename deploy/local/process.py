"""One child process of the local stack: how it is started, seen, and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from deploy.local import keeper, tether
from deploy.local.files import unwritable
from pipeline.errors import LocalStackError

LOOPBACK = "127.0.0.1"
_TAIL_BYTES = 16_384
_ROTATE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a child is; the supervisor decides when it runs."""

    name: str
    command: Sequence[str]
    folder: Path
    log: Path
    ready: Callable[[], bool]
    explain: Callable[[], str]
    start_timeout_s: float
    stop_timeout_s: float
    environment: Mapping[str, str] = field(default_factory=dict)
    # How often a first start may fail before the stack gives up.
    start_attempts: int = 1


def _bare_python(script: Path) -> list[str]:
    return [sys.executable, "-I", "-S", str(script)]


def tethered(command: Sequence[str]) -> list[str]:
    """A command that dies with the process that calls this."""
    return [*_bare_python(Path(tether.__file__)), str(os.getpid()), *command]


class Keeper:
    """The helper process that kills left-over process groups when this process dies."""

    def __init__(self) -> None:
        # Its own session: a Ctrl-C in the terminal must not reach it.
        self._process = subprocess.Popen(
            _bare_python(Path(keeper.__file__)), stdin=subprocess.PIPE, text=True, start_new_session=True
        )

    @property
    def pid(self) -> int:
        """Process id of the helper."""
        return self._process.pid

    def opened(self, group: int) -> None:
        """A child leads this process group."""
        self._write(f"+{group}\n")

    def closed(self, group: int) -> None:
        """Nothing of this group runs any more."""
        self._write(f"-{group}\n")

    def close(self) -> None:
        """Ends the helper; what is still open is killed."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait()

    def _write(self, line: str) -> None:
        # Without the helper the children still die with their parent by `tether`.
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(line)
                self._process.stdin.flush()


class Child:
    """A running process of a service. Must be started from the main thread: the tether is to the starting thread."""

    def __init__(self, service: Service, keeper: Keeper) -> None:
        self.service = service
        self.since = datetime.now(UTC)
        self._keeper = keeper
        self._cleared = False
        try:
            _rotate(service.log)
            with service.log.open("ab") as log:
                self._process = subprocess.Popen(
                    tethered(service.command), cwd=service.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env=_environment(service), start_new_session=True,
                )  # fmt: skip
        except OSError as exc:
            raise unwritable(service.log, exc) from exc
        self._keeper.opened(self.pid)

    @property
    def pid(self) -> int:
        """Process id; also the id of its process group."""
        return self._process.pid

    def status(self) -> int | None:
        """Exit status, negative for a signal; None while it runs. Ends what the dead child left behind."""
        status = self._process.poll()
        if status is not None:
            self._clear_group()
        return status

    def stop(self) -> bool:
        """Asks for a clean end, then kills. True when it ended by itself."""
        clean = True
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(self.service.stop_timeout_s)
            except subprocess.TimeoutExpired:
                clean = False
                self._process.kill()
                self._process.wait()
        self._clear_group()
        return clean

    def _clear_group(self) -> None:
        # Once only: afterwards the number may belong to somebody else.
        if self._cleared:
            return
        self._cleared = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._keeper.closed(self.pid)


def _rotate(log: Path) -> None:
    """Keeps one older file once a log has grown; between two starts a child has it open."""
    if log.is_file() and log.stat().st_size > _ROTATE_BYTES:
        log.replace(log.with_suffix(".1.log"))


def _environment(service: Service) -> dict[str, str]:
    """This process's environment with the service's additions; an empty text takes a variable away."""
    return {name: value for name, value in {**os.environ, **service.environment}.items() if value}


def accepts(port: int) -> bool:
    """Whether something on loopback accepts connections at this port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


def tail(path: Path, limit_bytes: int = _TAIL_BYTES) -> str:
    """The end of a log file; empty where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - limit_bytes))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def start_ticks(pid: int) -> int | None:
    """When the process began, in clock ticks since boot (`proc(5)`, field 22): with the pid it names one process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field is the command's name in parentheses and may hold spaces.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def end_leftover(pid: int, ticks: int, timeout_s: float = 10) -> None:
    """Kills exactly the process named by (pid, ticks), if it still runs, and waits for its end.

    Raises: LocalStackError: it does not end.
    """
    deadline = time.monotonic() + timeout_s
    while start_ticks(pid) == ticks:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise LocalStackError(f"process {pid} of an earlier run does not end: end it by hand, then start again")
        time.sleep(0.05)
