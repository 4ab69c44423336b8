"""False alerts on what looks bad and is not: benign twins of attacks, and odd stretches of ordinary life.

A twin does what an attack does and has a reason on record; it is alerted when an alert fired on one of its events. A
look-alike is a happening (a journey, a new device, a promotion day) of one actor over local days; it counts where the
actor has a scored event on one of them, and is alerted when a false alert of that actor falls on one of them. Beside it
stands the share of its actor-days with a false alert, and the same share of the actor-days under no look-alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from typing import Any

import numpy as np

from detectors.base import I64
from detectors.evaluation.evidence import Account, Evidence, Happening
from detectors.evaluation.shares import share, wilson
from pipeline.time_zones import TimeZones

_QUARTER_S = 900
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAYS = 1 << 20
ORDINARY = "(no look-alike)"


def twins(evidence: Evidence) -> dict[str, Any]:
    """Twins seen and alerted, all and by scenario."""
    seen = evidence.twins
    rows = evidence.alert_row[evidence.alert_row >= 0]
    alerted = {int(story) for story in np.unique(seen.of_event[rows]).tolist() if story >= 0}
    by_scenario = {}
    for scenario in sorted(set(seen.scenarios)):
        stories = [index for index, name in enumerate(seen.scenarios) if name == scenario]
        by_scenario[scenario] = _counted(len(stories), sum(index in alerted for index in stories))
    return {**_counted(len(seen), len(alerted)), "by_scenario": by_scenario}


def _counted(cases: int, alerted: int) -> dict[str, Any]:
    return {
        "cases": cases,
        "alerted": alerted,
        "share": share(alerted, cases),
        "interval": [round(end, 4) for end in wilson(alerted, cases)],
    }


def lookalikes(
    evidence: Evidence, happenings: Sequence[Happening], accounts: Mapping[str, Account], time_zone: str
) -> list[dict[str, Any]]:
    """One row a kind, by name, and a last one of ordinary actor-days; `time_zone`: that of actors without a site."""
    zones = _zones(evidence.actors, accounts, time_zone)
    rows, false = evidence.placed, np.flatnonzero(evidence.is_false)
    active = set(_actor_days(evidence.actor[rows], evidence.time_us[rows], zones).tolist())
    alerted = set(_actor_days(evidence.alert_actor[false], evidence.alert_time_us[false], zones).tolist())
    number = {name: index for index, name in enumerate(evidence.actors)}
    kinds: dict[str, list[set[int]]] = {}
    for one in happenings:
        if one.actor_id in number:
            first, last = (day.toordinal() - _EPOCH_DAY for day in (one.first_day, one.last_day))
            key = number[one.actor_id] * _DAYS
            seen = {key + day for day in range(first, last + 1)} & active
            if seen:
                kinds.setdefault(one.kind, []).append(seen)
    covered = {day for cases in kinds.values() for case in cases for day in case}
    found = [_kind(kind, cases, alerted) for kind, cases in sorted(kinds.items())]
    return [*found, _days_row(ORDINARY, active - covered, alerted)]


def _kind(kind: str, cases: list[set[int]], alerted: set[int]) -> dict[str, Any]:
    days = {day for case in cases for day in case}
    return {
        **_days_row(kind, days, alerted),
        **_counted(len(cases), sum(bool(case & alerted) for case in cases)),
    }


def _days_row(kind: str, days: set[int], alerted: set[int]) -> dict[str, Any]:
    hit = len(days & alerted)
    return {"kind": kind, "actor_days": len(days), "alerted_days": hit, "day_share": share(hit, len(days))}


def _zones(actors: Sequence[str], accounts: Mapping[str, Account], time_zone: str) -> list[tzinfo]:
    known = TimeZones()
    names = [(accounts[actor].time_zone if actor in accounts else "") or time_zone for actor in actors]
    return [known.zone(name) for name in names]


def _actor_days(actors: I64, time_us: I64, zones: Sequence[tzinfo]) -> I64:
    """The distinct actor-days, actor × 2²⁰ + days since 1970-01-01 in the actor's local time.

    Every zone's offset is a whole number of quarters of an hour, so one look a quarter is enough.
    """
    if not len(actors):
        return np.zeros(0, np.int64)
    found: list[I64] = []
    quarters = time_us // (_QUARTER_S * 1_000_000)
    zone_of = {zone: index for index, zone in enumerate(dict.fromkeys(zones))}
    by_actor = np.array([zone_of[zone] for zone in zones], np.int64)[actors]
    for zone, index in zone_of.items():
        rows = np.flatnonzero(by_actor == index)
        distinct, place = np.unique(quarters[rows], return_inverse=True)
        days = [_local_day(int(quarter), zone) for quarter in distinct.tolist()]
        found.append(np.unique(actors[rows] * _DAYS + np.array(days, np.int64)[place]))
    return np.concatenate(found)


def _local_day(quarter: int, zone: tzinfo) -> int:
    return datetime.fromtimestamp(quarter * _QUARTER_S, UTC).astimezone(zone).date().toordinal() - _EPOCH_DAY
