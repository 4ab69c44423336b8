"""The fault tests' own worker: the product's worker with an observer that stops in a gap and waits for the controller.

`python -m tests.faults.worker SOCKET STATE COMPANY` is a zygote: one process that has imported and compiled everything
once and forks a worker for each connection (a start costs milliseconds instead of seconds). It has no threads of its
own. The connection goes on as the worker's channel, lines of JSON:

    from the controller   {"arm": [sequence, step, nth]}   {"disarm": true}   {"go": true}
    from the worker       {"pid": n}   {"at": [sequence, step, partition]}   {"exit": status}

End of the channel = end of the process, on either side.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import random
import signal
import socket
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy.local.configuration import settings as stack_settings
from pipeline.cli.worker import make_worker, start_logging
from pipeline.config import Settings
from tests.faults import sabotage
from tests.faults.calm import warm_up

_PR_SET_PDEATHSIG = 1


class Gate:
    """Stands in the gap the controller named, once, and waits there for the word (role `partition.Observer`)."""

    def __init__(self, channel: socket.socket, armed: list[Any] | None) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._armed = armed
        self._go = threading.Event()

    def __call__(self, sequence: str, step: int) -> None:
        with self._lock:
            if self._armed is None or self._armed[:2] != [sequence, step]:
                return
            self._armed[2] -= 1
            if self._armed[2] > 0:
                return
            self._armed = None
            self._go.clear()
        partition = int(threading.current_thread().name.rpartition("-")[2])
        self.say({"at": [sequence, step, partition]})
        self._go.wait()

    def say(self, message: dict[str, Any]) -> None:
        """One line to the controller."""
        self._channel.sendall(json.dumps(message).encode() + b"\n")

    def listen(self) -> None:
        """Obeys the controller until it is gone."""
        for line in self._channel.makefile("r", encoding="utf-8"):
            message = json.loads(line)
            if "arm" in message:
                with self._lock:
                    self._armed = message["arm"]
            elif "disarm" in message:
                with self._lock:
                    self._armed = None
            elif "go" in message:
                self._go.set()
        os._exit(1)


def settings_for(base: Settings, order: dict[str, Any]) -> Settings:
    """The stack's settings with what the controller wants of this worker."""
    return replace(
        base,
        state_dir=Path(order["folder"]),
        kafka=replace(base.kafka, **order["kafka"]),
        clickhouse=replace(base.clickhouse, **order["clickhouse"]),
        recovery=replace(base.recovery, **order["recovery"]),
        detection=replace(
            base.detection, directory=Path(order["company"]) / "directory", model=Path(order["company"]) / "model"
        ),
    )


def _be_worker(base: Settings, order: dict[str, Any], channel: socket.socket) -> None:
    """The child's whole life. Never returns."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    log = os.open(Path(order["folder"]) / "worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    random.seed()
    gate = Gate(channel, order.get("arm"))
    gate.say({"pid": os.getpid()})
    threading.Thread(target=gate.listen, name="gate", daemon=True).start()
    start_logging()
    status = 1
    try:
        if order.get("sabotage"):
            sabotage.apply(order["sabotage"])
        make_worker(settings_for(base, order), gate)
        status = 0
    except SystemExit as exc:
        status = exc.code if isinstance(exc.code, int) else 1
    finally:
        gate.say({"exit": status})
        sys.stderr.flush()
        os._exit(status)


def serve(path: str, state: Path, company: Path) -> None:
    """Forks a worker for each connection until the parent is gone."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    base = stack_settings(state, {})
    warm_up(base, company)
    gc.collect()
    gc.freeze()  # or every worker would look through all of it once more
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    assert threading.active_count() == 1, "a fork would lose threads"
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(64)
    while True:
        channel, _ = server.accept()
        line = channel.makefile("r", encoding="utf-8").readline()
        if line and os.fork() == 0:
            server.close()
            _be_worker(base, json.loads(line), channel)
        channel.close()


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
