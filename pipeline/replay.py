"""Replay: forms a partition's sealed log again under the versions recorded with it, and compares or stores what comes.

Place in the flow: instead of a worker, on the same stages (`flow.Chain`) and the same commit (`flow.commit_batch`).
Batches are cut where the recorded version set changes and where the table's month does; within that they may be of any
size, because no leaf depends on how leaves were batched. Wherever a batch ends where a recorded entry ended, root and
counts must be the same, else the replay ends before that batch is stored. Nothing is published.

A replay into a store is resumed by running it again: it goes on behind what that store has sealed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from detectors.features import FEATURE_VERSION
from detectors.profile import Profiles
from pipeline.batch import FormedBatch, Judgement, PartitionMemory
from pipeline.column_batch import ColumnBatch
from pipeline.errors import LedgerConflict, LogIncomplete, UsageError
from pipeline.events import Alert, LogPosition, RecordBatch
from pipeline.flow import Chain, commit_batch
from pipeline.partition.inbox import KafkaRecord, record_batch
from pipeline.partition.rebuild import restore_memory, save_profiles
from pipeline.partition.recovery import LogBounds, is_closed, plan
from pipeline.ports import EvidenceStore, LedgerEntry
from pipeline.stages.duplicates import DuplicateWindow
from pipeline.version_sets.sets import ARTEFACT_KIND, VersionSet

WRITER = "replay"
_PAGE = 10_000
_SNAPSHOT_EVENTS = 50_000
_ARTEFACT_ID_LENGTH = 64
_COUNTS = ("n_events", "n_dead_letters", "n_gaps", "n_subjects", "n_alerts", "n_unscored")


class Log(Protocol):
    """Reads a partition's records."""

    def read(self, topic: str, partition: int, first_offset: int, last_offset: int) -> Iterator[Sequence[KafkaRecord]]:
        """Runs of the records from `first_offset` to `last_offset`, in order. Raises: Away."""
        ...


@dataclass(frozen=True, slots=True)
class Difference:
    """The first range in which a replay gives something else than was recorded."""

    first_offset: int
    last_offset: int
    what: tuple[str, ...]


@dataclass(slots=True)
class Outcome:
    """What a replay of one partition came to: leaves compared, the root at its end, the first difference."""

    position: LogPosition
    next_offset: int = 0
    tree_size: int = 0
    root: str = ""
    alerts: int = 0
    difference: Difference | None = None


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Consecutive recorded entries of one version set that may be formed as one batch, or cut smaller."""

    entries: tuple[LedgerEntry, ...]

    @property
    def first_offset(self) -> int:
        return self.entries[0].first_offset

    @property
    def last(self) -> LedgerEntry:
        return self.entries[-1]

    def count(self, name: str) -> int:
        return sum(int(getattr(entry, name)) for entry in self.entries)


class Silent:
    """Hands alerts to nobody: they were handed on when they were first found (role `AlertPublisher`)."""

    def publish(self, position: LogPosition, alerts: Sequence[Alert], rows: ColumnBatch) -> None:
        """Nothing."""


class Replay:
    """Replays partitions of one source store; `target` None only compares."""

    def __init__(
        self,
        *,
        chain: Chain,
        log: Log,
        source: EvidenceStore,
        target: EvidenceStore | None,
        judgement_of: Callable[[bytes], Judgement],
        batch_records: int,
        progress: Callable[[Outcome], None] = lambda outcome: None,
    ) -> None:
        self._chain, self._log, self._source, self._target = chain, log, source, target
        self._judgement_of, self._batch_records, self._progress = judgement_of, batch_records, progress
        self._judgements: dict[bytes, Judgement] = {}
        self._copied: set[bytes] = set()

    def run(self, position: LogPosition, bounds: LogBounds) -> Outcome:
        """Replays one partition up to its last recorded entry, or to the first difference.

        Raises: Away; LogIncomplete: the log begins too late or lacks a record; UsageError: the target is another's.
        """
        outcome = Outcome(position)
        first = next(iter(self._source.entries(position, -1, 1)), None)
        if first is None or is_closed(first):
            return outcome
        if bounds.first_offset > 0:
            self._refuse_late_log(position, bounds)
        memory = self._begin(position, bounds, outcome)
        for stretch in self._stretches(position, memory.next_offset):
            outcome.difference = self._replay(stretch, memory, outcome)
            if outcome.difference is not None:
                break
            self._progress(outcome)
        self._snapshot(memory)
        return outcome

    # -- the beginning

    def _refuse_late_log(self, position: LogPosition, bounds: LogBounds) -> None:
        """Profiles begin empty, so the log must be there from where the record begins; a trial on its first entries."""
        trial = Replay(
            chain=self._chain, log=self._log, source=self._source, target=None, judgement_of=self._judgement_of,
            batch_records=self._batch_records,
        )  # fmt: skip
        stretch = next(trial._stretches(position, 0))
        difference: object = "the log begins behind it"
        if bounds.first_offset <= stretch.last.last_offset:
            empty = PartitionMemory(position, None, Profiles(), DuplicateWindow())
            difference = trial._replay(stretch, empty, Outcome(position))
        if difference is not None:
            raise LogIncomplete(
                f"partition {position.partition}: the log begins only at offset {bounds.first_offset}: "
                "what the actors' profiles learnt before that is lost to a replay (profile_gap)",
                code="profile_gap",
            )

    def _begin(self, position: LogPosition, bounds: LogBounds, outcome: Outcome) -> PartitionMemory:
        """An empty partition, or where an earlier run ended; an unsealed batch of it is finished first."""
        if self._target is None:
            return PartitionMemory(position, None, Profiles(), DuplicateWindow())
        life = LogBounds(position.incarnation, bounds.first_offset, bounds.end_offset)
        resume = plan(self._target, position.topic, position.partition, lambda: life, FEATURE_VERSION)
        if resume.closing is not None or resume.profile_gap:
            raise UsageError("the target store holds another life of this topic: give an empty store")
        if resume.relearns:
            raise UsageError("the target store was filled by another version of accesstrail: give an empty store")
        memory = restore_memory(self._target, resume)
        for planned in resume.ranges:
            records = self._records(position, planned.first_offset, planned.last_offset)
            formed = self._form(records, memory, planned.versions_id)
            if planned.sealed is None:
                commit_batch(formed, self._target, Silent(), WRITER)
            elif planned.sealed.entry_hash != formed.entry.entry_hash:
                raise LedgerConflict("the target store holds other evidence than this log gives: give an empty store")
            self._keep(memory, formed, outcome)
        return memory

    # -- going through the record

    def _stretches(self, position: LogPosition, next_offset: int) -> Iterator[_Stretch]:
        """Recorded entries in groups of at most a batch; an entry that is larger stands alone."""
        group: list[LedgerEntry] = []
        for entry in self._entries(position, next_offset - 1):
            if group and not self._fits(group, entry):
                yield _Stretch(tuple(group))
                group = []
            group.append(entry)
        if group:
            yield _Stretch(tuple(group))

    def _fits(self, group: Sequence[LedgerEntry], entry: LedgerEntry) -> bool:
        same = entry.versions_id == group[0].versions_id and _month(entry) == _month(group[0])
        return same and entry.tree_size - group[0].tree_size_before <= self._batch_records

    def _entries(self, position: LogPosition, after_offset: int) -> Iterator[LedgerEntry]:
        while True:
            page = self._source.entries(position, after_offset, _PAGE)
            for entry in page:
                if is_closed(entry):
                    return
                yield entry
            if len(page) < _PAGE:
                return
            after_offset = page[-1].last_offset

    def _replay(self, stretch: _Stretch, memory: PartitionMemory, outcome: Outcome) -> Difference | None:
        """Forms a stretch again; its last batch is compared before it is stored."""
        begun_inside = memory.next_offset > stretch.first_offset
        counted = dict.fromkeys(_COUNTS, 0)
        for records in self._batches(memory, stretch):
            formed = self._form(records, memory, stretch.last.versions_id)
            for name in _COUNTS:
                counted[name] += int(getattr(formed.entry, name))
            if formed.entry.last_offset == stretch.last.last_offset:
                what = _differing(formed.entry, stretch, {} if begun_inside else counted)
                if what:
                    memory.rollback()
                    return Difference(stretch.first_offset, stretch.last.last_offset, what)
            if self._target is not None:
                self._copy_artefacts(stretch.last.versions_id)
                commit_batch(formed, self._target, Silent(), WRITER)
            self._keep(memory, formed, outcome)
        return None

    def _batches(self, memory: PartitionMemory, stretch: _Stretch) -> Iterator[RecordBatch]:
        """The stretch's records, at most a batch at a time."""
        position, last = memory.position, stretch.last.last_offset
        waiting: list[KafkaRecord] = []
        for run in self._log.read(position.topic, position.partition, memory.next_offset, last):
            waiting += run
            while len(waiting) > self._batch_records:
                yield record_batch(position, waiting[: self._batch_records])
                del waiting[: self._batch_records]
        if not waiting or waiting[-1].offset != last:
            raise LogIncomplete(f"partition {position.partition}: the log no longer holds offset {last}")
        yield record_batch(position, waiting)

    def _records(self, position: LogPosition, first_offset: int, last_offset: int) -> RecordBatch:
        runs = self._log.read(position.topic, position.partition, first_offset, last_offset)
        found = [record for run in runs for record in run]
        if not found or found[-1].offset != last_offset:
            raise LogIncomplete(f"partition {position.partition}: the log no longer holds offset {last_offset}")
        return record_batch(position, found)

    def _form(self, records: RecordBatch, memory: PartitionMemory, versions_id: bytes) -> FormedBatch:
        first, last = memory.next_offset, int(records.offsets[-1])
        refused = frozenset(self._source.rejected_offsets(memory.position, first, last))
        if versions_id not in self._judgements:
            self._judgements[versions_id] = self._judgement_of(versions_id)
        return self._chain.form(records, memory, self._judgements[versions_id], refused)

    def _keep(self, memory: PartitionMemory, formed: FormedBatch, outcome: Outcome) -> None:
        memory.commit(formed.entry)
        outcome.next_offset, outcome.tree_size = memory.next_offset, formed.entry.tree_size
        outcome.root, outcome.alerts = formed.entry.root.hex(), outcome.alerts + formed.entry.n_alerts
        if memory.unsaved_events >= _SNAPSHOT_EVENTS:
            self._snapshot(memory)

    # -- what the target needs besides rows

    def _snapshot(self, memory: PartitionMemory) -> None:
        """So that a resumed replay, or a worker that takes the store over, need not read the log again."""
        if self._target is not None and memory.sealed is not None:
            save_profiles(self._target, memory, FEATURE_VERSION)

    def _copy_artefacts(self, versions_id: bytes) -> None:
        """The version set and its parts, before the first row that names it."""
        assert self._target is not None  # noqa: S101  the caller looked
        if versions_id in self._copied:
            return
        content = self._source.load_artefact(versions_id.hex())
        for name, identity in VersionSet.from_content(content).parts.items():
            if len(identity) == _ARTEFACT_ID_LENGTH:  # the others are version words
                self._target.save_artefact(name, self._source.load_artefact(identity))
        self._target.save_artefact(ARTEFACT_KIND, content)
        self._copied.add(versions_id)


def _differing(ours: LedgerEntry, stretch: _Stretch, counted: dict[str, int]) -> tuple[str, ...]:
    theirs = stretch.last
    found = [name for name in ("root", "tree_size") if getattr(ours, name) != getattr(theirs, name)]
    return (*found, *(name for name, count in counted.items() if count != stretch.count(name)))


def _month(entry: LedgerEntry) -> tuple[int, int]:
    """The months of the first and the last receipt: one INSERT may touch one partition of the table only."""
    times = (entry.first_received_at_us, entry.last_received_at_us)
    first, last = (int(np.datetime64(one, "us").astype("datetime64[M]").astype(np.int64)) for one in times)
    return first, last
