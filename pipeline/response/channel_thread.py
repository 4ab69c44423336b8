"""One channel in a thread of its own, so that a slow one never delays another.

Place in the flow: between `sending.py`, which reads the partition and hands records over, and the channel's writer. A
store or broker that is away is asked again without end; anything else ends the thread, and the partition stops.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from pipeline.errors import AccesstrailError, Away
from pipeline.incidents.model import Position
from pipeline.partition.thread import BACKOFF_S, LONGEST_WAIT_S

_log = logging.getLogger(__name__)


Result = TypeVar("Result")


class Writer(Protocol):
    """The one writer of a channel: of messages, or of containment calls."""

    @property
    def held(self) -> int:
        """Records that are not settled."""
        ...

    def offer(self, position: Position, item: Any, /) -> None:  # noqa: ANN401  what the channel sends
        """Takes the next record."""
        ...

    def step(self) -> int | None:
        """One attempt at most; when the next is due (UTC microseconds), None: when something is offered."""
        ...


class ChannelThread:
    """Runs one writer until it is ended. `make`: reads the channel's rows, so it may raise Away."""

    def __init__(self, channel: str, make: Callable[[], Writer], now_us: Callable[[], int]) -> None:
        self.trouble: AccesstrailError | None = None
        """What keeps it from going on now: away, or for good."""
        self._channel, self._make, self._now_us = channel, make, now_us
        self._changed = threading.Condition()
        self._offered: deque[tuple[Position, Any]] = deque()
        self._held = 0
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=f"channel-{channel}", daemon=True)
        self._thread.start()

    @property
    def held(self) -> int:
        """Records that are not settled."""
        return len(self._offered) + self._held

    def offer(self, position: Position, item: Any) -> None:  # noqa: ANN401  what the channel sends
        """Hands over the next record; never blocks."""
        with self._changed:
            self._offered.append((position, item))
            self._changed.notify_all()

    def end(self) -> None:
        """Ends it after the running step."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def join(self, timeout_s: float) -> bool:
        """Whether it ended in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # -- the thread

    def _run(self) -> None:
        try:
            writer = self._patiently(self._make)
            while writer is not None and not self._ended:
                self._hand_over(writer)
                due_us = self._patiently(writer.step)
                self._held = writer.held
                self._wait(due_us)
        except AccesstrailError as exc:
            self.trouble = exc
            _log.error("channel stopped: channel=%s code=%s: %s", self._channel, exc.code, exc)
        except Exception as exc:
            # The outermost loop of this thread: a fault of ours. What it says may hold payload, so its class is told.
            self.trouble = AccesstrailError(f"{type(exc).__name__} in channel {self._channel}", code="internal_error")
            _log.error("channel stopped: channel=%s code=internal_error: %s", self._channel, type(exc).__name__)

    def _hand_over(self, writer: Writer) -> None:
        while self._offered:
            position, item = self._offered[0]
            writer.offer(position, item)
            # It is in one of the two at every moment: who counts what is held may count it twice, never not.
            self._held = writer.held
            self._offered.popleft()

    def _wait(self, due_us: int | None) -> None:
        wait_s = LONGEST_WAIT_S if due_us is None else min(LONGEST_WAIT_S, (due_us - self._now_us()) / 1e6)
        with self._changed:
            if wait_s > 0:
                self._changed.wait_for(lambda: bool(self._offered) or self._ended, wait_s)

    def _patiently(self, step: Callable[[], Result]) -> Result | None:
        """Runs a step until its dependencies answer; None where it was ended meanwhile."""
        attempt = 0
        while not self._ended:
            try:
                result = step()
            except Away as exc:
                self.trouble = exc
                with self._changed:
                    self._changed.wait_for(lambda: self._ended, BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)])
                attempt += 1
            else:
                self.trouble = None
                return result
        return None
