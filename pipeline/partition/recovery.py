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

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby

from pipeline.events import LogPosition
from pipeline.ports import EvidenceStore, LedgerEntry, ProfileSnapshot, UnsealedBatch

_ENTRIES_AT_ONCE = 10_000
_LEARNT_AT_ONCE = 1_000
TOPIC_RECREATED = "topic_recreated"
LOG_SHORTENED = "log_shortened"
"""Why a life of the log ended; the reason in the gap's row is `topic_recreated` for both: it is evidence."""


@dataclass(frozen=True, slots=True)
class LogBounds:
    """What the broker holds of one partition: topic id, first offset, offset of the next record."""

    topic_id: str
    first_offset: int
    end_offset: int


ReadBounds = Callable[[], LogBounds]
"""Asks the broker anew."""


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
    `sealed_offset` is the newest sealed one of this life, -1 where nothing is. `relearns`: what is read again gives
    other profiles than those the evidence was judged by, since part of the log is lost or the features are others; so
    it is learnt from, not compared.
    """

    position: LogPosition
    base: LedgerEntry | None
    snapshot: ProfileSnapshot | None
    ranges: list[PlannedRange] = field(default_factory=list)
    log_first_offset: int = 0
    profile_gap: bool = False
    relearns: bool = False
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


def plan(
    store: EvidenceStore, topic: str, partition: int, read_bounds: ReadBounds, feature_version: str
) -> ResumePlan:  # fmt: skip
    """Reads the store and says where to go on.

    Raises: Away: the store or the broker does not answer; StoreRefused: rights or schema are wrong.
    """
    lives = list(store.incarnations(topic, partition))
    # After it: a former owner may seal records that came since, and its log must not look shorter than what is sealed.
    bounds = read_bounds()
    position, closing = _incarnation(lives, topic, partition, bounds)
    # A former owner may seal while we read. In this order everything fits `last`: a snapshot is never newer than it.
    snapshot = store.load_profiles(position)
    last = store.last_entry(position)
    is_other_version = snapshot is not None and snapshot.feature_version != feature_version
    if last is None or is_other_version:
        snapshot = None
    resume = ResumePlan(
        position=position, base=None, snapshot=snapshot, closing=closing, log_first_offset=bounds.first_offset,
        sealed_offset=-1 if last is None else last.last_offset, relearns=is_other_version,
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
    """Step 2: which sealed ranges must be read again to bring the profiles to the sealed offset.

    Only what Kafka still holds is asked for: the whole ledger of an old partition would not fit into memory.
    """
    standing = -1 if resume.snapshot is None else resume.snapshot.sealed_offset
    if standing >= last.last_offset:
        resume.base = last
        return
    lost_until = bounds.first_offset - 1
    # The entry that ends at the snapshot comes first: the re-computed chain hangs on its frontier.
    pages = _pages(store, resume.position, max(standing, lost_until) - 1, last.last_offset)
    head = next(pages, last)
    again: Iterable[LedgerEntry] = chain((head,), pages)
    if lost_until <= standing:
        if head.last_offset <= standing:
            resume.base, again = head, pages
    elif store.gap_end(resume.position, head.first_offset) >= lost_until:
        # A hole that was sealed: what Kafka does not hold now it did not hold then, and nothing was learnt from it.
        resume.base = _entry_before(store, resume.position, head.first_offset)
        resume.profile_gap = head.first_offset != standing + 1
    else:
        resume.base, again, resume.profile_gap = head, pages, True
    resume.relearns |= resume.profile_gap
    resume.ranges = list(_together(again) if resume.relearns else map(_exactly, again))


def _entry_before(store: EvidenceStore, position: LogPosition, offset: int) -> LedgerEntry | None:
    """The entry that ends where this offset begins."""
    found = next(iter(store.entries(position, offset - 2, 1)), None)
    return found if found is not None and found.last_offset < offset else None


def _pages(store: EvidenceStore, position: LogPosition, after_offset: int, last_offset: int) -> Iterator[LedgerEntry]:
    """Entries with more than `after_offset`, page by page.

    What was sealed since (beyond `last_offset`) is not part of this plan: its rows may be planned as unsealed, and meet
    their entry then.
    """
    while True:
        page = store.entries(position, after_offset, _ENTRIES_AT_ONCE)
        yield from (entry for entry in page if entry.last_offset <= last_offset)
        if len(page) < _ENTRIES_AT_ONCE or page[-1].last_offset >= last_offset:
            return
        after_offset = page[-1].last_offset


def _exactly(entry: LedgerEntry) -> PlannedRange:
    return PlannedRange(entry.first_offset, entry.last_offset, entry.versions_id, sealed=entry)


def _together(entries: Iterable[LedgerEntry]) -> Iterator[PlannedRange]:
    """Ranges that are only learnt from: small entries that one version set judged in a row are read as one."""

    def stretch(entry: LedgerEntry) -> tuple[bytes, int]:
        return entry.versions_id, entry.first_offset // _LEARNT_AT_ONCE

    for _, group in groupby(entries, stretch):
        first, *others = group
        last = others[-1] if others else first
        yield PlannedRange(first.first_offset, last.last_offset, first.versions_id, sealed=last)


def _incarnation(
    lives: Sequence[LedgerEntry], topic: str, partition: int, bounds: LogBounds
) -> tuple[LogPosition, LedgerEntry | None]:
    """The life of the log we are in, and the last entry of an older life that is not closed yet.

    A topic made anew has a new id. A log shorter than what is sealed under the same id (an unclean loss at the
    broker) is a new life too: `<topic id>+1`, `+2`, …; a recreated topic never silently skips.
    """
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
    newest = newest_life(topic_id, sealed)
    is_over = newest in sealed and (sealed[newest] == END_OF_LOG or sealed[newest] + 1 > end_offset)
    return f"{topic_id}+{_number(newest) + 1}" if is_over else newest


def newest_life(topic_id: str, lives: Iterable[str]) -> str:
    """The newest recorded life of the topic with this id; its first one where none is recorded."""
    return max((life for life in lives if life.split("+")[0] == topic_id), key=_number, default=topic_id)


def _number(incarnation: str) -> int:
    _, _, number = incarnation.partition("+")
    return int(number) if number else 0


def is_closed(entry: LedgerEntry) -> bool:
    """Whether this entry closed its life of the topic."""
    return entry.last_offset == END_OF_LOG
