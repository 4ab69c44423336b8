"""A ledger and a log of incidents in memory that may be cut, changed and taken away, and a notary over them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256

from pipeline.errors import AccesstrailError
from pipeline.events import LogPosition
from pipeline.ledger.append import BatchContent, entry_hash, seal
from pipeline.ledger.checkpoint import TreeName
from pipeline.ledger.merkle import Frontier
from pipeline.ledger.signed_note import PrivateKey, PublicKey
from pipeline.notary.model import Leaf, SignedCheckpoint, StoredNote, TreeStart
from pipeline.notary.notary import Notary, NotarySettings
from pipeline.ports import LedgerEntry

EVENTS, INCIDENTS = "access.events", "access.incidents"
KEY = PrivateKey("accesstrail", bytes(range(32)))
ONE, OTHER = LogPosition(EVENTS, "life-1", 0), LogPosition(EVENTS, "life-1", 1)
LOG = LogPosition(INCIDENTS, "life-1", 0)


def leaf_of(*words: object) -> bytes:
    return sha256(repr(words).encode()).digest()


def _order(position: LogPosition) -> tuple[str, int]:
    return position.incarnation, position.partition


class FakeTrees:
    """`CheckpointStore` and `ProofStore`. What `faults` holds is raised, one a call of `add`."""

    def __init__(self) -> None:
        self.entries: dict[tuple[LogPosition, int], list[LedgerEntry]] = {}
        self.event_leaves: dict[LogPosition, list[bytes]] = {}
        self.incidents: dict[LogPosition, list[Leaf]] = {}
        self.rows: list[SignedCheckpoint] = []
        self.faults: list[AccesstrailError] = []

    def grow(self, position: LogPosition, leaves: int = 3, epoch: int = 0, salt: object = "") -> LedgerEntry:
        """One batch more."""
        tree = self.entries.setdefault((position, epoch), [])
        previous = tree[-1] if tree else None
        first = previous.last_offset + 1 if previous else 0
        hashes = [leaf_of(position, first + number, salt) for number in range(leaves)]
        content = BatchContent(
            first_offset=first, last_offset=first + leaves - 1, first_received_at_us=1, last_received_at_us=2,
            n_events=leaves,
        )  # fmt: skip
        entry = seal(previous, position, hashes, content, b"v" * 32)
        if epoch:
            entry = replace(entry, epoch=epoch)
            entry = replace(entry, entry_hash=entry_hash(entry))
        tree.append(entry)
        self.event_leaves.setdefault(position, []).extend(hashes)
        return entry

    def log(self, position: LogPosition, count: int = 2, salt: object = "") -> None:
        """Rows of incidents more; every second offset is none."""
        log = self.incidents.setdefault(position, [])
        for _ in range(count):
            offset = log[-1].offset + 2 if log else 1
            log.append(Leaf(position, offset, leaf_of(position, offset, salt)))

    # -- the roles

    def event_trees(self, topic: str) -> Sequence[tuple[LogPosition, int]]:
        found = [tree for tree, entries in self.entries.items() if entries]
        return sorted(found, key=lambda tree: (_order(tree[0]), tree[1]))

    def incident_trees(self, topic: str) -> Sequence[LogPosition]:
        return sorted((position for position, leaves in self.incidents.items() if leaves), key=_order)

    def entries_from(self, topic: str, starts: Sequence[TreeStart], limit: int) -> Sequence[LedgerEntry]:
        found = [
            entry
            for one in starts
            for entry in self.entries.get((one.position, one.epoch), [])
            if entry.first_offset >= one.from_offset
        ]
        return sorted(found, key=lambda one: (*_order(one.position), one.first_offset))[:limit]

    def entry_at(self, position: LogPosition, epoch: int, size: int) -> LedgerEntry | None:
        return next((one for one in self.entries.get((position, epoch), []) if one.tree_size >= size), None)

    def incident_leaves_from(self, topic: str, starts: Sequence[TreeStart], limit: int) -> Sequence[Leaf]:
        found = [
            leaf for one in starts for leaf in self.incidents.get(one.position, []) if leaf.offset >= one.from_offset
        ]
        return sorted(found, key=lambda one: (*_order(one.position), one.offset))[:limit]

    def newest(self, topics: Sequence[str]) -> Sequence[StoredNote]:
        newest: dict[str, int] = {}
        for one in self.rows:
            newest[one.origin] = max(newest.get(one.origin, 0), one.checkpoint.size)
        return [
            StoredNote(one.note, one.last_offset, one.frontier, one.signed_at_us)
            for one in self.rows
            if one.checkpoint.size == newest[one.origin]
        ]

    def add(self, signed: Sequence[SignedCheckpoint]) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.rows += signed

    def at_size(self, name: TreeName, size: int) -> tuple[Frontier, int] | None:
        found = [one for one in self.rows if one.origin == str(name) and one.checkpoint.size == size]
        return (Frontier(size, found[0].frontier), found[0].last_offset) if found else None

    def leaves_between(self, name: TreeName, after_offset: int, last_offset: int) -> Iterator[bytes]:
        if name.position in self.incidents:
            found = [one.hash for one in self.incidents[name.position] if after_offset < one.offset <= last_offset]
            return iter(found)
        return iter(self.event_leaves[name.position][after_offset + 1 : last_offset + 1])


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now_s = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now_s


class Keys:
    """The key in use and all public ones."""

    def __init__(self) -> None:
        self.key = KEY
        self.known: tuple[PublicKey, ...] = (KEY.public,)

    def rotate(self) -> None:
        self.key = PrivateKey("accesstrail", sha256(self.key.seed).digest())
        self.known += (self.key.public,)


def notary_over(
    store: FakeTrees, clock: Clock | None = None, keys: Keys | None = None, anchored: Iterable[bytes] = ()
) -> Notary:
    """A notary that has begun."""
    known = keys or Keys()
    settings = NotarySettings(
        deployment="accesstrail", events_topic=EVENTS, incidents_topic=INCIDENTS, key=lambda: known.key,
        known=lambda: known.known,
    )  # fmt: skip
    made = Notary(store, settings, clock or Clock())
    made.begin(anchored)
    return made
