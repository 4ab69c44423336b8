"""A source's own counter (check 13): numbers between its smallest and largest that no row of the bundle has."""

from __future__ import annotations

from .findings import Findings

Source = tuple[bytes, bytes, bytes]
"""Tenant, source system, source instance."""

_BLOCK = 512


class Sequences:
    """The counters of all sources over all trees of a bundle, each as blocks of bits."""

    def __init__(self) -> None:
        self._blocks: dict[Source, dict[int, int]] = {}
        self.is_partial = False
        """A tree or a row could not be read: what it holds would seem to be missing."""

    def add(self, source: Source, number: int) -> None:
        """A number was seen."""
        blocks = self._blocks.setdefault(source, {})
        block, bit = divmod(number, _BLOCK)
        blocks[block] = blocks.get(block, 0) | 1 << bit

    def holes(self) -> dict[Source, tuple[int, int]]:
        """For each source with holes: how many numbers are missing, and the first of them."""
        return {source: found for source, blocks in self._blocks.items() if (found := _missing(blocks))[0]}

    def check(self, found: Findings) -> None:
        """Says the holes; not where rows are pruned or unread, which may be just those."""
        if self.is_partial or any(tree.pruned for tree in found.trees):
            return
        for (tenant, system, instance), (missing, first) in sorted(self.holes().items()):
            source = "/".join(ascii(part.decode(errors="replace"))[1:-1][:80] for part in (tenant, system, instance))
            about = f"source {source}: {missing} numbers of its own counter are in no row, the first is {first}"
            found.add("sequence_missing", "", about)


def _missing(blocks: dict[int, int]) -> tuple[int, int]:
    least, most = min(blocks), max(blocks)
    low = (blocks[least] & -blocks[least]).bit_length() - 1
    first, last = least * _BLOCK + low, most * _BLOCK + blocks[most].bit_length() - 1
    missing = last - first + 1 - sum(bits.bit_count() for bits in blocks.values())
    if not missing:
        return 0, -1
    block, bits = least, blocks[least] >> low << low | ((1 << low) - 1)
    while bits == (1 << _BLOCK) - 1:
        block += 1
        bits = blocks.get(block, 0)
    return missing, block * _BLOCK + (~bits & (bits + 1)).bit_length() - 1
