"""The health server: what it answers, and that a rude client gets nothing and harms nobody."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from pipeline.adapters import small_server
from pipeline.adapters.health_server import HealthServer
from pipeline.adapters.small_server import MAX_CONNECTIONS, MAX_REQUEST_BYTES, Page


@pytest.fixture
def server() -> Iterator[HealthServer]:
    made = HealthServer("127.0.0.1", 0, {"/livez": lambda: Page('{"live": true}\n'), "/no": lambda: Page("不\n", 503)})
    made.start()
    yield made
    made.close()


def ask(server: HealthServer, request: bytes) -> bytes:
    with socket.create_connection(server.address, timeout=10) as connection:
        with suppress(OSError):
            connection.sendall(request)
        answer = b""
        with suppress(ConnectionError):
            while data := connection.recv(4096):
                answer += data
        return answer


def status(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


def test_a_page_is_answered_with_its_status_and_length(server: HealthServer) -> None:
    head, body = ask(server, b"GET /livez?verbose HTTP/1.1\r\nHost: x\r\n\r\n").split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == b'{"live": true}\n'
    head, body = ask(server, b"GET /no HTTP/1.0\r\n\r\n").split(b"\r\n\r\n")
    assert b" 503 " in head
    assert f"Content-Length: {len(body)}".encode() in head


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"POST /livez HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"HEAD /livez HTTP/1.1\r\n\r\n", 405),
        (b"GET /etc/passwd HTTP/1.1\r\n\r\n", 404),
        (b"GET /../livez HTTP/1.1\r\n\r\n", 404),
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nX: " + b"a" * MAX_REQUEST_BYTES + b"\r\n\r\n", 431),
    ],
)
def test_anything_but_a_short_get_of_a_known_page_is_refused(
    server: HealthServer, request_: bytes, expected: int
) -> None:
    answer = ask(server, request_)
    # A client that sends more than is read may be reset before it reads the answer.
    assert not answer or status(answer) == expected
    assert status(ask(server, b"GET /livez HTTP/1.1\r\n\r\n")) == 200


def test_a_slow_client_is_given_up(server: HealthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_server, "REQUEST_LIMIT_S", 0.3)
    with socket.create_connection(server.address, timeout=10) as connection:
        for letter in b"GET /":
            with suppress(OSError):
                connection.sendall(bytes([letter]))
            time.sleep(0.1)
        assert status(connection.recv(4096)) == 408


def test_more_connections_than_the_limit_are_closed_and_later_ones_served(
    server: HealthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small_server, "REQUEST_LIMIT_S", 1.0)
    idle = [socket.create_connection(server.address, timeout=10) for _ in range(MAX_CONNECTIONS)]
    deadline = time.monotonic() + 10
    while ask(server, b"GET /livez HTTP/1.1\r\n\r\n"):
        assert time.monotonic() < deadline
    for one in idle:
        one.close()
    while not ask(server, b"GET /livez HTTP/1.1\r\n\r\n"):
        assert time.monotonic() < deadline


def test_a_port_that_is_taken_does_not_stop_the_worker(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        made = HealthServer("127.0.0.1", port, {})
        made.start()
        try:
            assert made.address[1] != port
            assert status(ask(made, b"GET /livez HTTP/1.1\r\n\r\n")) == 404
        finally:
            made.close()
    assert str(port) in caplog.text
