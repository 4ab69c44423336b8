"""The sources' own counters over all trees of a bundle: which numbers between the first and the last are in no row.

Place in the flow: under `ledger/bundle_check.py`, check 13. Numbers are kept as bits of large integers, so that ten
million events of one source take about a megabyte.
"""

from __future__ import annotations

from collections import defaultdict

from pipeline.ledger.verify import Findings

_BLOCK = 4096
Source = tuple[bytes, bytes, bytes]


class Sequences:
    """Counters by tenant, source system and instance."""

    def __init__(self) -> None:
        self._seen: dict[Source, dict[int, int]] = defaultdict(dict)
        self.is_partial = False
        """A tree or a row could not be read: what it holds would seem to be missing."""

    def add(self, source: Source, number: int) -> None:
        """A row carries this number."""
        block, bit = divmod(number, _BLOCK)
        blocks = self._seen[source]
        blocks[block] = blocks.get(block, 0) | 1 << bit

    def missing(self) -> dict[Source, int]:
        """How many numbers of each source are in no row; sources without holes are left out."""
        found = {source: _missing(blocks) for source, blocks in self._seen.items()}
        return {source: count for source, count in found.items() if count}

    def tell(self, findings: Findings, notes: list[str], *, is_judged: bool) -> None:
        """Tells the holes. Not `is_judged`: rows were pruned, which may be just those."""
        holes = {} if self.is_partial else self.missing()
        if holes and not is_judged:
            notes.append("rows are pruned: holes in the sources' own counters are not judged")
            return
        for (_, system, instance), count in sorted(holes.items()):
            name = f"{system.decode(errors='replace')[:80]}/{instance.decode(errors='replace')[:80]}"
            findings.add("sequence_missing", "", f"source {name!a}: {count} numbers of its own counter are in no row")


def _missing(blocks: dict[int, int]) -> int:
    first, last = min(blocks), max(blocks)
    low = (blocks[first] & -blocks[first]).bit_length() - 1
    high = blocks[last].bit_length() - 1
    span = (last * _BLOCK + high) - (first * _BLOCK + low) + 1
    return span - sum(bits.bit_count() for bits in blocks.values())
