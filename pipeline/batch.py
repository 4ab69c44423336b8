"""What a batch is made of, before, while and after it is formed: the nouns of `flow.py`.

Place in the flow: `Judgement` (what one version set judges by) and `PartitionMemory` (what a partition remembers) go
into `flow.Chain.form`; a `FormedBatch` comes out of it and goes into `flow.commit_batch`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from detectors.base import Assessment, EventArrays
from detectors.exceptions import AlertException
from detectors.model import Model
from detectors.policy import Policy
from detectors.profile import Profiles
from detectors.rules.rule import Rule
from pipeline.column_batch import ArrayColumn, ColumnBatch
from pipeline.columns import ACCESS_EVENT_COLUMNS, DEAD_LETTER_COLUMNS
from pipeline.directory import DirectorySnapshot
from pipeline.events import SCORE_STATUSES, Alert, LogPosition, codes
from pipeline.ledger.append import BatchContent, seal
from pipeline.ports import Identity, LedgerEntry
from pipeline.privacy.protector import Protection
from pipeline.stages.decide import alert_columns
from pipeline.stages.duplicates import DuplicateWindow
from pipeline.stages.row import offset_leaves, seal_columns
from pipeline.version_sets.sets import VersionSet

_UNSCORED = codes(SCORE_STATUSES)["unscored"]

AfterStep = Callable[[int], None]
"""Told the number of every step that is done. The product does nothing there; tests put a fault into each gap."""


def nothing(step: int) -> None:
    """Between two steps, nothing."""


@dataclass(slots=True)
class Judgement:
    """What one version set judges by; immutable while any batch uses it."""

    versions: VersionSet
    directory: DirectorySnapshot
    model: Model | None
    rules: Sequence[Rule]
    policy: Policy
    default_time_zone: str
    model_fault: str = ""
    attrs_allowed: tuple[str, ...] = ()
    protection: Protection = field(default_factory=Protection)
    retention_class: str = "standard"
    shadow: Model | None = None
    """A model that is tried: it judges too, and decides nothing."""
    exceptions: Sequence[AlertException] = ()


@dataclass(slots=True)
class PartitionMemory:
    """What a partition remembers between batches: bounded, rebuilt from store and log after a crash."""

    position: LogPosition
    sealed: LedgerEntry | None
    profiles: Profiles
    window: DuplicateWindow
    is_relearnt: bool = False
    """Whether the profiles are not those that the sealed evidence was judged by: they are kept before they are used."""
    unsaved_events: int = 0
    """What the profiles learnt since they were last stored."""

    @property
    def next_offset(self) -> int:
        """The offset the next batch must begin with (or record a gap from)."""
        return 0 if self.sealed is None else self.sealed.last_offset + 1

    def commit(self, entry: LedgerEntry) -> None:
        """Keeps what the formed batch taught us, once its ledger entry is sealed."""
        self.profiles.commit()
        self.window.commit()
        self.sealed = entry
        self.unsaved_events += entry.n_events

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
    features: ColumnBatch | None = None
    """Of some events: what the judgement stood on. Not evidence."""
    alerts: list[Alert] = field(default_factory=list)
    identities: Sequence[Identity] = ()
    """Who is behind tokens of this batch and may not be in the vault yet. Not evidence, and part of no token."""

    def token(self) -> str:
        """Names exactly this content at exactly this place: a retry is absorbed, another content never is."""
        place_ = self.position
        return (
            f"{place_.topic}:{place_.incarnation}:{place_.partition}:"
            f"{self.entry.first_offset}-{self.entry.last_offset}:{self.entry.root.hex()}"
        )


@dataclass(slots=True)
class JudgedEvents:
    """The valid events of a batch after `decide`."""

    columns: ColumnBatch
    arrays: EventArrays
    assessment: Assessment
    alerts: list[Alert]


@dataclass(slots=True)
class Forming:
    """A batch while the stages fill it."""

    position: LogPosition
    events: ColumnBatch | None = None
    dead_letters: ColumnBatch | None = None
    gaps: ColumnBatch | None = None
    features: ColumnBatch | None = None
    alerts: list[Alert] = field(default_factory=list)
    identities: Sequence[Identity] = ()

    def sealed(self, memory: PartitionMemory, versions_id: bytes, retention_class: str) -> FormedBatch:
        """Hashes the leaves in offset order, computes the ledger entry and writes its mark into every row."""
        parts = [table for table in (self.events, self.dead_letters, self.gaps) if table is not None]
        entry = seal(memory.sealed, self.position, self.leaves(), self.content(memory.next_offset), versions_id)
        alert_rows = alert_columns(self.alerts, self.events) if self.alerts and self.events is not None else None
        for table in (*parts, *(one for one in (alert_rows, self.features) if one is not None)):
            seal_columns(table, entry, retention_class)
        return FormedBatch(
            self.position,
            entry,
            self.events,
            self.dead_letters,
            self.gaps,
            alert_rows,
            self.features,
            self.alerts,
            self.identities,
        )

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


def _subjects(events: ColumnBatch) -> int:
    """How many subject ids the events list."""
    tokens = events.columns["subject_tokens"]
    assert isinstance(tokens, ArrayColumn)  # noqa: S101
    return int(tokens.ends[-1])
