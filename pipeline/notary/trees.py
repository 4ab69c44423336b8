"""Follows one tree from what was signed to what the store holds now: pure, refuses what does not lead there.

Place in the flow: inside the notary. A tree of entries (`access.events`) is followed entry by entry; a tree without
entries (`access.incidents`) leaf by leaf, with a frontier of its own. Each question to the store begins with the entry
or leaf that was signed last, so that a history that was cut off or written anew is seen in the same round.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.errors import TreeRefused
from pipeline.events import LogPosition
from pipeline.ledger.append import NO_HASH, entry_hash
from pipeline.ledger.checkpoint import Checkpoint
from pipeline.ledger.merkle import Frontier
from pipeline.notary.model import TREE_CHANGED, TREE_SHORTENED, Leaf
from pipeline.ports import LedgerEntry


class EntryTree:
    """One tree of `access.events`. `last`: the entry that the newest checkpoint stands at; None: none is signed."""

    def __init__(self, epoch: int, last: LedgerEntry | None = None) -> None:
        self._epoch = epoch
        self.last = last

    @classmethod
    def resumed(cls, signed: Checkpoint, found: LedgerEntry | None) -> EntryTree:
        """From a signed checkpoint; `found`: the first entry that has as many leaves. Raises: TreeRefused."""
        if found is None:
            raise TreeRefused(f"{signed.name}: {signed.size} leaves are signed, and there are fewer", TREE_SHORTENED)
        if (found.tree_size, found.root) != (signed.size, signed.root):
            raise TreeRefused(f"{signed.name}: no entry leads to the signed root of {signed.size} leaves", TREE_CHANGED)
        _check_itself(found)
        return cls(signed.name.epoch, found)

    @property
    def from_offset(self) -> int:
        """Where the next question begins: at the last entry itself."""
        return 0 if self.last is None else self.last.first_offset

    def follow(self, found: Sequence[LedgerEntry]) -> LedgerEntry | None:
        """The newest entry if it is more than what is signed. Raises: TreeRefused."""
        if self.last is not None:
            if not found:
                raise TreeRefused("the entry that was signed is gone, and none is behind it", TREE_SHORTENED)
            if found[0] != self.last:
                raise TreeRefused("the entry that was signed is another one now", TREE_CHANGED)
        before = self.last
        for entry in found[self.last is not None :]:
            self._check_next(before, entry)
            before = entry
        return before if before is not self.last else None

    def _check_next(self, before: LedgerEntry | None, entry: LedgerEntry) -> None:
        _check_itself(entry)
        if before is None:
            begins = (entry.tree_size_before, entry.previous_hash) == (0, NO_HASH)
            follows = begins and (entry.first_offset == 0 or self._epoch > 0)
        else:
            follows = (entry.first_offset, entry.tree_size_before, entry.previous_hash) == (
                before.last_offset + 1, before.tree_size, before.entry_hash,
            ) and _is_grown(before, entry)  # fmt: skip
        if not follows or entry.last_offset < entry.first_offset or entry.tree_size <= entry.tree_size_before:
            raise TreeRefused(f"the entry at offset {entry.first_offset} does not follow", TREE_CHANGED)


def _check_itself(entry: LedgerEntry) -> None:
    """Own hash, and root by frontier. Raises: TreeRefused."""
    if len(entry.frontier) != entry.tree_size.bit_count() or entry_hash(entry) != entry.entry_hash:
        raise TreeRefused(f"the entry at offset {entry.first_offset} is not what its hash says", TREE_CHANGED)
    if Frontier(entry.tree_size, entry.frontier).root() != entry.root:
        raise TreeRefused(f"the entry at offset {entry.first_offset} has a root of other leaves", TREE_CHANGED)


def _is_grown(before: LedgerEntry, entry: LedgerEntry) -> bool:
    """Whether the complete subtrees that both trees must have are the same."""
    shared = 0
    for bit in reversed(range(entry.tree_size.bit_length())):
        if before.tree_size >> bit != entry.tree_size >> bit:
            break
        shared += before.tree_size >> bit & 1
    return before.frontier[:shared] == entry.frontier[:shared]


class LeafTree:
    """One tree of `access.incidents`, made again from its leaves. `signed`: what it must lead through."""

    def __init__(self, position: LogPosition, signed: Checkpoint | None) -> None:
        self.frontier = Frontier()
        self._signed = signed
        self._last: Leaf | None = None
        self.position = position

    @property
    def last_offset(self) -> int:
        """Offset of the newest leaf; -1: none."""
        return -1 if self._last is None else self._last.offset

    @property
    def from_offset(self) -> int:
        """Where the next question begins: at the last leaf itself."""
        return max(0, self.last_offset)

    def take(self, found: Sequence[Leaf], *, is_all: bool) -> None:
        """Adds leaves. `is_all`: there is none behind them. Raises: TreeRefused."""
        if self._last is not None:
            if not found:
                raise TreeRefused("the row that was hashed last is gone, and none is behind it", TREE_SHORTENED)
            if found[0] != self._last:
                raise TreeRefused("the row that was hashed last is another one now", TREE_CHANGED)
            found = found[1:]
        due = max(0, self._signed.size - self.frontier.size) if self._signed else 0
        self._append(found[:due])
        if self._signed and due and self.frontier.size == self._signed.size:
            if self.frontier.root() != self._signed.root:
                raise TreeRefused("the rows have another root than was signed", TREE_CHANGED)
        elif due and is_all:
            raise TreeRefused(f"{self.frontier.size} rows are there and more were signed", TREE_SHORTENED)
        self._append(found[due:])

    def _append(self, leaves: Sequence[Leaf]) -> None:
        if leaves:
            self.frontier = self.frontier.append(leaf.hash for leaf in leaves)
            self._last = leaves[-1]
