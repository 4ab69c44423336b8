"""Every scheduled detector on the real engine, in this process: true cases, false cases, benign look-alikes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from detectors.scheduled import SCHEDULED
from detectors.scheduled.base import HIGHEST_RISK, LOWEST_RISK, ScheduledDetector
from pipeline.adapters.embedded import EmbeddedEngine
from pipeline.schedule.findings import Slots, find
from tests.scheduled_cases import CASES
from tests.scheduled_rows import ZONE, Case, of_tenant, rows_of, run_case, slots_of, without_place

_DETECTORS = {one.name: one for one in SCHEDULED}
_ALL = [
    pytest.param(_DETECTORS[name], case, id=f"{name}-{case.kind}-{case.name}")
    for name, cases in CASES.items()
    for case in cases
]


@pytest.fixture(scope="module")
def engine() -> Iterator[EmbeddedEngine]:
    with EmbeddedEngine() as opened:
        yield opened


def test_every_detector_has_three_cases_of_each_kind() -> None:
    for detector in SCHEDULED:
        kinds = Counter(case.kind for case in CASES[detector.name])
        assert min(kinds["true"], kinds["false"], kinds["look_alike"]) >= 3, detector.name


@pytest.mark.parametrize(("detector", "case"), _ALL)
def test_a_case_gives_the_keys_it_must_and_no_others(
    engine: EmbeddedEngine, detector: ScheduledDetector, case: Case
) -> None:
    found = run_case(engine, detector, case)
    last = max(one["event_time"] for one in case.events)
    assert {one.key for one in found} == set(case.found)
    for one in found:
        assert LOWEST_RISK <= one.risk <= HIGHEST_RISK
        assert (
            one.window_start_us <= one.contributor.event_time_us < one.window_end_us or detector.name == "silent_source"
        )
        assert one.contributor.event_time_us <= last
        assert one.contributor.offset < len(case.events)
        assert not {"{", "}"} & set(one.explanation_en + one.explanation_zh)
        assert one.explanation_en.count(". ") <= 3


@pytest.mark.parametrize("detector", SCHEDULED, ids=lambda one: one.name)
def test_late_shuffled_and_repeated_input_gives_the_same_findings(
    engine: EmbeddedEngine, detector: ScheduledDetector
) -> None:
    for case in [one for one in CASES[detector.name] if one.kind == "true"][:2]:
        plain = [without_place(one) for one in run_case(engine, detector, case)]
        chance = random.Random(case.name)
        repeated = [{**one, "duplicate_of": 1} for one in chance.sample(list(case.events), len(case.events) // 3)]
        shuffled = [*case.events, *repeated]
        chance.shuffle(shuffled)
        engine.clear()
        for start in range(0, len(shuffled), 97):
            engine.add_events(rows_of(shuffled[start : start + 97]))
        slots = slots_of(detector, case.events, case.last_day)
        found = find(engine, detector, slots, case.directory, ZONE)
        assert [without_place(one) for one in found] == plain


@pytest.mark.parametrize("detector", SCHEDULED, ids=lambda one: one.name)
def test_asking_slot_by_slot_gives_what_asking_at_once_gives(
    engine: EmbeddedEngine, detector: ScheduledDetector
) -> None:
    case = next(one for one in CASES[detector.name] if one.kind == "true")
    at_once = run_case(engine, detector, case)
    slots = slots_of(detector, case.events, case.last_day)
    first = slots.last - (2 if detector.cadence.unit == "day" else 26)
    singly = [
        one
        for slot in range(first, slots.last + 1)
        for one in find(engine, detector, Slots(slot, slot), case.directory, ZONE)
    ]
    assert singly == [one for one in at_once if one.slot >= first]


@pytest.mark.parametrize("detector", SCHEDULED, ids=lambda one: one.name)
def test_tenants_do_not_see_each_other(engine: EmbeddedEngine, detector: ScheduledDetector) -> None:
    case = next(one for one in CASES[detector.name] if one.kind == "true")
    alone = run_case(engine, detector, case)
    engine.add_events(rows_of(of_tenant(case.events, "other")))
    slots = slots_of(detector, case.events, case.last_day)
    both = find(engine, detector, slots, case.directory, ZONE)
    for tenant in ("default", "other"):
        assert [(one.slot, one.key, one.risk) for one in both if one.tenant_id == tenant] == [
            (one.slot, one.key, one.risk) for one in alone
        ]


@pytest.mark.parametrize("detector", SCHEDULED, ids=lambda one: one.name)
def test_what_was_received_too_late_does_not_change_a_final_result(
    engine: EmbeddedEngine, detector: ScheduledDetector
) -> None:
    case = next(one for one in CASES[detector.name] if one.kind == "true")
    slots = slots_of(detector, case.events, case.last_day)
    close_us = detector.cadence.start_us(slots.last + 1, ZONE)
    plain = [without_place(one) for one in run_case(engine, detector, case)]
    late = [{**one, "received_at": close_us + 1, "actor": f"late{n % 40}"} for n, one in enumerate(case.events)]
    engine.add_events(rows_of(late))
    found = find(engine, detector, Slots(slots.first, slots.last, close_us), case.directory, ZONE)
    assert [without_place(one) for one in found] == plain
