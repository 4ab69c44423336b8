"""Trees and proofs of RFC 6962 (section 2 of the document)."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """The leaf of a row's data."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The node above two others."""
    return sha256(b"\x01" + left + right).digest()


def folded(frontier: Sequence[bytes]) -> bytes:
    """The root above a frontier."""
    if not frontier:
        return EMPTY_ROOT
    root = frontier[-1]
    for left in reversed(frontier[:-1]):
        root = sha256(b"\x01" + left + root).digest()
    return root


class GrowingTree:
    """A tree of which only the frontier is kept."""

    def __init__(self, size: int, frontier: Sequence[bytes]) -> None:
        self.size = size
        self.frontier = list(frontier)

    def add(self, leaf: bytes) -> None:
        """One more leaf."""
        ones = self.size
        frontier = self.frontier
        while ones & 1:
            leaf = sha256(b"\x01" + frontier.pop() + leaf).digest()
            ones >>= 1
        frontier.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The root of the leaves so far."""
        return folded(self.frontier)


def is_frontier(size: int, frontier: Sequence[bytes]) -> bool:
    """Whether a frontier has as many hashes as a tree of that size."""
    return size.bit_count() == len(frontier)


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof leads from the leaf to the root (RFC 6962 2.1.1; the walk of RFC 9162 2.1.3.2)."""
    if index >= size:
        return False
    at, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            node = node_hash(sibling, node)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        at >>= 1
        last >>= 1
    return last == 0 and node == root


def is_consistent(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the smaller tree is the beginning of the larger (RFC 6962 2.1.2; the walk of RFC 9162 2.1.4.2)."""
    if first >= second:
        return first == second and not proof and first_root == second_root
    if first == 0:
        return not proof and first_root == EMPTY_ROOT
    path = list(proof)
    if first.bit_count() == 1:
        path.insert(0, first_root)
    if not path:
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at >>= 1
        last >>= 1
    small = large = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            small, large = node_hash(sibling, small), node_hash(sibling, large)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            large = node_hash(large, sibling)
        at >>= 1
        last >>= 1
    return last == 0 and small == first_root and large == second_root
