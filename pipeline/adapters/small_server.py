"""A small HTTP server of the standard library, for pages that must not get in anybody's way: health, links.

Adapter without a vendor. It reads at most 4 KiB of a request's head and a small body within 3 s, serves at most 8
connections at once and closes each after its answer; whatever is wrong ends that connection and nothing else.
"""

from __future__ import annotations

import logging
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_log = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 4096
REQUEST_LIMIT_S = 3.0
MAX_CONNECTIONS = 8
TEXT = "text/plain; charset=utf-8"
_PHRASES = {
    200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    408: "Request Timeout", 409: "Conflict", 411: "Length Required", 413: "Content Too Large",
    422: "Unprocessable Content", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}  # fmt: skip
_END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Page:
    """One answer; `headers` besides its type and length."""

    body: str
    status: int = 200
    content_type: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `path`: without the query; `headers`: names in lower case; `address`: who connected."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    address: str


Answer = Callable[[Request], Page]


class SmallServer:
    """Answers until closed. `methods`: all others are refused; `max_body_bytes`: of what is sent with a request."""

    def __init__(
        self, host: str, port: int, answer: Answer, *, name: str, methods: tuple[str, ...], max_body_bytes: int = 0
    ) -> None:
        """Binds; port 0, or a port that is taken, means a free one (`address` tells which)."""
        try:
            self._server = _Server((host, port), answer, methods, max_body_bytes)
        except OSError as exc:
            _log.warning("%s port %s:%d cannot be used (%s): serving on a free one", name, host, port, exc.strerror)
            self._server = _Server((host, 0), answer, methods, max_body_bytes)
        self._thread = threading.Thread(target=self._server.serve_forever, name=name, daemon=True)

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

    def __init__(self, address: tuple[str, int], answer: Answer, methods: tuple[str, ...], max_body_bytes: int) -> None:
        self.answer, self.methods, self.max_body_bytes = answer, methods, max_body_bytes
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
        _log.debug("a request ended early")


class _Refused(Exception):
    """What came is no request that is answered; the page says why."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.page = Page(text + "\n", status, headers=headers or {})


class _Connection(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        connection: socket.socket = self.request
        is_head = False
        try:
            request = self._read(connection)
            is_head = request.method == "HEAD"
            page = self.server.answer(request)
        except _Refused as refusal:
            page = refusal.page
        except TimeoutError:
            page = Page("the request took too long\n", 408)
        body = page.body.encode()
        more = "".join(f"{name}: {value}\r\n" for name, value in page.headers.items())
        head = (
            f"HTTP/1.1 {page.status} {_PHRASES[page.status]}\r\nContent-Type: {page.content_type}\r\n"
            f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\n{more}Connection: close\r\n\r\n"
        )
        connection.settimeout(REQUEST_LIMIT_S)
        connection.sendall(head.encode() + (b"" if is_head else body))

    def _read(self, connection: socket.socket) -> Request:
        """The whole request. Raises: _Refused; TimeoutError; OSError."""
        deadline = time.monotonic() + REQUEST_LIMIT_S
        head, rest = _read_head(connection, deadline)
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            raise _Refused(400, "this is no HTTP/1 request")
        if words[0] not in self.server.methods:
            allowed = ", ".join(self.server.methods)
            raise _Refused(405, f"only {allowed} is answered", {"Allow": allowed})
        pairs = (line.partition(":") for line in lines[1:])
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        body = _read_body(connection, rest, headers, self.server.max_body_bytes, deadline)
        return Request(words[0], words[1].partition("?")[0], headers, body, str(self.client_address[0]))


def _read_head(connection: socket.socket, deadline: float) -> tuple[bytes, bytes]:
    """The request up to its empty line, and what came behind it."""
    read = b""
    while _END_OF_HEAD not in read:
        more = _received(connection, deadline)
        if not more:
            break
        read += more
        if len(read.partition(_END_OF_HEAD)[0]) > MAX_REQUEST_BYTES:
            raise _Refused(431, f"a request may have {MAX_REQUEST_BYTES} bytes")
    head, _, rest = read.partition(_END_OF_HEAD)
    return head, rest


def _read_body(
    connection: socket.socket, rest: bytes, headers: Mapping[str, str], max_bytes: int, deadline: float
) -> bytes:
    text = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not (text.isascii() and text.isdigit()):
        raise _Refused(411, "say how long the body is")
    if len(text) > 9 or int(text) > max_bytes:
        raise _Refused(413, f"a body may have {max_bytes} bytes")
    while len(rest) < int(text):
        more = _received(connection, deadline)
        if not more:
            raise _Refused(400, "the body is not whole")
        rest += more
    return rest[: int(text)]


def _received(connection: socket.socket, deadline: float) -> bytes:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    connection.settimeout(left_s)
    return connection.recv(MAX_REQUEST_BYTES)
