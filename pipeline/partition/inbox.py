"""Fetched records that wait for their partition's thread, and how long the partition is ours.

Place in the flow: between the agent `record` (`app.py`), which offers runs of records from Faust's loop, and the
partition's thread (`worker.py`), which takes batches. Bounded: when it holds enough, the fetcher is told to pause.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from pipeline.events import LogPosition, RecordBatch
from pipeline.partition.recovery import PlannedRange

# Measured: the consumer's record, its numbers and the headers of its two byte strings.
_RECORD_OVERHEAD_BYTES = 340


class KafkaRecord(Protocol):
    """What we use of the consumer's record."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Closing(Exception):
    """The partition was taken from us or the worker is stopping: no error, the thread's way out."""


class Reassigned(Closing):
    """The partition was assigned to us again: begin anew from the store."""


class Rewound(Exception):
    """The log gives offsets below the one that is due, after no seek of ours: its broker began it anew."""


class Tenure:
    """How long the partition is ours: until `end`, and within that generation by generation of the consumer group."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.ended = False
        self.generation = 0

    def renew(self) -> None:
        """The group was rebalanced and the partition is still ours. Call while holding `changed`."""
        self.generation += 1
        self.changed.notify_all()

    def end(self) -> None:
        """The partition is no longer ours. Call while holding `changed`."""
        self.ended = True
        self.changed.notify_all()

    def is_over(self, generation: int) -> bool:
        """Whether what began in this generation must not go on."""
        return self.ended or self.generation != generation

    def check(self, generation: int) -> None:
        """Raises: Closing, Reassigned: what began in this generation must not go on."""
        if self.ended:
            raise Closing
        if self.generation != generation:
            raise Reassigned

    def pause(self, seconds: float | None, generation: int) -> None:
        """Waits, but not beyond the generation's end. `seconds` None: until then."""
        with self.changed:
            self.changed.wait_for(lambda: self.is_over(generation), seconds)


class Inbox:
    """The records of one partition, in offset order; every method but `offer` and `drop` is the partition thread's."""

    def __init__(
        self,
        tenure: Tenure,
        *,
        max_records: int,
        max_bytes: int,
        block: Callable[[], None],
        unblock: Callable[[], None],
    ) -> None:
        self._tenure = tenure
        self._max_records, self._max_bytes = max_records, max_bytes
        self._block, self._unblock = block, unblock
        self._records: deque[KafkaRecord] = deque()
        self._seek_number = 0
        self._bytes_held = 0
        self._blocked = False

    def restart(self) -> int:
        """Forgets everything, since what follows comes from another position; returns the number of this seek."""
        with self._tenure.changed:
            self.drop()
            self._seek_number += 1
            return self._seek_number

    def offer(self, records: list[KafkaRecord], seek_number: int) -> None:
        """Takes fetched records; never blocks, asks the fetcher to pause when it holds enough.

        Records fetched after an older seek are dropped: they would be a repetition, or look like a hole in the log.
        """
        with self._tenure.changed:
            if seek_number != self._seek_number:
                return
            self._records.extend(records)
            self._bytes_held += sum(_size(record) for record in records)
            if not self._blocked and self._full():
                self._blocked = True
                self._block()
            self._tenure.changed.notify_all()

    def held(self) -> tuple[int, int, float]:
        """Records and bytes that wait, and when the broker took the oldest (seconds since 1970; 0: none waits)."""
        with self._tenure.changed:
            oldest = self._records[0].timestamp / 1000 if self._records else 0.0
            return len(self._records), self._bytes_held, oldest

    def drop(self) -> None:
        """Forgets everything: what follows comes from another position. Call while holding the tenure's `changed`."""
        self._records.clear()
        self._bytes_held = 0
        self._blocked = False

    def await_any(self, generation: int, timeout_s: float | None = None) -> bool:
        """Waits for the first record; False where none came in time. Raises: Closing, Reassigned."""
        with self._tenure.changed:
            self._wait(generation, timeout_s)
            return bool(self._records)

    def take(self, position: LogPosition, expected: int, max_records: int, generation: int) -> RecordBatch:
        """The next free batch from offset `expected` on: whatever waits, within one month of `received_at`.

        Waits for the first record. Raises: Closing, Reassigned; Rewound.
        """
        taken: list[KafkaRecord] = []
        while not taken:
            with self._tenure.changed:
                self._wait(generation)
                self._take_waiting(taken, expected, max_records)
                self._release()
        return record_batch(position, taken)

    def _take_waiting(self, taken: list[KafkaRecord], expected: int, max_records: int) -> None:
        month_from_ms, month_to_ms = 0, 0
        while self._records and len(taken) < max_records:
            record = self._records[0]
            if record.offset < expected:
                raise Rewound
            if not month_from_ms <= record.timestamp < month_to_ms:
                if taken:
                    return  # one INSERT may touch one partition of the table only
                month_from_ms, month_to_ms = _month_ms(record.timestamp)
            self._pop(taken, expected)

    def take_range(self, position: LogPosition, planned: PlannedRange, generation: int) -> RecordBatch | None:
        """Exactly the records of a range that was formed before; None where the log lacks its last record.

        Raises: Closing, Reassigned.
        """
        taken: list[KafkaRecord] = []
        with self._tenure.changed:
            while not taken or taken[-1].offset < planned.last_offset:
                self._wait(generation)
                if self._records[0].offset > planned.last_offset:
                    break
                self._pop(taken, planned.first_offset)
                self._release()
        whole = bool(taken) and taken[-1].offset == planned.last_offset
        return record_batch(position, taken) if whole else None

    def _full(self) -> bool:
        return len(self._records) >= self._max_records or self._bytes_held >= self._max_bytes

    def _pop(self, taken: list[KafkaRecord], expected: int) -> None:
        record = self._records.popleft()
        self._bytes_held -= _size(record)
        if record.offset >= (taken[-1].offset + 1 if taken else expected):
            taken.append(record)

    def _wait(self, generation: int, timeout_s: float | None = None) -> None:
        self._tenure.changed.wait_for(lambda: bool(self._records) or self._tenure.is_over(generation), timeout_s)
        self._tenure.check(generation)

    def _release(self) -> None:
        if self._blocked and not self._full():
            self._blocked = False
            self._unblock()


def record_batch(position: LogPosition, records: Sequence[KafkaRecord]) -> RecordBatch:
    """Records of one partition, in offset order, as the flow takes them."""
    count = len(records)
    return RecordBatch(
        position=position,
        offsets=np.fromiter((record.offset for record in records), np.int64, count),
        received_at_us=np.fromiter((record.timestamp for record in records), np.int64, count) * 1000,
        keys=[record.key for record in records],
        values=[record.value for record in records],
    )


def _month_ms(timestamp_ms: int) -> tuple[int, int]:
    """First millisecond of the UTC month of a time, and of the next month."""
    month = np.datetime64(timestamp_ms, "ms").astype("datetime64[M]")
    return tuple(int((month + step).astype("datetime64[ms]").astype(np.int64)) for step in (0, 1))  # type: ignore[return-value]  # two


def _size(record: KafkaRecord) -> int:
    return len(record.value or b"") + len(record.key or b"") + _RECORD_OVERHEAD_BYTES
