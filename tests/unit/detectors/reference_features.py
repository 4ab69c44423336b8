"""The features written out plainly, event by event and actor by actor: what the compiled kernel must equal.

Follows the definitions in `detectors.features`; where the kernel does something else than its documentation says, this
follows the kernel and says so. Numbers are Python's own, never rounded to the 32 bits that the kernel keeps of most.
"""

from __future__ import annotations

import math
from collections import deque
from copy import deepcopy

import numpy as np

from detectors.base import F32, EventArrays
from detectors.features import INDEX
from pipeline.events import NETWORK_KINDS, OUTCOMES, codes
from tests.unit.detectors.reference_event import Event, rows_of
from tests.unit.detectors.reference_memory import TODAY, Actor, Distinct, Values, day_place, hour_place, rarity

_DENIED = codes(OUTCOMES)["denied"]
_NOBODY_SITS_THERE = {codes(NETWORK_KINDS)[word] for word in ("vpn", "cloud")}
_MINUTE_US = 60_000_000
_DAY_US = 1440 * _MINUTE_US
_RING_DAYS = 35
# Features of today's totals against the actor's own days; TODAY has those of the totals themselves.
_OWN = {"subjects_day_own": "subjects", "records_day_own": "records", "unmasked_day_own": "unmasked"}


def _is_late(actor: Actor, event: Event) -> bool:
    return actor.events > 0 and event.event_time_us < actor.newest_us - 10 * _MINUTE_US


def _turn_day(actor: Actor, event: Event) -> None:
    """The first event of a later day ends the day before it, and any long pause."""
    if actor.events == 0:
        actor.first_day = actor.day = event.local_day
    if event.local_day <= actor.day:
        return
    pause = (event.event_time_us - actor.newest_us) / _DAY_US
    if pause > 3.0:
        actor.pause_days, actor.pause_told_until_us = pause, event.event_time_us + _DAY_US
    for measure, level in actor.own_days.items():
        level.learn(math.log1p(actor.today[measure]))
        actor.today[measure] = 0.0
    actor.day_subjects = Distinct(4096)
    actor.day = event.local_day


def _elapsed_s(actor: Actor, event: Event) -> float:
    return max(0.0, (event.event_time_us - actor.newest_us) / 1e6) if actor.events else 0.0


def _decayed(actor: Actor, event: Event, value: float, seconds: float) -> float:
    return value * math.exp(-_elapsed_s(actor, event) / seconds)


def _recent(actor: Actor, event: Event) -> float:
    return _decayed(actor, event, actor.recent, 600.0) + 1.0


def _refused(actor: Actor, event: Event) -> float:
    return _decayed(actor, event, actor.refused, 600.0) + (event.outcome == _DENIED)


def _turns(actor: Actor, event: Event) -> float:
    changed = 0 not in (event.device, actor.last_device) and event.device != actor.last_device
    return _decayed(actor, event, actor.turns, 1800.0) + (changed and _elapsed_s(actor, event) < 1800.0)


def _steps(actor: Actor, event: Event) -> deque[bool]:
    """The last 20 steps from one number to the next, this event's included: was each in order?"""
    steps = actor.steps.copy()
    if 0 not in (actor.last_sequence, event.sequence):
        steps.append((event.sequence - actor.last_sequence) % 2**32 in (1, 2))
    return steps


def _off_fast(actor: Actor, event: Event) -> float:
    return actor.off_fast + 0.1 * (event.off_region - actor.off_fast)


def _habits(actor: Actor, event: Event) -> Values:
    """Time of day, pause, size."""
    known = sum(actor.hours)
    surprise = -math.log2((actor.hours[event.hour] + 0.5) / (known + 24.0))
    size = math.log1p(event.taken)
    return {
        "hour_rarity": max(0.0, surprise - 3.0) * known / (known + 60.0),
        "gap_days": math.log1p(actor.pause_days) if event.event_time_us < actor.pause_told_until_us else 0.0,
        "records": size,
        "records_own": actor.sizes[event.exports].above(size),
        "bytes": math.log1p(max(0, event.bytes_out)) if event.succeeded else 0.0,
    }


def _news(actor: Actor, event: Event) -> Values:
    """What this account never or rarely did."""
    return {
        "new_network": actor.networks.novelty(event.ip_prefix, actor.events),
        "new_device": actor.devices.novelty(event.device, actor.events),
        "new_country": actor.countries.novelty(event.country, actor.events),
        "new_agent": actor.agents.novelty(event.user_agent, actor.events),
        "rare_resource": actor.resources.rarity(event.resource_type),
        "rare_action": rarity(actor.actions.get(event.action, 0), sum(actor.actions.values())),
    }


def _pace(actor: Actor, event: Event, late: bool) -> Values:
    """Rates, changes of device, journeys, order, region."""
    speed = 0.0 if late else _speed(actor, event)
    rise = _off_fast(actor, event) - actor.off_slow
    return {
        "events_10m": math.log1p(_recent(actor, event)),
        "denied_10m": math.log1p(_refused(actor, event)),
        "device_turns": math.log1p(_turns(actor, event)),
        "travel": math.log1p(speed) if speed > 300.0 else 0.0,
        "sequence": sum(_steps(actor, event)) / 20.0,
        "off_region": max(0.0, rise) * actor.events / (actor.events + 50.0),
    }


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


def _count(actor: Actor, event: Event) -> float:
    """Adds the event to hour and day; returns the most looks at one of its subjects.

    Follows the kernel: any event of another hour, an earlier one too, empties the hour.
    """
    hour = event.local_day * 24 + event.local_hour
    if hour != actor.hour:
        actor.hour, actor.hour_subjects = hour, Distinct(1024)
    actor.hour_subjects.marked.update(map(hour_place, event.subjects))
    actor.day_subjects.marked.update(map(day_place, event.subjects))
    looks = [0]
    if event.unexplained and not event.own_subject:
        looks += [actor.looks.learn(subject, event.local_day) for subject in event.subjects[:4]]
    _add(actor, event)
    actor.records_of[actor.day] = actor.today["records"]
    actor.subjects_of[actor.day] = actor.today["subjects"]
    return max(looks)


def _add(actor: Actor, event: Event) -> None:
    """Today's totals, this event included."""
    today = actor.today
    unlisted = max(0, event.subject_count - len(event.subjects))
    if unlisted:  # follows the kernel: beside subjects that are not listed, the listed ones are not counted
        today["subjects"] += unlisted
    else:
        today["subjects"] = max(today["subjects"], actor.day_subjects.estimate())
    if event.succeeded:
        today["exposure"] += 0.5 * max(1, event.sensitivity) * event.subject_count
        today["records"] += event.records
        today["exported"] += event.records if event.exports else 0
        today["unmasked"] += event.unmasked
        today["unexplained"] += event.unexplained and event.sensitivity >= 3
    today["vip"] += event.unexplained and event.vip_subjects > 0
    if event.external:  # follows the kernel: a refused or failed handing out counts as one record
        today["external"] += max(1, event.taken)


def _totals(actor: Actor, event: Event) -> Values:
    """Hour, day and week."""
    totals = {name: math.log1p(actor.today[measure]) for name, measure in TODAY.items()}
    totals |= {name: actor.own_days[measure].above(math.log1p(actor.today[measure])) for name, measure in _OWN.items()}
    return totals | {
        "subjects_1h": math.log1p(actor.hour_subjects.estimate()),
        "records_week": _week(actor, event.local_day, actor.records_of),
        "subjects_week": _week(actor, event.local_day, actor.subjects_of),
    }


def _week(actor: Actor, day: int, totals: dict[int, float]) -> float:
    """Log of the last 7 days' mean over that of up to 28 days before; 0 until 14 days are known."""
    age = day - actor.first_day
    if age < 14:
        return 0.0
    known = min(age - 6, 28)
    last = _sum(actor, totals, range(day - 6, day + 1)) / 7
    before = _sum(actor, totals, range(day - 6 - known, day - 6)) / known
    return max(0.0, math.log((last + 1.0) / (before + 1.0)))


def _sum(actor: Actor, totals: dict[int, float], days: range) -> float:
    """Follows the kernel: 35 days are kept, and for any other day one of them is read that is 35 × n days away."""
    return sum(totals.get(actor.day - (actor.day - day) % _RING_DAYS, 0.0) for day in days)


def _usual(actor: Actor, event: Event) -> Values:
    """What is usual for the actor; totals only after three days."""
    usual = {name: actor.own_days[measure].mean for name, measure in _OWN.items()}
    usual["records_own"] = actor.sizes[event.exports].mean
    if actor.own_days["records"].count > 2:
        usual |= {name: actor.own_days[measure].mean for name, measure in TODAY.items()}
    return usual


def _learn(actor: Actor, event: Event) -> None:
    """What the event leaves behind, today's totals aside."""
    actor.recent, actor.refused, actor.turns = _recent(actor, event), _refused(actor, event), _turns(actor, event)
    actor.steps, actor.off_fast = _steps(actor, event), _off_fast(actor, event)
    actor.off_slow += 0.005 * (event.off_region - actor.off_slow)
    if sum(actor.hours) >= 4000.0:
        actor.hours = [count / 2 for count in actor.hours]
    actor.hours[event.hour] += 1
    actor.sizes[event.exports].learn(math.log1p(event.taken))
    actor.networks.learn(event.ip_prefix)
    actor.devices.learn(event.device)
    actor.countries.learn(event.country)
    actor.agents.learn(event.user_agent)
    actor.resources.learn(event.resource_type)
    actor.actions[event.action] = actor.actions.get(event.action, 0) + 1
    actor.last_device = event.device or actor.last_device
    actor.last_sequence = event.sequence or actor.last_sequence
    if event.placed and event.network_kind not in _NOBODY_SITS_THERE:
        actor.place = (event.latitude, event.longitude, event.event_time_us)
    actor.events += 1
    actor.newest_us = max(actor.newest_us, event.event_time_us)


def judge(actor: Actor, event: Event) -> tuple[Values, Values]:
    """Features of one event and what is usual; the actor learns unless the event is late."""
    late = _is_late(actor, event)
    if not late:
        _turn_day(actor, event)
    features = _habits(actor, event) | _news(actor, event) | _pace(actor, event, late)
    looks = 0.0 if late else _count(actor, event)
    features |= _totals(actor, event) | {"repeat_subject": math.log1p(looks)}
    usual = _usual(actor, event)
    if not late:
        _learn(actor, event)
    return features, usual


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

    def compute(self, events: EventArrays) -> tuple[F32, F32]:
        """Features and usual values as `detectors.features.compute` gives them; rows not scorable leave no trace."""
        features = np.zeros((events.count, len(INDEX)), np.float32)
        usual = np.full((events.count, len(INDEX)), np.nan, np.float32)
        for row, event in enumerate(rows_of(events)):
            if not event.scorable:
                continue
            for matrix, values in zip((features, usual), self._judge(event), strict=True):
                for name, value in values.items():
                    matrix[row, INDEX[name]] = value
        return features, usual

    def _judge(self, event: Event) -> tuple[Values, Values]:
        return judge(self._actors.setdefault(event.actor_key, Actor()), event)
