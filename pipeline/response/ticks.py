"""When each incident key needs a `tick`: the one place where a wall clock meets incident handling.

Place in the flow: kept by `handling.py`, which sends what is due as commands. A tick does what is due by the time at
which its record was received, so one that comes early, late or twice does no harm; the clock here only says when to
send one. Where the broker's clock is behind ours a tick comes early and changes nothing: it is sent again, after one
second, then two, up to a minute.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

_SECOND_US = 1_000_000
_LONGEST_PAUSE_US = 60 * _SECOND_US
_SLACK = 64


@dataclass(frozen=True, slots=True)
class _Entry:
    due_us: int
    not_before_us: int
    tries: int = 0


class TickSchedule:
    """Keys and their due times, UTC microseconds. Memory: one entry a key that is due some time."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._heap: list[tuple[int, str]] = []

    @property
    def due_us(self) -> int:
        """When the next tick is to be sent; 0: never."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else 0

    def set(self, key: str, due_us: int) -> None:
        """The key is due then (0: never). What was sent for the same due time is waited for."""
        known = self._entries.get(key)
        if not due_us:
            self._entries.pop(key, None)
        elif known is None:
            self._put(key, _Entry(due_us, due_us))
        elif known.due_us != due_us:
            # Never more than one a second: what was sent last may not have been read yet.
            self._put(key, _Entry(due_us, max(due_us, known.not_before_us if known.tries else 0)))

    def due(self, now_us: int, most: int) -> list[tuple[str, int]]:
        """Keys to send a tick for, at most so many, each with its due time; `sent` says that it was done."""
        found: dict[str, int] = {}
        while len(found) < most and 0 < self.due_us <= now_us:
            _, key = heapq.heappop(self._heap)
            found[key] = self._entries[key].due_us
        for key in found:
            heapq.heappush(self._heap, (self._entries[key].not_before_us, key))
        return list(found.items())

    def sent(self, key: str, now_us: int) -> None:
        """A tick was sent: the next one no sooner than a second later."""
        entry = self._entries[key]
        pause_us = min(_SECOND_US << min(entry.tries, 10), _LONGEST_PAUSE_US)
        self._put(key, _Entry(entry.due_us, now_us + pause_us, entry.tries + 1))

    def _put(self, key: str, entry: _Entry) -> None:
        self._entries[key] = entry
        heapq.heappush(self._heap, (entry.not_before_us, key))
        if len(self._heap) > 2 * len(self._entries) + _SLACK:
            self._heap = [(one.not_before_us, name) for name, one in self._entries.items()]
            heapq.heapify(self._heap)

    def _drop_stale(self) -> None:
        while self._heap:
            at_us, key = self._heap[0]
            entry = self._entries.get(key)
            if entry is not None and entry.not_before_us == at_us:
                return
            heapq.heappop(self._heap)
