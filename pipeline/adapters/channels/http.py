"""The one HTTP client of all channels: asks allowed hosts only, at addresses that were checked, and believes little.

Place in the flow: between the senders and httpx. https, except to this machine itself; the name is resolved, every
address checked, and the connection made to that address while TLS verifies the name (no second look-up that could
answer otherwise). No redirect is followed, no proxy of the environment used, no answer unpacked, at most 64 KiB of it
read, and an attempt ends when its time is over. One connection an attempt: a kept one that the server closed meanwhile
would leave open whether the message arrived.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

import httpx

from pipeline.adapters.channels.addresses import Resolve, checked_addresses, system_addresses
from pipeline.adapters.channels.deadline import Deadline
from pipeline.notifications.config import ChannelSettings
from pipeline.notifications.outcome import Answer, retry_after_s

MAX_ANSWER_BYTES = 65_536
_MOST_ADDRESSES = 3
_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy", "httpcore.socks")


class _Never(logging.Filter):
    """httpx logs the address of every request, and a robot's address is its token."""

    def filter(self, record: logging.LogRecord) -> bool:
        return False


_NEVER = _Never()


@lru_cache(maxsize=16)
def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Verifies name and chain by the system's authorities, and by those of `ca_file`."""
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(cafile=ca_file)
    return context


class HttpClient:
    """Asks the endpoint of one channel."""

    def __init__(self, settings: ChannelSettings, resolve: Resolve = system_addresses) -> None:
        """Raises: OSError: `ca_file` holds no certificates (ssl.SSLError is one)."""
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_NEVER)
        self._settings = settings
        self._resolve = resolve
        times = httpx.Timeout(settings.timeout_s, connect=settings.connect_timeout_s)
        self._client = httpx.Client(
            verify=tls_context(settings.ca_file),
            trust_env=False,
            follow_redirects=False,
            timeout=times,
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def close(self) -> None:
        """Ends it."""
        self._client.close()

    def post(self, path: str, body: bytes, now_us: int, headers: Mapping[str, str] | None = None) -> Answer:
        """One POST of JSON. `path`: behind the endpoint's own, with the query, percent-encoded already.

        `now_us` places a `Retry-After` that is a date. Whatever goes wrong is in the answer, nothing is raised.
        """
        settings, endpoint = self._settings, self._settings.endpoint
        if endpoint.host not in settings.allow_hosts:
            return Answer(0, failure="host_not_allowed")
        addresses, failure = checked_addresses(
            endpoint.host, endpoint.port, settings.allow_private, self._resolve, settings.connect_timeout_s
        )
        answer = Answer(0, failure=failure)
        with Deadline(settings.timeout_s) as deadline:
            for address in addresses[:_MOST_ADDRESSES]:
                request = self._request(address, path, body, headers or {}, deadline)
                answer = self._answer(request, deadline, now_us)
                # Only where no connection came about is it certain that nothing was sent.
                if answer.failure != "no_connection" or deadline.is_over:
                    break
        return answer

    def _request(
        self, address: str, path: str, body: bytes, headers: Mapping[str, str], deadline: Deadline
    ) -> httpx.Request:
        endpoint = self._settings.endpoint
        raw_path = (endpoint.path.rstrip("/") + path) or "/"
        url = httpx.URL(scheme=endpoint.scheme, host=address, port=endpoint.port, raw_path=raw_path.encode("ascii"))
        name = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        is_usual = endpoint.port == (443 if endpoint.scheme == "https" else 80)
        own = {
            "Host": name if is_usual else f"{name}:{endpoint.port}",
            "Content-Type": "application/json; charset=utf-8",
            "Accept-Encoding": "identity",
            "User-Agent": "accesstrail",
        }
        extensions = {"sni_hostname": endpoint.host, "trace": deadline.trace}
        return self._client.build_request("POST", url, content=body, headers={**own, **headers}, extensions=extensions)

    def _answer(self, request: httpx.Request, deadline: Deadline, now_us: int) -> Answer:
        status, wait_s, body = 0, None, bytearray()
        try:
            response = self._client.send(request, stream=True)
            try:
                status = response.status_code
                wait_s = retry_after_s(response.headers.get("Retry-After", ""), now_us)
                failure = _read(response.iter_raw(), body)
            finally:
                response.close()
        except httpx.HTTPError as exc:
            failure = "timeout" if deadline.is_over else _failure_of(exc)
        return Answer(status, bytes(body), wait_s, failure)


def _read(chunks: Iterable[bytes], body: bytearray) -> str:
    for chunk in chunks:
        if len(body) + len(chunk) > MAX_ANSWER_BYTES:
            body.clear()
            return "answer_too_large"
        body += chunk
    return ""


def _failure_of(error: httpx.HTTPError) -> str:
    """A code; the error's text could hold the address."""
    if isinstance(error, httpx.ConnectTimeout):
        return "no_connection"
    if isinstance(error, httpx.TimeoutException):
        return "timeout"
    if isinstance(error, httpx.ConnectError):
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return "certificate"
            cause = cause.__cause__ or cause.__context__
        return "no_connection"
    return "cut_off"
