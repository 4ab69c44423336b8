"""Where a partition goes on after an assignment: read from the ledger, never from memory or the group's offset.

Place in the flow: between an assignment (`app.py`) and the first batch (`worker.py`). The three steps:

1. next offset = last sealed + 1, in the log incarnation that Kafka has now;
2. profiles = newest snapshot + Kafka read again from there to the sealed offset, through the same stages with output
   suppressed, each re-computed ledger entry equal to the sealed one;
   (a range that another version of the code judged is read under the set in force, and its evidence left as it is)
3. rows above the sealed offset: exactly that range is formed again under its versions, inserted again with the same
   token (a no-op) and sealed.

If Kafka no longer holds the range for step 2, the snapshot is used as it is and `profile_gap` is said.

`worker.py` does it in numbered steps; each gap between two of them has a crash test:

1. store and broker are read: where to go on is known (`plan`)
2. an older life of the topic is closed with a gap (`closing.py`, which has two steps of its own)
3. profiles and duplicate window stand at the plan's base
4. the fetcher is told where to start
5. a sealed range is formed again, its entry the same (once a range)
6. the unsealed range is read again, its versions are known; from here the steps of `flow.commit_batch`
7. the unsealed range is sealed

Nothing before 6 writes anything but a closing gap, so a crash there begins anew; from 6 on `commit_batch` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.events import LogPosition
from pipeline.ports import EvidenceStore, LedgerEntry, ProfileSnapshot, UnsealedBatch

_ENTRIES_AT_ONCE = 10_000
TOPIC_RECREATED = "topic_recreated"
LOG_SHORTENED = "log_shortened"
"""Why a life of the log ended; the reason in the gap's row is `topic_recreated` for both: it is evidence."""


@dataclass(frozen=True, slots=True)
class LogBounds:
    """What the broker holds of one partition: topic id, first offset, offset of the next record."""

    topic_id: str
    first_offset: int
    end_offset: int


@dataclass(frozen=True, slots=True)
class PlannedRange:
    """A range that must be formed exactly so: `sealed` is its ledger entry, or None where it must be sealed yet."""

    first_offset: int
    last_offset: int
    versions_id: bytes
    sealed: LedgerEntry | None


@dataclass(slots=True)
class ResumePlan:
    """How one partition goes on.

    `base` is the ledger entry the profiles stand at (None: nothing sealed before); `closing` is the newest entry of an
    older life of the topic that has not been closed with a gap yet, and `new_life` the code why it ended.
    `sealed_offset` is the newest sealed one of this life, -1 where nothing is.
    """

    position: LogPosition
    base: LedgerEntry | None
    snapshot: ProfileSnapshot | None
    ranges: list[PlannedRange] = field(default_factory=list)
    log_first_offset: int = 0
    profile_gap: bool = False
    closing: LedgerEntry | None = None
    sealed_offset: int = -1
    new_life: str = ""

    @property
    def sealed_ranges(self) -> list[PlannedRange]:
        """Ranges that are read again to learn their profiles."""
        return [planned for planned in self.ranges if planned.sealed is not None]

    @property
    def unsealed_ranges(self) -> list[PlannedRange]:
        """The range that was stored and not sealed, if there is one."""
        return [planned for planned in self.ranges if planned.sealed is None]

    @property
    def fetch_from(self) -> int:
        """Where the log is read from: the first planned range, or behind what is sealed; never before its beginning."""
        return max(self.ranges[0].first_offset if self.ranges else self.sealed_offset + 1, self.log_first_offset)


def plan(store: EvidenceStore, topic: str, partition: int, bounds: LogBounds, feature_version: str) -> ResumePlan:
    """Reads the store and says where to go on.

    Raises: Away: the store or the broker does not answer; StoreRefused: rights or schema are wrong.
    """
    position, closing = _incarnation(store, topic, partition, bounds)
    # A former owner may seal while we read. In this order everything fits `last`: a snapshot is never newer than it.
    snapshot = store.load_profiles(position)
    last = store.last_entry(position)
    if snapshot is not None and (last is None or snapshot.feature_version != feature_version):
        snapshot = None
    resume = ResumePlan(
        position=position, base=None, snapshot=snapshot, closing=closing, log_first_offset=bounds.first_offset,
        sealed_offset=-1 if last is None else last.last_offset,
    )  # fmt: skip
    if closing is not None:
        recreated = closing.incarnation.split("+")[0] != bounds.topic_id
        resume.new_life = TOPIC_RECREATED if recreated else LOG_SHORTENED
    if last is not None:
        _plan_sealed(store, resume, last, bounds)
    unsealed = store.unsealed(position, resume.sealed_offset)
    if unsealed is not None and _still_there(unsealed, resume.sealed_offset, bounds):
        resume.ranges.append(
            PlannedRange(unsealed.first_offset, unsealed.last_offset, unsealed.versions_id, sealed=None)
        )
    return resume


def _still_there(unsealed: UnsealedBatch, sealed_offset: int, bounds: LogBounds) -> bool:
    """Whether Kafka can give the unsealed range again; else its rows stay invisible and a gap is recorded."""
    return unsealed.first_offset > sealed_offset and bounds.first_offset <= unsealed.last_offset < bounds.end_offset


def _plan_sealed(store: EvidenceStore, resume: ResumePlan, last: LedgerEntry, bounds: LogBounds) -> None:
    """Step 2: which sealed ranges must be read again to bring the profiles to the sealed offset."""
    standing = -1 if resume.snapshot is None else resume.snapshot.sealed_offset
    if standing >= last.last_offset:
        resume.base = last
        return
    # The entry that ends at the snapshot comes first: the re-computed chain hangs on its frontier.
    entries = _entries(store, resume.position, standing - 1)
    # What was sealed since is not part of this plan: its rows may be planned as unsealed, and meet their entry then.
    base, again = _split([entry for entry in entries if entry.last_offset <= last.last_offset], standing)
    if again and again[0].first_offset < bounds.first_offset:
        resume.profile_gap = True
        resume.base = last
        return
    resume.base = base
    resume.ranges = [
        PlannedRange(entry.first_offset, entry.last_offset, entry.versions_id, sealed=entry) for entry in again
    ]


def _entries(store: EvidenceStore, position: LogPosition, after_offset: int) -> list[LedgerEntry]:
    found: list[LedgerEntry] = []
    while True:
        page = store.entries(position, after_offset, _ENTRIES_AT_ONCE)
        found.extend(page)
        if len(page) < _ENTRIES_AT_ONCE:
            return found
        after_offset = page[-1].last_offset


def _split(entries: Sequence[LedgerEntry], standing: int) -> tuple[LedgerEntry | None, list[LedgerEntry]]:
    if entries and entries[0].last_offset <= standing:
        return entries[0], list(entries[1:])
    return None, list(entries)


def _incarnation(
    store: EvidenceStore, topic: str, partition: int, bounds: LogBounds
) -> tuple[LogPosition, LedgerEntry | None]:
    """The life of the log we are in, and the last entry of an older life that is not closed yet.

    A topic made anew has a new id. A log shorter than what is sealed under the same id (an unclean loss at the
    broker) is a new life too: `<topic id>+1`, `+2`, …; a recreated topic never silently skips.
    """
    lives = list(store.incarnations(topic, partition))
    incarnation = current_life(
        bounds.topic_id, {entry.incarnation: entry.last_offset for entry in lives}, bounds.end_offset
    )
    older = [entry for entry in lives if entry.incarnation != incarnation and not is_closed(entry)]
    closing = max(older, key=lambda entry: entry.last_received_at_us, default=None)
    return LogPosition(topic, incarnation, partition), closing


END_OF_LOG = 2**63 - 1
"""Last offset of the gap that closes an older life: "the rest of that log, whatever there was"."""


def current_life(topic_id: str, sealed: Mapping[str, int], end_offset: int = END_OF_LOG) -> str:
    """The life of the log that the topic with this id is in now.

    `sealed`: the last sealed offset of every recorded life of the partition. `end_offset`: end of the log as Kafka has
    it; left out, only a closed life is over.
    """
    ours = [life for life in sealed if life.split("+")[0] == topic_id]
    newest = max(ours, key=_number, default=topic_id)
    is_over = newest in sealed and (sealed[newest] == END_OF_LOG or sealed[newest] + 1 > end_offset)
    return f"{topic_id}+{_number(newest) + 1}" if is_over else newest


def _number(incarnation: str) -> int:
    _, _, number = incarnation.partition("+")
    return int(number) if number else 0


def is_closed(entry: LedgerEntry) -> bool:
    """Whether this entry closed its life of the topic."""
    return entry.last_offset == END_OF_LOG
