"""What goes into a bundle of evidence: whole ranges of the log, or single rows with their proofs.

Place in the flow: between `accesstrail evidence export` and the bundle's files; reads over a port, in the order of the
log. A range ends where a batch ends; where no checkpoint stands there, the step to the next one is proven. A row of a
selection is proven against the first checkpoint behind it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pipeline.errors import UsageError
from pipeline.events import LogPosition
from pipeline.ledger.bundle_writing import BundleWriter, TreeWriting
from pipeline.ledger.checkpoint import Checkpoint
from pipeline.ledger.leaf import leaf_hash
from pipeline.ledger.merkle import Frontier
from pipeline.ledger.proofs import Nodes
from pipeline.ledger.verify import Behind
from pipeline.ports import LedgerEntry

_RANGE_FILES = ("rows.bin", "entries.ndjson", "checkpoints.ndjson")
_SELECTION_FILES = ("rows.bin", "proofs.ndjson", "checkpoints.ndjson")
_ROWS_AT_ONCE = 50_000
_CHECKPOINTS_AHEAD = 2_000


class EvidenceTree(NamedTuple):
    """One tree of access events."""

    position: LogPosition
    epoch: int


class Row(NamedTuple):
    """One leaf: letter of its table, offset, its data or (of a pruned one, `P`) its hash."""

    table: str
    offset: int
    data: bytes

    @property
    def leaf(self) -> bytes:
        """Its leaf hash."""
        return self.data if self.table == "P" else leaf_hash(self.data)


class SignedCheckpoint(NamedTuple):
    """A checkpoint of the store, its note as it stands, and when it was signed, UTC microseconds."""

    checkpoint: Checkpoint
    note: bytes
    signed_at_us: int


TELLING = frozenset(("nothing_found", "export_large", "not_signed_yet"))
"""Refusals of a selection that say whether somebody was accessed: an answer, which is told like any other."""


class EvidenceSource(Protocol):
    """Where evidence is read."""

    def entries_between(self, tree: EvidenceTree, from_us: int, until_us: int) -> Iterator[LedgerEntry]:
        """Entries that hold anything received in [from, until), without holes between them, in order."""
        ...

    def entry_before(self, tree: EvidenceTree, first_offset: int) -> LedgerEntry | None:
        """The entry that ends before an offset; None at offset 0."""
        ...

    def entries_from(self, tree: EvidenceTree, offset: int, most_leaves: int) -> Sequence[LedgerEntry]:
        """The entry that holds an offset and those behind it, up to a size of the tree."""
        ...

    def rows_between(self, tree: EvidenceTree, first_offset: int, last_offset: int) -> Sequence[Row]:
        """The leaves of a range, in order."""
        ...

    def signed(self, tree: EvidenceTree) -> Sequence[SignedCheckpoint]:
        """The checkpoints, in the order of sizes."""
        ...

    def signed_from(self, tree: EvidenceTree, size: int, most: int) -> Sequence[SignedCheckpoint]:
        """The first checkpoints of at least so many leaves, in the order of sizes."""
        ...

    def largest_signed(self, tree: EvidenceTree) -> int:
        """Leaves of the largest checkpoint; 0 where there is none."""
        ...

    def incident_trees(self) -> Sequence[LogPosition]:
        """Every tree of the log of incidents."""
        ...

    def incident_rows(self, position: LogPosition) -> Iterator[Sequence[Row]]:
        """Its leaves, page by page, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Exported:
    """What went into a bundle."""

    trees: int = 0
    rows: int = 0
    unsigned: int = 0
    """Leaves that no checkpoint covers yet."""

    def plus(self, other: Exported) -> Exported:
        """Both together."""
        return Exported(self.trees + other.trees, self.rows + other.rows, self.unsigned + other.unsigned)


def export_range(
    source: EvidenceSource, trees: Iterable[EvidenceTree], from_us: int, until_us: int, bundle: BundleWriter
) -> Exported:
    """Everything that was received in [from, until): whole batches, so it begins and ends a little outside."""
    made = rows = unsigned = 0
    for tree in trees:
        entries = source.entries_between(tree, from_us, until_us)
        first = next(entries, None)
        if first is None:
            continue
        writing = bundle.tree(tree.position, tree.epoch, first.tree_size_before)
        last = _write_rows(source, tree, writing, first, entries)
        unsigned += _write_checkpoints(source, tree, writing, first, last)
        writing.end(_RANGE_FILES)
        made, rows = made + 1, rows + writing.leaves
    return Exported(made, rows, unsigned)


def _write_rows(
    source: EvidenceSource, tree: EvidenceTree, writing: TreeWriting, first: LedgerEntry, rest: Iterator[LedgerEntry]
) -> LedgerEntry:
    before = source.entry_before(tree, first.first_offset)
    if before is not None:
        writing.entry(before)
    begin, last = first.first_offset, first
    writing.entry(first)
    for entry in rest:
        if entry.last_offset - begin >= _ROWS_AT_ONCE:
            writing.rows((row.table, row.data) for row in source.rows_between(tree, begin, last.last_offset))
            begin = entry.first_offset
        writing.entry(entry)
        last = entry
    writing.rows((row.table, row.data) for row in source.rows_between(tree, begin, last.last_offset))
    return last


def _write_checkpoints(
    source: EvidenceSource, tree: EvidenceTree, writing: TreeWriting, first: LedgerEntry, last: LedgerEntry
) -> int:
    """The checkpoints of the range and, where none stands at its end, the step to the next; how much is unsigned."""
    signed = source.signed(tree)
    inside = [one for one in signed if first.tree_size_before <= one.checkpoint.size <= last.tree_size]
    for one in inside:
        writing.checkpoint(one.note, one.signed_at_us)
    if any(one.checkpoint.size == last.tree_size for one in inside):
        return 0
    later = next((one for one in signed if one.checkpoint.size > last.tree_size), None)
    if later is None:
        covered = max((one.checkpoint.size for one in inside), default=first.tree_size_before)
        return last.tree_size - covered
    size = later.checkpoint.size
    entries = [one for one in source.entries_from(tree, last.last_offset + 1, size) if one.tree_size <= size]
    leaves = source.rows_between(tree, last.last_offset + 1, entries[-1].last_offset) if entries else []
    nodes = Nodes(Frontier(last.tree_size, last.frontier), [row.leaf for row in leaves])
    if nodes.size < size:
        return last.tree_size
    writing.checkpoint(later.note, later.signed_at_us)
    writing.behind(Behind(size, later.checkpoint.root, nodes.consistency(last.tree_size, size)))
    return 0


def export_incidents(source: EvidenceSource, bundle: BundleWriter) -> Exported:
    """The whole log of incidents: it has no batches, so its checkpoints are what binds it."""
    made = rows = unsigned = 0
    for position in source.incident_trees():
        signed = source.signed(EvidenceTree(position, 0))
        writing = bundle.tree(position, 0)
        for page in source.incident_rows(position):
            writing.rows((row.table, row.data) for row in page)
        inside = [one for one in signed if one.checkpoint.size <= writing.leaves]
        for one in inside:
            writing.checkpoint(one.note, one.signed_at_us)
        unsigned += writing.leaves - max((one.checkpoint.size for one in inside), default=0)
        writing.end(("rows.bin", "checkpoints.ndjson"))
        made, rows = made + 1, rows + writing.leaves
    return Exported(made, rows, unsigned)


def export_selection(
    source: EvidenceSource, offsets: Mapping[EvidenceTree, Sequence[int]], bundle: BundleWriter
) -> Exported:
    """The rows at some offsets, each with its proof. Raises: UsageError `not_signed_yet`: no checkpoint covers one."""
    rows = 0
    for tree, wanted in offsets.items():
        if not wanted:
            continue
        writing = bundle.tree(tree.position, tree.epoch)
        used = _write_proofs(source, tree, writing, sorted(set(wanted)))
        for one in used:
            writing.checkpoint(one.note, one.signed_at_us)
        writing.end(_SELECTION_FILES)
        rows += writing.leaves
    return Exported(sum(bool(wanted) for wanted in offsets.values()), rows)


def are_signed(source: EvidenceSource, offsets: Mapping[EvidenceTree, Sequence[int]]) -> bool:
    """Whether a checkpoint covers all of these rows: a notary signs about a second after they were sealed."""
    return all(
        source.entries_from(tree, max(wanted), source.largest_signed(tree))
        for tree, wanted in offsets.items()
        if wanted
    )


def _write_proofs(
    source: EvidenceSource, tree: EvidenceTree, writing: TreeWriting, wanted: Sequence[int]
) -> list[SignedCheckpoint]:
    used, at, largest = dict[int, SignedCheckpoint](), 0, source.largest_signed(tree)
    while at < len(wanted):
        entries = source.entries_from(tree, wanted[at], largest)
        against = _covering(source, tree, entries)
        group = [one for one in entries if one.tree_size <= against.checkpoint.size]
        here = [offset for offset in wanted[at:] if offset <= group[-1].last_offset]
        _write_group(source, tree, writing, group, against, set(here))
        used[against.checkpoint.size] = against
        at += len(here)
    return [used[size] for size in sorted(used)]


def _covering(source: EvidenceSource, tree: EvidenceTree, entries: Sequence[LedgerEntry]) -> SignedCheckpoint:
    """The first checkpoint behind the first of the entries that ends where one of them ends.

    Only the next ones are asked for: a tree has one for every second that it grew in.
    """
    ends = {entry.tree_size for entry in entries}
    next_ones = source.signed_from(tree, min(ends), _CHECKPOINTS_AHEAD) if ends else ()
    found = next((one for one in next_ones if one.checkpoint.size in ends), None)
    if found is None:
        raise UsageError(
            "some of these rows are not behind a signed checkpoint yet: does `accesstrail notary` run? wait a second, "
            "and look at `accesstrail status`",
            code="not_signed_yet",
        )
    return found


def _write_group(
    source: EvidenceSource, tree: EvidenceTree, writing: TreeWriting, group: Sequence[LedgerEntry],
    against: SignedCheckpoint, wanted: set[int],
) -> None:  # fmt: skip
    first = group[0]
    before = source.entry_before(tree, first.first_offset)
    frontier = Frontier() if before is None else Frontier(before.tree_size, before.frontier)
    rows = source.rows_between(tree, first.first_offset, group[-1].last_offset)
    nodes = Nodes(frontier, [row.leaf for row in rows])
    size = against.checkpoint.size
    for number, row in enumerate(rows):
        if row.offset in wanted:
            index = frontier.size + number
            writing.rows([(row.table, row.data)])
            writing.proof(index, size, nodes.inclusion(index, size))


def by_tree(places: Iterable[tuple[LogPosition, int]], trees: Iterable[EvidenceTree]) -> dict[EvidenceTree, list[int]]:
    """Offsets by tree, in the order of trees; a position has one tree, or the newest of its epochs."""
    newest = {tree.position: tree for tree in trees}
    found: dict[EvidenceTree, list[int]] = defaultdict(list)
    for position, offset in places:
        found[newest[position]].append(offset)
    return {tree: found[tree] for tree in sorted(found, key=_order)}


def _order(tree: EvidenceTree) -> tuple[str, str, int, int]:
    place = tree.position
    return place.topic, place.incarnation, place.partition, tree.epoch
