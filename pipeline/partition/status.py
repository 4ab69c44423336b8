"""What one partition says of itself: its state, and counters that are added to once a batch, never once an event.

Place in the flow: written by the partition's thread (`worker.py`), read by health, metrics and `accesstrail status`.
Numbers, states and codes only; no identifier ever comes near it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar, Self

import numpy as np

from pipeline.column_batch import ColumnBatch
from pipeline.ports import LedgerEntry

STATES = ("recovering", "running", "away", "stopped", "closed")
BATCH_SIZES = (1, 10, 100, 500, 1000, 2000, 5000, 10_000)
"""Upper bounds of the classes by which batches are counted; the last class has none."""
STEPS = ("form", "rows", "publish", "seal", "snapshot")


@dataclass(slots=True)
class PartitionStatus:
    """One partition as `status`, metrics and health see it. Times are seconds since 1970; offsets -1: none."""

    topic: str
    partition: int
    state: str = "recovering"
    code: str = ""
    incarnation: str = ""
    sealed_offset: int = -1
    """The newest offset the ledger has sealed in this life of the log."""
    events: int = 0
    dead_letters: int = 0
    gaps: int = 0
    alerts: int = 0
    unscored: int = 0
    duplicates: int = 0
    misrouted: int = 0
    fenced: int = 0
    profile_gap: bool = False
    new_life: str = ""
    """Why this life of the log began, where an older one was closed with a gap: a code."""
    away_since: float = 0.0
    last_sealed_at: float = 0.0
    snapshot_at: float = 0.0
    versions_id: str = ""
    batches: int = 0
    records: int = 0
    batch_sizes: list[int] = field(default_factory=lambda: [0] * (len(BATCH_SIZES) + 1))
    reasons: dict[str, int] = field(default_factory=dict)
    step_seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STEPS, 0.0))
    turns: int = 0
    """Grows with everything the partition's thread does; stands still only while it waits or is stuck."""
    inbox_records: int = 0
    inbox_bytes: int = 0
    oldest_received_at: float = 0.0
    """When the broker took the oldest record that we hold and have not sealed; 0: we hold none."""

    def count(self, entry: LedgerEntry, events: ColumnBatch | None, dead_letters: ColumnBatch | None) -> None:
        """Adds one sealed batch."""
        self.events += entry.n_events
        self.dead_letters += entry.n_dead_letters
        self.gaps += entry.n_gaps
        self.alerts += entry.n_alerts
        self.unscored += entry.n_unscored
        if events is not None:
            self.duplicates += int(np.count_nonzero(events.fixed("duplicate_of").astype(np.int64, copy=False) >= 0))
            self.misrouted += int(np.count_nonzero(events.fixed("misrouted")))
        if dead_letters is not None:
            reasons = dead_letters.text("reason")
            for identity, number in zip(*np.unique(reasons.ids, return_counts=True), strict=True):
                name = reasons.interner.texts[int(identity)]
                self.reasons[name] = self.reasons.get(name, 0) + int(number)
        size = entry.n_events + entry.n_dead_letters
        self.batches += 1
        self.records += size
        self.batch_sizes[int(np.searchsorted(BATCH_SIZES, size))] += 1
        self.versions_id = entry.versions_id.hex()
        self.last_sealed_at = time.time()

    @property
    def is_over(self) -> bool:
        """Whether the partition's thread had reason to end."""
        return self.state in ("closed", "stopped")

    def copy(self) -> Self:
        """A copy for another thread, which the partition's thread does not change under its hands."""
        copied = type(self)(self.topic, self.partition)
        for one in fields(self):
            value = getattr(self, one.name)
            # dict() and list() copy in one step of the interpreter.
            if isinstance(value, dict):
                value = dict(value)
            elif isinstance(value, list):
                value = list(value)
            setattr(copied, one.name, value)
        return copied


class StepClock:
    """Adds up how long each step of a batch takes, in a partition's status."""

    # Two to five store events, dead letters, gaps and alert rows.
    _COMMIT_STEPS: ClassVar[Mapping[int, str]] = {2: "rows", 3: "rows", 4: "rows", 5: "rows", 6: "publish", 7: "seal"}

    def __init__(self, status: PartitionStatus, now_s: Callable[[], float] = time.perf_counter) -> None:
        self._status, self._now_s = status, now_s
        self._since_s = now_s()

    def start(self) -> None:
        """The next step begins now."""
        self._since_s = self._now_s()

    def done(self, step: str) -> None:
        """This step ends now, and the next one begins."""
        now_s = self._now_s()
        self._status.step_seconds[step] += now_s - self._since_s
        self._since_s = now_s

    def after_step(self, number: int) -> None:
        """The hook of `flow.commit_batch`, whose steps are numbered."""
        step = self._COMMIT_STEPS.get(number)
        if step is None:
            self.start()
        else:
            self.done(step)
