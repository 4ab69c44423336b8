"""The thread that owns one partition of a topic: its inbox, how long it is ours, and the classes of trouble.

Place in the flow: between an agent (`app.py`), which offers fetched records, and what is done with them: access events
(`worker.py`), incidents and messages (`response/partition_loop.py`). Each assigned partition has one of these in a
thread of its own, so that one partition's stall never stops another. *Away* → the identical step is repeated without
end, readiness false; *fenced* → begun anew from the store; *broken invariant* → this partition stops and says so.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from pipeline.errors import AccesstrailError, Away, Fenced
from pipeline.partition.inbox import Closing, Inbox, KafkaRecord, Reassigned, Rewound, Tenure
from pipeline.partition.recovery import LogBounds
from pipeline.partition.status import PartitionStatus

_log = logging.getLogger(__name__)

BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between tries of what is away; the last one again and again."""
LONGEST_WAIT_S = 30.0
"""For something that is due by the wall clock: one that is set forward is seen after this."""
_FENCED_RETRIES = 3
_REWIND_PAUSE_S = 1.0

S = TypeVar("S", bound=PartitionStatus)


class Flow(Protocol):
    """What a partition asks of whoever fetches for it; safe to call from the partition's thread."""

    def bounds(self, topic: str, partition: int) -> LogBounds:
        """What the broker holds. Raises: Away."""
        ...

    def start_at(self, topic: str, partition: int, offset: int, seek_number: int) -> None:
        """Fetch from here on; what is then offered carries this number."""
        ...

    def block(self, topic: str, partition: int) -> None:
        """Fetch nothing for now."""
        ...

    def unblock(self, topic: str, partition: int) -> None:
        """Fetch again."""
        ...

    def sealed(self, topic: str, partition: int, next_offset: int) -> None:
        """Everything below is in the store for good: the group may be told."""
        ...


Observer = Callable[[str, int], None]
"""Told of every step that is done: (which sequence, number of the step). Sequences of access events: `recovery`
(numbered in `recovery.py`), `closing` (`closing.py`), `commit` (`flow.commit_batch`), `bisection` (1: refused rows are
known), `snapshot` (1: profiles are written); of incidents: `handling` (`response/handling.py`)."""


def nobody(sequence: str, step: int) -> None:
    """The product watches nothing; tests put a fault into each gap between two steps."""


class PartitionThread(ABC, Generic[S]):
    """Owns one partition from assignment to revocation. What is done with its records: `_live` and the hooks below."""

    def __init__(
        self, status: S, flow: Flow, *, inbox_records: int, inbox_bytes: int, observer: Observer = nobody
    ) -> None:
        self.status = status
        self._flow, self._observer = flow, observer
        self._tenure = Tenure()
        topic, partition = status.topic, status.partition
        self._inbox = Inbox(
            self._tenure, max_records=inbox_records, max_bytes=inbox_bytes,
            block=partial(flow.block, topic, partition), unblock=partial(flow.unblock, topic, partition),
        )  # fmt: skip
        self._forming_since = 0.0
        """When the broker took the oldest record that is being worked on, seconds since 1970; 0: none is."""
        self._thread = threading.Thread(target=self._run, name=f"{topic}-{partition}", daemon=True)

    # -- called by the application, from its loop

    def start(self) -> None:
        """Begins recovery; records are wanted once the flow is told where to start."""
        self._thread.start()

    def reassign(self) -> None:
        """The group was rebalanced and the partition is still ours: begin anew from the store."""
        with self._tenure.changed:
            self._inbox.drop()
            self._tenure.renew()

    def close(self) -> None:
        """The partition is no longer ours: finish nothing, write nothing more after the running step."""
        with self._tenure.changed:
            self._inbox.drop()
            self._tenure.end()

    def join(self, timeout_s: float) -> bool:
        """Whether the thread ended in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def offer(self, records: list[KafkaRecord], seek_number: int) -> None:
        """Takes fetched records; never blocks, asks the fetcher to pause when it holds enough."""
        self._inbox.offer(records, seek_number)

    def observe(self) -> S:
        """How the partition is now; for another thread."""
        status = self.status
        status.inbox_records, status.inbox_bytes, oldest = self._inbox.held()
        status.oldest_received_at = min((at for at in (oldest, self._forming_since) if at), default=0.0)
        return status.copy()

    @property
    def is_alive(self) -> bool:
        """Whether the partition's thread runs."""
        return self._thread.is_alive()

    # -- what the owner of the records does, in the partition's thread

    @abstractmethod
    def _live(self, generation: int) -> None:
        """Recovers, then takes records until something ends it; waits and repeats by `_patiently`."""

    def _forget(self) -> None:
        """What is in memory may be wrong: the store is asked again before anything else is done."""

    def _end(self) -> None:
        """Last words before the thread ends."""

    def _give_way(self) -> None:
        """There is trouble: nobody shall wait for us."""

    # -- the partition's thread

    def _run(self) -> None:
        fenced = 0
        while not self._tenure.ended:
            generation, sealed_before = self._tenure.generation, self.status.sealed_offset
            try:
                self._live(generation)
            except Rewound:
                # The broker began again below what is sealed: another life of the log, which recovery finds out.
                self._tenure.pause(_REWIND_PAUSE_S, generation)
            except Reassigned:
                fenced = 0
            except Closing:
                break
            except Fenced as exc:
                # A former owner wrote while we took over: the store is whole, we go on from it.
                self.status.fenced += 1
                fenced = fenced + 1 if self.status.sealed_offset == sealed_before else 1
                self._forget()
                if fenced > _FENCED_RETRIES:
                    self._stop(exc, generation)
            except AccesstrailError as exc:
                # A broken invariant, or a directory that cannot be read: nothing this partition could retry.
                self._stop(exc, generation)
            except Exception as exc:
                # The outermost loop of this thread. A fault of ours that one record brings out must stop its partition
                # only. What the exception says may hold payload: its class and place are all that is told.
                self._stop(AccesstrailError(_place_of(exc), code="internal_error"), generation)
        self._end()
        self.status.state = "closed" if self.status.state != "stopped" else "stopped"

    def _stop(self, exc: AccesstrailError, generation: int) -> None:
        """Stops this partition and says so; only a new assignment begins anew."""
        self.status.state, self.status.code = "stopped", exc.code
        self._forget()
        _log.error(
            "partition stopped: topic=%s partition=%d code=%s: %s",
            self.status.topic, self.status.partition, exc.code, exc,
        )  # fmt: skip
        self._tenure.pause(None, generation)

    def _moved(self) -> None:
        """Something was done: whatever it was, the thread is not stuck."""
        self.status.turns += 1

    # -- waiting

    def _patiently(self, step: Callable[[], Any], generation: int) -> Any:  # noqa: ANN401  the step's own result
        """Runs a step until its dependencies answer: *away* is retried without end, with back-off."""
        before = self.status.state
        try:
            return self._until_answered(step, generation)
        finally:
            # However the step ended: they answer again, or somebody else says what is wrong.
            if self.status.state == "away":
                self.status.state, self.status.code, self.status.away_since = before, "", 0.0
                _log.info("back: topic=%s partition=%d", self.status.topic, self.status.partition)

    def _until_answered(self, step: Callable[[], Any], generation: int) -> Any:  # noqa: ANN401
        attempt = 0
        while True:
            self._tenure.check(generation)
            self._moved()
            try:
                return step()
            except Away as exc:
                self._give_way()
                if self.status.state != "away":
                    self.status.away_since = time.time()
                    _log.warning(
                        "away: topic=%s partition=%d code=%s: %s",
                        self.status.topic, self.status.partition, exc.code, exc,
                    )  # fmt: skip
                self.status.state, self.status.code = "away", exc.code
                self._tenure.pause(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)], generation)
                attempt += 1


def _place_of(exc: Exception) -> str:
    """Where an unforeseen exception was raised, without its own words."""
    frame = traceback.extract_tb(exc.__traceback__)[-1]
    return f"{type(exc).__name__} in {Path(frame.filename).name} line {frame.lineno}"
