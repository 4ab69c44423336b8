"""An engine of the suite's own: ClickHouse and nothing else, stopped and started as often as a change asks for it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from types import TracebackType

from deploy.local import clickhouse
from deploy.local.configuration import choose_ports, prepare_folder, settings, write_config
from deploy.local.process import Child, Keeper
from pipeline.cli.stack_run import ledger_keys, model_keys
from pipeline.config import Settings
from pipeline.migrations.runner import apply_all

_POLL_S = 0.02


class Engine:
    """Use as a context manager, from the main thread: it ends with the process, however that ends."""

    def __init__(self, state: Path) -> None:
        self._state = prepare_folder(state)
        model_keys(self._state)
        ledger_keys(self._state)
        self._ports = choose_ports(self._state)
        write_config(self._state, self._ports)
        self.settings: Settings = settings(self._state, {})
        self._child: Child | None = None

    def __enter__(self) -> Engine:
        """Starts it, the schema applied."""
        self._keeper = Keeper()
        self.start()
        apply_all(self.settings)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it."""
        self.stop()
        self._keeper.close()

    def start(self) -> None:
        """Returns when it answers."""
        service = clickhouse.service(self._state, self._ports.clickhouse_native, self._ports.clickhouse_http)
        self._child = Child(service, self._keeper)
        until_s = time.monotonic() + service.start_timeout_s
        while not service.ready():
            assert self._child.status() is None, f"the engine ended: {service.explain()}"
            assert time.monotonic() < until_s, "the engine does not start"
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """A clean end."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def kill(self) -> None:
        """An end without a word."""
        assert self._child is not None
        os.killpg(self._child.pid, signal.SIGKILL)
        self.stop()
