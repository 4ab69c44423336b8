"""Seals a batch: from the last ledger entry and the new leaves to the next ledger entry.

A batch's id is the first eight bytes, little-endian, of SHA-256(0x03 ‖ first offset as UInt64 ‖ root).
The entry's own hash is SHA-256(0x02 ‖ RowBinary of its columns in declared order, without `entry_hash`), so the chain
of entries can be recomputed in SQL as the leaves can. Pure; used by the writer, by recovery and by verification.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from pipeline.column_batch import leb128
from pipeline.columns import CANON_VERSION
from pipeline.events import LogPosition
from pipeline.ledger.leaf import BATCH_PREFIX, ENTRY_PREFIX
from pipeline.ledger.merkle import Frontier
from pipeline.ports import LedgerEntry

NO_HASH = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchContent:
    """What one batch holds: range, times (UTC µs) and counts."""

    first_offset: int
    last_offset: int
    first_received_at_us: int
    last_received_at_us: int
    n_events: int = 0
    n_dead_letters: int = 0
    n_gaps: int = 0
    n_subjects: int = 0
    n_alerts: int = 0
    n_unscored: int = 0


def seal(
    previous: LedgerEntry | None,
    position: LogPosition,
    leaves: Sequence[bytes],
    content: BatchContent,
    versions_id: bytes,
) -> LedgerEntry:
    """The entry that seals `leaves` (hashes in offset order) after `previous`.

    Raises: ValueError: the range does not follow the previous one without a hole.
    """
    expected = 0 if previous is None else previous.last_offset + 1
    if content.first_offset != expected or content.last_offset < content.first_offset:
        raise ValueError(f"a batch {content.first_offset}–{content.last_offset} cannot follow offset {expected - 1}")
    before = Frontier() if previous is None else Frontier(previous.tree_size, previous.frontier)
    after = before.append(leaves)
    root = after.root()
    unhashed = LedgerEntry(
        topic=position.topic,
        incarnation=position.incarnation,
        partition=position.partition,
        epoch=0 if previous is None else previous.epoch,
        first_offset=content.first_offset,
        last_offset=content.last_offset,
        tree_size_before=before.size,
        tree_size=after.size,
        n_events=content.n_events,
        n_dead_letters=content.n_dead_letters,
        n_gaps=content.n_gaps,
        n_subjects=content.n_subjects,
        n_alerts=content.n_alerts,
        n_unscored=content.n_unscored,
        root=root,
        frontier=after.hashes,
        previous_hash=NO_HASH if previous is None else previous.entry_hash,
        entry_hash=NO_HASH,
        canon_version=CANON_VERSION,
        versions_id=versions_id,
        batch_id=batch_id(content.first_offset, root),
        first_received_at_us=content.first_received_at_us,
        last_received_at_us=content.last_received_at_us,
    )
    return replace(unhashed, entry_hash=entry_hash(unhashed))


def batch_id(first_offset: int, root: bytes) -> int:
    """Names a batch by its beginning and the root after it; the rows that carry it are visible once it is sealed.

    The root alone is no name: it is the whole tree's, so it is the same for every batch that ends at one offset. A
    writer that lost its partition may have stored a batch that began earlier than the one that was sealed in the end.
    """
    return int.from_bytes(sha256(BATCH_PREFIX + struct.pack("<Q", first_offset) + root).digest()[:8], "little")


def entry_bytes(entry: LedgerEntry) -> bytes:
    """RowBinary of the entry's hashed columns: fixed-width numbers, hashes, texts, the frontier."""
    numbers = struct.pack(
        "<BIIQQQQQQQQQQQqq",
        entry.canon_version, entry.partition, entry.epoch, entry.first_offset, entry.last_offset,
        entry.tree_size_before, entry.tree_size, entry.n_events, entry.n_dead_letters, entry.n_gaps,
        entry.n_subjects, entry.n_alerts, entry.n_unscored, entry.batch_id,
        entry.first_received_at_us, entry.last_received_at_us,
    )  # fmt: skip
    hashes = entry.root + entry.previous_hash + entry.versions_id
    texts = b"".join(leb128(len(raw)) + raw for raw in (entry.topic.encode(), entry.incarnation.encode()))
    return numbers + hashes + texts + leb128(len(entry.frontier)) + b"".join(entry.frontier)


def entry_hash(entry: LedgerEntry) -> bytes:
    """The hash that the next entry points to, 32 bytes."""
    return sha256(ENTRY_PREFIX + entry_bytes(entry)).digest()
