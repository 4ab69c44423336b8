"""What one account does: by day, hour, kind of data, purpose and place, and whether that is its usual.

Place in the flow: answered by `adapters/actor_reading.py`; the console's page of an account. Days and hours are those
of the viewer's time zone. Pure: the reader hands over sums by several keys at once, here they are folded into tables.
Risk in hundredths, times UTC microseconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

NOW_DAYS, USUAL_DAYS = 7, 28
"""The days that are compared, and the days before them that they are compared with."""
LEAST_USUAL_DAYS = 5
"""With fewer active days before, there is no usual yet."""
MOST_NAMED = 12
MORE = 2.0
"""From twice the usual of an active day on, a page points at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorFacts:
    """What the newest access says of the account, and when it was seen."""

    actor_type: str
    org: str
    department: str
    role: str
    status: str
    first_us: int
    last_us: int


class ActorDay(NamedTuple):
    """One day of an account; `day`: days since 1970 in the viewer's zone."""

    day: int
    events: int
    denied: int
    explained: int
    records: int
    subjects: int
    unmasked: int
    highest_risk: int


class Slice(NamedTuple):
    """How many accesses share all of these."""

    resource_type: str
    purpose: str
    action: str
    outcome: str
    country: str
    network_kind: str
    explained: str
    events: int
    subjects: int


@dataclass(frozen=True, slots=True)
class Share:
    """One row of a table: a word, how many accesses, of how many subjects, how many of them denied, unexplained."""

    name: str
    events: int
    subjects: int
    denied: int
    unexplained: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """One amount of an active day: the median of the usual days, and the largest of the days looked at."""

    name: str
    usual: float
    now: float

    @property
    def is_more(self) -> bool:
        """Whether a page should point at it: at least twice the usual, and more than a handful."""
        return self.now >= MORE * max(self.usual, 1.0) and self.now >= 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorProfile:
    """Everything a page says of an account's doing. `usual_days`: active days that the usual is made of.

    `is_cut`: more different kinds of accesses than are read; the smallest are left out of the tables by word.
    """

    facts: ActorFacts | None
    days: Sequence[ActorDay]
    hours: Sequence[int]
    resource_types: Sequence[Share] = ()
    purposes: Sequence[Share] = ()
    actions: Sequence[Share] = ()
    countries: Sequence[Share] = ()
    networks: Sequence[Share] = ()
    comparisons: Sequence[Comparison] = ()
    usual_days: int = 0
    is_cut: bool = False


def shares(slices: Iterable[Slice], key: Callable[[Slice], str]) -> list[Share]:
    """The accesses by one word, the largest first; behind the first twelve the rest as one row named ""."""
    counts: dict[str, Counter[str]] = {}
    for one in slices:
        count = counts.setdefault(key(one), Counter())
        count["events"] += one.events
        count["subjects"] += one.subjects
        count["denied"] += one.events if one.outcome == "denied" else 0
        count["unexplained"] += one.events if one.explained == "not_yet_explained" else 0
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1]["events"], pair[0]))
    named = [_share(name or "–", count) for name, count in ordered[:MOST_NAMED]]
    rest = sum((count for _, count in ordered[MOST_NAMED:]), Counter[str]())
    return [*named, _share("", rest)] if rest["events"] else named


def _share(name: str, count: Counter[str]) -> Share:
    return Share(name, count["events"], count["subjects"], count["denied"], count["unexplained"])


def comparisons(days: Sequence[ActorDay], today: int) -> tuple[list[Comparison], int]:
    """The last seven days against the active days of the four weeks before; also how many of those there are.

    The median of active days, since an account that works on two days a week is not to be compared with idle ones.
    """
    now = [one for one in days if today - NOW_DAYS < one.day <= today]
    before = [one for one in days if today - NOW_DAYS - USUAL_DAYS < one.day <= today - NOW_DAYS and one.events]
    if len(before) < LEAST_USUAL_DAYS:
        return [], len(before)
    amounts: tuple[tuple[str, Callable[[ActorDay], int]], ...] = (
        ("events", lambda one: one.events),
        ("subjects", lambda one: one.subjects),
        ("records", lambda one: one.records),
        ("unexplained", lambda one: max(one.events - one.explained, 0)),
        ("denied", lambda one: one.denied),
        ("unmasked", lambda one: one.unmasked),
    )
    return [
        Comparison(name, float(median(of(one) for one in before)), float(max((of(one) for one in now), default=0)))
        for name, of in amounts
    ], len(before)
