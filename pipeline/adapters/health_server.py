"""`/livez`, `/readyz` and `/metrics` over HTTP, from threads of the standard library; never in the worker's way.

Adapter without a vendor. It answers GET only, reads at most 4 KiB within 3 s, serves at most 8 connections at once and
closes each after its answer; whatever is wrong ends that connection and nothing else. Loopback by default: the pages
hold numbers and codes, no payload and no identifier, but they are nobody's business outside.
"""

from __future__ import annotations

import logging
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_log = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 4096
REQUEST_LIMIT_S = 3.0
MAX_CONNECTIONS = 8
_TEXT = "text/plain; charset=utf-8"
_PHRASES = {
    200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
    431: "Request Header Fields Too Large", 503: "Service Unavailable",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Page:
    """One answer."""

    body: str
    status: int = 200
    content_type: str = _TEXT


Pages = Mapping[str, Callable[[], Page]]


class HealthServer:
    """Serves pages by path until closed."""

    def __init__(self, host: str, port: int, pages: Pages) -> None:
        """Binds; port 0, or a port that is taken, means a free one (`address` tells which)."""
        try:
            self._server = _Server((host, port), pages)
        except OSError as exc:
            _log.warning("health port %s:%d cannot be used (%s): serving on a free one", host, port, exc.strerror)
            self._server = _Server((host, 0), pages)
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it listens on."""
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    def start(self) -> None:
        """Serves from now on."""
        self._thread.start()

    def close(self) -> None:
        """Ends; connections under way are left to their time-outs."""
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 16

    def __init__(self, address: tuple[str, int], pages: Pages) -> None:
        self.pages = pages
        self.free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, _Connection)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        if not self.free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is nobody's trouble."""
        _log.debug("a health request ended early")


class _Connection(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        connection: socket.socket = self.request
        page = self._answer(connection)
        body = page.body.encode()
        allow = "Allow: GET\r\n" if page.status == 405 else ""
        head = (
            f"HTTP/1.1 {page.status} {_PHRASES[page.status]}\r\nContent-Type: {page.content_type}\r\n"
            f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\n{allow}Connection: close\r\n\r\n"
        )
        connection.settimeout(REQUEST_LIMIT_S)
        connection.sendall(head.encode() + body)

    def _answer(self, connection: socket.socket) -> Page:
        try:
            request = _read_head(connection)
        except TimeoutError:
            return Page("the request took too long\n", 408)
        if request is None:
            return Page(f"a request may have {MAX_REQUEST_BYTES} bytes\n", 431)
        words = request.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return Page("this is no HTTP/1 request\n", 400)
        if words[0] != "GET":
            return Page("only GET is answered\n", 405)
        page = self.server.pages.get(words[1].partition("?")[0])
        return Page("there are /livez, /readyz and /metrics\n", 404) if page is None else page()


def _read_head(connection: socket.socket) -> bytes | None:
    """The request up to its empty line; None where it is too long. Raises: TimeoutError; OSError."""
    deadline, read = time.monotonic() + REQUEST_LIMIT_S, b""
    while b"\r\n\r\n" not in read:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        connection.settimeout(left_s)
        more = connection.recv(MAX_REQUEST_BYTES)
        if not more:
            break
        read += more
        if len(read) > MAX_REQUEST_BYTES:
            return None
    return read
