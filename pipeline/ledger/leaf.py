"""Leaf and node hashes of the ledger's trees.

RFC 6962 section 2.1: a leaf is SHA-256(0x00 ‖ data), a node SHA-256(0x01 ‖ left ‖ right). The data of a leaf are the
canonical bytes of one stored row: ClickHouse's RowBinary of its evidence columns in declared order.
"""

from __future__ import annotations

from hashlib import sha256

LEAF_PREFIX = b"\x00"
NODE_PREFIX = b"\x01"
ENTRY_PREFIX = b"\x02"
"""Prefix of a ledger entry's own hash: no leaf or node can be mistaken for an entry."""
BATCH_PREFIX = b"\x03"
"""Prefix of what a batch's id is taken from."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of one row's canonical bytes, 32 bytes."""
    return sha256(LEAF_PREFIX + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees, 32 bytes."""
    return sha256(NODE_PREFIX + left + right).digest()
