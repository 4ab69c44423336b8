"""Ingest: recorded lines are checked, keyed by actor and sent to Kafka; what is no event is named line by line.

Flow: `records` → decoder of the format → `Producer` → topic access.events. An access-event line is sent byte for byte
as it lies in the file; a line of another format is sent as the access event it was decoded to. The same checks run
again in the stream: here they only tell the sender early. Counts are exact: read = sent + refused, and after an outage
`acknowledged` says how many of the sent ones are surely in Kafka.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

import msgspec
import numpy as np

from pipeline.errors import Away, InvalidEvent, UsageError
from pipeline.sources.cloudtrail import MAX_DELIVERED_FILE_BYTES, decode_cloudtrail, split_delivered_files
from pipeline.sources.records import MAX_LINE_BYTES, Line
from pipeline.stages.decode import decode_values

TOO_LONG = "too_large"
_RUN_LINES = 500
_FLUSH_EVENTS = 5_000
_STEPS_PER_SECOND = 10  # of a limited rate: how often it is looked at


class Producer(Protocol):
    """What takes events to Kafka; `flush` returns when everything sent before is acknowledged."""

    def send(self, key: bytes, value: bytes) -> None:
        """Takes one record; may wait while buffers are full. Raises: Away."""

    def flush(self) -> None:
        """Waits for every acknowledgement. Raises: Away."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that is no valid event: where, and the reason code."""

    path: str
    line: int
    reason: str


@dataclass(slots=True)
class Progress:
    """Counts so far; `read` = `sent` + `refused` but for raw lines sent on wish, which count as both."""

    read: int = 0
    sent: int = 0
    acknowledged: int = 0
    refused: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


Formed = tuple[bytes, bytes] | str
"""What a line became: key and value to send, or the reason why not."""


def _access_events(values: list[bytes], now_us: int) -> Iterator[Formed]:
    """Lines that are access events already: unchanged, with their actor as key."""
    decoded = decode_values(values, np.full(len(values), now_us, np.int64))
    formed: dict[int, Formed] = {rejected.index: rejected.reason for rejected in decoded.rejected}
    for row, event in zip(decoded.rows.tolist(), decoded.events, strict=True):
        formed[row] = (event.actor_id.encode(), values[row])
    return (formed[row] for row in range(len(values)))


def _cloudtrail(values: list[bytes], now_us: int) -> Iterator[Formed]:
    """Lines that are CloudTrail records."""
    converted: list[bytes | str] = []
    for value in values:
        try:
            converted.append(msgspec.json.encode(decode_cloudtrail(value)))
        except InvalidEvent as exc:
            converted.append(exc.code)
    checked = _access_events([value for value in converted if isinstance(value, bytes)], now_us)
    return (value if isinstance(value, str) else next(checked) for value in converted)


@dataclass(frozen=True, slots=True)
class SourceFormat:
    """How lines of one format are split, bounded and formed."""

    form: Callable[[list[bytes], int], Iterator[Formed]]
    split: Callable[[Iterable[Line]], Iterable[Line]] = iter
    max_line_bytes: int = MAX_LINE_BYTES


FORMATS: Mapping[str, SourceFormat] = {
    "access-event": SourceFormat(_access_events),
    "cloudtrail": SourceFormat(_cloudtrail, split_delivered_files, MAX_DELIVERED_FILE_BYTES),
}


def _now_us() -> int:
    return time.time_ns() // 1000


@dataclass(slots=True, kw_only=True)
class Ingest:
    """One run: where events go and how fast; `on_refusal` hears each bad line, `on_progress` each run of lines.

    `rate_per_s`: at most so many events a second (None: as fast as Kafka takes them). `send_invalid`: refused
    access-event lines are sent too, raw and with an empty key, to become dead letters. `now_us`, `clock_s` and `sleep`
    are the clocks; times of events are compared with `now_us` as the stream will compare them with their arrival.
    """

    producer: Producer
    source_format: str = "access-event"
    rate_per_s: float | None = None
    send_invalid: bool = False
    on_refusal: Callable[[Refusal], None] = lambda refusal: None
    on_progress: Callable[[Progress], None] = lambda progress: None
    now_us: Callable[[], int] = _now_us
    clock_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    progress: Progress = field(default_factory=Progress)

    def run(self, lines: Iterable[Line]) -> Progress:
        """Sends all lines and waits until Kafka has acknowledged them.

        Raises: UsageError: unknown format; Away: Kafka does not answer (`progress` says how far it came).
        """
        if self.source_format not in FORMATS:
            raise UsageError(f"unknown format {self.source_format!r}: choose one of {', '.join(FORMATS)}")
        remaining = iter(FORMATS[self.source_format].split(lines))
        started_s = self.clock_s()
        try:
            self._send_all(remaining, started_s)
        except Away as exc:
            raise Away(
                f"{exc}\n{self.progress.acknowledged:,} of {self.progress.sent:,} sent events are acknowledged; "
                "sending the same file again is safe, an event_id counts once",
                code=exc.code,
            ) from exc
        return self.progress

    def _send_all(self, remaining: Iterator[Line], started_s: float) -> None:
        """Sends run by run; what was sent is acknowledged even where a file turns out to be damaged."""
        try:
            while run := list(islice(remaining, self._run_lines())):
                self._send(run)
                self.on_progress(self.progress)
                self._keep_rate(started_s)
        except UsageError:
            self._flush()
            raise
        self._flush()

    def _run_lines(self) -> int:
        if self.rate_per_s is None:
            return _RUN_LINES
        return max(1, min(_RUN_LINES, int(self.rate_per_s / _STEPS_PER_SECOND)))

    def _keep_rate(self, started_s: float) -> None:
        if self.rate_per_s is not None:
            ahead_s = self.progress.sent / self.rate_per_s - (self.clock_s() - started_s)
            if ahead_s > 0:
                self.sleep(ahead_s)

    def _send(self, run: list[Line]) -> None:
        """Forms and sends one run of lines, in their order."""
        self.progress.read += len(run)
        formed = FORMATS[self.source_format].form([line.data for line in run if line.data is not None], self.now_us())
        for line in run:
            one = TOO_LONG if line.data is None else next(formed)
            if isinstance(one, str):
                self._refuse(line, one)
            else:
                self._produce(*one)

    def _refuse(self, line: Line, reason: str) -> None:
        self.progress.refused += 1
        self.progress.reasons[reason] += 1
        self.on_refusal(Refusal(line.path, line.number, reason))
        if self.send_invalid and line.data is not None and reason != TOO_LONG:
            self._produce(b"", line.data)

    def _produce(self, key: bytes, value: bytes) -> None:
        self.producer.send(key, value)
        self.progress.sent += 1
        if self.progress.sent - self.progress.acknowledged >= _FLUSH_EVENTS:
            self._flush()

    def _flush(self) -> None:
        self.producer.flush()
        self.progress.acknowledged = self.progress.sent
