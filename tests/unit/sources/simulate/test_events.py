"""What a simulation sends: valid events, honest numbers, the same every time, ordinary life untouched by attacks."""

from __future__ import annotations

import itertools
from collections import defaultdict
from datetime import date
from typing import Any

import pytest

from pipeline.sources.simulate import Labelled, Simulation, draw_company
from pipeline.timestamps import utc_us
from tests.unit.sources.simulate.checks import rejected
from tests.unit.sources.simulate.runs import SEEDS, run


@pytest.mark.parametrize("seed", SEEDS)
def test_every_event_is_valid(seed: int) -> None:
    assert rejected([one.event for one in run(seed).events]) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_a_repeated_id_is_the_same_event_again(seed: int) -> None:
    seen: dict[str, dict[str, Any]] = {}
    for one in run(seed).events:
        assert seen.setdefault(one.event["event_id"], one.event) == one.event


@pytest.mark.parametrize("seed", SEEDS)
def test_a_source_instance_numbers_its_events_in_the_order_of_their_times(seed: int) -> None:
    numbered: dict[str, dict[int, Labelled]] = defaultdict(dict)
    for one in run(seed).events:
        if "source_seq" in one.event:
            earlier = numbered[one.event["source_instance"]].setdefault(one.event["source_seq"], one)
            assert earlier.event["event_id"] == one.event["event_id"]
    assert numbered
    for events in numbered.values():
        times = [events[number].time_ms for number in sorted(events)]
        assert times == sorted(times)


def test_events_come_nearly_in_order_and_some_sources_are_late_or_have_wrong_clocks() -> None:
    late = skewed = 0
    for seed in SEEDS:
        events = run(seed).events
        times = [one.time_ms for one in events]
        behind = sum(later < earlier for earlier, later in itertools.pairwise(times))
        assert behind < len(times) * 0.05
        late += behind
        skewed += sum(abs(utc_us(one.event["event_time"]) // 1000 - one.time_ms) > 1000 for one in events)
    assert late
    assert skewed


def core(one: Labelled) -> tuple[object, ...]:
    return one.time_ms, *(one.event[name] for name in ("actor_id", "action", "resource_type", "resource_id"))


def simulated(seed: int, **more: Any) -> list[Labelled]:
    return list(Simulation(draw_company(5, 40), date(2026, 8, 3), 9, seed, **more).events())


def test_the_same_arguments_give_the_same_events_and_another_seed_gives_others() -> None:
    first, again, other = (simulated(seed, attacks_per_scenario=1) for seed in (1, 1, 2))
    assert [one.event for one in first] == [one.event for one in again]
    assert [one.event for one in first] != [one.event for one in other]


def test_ordinary_life_is_the_same_with_and_without_attacks() -> None:
    quiet = simulated(1, attacks_per_scenario=0)
    attacked = simulated(1, attacks_per_scenario=2, scenarios=("snooping", "bulk_export", "partner_harvest"))
    assert any(one.attack_id for one in attacked)
    assert set(map(core, quiet)) == {core(one) for one in attacked if not one.attack_id}


def test_drawing_and_simulating_leaves_the_company_as_it_was() -> None:
    company = draw_company(5, 40)
    list(Simulation(company, date(2026, 8, 3), 9, 1).events())
    assert company == draw_company(5, 40)


def test_only_the_named_scenarios_happen() -> None:
    assert {one.scenario for one in simulated(1, scenarios=("snooping",))} == {"", "snooping"}
