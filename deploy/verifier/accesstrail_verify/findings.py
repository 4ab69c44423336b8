"""What verification finds: the codes of the document's section 7, differences, counts of each tree, the verdict."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

CHECKS = {
    "bundle_malformed": 1,
    "bundle_file": 2,
    "checkpoint_signature": 3,
    "checkpoint_unsigned": 3,
    "checkpoint_malformed": 3,
    "checkpoint_tree": 4,
    "entry_hash": 5,
    "entry_chain": 5,
    "leaf_kind": 6,
    "row_order": 6,
    "entry_root": 7,
    "entry_frontier": 7,
    "entry_counts": 8,
    "checkpoint_root": 9,
    "checkpoint_beyond": 9,
    "checkpoint_fork": 9,
    "consistency": 10,
    "inclusion": 11,
    "offset_missing": 13,
    "sequence_missing": 13,
    "not_covered": 13,
    "time_backwards": 13,
    "gap": 13,
}
"""Code to number of the check; 12 (`derived`) is the store's own."""

INCOMPLETE = 13
LISTED_PER_CODE = 100
"""Differences of one code that are listed one by one; all are counted."""


class Malformed(Exception):
    """A part of the bundle cannot be read as the document says; what depends on it is not looked at."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it must be."""

    check: int
    code: str
    tree: str
    offset: int | None
    leaf: int | None
    about: str


@dataclass(slots=True)
class TreeCounts:
    """What one tree of the bundle holds, as counted from its rows."""

    tree: str
    name: str
    first_leaf: int = 0
    leaves: int = 0
    events: int = 0
    dead_letters: int = 0
    gaps: int = 0
    incident_records: int = 0
    unscored: int = 0
    pruned: int = 0
    entries: int = 0
    checkpoints: int = 0
    covered: int = 0


@dataclass(slots=True)
class Findings:
    """Everything said about a bundle."""

    trees: list[TreeCounts] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    is_selection: bool = False

    def add(self, code: str, tree: str, about: str, *, offset: int | None = None, leaf: int | None = None) -> None:
        """A difference, or (check 13) something that is missing."""
        self.codes[code] += 1
        if self.codes[code] <= LISTED_PER_CODE:
            self.differences.append(Difference(CHECKS[code], code, tree, offset, leaf, about))

    def take(self, other: Findings) -> None:
        """What was found of one tree."""
        self.trees += other.trees
        self.notes += other.notes
        for difference in other.differences:
            if sum(known.code == difference.code for known in self.differences) < LISTED_PER_CODE:
                self.differences.append(difference)
        self.codes += other.codes

    @property
    def verdict(self) -> str:
        """`differences`, `incomplete` or `intact`."""
        if any(CHECKS[code] != INCOMPLETE for code in self.codes):
            return "differences"
        return "incomplete" if self.codes else "intact"

    @property
    def exit_code(self) -> int:
        """0, 1 or 3, as in section 7."""
        return {"intact": 0, "differences": 1, "incomplete": 3}[self.verdict]

    def as_json(self) -> dict[str, Any]:
        """The whole as one object with stable keys."""
        return {
            "verdict": self.verdict,
            "exit": self.exit_code,
            "kind": "selection" if self.is_selection else "range",
            "trees": [asdict(tree) for tree in self.trees],
            "codes": {code: self.codes[code] for code in CHECKS if code in self.codes},
            "differences": [asdict(difference) for difference in self.differences],
            "notes": self.notes,
        }
