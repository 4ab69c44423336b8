"""Tells `access.events` of looks at evidence, and returns only when Kafka has acknowledged: before that nobody sees.

Place in the flow: between what a page would show and the viewer. Somebody waits, so the limit is short, and while Kafka
does not answer only one look in a while tries it again: the others are refused at once instead of queueing up.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol

from pipeline.adapters.kafka import EventProducer
from pipeline.audit.reads import Read, read_event
from pipeline.errors import Away, ConfigError
from pipeline.ports import EventSender

LIMIT_MS = 3_000
RETRY_AFTER_S = 2.0


class Sender(EventSender, Protocol):
    """What it sends by."""

    def close(self) -> None:
        """Ends the connection."""
        ...


class ReadAnnouncer:
    """Role of the console's read trail; may be shared between threads."""

    def __init__(self, sender: Sender, retry_after_s: float = RETRY_AFTER_S) -> None:
        self._sender, self._retry_after_s = sender, retry_after_s
        self._lock = threading.Lock()
        self._closed_until_s = 0.0

    def tell(self, read: Read) -> None:
        """Returns when the look's access event is acknowledged by all in-sync replicas.

        Raises: Away: it is not, so nothing may be shown; a look that was refused may still be told of, never the other
        way round. ConfigError: there is no such topic.
        """
        if not self._may_try():
            raise Away("Kafka does not answer: what is looked at cannot be recorded", code="kafka_away")
        try:
            self._sender.send(read.key, read_event(read))
            self._sender.flush()
        except (Away, ConfigError):
            with self._lock:
                self._closed_until_s = time.monotonic() + self._retry_after_s
            raise
        with self._lock:
            self._closed_until_s = 0.0

    def close(self) -> None:
        """Ends the connection."""
        self._sender.close()

    def _may_try(self) -> bool:
        """Whether Kafka is asked now; where it did not answer, the first to come after the pause asks for all."""
        with self._lock:
            now_s = time.monotonic()
            if now_s < self._closed_until_s:
                return False
            if self._closed_until_s:
                self._closed_until_s = now_s + LIMIT_MS / 1000
            return True


def open_read_announcer(bootstrap_servers: str, topic: str) -> ReadAnnouncer:
    """Reads told to a topic over a producer of their own; it connects at the first look."""
    return ReadAnnouncer(EventProducer(bootstrap_servers, topic, LIMIT_MS))
