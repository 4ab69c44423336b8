"""Sessions of signed-in viewers, in the memory of the one console process: a restart signs everybody out.

Place in the flow: asked by `guard.py` with each request. Ids are 256 random bits and never leave but in the cookie;
what is kept is their SHA-256, so that a dump of the table opens nothing. A session ends after 30 minutes without a
request, 12 hours after its login, and as soon as its account's standing changes (disabled, roles, password, second
factor): OWASP ASVS 5.0 V7.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

IDLE_US = 30 * 60 * 1_000_000
ABSOLUTE_US = 12 * 3600 * 1_000_000
MOST_SESSIONS = 2_000
MOST_OF_ONE = 10
_ID_BYTES = 32
_MOST_TYPED = 50


@dataclass(slots=True)
class Kept:
    """What a viewer typed and no address may hold: names behind tokens, words that are looked for behind a mark, and
    the work item that the looks are for.

    Nothing of it is shown to anybody else, and it ends with the session.
    """

    typed: dict[str, str] = field(default_factory=dict, repr=False)
    texts: dict[str, str] = field(default_factory=dict, repr=False)
    ticket: str = field(default="", repr=False)

    def remember(self, token: str, identifier: str) -> None:
        """Keeps a name; of more than fifty the oldest is forgotten."""
        _newest(self.typed, token, identifier)

    def mark_of(self, text: str) -> str:
        """Keeps words; the mark that stands for them in an address says nothing to anybody else."""
        mark = next((one for one, kept in self.texts.items() if kept == text), None) or secrets.token_urlsafe(12)
        _newest(self.texts, mark, text)
        return mark


@dataclass(slots=True, kw_only=True, eq=False)
class Session:
    """One login. `session_id` is set only when it was just made; `standing`: of the account at that moment.

    `enrolment`: the address of a second factor that is being enrolled, kept here only until it is; `recovery_codes`:
    shown once.
    """

    account: str
    standing: str
    began_us: int
    seen_us: int
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(_ID_BYTES), repr=False)
    session_id: str = field(default="", repr=False)
    enrolment: str = field(default="", repr=False)
    recovery_codes: tuple[str, ...] = field(default=(), repr=False)
    notes: list[Any] = field(default_factory=list)
    kept: Kept = field(default_factory=Kept)


class Sessions:
    """All sessions; safe between threads."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._lock = threading.Lock()
        self._by_digest: dict[bytes, Session] = {}

    def begin(self, account: str, standing: str) -> Session:
        """A new session with an id nobody has seen; whatever cookie came along is worth nothing."""
        now_us = self._now_us()
        session_id = secrets.token_urlsafe(_ID_BYTES)
        session = Session(
            account=account, standing=standing, began_us=now_us, seen_us=now_us, session_id=session_id
        )  # fmt: skip
        with self._lock:
            self._forget_old(now_us)
            self._make_room(account)
            self._by_digest[_digest(session_id)] = session
        return session

    def find(self, session_id: str) -> Session | None:
        """The session of a cookie, if it has not ended; asking keeps it alive."""
        now_us = self._now_us()
        with self._lock:
            session = self._by_digest.get(_digest(session_id))
            if session is None:
                return None
            if _is_over(session, now_us):
                del self._by_digest[_digest(session_id)]
                return None
            session.seen_us = now_us
            return session

    def is_alive(self, session: Session) -> bool:
        """Whether it has not ended; asking does not keep it alive: for streams."""
        with self._lock:
            return session in self._by_digest.values() and not _is_over(session, self._now_us())

    def end(self, session: Session) -> None:
        """Signs out."""
        with self._lock:
            for key in [key for key, one in self._by_digest.items() if one is session]:
                del self._by_digest[key]

    def end_all_of(self, account: str) -> None:
        """Signs an account out everywhere."""
        with self._lock:
            for key in [key for key, one in self._by_digest.items() if one.account == account]:
                del self._by_digest[key]

    def _forget_old(self, now_us: int) -> None:
        for key in [key for key, one in self._by_digest.items() if _is_over(one, now_us)]:
            del self._by_digest[key]

    def _make_room(self, account: str) -> None:
        """The ones that were used longest ago go: of this account beyond ten, of all beyond two thousand."""
        own = sorted((one.seen_us, key) for key, one in self._by_digest.items() if one.account == account)
        for _, key in own[: max(0, len(own) - MOST_OF_ONE + 1)]:
            del self._by_digest[key]
        everybody = sorted((one.seen_us, key) for key, one in self._by_digest.items())
        for _, key in everybody[: max(0, len(everybody) - MOST_SESSIONS + 1)]:
            del self._by_digest[key]


def _newest(kept: dict[str, str], key: str, value: str) -> None:
    """Puts a value last; of more than fifty the first is forgotten."""
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > _MOST_TYPED:
        kept.pop(next(iter(kept)), None)


def _is_over(session: Session, now_us: int) -> bool:
    return now_us - session.seen_us > IDLE_US or now_us - session.began_us > ABSOLUTE_US


def _digest(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode()).digest()
