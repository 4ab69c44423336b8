"""Planted causes: one strong cause in otherwise ordinary work of many people is named among the reasons told."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest

from detectors.explain import Context, explain
from detectors.features import KIND_OF, KINDS
from detectors.policy import NEVER, Policy
from detectors.rules import all_rules
from pipeline.offline import EventFile
from pipeline.timestamps import utc_us
from tests.unit.detectors.alerts import company

Event = dict[str, Any]
WORDS = {code: reason for rule in all_rules() for code, reason in rule.reasons.items()}
PEOPLE = ("employee", "contractor", "admin")
DAY = "2026-09-23"  # a Wednesday
MORNING, NIGHT = "10:30", "03:10"


def _at(event: Event, clock: str, second: int, changes: Event) -> Event:
    hours, minutes = map(int, clock.split(":"))
    minutes, seconds = minutes + second // 60, second % 60
    time = f"{DAY}T{hours + minutes // 60:02}:{minutes % 60:02}:{seconds:02}.000+08:00"
    return {**event, "event_time": time, **changes}


def _once(clock: str = MORNING, **changes: Any) -> Callable[[Event], list[Event]]:
    return lambda event: [_at(event, clock, 0, changes)]


def _burst(count: int, apart_s: int, change: Callable[[int], Event], **more: Any) -> Callable[[Event], list[Event]]:
    return lambda event: [_at(event, MORNING, number * apart_s, {**change(number), **more}) for number in range(count)]


def _same(_: int) -> Event:
    return {}


def _subject(number: int) -> Event:
    name = f"cu-{uuid.uuid5(uuid.NAMESPACE_OID, str(number))}"  # ids in no order
    return {"subject_ids": [name], "resource_id": name}


def _one_subject(_: int) -> Event:
    return _subject(0)


def _no_subject(_: int) -> Event:
    return {"subject_ids": [], "subject_count": 0, "resource_id": "page"}


def _numbered(number: int) -> Event:
    return {"subject_ids": [], "subject_count": 0, "resource_id": f"{710_000 + number}"}


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause: the kind of feature that it shows in, the rules that are about it, and how it is done."""

    kind: str
    rules: tuple[str, ...]
    done: Callable[[Event], list[Event]]


_ABROAD: Event = {"src_ip": "177.8.9.10", "src_country": "BR", "src_city": "Recife"}
_OUTSIDE: Event = {"action": "share", "recipient_type": "external", "recipient_id": "x", "records_returned": 60}
_EXPORT: Event = {"action": "export", "records_returned": 5000, "bytes_out": 2_000_000, **_no_subject(0)}
_CLEAR: Event = {"action": "unmask", "fields_unmasked": ["mobile"]}
CAUSES: Mapping[str, Cause] = {
    "another country": Cause("place", ("foreign_access", "impossible_travel"), _once(**_ABROAD)),
    "an unknown device and program": Cause("origin", (), _once(device_id="d-planted", user_agent="curl/8.9")),
    "three at night": Cause("hours", ("night_sweep",), _once(NIGHT)),
    "two thousand records": Cause("volume", (), _once(records_returned=2000, bytes_out=900_000)),
    "a hundred and fifty customers": Cause("breadth", ("mass_lookup",), _burst(150, 15, _subject)),
    "thirty refusals": Cause("refusals", ("permission_probing",), _burst(30, 8, _same, outcome="denied")),
    "numbers in order": Cause("order", ("enumeration",), _burst(25, 20, _numbered)),
    "sixty unmasked looks": Cause("clear text", ("mass_unmask",), _burst(60, 50, _subject, **_CLEAR)),
    "an export of five thousand": Cause("export", ("bulk_export",), _once(**_EXPORT)),
    "one customer thirty times": Cause("one customer", ("repeat_curiosity",), _burst(30, 200, _one_subject)),
    "records for outsiders": Cause("outsiders", ("external_share", "cross_border"), _once(**_OUTSIDE)),
    "sixty searches": Cause("searches", ("search_fishing",), _burst(60, 40, _no_subject, action="search")),
    "forty changes": Cause("changes", ("record_tampering",), _burst(40, 60, _subject, action="update")),
    "eight looks at the famous": Cause(
        "protected customers", ("vip_snooping",), _burst(8, 300, _subject, subject_flags=["vip"])
    ),
    "a query past the application": Cause("habit", ("direct_sql",), _once(channel="sql")),
}


@cache
def ordinary() -> tuple[Event, ...]:
    """An ordinary look of each person in the days after history; no work item, so that it counts as open."""
    found: dict[str, Event] = {}
    for line, event_id in zip(company().rest.lines, company().rest.ids, strict=True):
        event = msgspec.json.decode(line)
        plain = (event["action"], event["channel"], event["outcome"]) == ("read", "ui", "success")
        if plain and event["actor_type"] in PEOPLE and event_id not in company().labelled and "subject_ids" in event:
            left_out = ("case_ref", "approval_ref", "source_seq", "subject_flags")
            found.setdefault(event["actor_id"], {name: event[name] for name in event if name not in left_out})
    return tuple(found[name] for name in sorted(found))


def told_of(done: Callable[[Event], list[Event]]) -> list[Sequence[str]]:
    """For each person: what is told of the last event of the cause, on top of their own history."""
    chance = random.Random(20261126)
    events = [
        {**one, "event_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)), "last": number == len(story) - 1}
        for story in map(done, ordinary())
        for number, one in enumerate(story)
    ]
    events.sort(key=lambda one: utc_us(one["event_time"]))
    last = [bool(one.pop("last")) for one in events]
    lines = [msgspec.json.encode(one) for one in events]
    times = np.array([utc_us(one["event_time"]) for one in events], np.int64)
    file = EventFile(lines, times, [one["event_id"] for one in events])
    context = Context(company().model, WORDS)
    found: list[Sequence[str]] = []
    for batch in company().chain(Policy(NEVER)).run(file):
        judged = batch.judged
        for row in range(judged.arrays.count):
            if last[batch.start + row]:
                found.append(explain(row, judged.arrays, judged.assessment, context).told)
    return found


def _kinds(told: Sequence[str]) -> Iterator[str]:
    for code in told:
        if code.startswith("feature:"):
            yield KINDS[KIND_OF[code.removeprefix("feature:")]][0]


def names_feature(cause: Cause, told: Sequence[str]) -> bool:
    return cause.kind in _kinds(told)


def names_cause(cause: Cause, told: Sequence[str]) -> bool:
    return names_feature(cause, told) or any(f"rule:{name}" in told for name in cause.rules)


@cache
def planted() -> Mapping[str, Sequence[Sequence[str]]]:
    return {name: told_of(cause.done) for name, cause in CAUSES.items()}


def test_more_than_a_hundred_causes_are_planted_into_the_work_of_many_people() -> None:
    assert len(ordinary()) >= 30
    assert sum(map(len, planted().values())) == len(ordinary()) * len(CAUSES) > 100


def test_planted_causes_are_told() -> None:
    """Nine in ten at least over all of them: by a feature of their kind, with or without a rule beside it."""
    named = [names_feature(CAUSES[name], told) for name, found in planted().items() for told in found]
    assert sum(named) / len(named) >= 0.9


@pytest.mark.parametrize("name", CAUSES)
def test_no_cause_is_hard_to_recognise(name: str) -> None:
    named = [names_cause(CAUSES[name], told) for told in planted()[name]]
    assert sum(named) / len(named) >= 0.7


@pytest.mark.parametrize("name", [name for name, cause in CAUSES.items() if cause.rules])
def test_beside_a_rule_the_feature_behind_it_is_told(name: str) -> None:
    cause = CAUSES[name]
    by_rule = [told for told in planted()[name] if any(f"rule:{one}" in told for one in cause.rules)]
    assert all(any(code.startswith("feature:") for code in told) for told in by_rule)


def test_where_nothing_was_planted_the_causes_are_not_told() -> None:
    """The same looks as they are: each kind is told of a few at most."""
    plain = told_of(_once())
    for name, cause in CAUSES.items():
        assert sum(names_cause(cause, told) for told in plain) / len(plain) <= 0.2, name
