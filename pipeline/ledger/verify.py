"""Verification of one tree: from its entries, the rows behind them and signed checkpoints to what differs, and where.

Place in the flow: behind everything; pure, so that it runs alone on an auditor's laptop. Nothing of what it is given is
believed but the public keys that the checkpoints were opened with. The checks, numbered as in
`docs/reference/evidence.md` section 7 (1 to 4 are the readers': form, files, signatures, the checkpoint's tree):

    5  each entry's own hash; each entry follows the one before
    6  each row is where it says: kind, version, offset in its entry's range, offsets rise
    7  the root over the rows is the entry's; the entry's frontier gives its root
    8  counts, batch id and times of the entry are those of its rows
    9  each checkpoint has the root that the rows give at its size; none is larger than the tree; no two contradict
   13  no offset is in no leaf; the newest leaves are behind a checkpoint; times do not go back  (incomplete, no change)

After a difference the tree goes on from what the entry says, so that one change is told once and not for all that
follows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.events import LEAF_KINDS, codes
from pipeline.ledger.append import NO_HASH, batch_id, entry_hash
from pipeline.ledger.checkpoint import Checkpoint, TreeName
from pipeline.ledger.merkle import EMPTY_ROOT, Frontier
from pipeline.ledger.proofs import Proof, is_consistent
from pipeline.ports import LedgerEntry

CHECKS: Mapping[str, int] = {
    "bundle_malformed": 1, "bundle_file": 2, "checkpoint_signature": 3, "checkpoint_unsigned": 3,
    "checkpoint_malformed": 3, "checkpoint_tree": 4, "entry_hash": 5, "entry_chain": 5, "leaf_kind": 6, "row_order": 6,
    "entry_root": 7, "entry_frontier": 7, "entry_counts": 8, "checkpoint_root": 9, "checkpoint_beyond": 9,
    "checkpoint_fork": 9, "consistency": 10, "inclusion": 11, "derived": 12, "pruned_uncovered": 12,
    "view_changed": 12,
    "offset_missing": 13, "sequence_missing": 13, "not_covered": 13, "time_backwards": 13, "gap": 13,
    "retention_unended": 13, "incident_ahead": 13,
}  # fmt: skip
"""Code to number of the check."""
INCOMPLETE = 13
_MOST_TOLD = 100
_T = TypeVar("_T", bound=np.generic)
_KINDS = codes(LEAF_KINDS)
HIDDEN = 0
"""Leaf kind of a row of which only the hash is known."""
END_OF_LOG = 2**63 - 1
"""Last offset of a life of a topic that is over."""


class Behind(NamedTuple):
    """A checkpoint behind the last row, and the consistency proof that leads to it."""

    size: int
    root: bytes
    proof: Proof


class Difference(NamedTuple):
    """One thing that is not as it must be. `offset`: -1 where it is about none."""

    code: str
    tree: str
    offset: int
    about: str

    @property
    def check(self) -> int:
        """The number of the check."""
        return CHECKS[self.code]


@dataclass(slots=True)
class Findings:
    """Differences of all trees: the first hundred in words, all of them counted."""

    counts: Counter[str] = field(default_factory=Counter)
    told: list[Difference] = field(default_factory=list)

    def add(self, code: str, tree: str, about: str, offset: int = -1) -> None:
        """Notes one."""
        self.counts[code] += 1
        if len(self.told) < _MOST_TOLD:
            self.told.append(Difference(code, tree, offset, about))

    def take(self, other: Findings) -> None:
        """Adds what was found elsewhere."""
        self.counts += other.counts
        self.told += other.told[: max(0, _MOST_TOLD - len(self.told))]

    @property
    def has_differences(self) -> bool:
        """Whether anything was changed."""
        return any(CHECKS[code] != INCOMPLETE for code in self.counts)

    @property
    def is_incomplete(self) -> bool:
        """Whether something is missing although nothing was changed."""
        return any(CHECKS[code] == INCOMPLETE for code in self.counts)


@dataclass(frozen=True, slots=True)
class Leaves:
    """Rows of a range in the order of offsets, by columns of length n; `hashes[i]`: leaf hash of row i.

    `kinds`: number of the leaf kind; HIDDEN where only the hash is known of a row, whose offset is -1 if that is not
    known either. Times UTC µs.
    """

    offsets: npt.NDArray[np.int64]
    last_offsets: npt.NDArray[np.int64]
    received_at_us: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.uint8]
    versions: npt.NDArray[np.uint8]
    unscored: npt.NDArray[np.uint8]
    subjects: npt.NDArray[np.int64]
    batch_ids: npt.NDArray[np.uint64]
    hashes: Sequence[bytes]

    def part(self, begin: int, end: int) -> Leaves:
        """The rows from number `begin` to before `end`."""

        def cut(one: npt.NDArray[_T]) -> npt.NDArray[_T]:
            return one[begin:end]

        return Leaves(
            cut(self.offsets), cut(self.last_offsets), cut(self.received_at_us), cut(self.kinds), cut(self.versions),
            cut(self.unscored), cut(self.subjects), cut(self.batch_ids), self.hashes[begin:end],
        )  # fmt: skip


@dataclass(slots=True)
class TreeCounts:
    """What a tree holds, for the report."""

    leaves: int = 0
    events: int = 0
    dead_letters: int = 0
    gaps: int = 0
    unscored: int = 0
    pruned: int = 0
    first_offset: int = -1
    last_offset: int = -1
    covered: int = 0
    """Leaves behind the newest good checkpoint."""


@dataclass(slots=True)
class Report:
    """What a whole verification found."""

    findings: Findings = field(default_factory=Findings)
    trees: list[tuple[TreeName, TreeCounts]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What could not be looked at, and is no difference for that."""
    derived: list[str] = field(default_factory=list)
    """Derived tables that were compared with the rows; of a store only."""
    is_selection: bool = False
    """Single rows, each with a proof: what else there is cannot be said."""


class TreeCheck:
    """Takes one tree's entries and rows in order; `end` when there are no more."""

    def __init__(self, name: TreeName, checkpoints: Sequence[Checkpoint], findings: Findings) -> None:
        """`checkpoints`: of this tree, signed by a known key; in any order, repetitions allowed."""
        self.counts = TreeCounts()
        self.roots: dict[int, bytes] = {0: EMPTY_ROOT}
        """What the rows give at the sizes of checkpoints and at the ends of entries."""
        self._name, self._tree, self._findings = name, str(name), findings
        self._growing: Frontier | None = Frontier()
        self._before: LedgerEntry | None = None
        self._checkpoints = checkpoints
        self._sizes = sorted({one.size for one in checkpoints})
        self._begin = self._end = 0
        tell_forks(self._tree, findings, checkpoints)

    def _say(self, code: str, about: str, offset: int = -1) -> None:
        self._findings.add(code, self._tree, about, offset)

    @property
    def size(self) -> int:
        """Leaves of the tree so far, as its entries say."""
        return self._end

    def begin_behind(self, entry: LedgerEntry, first_leaf: int) -> None:
        """The range follows this entry and begins at this leaf; its frontier is bound by the roots that come."""
        self._check_entry_alone(entry)
        self._check_place(entry)
        if entry.tree_size != first_leaf:
            self._say("entry_chain", "the entry before the range ends at another leaf", entry.first_offset)
        if _ends_before_it_begins(entry):
            self._say("entry_chain", "it ends before it begins", entry.first_offset)
        self._before, self._begin, self._end = entry, first_leaf, entry.tree_size
        self._growing, self.roots = None, {}
        if len(entry.frontier) == entry.tree_size.bit_count():
            self._growing = Frontier(entry.tree_size, entry.frontier)
            self.roots[entry.tree_size] = self._growing.root()

    def entry(self, entry: LedgerEntry, leaves: Leaves) -> None:
        """The next entry and the rows of its range, in the order of offsets."""
        self._check_entry_alone(entry)
        self._check_place(entry)
        self._check_chain(entry)
        self._check_rows(entry, leaves)
        found = _counted(leaves)
        self._check_counts(entry, leaves, found)
        self._append(leaves.hashes)
        if self._growing is None or self._growing.root() != entry.root:
            about = f"the rows {entry.first_offset}-{entry.last_offset} do not give the root that was sealed"
            self._say("entry_root", about, entry.first_offset)
        self._count(entry, leaves, found)
        self._go_on_from(entry)

    def _check_entry_alone(self, entry: LedgerEntry) -> None:
        if entry_hash(entry) != entry.entry_hash:
            self._say("entry_hash", "the entry is not what its own hash says", entry.first_offset)
        if not _gives_its_root(entry):
            self._say("entry_frontier", "the entry's frontier does not give its root", entry.first_offset)

    def _check_place(self, entry: LedgerEntry) -> None:
        place = self._name.position
        if (entry.topic, entry.incarnation, entry.partition, entry.epoch) != (
            place.topic, place.incarnation, place.partition, self._name.epoch,
        ):  # fmt: skip
            self._say("entry_chain", "it names another tree", entry.first_offset)

    def _check_chain(self, entry: LedgerEntry) -> None:
        before = self._before
        wrong = []
        if entry.previous_hash != (NO_HASH if before is None else before.entry_hash):
            wrong.append("it does not point to the entry before")
        expected = 0 if before is None else before.last_offset + 1
        if entry.first_offset != expected:
            wrong.append(f"it begins at offset {entry.first_offset} and not at {expected}")
        if _ends_before_it_begins(entry):
            wrong.append("it ends before it begins")
        if entry.tree_size_before != (0 if before is None else before.tree_size):
            wrong.append("it follows a tree of another size")
        for one in wrong:
            self._say("entry_chain", one, entry.first_offset)
        if before is not None and entry.last_received_at_us < before.last_received_at_us:
            self._say("time_backwards", "the broker's time went back", entry.first_offset)

    def _check_rows(self, entry: LedgerEntry, leaves: Leaves) -> None:
        """Check 6, and that the rows cover the range without a hole (13)."""
        offsets, kept = leaves.offsets, leaves.kinds != HIDDEN
        known = np.isin(leaves.kinds, list(_KINDS.values())) & (leaves.versions == entry.canon_version)
        for row in np.flatnonzero(kept & ~known)[:_MOST_TOLD].tolist():
            self._say("leaf_kind", "a row of an unknown kind or of another version than its entry", int(offsets[row]))
        marked = leaves.batch_ids != entry.batch_id
        for row in np.flatnonzero(kept & marked)[:_MOST_TOLD].tolist():
            self._say("row_order", "a row carries the mark of another batch", int(offsets[row]))
        placed = offsets >= 0
        offsets, last = offsets[placed], leaves.last_offsets[placed]
        outside = (offsets < entry.first_offset) | (last > entry.last_offset) | (last < offsets)
        for row in np.flatnonzero(outside)[:_MOST_TOLD].tolist():
            self._say("row_order", "a row lies outside the range of its entry", int(offsets[row]))
        for row in np.flatnonzero(offsets[1:] <= last[:-1])[:_MOST_TOLD].tolist():
            self._say("row_order", "the offsets do not rise", int(offsets[row + 1]))
        if placed.all():
            self._check_cover(entry, offsets, last)

    def _check_cover(self, entry: LedgerEntry, offsets: npt.NDArray[np.int64], last: npt.NDArray[np.int64]) -> None:
        order = np.argsort(offsets, kind="stable")
        is_over = entry.last_offset == END_OF_LOG  # nothing can begin behind the end of a log
        stop = END_OF_LOG if is_over else entry.last_offset + 1
        begins = np.minimum(np.concatenate((offsets[order], [stop])), stop)
        ends = np.maximum.accumulate(np.concatenate(([entry.first_offset - 1], last[order])))
        steps = np.where(begins > ends, (begins - ends).view(np.uint64), 0)  # up to 2^63, which no int64 holds
        steps[-1] += np.uint64(is_over)
        for row in np.flatnonzero(steps > 1)[:_MOST_TOLD].tolist():
            self._say("offset_missing", f"{int(steps[row]) - 1} offsets are in no row", int(ends[row]) + 1)

    def _check_counts(self, entry: LedgerEntry, leaves: Leaves, found: Mapping[str, int]) -> None:
        whole = bool((leaves.kinds != HIDDEN).all())
        wrong = []
        for name, count in found.items():
            if whole and getattr(entry, name) != count:
                wrong.append(name)
        if len(leaves.hashes) != entry.tree_size - entry.tree_size_before:
            wrong.append("tree_size")
        if entry.n_events + entry.n_dead_letters + entry.n_gaps != entry.tree_size - entry.tree_size_before:
            wrong.append("the sum of its counts")
        if batch_id(entry.first_offset, entry.root) != entry.batch_id:
            wrong.append("batch_id")
        times = leaves.received_at_us
        stated = (entry.first_received_at_us, entry.last_received_at_us)
        if whole and len(times) and stated != (int(times.min()), int(times.max())):
            wrong.append("its times")
        if wrong:
            self._say("entry_counts", f"not what the rows give: {', '.join(wrong)}", entry.first_offset)

    def _append(self, hashes: Sequence[bytes]) -> None:
        """Appends the leaves; notes the root at each size that a checkpoint has."""
        if self._growing is None:
            return
        begin, at = self._growing.size, 0
        for size in self._sizes[bisect_right(self._sizes, begin) : bisect_right(self._sizes, begin + len(hashes))]:
            self._growing = self._growing.append(hashes[at : size - begin])
            at = size - begin
            self.roots.setdefault(size, self._growing.root())
        self._growing = self._growing.append(hashes[at:])

    def _count(self, entry: LedgerEntry, leaves: Leaves, found: Mapping[str, int]) -> None:
        counts = self.counts
        counts.leaves = entry.tree_size
        counts.events += found["n_events"]
        counts.dead_letters += found["n_dead_letters"]
        counts.gaps += found["n_gaps"]
        counts.unscored += found["n_unscored"]
        counts.pruned += int((leaves.kinds == HIDDEN).sum())
        counts.first_offset = entry.first_offset if counts.first_offset < 0 else counts.first_offset
        counts.last_offset = entry.last_offset
        for row in np.flatnonzero(leaves.kinds == _KINDS["gap"])[:_MOST_TOLD].tolist():
            about = f"Kafka did not give the offsets up to {int(leaves.last_offsets[row])}"
            self._say("gap", about, int(leaves.offsets[row]))

    def _go_on_from(self, entry: LedgerEntry) -> None:
        """From what the entry states, or from the rows where it contradicts itself and they fit."""
        self._before, self._end = entry, max(self._end, entry.tree_size)
        if _gives_its_root(entry):
            self._growing = Frontier(entry.tree_size, entry.frontier)
        elif self._growing is not None and self._growing.size != entry.tree_size:
            self._growing = None
        if self._growing is not None:
            self.roots.setdefault(entry.tree_size, self._growing.root())

    def end(self, behind: Behind | None = None) -> None:
        """There are no more entries: what is signed of them and beyond them, and what is not."""
        self.counts.covered = meet_checkpoints(
            self._tree, self._findings, self._checkpoints, self.roots, (self._begin, self.size), behind
        )


def tell_forks(tree: str, findings: Findings, checkpoints: Sequence[Checkpoint]) -> None:
    """Check 9: two roots of one size are signed."""
    roots: dict[int, bytes] = {}
    for one in checkpoints:
        if roots.setdefault(one.size, one.root) != one.root:
            about = f"two signed checkpoints of {one.size} leaves name different roots"
            findings.add("checkpoint_fork", tree, about)


def meet_checkpoints(
    tree: str, findings: Findings, checkpoints: Sequence[Checkpoint], roots: Mapping[int, bytes],
    span: tuple[int, int], behind: Behind | None,
) -> int:  # fmt: skip
    """Checks 9, 10 and coverage. `roots`: what the rows give by size; `span`: first leaf and end of what is there.

    Returns the size of the newest good checkpoint. Where a step to a later one is proven, the whole span is covered.
    """
    begin, end = span
    covered = end if _is_proven(tree, findings, checkpoints, roots.get(end), end, behind) else -1
    for size, root in sorted({(one.size, one.root) for one in checkpoints}):
        if begin <= size <= end:
            if roots.get(size) == root:
                covered = max(covered, size)
            else:
                findings.add("checkpoint_root", tree, f"the signed checkpoint of {size} leaves names another root")
        elif size > max(begin, end) and (behind is None or size > behind.size):
            about = f"{size} leaves were signed, {end} are there: the end was cut off"
            findings.add("checkpoint_beyond", tree, about)
    if covered < end:
        about = f"{max(0, end - max(covered, begin))} of {max(0, end - begin)} leaves are behind no good checkpoint"
        findings.add("not_covered", tree, about)
    return max(covered, 0)


def _is_proven(
    tree: str, findings: Findings, checkpoints: Sequence[Checkpoint], root: bytes | None, end: int,
    behind: Behind | None,
) -> bool:  # fmt: skip
    if behind is None:
        return False
    if not any((one.size, one.root) == (behind.size, behind.root) for one in checkpoints):
        findings.add("consistency", tree, "no checkpoint has the size and root that the consistency proof leads to")
    elif root is None or not is_consistent(end, root, behind.size, behind.root, behind.proof):
        findings.add("consistency", tree, "the consistency proof does not lead from what the rows give")
    else:
        return True
    return False


def _counted(leaves: Leaves) -> dict[str, int]:
    kinds = leaves.kinds
    return {
        "n_events": int((kinds == _KINDS["event"]).sum()),
        "n_dead_letters": int((kinds == _KINDS["dead_letter"]).sum()),
        "n_gaps": int((kinds == _KINDS["gap"]).sum()),
        "n_unscored": int(leaves.unscored.sum()),
        "n_subjects": int(leaves.subjects.sum()),
    }


def _ends_before_it_begins(entry: LedgerEntry) -> bool:
    return entry.last_offset < entry.first_offset or entry.tree_size < entry.tree_size_before


def _gives_its_root(entry: LedgerEntry) -> bool:
    return len(entry.frontier) == entry.tree_size.bit_count() and _root(entry) == entry.root


def _root(entry: LedgerEntry) -> bytes:
    return Frontier(entry.tree_size, entry.frontier).root()
