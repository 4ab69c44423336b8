"""What became of one attempt to send, and how an answer is judged; every sender returns a `Sent`.

Place in the flow: between the senders of `pipeline/adapters/channels` and the policy that decides what is sent again.
Three outcomes: `delivered` (the channel confirmed it), `retry` (it did not, or nobody knows: it is sent again),
`refused` (the channel will never take this message). A channel that lets nobody in (a wrong token, a redirect, a name
that may not be asked) refuses no message: it is set up wrongly, and what waits for it waits until a person repairs it.
HTTP semantics: RFC 9110, `Retry-After` as its §10.2.3, 429 as RFC 6585.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Protocol

from pipeline.notifications.message import Notification

DELIVERED, RETRY, REFUSED, SKIPPED = "delivered", "retry", "refused", "skipped"
"""`SKIPPED` is never a sender's: the policy found that it was delivered before."""
OUTCOMES = (DELIVERED, RETRY, REFUSED, SKIPPED)
SET_UP_WRONGLY = frozenset({
    "unauthorized", "not_found", "redirected", "host_not_allowed", "address_not_allowed", "certificate", "tls_refused",
})  # fmt: skip
"""Codes that no other attempt of the same channel would escape."""
TOO_MANY = "too_many"
"""The code of a channel that says it is sent too much; it then rests as a whole."""
LONGEST_RETRY_AFTER_S = 3600.0
"""A channel may ask for patience, not for silence."""
_SECONDS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Sent:
    """One attempt's end. `code`: low cardinality, a metric label, never what the channel wrote. `http_status`: 0: none.

    `retry_after_s`: what the channel asked to wait, seconds; None: nothing.
    """

    outcome: str
    code: str
    http_status: int = 0
    retry_after_s: float | None = None

    @property
    def is_channels_fault(self) -> bool:
        """Whether every message of this channel would fare the same until somebody repairs its settings."""
        return self.outcome == RETRY and self.code in SET_UP_WRONGLY


class Sender(Protocol):
    """One channel as it is spoken to."""

    def send(self, notification: Notification, attempt: int, now_us: int) -> Sent:
        """One attempt (from 1), signed for `now_us` (UTC microseconds). What goes wrong is told, never raised."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer as it came: at most 64 KiB, and whether all of it came. No status (0): `failure` says why.

    `failure`: code of what kept the answer, or the rest of it, from us; "" where it is whole.
    """

    status: int
    body: bytes = b""
    retry_after_s: float | None = None
    failure: str = ""


def judged(answer: Answer) -> Sent:
    """What status alone says: enough for a channel whose 2xx is a promise, the first step for the others."""
    status, wait = answer.status, answer.retry_after_s
    if not status:
        return Sent(RETRY, answer.failure or "no_answer")
    if 200 <= status < 300:
        return Sent(DELIVERED, "ok", status)
    if 300 <= status < 400:
        return Sent(RETRY, "redirected", status)
    if status in (401, 403):
        return Sent(RETRY, "unauthorized", status)
    if status in (404, 405, 410):
        return Sent(RETRY, "not_found", status)
    if status == 429:
        return Sent(RETRY, TOO_MANY, status, wait)
    if status in (408, 425) or status >= 500 or status < 200:
        return Sent(RETRY, "server_error", status, wait)
    return Sent(REFUSED, "bad_request", status)


def judged_by_code(answer: Answer, code: int | None, known: Mapping[int, Sent]) -> Sent:
    """For vendors that answer 200 and say in the body what became of it: `code` is theirs, 0 success, None: none came.

    A code that nobody described is sent again: better twice than never.
    """
    sent = judged(answer)
    if sent.outcome != DELIVERED:
        return sent
    if code is None:
        return Sent(RETRY, answer.failure or "unknown_answer", answer.status)
    if code == 0:
        return sent
    found = known.get(code, Sent(RETRY, "vendor_error"))
    return Sent(found.outcome, found.code, answer.status, found.retry_after_s or answer.retry_after_s)


def code_in(body: bytes, *names: str) -> int | None:
    """The number under the first of these names in a JSON object; None: the body is no such object, whatever it is."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    found = next((document[name] for name in names if name in document), None)
    return found if type(found) is int else None


def retry_after_s(text: str, now_us: int) -> float | None:
    """Seconds to wait by a `Retry-After` header (a number or a date), at most an hour; None: it says nothing."""
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_RETRY_AFTER_S)
    try:
        then = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError):
        return None
    seconds = (then.replace(tzinfo=then.tzinfo or UTC)).timestamp() - now_us / 1e6
    return min(max(0.0, math.ceil(seconds)), LONGEST_RETRY_AFTER_S)
