"""How many identities one person may reveal in an hour: many single ones would be a bulk reveal by one person.

Place in the flow: asked by the reveal page, kept by the one console process.
"""

from __future__ import annotations

from collections import deque
from threading import Lock

from pipeline.errors import UsageError

AN_HOUR = 10
_HOUR_US = 3_600_000_000


class RevealLimit:
    """How many identities each account asked for in the last hour; safe between threads."""

    def __init__(self, an_hour: int = AN_HOUR) -> None:
        self._an_hour = an_hour
        self._lock = Lock()
        self._asked: dict[str, deque[int]] = {}

    def take(self, account: str, now_us: int) -> None:
        """Counts one. Raises: UsageError: it was the last one before."""
        with self._lock:
            asked = self._asked.setdefault(account, deque())
            while asked and asked[0] <= now_us - _HOUR_US:
                asked.popleft()
            if len(asked) >= self._an_hour:
                raise UsageError(
                    f"{self._an_hour} identities an hour are revealed to one person; more takes two people",
                    code="too_many_reveals",
                )
            asked.append(now_us)
