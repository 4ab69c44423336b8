"""The proof that a tree is an earlier one gone on, from the earlier frontier and the leaves behind it as they pass by.

Place in the flow: made by the notary for witnesses. `proofs.Nodes` keeps every node it saw, to prove many things; here
one proof is made of any number of leaves in the memory of its hashes (at most 63). RFC 6962 section 2.1.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from pipeline.ledger.merkle import Frontier
from pipeline.ledger.proofs import Proof

_CHUNK = 4096
_Span = tuple[int, int]


def consistency(before: Frontier, size: int, leaves: Iterable[bytes]) -> tuple[Proof, Frontier]:
    """The proof from `before` to the tree of `size` leaves, and that tree; `leaves`: all behind `before`, in order.

    Raises: ValueError: there are not as many leaves, or the sizes do not follow.
    """
    spans = _spans(before.size, size)
    passing, after, hashes = iter(leaves), before, dict[_Span, bytes]()
    # Those to the right of the earlier tree follow each other without a hole up to the end.
    for first, count in sorted(spans):
        if first + count <= before.size:
            hashes[first, count] = _within(before, first, count)
            continue
        inside = Frontier()
        for start in range(0, count, _CHUNK):
            taken = _exactly(passing, min(_CHUNK, count - start))
            inside, after = inside.append(taken), after.append(taken)
        hashes[first, count] = inside.root()
    if next(passing, None) is not None:
        raise ValueError("there are more leaves than the tree is to have")
    return tuple(hashes[span] for span in spans), after


def _exactly(leaves: Iterator[bytes], count: int) -> list[bytes]:
    found = list(islice(leaves, count))
    if len(found) != count:
        raise ValueError("there are fewer leaves than the tree is to have")
    return found


def _spans(old: int, new: int) -> list[_Span]:
    """First leaf and size of each subtree of the proof, in the proof's order."""
    if not 0 < old <= new:
        raise ValueError(f"a tree of {new} leaves is none of {old} gone on")
    path, first, size, whole = list[_Span](), 0, new, True
    while old != size:
        left = 1 << ((size - 1).bit_length() - 1)
        if old <= left:
            path.append((first + left, size - left))
            size = left
        else:
            path.append((first, left))
            first, size, old, whole = first + left, size - left, old - left, False
    return [*([] if whole else [(first, size)]), *reversed(path)]


def _within(frontier: Frontier, first: int, count: int) -> bytes:
    """The hash of a subtree that the frontier holds, or of all from `first` to its end."""
    at, hashes = 0, list[bytes]()
    bits = [bit for bit in reversed(range(frontier.size.bit_length())) if frontier.size >> bit & 1]
    for bit, one in zip(bits, frontier.hashes, strict=True):
        if first <= at and at + (1 << bit) <= first + count:
            hashes.append(one)
        at += 1 << bit
    return Frontier(count, tuple(hashes)).root()
