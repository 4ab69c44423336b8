"""Answers kept for some seconds, and one question asked once however many threads ask it.

Place in the flow: between the console's pages and its readers, for answers that many viewers want at one moment. It
knows nothing of who asks: what may be seen, and that a look is told, is decided before.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class KeptAnswers(Generic[Answer]):
    """Safe between threads. `kept_s`: how old an answer may be; `most`: answers at a time, the oldest go first."""

    def __init__(self, kept_s: float, most: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._kept_s, self._most, self._monotonic = kept_s, most, monotonic
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[float, Answer]] = OrderedDict()
        self._asked: dict[Hashable, threading.Lock] = {}

    def answer(
        self, key: Hashable, ask: Callable[[], Answer], keeps: Callable[[Answer], bool] = lambda _: True
    ) -> Answer:
        """A young answer, or what `ask` says; whoever comes while it is being asked waits for it.

        `keeps`: whether an answer is one to keep. Raises: whatever `ask` raises; the next one asks again.
        """
        with self._lock:
            turn = self._asked.setdefault(key, threading.Lock())
        try:
            with turn:
                kept = self._young(key)
                if kept is not None:
                    return kept[1]
                found = ask()
                if keeps(found):
                    self._keep(key, found)
                return found
        finally:
            with self._lock:
                self._asked.pop(key, None)

    def _keep(self, key: Hashable, found: Answer) -> None:
        with self._lock:
            self._kept[key] = self._monotonic(), found
            self._kept.move_to_end(key)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def _young(self, key: Hashable) -> tuple[float, Answer] | None:
        with self._lock:
            found = self._kept.get(key)
            if found is None or self._monotonic() - found[0] <= self._kept_s:
                return found
            del self._kept[key]
            return None
