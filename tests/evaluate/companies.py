"""Which companies the evaluation looks at: drawn from wide ranges by their seed, ten to tune on, five held out.

Nobody looks at a held-out company while anything about detection is still being changed: their difference from the
others is what tuning flatters. The number of stories grows with the company, because so does the alert budget: with
every scenario three times in a company of sixty there would be more attacks than alerts. Companies that were held out
once and opened (9201–9205 on 2026-11-26, 9301–9305 on 2026-11-27) count among the tuning ones since. 9401–9403 were
scored once when models of version 4 were finished, and nothing was changed after it; 9404 and 9405 never were.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta

from pipeline.sources.simulate.catalogue import CATALOGUE

TUNING = (9201, 9202, 9203, 9204, 9205, 9301, 9302, 9303, 9304, 9305)
HELD_OUT = (9401, 9402, 9403, 9404, 9405)
SETS = {"tuning": TUNING, "held out": HELD_OUT}
BUDGET_PER_DAY, BUDGET_ACTORS = 12.0, 400
STRENGTHS = 3
"""Each scenario that happens does so once in each strength."""


@dataclass(frozen=True, slots=True)
class CompanyPlan:
    """One company, its days and what happens in it."""

    seed: int
    actors: int
    start: date
    days: int
    train_days: int
    scenarios: tuple[str, ...]

    @property
    def budget_per_day(self) -> float:
        """Alerts really fired a day: 12 for 400 accounts."""
        return BUDGET_PER_DAY * self.actors / BUDGET_ACTORS

    @property
    def first_scored(self) -> date:
        """The first local day that is scored."""
        return self.start + timedelta(days=self.train_days)


def drawn(seed: int) -> CompanyPlan:
    """The company of a seed: 60–400 accounts, 84 days that begin on some Monday of 2026, the last 28 of them scored."""
    chance = random.Random(f"evaluation:{seed}")
    actors = chance.randint(60, 400)
    start = date(2026, 1, 5) + timedelta(weeks=chance.randint(0, 39))
    wanted = max(6, round(len(CATALOGUE) * actors / BUDGET_ACTORS))
    return CompanyPlan(seed, actors, start, 84, 56, tuple(sorted(chance.sample(sorted(CATALOGUE), wanted))))
