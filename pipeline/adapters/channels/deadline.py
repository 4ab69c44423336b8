"""An end for one attempt as a whole: time-outs of a socket begin anew with every byte that a slow server drips.

Place in the flow: around one attempt of any sender. When the time is over the connection is shut down under whoever
reads from it; the reader then sees its end and reports a time-out.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any

_CONNECTED = ("connection.connect_tcp.complete", "connection.start_tls.complete")


class Deadline:
    """Runs while the `with` block does; `is_over` tells whether it cut the connection."""

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self.end)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()

    def watch(self, connection: socket.socket) -> None:
        """The connection to cut; the last one named counts."""
        with self._lock:
            self._socket = connection
            if self.is_over:
                _cut(connection)

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """httpcore's extension `trace`: finds the socket of a request that httpx makes."""
        if event in _CONNECTED:
            self.watch(info["return_value"].get_extra_info("socket"))

    def end(self) -> None:
        """What the timer does when the time is over."""
        with self._lock:
            self.is_over = True
            if self._socket is not None:
                _cut(self._socket)


def _cut(connection: socket.socket) -> None:
    """Below TLS on purpose: a TLS socket that is shut down by another thread fails in ways nobody expects."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
