"""Trees of random leaves with their entries, as the stream would seal them, and the leaves of each entry."""

from __future__ import annotations

import random
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from pipeline.columns import CANON_VERSION
from pipeline.events import LogPosition
from pipeline.ledger.append import BatchContent, seal
from pipeline.ledger.checkpoint import Checkpoint, TreeName
from pipeline.ledger.verify import Leaves
from pipeline.ports import LedgerEntry

NAME = TreeName("accesstrail", LogPosition("access.events", "life-1", 3))
BEGAN_US = 1_790_000_000_000_000
EVENT, DEAD_LETTER, GAP = 1, 2, 3


@dataclass(slots=True)
class Sealed:
    """One batch."""

    entry: LedgerEntry
    leaves: Leaves


def history(seed: int, batches: int = 6, name: TreeName = NAME, *, gaps: bool = False) -> list[Sealed]:
    """Batches of one to nine leaves; with `gaps`, some of them hold a gap of a few offsets."""
    draw, made, previous, offset = random.Random(seed), [], None, 0
    for _ in range(batches):
        _first, rows = offset, []
        for _ in range(draw.randint(1, 9)):
            kind = draw.choice([EVENT] * 6 + [DEAD_LETTER] + ([GAP] if gaps else []))
            last = offset + (draw.randint(0, 4) if kind == GAP else 0)
            rows.append((kind, offset, last, BEGAN_US + offset * 1000, kind == EVENT and draw.random() < 0.2,
                         draw.randint(0, 3) if kind == EVENT else 0))  # fmt: skip
            offset = last + 1
        sealed = _sealed(previous, name, rows, seed)
        made.append(sealed)
        previous = sealed.entry
    return made


def _sealed(
    previous: LedgerEntry | None, name: TreeName, rows: list[tuple[int, int, int, int, bool, int]], seed: int
) -> Sealed:
    hashes = [sha256(f"{seed}/{name}/{row}".encode()).digest() for row in rows]
    kinds = [row[0] for row in rows]
    content = BatchContent(
        first_offset=rows[0][1], last_offset=rows[-1][2], first_received_at_us=min(row[3] for row in rows),
        last_received_at_us=max(row[3] for row in rows), n_events=kinds.count(EVENT),
        n_dead_letters=kinds.count(DEAD_LETTER), n_gaps=kinds.count(GAP), n_subjects=sum(row[5] for row in rows),
        n_unscored=sum(row[4] for row in rows),
    )  # fmt: skip
    entry = seal(previous, name.position, hashes, content, sha256(b"versions").digest())
    _, offsets, lasts, times, unscored, subjects = (np.array(column) for column in zip(*rows, strict=True))
    return Sealed(
        entry,
        Leaves(
            offsets.astype(np.int64), lasts.astype(np.int64), times.astype(np.int64), np.array(kinds, np.uint8),
            np.full(len(rows), CANON_VERSION, np.uint8), unscored.astype(np.uint8), subjects.astype(np.int64),
            np.full(len(rows), entry.batch_id, np.uint64), hashes,
        ),
    )  # fmt: skip


def checkpoint_of(sealed: Sealed, name: TreeName = NAME) -> Checkpoint:
    """The checkpoint at the end of a batch."""
    return Checkpoint(name, sealed.entry.tree_size, sealed.entry.root)
