"""Main program of the ClickHouse child process: `prepare` once, then `serve` until SIGTERM.

The engine of the chdb-core wheel is the one of `clickhouse-local`, which reads `config.xml` in the current directory
and opens its listeners on `SYSTEM START LISTEN`. It logs in as user `default` from inside, so that user must exist
without a password; it is therefore stripped to the two rights `serve` needs, which takes two steps:

    prepare   no ports, `default` unrestricted: makes the table `launcher.stop` over a FIFO
    serve     ports open, `default` may only start listeners and read that FIFO: a SELECT on it blocks until the stop

Run it with the current directory set to the work folder: importing chdb already obeys the `config.xml` there. A
failed start raises nothing (the engine writes to standard error only), so a query that returns before a stop was asked
for is a failure: exit 1.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from pathlib import Path

STOP_FIFO = "stop"
_STOP_TIMEOUT_S = 10
# The second argument becomes the HTTP port's default format; clients expect this one.
_FORMAT = "TabSeparated"


def _query(sql: str, data: str) -> None:
    # Imported late: the import opens an engine under the configuration of the current directory.
    engine = importlib.import_module("chdb._chdb")
    engine.query(sql, _FORMAT, path=data)


def prepare(data: str) -> int:
    """Makes `launcher.stop`; exit status 0 unless the engine raises."""
    fifo = str(Path(STOP_FIFO).absolute())
    if "'" in fifo or "\\" in fifo:
        sys.stderr.write("the state folder's path may hold neither quote nor backslash\n")
        return 1
    _query(
        "CREATE DATABASE IF NOT EXISTS launcher; DROP TABLE IF EXISTS launcher.stop; "
        f"CREATE TABLE launcher.stop (line String) ENGINE = File(LineAsString, '{fifo}')",
        data,
    )
    return 0


def serve(data: str) -> int:
    """Listens until SIGTERM or SIGINT; exit status 0 after a clean stop, 1 when the engine returned by itself."""
    ended = threading.Event()
    asked = threading.Event()

    def ask(signum: int, frame: object) -> None:
        asked.set()
        ended.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    Path(STOP_FIFO).unlink(missing_ok=True)
    os.mkfifo(STOP_FIFO, 0o600)
    # Open for reading and writing: the engine's own opening then neither blocks nor sees an end.
    holder = os.open(STOP_FIFO, os.O_RDWR)

    def run() -> None:
        try:
            _query("SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP; SELECT count() FROM launcher.stop", data)
        finally:
            ended.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ended.wait()
    if not asked.is_set():
        return 1
    end = os.open(STOP_FIFO, os.O_WRONLY | os.O_NONBLOCK)
    os.close(holder)
    os.close(end)
    thread.join(_STOP_TIMEOUT_S)
    return 0 if not thread.is_alive() else 1


if __name__ == "__main__":
    step, data_folder = sys.argv[1:]
    status = {"prepare": prepare, "serve": serve}[step](data_folder)
    sys.stderr.flush()
    # The engine's threads outlive the interpreter's own teardown badly.
    os._exit(status)
