"""Whose turn it is to commit: a few of a worker's partitions at once, first come, first served.

Place in the flow: `worker.py` asks for a turn before it takes records from its inbox. A store with work for all
partitions at once serves each of them slowly: an event waits for the commit before its own, and then for its own, each
as long as all of them together. Taking turns, the partitions that wait gather larger batches, and their commits are
short. A turn is given up as soon as there is trouble: nobody waits for another's store, row or broker.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType

_LOOK_S = 0.2


class Turn:
    """One partition's turn; ends with the `with` block, or before it by `give_up`."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end: Callable[[], None] | None = end

    def give_up(self) -> None:
        """Lets the next one go on; as often as you like."""
        end, self._end = self._end, None
        if end is not None:
            end()

    def __enter__(self) -> Turn:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.give_up()


class Turns:
    """At most `at_once` turns at the same time. Thread-safe; shared by the partitions of one worker."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    def take(self, check: Callable[[], None]) -> Turn:
        """Waits for a turn, behind all who wait already. Raises: whatever `check` raises meanwhile."""
        me = object()
        with self._changed:
            self._waiting.append(me)
            try:
                while not self._changed.wait_for(lambda: self._free and self._waiting[0] is me, _LOOK_S):
                    check()
                self._free -= 1
            finally:
                self._waiting.remove(me)
                self._changed.notify_all()
        return Turn(self._end)

    def _end(self) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify_all()
