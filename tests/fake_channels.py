"""Channels on this machine that check what they are sent as the real ones do, and can be told to misbehave.

Every check is written from the vendors' descriptions, with an HMAC of its own (RFC 2104), and calls nothing of the
product: a sender that signs wrongly fails here as it would there. Time is told to them, so that a stale time stamp is
one by the test's clock.
"""

from __future__ import annotations

import base64
import contextlib
import email
import email.policy
import hashlib
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, cast
from urllib.parse import unquote_to_bytes

TOKEN = "token-4f1c9e77aa"
SECRET = "SECd0c5b1e2f7"
HOUR_US = 3_600_000_000
START_US = 1_790_000_000_000_000
FAULTS = (
    "none", "slow", "wrong", "nested", "too_many", "server_error", "cut", "cut_in_body", "redirect", "huge", "drip",
    "content", "unauthorized",
)  # fmt: skip
TAKEN_DESPITE = ("none", "cut", "cut_in_body", "huge", "wrong", "nested", "drip", "slow")
"""Faults of the answer: the message itself was taken."""


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """RFC 2104, by hand."""
    key = hashlib.sha256(key).digest() if len(key) > 64 else key
    padded = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(one ^ 0x36 for one in padded) + message).digest()
    return hashlib.sha256(bytes(one ^ 0x5C for one in padded) + inner).digest()


@dataclass(frozen=True)
class Request:
    """One request as it was on the wire; `query`: decoded once."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class FakeChannel:
    """What a test says to a channel and asks it. `faults`: one a request, then none. `now_us`: its clock."""

    kind: str
    now_us: int = START_US
    faults: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    def next_fault(self) -> str:
        return self.faults.pop(0) if self.faults else "none"

    def is_fresh(self, at_us: int, within_us: int) -> bool:
        return abs(self.now_us - at_us) <= within_us


# -- what each vendor checks: (status, answer), and whether the message is taken


def check_webhook(fake: FakeChannel, request: Request) -> tuple[int, bytes, str]:
    stamp = request.headers["x-accesstrail-timestamp"]
    expected = "v1=" + hmac_sha256(SECRET.encode(), stamp.encode() + b"." + request.body).hex()
    if request.headers["x-accesstrail-signature"] != expected:
        return 401, b"", "signature"
    if not fake.is_fresh(int(stamp) * 1_000_000, 300_000_000):
        return 401, b"", "stale"
    document = request.document
    if request.headers["x-accesstrail-id"] != (document.get("notification_id") or document["contain_id"]):
        return 400, b"", "id"
    return 204, b"", ""


def check_dingtalk(fake: FakeChannel, request: Request) -> tuple[int, bytes, str]:
    if request.path != "/robot/send" or request.query.get("access_token") != TOKEN:
        return 200, b'{"errcode":300001,"errmsg":"token is not exist"}', "token"
    stamp = request.query["timestamp"]
    digest = hmac_sha256(SECRET.encode(), f"{stamp}\n{SECRET}".encode())
    if request.query["sign"] != base64.b64encode(digest).decode():
        return 200, b'{"errcode":310000,"errmsg":"sign not match"}', "signature"
    if len(stamp) != 13 or not fake.is_fresh(int(stamp) * 1000, HOUR_US):
        return 200, b'{"errcode":310000,"errmsg":"invalid timestamp"}', "stale"
    document = request.document
    if len(request.body) > 20_000 or not document["markdown"]["title"] or document["msgtype"] != "markdown":
        return 200, b'{"errcode":400105,"errmsg":"unsupported"}', "body"
    return 200, b'{"errcode":0,"errmsg":"ok"}', ""


def check_feishu(fake: FakeChannel, request: Request) -> tuple[int, bytes, str]:
    if request.path != f"/hook/{TOKEN}":
        return 200, b'{"code":19001,"msg":"param invalid: incoming webhook access token invalid"}', "token"
    document = request.document
    stamp = document["timestamp"]
    digest = hmac_sha256(f"{stamp}\n{SECRET}".encode(), b"")
    if document["sign"] != base64.b64encode(digest).decode():
        return 200, b'{"code":19021,"msg":"sign match fail or timestamp is not within one hour"}', "signature"
    if len(stamp) != 10 or not fake.is_fresh(int(stamp) * 1_000_000, HOUR_US):
        return 200, b'{"code":19021,"msg":"sign match fail or timestamp is not within one hour"}', "stale"
    posts = document["content"]["post"].values()
    if len(request.body) > 20 * 1024 or document["msg_type"] != "post" or not all(one["content"] for one in posts):
        return 200, b'{"code":9499,"msg":"Bad Request"}', "body"
    return 200, b'{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}', ""


def check_wecom(fake: FakeChannel, request: Request) -> tuple[int, bytes, str]:
    if request.path != "/cgi-bin/webhook/send" or request.query != {"key": TOKEN}:
        return 200, b'{"errcode":93000,"errmsg":"invalid webhook url"}', "token"
    content = request.document["markdown"]["content"]
    if request.document["msgtype"] != "markdown" or not 0 < len(content.encode()) <= 4096:
        return 200, b'{"errcode":40058,"errmsg":"invalid Request Parameter"}', "body"
    return 200, b'{"errcode":0,"errmsg":"ok"}', ""


def check_slack(fake: FakeChannel, request: Request) -> tuple[int, bytes, str]:
    if request.path != f"/services/{TOKEN}":
        return 404, b"no_service", "token"
    if not 0 < len(request.document["text"]) <= 4000:
        return 400, b"invalid_payload", "body"
    return 200, b"ok", ""


def check_pagerduty(fake: FakeChannel, request: Request) -> tuple[int, bytes, str]:
    event = request.document
    if request.path != "/v2/enqueue" or event.get("routing_key") != TOKEN:
        return 403, b'{"status":"invalid key"}', "token"
    faults = []
    if event["event_action"] not in ("trigger", "acknowledge", "resolve"):
        faults.append("event_action")
    if not 0 < len(event["dedup_key"]) <= 255:
        faults.append("dedup_key")
    if event["event_action"] == "trigger":
        payload = event["payload"]
        if payload["severity"] not in ("critical", "error", "warning", "info") or not payload["source"]:
            faults.append("severity")
        if not 0 < len(payload["summary"]) <= 1024:
            faults.append("summary")
    if faults or len(request.body) > 512 * 1024:
        return 400, json.dumps({"status": "invalid event", "errors": faults}).encode(), "body"
    answer = {"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}
    return 202, json.dumps(answer).encode(), ""


CHECKS = {
    "webhook": check_webhook, "dingtalk": check_dingtalk, "feishu": check_feishu, "wecom": check_wecom,
    "slack": check_slack, "pagerduty": check_pagerduty,
}  # fmt: skip
PATHS = {
    "webhook": "/", "dingtalk": "/robot/send", "feishu": "/hook", "wecom": "/cgi-bin/webhook/send",
    "slack": "/services", "pagerduty": "/v2/enqueue",
}  # fmt: skip
_TOO_MANY = {
    "dingtalk": (200, b'{"errcode":130101,"errmsg":"send too fast"}'),
    "feishu": (200, b'{"code":11232,"msg":"frequency limited"}'),
    "wecom": (200, b'{"errcode":45009,"errmsg":"api freq out of limit"}'),
}
_CONTENT = {
    "dingtalk": (200, b'{"errcode":430101,"errmsg":"unsafe url"}'),
    "feishu": (200, b'{"code":9499,"msg":"Bad Request"}'),
    "wecom": (200, b'{"errcode":40058,"errmsg":"invalid Request Parameter"}'),
}
_UNAUTHORIZED = {
    "dingtalk": (200, b'{"errcode":310000,"errmsg":"ip not in whitelist"}'),
    "feishu": (200, b'{"code":19022,"msg":"ip not allowed"}'),
    "wecom": (200, b'{"errcode":93000,"errmsg":"invalid webhook url"}'),
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: ClassVar[FakeChannel]

    def do_POST(self) -> None:
        fake = self.fake
        raw_path, _, raw_query = self.path.partition("?")
        pairs = (part.partition("=") for part in raw_query.split("&") if part)
        # A "+" is a blank in a query, as every vendor's framework reads it; then exactly one decoding.
        query = {name: unquote_to_bytes(value.replace("+", " ")).decode() for name, _, value in pairs}
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(raw_path, query, headers, self.rfile.read(int(headers["content-length"])))
        fake.requests.append(request)
        fault = fake.next_fault()
        status, body, refusal = CHECKS[fake.kind](fake, request)
        if refusal:
            fake.refusals.append(refusal)
        elif fault in TAKEN_DESPITE:
            fake.taken.append(_id_of(request))
        with contextlib.suppress(OSError):
            self._misbehave(fault, status, body) if fault != "none" else self._answer(status, body)

    def _misbehave(self, fault: str, status: int, body: bytes) -> None:
        kind = self.fake.kind
        if fault == "slow":
            self.fake.released.wait(20)
            self.close_connection = True
        elif fault == "wrong":
            self._answer(200, b"<html>Welcome to the wireless network</html>")
        elif fault == "nested":
            self._answer(200, b"[" * 50_000)
        elif fault == "too_many":
            self._answer(*_TOO_MANY.get(kind, (429, b"slow down")), headers={"Retry-After": "37"})
        elif fault == "server_error":
            self._answer(503, b"<html>later</html>")
        elif fault == "cut":
            self._hang_up()
        elif fault == "cut_in_body":
            self._head(status, len(body) + 100)
            self.wfile.write(body[: len(body) // 2])
            self._hang_up()
        elif fault == "redirect":
            self._answer(307, b"", headers={"Location": f"http://127.0.0.1:{self.fake.port}/elsewhere"})
        elif fault == "huge":
            self._huge(status)
        elif fault == "drip":
            self._drip()
        elif fault == "content":
            self._answer(*_CONTENT.get(kind, (400, b"invalid_payload")))
        else:
            self._answer(*_UNAUTHORIZED.get(kind, (403, b"invalid_token")))

    def _huge(self, status: int) -> None:
        self._head(status if status != 204 else 200, 1 << 30)
        for _ in range(1 << 10):
            self.wfile.write(b" " * (1 << 20))

    def _drip(self) -> None:
        """A byte now and then: no time-out of a single read ever ends this."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not self.fake.released.wait(0.02):
            self.wfile.write(b"x")
        self._hang_up()

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, len(body), headers)
        self.wfile.write(body)

    def _head(self, status: int, length: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        return None


def _id_of(request: Request) -> str:
    """What tells one message from another where the vendor's format has no id: the words."""
    return request.headers.get("x-accesstrail-id") or hashlib.sha256(_words(request.document)).hexdigest()


def _words(document: dict[str, Any]) -> bytes:
    rest = {name: value for name, value in document.items() if name not in ("timestamp", "sign")}
    return json.dumps(rest, sort_keys=True).encode()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up, or trusts us not, is no news."""


@contextlib.contextmanager
def http_channel(kind: str, tls: ssl.SSLContext | None = None) -> Iterator[FakeChannel]:
    """A running fake of this kind on 127.0.0.1."""
    fake = FakeChannel(kind)
    server = _HttpServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": fake}))
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with _running(server, fake):
        yield fake


@contextlib.contextmanager
def _running(server: socketserver.BaseServer, fake: FakeChannel) -> Iterator[None]:
    fake.port = int(cast(tuple[str, int], server.server_address)[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        fake.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


# -- mail

_MAIL_REPLIES = {
    "too_many": "450 4.7.1 greylisted",
    "server_error": "451 4.3.0 later",
    "content": "554 5.6.0 content refused",
    "wrong": "Welcome to the wireless network",
}


class _MailHandler(socketserver.StreamRequestHandler):
    fake: ClassVar[FakeChannel]
    tls: ClassVar[ssl.SSLContext | None]

    def handle(self) -> None:
        self._fault = self.fake.next_fault()
        self._secure = False
        self._mail_from = self._user = ""
        with contextlib.suppress(OSError, EOFError):
            self._say("220 mail.test ESMTP")
            while self._command(self._line()):
                pass

    def _line(self) -> str:
        line = self.rfile.readline(65_536)
        if not line.endswith(b"\r\n"):
            raise EOFError
        return line[:-2].decode()

    def _say(self, *lines: str) -> None:
        for index, line in enumerate(lines):
            text = line if index == len(lines) - 1 else line[:3] + "-" + line[4:]
            self.wfile.write(text.encode() + b"\r\n")

    def _command(self, line: str) -> bool:
        verb = line.split(" ")[0].upper()
        if verb in ("EHLO", "HELO"):
            offers = ["250 AUTH PLAIN"] if self._secure or not self.tls else ["250 STARTTLS"]
            self._say("250 mail.test", *offers)
        elif verb == "STARTTLS" and self.tls and not self._secure:
            self._start_tls()
        elif verb == "AUTH":
            self._log_in(line)
        elif verb == "MAIL":
            self._mail_from = line
            self._say("250 ok" if self._user or not self.tls else "530 5.7.0 log in first")
        elif verb == "RCPT":
            self._say("550 5.1.1 no such user" if self._fault == "unknown_recipient" else "250 ok")
        elif verb == "DATA":
            self._say("354 go on")
            return self._take()
        elif verb == "QUIT":
            self._say("221 bye")
            return False
        else:
            self._say("502 5.5.1 no")
        return True

    def _start_tls(self) -> None:
        if self._fault == "redirect":
            self._say("454 4.7.0 no TLS today")
            return
        self._say("220 go on")
        assert self.tls is not None
        self.connection = self.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)
        self._secure = True

    def _log_in(self, line: str) -> None:
        _, user, password = base64.b64decode(line.split(" ")[2]).decode().split("\0")
        if password != SECRET or self._fault == "unauthorized":
            self._say("535 5.7.8 no")
        else:
            self._user = user
            self._say("235 ok")

    def _take(self) -> bool:
        lines = []
        while (line := self.rfile.readline(65_536)) != b".\r\n":
            if not line:
                raise EOFError
            lines.append(line[1:] if line.startswith(b".") else line)
        mail = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
        if self._fault in _MAIL_REPLIES and self._fault != "wrong":
            self._say(_MAIL_REPLIES[self._fault])
            return True
        self.fake.mails.append(mail)
        self.fake.taken.append(str(mail["Message-ID"]))
        return self._confirm()

    def _confirm(self) -> bool:
        if self._fault == "slow":
            self.fake.released.wait(20)
            return False
        if self._fault in ("cut", "cut_in_body"):
            self.wfile.write(b"2" if self._fault == "cut_in_body" else b"")
            self.connection.shutdown(socket.SHUT_RDWR)
            return False
        if self._fault == "drip":
            while not self.fake.released.wait(0.02):
                self.wfile.write(b"2")
            return False
        if self._fault == "huge":
            self.wfile.write(b"2" * (1 << 22))
            return False
        self._say(_MAIL_REPLIES.get(self._fault, "250 2.0.0 taken"))
        return True


class _MailServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """As above."""


@contextlib.contextmanager
def mail_channel(
    tls: ssl.SSLContext | None = None, implicit_tls: ssl.SSLContext | None = None
) -> Iterator[FakeChannel]:
    """A running mail server on 127.0.0.1; with `tls` it wants STARTTLS and a login."""
    fake = FakeChannel("smtp")
    server = _MailServer(("127.0.0.1", 0), type("Handler", (_MailHandler,), {"fake": fake, "tls": tls}))
    if implicit_tls:
        server.socket = implicit_tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with _running(server, fake):
        yield fake


@contextlib.contextmanager
def channel(kind: str, tls: ssl.SSLContext | None = None) -> Iterator[FakeChannel]:
    """A running fake of any kind."""
    with mail_channel(tls) if kind == "smtp" else http_channel(kind, tls) as fake:
        yield fake
