"""Looks at the worker from outside its loop: once a second at its partitions, every few seconds at Kafka and the store.

Place in the flow: beside it, in three threads of its own that never hold anything the flow needs. What was seen goes
to `findings.py`, which judges; from there to the status file, the log, the store (alarms), and the HTTP pages. Where
only a new process helps, this one ends with a non-zero status: killed at any point, it loses nothing.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.column_batch import ColumnBatch
from pipeline.errors import EXIT_SOFTWARE, AccesstrailError, Away
from pipeline.events import LogPosition
from pipeline.health.alarms import AlarmPlace, away_alarm, partition_alarm
from pipeline.health.findings import AwaySpan, Health, LogEnds, Observation, Probe, Reason, Report
from pipeline.partition.status import PartitionStatus

_log = logging.getLogger(__name__)

TICK_S = 1.0
_LAST_WORDS_S = 3.0


class Watched(Protocol):
    """The partitions of this process; every method may be called from any thread."""

    def loop_turns(self) -> int | None:
        """Grows while the loop makes turns; None before it runs."""
        ...

    def is_assigned(self) -> bool:
        """Whether the group has ever assigned us anything."""
        ...

    def observe(self) -> tuple[tuple[PartitionStatus, ...], frozenset[int]]:
        """How each partition is, and which partitions' threads have ended although they are ours."""
        ...

    def positions(self, partitions: Sequence[int]) -> Mapping[int, int]:
        """The next offset to fetch; partitions of which nobody knows it are left out."""
        ...

    def renew(self) -> None:
        """Begin every partition anew from the store: its log is another one now."""
        ...


class StatusSink(Protocol):
    """Where the worker's state is written for `status`."""

    def write(self, report: Report) -> None:
        """Called once a second; must not block for long."""
        ...


@dataclass(frozen=True, slots=True)
class TopicSeen:
    """What the broker says: the topic's id, and each partition's ends."""

    topic_id: str
    ends: Mapping[int, LogEnds]


LookAtTopic = Callable[[Sequence[int]], TopicSeen]
"""Asks the broker about some partitions. Raises: Away; AccesstrailError with another code: no such topic, no right."""


@dataclass(frozen=True, slots=True)
class StoreAccess:
    """What the monitor needs of the store, over a connection of its own."""

    ping: Callable[[], None]
    write_alarm: Callable[[ColumnBatch, str], None]


def end_process(reasons: Sequence[Reason]) -> None:
    """Ends this process at once: what it had begun is finished by whoever takes over."""
    logging.shutdown()
    os._exit(EXIT_SOFTWARE)


class _Repeating(threading.Thread):
    """Runs a step again and again until stopped; a step that fails in a way nobody foresaw ends the process."""

    def __init__(self, name: str, step: Callable[[], None], interval_s: float) -> None:
        super().__init__(name=name, daemon=True)
        self._step, self._interval_s = step, interval_s
        self._stop_wanted = threading.Event()

    def run(self) -> None:
        while not self._stop_wanted.is_set():
            try:
                self._step()
            except Exception as exc:
                # The outermost loop of this thread: without it nobody would watch any more.
                _log.critical("%s failed (%s): the worker ends", self.name, type(exc).__name__)
                end_process(())
            self._stop_wanted.wait(self._interval_s)

    def stop(self) -> None:
        self._stop_wanted.set()


@dataclass(slots=True)
class _KafkaWatch:
    """What the broker said last, asked over a connection of its own, never over the consumer's."""

    look: LookAtTopic
    watched: Watched
    probe: Probe = field(default_factory=Probe)
    ends: Mapping[int, LogEnds] = field(default_factory=dict)

    def step(self) -> None:
        """Asks once."""
        statuses, _ = self.watched.observe()
        try:
            seen = self.look([one.partition for one in statuses])
        except AccesstrailError as exc:
            if self.probe.code != exc.code:
                _log.warning("Kafka: code=%s: %s", exc.code, exc)
            self.probe, self.ends = Probe(exc.code, asked=True), {}
            return
        self.probe, self.ends = Probe(asked=True), seen.ends
        # The statuses are older than what the broker said, so a log that only grew never looks shortened.
        if any(_is_another_log(one, seen) for one in statuses):
            _log.error("the log is another one now: every partition begins anew from the store")
            self.watched.renew()


def _is_another_log(status: PartitionStatus, seen: TopicSeen) -> bool:
    """Whether what the broker holds cannot be the log this partition reads."""
    if status.state != "running":
        return False  # it finds out by itself
    ends = seen.ends.get(status.partition)
    recreated = status.incarnation.split("+")[0] != seen.topic_id
    return recreated or (ends is not None and ends.end_offset < status.sealed_offset + 1)


class _StoreWatch:
    """Asks the store whether it is there, and writes alarms into it as soon as it takes them."""

    def __init__(self, access: StoreAccess) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[ColumnBatch, str]] = {}
        self._turn = threading.Lock()
        self.probe = Probe()

    def put(self, key: str, rows: ColumnBatch, token: str) -> None:
        """Keeps an alarm until it is stored; a later one of the same key takes its place."""
        with self._lock:
            self._waiting[key] = (rows, token)

    def step(self) -> None:
        """Asks once, and writes what waits."""
        with self._turn:
            try:
                self._access.ping()
                self._write_waiting()
            except AccesstrailError as exc:
                if self.probe.code != exc.code:
                    _log.warning("store: code=%s: %s", exc.code, exc)
                self.probe = Probe(exc.code, asked=True)
            else:
                self.probe = Probe(asked=True)

    def _write_waiting(self) -> None:
        with self._lock:
            waiting = dict(self._waiting)
        for key, (rows, token) in waiting.items():
            try:
                self._access.write_alarm(rows, token)
            except Away:
                raise
            except AccesstrailError as exc:
                # The log and status say it all the same; what the store refuses is not offered to it for ever.
                _log.error("an alarm could not be stored: code=%s: %s", exc.code, exc)
            with self._lock:
                if self._waiting.get(key) == (rows, token):
                    del self._waiting[key]


class Monitor:
    """Owns the three threads; `report` is the newest finding."""

    def __init__(
        self, health: Health, watched: Watched, look: LookAtTopic, store: StoreAccess, sink: StatusSink, *,
        topic: str, retention_class: str, poll_interval_s: float,
        end: Callable[[Sequence[Reason]], None] = end_process,
    ) -> None:  # fmt: skip
        self.report = Report()
        self._health, self._watched, self._sink, self._end = health, watched, sink, end
        self._topic, self._retention_class = topic, retention_class
        self._kafka, self._store = _KafkaWatch(look, watched), _StoreWatch(store)
        self._threads = [
            _Repeating("watch-kafka", self._kafka.step, poll_interval_s),
            _Repeating("watch-store", self._store.step, poll_interval_s),
            _Repeating("monitor", self.tick, TICK_S),
        ]

    def start(self) -> None:
        """Looks from now on."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """The worker ends in order: what stands still from now on is no fault."""
        for thread in self._threads:
            thread.stop()
        # What it writes after its files are removed would speak of a worker that is no more.
        self._threads[-1].join(2 * TICK_S)

    @property
    def kafka(self) -> Probe:
        """What Kafka answered when it was last asked."""
        return self._kafka.probe

    def tick(self) -> None:
        """One look at everything."""
        statuses, ended = self._watched.observe()
        suspects = self.report.suspects
        seen = Observation(
            monotonic_s=time.monotonic(), now_s=time.time(), loop_turns=self._watched.loop_turns(),
            assigned=self._watched.is_assigned(), partitions=statuses, ended_threads=ended, store=self._store.probe,
            kafka=self._kafka.probe, ends=self._kafka.ends,
            positions=self._watched.positions(suspects) if suspects else {},
        )  # fmt: skip
        self.report = self._health.tick(seen)
        self._say(self.report)
        self._sink.write(self.report)
        if self.report.fatal:
            self._give_up(self.report)

    def _say(self, report: Report) -> None:
        for span in report.said:
            self._say_away(span)
        for status in report.stopped:
            self._alarm(status.code, status)

    def _say_away(self, span: AwaySpan) -> None:
        if span.until_s is None:
            _log.error("%s is away for %.0f s: code=%s", span.dependency, self.report.now_s - span.since_s, span.code)
        else:
            _log.error("%s is back after %.0f s: code=%s", span.dependency, span.until_s - span.since_s, span.code)
        since_us = int(span.since_s * 1e6)
        until_us = None if span.until_s is None else int(span.until_s * 1e6)
        rows, token = away_alarm(span.code, since_us, until_us, self._retention_class)
        self._store.put(f"{span.dependency}:{since_us}", rows, token)

    def _alarm(self, code: str, status: PartitionStatus) -> None:
        place = AlarmPlace(LogPosition(self._topic, status.incarnation, status.partition), status.sealed_offset)
        at_us = int(self.report.now_s * 1e6)
        rows, token = partition_alarm(code, place, bytes(32), at_us, self._retention_class)
        self._store.put(token, rows, token)

    def _give_up(self, report: Report) -> None:
        ours = {one.partition: one for one in report.partitions}
        for reason in report.fatal:
            _log.critical("the worker ends: code=%s partition=%s", reason.code, reason.partition)
            if reason.partition in ours:
                self._alarm(reason.code, ours[reason.partition])
        last_words = threading.Thread(target=self._store.step, daemon=True)
        last_words.start()
        last_words.join(_LAST_WORDS_S)
        self._end(report.fatal)
