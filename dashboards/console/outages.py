"""What the console depends on and does not reach, and since when.

Place in the flow: told by what asks (the pool of readers, the senders, `guard.py` for every Away), asked by the page
that says what is missing and by the overview.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from pipeline.health.troubles import AWAY_CODES

STORE, KAFKA, ACCOUNTS = "store", "kafka", "accounts"
SLOW = "store_slow"
"""The code of a store that answers and takes too long over one question: no outage."""


def dependency_of(code: str) -> str:
    """Of which dependency a code of the class *away* speaks."""
    return AWAY_CODES.get(code, ACCOUNTS)


class Outages:
    """First failure since the last success, by dependency; safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since_us: dict[str, int] = {}

    def failed(self, dependency: str, at_us: int) -> int:
        """It did not answer; returns since when it does not."""
        with self._lock:
            return self._since_us.setdefault(dependency, at_us)

    def worked(self, dependency: str) -> None:
        """It answered."""
        if dependency in self._since_us:
            with self._lock:
                self._since_us.pop(dependency, None)

    def now(self) -> Mapping[str, int]:
        """Everything that does not answer, and since when (UTC µs)."""
        with self._lock:
            return dict(self._since_us)
