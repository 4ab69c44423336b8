"""The fault suite's own local stack: the product's, with a quick supervisor, short sessions and one refusing table.

`python -m tests.faults.stack STATE` runs it in the foreground until SIGTERM. What differs from `accesstrail up`: a dead
server is started again at once (the suite kills hundreds), the broker allows sessions of one second, so that a
take-over takes seconds, and `access_events` refuses rows of one resource type (`records.REFUSED_TYPE`).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.local import kafka, supervisor
from deploy.local.configuration import settings as stack_settings
from deploy.local.process import accepts, tethered
from pipeline.adapters.clickhouse import connect
from pipeline.cli.stack_run import StackOptions, run_stack
from pipeline.config import Settings
from pipeline.errors import AccesstrailError, StoreRefused
from tests.faults.records import REFUSED_TYPE

PARTITIONS = 4
_START_S = 180
_ROWS = (
    "access_events", "dead_letters", "alerts", "ledger", "actor_profiles", "subject_access", "sources", "risk_actor_1h",
    "risk_resource_1d",
)  # fmt: skip


class CannotMount(Exception):
    """A small disk cannot be had here: the runs that need one were not done."""


class FaultStack:
    """A running stack whose servers may be killed. Use as a context manager, from the main thread."""

    def __init__(self, state: Path, disk_mib: int = 0) -> None:
        self.state = state
        self._disk_mib = disk_mib
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> FaultStack:
        self.state.mkdir(parents=True, exist_ok=True)
        if self._disk_mib:
            self._mount()
        with (self.state / "faults-stack.log").open("ab") as out:
            command = [sys.executable, "-m", "tests.faults.stack", str(self.state)]
            self._process = subprocess.Popen(tethered(command), stdout=out, stderr=out, start_new_session=True)
        deadline = time.monotonic() + _START_S
        while self._facts().get("state") != "ready":
            assert self._process.poll() is None, f"the stack ended; see {self.state}/faults-stack.log"
            assert time.monotonic() < deadline, "the stack did not start"
            time.sleep(0.1)
        self._refuse_rows()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(40)
            if self._process.poll() is None:
                self._process.kill()
        if self._disk_mib:
            subprocess.run(["umount", "--lazy", str(self._data)], check=False)

    @property
    def has_small_disk(self) -> bool:
        """Whether `full_disk` may be used."""
        return bool(self._disk_mib)

    @property
    def _data(self) -> Path:
        return self.state / "clickhouse" / "data"

    def _mount(self) -> None:
        """A small disk of its own for the store. Raises: CannotMount."""
        self._data.mkdir(parents=True, exist_ok=True)
        size = f"size={self._disk_mib}m,mode=0700"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self._data)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise CannotMount(f"no small disk for the store: {done.stderr.strip()} (root may mount)")

    @contextmanager
    def full_disk(self, leave_bytes: int = 0) -> Iterator[None]:
        """No more than `leave_bytes` are left on the store's disk while the block runs."""
        assert self._disk_mib, "this stack has no small disk"
        filler = self._data / "filler"
        try:
            with filler.open("wb", buffering=0) as out:
                if leave_bytes:
                    os.posix_fallocate(out.fileno(), 0, shutil.disk_usage(self._data).free - leave_bytes)
                else:
                    for size in (1 << 20, 1 << 12, 1):
                        with suppress(OSError):
                            while out.write(bytes(size)):
                                pass
            yield
        finally:
            filler.unlink(missing_ok=True)

    @property
    def settings(self) -> Settings:
        """Where it is."""
        return stack_settings(self.state, {})

    def kill(self, name: str) -> None:
        """SIGKILL for one of its servers; the supervisor starts it again."""
        before = self._pid(name)
        os.kill(before, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while self._pid(name, before) == before:
            assert time.monotonic() < deadline, f"{name} was not started again"
            time.sleep(0.05)

    def await_ready(self, name: str) -> None:
        """Waits until a killed server answers."""
        chosen = self.settings
        port = chosen.clickhouse.native_port
        if name == "kafka":
            port = int(chosen.kafka.bootstrap_servers.rpartition(":")[2])
        deadline = time.monotonic() + 60
        while not accepts(port):
            assert time.monotonic() < deadline, f"{name} does not answer"
            time.sleep(0.05)

    def clean(self) -> None:
        """Empties the tables: a store that grows from run to run would slow every look at it. Nothing may run."""
        store = connect(self.settings.clickhouse, "migrator")
        for name in _ROWS:
            store.query(f"TRUNCATE TABLE accesstrail_raw.{name}")
        store.close()

    def _refuse_rows(self) -> None:
        store = connect(self.settings.clickhouse, "migrator")
        with suppress(StoreRefused):  # it is there from an earlier run
            store.query(
                "ALTER TABLE accesstrail_raw.access_events ADD CONSTRAINT IF NOT EXISTS refused_by_test "
                f"CHECK resource_type != '{REFUSED_TYPE}'"
            )
        store.close()

    def _facts(self) -> dict[str, object]:
        with suppress(OSError, ValueError):
            found = json.loads((self.state / "run" / "stack.json").read_text(encoding="utf-8"))
            if isinstance(found, dict):
                return found
        return {}

    def _pid(self, name: str, default: int = 0) -> int:
        processes = self._facts().get("processes")
        for one in processes if isinstance(processes, list) else []:
            if one["name"] == name:
                return int(one["pid"])
        return default


def main(state: Path) -> int:
    """Runs the stack."""
    supervisor.BACKOFF_S = (0.2,)  # type: ignore[assignment]
    kafka._PROPERTIES = kafka._PROPERTIES.replace(
        "group.min.session.timeout.ms=6000", "group.min.session.timeout.ms=1000"
    )
    try:
        run_stack(state, StackOptions(worker=False, partitions=PARTITIONS), say=print, when_ready=lambda _: None)
    except AccesstrailError as exc:
        print(exc, file=sys.stderr)
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
