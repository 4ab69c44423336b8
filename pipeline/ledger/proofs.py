"""Proofs about a tree without the tree: that a leaf is in it, and that one tree is another one gone on.

Place in the flow: made by the notary and by exports, checked by verification and witnesses. RFC 6962 section 2.1 says
what the proofs are, RFC 9162 sections 2.1.3.2 and 2.1.4.2 how they are checked. Inclusion takes at most log2(n) hashes:
960 bytes at 10^9 leaves.

Whoever proves needs no leaf before the tree's frontier at some earlier size: `Nodes` takes that frontier and the leaves
behind it, which is what a reader of one range of the log has.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.ledger.leaf import node_hash
from pipeline.ledger.merkle import Frontier

Proof = tuple[bytes, ...]


class Nodes:
    """The subtrees of a tree that can be had from its frontier at `before.size` and all leaves behind it."""

    def __init__(self, before: Frontier, leaves: Sequence[bytes]) -> None:
        self._first = before.size
        self._levels: list[dict[int, bytes]] = [dict(enumerate(leaves, start=before.size))]
        self.size = before.size + len(leaves)
        at = 0
        for bit in reversed(range(before.size.bit_length())):
            if before.size >> bit & 1:
                self._level(bit)[at >> bit] = before.hashes[(before.size >> bit).bit_count() - 1]
                at += 1 << bit
        self._build()

    def _level(self, bit: int) -> dict[int, bytes]:
        while len(self._levels) <= bit:
            self._levels.append({})
        return self._levels[bit]

    def _build(self) -> None:
        """All complete subtrees that end behind the frontier."""
        bit = 0
        while 1 << (bit + 1) <= self.size:
            below, here = self._level(bit), self._level(bit + 1)
            for number in range(self._first >> (bit + 1), self.size >> (bit + 1)):
                if number not in here:
                    here[number] = node_hash(below[2 * number], below[2 * number + 1])
            bit += 1

    def hash_of(self, first: int, size: int) -> bytes:
        """The root over the leaves `first` to `first + size`. Raises: KeyError: it lies before the frontier."""
        if size & (size - 1) == 0:
            bit = size.bit_length() - 1
            return self._levels[bit][first >> bit]
        left = _split(size)
        return node_hash(self.hash_of(first, left), self.hash_of(first + left, size - left))

    def root(self, size: int) -> bytes:
        """The root of the first `size` leaves."""
        return self.hash_of(0, size) if size else Frontier().root()

    def inclusion(self, index: int, size: int) -> Proof:
        """That leaf `index` is in the tree of `size` leaves (PATH of RFC 6962). Raises: ValueError, KeyError."""
        if not 0 <= index < size <= self.size:
            raise ValueError(f"leaf {index} is not in a tree of {size} leaves")
        path, first = [], 0
        while size > 1:
            left = _split(size)
            if index - first < left:
                path.append(self.hash_of(first + left, size - left))
                size = left
            else:
                path.append(self.hash_of(first, left))
                first, size = first + left, size - left
        return tuple(reversed(path))

    def consistency(self, old: int, new: int) -> Proof:
        """That the tree of `new` leaves begins with the one of `old` (PROOF of RFC 6962).

        Raises: ValueError, KeyError.
        """
        if not 0 < old <= new <= self.size:
            raise ValueError(f"a tree of {new} leaves is none of {old} gone on")
        path, first, size, whole = [], 0, new, True
        while old != size:
            left = _split(size)
            if old <= left:
                path.append(self.hash_of(first + left, size - left))
                size = left
            else:
                path.append(self.hash_of(first, left))
                first, size, old, whole = first + left, size - left, old - left, False
        return tuple(reversed([*path] if whole else [*path, self.hash_of(first, size)]))


def _split(size: int) -> int:
    """The largest power of two below `size` (at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof shows leaf hash `leaf` at `index` of the tree (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last, found = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            found = node_hash(step, found)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, step)
        node, last = node >> 1, last >> 1
    return last == 0 and found == root


def is_consistent(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows the tree of `new` leaves to begin with the one of `old` (RFC 9162 section 2.1.4.2)."""
    if old == new:
        return not proof and old_root == new_root
    if not 0 <= old < new or (old == 0) != (not proof):
        return False
    if old == 0:
        return old_root == Frontier().root()
    steps = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    before = after = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            before, after = node_hash(step, before), node_hash(step, after)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            after = node_hash(after, step)
        node, last = node >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root
