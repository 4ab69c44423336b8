"""The way of one batch of events, in order: read this file first.

    decode ▸ protect ▸ enrich ▸ duplicates ▸ assess ▸ decide ▸ row   pure stages (`pipeline/stages/`), a batch at once
    commit_batch                                                     numbered steps on ports (`pipeline/ports.py`)

`Chain.form` turns a run of Kafka records of one partition into a `FormedBatch`: rows, dead letters, gaps, alerts and
the ledger entry that would seal them. It changes nothing but the partition's own memory (profiles and the duplicate
window), which `PartitionMemory.commit` keeps and `rollback` undoes. `commit_batch` makes it last.
Every offset becomes exactly one leaf: an event, a dead letter, or part of a recorded gap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from detectors.base import Assessment, Detector, EventArrays
from detectors.model import Model
from detectors.policy import Policy
from detectors.profile import Profiles
from pipeline.columns import (
    ACCESS_EVENT_COLUMNS,
    DEAD_LETTER_COLUMNS,
    ArrayColumn,
    ColumnBatch,
    FixedColumn,
    take_rows,
)
from pipeline.directory import DirectorySnapshot
from pipeline.errors import RejectedRow, StoreRefused
from pipeline.events import SCORE_STATUSES, Alert, LogPosition, RecordBatch, Rejected, codes
from pipeline.ledger.append import BatchContent, seal
from pipeline.ports import AlertPublisher, EvidenceStore, LedgerEntry
from pipeline.privacy.protected import Protected
from pipeline.privacy.protector import Protector
from pipeline.recovery import END_OF_LOG
from pipeline.stages.assess import assess
from pipeline.stages.decide import alert_columns, decide
from pipeline.stages.decode import RUN_VALUES, Decoded, decode
from pipeline.stages.duplicates import DuplicateWindow
from pipeline.stages.enrich import EnrichMemory, enrich
from pipeline.stages.gaps import TOPIC_RECREATED, Gap, find_gaps, gap_columns
from pipeline.stages.protect import protect, protect_dead_letters
from pipeline.stages.row import offset_leaves, place, seal_columns
from pipeline.versions import VersionSet

STORE_REJECTED = "store_rejected"
_UNSCORED = codes(SCORE_STATUSES)["unscored"]


@dataclass(slots=True)
class Judgement:
    """What one version set judges by; immutable while any batch uses it."""

    versions: VersionSet
    directory: DirectorySnapshot
    model: Model | None
    rules: Sequence[Detector]
    policy: Policy
    default_time_zone: str
    model_fault: str = ""
    attrs_allowed: tuple[str, ...] = ()


@dataclass(slots=True)
class PartitionMemory:
    """What a partition remembers between batches: bounded, rebuilt from store and log after a crash."""

    position: LogPosition
    sealed: LedgerEntry | None
    profiles: Profiles
    window: DuplicateWindow

    @property
    def next_offset(self) -> int:
        """The offset the next batch must begin with (or record a gap from)."""
        return 0 if self.sealed is None else self.sealed.last_offset + 1

    def commit(self, entry: LedgerEntry) -> None:
        """Keeps what the formed batch taught us, once its ledger entry is sealed."""
        self.profiles.commit()
        self.window.commit()
        self.sealed = entry

    def rollback(self) -> None:
        """Forgets what the formed batch taught us."""
        self.profiles.rollback()
        self.window.rollback()


@dataclass(slots=True)
class FormedBatch:
    """One batch, ready to be stored: tables' rows by kind and the entry that seals them."""

    position: LogPosition
    entry: LedgerEntry
    events: ColumnBatch | None
    dead_letters: ColumnBatch | None
    gaps: ColumnBatch | None
    alert_rows: ColumnBatch | None
    alerts: list[Alert] = field(default_factory=list)

    def token(self) -> str:
        """Names exactly this content at exactly this place: a retry is absorbed, another content never is."""
        place_ = self.position
        return (
            f"{place_.topic}:{place_.incarnation}:{place_.partition}:"
            f"{self.entry.first_offset}-{self.entry.last_offset}:{self.entry.root.hex()}"
        )


class Chain:
    """The stages with the memory they share (interned values, token and network memos): one thread at a time."""

    def __init__(self, protector: Protector, retention_class: str) -> None:
        self._protector = protector
        self._enrich_memory = EnrichMemory()
        self.retention_class = retention_class

    def form(
        self,
        records: RecordBatch,
        memory: PartitionMemory,
        judgement: Judgement,
        rejected_offsets: frozenset[int] = frozenset(),
    ) -> FormedBatch:
        """Forms the batch of these records; `rejected_offsets` are records the store refused before.

        Records: offsets strictly increasing, all >= `memory.next_offset`; holes become gaps.
        """
        memory.profiles.begin()
        self._protector.renew_if_full()
        versions_id = judgement.versions.versions_id
        read = self.read(records, judgement, rejected_offsets)
        gaps = find_gaps(memory.next_offset, records.offsets, records.received_at_us)
        formed = _Forming(memory.position)
        if read.protected is not None:
            judged = self.judge(read.protected, read.rows, records, memory, judgement)
            formed.events, formed.alerts = judged.columns, judged.alerts
        if read.rejected:
            formed.dead_letters = protect_dead_letters(records, read.rejected, self._protector, versions_id)
        if gaps:
            formed.gaps = gap_columns(gaps, memory.position, versions_id)
        return formed.sealed(memory, versions_id, self.retention_class)

    def read(self, records: RecordBatch, judgement: Judgement, rejected_offsets: frozenset[int]) -> ReadRecords:
        """`decode` and `protect`, a run at a time: both cost least while its texts are in the processor's cache."""
        parts: list[Protected] = []
        rows: list[npt.NDArray[np.int64]] = []
        rejected: list[Rejected] = []
        for first in range(0, len(records), RUN_VALUES):
            run = records.part(first, first + RUN_VALUES)
            decoded = _without(decode(run), run, rejected_offsets)
            rejected += [Rejected(first + one.index, one.reason) for one in decoded.rejected]
            if decoded.events:
                parts.append(self.protect(decoded, judgement))
                rows.append(first + decoded.rows)
        if not parts:
            return ReadRecords(None, np.zeros(0, np.int64), rejected)
        return ReadRecords(Protected.joined(parts), np.concatenate(rows), rejected)

    def protect(self, decoded: Decoded, judgement: Judgement) -> Protected:
        """The stage `protect` for at least one event."""
        self._protector.attrs_allowed = judgement.attrs_allowed
        object_types = judgement.directory.object_types
        return protect(decoded.events, self._protector, object_types, decoded.event_time_us, decoded.fields)

    def judge(
        self,
        protected: Protected,
        rows: npt.NDArray[np.int64],
        records: RecordBatch,
        memory: PartitionMemory,
        judgement: Judgement,
    ) -> JudgedEvents:
        """The stages from `enrich` to `decide`; `rows` (n,): the record that each event came in."""
        protected.mark_misrouted(records.position.partition)
        arrays = enrich(
            protected,
            judgement.directory,
            default_time_zone=judgement.default_time_zone,
            memory=self._enrich_memory,
        )
        columns = protected.columns
        place(columns, records, rows)
        _mark_duplicates(columns, arrays, memory.window)
        assessment = assess(columns, arrays, judgement.model, memory.profiles, judgement.rules)
        versions_id = np.void(judgement.versions.versions_id)
        columns.columns["versions_id"] = FixedColumn(np.full(columns.count, versions_id, "V32"))
        alerts = decide(
            columns, arrays, assessment, memory.profiles, judgement.policy, judgement.model, judgement.rules
        )
        return JudgedEvents(columns, arrays, assessment, alerts)


@dataclass(slots=True)
class ReadRecords:
    """A batch after `protect`: its valid events, the record of each (n,), and the records that are none."""

    protected: Protected | None
    rows: npt.NDArray[np.int64]
    rejected: list[Rejected]


@dataclass(slots=True)
class JudgedEvents:
    """The valid events of a batch after `decide`."""

    columns: ColumnBatch
    arrays: EventArrays
    assessment: Assessment
    alerts: list[Alert]


@dataclass(slots=True)
class _Forming:
    """A batch while the stages fill it."""

    position: LogPosition
    events: ColumnBatch | None = None
    dead_letters: ColumnBatch | None = None
    gaps: ColumnBatch | None = None
    alerts: list[Alert] = field(default_factory=list)

    def sealed(self, memory: PartitionMemory, versions_id: bytes, retention_class: str) -> FormedBatch:
        """Hashes the leaves in offset order, computes the ledger entry and writes its mark into every row."""
        parts = [table for table in (self.events, self.dead_letters, self.gaps) if table is not None]
        entry = seal(memory.sealed, self.position, self.leaves(), self.content(memory.next_offset), versions_id)
        alert_rows = alert_columns(self.alerts, self.events) if self.alerts and self.events is not None else None
        for table in (*parts, *([alert_rows] if alert_rows is not None else [])):
            seal_columns(table, entry, retention_class)
        return FormedBatch(self.position, entry, self.events, self.dead_letters, self.gaps, alert_rows, self.alerts)

    def leaves(self) -> list[bytes]:
        """The leaf hashes of all rows in offset order."""
        found = offset_leaves(self.events, ACCESS_EVENT_COLUMNS) if self.events is not None else []
        for table in (self.dead_letters, self.gaps):
            if table is not None:
                found += offset_leaves(table, DEAD_LETTER_COLUMNS)
        return [leaf for _, leaf in sorted(found)]

    def content(self, first_offset: int) -> BatchContent:
        """Range, times and counts of the batch that begins at `first_offset`."""
        parts = [table for table in (self.events, self.dead_letters, self.gaps) if table is not None]
        received = [table.fixed("received_at") for table in parts]
        last = max(int(table.fixed("offset" if table is self.events else "last_offset").max()) for table in parts)
        events = self.events
        return BatchContent(
            first_offset=first_offset,
            last_offset=last,
            first_received_at_us=int(min(times.min() for times in received)),
            last_received_at_us=int(max(times.max() for times in received)),
            n_events=0 if events is None else events.count,
            n_dead_letters=0 if self.dead_letters is None else self.dead_letters.count,
            n_gaps=0 if self.gaps is None else self.gaps.count,
            n_subjects=0 if events is None else _subjects(events),
            n_alerts=len(self.alerts),
            n_unscored=0 if events is None else int((events.fixed("score_status") == _UNSCORED).sum()),
        )


AfterStep = Callable[[int], None]
"""Told the number of every step that is done. The product does nothing there; tests put a fault into each gap."""


def nothing(step: int) -> None:
    """Between two steps, nothing."""


def commit_batch(
    batch: FormedBatch,
    store: EvidenceStore,
    publisher: AlertPublisher,
    writer: str,
    after_step: AfterStep = nothing,
) -> None:
    """Makes a formed batch last; may be repeated unchanged after any failure and after a crash at any point.

    1. new identities → vault (none yet: the vault comes with the evidence features)
    2. events → store, under a token that names exactly this content; so with 3, 4 and 5
    3. dead letters → store
    4. gaps → store
    5. alert rows → store
    6. alerts → Kafka, acknowledged
    7. ledger entry → store: the commit point; from here on the rows are visible
    8. acknowledge: the caller keeps the memory and tells the fetcher

    Crash before 7: the rows are invisible; recovery forms the same range under the same versions, repeats 2–5 (a no-op)
    and 6 (the same alert ids) and seals. Crash after 7: recovery goes on behind the entry.
    Raises: Away: repeat unchanged; RejectedRow: bisect (`find_rejected`); BrokenInvariant: stop.
    """
    token = batch.token()
    after_step(1)
    if batch.events is not None:
        store.insert_events(batch.events, token)
    after_step(2)
    if batch.dead_letters is not None:
        store.insert_dead_letters(batch.dead_letters, token)
    after_step(3)
    if batch.gaps is not None:
        store.insert_dead_letters(batch.gaps, f"{token}:gaps")
    after_step(4)
    if batch.alert_rows is not None:
        store.insert_alerts(batch.alert_rows, token)
    after_step(5)
    if batch.alerts and batch.events is not None:
        publisher.publish(batch.position, batch.alerts, batch.events)
    after_step(6)
    store.seal(batch.entry, writer)
    after_step(7)


def find_rejected(
    batch: FormedBatch, store: EvidenceStore, after_probe: Callable[[], None] = lambda: None
) -> frozenset[int]:
    """Offsets of the rows that the store refuses, by bisection; many of them take minutes, `after_probe` sees it move.

    Parts that pass leave rows behind whose batch is never sealed: nobody sees them.
    Raises: StoreRefused: no single row is to blame; Away: repeat.
    """
    if batch.events is None:
        raise StoreRefused("the store refuses dead letters or alerts: its schema is not ours; run `accesstrail doctor`")
    offsets = batch.events.fixed("offset")
    found: set[int] = set()
    pending = [np.arange(batch.events.count)]
    while pending:
        rows = pending.pop()
        token = f"{batch.token()}:probe:{offsets[rows[0]]}-{offsets[rows[-1]]}"
        try:
            store.insert_events(take_rows(batch.events, rows), token)
        except RejectedRow:
            if len(rows) == 1:
                found.add(int(offsets[rows[0]]))
            else:
                middle = len(rows) // 2
                pending += [rows[:middle], rows[middle:]]
        after_probe()
    if not found:
        raise StoreRefused("the store refuses a batch but none of its rows alone: run `accesstrail doctor`")
    return frozenset(found)


def close_log(
    store: EvidenceStore,
    last: LedgerEntry,
    versions_id: bytes,
    retention_class: str,
    writer: str,
    after_step: AfterStep = nothing,
) -> None:
    """Closes an older life of a topic with a gap over its unread rest: nothing is skipped in silence.

    1. gap → store; 2. ledger entry → store: the commit point. A crash between them leaves a row that nobody sees; the
    next attempt repeats it, or writes its own where it runs under other versions.

    The gap reaches to `END_OF_LOG` because nobody can say any more how long that log was.
    """
    position = last.position
    gap = Gap(last.last_offset + 1, END_OF_LOG, last.last_received_at_us, TOPIC_RECREATED)
    forming = _Forming(position, gaps=gap_columns([gap], position, versions_id))
    memory = PartitionMemory(position, last, Profiles(), DuplicateWindow())
    batch = forming.sealed(memory, versions_id, retention_class)
    assert batch.gaps is not None  # noqa: S101  just made
    store.insert_dead_letters(batch.gaps, f"{batch.token()}:gaps")
    after_step(1)
    store.seal(batch.entry, writer)
    after_step(2)


def _without(decoded: Decoded, records: RecordBatch, rejected_offsets: frozenset[int]) -> Decoded:
    """Turns events that the store refused before into rejected records."""
    if not rejected_offsets:
        return decoded
    refused = np.isin(records.offsets[decoded.rows], np.fromiter(rejected_offsets, np.int64))
    rejected = decoded.rejected + [Rejected(int(row), STORE_REJECTED) for row in decoded.rows[refused]]
    kept = np.flatnonzero(~refused)
    return Decoded(
        events=[decoded.events[i] for i in kept],
        rows=decoded.rows[kept],
        event_time_us=decoded.event_time_us[kept],
        rejected=sorted(rejected, key=lambda one: one.index),
    )


def _mark_duplicates(columns: ColumnBatch, arrays: EventArrays, window: DuplicateWindow) -> None:
    """Fills `duplicate_of`; a duplicate is stored but neither judged nor learnt."""
    duplicate_of = window.mark(
        columns.fixed("event_id").astype("V16", copy=False),
        columns.fixed("offset").astype(np.int64),
        columns.fixed("received_at").astype(np.int64, copy=False),
    )
    columns.columns["duplicate_of"] = FixedColumn(duplicate_of)
    arrays.scorable[duplicate_of >= 0] = 0


def _subjects(events: ColumnBatch) -> int:
    """How many subject ids the events list."""
    tokens = events.columns["subject_tokens"]
    assert isinstance(tokens, ArrayColumn)  # noqa: S101
    return int(tokens.ends[-1])
