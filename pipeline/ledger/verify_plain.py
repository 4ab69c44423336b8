"""Verification of a tree without entries: the log of incidents, which checkpoints alone bind.

Place in the flow: beside `ledger/verify.py`, for stores and bundles; checks 6, 9, 10 and 13.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from pipeline.ledger.checkpoint import Checkpoint
from pipeline.ledger.merkle import Frontier
from pipeline.ledger.verify import Behind, Findings, meet_checkpoints, tell_forks


class PlainCheck:
    """Takes leaf hashes in the order of offsets; `end` when there are no more."""

    def __init__(self, tree: str, checkpoints: Sequence[Checkpoint], findings: Findings, begin: Frontier) -> None:
        """`begin`: the tree before the first leaf."""
        self._tree, self._checkpoints, self._findings = tree, checkpoints, findings
        self._sizes = sorted({one.size for one in checkpoints})
        self._growing, self._first = begin, begin.size
        self._roots = {begin.size: begin.root()}
        tell_forks(tree, findings, checkpoints)

    @property
    def size(self) -> int:
        """Leaves of the tree so far."""
        return self._growing.size

    def add(self, leaves: Sequence[bytes]) -> None:
        """The next leaves."""
        begin, at = self.size, 0
        for size in self._sizes[bisect_right(self._sizes, begin) : bisect_right(self._sizes, begin + len(leaves))]:
            self._growing = self._growing.append(leaves[at : size - begin])
            at = size - begin
            self._roots[size] = self._growing.root()
        self._growing = self._growing.append(leaves[at:])

    def end(self, behind: Behind | None = None) -> int:
        """Compares with the checkpoints. Returns the size of the newest good one."""
        self._roots[self.size] = self._growing.root()
        span = (self._first, self.size)
        return meet_checkpoints(self._tree, self._findings, self._checkpoints, self._roots, span, behind)
