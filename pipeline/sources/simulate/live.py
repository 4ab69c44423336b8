"""The demo's story: three attacks in one company, told so that they can be watched.

A partner's agent harvests customers at night (the published case: 12,432 calls in six hours from one in the morning,
rotating addresses, one fixed shape of request, answers in clear text); an insider takes a few customers more each day,
for three weeks; an employee looks up one well-known customer again and again. What lies before the demo begins is
`past`, to be put among the company's history; `live` is sent while people look on. The steps are the simulator's own
(`attacks`); nothing here knows a detector. Deterministic for the same arguments.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pipeline.sources.simulate.attacks import SCENARIOS, Act
from pipeline.sources.simulate.calendar import employed
from pipeline.sources.simulate.company import Actor, Company
from pipeline.sources.simulate.desk import Desk, day_start_ms, local_day, stamp
from pipeline.sources.simulate.life import Event, Life
from pipeline.sources.simulate.places import CHINA_OFFSET_MS
from pipeline.sources.simulate.sending import event_id
from pipeline.sources.simulate.work import ordinary_day

_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_ORDINARY_SHARE = 0.25
"""Of an hour's work, pressed into the minutes of the story: more would look like haste, and be it."""
_NIGHT_ENDS_MS = 8 * _HOUR_MS
_DAY_IS_FINAL_MS = _HOUR_MS
"""After midnight, as the detector of contracts has it; a test compares the two."""
_MARGIN_MS = 5_000
_DRIP_DAYS, _SNOOPING_DAYS = 20, 4
_DRIP_TODAY_MS = 6 * _HOUR_MS
Moment = tuple[int, Event]
HARVEST, DRIP, SNOOPING = "partner_harvest", "slow_drip", "snooping"


@dataclass(frozen=True, slots=True)
class Chapter:
    """One attack of the story: its scenario, who did it, to whom where it is one person, and how much of it.

    Times are UTC milliseconds, the last one included.
    """

    scenario: str
    actor_id: str
    subject_id: str | None
    events: int
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Story:
    """What happened before the demo began, what happens while it runs, and what to look for in it.

    `work_items`: those of this ordinary work, for the directory; attackers have next to none.
    """

    past: tuple[Event, ...]
    live: tuple[Event, ...]
    chapters: tuple[Chapter, ...]
    work_items: tuple[dict[str, object], ...]


def demo_story(company: Company, start_at: datetime, seed: int, minutes: int = 3, life: Life | None = None) -> Story:
    """The story around `start_at` (aware). After a simulation give its own company and life: people have left.

    `past` ends at `start_at`: the company's ordinary day so far, and what two of the attacks did on the days before.
    Of `live` the harvest lies in the last night that is over, in the small hours in the six hours before; the rest from
    `start_at` on, within `minutes`. Both stand in the order in which they are to be sent.
    """
    chance = random.Random(f"live:{company.seed}:{seed}")
    desk = Desk(company, life or Life(), chance)
    start_ms, length_ms = int(start_at.timestamp() * 1000), minutes * 60_000
    told = [
        (act, *_split(act, _steps(desk, act, local_day(start_ms)), start_ms, length_ms))
        for act in list(_acts(desk, start_ms))
    ]
    desk.chance = chance
    ordinary, ordinary_now = _ordinary(desk, start_ms, length_ms, seed)
    past = _in_order([*ordinary, *(one for _, before, _ in told for one in before)])
    harvest = [one for act, _, now in told if act.scenario == HARVEST for one in now]
    rest = [one for act, _, now in told if act.scenario != HARVEST for one in now]
    rest += ordinary_now
    return Story(
        tuple(_sent(past, chance)),
        tuple(_sent(_woven(harvest, _in_order(rest)), chance)),
        tuple(_chapter(act, [*before, *now]) for act, before, now in told),
        tuple(desk.work_items),
    )


def goes_on(company: Company, start_at: datetime, seed: int, life: Life | None = None) -> Iterator[Moment]:
    """The company's ordinary work from `start_at` (aware) on, for ever: when each event is due, and the event."""
    chance = random.Random(f"goes on:{company.seed}:{seed}")
    desk = Desk(company, life or Life(), chance)
    start_ms = int(start_at.timestamp() * 1000)
    waiting: list[Moment] = []
    for step in itertools.count(-1):
        day = local_day(start_ms) + timedelta(days=step)
        waiting += [one for one in ordinary_day(desk, day, seed) if one[0] >= start_ms]
        # A night's work ends on the next day, and a day begins earlier in the west: it waits for the day after.
        until_ms = day_start_ms(day + timedelta(days=1)) - _DAY_MS // 4
        due = _in_order(one for one in waiting if one[0] < until_ms)
        waiting = [one for one in waiting if one[0] >= until_ms]
        for (at_ms, _), event in zip(due, _sent(due, chance), strict=True):
            yield at_ms, event


def _acts(desk: Desk, start_ms: int) -> Iterator[Act]:
    """Who does what, from which day on."""
    company, chance, today = desk.company, desk.chance, local_day(start_ms)
    night_is_over = (start_ms + CHINA_OFFSET_MS) % _DAY_MS >= _NIGHT_ENDS_MS
    night = today if night_is_over else today - timedelta(days=1)
    insider, curious = _staff(desk, today)
    for scenario, actor, day in (
        (HARVEST, company.partners[0], night),
        (DRIP, insider, today - timedelta(days=_DRIP_DAYS)),
        (SNOOPING, curious, today - timedelta(days=_SNOOPING_DAYS)),
    ):
        yield Act(f"attack-{scenario}-0", scenario, actor, (), day, "strong", benign=False, chance=chance)


def _staff(desk: Desk, today: date) -> tuple[Actor, Actor]:
    """Two people of long standing who serve customers, of different departments where there are."""
    company = desk.company
    staff = [one for one in company.people if one.in_directory and one.leaves_on is None and employed(one, today)]
    settled = [one for one in staff if one.hired_on < today - timedelta(days=60)] or staff
    first = next((one for one in settled if one.department.duty == "service"), settled[0])
    others = [one for one in settled if one is not first]
    second = next((one for one in others if one.department is not first.department), others[0])
    return first, second


def _steps(desk: Desk, act: Act, today: date) -> list[Moment]:
    """An act's events until today's midnight, in order."""
    desk.chance = act.chance
    end_ms = day_start_ms(today + timedelta(days=1))
    return _in_order(one for one in SCENARIOS[act.scenario].steps(desk, act) if one[0] < end_ms)


def _split(act: Act, steps: list[Moment], start_ms: int, length_ms: int) -> tuple[list[Moment], list[Moment]]:
    """What lies before the demo, and what is live: the night as it was, and what the curious one does today."""
    today_ms = day_start_ms(local_day(start_ms))
    before = [one for one in steps if one[0] < today_ms]
    today = [event for at_ms, event in steps if at_ms >= today_ms]
    if act.scenario == HARVEST:
        return [], _up_to_now(steps, start_ms, start_ms - today_ms)
    if act.scenario == DRIP:
        hours_ms = min(_DRIP_TODAY_MS, start_ms - today_ms)
        return before + _evenly(today, start_ms - hours_ms, hours_ms), []
    return before, _evenly(today, start_ms + _MARGIN_MS, length_ms - 2 * _MARGIN_MS)


def _up_to_now(steps: list[Moment], start_ms: int, since_midnight_ms: int) -> list[Moment]:
    """A harvest as it was; in the small hours one that has just ended.

    What is judged by the day is final an hour after midnight: of the night before nothing would be told any more.
    """
    if not _DAY_IS_FINAL_MS <= since_midnight_ms < _NIGHT_ENDS_MS:
        return steps
    later_ms = start_ms - _MARGIN_MS - steps[-1][0]
    return [(at_ms + later_ms, event) for at_ms, event in steps]


def _evenly(events: list[Event], from_ms: int, span_ms: int) -> list[Moment]:
    return [(from_ms + number * span_ms // len(events), event) for number, event in enumerate(events)]


def _ordinary(desk: Desk, start_ms: int, length_ms: int, seed: int) -> tuple[list[Moment], list[Moment]]:
    """The company's own day: until the start as it was; then some of the next hour, pressed into the minutes.

    Of that hour sources report their heartbeats too, so that none falls silent.
    """
    chance, harvester = desk.chance, desk.company.partners[0]
    before: list[Moment] = []
    now: list[Moment] = []
    for at_ms, event in ordinary_day(desk, local_day(start_ms), seed):
        ahead_ms = at_ms - start_ms
        if event["actor_id"] == harvester.actor_id:
            continue  # the night before is sent after this day
        if ahead_ms < 0:
            before.append((at_ms, event))
        elif ahead_ms < _HOUR_MS and (event["resource_type"] == "heartbeat" or chance.random() < _ORDINARY_SHARE):
            now.append((start_ms + ahead_ms * length_ms // _HOUR_MS, event))
    desk.chance = chance
    return before, now


def _in_order(moments: Iterable[Moment]) -> list[Moment]:
    return sorted(moments, key=lambda one: one[0])


def _woven(one: list[Moment], other: list[Moment]) -> Iterator[Moment]:
    """Two runs of events, evenly among each other, each in its own order."""
    taken = 0
    for number, moment in enumerate(one, start=1):
        yield moment
        upto = number * len(other) // len(one)
        yield from other[taken:upto]
        taken = upto
    yield from other[taken:]


def _sent(moments: Iterable[Moment], chance: random.Random) -> Iterator[Event]:
    """The events as they go to the wire. Without a running number: the company's history has used it up already."""
    for at_ms, event in moments:
        unnumbered = {name: value for name, value in event.items() if name != "source_seq"}
        yield unnumbered | {"event_id": event_id(at_ms, chance), "event_time": stamp(at_ms, CHINA_OFFSET_MS)}


def _chapter(act: Act, steps: list[Moment]) -> Chapter:
    subjects = {subject for _, event in steps for subject in event.get("subject_ids") or ()}
    only = subjects.pop() if len(subjects) == 1 else None
    return Chapter(act.scenario, act.actor.actor_id, only, len(steps), steps[0][0], steps[-1][0])
