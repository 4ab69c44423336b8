"""The thread of one partition of a response topic: what handling incidents and sending messages have in common.

Place in the flow: between the agents `handle` and `notify` (`app.py`) and what each does with its records
(`handling.py`, `sending.py`). The truth about progress is the store: at every assignment it says where to go on, in the
life of the log that Kafka has now. Trouble is met as in `partition/thread.py`. The wall clock says when something is
due, and nothing else.
"""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from pipeline.events import LogPosition, RecordBatch
from pipeline.partition.recovery import LogBounds, ReadBounds, current_life
from pipeline.partition.thread import LONGEST_WAIT_S, Flow, Observer, PartitionThread, nobody
from pipeline.response.status import ResponseStatus

_log = logging.getLogger(__name__)


def wall_clock_us() -> int:
    """Now, UTC microseconds."""
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopLimits:
    """How much one partition takes at once and holds in memory."""

    max_batch_records: int = 2000
    inbox_records: int = 10_000
    inbox_bytes: int = 8 << 20


@dataclass(frozen=True, slots=True)
class ResumeAt:
    """Where a partition goes on: the life of its log, the next offset, how many records Kafka no longer holds."""

    incarnation: str
    next_offset: int
    lost: int = 0


def resume_at(bounds: LogBounds, last_offsets: Mapping[str, int]) -> ResumeAt:
    """Where to go on; `last_offsets`: of every life of the log that the store knows, the last offset that is done.

    A topic that was made anew, or lost its end, is another life and is read from its beginning.
    """
    life = current_life(bounds.topic_id, last_offsets, bounds.end_offset)
    due = last_offsets.get(life, -1) + 1
    return ResumeAt(life, max(due, bounds.first_offset), max(0, bounds.first_offset - due))


class ResponsePartition(PartitionThread[ResponseStatus]):
    """Owns one partition from assignment to revocation. A subclass says what is done by the five hooks below.

    A step that asks store or broker is run by `self._patiently(step, generation)`; whatever must not be half done in
    memory is done after it.
    """

    def __init__(
        self, topic: str, partition: int, *, flow: Flow, limits: LoopLimits, observer: Observer = nobody,
        now_us: Callable[[], int] = wall_clock_us,
    ) -> None:  # fmt: skip
        super().__init__(
            ResponseStatus(topic, partition), flow,
            inbox_records=limits.inbox_records, inbox_bytes=limits.inbox_bytes, observer=observer,
        )  # fmt: skip
        self._limits, self._now_us = limits, now_us

    # -- hooks, in the partition's thread

    @abstractmethod
    def _recover(self, read_bounds: ReadBounds) -> ResumeAt:
        """Reads the store; memory is the store's truth afterwards. May be repeated. Raises: Away; BrokenInvariant.

        What is done is read before the bounds of the log: a former owner may go on meanwhile, with records that came
        since, and the log must not look shorter than what is done.
        """

    @abstractmethod
    def _take(self, records: RecordBatch, generation: int) -> None:
        """Takes a run of records, in offset order without repetition; tells `_settled` what is done for good."""

    def _due_us(self) -> int:
        """When `_wake` is due, UTC microseconds; 0: never."""
        return 0

    def _wake(self, now_us: int) -> None:
        """Something is due. May be repeated. Raises: Away."""

    # and `_forget`, `_end` of `PartitionThread`

    # -- the loop

    def _settled(self, next_offset: int) -> None:
        """Everything below is in the store for good: the group is told."""
        self.status.sealed_offset = next_offset - 1
        self.status.last_sealed_at = time.time()
        self._flow.sealed(self.status.topic, self.status.partition, next_offset)

    def _live(self, generation: int) -> None:
        status = self.status
        status.state, status.code = "recovering", ""
        self._forming_since = 0.0
        resume = self._patiently(self._resume, generation)
        position = LogPosition(status.topic, resume.incarnation, status.partition)
        next_offset = resume.next_offset
        self._flow.start_at(status.topic, status.partition, next_offset, self._inbox.restart())
        status.state = "running"
        while True:
            if self._inbox.await_any(generation, self._longest_wait_s()):
                records = self._inbox.take(position, next_offset, self._limits.max_batch_records, generation)
                self._forming_since = float(records.received_at_us[0]) / 1e6
                self._take(records, generation)
                self._forming_since = 0.0
                next_offset = int(records.offsets[-1]) + 1
            if 0 < self._due_us() <= self._now_us():
                self._patiently(lambda: self._wake(self._now_us()), generation)

    def _resume(self) -> ResumeAt:
        status = self.status
        resume = self._recover(partial(self._flow.bounds, status.topic, status.partition))
        status.incarnation, status.sealed_offset = resume.incarnation, resume.next_offset - 1
        if resume.lost:
            status.gaps += resume.lost
            _log.error(
                "records lost: topic=%s partition=%d: Kafka deleted %d before they were read",
                status.topic, status.partition, resume.lost,
            )  # fmt: skip
        return resume

    def _longest_wait_s(self) -> float:
        due_us = self._due_us()
        return min(LONGEST_WAIT_S, max(0.0, (due_us - self._now_us()) / 1e6)) if due_us else LONGEST_WAIT_S
