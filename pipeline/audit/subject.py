"""Who touched a data subject: per account how often, when, what for, and whether work explains it.

Place in the flow: answered by `adapters/subject_reading.py`. What explains an access is the final verdict where a day
has passed (`access_explanations`), else what the stream said. The count comes from `subject_access`, a table made from
the evidence; the evidence itself is counted beside it, and the page says when the two differ. Times UTC microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

EXPLAINED, CLAIMED, UNEXPLAINED, OPEN = "explained", "claimed", "unexplained", "not_yet_explained"
MOST_ACTORS = 500
"""At most so many accounts are listed; the sums count all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toucher:
    """One account that touched the subject. `open`: not explained yet, the day after has not come."""

    actor_token: str
    department: str
    accesses: int
    first_us: int
    last_us: int
    explained: int
    claimed: int
    unexplained: int
    open: int
    denied: int
    highest_risk: int
    actions: Sequence[str]
    purposes: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCheck:
    """The same question asked of the evidence itself. `in_evidence`: accesses that name the subject, counted between
    two counts of the table by subject.

    `unlisted`: accesses of anybody in the period that touched more data subjects than they list: whether this one is
    among them, nobody can tell from the events alone.
    """

    in_evidence: int
    in_table_before: int
    in_table_after: int
    unlisted: int

    @property
    def differs(self) -> bool:
        """Whether the evidence holds another number of accesses than the table by subject.

        Events go on arriving, not least the looks at this very subject: the table is counted before and after.
        """
        return not self.in_table_before <= self.in_evidence <= self.in_table_after


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectHistory:
    """Everybody who touched a subject in a period, as the table by subject has it."""

    actors: int
    accesses: int
    repeated: int
    touchers: Sequence[Toucher]

    @property
    def unexplained(self) -> int:
        """Accesses that nothing explains, or nothing yet; of the accounts that are listed."""
        return sum(one.unexplained + one.open for one in self.touchers)
