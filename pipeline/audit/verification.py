"""One verification of the store, told afterwards: when, by whom, what it came to, what differs and where.

Place in the flow: made by `accesstrail verify --store` of the report of its checks, kept by
`adapters/verification_results.py`, shown by the console. What is kept proves nothing, since whoever writes the state
folder writes it too: so it names the keys and how many checkpoints from elsewhere it was run with, and whoever doubts
it runs the command again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.ledger.verify import CHECKS, INCOMPLETE, Report

INTACT, MISSING, DIFFERS, UNJUDGED = "intact", "incomplete", "differences", "not_judged"
VERDICTS = (INTACT, MISSING, DIFFERS, UNJUDGED)
"""What a run comes to; the first three as `verify --json` says them, the last where it could not be run to its end."""
COUNTED = ("leaves", "covered", "events", "dead_letters", "gaps", "unscored", "pruned")
"""What is counted of each tree."""
MOST_TREES = 500
OLD_AFTER_US = 7 * 86_400_000_000
"""A verdict that is older says little of today."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDifference:
    """One thing that is not as it must be. `offset`: -1 where it is about none; `about`: English, of our own words."""

    check: int
    code: str
    tree: str
    offset: int
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedTree:
    """What one tree of the ledger holds. `covered`: leaves behind the newest good checkpoint."""

    name: str
    leaves: int
    events: int
    dead_letters: int
    gaps: int
    unscored: int
    pruned: int
    covered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationRun:
    """One run; times UTC microseconds.

    `by`: the account that named itself, "": nobody did. `code`: why it could not be judged. `hashed_by`: `here`, this
    process, or `engine`, the server. `keys`: name and hash of each public key that could sign. `kept`: checkpoints from
    outside the store that it was compared with. `counts`: differences by code, all of them; `differences`: the first
    hundred. `trees`: the first five hundred of `tree_count`; `totals`: sums over all of them, by the names of COUNTED.
    """

    began_us: int
    ended_us: int
    verdict: str
    by: str = ""
    code: str = ""
    hashed_by: str = "here"
    keys: Sequence[str] = ()
    kept: int = 0
    counts: Mapping[str, int]
    totals: Mapping[str, int] = field(default_factory=dict)
    differences: Sequence[FoundDifference] = ()
    trees: Sequence[VerifiedTree] = ()
    tree_count: int = 0
    derived: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def is_judged(self) -> bool:
        """Whether it came to a verdict."""
        return self.verdict != UNJUDGED

    @property
    def changed(self) -> int:
        """How many differences are changes; what is only missing is none."""
        return sum(count for code, count in self.counts.items() if CHECKS.get(code) != INCOMPLETE)

    @property
    def missing(self) -> int:
        """How many things are missing although nothing was changed."""
        return sum(count for code, count in self.counts.items() if CHECKS.get(code) == INCOMPLETE)

    def total(self, name: str) -> int:
        """The sum of a count over all trees."""
        return self.totals.get(name, 0)


@dataclass(frozen=True, slots=True)
class Verifications:
    """The runs that are kept, the newest first. `unreadable`: files that are none."""

    runs: Sequence[VerificationRun] = ()
    unreadable: int = 0

    @property
    def judged(self) -> VerificationRun | None:
        """The newest that came to a verdict."""
        return next((one for one in self.runs if one.is_judged), None)

    def is_old_at(self, now_us: int) -> bool:
        """Whether the newest verdict says little of a moment."""
        return self.judged is not None and now_us - self.judged.began_us > OLD_AFTER_US


def verdict_of(report: Report) -> str:
    """What a whole report comes to."""
    if report.findings.has_differences:
        return DIFFERS
    return MISSING if report.findings.is_incomplete else INTACT


def run_of(report: Report, *, began_us: int, ended_us: int, by: str, hashed_by: str, keys: Sequence[str], kept: int
           ) -> VerificationRun:  # fmt: skip
    """The run that a report tells of."""
    return VerificationRun(
        began_us=began_us, ended_us=ended_us, verdict=verdict_of(report), by=by, hashed_by=hashed_by, keys=keys,
        kept=kept, counts=dict(report.findings.counts), tree_count=len(report.trees), derived=tuple(report.derived),
        notes=tuple(report.notes),
        totals={name: sum(getattr(one, name) for _, one in report.trees) for name in COUNTED},
        differences=[
            FoundDifference(check=one.check, code=one.code, tree=one.tree, offset=one.offset, about=one.about)
            for one in report.findings.told
        ],
        trees=[
            VerifiedTree(
                name=str(name), leaves=one.leaves, events=one.events, dead_letters=one.dead_letters, gaps=one.gaps,
                unscored=one.unscored, pruned=one.pruned, covered=one.covered,
            ) for name, one in report.trees[:MOST_TREES]
        ],
    )  # fmt: skip


def unjudged(code: str, *, began_us: int, ended_us: int, by: str, hashed_by: str, keys: Sequence[str], kept: int
             ) -> VerificationRun:  # fmt: skip
    """A run that did not come to its end, and why."""
    return VerificationRun(
        began_us=began_us, ended_us=ended_us, verdict=UNJUDGED, code=code, by=by, hashed_by=hashed_by, keys=keys,
        kept=kept, counts={},
    )  # fmt: skip
