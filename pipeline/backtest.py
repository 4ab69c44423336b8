"""Rules over history: how often each would have held, what would have alerted, and how much of it was right.

Place in the flow: beside `offline.py`, the same stages over files without servers; no model is needed. "Without
suppression" counts every event at which a rule holds. "With suppression" asks the alert policy itself, for all rules
together and for each as if it were alone. Labels, where there are any, say which events belong to an attack and which
to its benign twin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.base import I64, U16, Assessment, EventArrays
from detectors.policy import NEVER, Findings, Policy, count_fired, fire
from detectors.profile import Profiles
from detectors.rules.rule import Rule, floors_of
from pipeline.directory import DirectorySnapshot
from pipeline.events import SCORE_STATUSES, codes
from pipeline.offline import EventFile, JudgedBatch, OfflineChain, Progress
from pipeline.privacy.keys import Keyring

RULES_ONLY = Policy(threshold=NEVER - 1)
"""The alert policy with a model that never speaks."""
_SCORED = codes(SCORE_STATUSES)["scored"]
_EPOCH = date(1970, 1, 1)
ATTACK, TWIN = "attack", "twin"


@dataclass(frozen=True, slots=True)
class Marked:
    """What is known of an event: `sort` ATTACK or TWIN, and which one it belongs to."""

    sort: str
    story: str


@dataclass(slots=True)
class RuleCount:
    """One rule's history. Counts of events but for `alerts_alone` (if it were the only rule) and `alerts` (it led)."""

    rule: str
    hits: int = 0
    actor_days: int = 0
    alerts_alone: int = 0
    alerts: int = 0
    attack_hits: int = 0
    twin_hits: int = 0
    other_hits: int = 0
    attack_alerts: int = 0
    twin_alerts: int = 0
    other_alerts: int = 0
    attacks: int = 0


@dataclass(slots=True)
class DayCount:
    """One day of the actors' calendars: events at which any rule held, and alerts."""

    day: str
    hits: int = 0
    alerts: int = 0


@dataclass(slots=True)
class Backtest:
    """What a run gives. `attacks_hit`: how many of the labelled attacks any rule saw, None without labels."""

    events: int
    days: float
    actors: int
    alerts: int
    rules: list[RuleCount]
    by_day: list[DayCount]
    attacks: int | None = None
    attacks_hit: int | None = None
    attacks_alerted: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(slots=True)
class _Hits:
    """Every hit of one rule: actors as small integers, UTC µs, local days."""

    actors: list[I64] = field(default_factory=list)
    time_us: list[I64] = field(default_factory=list)
    days: list[I64] = field(default_factory=list)


class _Tally:
    """Counts hits and alerts batch by batch."""

    def __init__(self, rules: Sequence[Rule], marked: Mapping[str, Marked]) -> None:
        self._rules, self._marked = rules, marked
        self.counts = [RuleCount(rule.name) for rule in rules]
        self.days: dict[int, DayCount] = {}
        self._hits = [_Hits() for _ in rules]
        self._seen: list[set[str]] = [set() for _ in rules]
        self.alerted: set[str] = set()
        self.alerts = 0

    def add(self, one: JudgedBatch, event_ids: Sequence[str], profiles: Profiles) -> None:
        """Judges one batch by the rules and lets the policy decide on alerts, in the actors' own profiles."""
        arrays, features = one.judged.arrays, one.judged.assessment.features
        floors = floors_of(self._rules, arrays, features)
        slots = profiles.slot_of(arrays.actor_keys)
        ids = event_ids[one.start : one.start + arrays.count]
        for place, floor in enumerate(floors):
            rows = np.flatnonzero(floor)
            self._count_hits(place, rows, arrays, slots, ids)
        self._count_days(floors, arrays)
        fired = fire(arrays, _by_rules(one.judged.assessment, floors, self._rules), profiles, RULES_ONLY)
        for row in fired.tolist():
            leading = next(place for place, floor in enumerate(floors) if floor[row])
            self._count_alert(leading, int(arrays.local_day[row]), ids[row])

    def _count_hits(self, place: int, rows: I64, arrays: EventArrays, slots: I64, ids: Sequence[str]) -> None:
        count, hits = self.counts[place], self._hits[place]
        count.hits += len(rows)
        hits.actors.append(slots[rows])
        hits.time_us.append(arrays.event_time_us[rows])
        hits.days.append(arrays.local_day[rows].astype(np.int64))
        for row in rows.tolist():
            known = self._marked.get(ids[row])
            sort = known.sort if known else "other"
            setattr(count, f"{sort}_hits", getattr(count, f"{sort}_hits") + 1)
            if known and known.sort == ATTACK:
                self._seen[place].add(known.story)

    def _count_days(self, floors: Sequence[U16], arrays: EventArrays) -> None:
        any_rule = np.maximum.reduce(floors) > 0
        for number in np.unique(arrays.local_day).tolist():
            self._day(number).hits += int((any_rule & (arrays.local_day == number)).sum())

    def _count_alert(self, place: int, day: int, event_id: str) -> None:
        self.alerts += 1
        self._day(day).alerts += 1
        count, known = self.counts[place], self._marked.get(event_id)
        count.alerts += 1
        sort = known.sort if known else "other"
        setattr(count, f"{sort}_alerts", getattr(count, f"{sort}_alerts") + 1)
        if known and known.sort == ATTACK:
            self.alerted.add(known.story)

    def _day(self, number: int) -> DayCount:
        return self.days.setdefault(number, DayCount((_EPOCH + timedelta(days=number)).isoformat()))

    def finish(self) -> None:
        """What can be told only at the end: distinct actor-days, and each rule as if it were alone."""
        for rule, count, hits, seen in zip(self._rules, self.counts, self._hits, self._seen, strict=True):
            count.attacks = len(seen)
            actors, days = np.concatenate(hits.actors), np.concatenate(hits.days)
            count.actor_days = len(np.unique(np.stack((actors, days), 1), axis=0))
            count.alerts_alone = count_fired(_alone(rule, actors, np.concatenate(hits.time_us)), RULES_ONLY)

    @property
    def seen(self) -> set[str]:
        """Every attack that any rule saw."""
        return set().union(*self._seen)


def backtest(
    events: EventFile,
    warm_up: EventFile | None,
    directory: DirectorySnapshot,
    keyring: Keyring,
    time_zone: str,
    rules: Sequence[Rule],
    *,
    marked: Mapping[str, Marked] | None = None,
    progress: Progress | None = None,
) -> Backtest:
    """Runs the rules over the events after warming profiles up. `marked`: what is known of events, by event id."""
    chain = OfflineChain(directory, keyring, None, Policy(NEVER), time_zone)
    for _ in chain.run(warm_up, progress=progress) if warm_up is not None else ():
        pass
    tally, actors = _Tally(rules, marked or {}), set[bytes]()
    for one in chain.run(events, progress=progress):
        tally.add(one, events.ids, chain.profiles)
        actors.update(one.judged.arrays.actor_keys)
    if len(events):
        tally.finish()
    by_day = [tally.days[number] for number in sorted(tally.days)]
    found = Backtest(len(events), round(events.days, 2), len(actors), tally.alerts, tally.counts, by_day)
    if marked:
        stories = {known.story for known in marked.values() if known.sort == ATTACK}
        found.attacks, found.attacks_hit, found.attacks_alerted = len(stories), len(tally.seen), len(tally.alerted)
    return found


def _by_rules(assessment: Assessment, floors: Sequence[U16], rules: Sequence[Rule]) -> Assessment:
    """The assessment as if the model were silent: rules alone speak, in their order."""
    held = np.stack(floors, 1) > 0
    places = np.nonzero(held)[1].astype(np.int32)
    floor: U16 = np.maximum.reduce(floors)
    return replace(  # rules hold on nothing that is not judged, so every row may count as scored
        assessment,
        status=np.full_like(assessment.status, _SCORED),
        risk=floor,
        level=np.zeros_like(floor),
        floor=floor,
        reason_ends=np.cumsum(held.sum(axis=1)).astype(np.int64),
        reasons=places,
        reason_codes=[rule.code for rule in rules],
    )


def _alone(rule: Rule, actors: I64, time_us: I64) -> Findings:
    """The hits of one rule as the policy sees them where there is no other."""
    bit: npt.NDArray[np.uint64] = np.ones(len(actors), np.uint64)
    floor = np.full(len(actors), rule.floor, np.int64)
    return Findings(actors, time_us, np.zeros_like(floor), floor, bit, bit)
