"""What the plain reference of the features remembers: levels, bounded tables, distinct counts; no arrays, no rounding.

Written from the definitions, to be read rather than to be fast; `reference_features` puts the pieces together.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

_GOLDEN = 0x9E3779B97F4A7C15
_WORD = 2**64
_LOOKS = 32
_FORGOTTEN_DAYS = 7
# The features of today's totals, and the total of each.
TODAY = {
    "subjects_day": "subjects", "exposure_day": "exposure", "records_day": "records", "exported_day": "exported",
    "unmasked_day": "unmasked", "unexplained_day": "unexplained", "vip_day": "vip", "external_day": "external",
}  # fmt: skip
Values = dict[str, float]


@dataclass
class Level:
    """Running mean and variance of one number, the last `memory` values weighing most."""

    memory: float
    spread: float
    trust: float
    count: int = 0
    mean: float = 0.0
    variance: float = 0.0

    def learn(self, value: float) -> None:
        """Follows the kernel: the first value's deviation is taken from 0, so the variance starts at its square."""
        weight = 1.0 / min(self.count + 1.0, self.memory)
        deviation = value - self.mean
        self.mean += weight * deviation
        self.variance += weight * (deviation**2 - self.variance)
        self.count += 1

    def above(self, value: float) -> float:
        """Deviations above the mean, shrunk to 0 while few values are known."""
        deviations = (value - self.mean) / (math.sqrt(self.variance) + self.spread)
        return max(0.0, deviations) * self.count / (self.count + self.trust)


@dataclass
class Uses:
    """How often each value was used; a full table gives up its least used entry, the first of several."""

    size: int
    keys: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def of(self, key: int) -> int:
        """Uses of a value so far."""
        return self.counts[self.keys.index(key)] if key in self.keys else 0

    def learn(self, key: int) -> None:
        """One use more; 0 is no value."""
        if key == 0:
            return
        if key in self.keys:
            self.counts[self.keys.index(key)] += 1
        elif len(self.keys) < self.size:
            self.keys.append(key)
            self.counts.append(1)
        else:
            place = self.counts.index(min(self.counts))
            self.keys[place], self.counts[place] = key, 1

    def novelty(self, key: int, events: int) -> float:
        """1 / (1 + uses), damped while the account is new; 0 where there is no value."""
        return 1.0 / (1.0 + self.of(key)) * events / (events + 100.0) if key else 0.0

    def rarity(self, key: int) -> float:
        """Bits of surprise at a value."""
        return rarity(self.of(key), sum(self.counts))


def rarity(uses: float, total: float) -> float:
    """Bits of surprise at something with `uses` of `total`, damped while the total is small."""
    return -math.log2((uses + 1.0) / (total + 8.0)) * total / (total + 20.0)


@dataclass
class Looks:
    """Looks at single subjects, of at most 32 subjects.

    Follows the kernel: looks are forgotten only after more than 7 days without any (so they may add up over more than
    7 days), and of several subjects last seen on the oldest day the first place in the table goes, not the oldest look.
    """

    keys: list[int] = field(default_factory=lambda: [0] * _LOOKS)
    counts: list[int] = field(default_factory=lambda: [0] * _LOOKS)
    days: list[int] = field(default_factory=lambda: [0] * _LOOKS)

    def learn(self, key: int, day: int) -> int:
        """Counts a look and returns how many there were lately."""
        known = key in self.keys
        place = self.keys.index(key) if known else self.days.index(min(self.days))
        lately = known and day - self.days[place] <= _FORGOTTEN_DAYS
        self.counts[place] = (self.counts[place] if lately else 0) + 1
        self.keys[place], self.days[place] = key, day
        return self.counts[place]


@dataclass
class Distinct:
    """Distinct subjects by linear counting: each marks one of `size` places, and the empty places tell how many."""

    size: int
    marked: set[int] = field(default_factory=set)

    def estimate(self) -> float:
        """Size × ln(size / empty places)."""
        return self.size * math.log(self.size / max(1, self.size - len(self.marked)))


def hour_place(subject: int) -> int:
    """A subject's place of the 1,024 of an hour: 4 high bits and 6 low bits of its hash."""
    mixed = subject * _GOLDEN % _WORD
    return (mixed >> 58) % 16 * 64 + mixed % 64


def day_place(subject: int) -> int:
    """A subject's place of the 4,096 of a day: 6 bits from bit 50 and 6 from bit 8."""
    mixed = subject * _GOLDEN % _WORD
    return (mixed >> 50) % 64 * 64 + (mixed >> 8) % 64


def _days() -> dict[str, Level]:
    return {measure: Level(memory=30.0, spread=0.4, trust=5.0) for measure in TODAY.values()}


@dataclass
class Actor:
    """What is remembered of one actor."""

    events: int = 0
    newest_us: int = 0
    first_day: int = 0
    day: int = 0
    pause_days: float = 0.0
    pause_told_until_us: int = 0
    hours: list[float] = field(default_factory=lambda: [0.0] * 48)
    sizes: dict[bool, Level] = field(default_factory=lambda: {way: Level(500.0, 0.3, 20.0) for way in (False, True)})
    recent: float = 0.0
    refused: float = 0.0
    turns: float = 0.0
    last_device: int = 0
    networks: Uses = field(default_factory=lambda: Uses(16))
    devices: Uses = field(default_factory=lambda: Uses(8))
    countries: Uses = field(default_factory=lambda: Uses(8))
    agents: Uses = field(default_factory=lambda: Uses(8))
    resources: Uses = field(default_factory=lambda: Uses(24))
    actions: dict[int, int] = field(default_factory=dict)
    last_sequence: int = 0
    steps: deque[bool] = field(default_factory=lambda: deque(maxlen=20))
    place: tuple[float, float, int] | None = None
    off_fast: float = 0.0
    off_slow: float = 0.0
    hour: int = 0
    hour_subjects: Distinct = field(default_factory=lambda: Distinct(1024))
    day_subjects: Distinct = field(default_factory=lambda: Distinct(4096))
    looks: Looks = field(default_factory=Looks)
    today: Values = field(default_factory=lambda: dict.fromkeys(TODAY.values(), 0.0))
    own_days: dict[str, Level] = field(default_factory=_days)
    records_of: dict[int, float] = field(default_factory=dict)
    subjects_of: dict[int, float] = field(default_factory=dict)
