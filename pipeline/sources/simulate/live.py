"""The demo's live story: a few minutes of ordinary work with a scraping partner and an unmasking insider in it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from pipeline.sources.simulate.attacks.story import Act, looks
from pipeline.sources.simulate.calendar import employed
from pipeline.sources.simulate.company import Company
from pipeline.sources.simulate.desk import Desk, local_day, stamp
from pipeline.sources.simulate.life import Event, Life
from pipeline.sources.simulate.machines import partner_look
from pipeline.sources.simulate.places import CHINA_OFFSET_MS
from pipeline.sources.simulate.sending import event_id
from pipeline.sources.simulate.work import ordinary_day

_SCRAPED, _REVEALED = 270, 40
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_ORDINARY_SHARE = 0.15
"""Of two hours' work, pressed into the minutes of the story: more would look like haste, and be it."""


def live_story(
    company: Company, start_at: datetime, seed: int, minutes: int = 3, life: Life | None = None
) -> Iterator[dict[str, Any]]:
    """A few minutes around `start_at` (aware): ordinary work, a partner's agent that scrapes, an insider who unmasks.

    Ordinary work is what the company does at this time of day, at night little of it.
    Event times lie from `start_at` on, in order; nobody has to wait for them to be real. After a simulation give its
    own company and life: people have left, offices have moved.
    """
    chance = random.Random(f"live:{company.seed}:{seed}")
    desk = Desk(company, life or Life(), chance)
    start_ms, length_ms = int(start_at.timestamp() * 1000), minutes * 60_000
    day = (start_at + timedelta(milliseconds=CHINA_OFFSET_MS)).date()
    found = [
        (start_ms + at_ms % length_ms, event)
        for at_ms, event in ordinary_day(desk, day, seed)
        if event["resource_type"] != "heartbeat" and _is_near(at_ms, start_ms) and chance.random() < _ORDINARY_SHARE
    ]
    desk.chance = chance
    found += _stories(desk, start_ms + 5_000, length_ms - 6_000)
    numbers: dict[str, int] = {}
    for due_ms, event in sorted(found, key=lambda one: one[0]):
        at_ms = min(due_ms, start_ms + length_ms)
        instance = f"{event['source_instance']}-live"
        numbers[instance] = numbers.get(instance, 0) + 1
        yield {
            **event,
            "event_id": event_id(at_ms, chance),
            "event_time": stamp(at_ms, CHINA_OFFSET_MS),
            "source_instance": instance,
            "source_seq": numbers[instance],
        }


def _is_near(at_ms: int, hour_of_ms: int) -> bool:
    """Whether the work belongs to this time of day: at night only those work who work at night."""
    apart_ms = abs(at_ms - hour_of_ms) % _DAY_MS
    return min(apart_ms, _DAY_MS - apart_ms) <= _HOUR_MS


def _stories(desk: Desk, from_ms: int, span_ms: int) -> Iterator[tuple[int, Event]]:
    company, chance = desk.company, desk.chance
    agent, first = company.partners[0], chance.randrange(len(company.customers) - _SCRAPED)
    for number in range(_SCRAPED):
        at_ms = from_ms + number * span_ms // _SCRAPED
        yield at_ms, partner_look(desk, agent, at_ms, first + number, "unmask", fields_unmasked=["mobile", "id_number"])
    day = local_day(from_ms)
    staff = [one for one in company.people if one.in_directory and one.leaves_on is None and employed(one, day)]
    insider = next((one for one in staff if one.department.duty == "service"), company.people[0])
    act = Act("attack-unmask_abuse-0", "unmask_abuse", insider, (), day, "strong", benign=False, chance=chance)
    for number in range(_REVEALED):
        at_ms = from_ms + number * span_ms // _REVEALED + chance.randrange(1000)
        yield from looks(desk, act, at_ms, 1, 1, "unmask")
