"""What every request meets before any page: host, origin, size, rate; what every answer carries; one line of log.

Place in the flow: outermost, around Starlette; pure ASGI. OWASP ASVS 5.0: V3 (browser headers, CSRF), V4.2 (limits
before parsing), V16 (no payload in logs). The log names the route's template, never a path, a query or a person.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.errors import AccesstrailError
from pipeline.web_requests import Rates

_log = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
BODY_TIMEOUT_S = 15.0
ASKED_A_MINUTE = 1_200
"""Requests of one address; a page takes about ten."""
ROUTE = "accesstrail.route"
"""Where in the scope the route's template stands."""
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
_LOOPBACK = ("127.0.0.1", "::1")

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: under it browsers send `Origin: null` with our own forms. Other sites learn nothing either way.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "X-Robots-Tag": "noindex, nofollow",
}
_NO_STORE = "no-store"

ErrorPage = Callable[[Scope, int, str], Response]
"""The page of a refusal: scope, status, code of the words `error.…`."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request goes no further."""

    status: int
    code: str


class Shield:
    """ASGI middleware. `hosts`: names under which the console is offered besides loopback's."""

    def __init__(
        self, app: ASGIApp, *, hosts: Collection[str], behind_proxy: bool, error_page: ErrorPage,
        now_us: Callable[[], int], asked_a_minute: int = ASKED_A_MINUTE,
    ) -> None:  # fmt: skip
        self._app, self._error_page, self._now_us = app, error_page, now_us
        self._hosts = frozenset(hosts) | LOOPBACK_NAMES
        self._behind_proxy = behind_proxy
        self._rates = Rates(asked_a_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s, answered = time.monotonic(), _Answered(send, is_secure=self._behind_proxy)
        try:
            await self._answer(scope, receive, answered)
        except Exception as exc:  # the outermost loop of the web server: one request's bug is not the others'
            code = exc.code if isinstance(exc, AccesstrailError) else type(exc).__name__
            _log.exception("a request broke: code=%s", code) if _log.isEnabledFor(logging.DEBUG) else _log.error(
                "a request broke: route=%s code=%s at %s", scope.get(ROUTE, "-"), code, _place(exc)
            )
            if not answered.status:
                await self._error_page(scope, 500, "internal")(scope, receive, answered)
        finally:
            took_ms = (time.monotonic() - began_s) * 1000
            _log.info(
                "%s %s %d %.0f ms", _method(scope), scope.get(ROUTE, "-"), answered.status, took_ms
            )  # fmt: skip

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["client"] = (self._address(scope), 0)
        refusal = self._refusal(scope)
        if refusal is None and scope["method"] == "POST":
            body = await _body(scope, receive)
            if body is None:
                refusal = Refusal(413, "too_large")
            else:
                receive = _replayed(body, receive)
        if refusal is not None:
            await self._error_page(scope, refusal.status, refusal.code)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _address(self, scope: Scope) -> str:
        """Who asks: behind our own proxy, whom it names last, since only that is its own word."""
        client = scope.get("client")
        address = str(client[0]) if client else "unknown"
        if self._behind_proxy and (address in _LOOPBACK or address.startswith(("10.", "172.", "192.168."))):
            passed_on = Headers(scope=scope).get("x-forwarded-for", "")
            return passed_on.rpartition(",")[2].strip()[:64] or address
        return address

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers = Headers(scope=scope)
        if _name_of(headers.get("host", "")) not in self._hosts:
            return Refusal(421, "bad_host")
        if scope["method"] not in _METHODS:
            return Refusal(405, "method_not_allowed")
        if not self._rates.takes(scope["client"][0], self._now_us()):
            return Refusal(429, "too_many")
        if scope["method"] == "POST" and not _is_own_origin(headers):
            return Refusal(403, "cross_site")
        return None


def _name_of(host: str) -> str:
    """The name in a Host header, small letters, without its port; "" where it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "") if host else ""
    except ValueError:
        return ""


def _is_own_origin(headers: Headers) -> bool:
    """Whether a page of ours sent it. `Sec-Fetch-Site` cannot be set by scripts; older browsers send `Origin` only."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("origin", "")
    try:
        return bool(origin) and urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    except ValueError:
        return False


async def _body(scope: Scope, receive: Receive) -> bytes | None:
    """The whole body, at most 64 KiB; None: more was sent or declared, or it did not come in time."""
    declared = Headers(scope=scope).get("content-length", "0")
    if not declared.isdecimal() or int(declared) > MAX_BODY_BYTES:
        return None
    parts, size, is_more = [], 0, True
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while is_more:
                message = await receive()
                if message["type"] != "http.request":
                    return None
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > MAX_BODY_BYTES:
                    return None
                is_more = message.get("more_body", False)
    except TimeoutError:
        return None
    return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body again, then whatever comes (that the client went away)."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


class _Answered:
    """`send` that adds the headers of every answer and remembers its status; 0: nothing was sent."""

    def __init__(self, send: Callable[[Message], Awaitable[None]], *, is_secure: bool) -> None:
        self._send, self._is_secure = send, is_secure
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", _NO_STORE)
            if self._is_secure:
                headers["Strict-Transport-Security"] = "max-age=31536000"
        await self._send(message)


def _method(scope: Scope) -> str:
    """The method if it is one of ours: what a client makes up is not written into a log."""
    method = str(scope["method"])
    return method if method in _METHODS else "OTHER"


def _place(exc: BaseException) -> str:
    """File and line where it broke: code of ours, no values."""
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "-" if trace is None else f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
