"""Attacks and their twins: all of the threat list, in three strengths, each twin with its reason, labels that hold."""

from __future__ import annotations

import re
from collections import defaultdict
from statistics import fmean

import pytest

from pipeline.sources.simulate.attacks import SCENARIOS, STRENGTHS
from pipeline.sources.simulate.calendar import employed
from pipeline.sources.simulate.catalogue import CATALOGUE
from pipeline.sources.simulate.desk import local_day, stamp
from pipeline.sources.simulate.places import HOUR_MS
from tests.unit.sources.simulate.runs import SEEDS, Told, run, stories

LARGE = (31, 32)
WITHOUT_OWN_EVENTS = {"silent_source", "sequence_hole"}


def told(name: str, *, benign: bool) -> list[Told]:
    return [one for seed in LARGE for one in stories(seed)[1] if one.act.scenario == name and one.act.benign is benign]


def test_the_catalogue_names_every_story_and_shows_the_whole_threat_list() -> None:
    assert set(CATALOGUE) == set(SCENARIOS)
    shown = {threat for entry in CATALOGUE.values() for threat in entry.threats}
    assert shown == {f"D{number:02d}" for number in range(1, 33)}


def test_every_scenario_is_described_in_english_and_chinese() -> None:
    for entry in CATALOGUE.values():
        assert all(text.isascii() and len(text) > 5 for text in (entry.title_en, entry.twin_en))
        assert all(re.search("[\u4e00-\u9fff]", text) for text in (entry.title_zh, entry.twin_zh))


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_a_scenario_happens_in_each_strength_and_leaves_labelled_events(name: str) -> None:
    for seed in LARGE:
        simulation, found = stories(seed)
        acts = [one for one in found if one.act.scenario == name]
        for benign in (False, True):
            assert {one.act.strength for one in acts if one.act.benign is benign} == set(STRENGTHS)
        silent = {one.identity for silences in simulation.life.silences.values() for one in silences}
        assert all(one.events or one.act.identity in silent for one in acts)
    assert any(one.scenario == name and not one.twin for seed in SEEDS for one in run(seed).events)


def boldness(one: Told) -> float:
    """What a person would call much: records touched without a ticket of their own."""
    return sum(
        max(1, event.get("subject_count") or 1, event.get("records_returned") or 1)
        for event in (labelled.event for labelled in one.events)
        if "case_ref" not in event
    )


@pytest.mark.parametrize("name", sorted(set(CATALOGUE) - {"silent_source"}))
def test_a_stronger_attack_takes_more_without_a_reason(name: str) -> None:
    means = [fmean(boldness(one) for one in told(name, benign=False) if one.act.strength == s) for s in STRENGTHS]
    assert means[0] < means[1] < means[2], means


def test_a_stronger_silence_is_longer() -> None:
    hours = defaultdict(list)
    for seed in LARGE:
        simulation, found = stories(seed)
        strengths = {one.act.identity: one.act.strength for one in found}
        for silences in simulation.life.silences.values():
            for silence in silences:
                hours[strengths[silence.identity]].append((silence.to_ms - silence.from_ms) / HOUR_MS)
    means = [fmean(hours[strength]) for strength in STRENGTHS]
    assert means[0] < means[1] < means[2]


def reasoned(name: str, *, benign: bool) -> float:
    """Share of a scenario's events that a work item or an approval explains."""
    found = []
    for one in told(name, benign=benign):
        items = {(item["actor_id"], item["subject_id"]) for item in one.work_items}
        for event in (labelled.event for labelled in one.events if labelled.event["action"] != "login"):
            actor, subjects = event["actor_id"], event.get("subject_ids") or [None]
            looked_for = event["action"] == "search" and any(who == actor for who, _ in items)
            listed = bool(items & {(actor, subjects[0]), (actor, None)})
            found.append("approval_ref" in event or "case_ref" in event or listed or looked_for)
    return fmean(found)


BY_CONTEXT = {"partner_overreach", "key_in_many_places", "silent_source", "distributed_scraping"}
"""Twins that a contract, a registered network or an announced window explains; some besides an approval."""


@pytest.mark.parametrize("name", sorted(set(CATALOGUE) - BY_CONTEXT))
def test_a_twins_reason_is_on_record_and_an_attacks_is_not(name: str) -> None:
    assert reasoned(name, benign=True) > 0.85
    assert reasoned(name, benign=False) < 0.75


@pytest.mark.parametrize("seed", LARGE)
def test_a_partners_busy_twin_has_a_contract_for_the_day(seed: int) -> None:
    simulation, found = stories(seed)
    for one in (one for one in found if one.act.scenario == "partner_overreach"):
        days = defaultdict(set)
        for labelled in one.events:
            days[local_day(labelled.time_ms)].add(labelled.event["resource_id"])
        for day, subjects in days.items():
            limit = max(
                contract.daily_subject_limit
                for contract in simulation.company.contracts
                if contract.org == one.act.actor.org and contract.valid_from <= day <= contract.valid_to
            )
            if one.act.benign:
                assert len(subjects) <= limit


def test_twins_that_context_explains_have_that_context() -> None:
    for one in told("new_geo", benign=True):
        assert one.act.day in one.act.actor.away
    for one in told("dormant_account", benign=True):
        assert one.act.actor.absent
        assert not any(labelled.event.get("device_id", "").startswith("x-") for labelled in one.events)
    for one in told("credential_sharing", benign=True):
        assert {e.event.get("device_id") for e in one.events} <= {
            one.act.actor.device, one.act.actor.second_device, None,
        } | {f"d-{5000 + one.act.actor.number}", f"d-{7000 + one.act.actor.number}"}  # fmt: skip
    for one in told("key_in_many_places", benign=True):
        assert all(e.event["src_ip"].startswith("10.90.") for e in one.events if "src_ip" in e.event)


def test_the_bold_partners_agent_calls_12432_times_in_six_hours_of_one_night() -> None:
    for one in told("partner_harvest", benign=False):
        if one.act.strength == "strong":
            times = [labelled.time_ms for labelled in one.events]
            assert len(times) == 12_432
            assert max(times) - min(times) <= 6 * HOUR_MS
            assert stamp(min(times), one.act.actor.site.offset_ms)[11:13] in ("00", "01")
            assert len({labelled.event["src_ip"] for labelled in one.events}) > 50
            assert all(labelled.event["action"] == "unmask" for labelled in one.events)


def test_a_crowd_peeks_at_one_customer_and_a_scrape_is_spread_over_accounts_and_addresses() -> None:
    for one in told("vip_crowd", benign=False):
        looks = [labelled.event for labelled in one.events if "subject_ids" in labelled.event]
        assert len({event["subject_ids"][0] for event in looks}) == 1
        assert len({event["actor_id"] for event in looks}) >= 3
    for one in told("distributed_scraping", benign=False):
        assert len({labelled.event["actor_id"] for labelled in one.events}) >= 3
        assert len({labelled.event["src_ip"] for labelled in one.events}) >= 6


def test_nobody_works_after_leaving_but_the_story_of_it() -> None:
    for seed in SEEDS:
        people = {one.actor_id: one for one in run(seed).simulation.company.people}
        for one in run(seed).events:
            person = people.get(one.event["actor_id"])
            if person is None or person.leaves_on is None or not person.human:
                continue
            if local_day(one.time_ms, person.site.offset_ms) > person.leaves_on and not one.attack_id:
                # A last night shift ends after midnight.
                assert (local_day(one.time_ms, person.site.offset_ms) - person.leaves_on).days <= 1


def test_a_silent_instance_says_nothing_and_is_labelled_on_its_next_events() -> None:
    seen = 0
    for seed in SEEDS:
        simulation, events = run(seed)
        acts = {act.identity: act for act in simulation.acts}
        for instance, silences in simulation.life.silences.items():
            own = sorted((e for e in events if e.event["source_instance"] == instance), key=lambda e: e.time_ms)
            for silence in silences:
                assert not [e for e in own if silence.from_ms <= e.time_ms < silence.to_ms]
                after = [e for e in own if e.attack_id == silence.identity and e.time_ms >= silence.to_ms]
                if not acts[silence.identity].benign and after:
                    seen += 1
                    assert len(after) <= 6
    assert seen >= 3


def test_erased_rows_leave_holes_before_the_events_that_show_them() -> None:
    seen = 0
    for seed in SEEDS:
        numbers = defaultdict(set)
        for one in run(seed).events:
            if "source_seq" in one.event:
                numbers[one.event["source_instance"]].add(one.event["source_seq"])
        for one in run(seed).events:
            if one.scenario == "sequence_hole" and not one.twin and "source_seq" in one.event:
                seen += 1
                assert one.event["source_seq"] - 1 not in numbers[one.event["source_instance"]]
    assert seen


def test_somebody_in_a_story_is_employed_unless_it_is_about_that() -> None:
    for seed in LARGE:
        for one in stories(seed)[1]:
            if one.act.actor.human and not SCENARIOS[one.act.scenario].alone:
                assert employed(one.act.actor, one.act.day), one.act.identity
