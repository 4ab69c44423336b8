"""What the notary signs, and what it needs from store and anchors, as Protocols.

Place in the flow: beside it, behind the ledger. The core (`notary.py`, `trees.py`, `anchoring.py`) knows these only;
ClickHouse, files and HTTP are adapters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pipeline.events import LogPosition
from pipeline.ledger.checkpoint import Checkpoint, TreeName
from pipeline.ledger.merkle import Frontier
from pipeline.ports import LedgerEntry

TREE_SHORTENED, TREE_CHANGED, CHECKPOINT_FORK = "tree_shortened", "tree_changed", "checkpoint_fork"
CHECKPOINT_FORGED, ANCHOR_AGE = "checkpoint_forged", "anchor_age"
WITNESS_REFUSED, WITNESS_AHEAD = "witness_refused", "witness_ahead"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCheckpoint:
    """One checkpoint as it is stored and anchored. `last_offset`: up to which the leaves go."""

    checkpoint: Checkpoint
    last_offset: int
    frontier: tuple[bytes, ...]
    note: bytes
    signed_at_us: int

    @property
    def origin(self) -> str:
        """The tree's name as in the note."""
        return str(self.checkpoint.name)


class TreeStart(NamedTuple):
    """From where on a tree is read: entries by their first offset, leaves by theirs."""

    position: LogPosition
    epoch: int
    from_offset: int


class Leaf(NamedTuple):
    """One leaf of a tree without entries."""

    position: LogPosition
    offset: int
    hash: bytes


class StoredNote(NamedTuple):
    """A row of `checkpoints` as it is found, before anybody has checked the note."""

    note: bytes
    last_offset: int
    frontier: tuple[bytes, ...]
    signed_at_us: int


class CheckpointStore(Protocol):
    """Trees and checkpoints; every method may raise Away or StoreRefused."""

    def event_trees(self, topic: str) -> Sequence[tuple[LogPosition, int]]:
        """Every life of every partition in the ledger, and its epochs."""
        ...

    def incident_trees(self, topic: str) -> Sequence[LogPosition]:
        """Every life of every partition in the log of incidents."""
        ...

    def entries_from(self, topic: str, starts: Sequence[TreeStart], limit: int) -> Sequence[LedgerEntry]:
        """Entries of these trees, each from its start on, ordered by life, partition, first offset."""
        ...

    def entry_at(self, position: LogPosition, epoch: int, size: int) -> LedgerEntry | None:
        """The first entry of a tree after which it has at least so many leaves."""
        ...

    def incident_leaves_from(self, topic: str, starts: Sequence[TreeStart], limit: int) -> Sequence[Leaf]:
        """Leaves of these trees, each from its start on, ordered by life, partition, offset."""
        ...

    def newest(self, topics: Sequence[str]) -> Sequence[StoredNote]:
        """Each tree's largest stored checkpoint, with every different note of it."""
        ...

    def add(self, signed: Sequence[SignedCheckpoint]) -> None:
        """Stores checkpoints; the same notes again change nothing."""
        ...


class ProofStore(Protocol):
    """What a consistency proof is made of; every method may raise Away or StoreRefused."""

    def at_size(self, name: TreeName, size: int) -> tuple[Frontier, int] | None:
        """The tree at a stored checkpoint of this size, and the offset of its last leaf; None where none is stored."""
        ...

    def leaves_between(self, name: TreeName, after_offset: int, last_offset: int) -> Iterator[bytes]:
        """Hashes of the leaves of a range, in order."""
        ...

    def add(self, signed: Sequence[SignedCheckpoint]) -> None:
        """Stores cosigned checkpoints."""
        ...


class Anchor(Protocol):
    """A place outside the store. One thread at a time."""

    def publish(self, signed: Sequence[SignedCheckpoint]) -> Mapping[str, str]:
        """Hands checkpoints over; by origin the code of what it did not take. Nothing is raised."""
        ...
