"""Ledger entries (section 3, check 5): read from `entries.ndjson`, hashed again, linked to the one before."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from . import merkle
from .bundle import MAX_NUMBER, Bundle, Fields, Json, TreeRange
from .findings import Findings, Malformed

_U64 = ("first_offset", "last_offset", "tree_size_before", "tree_size", "n_events", "n_dead_letters", "n_gaps")
_U64_MORE = ("n_subjects", "n_alerts", "n_unscored")
_TIMES = ("first_received_at", "last_received_at")
_HASHES = ("root", "previous_hash", "versions_id")
_KEYS = frozenset(
    (
        *("canon_version", "partition", "epoch", *_U64, *_U64_MORE, "batch_id", *_TIMES, *_HASHES),
        *("topic", "incarnation", "frontier", "entry_hash"),
    )
)
_BATCH_ID = re.compile(r"0|[1-9][0-9]{0,19}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as the bundle states it."""

    canon_version: int
    partition: int
    epoch: int
    numbers: dict[str, int]
    batch_id: int
    first_received_at: int
    last_received_at: int
    root: bytes
    previous_hash: bytes
    versions_id: bytes
    topic: str
    incarnation: str
    frontier: tuple[bytes, ...]
    entry_hash: bytes

    @property
    def first_offset(self) -> int:
        """First offset of the batch."""
        return self.numbers["first_offset"]

    @property
    def last_offset(self) -> int:
        """Last offset of the batch."""
        return self.numbers["last_offset"]

    @property
    def size_before(self) -> int:
        """Leaves before the batch."""
        return self.numbers["tree_size_before"]

    @property
    def size(self) -> int:
        """Leaves with the batch."""
        return self.numbers["tree_size"]

    @property
    def growth(self) -> int:
        """Leaves of the batch."""
        return max(0, self.size - self.size_before)

    def own_hash(self) -> bytes:
        """The hash of the entry bytes, computed again."""
        data = b"".join(
            (
                struct.pack("<BII", self.canon_version, self.partition, self.epoch),
                struct.pack("<10Q", *(self.numbers[name] for name in (*_U64, *_U64_MORE))),
                struct.pack("<Qqq", self.batch_id, self.first_received_at, self.last_received_at),
                self.root + self.previous_hash + self.versions_id,
                *(_written(len(text)) + text for text in (self.topic.encode(), self.incarnation.encode())),
                _written(len(self.frontier)),
                *self.frontier,
            )
        )
        return sha256(b"\x02" + data).digest()

    def gives_its_root(self) -> bool:
        """Whether the frontier is one of its size and folds to its root."""
        return merkle.is_frontier(self.size, self.frontier) and merkle.folded(self.frontier) == self.root


def _written(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def read_entries(bundle: Bundle, path: str) -> Iterator[Entry]:
    """The entries of a tree; `Malformed` where a line is none."""
    for number, value in enumerate(bundle.lines(path), start=1):
        yield _entry(value, f"{path}, line {number}")


def _entry(value: Json, where: str) -> Entry:
    fields = Fields(value, _KEYS, where)
    batch_id = fields.text("batch_id", _BATCH_ID)
    if int(batch_id) >= 2**64:
        raise Malformed(f"{where}: batch_id is too large")
    return Entry(
        canon_version=fields.number("canon_version", 255),
        partition=fields.number("partition", 2**32 - 1),
        epoch=fields.number("epoch", 2**32 - 1),
        numbers={name: fields.number(name) for name in (*_U64, *_U64_MORE)},
        batch_id=int(batch_id),
        first_received_at=fields.number("first_received_at", least=-MAX_NUMBER - 1),
        last_received_at=fields.number("last_received_at", least=-MAX_NUMBER - 1),
        root=fields.hash("root"),
        previous_hash=fields.hash("previous_hash"),
        versions_id=fields.hash("versions_id"),
        topic=fields.name("topic"),
        incarnation=fields.name("incarnation"),
        frontier=fields.hashes("frontier"),
        entry_hash=fields.hash("entry_hash"),
    )


def check_chain(tree: TreeRange, entries: Sequence[Entry], found: Findings) -> None:
    """Check 5, each entry's own hash and its link to the one before, and whether a frontier gives its root (7)."""
    previous: Entry | None = None
    for entry in entries:
        at = entry.first_offset
        if entry.own_hash() != entry.entry_hash:
            found.add("entry_hash", tree.id, "the entry's bytes have another hash than it says", offset=at)
        if about := _breaks(tree, previous, entry):
            found.add("entry_chain", tree.id, about, offset=at)
        if not entry.gives_its_root():
            found.add("entry_frontier", tree.id, "the entry's frontier does not give its root", offset=at)
        if previous is not None and entry.last_received_at < previous.last_received_at:
            found.add("time_backwards", tree.id, "the broker's time went back behind the entry before", offset=at)
        previous = entry


def _breaks(tree: TreeRange, previous: Entry | None, entry: Entry) -> str:
    if (entry.topic, entry.incarnation, entry.partition, entry.epoch) != (
        *(tree.topic, tree.incarnation, tree.partition, tree.epoch),
    ):
        return "the entry belongs to another tree"
    if entry.first_offset > entry.last_offset or entry.size_before > entry.size:
        return "the entry ends before it begins"
    if previous is not None:
        return _does_not_follow(previous, entry)
    if tree.first_leaf:
        return "" if entry.size == tree.first_leaf else "the entry before the range ends at another leaf"
    if entry.first_offset or entry.size_before or any(entry.previous_hash):
        return "the first entry does not begin at offset 0 with an empty tree"
    return ""


def _does_not_follow(previous: Entry, entry: Entry) -> str:
    if entry.previous_hash != previous.entry_hash:
        return "previous_hash is not the hash of the entry before"
    if entry.first_offset != previous.last_offset + 1:
        return "the entry does not begin where the one before ends"
    if entry.size_before != previous.size:
        return "the entry's tree does not begin with that of the one before"
    return ""
