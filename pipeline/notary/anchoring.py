"""Hands checkpoints to one anchor, the newest of each tree, until it has them; says how long it lacks one already.

Place in the flow: between the notary and an anchor, each anchor with a thread of its own: one that is slow or away
keeps neither signing nor the others waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.notary.model import Anchor, SignedCheckpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorStanding:
    """How one anchor is. `code`: of its last failure, "": none. `anchored_s`: when it last took something; 0: not yet.

    `age_s`: how long it lacks a checkpoint already; 0: it has all. `waiting`: trees whose newest it lacks.
    """

    name: str
    kind: str
    code: str
    anchored_s: float
    age_s: float
    waiting: int
    checkpoints: int


class Anchoring:
    """What one anchor has and lacks. `clock`: seconds since 1970."""

    def __init__(self, name: str, kind: str, anchor: Anchor, clock: Callable[[], float]) -> None:
        self.name, self.kind = name, kind
        self._anchor, self._clock = anchor, clock
        self._lock = threading.Lock()
        self._waiting: dict[str, SignedCheckpoint] = {}
        self._since_s: dict[str, float] = {}
        self._code, self._anchored_s, self._checkpoints = "", 0.0, 0

    def offer(self, signed: Sequence[SignedCheckpoint]) -> None:
        """New checkpoints; of each tree the largest waits."""
        now_s = self._clock()
        with self._lock:
            for one in signed:
                before = self._waiting.get(one.origin)
                if before is None or before.checkpoint.size < one.checkpoint.size:
                    self._waiting[one.origin] = one
                self._since_s.setdefault(one.origin, now_s)

    def turn(self) -> None:
        """Hands over what waits; what the anchor does not take waits on."""
        with self._lock:
            batch = list(self._waiting.values())
        if not batch:
            return
        begun_s = self._clock()
        failed = self._anchor.publish(batch)
        with self._lock:
            self._code = next(iter(failed.values()), "")
            taken = [one for one in batch if one.origin not in failed]
            if taken:
                self._anchored_s = self._clock()
                self._checkpoints += len(taken)
            for one in taken:
                if self._waiting[one.origin] is one:
                    del self._waiting[one.origin], self._since_s[one.origin]
                else:  # the tree grew meanwhile: what it lacks now came after this turn began
                    self._since_s[one.origin] = begun_s

    def standing(self) -> AnchorStanding:
        """How it is now."""
        with self._lock:
            oldest_s = min(self._since_s.values(), default=None)
            return AnchorStanding(
                name=self.name, kind=self.kind, code=self._code, anchored_s=self._anchored_s,
                age_s=0.0 if oldest_s is None else max(0.0, self._clock() - oldest_s),
                waiting=len(self._waiting), checkpoints=self._checkpoints,
            )  # fmt: skip
