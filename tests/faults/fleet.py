"""The controller's side of the fault tests: the zygote, and the workers it forks."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from deploy.local.process import tethered
from tests.faults.plan import Gap

_START_S = 120


class Zygote:
    """The process that forks workers. Use as a context manager, from the main thread."""

    def __init__(self, state: Path, company: Path, folder: Path) -> None:
        self._path = str(folder / f"zygote.{os.getpid()}")
        self._command = [sys.executable, "-m", "tests.faults.worker", self._path, str(state), str(company)]
        self._log = folder / "zygote.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Zygote:
        Path(self._path).unlink(missing_ok=True)
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(tethered(self._command), stdout=out, stderr=out)
        deadline = time.monotonic() + _START_S
        while True:
            assert self._process.poll() is None, f"the zygote ended; see {self._log}"
            assert time.monotonic() < deadline, "the zygote did not start"
            with suppress(OSError):
                self._connected().close()
                return self
            time.sleep(0.1)

    def __exit__(self, *exc: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        Path(self._path).unlink(missing_ok=True)

    def fork(self, order: dict[str, Any]) -> Worker:
        """A new worker process."""
        channel = self._connected()
        channel.sendall(json.dumps(order).encode() + b"\n")
        return Worker(channel, Path(order["folder"]))

    def _connected(self) -> socket.socket:
        channel = socket.socket(socket.AF_UNIX)
        try:
            channel.connect(self._path)
        except OSError:
            channel.close()
            raise
        return channel


class Worker:
    """One worker process: its channel and what it has said."""

    def __init__(self, channel: socket.socket, folder: Path) -> None:
        self._channel, self.folder = channel, folder
        self._buffer = b""
        self.alive = True
        self.exit_status: int | None = None
        self.at: list[Any] | None = None
        """[sequence, step, partition] of the gap it stands in."""
        self.pid = 0
        while not self.pid:
            self.listen(30)
            assert self.alive, "a worker did not start"

    def fileno(self) -> int:
        """For `select`."""
        return self._channel.fileno()

    def listen(self, timeout_s: float) -> None:
        """Reads what the worker says, for at most so long; returns after the first words."""
        if not self.alive or not select.select([self._channel], [], [], timeout_s)[0]:
            return
        with suppress(ConnectionResetError):
            chunk = self._channel.recv(4096)
            if chunk:
                self._buffer += chunk
                while b"\n" in self._buffer:
                    line, _, self._buffer = self._buffer.partition(b"\n")
                    self._heard(json.loads(line))
                return
        self.alive = False

    def _heard(self, message: dict[str, Any]) -> None:
        self.pid = message.get("pid", self.pid)
        self.at = message.get("at", self.at)
        self.exit_status = message.get("exit", self.exit_status)

    def _say(self, message: dict[str, Any]) -> None:
        with suppress(OSError):
            self._channel.sendall(json.dumps(message).encode() + b"\n")

    def arm(self, gap: Gap, nth: int) -> None:
        """Stop at the nth crossing from now on."""
        self._say({"arm": [*gap, nth]})

    def disarm(self) -> None:
        """Stop nowhere; go on where it stands."""
        self._say({"disarm": True})
        self.go()

    def go(self) -> None:
        """Leave the gap."""
        self.at = None
        self._say({"go": True})

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the process, where it still is."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL; returns when it is dead."""
        self.signal(signal.SIGKILL)
        self.await_end(10)
        self.close()

    def await_end(self, timeout_s: float) -> bool:
        """Whether it ended in time."""
        deadline = time.monotonic() + timeout_s
        while self.alive and time.monotonic() < deadline:
            self.listen(deadline - time.monotonic())
        return not self.alive

    def close(self) -> None:
        """Ends the channel, and with it the process."""
        self._channel.close()
        self.alive = False

    def last_words(self) -> str:
        """The end of its log."""
        with suppress(OSError):
            return (self.folder / "worker.log").read_text(encoding="utf-8", errors="replace")[-3000:]
        return ""


def await_gap(workers: Sequence[Worker], timeout_s: float) -> Worker | None:
    """The first worker that stands in its gap; None where none gets there in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        for worker in workers:
            if worker.alive and worker.at is not None:
                return worker
        living = [worker for worker in workers if worker.alive]
        left = deadline - time.monotonic()
        if not living or left <= 0:
            return None
        ready, _, _ = select.select(living, [], [], left)
        for worker in ready:
            worker.listen(0)
