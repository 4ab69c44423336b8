"""What the plain reference of the features remembers: own levels, days of use, customers; no arrays, no rounding.

Written from the definitions, to be read rather than to be fast; `reference_features` puts the pieces together.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field

_GOLDEN = 0x9E3779B97F4A7C15
_WORD = 2**64
_FORGET_DAYS = 120
_CUSTOMERS = 40
_VISIT_MINUTES = 120
_DAY_MINUTES = 1440
# Totals of a day: of open accesses, but for those of `all_…` and the audit log.
TOTALS = (
    "subjects", "exposure", "records", "exported", "unmasked", "unexplained", "vip", "external", "searches", "changes",
    "audit", "busiest_hour", "all_subjects", "all_records",
)  # fmt: skip
_TABLES = {"ip_prefix": 16, "device": 8, "country": 8, "user_agent": 8, "resource_type": 24}
Values = dict[str, float]


@dataclass
class Level:
    """What is usual of one number: all that was learnt, with weights; the last `memory` values weigh most.

    `spread` is added to the deviation, `trust` is the count at which half of what is above the usual is told; after
    `settled` values a new one teaches no more than `at_most` deviations upwards.
    """

    memory: int
    spread: float
    trust: float
    settled: int
    at_most: float
    count: int = 0
    learnt: list[tuple[float, float]] = field(default_factory=list)  # value, weight

    @property
    def mean(self) -> float:
        """Weighted mean; 0 while nothing is known."""
        return sum(value * weight for value, weight in self.learnt)

    @property
    def deviation(self) -> float:
        """Weighted standard deviation, of the values themselves."""
        mean = self.mean
        return math.sqrt(sum(weight * (value - mean) ** 2 for value, weight in self.learnt))

    def learn(self, value: float) -> None:
        """Like the others while fewer than `memory` are known, one part of `memory` from then on."""
        if self.count >= self.settled:
            value = min(value, self.mean + self.at_most * (self.deviation + self.spread))
        share = 1.0 / min(self.count + 1, self.memory)
        kept = [(old, weight * (1.0 - share)) for old, weight in self.learnt]
        self.learnt = [*(one for one in kept if one[1] > 1e-15), (value, share)]
        self.count += 1

    def above(self, value: float) -> float:
        """Deviations above the usual, shrunk to 0 while few values are known."""
        deviations = (value - self.mean) / (self.deviation + self.spread)
        return max(0.0, deviations) * self.count / (self.count + self.trust)


def own_day() -> Level:
    """What is usual of one total of a day."""
    return Level(memory=30, spread=0.4, trust=5.0, settled=5, at_most=2.0)


def own_size() -> Level:
    """What is usual of one access."""
    return Level(memory=500, spread=0.3, trust=20.0, settled=20, at_most=3.0)


@dataclass
class Uses:
    """On how many days each value was used; a full table gives up what was used least, of that the longest ago."""

    size: int
    rows: list[list[int]] = field(default_factory=list)  # value, days, the last of them

    def before(self, value: int, today: int) -> int:
        """Days of use before today."""
        for known, days, last in self.rows:
            if known == value:
                return days - 1 if last == today and days else days
        return 0

    def use(self, value: int, today: int) -> None:
        """Counts today, once; 0 is no value."""
        if value == 0:
            return
        for row in self.rows:
            if row[0] == value:
                if row[2] != today:
                    row[1:] = [row[1] + 1, today]
                return
        if len(self.rows) < self.size:
            self.rows.append([value, 1, today])
        else:
            least = min(range(self.size), key=lambda place: self.rows[place][1:])
            self.rows[least] = [value, 1, today]

    def halve(self) -> None:
        """Forgets half of the days."""
        for row in self.rows:
            row[1] //= 2


@dataclass
class Habits:
    """On how many closed days an hour, an action or a channel was used; `known` days in all.

    From 120 days on, all days are halved: what is years old fades.
    """

    known: float = 0.0
    days: Counter[tuple[str, int]] = field(default_factory=Counter)

    def close(self, used: set[tuple[str, int]]) -> bool:
        """Learns a day; whether all days were halved."""
        self.days.update(used)
        self.known += 1.0
        if self.known < _FORGET_DAYS:
            return False
        self.known /= 2
        self.days = Counter({one: days // 2 for one, days in self.days.items()})
        return True

    def rarity(self, days: float) -> float:
        """Bits of surprise at something used on so many of the days, damped while few are known."""
        bits = -math.log2((days + 0.5) / (self.known + 1.0))
        return max(0.0, bits) * self.known / (self.known + 5.0)

    def novelty(self, days: float) -> float:
        """1 for what was never used, less for each day of use, damped while few days are known."""
        return 1.0 / (1.0 + days) * self.known / (self.known + 3.0)


@dataclass
class Customer:
    """How often one customer was looked at without a reason: looks and visits fade, `minute` is the last look's."""

    key: int
    minute: int
    looks: float = 1.0
    visits: float = 1.0

    def look(self, minute: int) -> None:
        """Looks fade over 7 days, visits over 14; a visit is a look at least two hours after the last one."""
        passed = minute - self.minute
        days = max(0, passed) / _DAY_MINUTES
        self.looks = self.looks * math.exp(-days / 7.0) + 1.0
        self.visits = self.visits * math.exp(-days / 14.0) + (passed >= _VISIT_MINUTES)
        self.minute = max(self.minute, minute)

    def worth(self, minute: int) -> float:
        """What keeps a customer in the table: visits, one lost for each week since the last look."""
        return self.visits - (minute - self.minute) / (7.0 * _DAY_MINUTES)


@dataclass
class Customers:
    """At most 40 customers; a new one takes the place of the one worth least, of equals the first in the table."""

    rows: list[Customer] = field(default_factory=list)

    def look(self, key: int, minute: int) -> Customer:
        """One look more."""
        for row in self.rows:
            if row.key == key:
                row.look(minute)
                return row
        new = Customer(key, minute)
        if len(self.rows) < _CUSTOMERS:
            self.rows.append(new)
        else:
            least = min(range(_CUSTOMERS), key=lambda place: self.rows[place].worth(minute))
            self.rows[least] = new
        return new


@dataclass
class Distinct:
    """Distinct customers by linear counting: each marks one of `size` places, and the empty places tell how many."""

    size: int
    marked: set[int] = field(default_factory=set)

    def estimate(self) -> float:
        """Size × ln(size / empty places)."""
        return self.size * math.log(self.size / max(1, self.size - len(self.marked)))


def hour_place(subject: int) -> int:
    """A customer's place of the 1,024 of an hour: 4 high bits and 6 low bits of the hash."""
    mixed = subject * _GOLDEN % _WORD
    return (mixed >> 58) % 16 * 64 + mixed % 64


def day_place(subject: int) -> int:
    """A customer's place of the 2,048 of a day: 5 bits from bit 50 and 6 from bit 8."""
    mixed = subject * _GOLDEN % _WORD
    return (mixed >> 50) % 32 * 64 + (mixed >> 8) % 64


@dataclass
class Today:
    """The running day: its totals, its customers (of open accesses, of all), what was used on it."""

    number: int
    off_day: bool
    totals: Values = field(default_factory=lambda: dict.fromkeys(TOTALS, 0.0))
    customers: Distinct = field(default_factory=lambda: Distinct(2048))
    all_customers: Distinct = field(default_factory=lambda: Distinct(2048))
    unlisted: int = 0
    all_unlisted: int = 0
    used: set[tuple[str, int]] = field(default_factory=set)


@dataclass
class Actor:
    """What is remembered of one actor. Days of use stand in five bounded tables, by the field that they are of."""

    today: Today
    first_day: int
    events: int = 0
    newest_us: int = 0
    newest_holidays: int = 0
    pause_days: float = 0.0
    pause_told_until_us: int = 0
    closed_days: int = 0
    own_days: dict[str, Level] = field(default_factory=lambda: {name: own_day() for name in TOTALS})
    rises: Values = field(default_factory=lambda: dict.fromkeys(("subjects", "records", "unmasked"), 0.0))
    totals_of: dict[int, Values] = field(default_factory=dict)
    habits: Habits = field(default_factory=Habits)
    uses: dict[str, Uses] = field(default_factory=lambda: {name: Uses(size) for name, size in _TABLES.items()})
    sizes: dict[bool, Level] = field(default_factory=lambda: {way: own_size() for way in (False, True)})
    recent: float = 0.0
    refused: float = 0.0
    turns: Values = field(default_factory=lambda: {"device": 0.0, "ip_prefix": 0.0})
    last: dict[str, int] = field(default_factory=lambda: {"device": 0, "ip_prefix": 0, "sequence": 0})
    steps: deque[bool] = field(default_factory=lambda: deque(maxlen=20))
    place: tuple[float, float, int] | None = None
    off_fast: float = 0.0
    off_slow: float = 0.0
    hour: int | None = None
    hour_customers: Distinct = field(default_factory=lambda: Distinct(1024))
    customers: Customers = field(default_factory=Customers)
