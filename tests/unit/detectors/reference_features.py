"""The features written out plainly, event by event and actor by actor: what the compiled kernel must equal.

Follows the definitions in `detectors.features` and what stands at the head of `detectors.kernel`. Numbers are Python's
own, never rounded to the 32 bits that the kernel keeps of most.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from copy import deepcopy

import numpy as np

from detectors.base import F32, EventArrays
from detectors.features import INDEX
from tests.unit.detectors.reference_event import Event, rows_of
from tests.unit.detectors.reference_memory import Actor, Customer, Distinct, Today, Values, day_place, hour_place

_MINUTE_US = 60_000_000
_DAY_US = 1440 * _MINUTE_US
_LONG_LIST = 4
# The total of the day behind a feature: the total itself, and the total against the account's own days.
_TOTAL = {
    "subjects_day": "subjects", "exposure_day": "exposure", "records_day": "records", "exported_day": "exported",
    "unmasked_day": "unmasked", "unexplained_day": "unexplained", "vip_day": "vip", "external_day": "external",
    "searches_day": "searches", "changes_day": "changes", "audit_day": "audit", "all_subjects_day": "all_subjects",
    "all_records_day": "all_records",
}  # fmt: skip
_OWN = {
    "subjects_day_own": "subjects", "records_day_own": "records", "exported_day_own": "exported",
    "unmasked_day_own": "unmasked", "unexplained_day_own": "unexplained",
}  # fmt: skip
_NEWS = {"new_network": "ip_prefix", "new_device": "device", "new_country": "country", "new_agent": "user_agent"}


def _day_stamp(actor: Actor) -> int:
    """The day by which uses are counted: all before 1970 are one."""
    return max(0, actor.today.number)


def _turn_day(actor: Actor, event: Event) -> None:
    """The first event of a later day closes the day before it, and any long pause."""
    today = actor.today
    if event.local_day <= today.number:
        return
    pause = (event.event_time_us - actor.newest_us) / _DAY_US - max(0, event.holidays - actor.newest_holidays)
    if pause > 3.0:
        actor.pause_days, actor.pause_told_until_us = pause, event.event_time_us + _DAY_US
    actor.rises = {name: _risen(actor, name) for name in actor.rises}
    for name, level in actor.own_days.items():
        level.learn(math.log1p(today.totals[name]))
    if actor.habits.close(today.used):
        for uses in actor.uses.values():
            uses.halve()
    actor.totals_of[today.number] = today.totals
    actor.closed_days += 1
    actor.today = Today(event.local_day, event.off_day)


def _elapsed_s(actor: Actor, event: Event) -> float:
    return max(0.0, (event.event_time_us - actor.newest_us) / 1e6) if actor.events else 0.0


def _faded(actor: Actor, event: Event, value: float, seconds: float) -> float:
    return value * math.exp(-_elapsed_s(actor, event) / seconds)


def _turns(actor: Actor, event: Event, name: str, late: bool) -> float:
    """Changes within half an hour from one device, or network, to another."""
    value, last = getattr(event, name), actor.last[name]
    changed = 0 not in (value, last) and value != last and _elapsed_s(actor, event) < 1800.0 and not late
    return _faded(actor, event, actor.turns[name], 1800.0) + changed


def _steps(actor: Actor, event: Event) -> deque[bool]:
    """The last 20 steps from one number to the next, this event's included: was each in order?"""
    steps, last = actor.steps.copy(), actor.last["sequence"]
    if 0 not in (last, event.sequence):
        steps.append((event.sequence - last) % 2**32 in (1, 2))
    return steps


def _size(actor: Actor, event: Event, late: bool) -> Values:
    """Pause and size."""
    told = not late and event.event_time_us < actor.pause_told_until_us
    size = math.log1p(event.taken)
    return {
        "gap_days": math.log1p(actor.pause_days) if told else 0.0,
        "records": size if event.open else 0.0,
        "records_own": actor.sizes[event.exports].above(size) if event.open else 0.0,
        "bytes": math.log1p(max(0, event.bytes_out)) if event.open and event.succeeded else 0.0,
    }


def _hour_days(actor: Actor, event: Event) -> float:
    """Days on which the hour was used, or half of those of a neighbour."""
    kind = "hour off" if event.off_day else "hour"
    hours = [actor.habits.days[kind, (event.local_hour + step) % 24] for step in (0, -1, 1)]
    return max(float(hours[0]), max(hours[1:]) / 2)


def _habits(actor: Actor, event: Event) -> Values:
    """What this account never or rarely did before today."""
    habits, today = actor.habits, _day_stamp(actor)
    kind_days = actor.uses["resource_type"].before(event.resource_type, today)
    news = {
        name: habits.novelty(actor.uses[of].before(getattr(event, of), today)) if getattr(event, of) else 0.0
        for name, of in _NEWS.items()
    }
    return news | {
        "hour_rarity": habits.rarity(_hour_days(actor, event)),
        "rare_action": habits.rarity(habits.days["action", event.action]),
        "rare_channel": habits.rarity(habits.days["channel", event.channel]) if event.channel else 0.0,
        "rare_resource": habits.rarity(kind_days) if event.resource_type else 0.0,
    }


def _pace(actor: Actor, event: Event, late: bool) -> Values:
    """Rates, changes of device and network, journeys, order, region."""
    speed = 0.0 if late else _speed(actor, event)
    rise = _off_fast(actor, event) - actor.off_slow
    return {
        "events_10m": math.log1p(_faded(actor, event, actor.recent, 600.0) + 1.0),
        "denied_10m": math.log1p(_faded(actor, event, actor.refused, 600.0) + event.refused),
        "device_turns": math.log1p(_turns(actor, event, "device", late)),
        "network_turns": math.log1p(_turns(actor, event, "ip_prefix", late)),
        "travel": math.log1p(speed) if speed > 300.0 else 0.0,
        "sequence": sum(_steps(actor, event)) / 20.0,
        "off_region": max(0.0, rise) * actor.events / (actor.events + 50.0),
    }


def _off_fast(actor: Actor, event: Event) -> float:
    return actor.off_fast + 0.1 * (event.off_region - actor.off_fast)


def _speed(actor: Actor, event: Event) -> float:
    """km/h since the last place; 0 within 100 km. Less than 3 minutes count as 3."""
    if actor.place is None or not event.placed:
        return 0.0
    latitude, longitude, time_us = actor.place
    km = distance_km(latitude, longitude, event.latitude, event.longitude)
    return km / max((event.event_time_us - time_us) / 3.6e9, 0.05) if km > 100.0 else 0.0


def distance_km(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Great-circle distance (haversine)."""
    north, other_north = math.radians(latitude), math.radians(other_latitude)
    chord = math.sin((other_north - north) / 2) ** 2
    chord += math.cos(north) * math.cos(other_north) * math.sin(math.radians(other_longitude - longitude) / 2) ** 2
    return 2 * 6371.0 * math.asin(math.sqrt(min(1.0, chord)))


def _look(actor: Actor, event: Event) -> Values:
    """Looks at single customers without a reason; a long list is a page, not a look at a person."""
    customers = [one for one in dict.fromkeys(event.subjects) if one]
    touched = max(len(event.subjects), event.subject_count)
    if not event.open or not event.succeeded or event.own_subject or touched > _LONG_LIST:
        customers = []
    # One after the other: what one of them leaves behind may be what the next one takes the place of.
    seen = [(one.looks, one.visits) for one in _looked_at(actor, customers, event.event_time_us // _MINUTE_US)]
    return {
        "repeat_subject": math.log1p(max((looks for looks, _ in seen), default=0.0)),
        "return_visits": math.log1p(max((visits - 1.0 for _, visits in seen if visits > 1.0), default=0.0)),
    }


def _looked_at(actor: Actor, customers: list[int], minute: int) -> Iterator[Customer]:
    for customer in customers:
        yield actor.customers.look(customer, minute)


def _count(actor: Actor, event: Event) -> None:
    """Today's totals, this event included, also where it is from before midnight."""
    today, totals = actor.today, actor.today.totals
    if actor.hour is None or event.hour_number not in (actor.hour, actor.hour - 1):
        actor.hour, actor.hour_customers = event.hour_number, Distinct(1024)
    unlisted = max(0, event.subject_count - len(event.subjects))
    today.all_unlisted += unlisted
    today.all_customers.marked.update(map(day_place, event.subjects))
    totals["all_subjects"] = today.all_customers.estimate() + today.all_unlisted
    totals["all_records"] += event.taken
    totals["audit"] += event.queries_audit
    if not event.open:
        return
    today.unlisted += unlisted
    today.customers.marked.update(map(day_place, event.subjects))
    actor.hour_customers.marked.update(map(hour_place, event.subjects))
    totals["subjects"] = today.customers.estimate() + today.unlisted
    totals["busiest_hour"] = max(totals["busiest_hour"], actor.hour_customers.estimate())
    totals["searches"] += event.searches
    if event.succeeded:
        _count_success(totals, event)


def _count_success(totals: Values, event: Event) -> None:
    totals["records"] += event.records
    totals["exposure"] += max(1, event.sensitivity) / 2 * event.subject_count
    totals["exported"] += event.records if event.exports else 0
    totals["unmasked"] += event.unmasked > 0
    totals["external"] += max(1, event.records) if event.external else 0
    totals["unexplained"] += event.sensitivity >= 3
    totals["vip"] += event.vip_subjects > 0
    totals["changes"] += event.changes


def _totals(actor: Actor) -> Values:
    """Hour, day, week and fortnight, as they stand."""
    today, hour = actor.today.totals, math.log1p(actor.hour_customers.estimate())
    totals = {name: math.log1p(today[of]) for name, of in _TOTAL.items()}
    totals |= {name: actor.own_days[of].above(math.log1p(today[of])) for name, of in _OWN.items()}
    return totals | {
        "subjects_1h": hour,
        "subjects_1h_own": actor.own_days["busiest_hour"].above(hour),
        "slow_rise": max(_risen(actor, name) for name in actor.rises),
        "records_week": _week(actor, "records"),
        "subjects_week": _week(actor, "subjects"),
        "unexplained_2w": math.log1p(_sum(actor, "unexplained", 0, 13)),
        "subjects_2w": math.log1p(_sum(actor, "subjects", 0, 13)),
    }


def _risen(actor: Actor, total: str) -> float:
    """Page's one-sided CUSUM of the day's total in deviations above own days, a day worth two at most."""
    if actor.closed_days < 5:
        return 0.0
    level = actor.own_days[total]
    deviation = (math.log1p(actor.today.totals[total]) - level.mean) / (level.deviation + level.spread)
    return max(0.0, actor.rises[total] + min(deviation, 2.0) - 0.25)


def _week(actor: Actor, total: str) -> float:
    """Log of the last 7 days' mean over that of up to 28 days before; 0 until 14 days are known."""
    age = actor.today.number - actor.first_day
    if age < 14:
        return 0.0
    before = _sum(actor, total, 7, 34) / min(age - 6, 28)
    return max(0.0, math.log((_sum(actor, total, 0, 6) / 7 + 1.0) / (before + 1.0)))


def _sum(actor: Actor, total: str, first: int, last: int) -> float:
    """From `first` to `last` days ago."""
    days = actor.totals_of | {actor.today.number: actor.today.totals}
    return sum(days[day][total] for back in range(first, last + 1) if (day := actor.today.number - back) in days)


def _usual(actor: Actor, event: Event) -> tuple[Values, Values]:
    """What is usual for the actor, and its deviation; totals only after three days."""
    levels = {"records_own": actor.sizes[event.exports], "subjects_1h_own": actor.own_days["busiest_hour"]}
    levels |= {name: actor.own_days[of] for name, of in _OWN.items()}
    if actor.closed_days > 2:
        levels |= {name: actor.own_days[of] for name, of in _TOTAL.items()}
    known = {name: level for name, level in levels.items() if level.count}
    return {name: one.mean for name, one in known.items()}, {name: one.deviation for name, one in known.items()}


def _learn(actor: Actor, event: Event) -> None:
    """What the event leaves behind, today's totals and looks aside."""
    actor.recent = _faded(actor, event, actor.recent, 600.0) + 1.0
    actor.refused = _faded(actor, event, actor.refused, 600.0) + event.refused
    actor.turns = {name: _turns(actor, event, name, late=False) for name in actor.turns}
    actor.steps, actor.off_fast = _steps(actor, event), _off_fast(actor, event)
    actor.off_slow += 0.005 * (event.off_region - actor.off_slow)
    actor.last = {name: getattr(event, name) or last for name, last in actor.last.items()}
    hour = "hour off" if actor.today.off_day else "hour"
    actor.today.used |= {(hour, event.local_hour), ("action", event.action), ("channel", event.channel)}
    actor.sizes[event.exports].learn(math.log1p(event.taken))
    for name, uses in actor.uses.items():
        uses.use(getattr(event, name), _day_stamp(actor))
    if event.placed:
        actor.place = (event.latitude, event.longitude, event.event_time_us)
    if not actor.events or event.event_time_us >= actor.newest_us:
        actor.newest_us, actor.newest_holidays = event.event_time_us, event.holidays
    actor.events += 1


def judge(actor: Actor, event: Event) -> tuple[Values, Values, Values]:
    """Features of one event, what is usual and its deviation; the actor learns unless the event is late."""
    late = actor.events > 0 and event.event_time_us < actor.newest_us - 10 * _MINUTE_US
    if not late:
        _turn_day(actor, event)
    features = _size(actor, event, late) | _habits(actor, event) | _pace(actor, event, late)
    if not late:
        features |= _look(actor, event)
        _count(actor, event)
    features |= _totals(actor)
    usual, deviation = _usual(actor, event)
    if not late:
        _learn(actor, event)
    return features, usual, deviation


class Reference:
    """All actors; `begin` … `commit` or `rollback` frame one batch, as with `Profiles`."""

    def __init__(self) -> None:
        self._actors: dict[bytes, Actor] = {}
        self._before: dict[bytes, Actor] | None = None

    def begin(self) -> None:
        """Starts a batch; what an earlier one left uncommitted is undone."""
        self.rollback()
        self._before = deepcopy(self._actors)

    def commit(self) -> None:
        """Keeps the batch's changes."""
        self._before = None

    def rollback(self) -> None:
        """Undoes the batch's changes."""
        if self._before is not None:
            self._actors, self._before = self._before, None

    def compute(self, events: EventArrays) -> tuple[F32, F32, F32]:
        """Features, usual values and deviations as `detectors.features.compute` gives them.

        Rows that are not scorable leave no trace.
        """
        features = np.zeros((events.count, len(INDEX)), np.float32)
        usual, deviation = np.full((2, events.count, len(INDEX)), np.nan, np.float32)
        for row, event in enumerate(rows_of(events)):
            if not event.scorable:
                continue
            for matrix, values in zip((features, usual, deviation), self._judge(event), strict=True):
                for name, value in values.items():
                    matrix[row, INDEX[name]] = value
        return features, usual, deviation

    def _judge(self, event: Event) -> tuple[Values, Values, Values]:
        if event.actor_key not in self._actors:
            self._actors[event.actor_key] = Actor(Today(event.local_day, event.off_day), event.local_day)
        return judge(self._actors[event.actor_key], event)
