"""The append-only hash tree of RFC 6962, kept as its frontier: log2(n) hashes instead of n leaves.

The frontier holds the roots of the complete subtrees of a tree of `size` leaves, largest first: one for each 1 bit of
`size`. Appending and the root need nothing else, so a ledger entry that carries the frontier can be gone on from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from pipeline.ledger.leaf import NODE_PREFIX, node_hash

EMPTY_ROOT = sha256().digest()
"""RFC 6962: the root of the empty tree is the hash of the empty string."""


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree of `size` leaves by the roots of its complete subtrees, largest first."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.hashes) != self.size.bit_count():
            raise ValueError(f"a tree of {self.size} leaves has {self.size.bit_count()} subtrees")

    def append(self, leaves: Iterable[bytes]) -> Frontier:
        """The tree with these leaf hashes added, in order.

        >>> Frontier().append([b"a" * 32, b"b" * 32]) == Frontier().append([b"a" * 32]).append([b"b" * 32])
        True
        """
        size, stack = self.size, list(self.hashes)
        for leaf in leaves:
            node, bits = leaf, size
            while bits & 1:
                node = sha256(NODE_PREFIX + stack.pop() + node).digest()
                bits >>= 1
            stack.append(node)
            size += 1
        return Frontier(size, tuple(stack))

    def root(self) -> bytes:
        """The Merkle tree hash of the whole tree, 32 bytes."""
        if not self.hashes:
            return EMPTY_ROOT
        node = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            node = node_hash(left, node)
        return node
