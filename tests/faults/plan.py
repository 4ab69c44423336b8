"""What is done to a system in one run: which fault, at which crossing of which gap; drawn from a seed.

A run is fully described by its name: `python -m tests.faults --only NAME` repeats it. The matrix holds every fault at
every gap; random runs combine them. Gaps are the numbered steps of commit and recovery (`pipeline/flow.py`,
`pipeline/partition/recovery.py`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

# -- faults

KILL = "kill"  # SIGKILL in the gap
ZOMBIE = "zombie"  # SIGSTOP in the gap until another worker has taken over and sealed, then SIGCONT
STORE_CUT = "store-cut"  # connections to the store are cut and refused for a while
ANSWER_LOST = "answer-lost"  # the store does what it is asked, but its answer is lost
STORE_SILENT = "store-silent"  # connections stay open and nothing comes back
STORE_SLOW = "store-slow"  # every packet to and from the store is late
REBALANCE_IN = "rebalance-in"  # another worker joins while this one stands in the gap
REBALANCE_OUT = "rebalance-out"  # this worker is told to end while it stands in the gap
STORE_KILL = "store-kill"  # ClickHouse: SIGKILL and restart
BROKER_KILL = "broker-kill"  # Kafka: SIGKILL and restart
SINGLE_FAULTS = (KILL, ZOMBIE, STORE_CUT, ANSWER_LOST, STORE_SILENT, STORE_SLOW, REBALANCE_IN, REBALANCE_OUT)
WAVE_FAULTS = (STORE_KILL, BROKER_KILL)
"""Faults that everybody on the stack feels: several runs meet in their gaps, then share one kill."""
FAULTS = (*SINGLE_FAULTS, *WAVE_FAULTS)
DISK_FULL = "disk-full"  # no space is left for the store, then there is; on a stack whose store has a small disk

_CELLS_A_RUN = 3
_SHARED = 0.2
"""Share of the random runs in which one fault is one that everybody feels."""

# -- gaps: (sequence, the step after which it lies)

Gap = tuple[str, int]
COMMIT: tuple[Gap, ...] = tuple(("commit", step) for step in range(1, 8))
RECOVERY: tuple[Gap, ...] = (("recovery", 1), ("recovery", 3), ("recovery", 4), ("recovery", 5))
UNSEALED: tuple[Gap, ...] = (("recovery", 6), ("recovery", 7))
CLOSING: tuple[Gap, ...] = (("closing", 1), ("closing", 2), ("recovery", 2))
OTHERS: tuple[Gap, ...] = (("bisection", 1), ("snapshot", 1))
GAPS: tuple[Gap, ...] = (*COMMIT, *RECOVERY, *UNSEALED, *CLOSING, *OTHERS)


@dataclass(frozen=True, slots=True)
class Act:
    """One fault at the `nth` crossing of a gap."""

    fault: str
    gap: Gap
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.fault}@{self.gap[0]}{self.gap[1]}x{self.nth}"


@dataclass(frozen=True, slots=True)
class Plan:
    """One run; everything else about it (records, batch size) is drawn from its name."""

    name: str
    acts: tuple[Act, ...]

    @property
    def chance(self) -> random.Random:
        """The run's own dice; text seeds are hashed alike in every process."""
        return random.Random(self.name)

    @property
    def is_wave(self) -> bool:
        """Whether its faults are shared with others."""
        return any(act.fault in WAVE_FAULTS for act in self.acts)

    @property
    def recreates_topic(self) -> bool:
        """Whether the topic is deleted and made again."""
        return any(act.gap in CLOSING for act in self.acts)


def parse(name: str) -> Plan:
    """The plan of a name, which is `SEED:ACT,ACT,…`. Raises: ValueError: no such fault or gap."""
    _, _, words = name.partition(":")
    return Plan(name, tuple(_act(word) for word in words.split(",")))


def _act(word: str) -> Act:
    fault, _, place = word.partition("@")
    for gap in GAPS:
        start = f"{gap[0]}{gap[1]}x"
        if place.startswith(start) and fault in (*FAULTS, DISK_FULL):
            return Act(fault, gap, int(place.removeprefix(start)))
    raise ValueError(f"no act {word!r}: FAULT@GAPxN, e.g. kill@commit6x1")


def _plan(seed: str, acts: list[Act]) -> Plan:
    return Plan(f"{seed}:{','.join(map(str, acts))}", tuple(acts))


def _nth(gap: Gap, chance: random.Random) -> int:
    return chance.randint(1, 4) if gap in COMMIT else 1


def matrix(seed: int, rounds: int, faults: tuple[str, ...] = FAULTS) -> Iterator[Plan]:
    """Every fault at every gap, `rounds` times; three cells a run, since a run costs more than a fault.

    A cell that recreates the topic comes last in its run: there is nothing left to do to the older life afterwards.
    """
    singles = [one for one in faults if one in SINGLE_FAULTS]
    for number in range(rounds):
        chance = random.Random(f"{seed}/{number}")
        place = 0
        for group in (singles, *([one] for one in WAVE_FAULTS if one in faults)):
            for acts in _runs(group, chance):
                yield _plan(f"{seed}.{number}.{place}", acts)
                place += 1


def _runs(group: list[str], chance: random.Random) -> list[list[Act]]:
    acts = [Act(fault, gap, _nth(gap, chance)) for fault in group for gap in GAPS if gap not in CLOSING]
    chance.shuffle(acts)
    runs = [acts[first : first + _CELLS_A_RUN] for first in range(0, len(acts), _CELLS_A_RUN)]
    for place, (fault, gap) in enumerate((fault, gap) for fault in group for gap in CLOSING):
        runs[place % len(runs)].append(Act(fault, gap))
    return runs


def combinations(seed: int, count: int) -> Iterator[Plan]:
    """Random runs of two to four faults at any gaps; in some of them one that everybody feels."""
    for number in range(count):
        chance = random.Random(f"{seed}/random/{number}")
        gaps = [gap for gap in GAPS if gap not in CLOSING]
        acts = [
            Act(chance.choice(SINGLE_FAULTS), gap, _nth(gap, chance))
            for gap in chance.choices(gaps, k=chance.randint(2, 4))
        ]
        if chance.random() < _SHARED:
            place = chance.randrange(len(acts))
            acts[place] = replace(acts[place], fault=chance.choice(WAVE_FAULTS))
        yield _plan(f"{seed}.r{number}", acts)


def full_disks(seed: int) -> list[Plan]:
    """A handful of runs in which the store's disk fills up."""
    gaps: tuple[Gap, ...] = (("commit", 1), ("commit", 3), ("commit", 6), ("recovery", 6), ("snapshot", 1))
    return [_plan(f"{seed}.d{place}", [Act(DISK_FULL, gap)]) for place, gap in enumerate(gaps)]


def sample(seed: int) -> list[Plan]:
    """A short form: every gap at least once, the faults in turn."""
    chance = random.Random(f"{seed}/sample")
    faults = [SINGLE_FAULTS[place % len(SINGLE_FAULTS)] for place in range(len(GAPS))]
    chance.shuffle(faults)
    acts = [Act(fault, gap) for fault, gap in zip(faults, GAPS, strict=True)]
    alone = [[act] for act in acts if act.gap in CLOSING]
    others = [act for act in acts if act.gap not in CLOSING]
    runs = [others[place : place + 3] for place in range(0, len(others), 3)] + alone
    return [_plan(f"{seed}.s{place}", run) for place, run in enumerate(runs)]
