"""What `protect` hands on: the batch without any raw identifier, and beside it what the vault is to keep.

Every stage after it reads the columns only; `identities` go to the vault and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipeline.column_batch import ColumnBatch, FixedColumn, join_rows
from pipeline.privacy.identities import NamedTokens

SELF_GRANT, CONSENT_WITHDRAWN = 1, 2
"""Bits of `Protected.marks`: what only the raw event shows."""


@dataclass(slots=True)
class Protected:
    """One batch of protected events, n rows in log order.

    `columns`: every column of ACCESS_EVENT_COLUMNS that a wire field fills. `sequence` uint32 (n,): order-preserving
    surrogate of the number the resource's id (else the first subject's id) ends in, shifted modulo 2^32 by a secret
    per actor; differences within one actor survive, the number does not; 0 none. `home_partitions` int32 (n,): the
    partition that the actor's key belongs to. `subject_rows` int32 (s,): the row of each item of `subject_tokens`.
    `marks` uint8 (n,): bits of what can be told only while the raw identifiers are at hand.
    `canonical`: by token column (`subject_tokens`: by item), what the same identifiers' tokens were before the key was
    rotated and will be after it is again: whoever remembers goes by these. Empty while the first key signs.
    """

    columns: ColumnBatch
    sequence: npt.NDArray[np.uint32]
    home_partitions: npt.NDArray[np.int32]
    subject_rows: npt.NDArray[np.int32]
    marks: npt.NDArray[np.uint8]
    identities: Sequence[NamedTokens] = field(default=(), repr=False)
    canonical: Mapping[str, npt.NDArray[np.void]] = field(default_factory=dict, repr=False)

    def person_tokens(self, name: str) -> npt.NDArray[np.generic]:
        """A token column as detectors compare it: canonical tokens, V16 (n,)."""
        found = self.canonical.get(name)
        return self.columns.fixed(name) if found is None else found

    def mark_misrouted(self, partition: int) -> None:
        """Fills column `misrouted`: 1 where a record of this partition belongs to another one."""
        misrouted = (self.home_partitions != partition).astype(np.uint8)
        self.columns.columns["misrouted"] = FixedColumn(misrouted)

    @classmethod
    def joined(cls, parts: Sequence[Protected]) -> Protected:
        """The events of all parts (at least one), one after the other."""
        if len(parts) == 1:
            return parts[0]
        firsts = np.cumsum([0, *(part.columns.count for part in parts[:-1])], dtype=np.int32)
        return cls(
            join_rows([part.columns for part in parts]),
            np.concatenate([part.sequence for part in parts]),
            np.concatenate([part.home_partitions for part in parts]),
            np.concatenate([part.subject_rows + first for part, first in zip(parts, firsts, strict=True)]),
            np.concatenate([part.marks for part in parts]),
            [one for part in parts for one in part.identities],
            {name: np.concatenate([part.person_tokens(name) for part in parts]) for name in _names(parts)},
        )


def _names(parts: Sequence[Protected]) -> list[str]:
    """The columns that any part has canonical tokens of; a part whose column is empty has none of its own."""
    return sorted({name for part in parts for name in part.canonical})
