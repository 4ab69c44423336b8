"""One partition of access events: forms batches, commits them, and meets trouble without touching other partitions.

Place in the flow: between the agent `record` (`app.py`), which offers fetched records, and `flow.py`; its thread is
`thread.py`. The three classes of trouble: *away* → retry the identical batch without end, readiness false; *rejected
row* → bisect, the row becomes a dead letter; *broken invariant* → this partition stops and says so.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from pipeline import process_memory
from pipeline.batch import FormedBatch, Judgement, PartitionMemory
from pipeline.errors import AccesstrailError, LedgerConflict, OtherVersion, RejectedRow
from pipeline.events import RecordBatch
from pipeline.flow import Chain, commit_batch
from pipeline.health.alarms import AlarmPlace, partition_alarm
from pipeline.partition.closing import close_log
from pipeline.partition.inbox import Rewound
from pipeline.partition.rebuild import require_same, restore_memory, save_profiles, stands_at
from pipeline.partition.recovery import PlannedRange, ResumePlan, plan
from pipeline.partition.refused_rows import find_rejected
from pipeline.partition.status import PartitionStatus, StepClock
from pipeline.partition.thread import Flow, Observer, PartitionThread, nobody
from pipeline.partition.turns import Turn, Turns
from pipeline.ports import NO_VAULT, AlertPublisher, EvidenceStore, IdentityVault

_log = logging.getLogger(__name__)


class Judgements(Protocol):
    """Where version sets come from: the one in force, and older ones by id."""

    feature_version: str

    def current(self) -> Judgement:
        """The set new batches are judged under; kept in the store before it is handed out."""
        ...

    def by_id(self, versions_id: bytes) -> Judgement:
        """An older set, read from the store."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionLimits:
    """How much a partition holds in memory and how often it writes its profiles."""

    max_batch_records: int = 5000
    inbox_records: int = 10_000
    inbox_bytes: int = 8 << 20
    snapshot_interval_s: float = 30
    snapshot_events: int = 50_000


class PartitionWorker(PartitionThread[PartitionStatus]):
    """Owns one partition from assignment to revocation."""

    def __init__(
        self, topic: str, partition: int, *,
        chain: Chain, chain_lock: threading.Lock, judgements: Judgements, open_store: Callable[[], EvidenceStore],
        publisher: AlertPublisher, flow: Flow, limits: PartitionLimits, turns: Turns, writer: str,
        observer: Observer = nobody, open_vault: Callable[[], IdentityVault] = lambda: NO_VAULT,
    ) -> None:  # fmt: skip
        super().__init__(
            PartitionStatus(topic, partition), flow,
            inbox_records=limits.inbox_records, inbox_bytes=limits.inbox_bytes, observer=observer,
        )  # fmt: skip
        self._clock = StepClock(self.status)
        self._chain, self._chain_lock = chain, chain_lock
        self._judgements, self._open_store, self._publisher = judgements, open_store, publisher
        self._limits, self._writer = limits, writer
        self._open_vault = open_vault
        self._turns, self._turn = turns, Turn(lambda: None)
        self._memory: PartitionMemory | None = None
        self._store: EvidenceStore | None = None
        self._vault: IdentityVault = NO_VAULT
        self._snapshot_at = time.monotonic()

    def _forget(self) -> None:
        self._memory = None

    def _give_way(self) -> None:
        self._turn.give_up()

    def _live(self, generation: int) -> None:
        """Recovers, then commits batch after batch until something ends it."""
        self.status.state, self.status.code = "recovering", ""
        self._forming_since = 0.0
        if self._memory is not None:
            self._memory.rollback()
        resume = self._patiently(self._prepare, generation)
        # Built before the first event: a faulty directory or a missing model is said at the start, not in mid-stream.
        self._patiently(self._judgements.current, generation)
        memory = self._memory
        assert memory is not None  # noqa: S101  set by _prepare
        self._flow.start_at(self.status.topic, self.status.partition, resume.fetch_from, self._inbox.restart())
        self._observer("recovery", 4)
        for planned in resume.sealed_ranges:
            self._form_again(resume, planned, memory, generation)
        if memory.is_relearnt:
            # Before anything is judged by these profiles: whoever takes over must stand on the very same.
            _log.warning("profiles learnt again: partition=%d", self.status.partition)
            self._patiently(partial(self._write_snapshot, memory, always=True), generation)
            memory.is_relearnt = False
        for planned in resume.unsealed_ranges:
            records = self._range(resume, planned, generation)
            judgement = self._patiently(partial(self._judgements.by_id, planned.versions_id), generation)
            self._observer("recovery", 6)
            self._commit(records, memory, judgement, generation)
            self._observer("recovery", 7)
        self.status.state = "running"
        while True:
            if self._inbox.await_any(generation, self._snapshot_due_in_s(memory)):
                with self._turns.take(partial(self._queueing, generation)) as self._turn:
                    self._commit_what_waits(memory, generation)
            self._maybe_snapshot(memory)

    def _queueing(self, generation: int) -> None:
        """While others have their turn: this thread is not stuck. Raises: Closing, Reassigned."""
        self._tenure.check(generation)
        self._moved()

    # -- recovery

    def _prepare(self) -> ResumePlan:
        """Reads store and broker; leaves `_memory` standing at the plan's base."""
        if self._store is None:
            self._store, self._vault = self._open_store(), self._open_vault()
        store, topic, partition = self._store, self.status.topic, self.status.partition
        bounds = partial(self._flow.bounds, topic, partition)
        resume = plan(store, topic, partition, bounds, self._judgements.feature_version)
        self._observer("recovery", 1)
        if resume.closing is not None:
            self._say(resume.new_life, resume)
            judgement, after_step = self._judgements.current(), partial(self._observer, "closing")
            filed = judgement.versions.versions_id, judgement.retention_class
            close_log(store, resume.closing, *filed, self._writer, after_step)
            self._observer("recovery", 2)
        if self._memory is not None and stands_at(self._memory, resume):
            resume.ranges = resume.unsealed_ranges
        else:
            if resume.profile_gap:
                self._say("profile_gap", resume)
            self._memory = restore_memory(store, resume)
            process_memory.give_back()  # the stored profiles, read and unpacked, were twice as large
            self.status.profile_gap = resume.profile_gap
        self._observer("recovery", 3)
        self._note_position(resume)
        self._note_sealed()
        return resume

    def _say(self, code: str, resume: ResumePlan) -> None:
        """What an auditor must know of this recovery is a row of `alerts` before anything else is stored."""
        assert self._store is not None  # noqa: S101  set by _prepare
        judgement, place = self._judgements.current(), AlarmPlace(resume.position, resume.sealed_offset)
        rows, token = partition_alarm(
            code, place, judgement.versions.versions_id, time.time_ns() // 1000, judgement.retention_class
        )
        self._store.insert_alerts(rows, token)
        _log.warning("%s: topic=%s partition=%d", code, resume.position.topic, resume.position.partition)

    def _note_position(self, resume: ResumePlan) -> None:
        status = self.status
        if resume.closing is not None or status.incarnation != resume.position.incarnation:
            status.new_life = resume.new_life
        status.incarnation, status.sealed_offset = resume.position.incarnation, resume.sealed_offset
        status.snapshot_at = status.snapshot_at or time.time()

    def _range(self, resume: ResumePlan, planned: PlannedRange, generation: int) -> RecordBatch:
        """The records of a range that was formed before.

        Raises: LedgerConflict: the log lacks its last record; Rewound: Kafka deleted some of it since it was planned.
        """
        records = self._inbox.take_range(resume.position, planned, generation)
        if records is None or records.offsets[0] > planned.first_offset:
            look = partial(self._flow.bounds, self.status.topic, self.status.partition)
            if self._patiently(look, generation).first_offset > max(resume.log_first_offset, planned.first_offset):
                raise Rewound
        if records is None:
            raise LedgerConflict(
                f"the log no longer holds offset {planned.last_offset}, which the store says it stored: "
                "keep store and log as they are and run `accesstrail doctor`"
            )
        return records

    def _form_again(self, resume: ResumePlan, planned: PlannedRange, memory: PartitionMemory, generation: int) -> None:
        """Forms a sealed range again to learn its profiles; the evidence must be the same.

        A range that another version of the code judged is judged by the set in force: its profiles are learnt, its
        evidence stays as it is sealed, and later ranges saw other profiles than these, so none is compared.
        """
        assert planned.sealed is not None  # noqa: S101
        assert self._store is not None  # noqa: S101
        records = self._range(resume, planned, generation)
        place = memory.position, planned.first_offset, planned.last_offset
        refused = frozenset(self._patiently(partial(self._store.rejected_offsets, *place), generation))
        try:
            judgement = self._patiently(partial(self._judgements.by_id, planned.versions_id), generation)
        except OtherVersion:
            memory.is_relearnt = True
            judgement = self._patiently(self._judgements.current, generation)
        self._moved()
        with self._chain_lock:
            formed = self._chain.form(records, memory, judgement, refused)
        if not memory.is_relearnt:
            require_same(formed.entry, planned.sealed)
        memory.commit(planned.sealed)
        self._note_sealed()
        self._observer("recovery", 5)

    # -- batches

    def _commit_what_waits(self, memory: PartitionMemory, generation: int) -> None:
        records = self._inbox.take(memory.position, memory.next_offset, self._limits.max_batch_records, generation)
        judgement = self._patiently(self._judgements.current, generation)
        self._commit(records, memory, judgement, generation)

    def _commit(self, records: RecordBatch, memory: PartitionMemory, judgement: Judgement, generation: int) -> None:
        """Forms and commits one batch; a row the store refuses is found by bisection and becomes a dead letter."""
        assert self._store is not None  # noqa: S101
        store = self._store
        refused: frozenset[int] = frozenset()
        self._forming_since = float(records.received_at_us[0]) / 1e6
        while True:
            self._clock.start()
            with self._chain_lock:
                formed = self._chain.form(records, memory, judgement, refused)
            self._clock.done("form")
            step = partial(commit_batch, formed, store, self._publisher, self._writer, self._after_step, self._vault)
            try:
                self._patiently(step, generation)
            except RejectedRow:
                self._turn.give_up()
                found = self._patiently(partial(find_rejected, formed, store, self._moved), generation)
                self._observer("bisection", 1)
                memory.rollback()
                refused |= found
                continue
            break
        memory.commit(formed.entry)
        self._count(formed)
        self._note_sealed()

    def _after_step(self, number: int) -> None:
        """Between two steps of a commit."""
        self._moved()
        self._clock.after_step(number)
        self._observer("commit", number)

    def _count(self, formed: FormedBatch) -> None:
        self.status.count(formed.entry, formed.events, formed.dead_letters)
        self._forming_since = 0.0

    def _note_sealed(self) -> None:
        """The last step of the commit: the fetcher may tell the group."""
        assert self._memory is not None  # noqa: S101
        if self._memory.sealed is not None:
            self.status.sealed_offset = max(self.status.sealed_offset, self._memory.sealed.last_offset)
            self._flow.sealed(self.status.topic, self.status.partition, self._memory.next_offset)

    def _end(self) -> None:
        """On an orderly end: whoever takes over need not read the log again."""
        if self._memory is not None and self._memory.sealed is not None and self.status.state != "stopped":
            self._memory.rollback()
            self._snapshot_at = -math.inf
            self._maybe_snapshot(self._memory)

    def _snapshot_due_in_s(self, memory: PartitionMemory) -> float | None:
        """When the profiles that changed must be stored though no event comes; None: none changed."""
        if not memory.unsaved_events:
            return None
        return max(0.0, self._snapshot_at + self._limits.snapshot_interval_s - time.monotonic())

    def _maybe_snapshot(self, memory: PartitionMemory) -> None:
        """Writes the profiles that changed, at a sealed offset; a store that is away only delays it."""
        due = time.monotonic() - self._snapshot_at >= self._limits.snapshot_interval_s
        if not due and memory.unsaved_events < self._limits.snapshot_events:
            return
        try:
            self._write_snapshot(memory)
        except AccesstrailError:
            _log.warning("profile snapshot delayed: partition=%d", self.status.partition)
        self._snapshot_at = time.monotonic()

    def _write_snapshot(self, memory: PartitionMemory, *, always: bool = False) -> None:
        """Stores the profiles that changed. Raises: AccesstrailError: nothing was written."""
        assert self._store is not None  # noqa: S101
        self._clock.start()
        if save_profiles(self._store, memory, self._judgements.feature_version, always=always):
            self._observer("snapshot", 1)
        self._clock.done("snapshot")
        self.status.snapshot_at = time.time()
