"""The breach clock: deadlines, states, what growth adds, what people decided; properties over drawn breaches."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.breach.clock import DUE, NOT_REQUIRED, OVERDUE, TOLD, Clock, Duty, clock_at
from pipeline.breach.model import (
    COUNTS,
    FACTS,
    OPERATORS,
    Breach,
    Counted,
    Decision,
    Discovery,
    OperatorProfile,
    accumulated,
)
from pipeline.breach.register import HOUR_US, read_register
from pipeline.errors import UsageError

REGISTER = read_register()
T0_US = 1_790_000_000_000_000
MINUTE_US = 60_000_000
LARGE = Counted(at_us=T0_US, subjects_all=1_000_000)
PROFILE = OperatorProfile()

times = st.integers(0, 400 * HOUR_US).map(lambda later_us: T0_US + later_us)
counts = st.builds(
    Counted,
    at_us=times,
    facts=st.frozensets(st.sampled_from(FACTS)),
    categories=st.frozensets(st.sampled_from(["health", "phone"])),
    **{name: st.one_of(st.integers(0, 3), st.integers(0, 200_000_000)) for name in COUNTS},
)
profiles = st.builds(
    OperatorProfile, operator=st.sampled_from(OPERATORS), sectors=st.sampled_from([frozenset(), {"miit"}])
)
laws = st.sampled_from([one.law_id for one in REGISTER.laws])
decisions = st.builds(
    Decision, law_id=laws, kind=st.sampled_from(["done", "waived"]), at_us=times, by=st.just("dpo.one"),
    second=st.just("dpo.two"), reason=st.just("agreed"),
)  # fmt: skip


def breach(*counted: Counted, decided: tuple[Decision, ...] = (), ended_us: int | None = None) -> Breach:
    discovery = Discovery(at_us=T0_US, set_by="li.wei", why="the first alert was read")
    return Breach(discovery=discovery, counted=counted or (LARGE,), decisions=decided, handling_ended_us=ended_us)


def duty(clock: Clock, law_id: str) -> Duty:
    return next(one for one in clock.duties if one.law.law_id == law_id)


def _waived(law_id: str, at_us: int) -> Decision:
    return Decision(
        law_id=law_id, kind="waived", at_us=at_us, by="dpo.one", second="dpo.two", reason="encrypted, no key lost"
    )


@pytest.mark.parametrize(
    ("operator", "law_id", "hours"),
    [("cii", "cn-irm-4-cii", 1), ("state_organ", "cn-irm-4-organ", 2), ("other", "cn-irm-4-other", 4)],
)
def test_each_kind_of_operator_has_its_own_first_report(operator: str, law_id: str, hours: int) -> None:
    clock = clock_at(REGISTER, OperatorProfile(operator=operator), breach(), T0_US)
    first = {one.law.law_id for one in clock.open() if one.law.law_id.startswith("cn-irm-4-")}
    assert first == {law_id}
    assert duty(clock, law_id).deadline_us == T0_US + hours * HOUR_US


def test_the_last_moment_is_in_time_and_the_next_is_not() -> None:
    deadline_us = T0_US + 4 * HOUR_US
    at = duty(clock_at(REGISTER, PROFILE, breach(), deadline_us), "cn-irm-4-other")
    after = duty(clock_at(REGISTER, PROFILE, breach(), deadline_us + 1), "cn-irm-4-other")
    assert (at.state, at.left_us) == (DUE, 0)
    assert (after.state, after.left_us) == (OVERDUE, -1)


def test_the_ungraded_clock_runs_beside_the_graded_one() -> None:
    clock = clock_at(REGISTER, PROFILE, breach(Counted(at_us=T0_US, subjects_all=1)), T0_US)
    assert {one.law.law_id for one in clock.open()} == {"cn-pipl-57-authority", "cn-pipl-57-individuals"}
    one = duty(clock, "cn-pipl-57-authority")
    assert one.own_target
    assert one.deadline_us == T0_US + 24 * HOUR_US
    below = duty(clock, "cn-irm-4-other")
    assert (below.state, below.deadline_us) == (NOT_REQUIRED, None)
    assert "persons 1 of 1,000,000" in below.reason.en
    assert "1,000,000" in below.reason.zh


def test_minors_and_europeans_add_their_recipients() -> None:
    clock = clock_at(REGISTER, PROFILE, breach(Counted(at_us=T0_US, minors=1, subjects_eu=1)), T0_US)
    assert {"cn-min-35-authority", "cn-min-35-guardians", "eu-gdpr-33"} <= {one.law.law_id for one in clock.open()}
    only_china = OperatorProfile(jurisdictions=frozenset({"CN"}))
    at_home = clock_at(REGISTER, only_china, breach(Counted(at_us=T0_US, subjects_eu=1)), T0_US)
    assert {one.law.jurisdiction for one in at_home.duties} == {"CN"}


def test_a_threshold_reached_late_counts_from_discovery_and_says_since_when() -> None:
    later_us = T0_US + 5 * HOUR_US
    counted = (Counted(at_us=T0_US, subjects_all=10), Counted(at_us=later_us, subjects_all=1_000_000))
    found = duty(clock_at(REGISTER, PROFILE, breach(*counted), later_us), "cn-irm-4-other")
    assert (found.state, found.left_us, found.applies_since_us) == (OVERDUE, -HOUR_US, later_us)
    before = duty(clock_at(REGISTER, PROFILE, breach(*counted), later_us - 1), "cn-irm-4-other")
    assert before.state == NOT_REQUIRED, "what is counted later is not known yet"


def test_the_closing_report_is_counted_from_the_end_of_handling() -> None:
    assert duty(clock_at(REGISTER, PROFILE, breach(), T0_US), "cn-irm-8-closing").deadline_us is None
    ended_us = T0_US + 100 * HOUR_US
    found = duty(clock_at(REGISTER, PROFILE, breach(ended_us=ended_us), ended_us), "cn-irm-8-closing")
    assert found.deadline_us == ended_us + 30 * 24 * HOUR_US


def test_a_law_that_was_not_in_force_asks_nothing() -> None:
    early = Breach(
        discovery=Discovery(at_us=1_700_000_000_000_000, set_by="li.wei", why="old"),
        counted=[replace(LARGE, at_us=1_700_000_000_000_000)],
    )
    found = duty(clock_at(REGISTER, PROFILE, early, T0_US), "cn-irm-4-other")
    assert (found.state, found.reason.en) == (NOT_REQUIRED, "in force from 2025-11-01")


def test_what_is_done_or_waived_is_no_longer_due() -> None:
    told = Decision(law_id="cn-irm-4-other", kind="done", at_us=T0_US, by="dpo.one", reason="12387, receipt 4711")
    clock = clock_at(REGISTER, PROFILE, breach(decided=(told, _waived("cn-pipl-57-individuals", T0_US))), T0_US)
    assert duty(clock, "cn-irm-4-other").state == TOLD
    found = duty(clock, "cn-pipl-57-individuals")
    assert found.state == NOT_REQUIRED
    assert found.reason.en == "waived by dpo.one and dpo.two: encrypted, no key lost"


def test_a_decision_made_when_much_less_was_known_is_to_be_made_again() -> None:
    later_us = T0_US + HOUR_US
    few, many = Counted(at_us=T0_US, subjects_all=100), Counted(at_us=later_us, subjects_all=200)
    law_id = "cn-pipl-57-individuals"
    told = Decision(law_id="cn-pipl-57-authority", kind="done", at_us=T0_US, by="dpo.one", reason="by mail")
    decided = (_waived(law_id, T0_US), told)
    clock = clock_at(REGISTER, PROFILE, breach(few, many, decided=decided), later_us)
    assert duty(clock, law_id).state == DUE
    assert duty(clock, law_id).outdated
    assert (duty(clock, told.law_id).state, duty(clock, told.law_id).outdated) == (TOLD, True)
    again = clock_at(REGISTER, PROFILE, breach(few, many, decided=(*decided, _waived(law_id, later_us))), later_us)
    assert duty(again, law_id).state == NOT_REQUIRED
    almost = clock_at(REGISTER, PROFILE, breach(few, replace(many, subjects_all=199), decided=decided), later_us)
    assert duty(almost, law_id).state == NOT_REQUIRED


@pytest.mark.parametrize("second", [None, "", "dpo.one"])
def test_waiving_takes_two_people(second: str | None) -> None:
    with pytest.raises(UsageError, match="two people"):
        Decision(law_id="eu-gdpr-33", kind="waived", at_us=0, by="dpo.one", second=second, reason="no risk")


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="who decides"):
        Decision(law_id="eu-gdpr-33", kind="done", at_us=0, by="dpo.one", reason=" ")
    with pytest.raises(UsageError, match="who sets the time"):
        Discovery(at_us=0, set_by="li.wei", why="")
    with pytest.raises(UsageError, match="less than 0"):
        Counted(at_us=0, minors=-1)
    with pytest.raises(UsageError, match="first count"):
        clock_at(REGISTER, PROFILE, breach(), T0_US - 1)
    stray = Decision(law_id="xx-none", kind="done", at_us=T0_US, by="dpo.one", reason="x")
    with pytest.raises(UsageError, match="no duty xx-none"):
        clock_at(REGISTER, PROFILE, breach(decided=(stray,)), T0_US)
    with pytest.raises(UsageError, match="kind of operator"):
        OperatorProfile(operator="shop")


# -- properties


def _applying(clock: Clock) -> dict[str, Duty]:
    return {one.law.law_id: one for one in clock.duties if one.applies_since_us is not None}


@given(profiles, st.lists(counts, min_size=1, max_size=4), counts, st.lists(decisions, max_size=4))
def test_growth_only_adds_duties(
    profile: OperatorProfile, counted: list[Counted], more: Counted, decided: list[Decision]
) -> None:
    at_us = T0_US + 500 * HOUR_US
    before = clock_at(REGISTER, profile, breach(*counted, decided=tuple(decided)), at_us)
    after = clock_at(REGISTER, profile, breach(*counted, more, decided=tuple(decided)), at_us)
    assert set(_applying(before)) <= set(_applying(after))
    for law_id, one in _applying(before).items():
        assert _applying(after)[law_id].deadline_us == one.deadline_us
    for name in COUNTS:
        assert after.counts.count(name) >= before.counts.count(name)


@given(profiles, st.lists(counts, min_size=1, max_size=4), st.lists(decisions, max_size=4), times, times)
def test_time_alone_makes_a_duty_more_pressing_and_never_takes_it_away(
    profile: OperatorProfile, counted: list[Counted], decided: list[Decision], first_us: int, second_us: int
) -> None:
    early_us, late_us = sorted((first_us, second_us))
    known = breach(replace(LARGE, subjects_all=0), *counted, decided=tuple(decided))
    early, late = (_applying(clock_at(REGISTER, profile, known, at_us)) for at_us in (early_us, late_us))
    assert set(early) <= set(late)
    for law_id, one in early.items():
        if one.left_us is not None:
            left_us = late[law_id].left_us
            assert left_us is not None
            assert left_us == one.left_us - (late_us - early_us)
        if one.state == OVERDUE and late[law_id].decision == one.decision:
            assert late[law_id].state == OVERDUE


@given(profiles, st.lists(counts, min_size=1, max_size=3), st.integers(1, 1_000 * HOUR_US))
def test_a_later_discovery_moves_every_deadline_by_as_much(
    profile: OperatorProfile, counted: list[Counted], later_us: int
) -> None:
    at_us = T0_US + 500 * HOUR_US
    one = breach(*counted)
    other = replace(one, discovery=replace(one.discovery, at_us=T0_US + later_us))
    moved = {duty.law.law_id: duty for duty in clock_at(REGISTER, profile, other, at_us).duties}
    for duty_before in clock_at(REGISTER, profile, one, at_us).duties:
        if duty_before.deadline_us is not None:
            assert moved[duty_before.law.law_id].deadline_us == duty_before.deadline_us + later_us


@given(profiles, st.permutations([replace(LARGE, at_us=T0_US + n * MINUTE_US, minors=n) for n in range(4)]))
def test_the_order_in_which_counts_are_given_makes_no_difference(
    profile: OperatorProfile, counted: list[Counted]
) -> None:
    at_us = T0_US + HOUR_US
    ordered = sorted(counted, key=lambda one: one.at_us)
    assert clock_at(REGISTER, profile, breach(*counted), at_us) == clock_at(REGISTER, profile, breach(*ordered), at_us)


@given(st.lists(counts, min_size=1, max_size=6))
def test_counts_never_fall(counted: list[Counted]) -> None:
    grown = accumulated(counted)
    for before, after in itertools.pairwise(grown):
        assert all(after.count(name) >= before.count(name) for name in COUNTS)
        assert after.facts >= before.facts


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Shanghai", "America/New_York"])
def test_no_zone_of_the_machine_moves_a_deadline(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Discovered the night before clocks change in Europe, 2026-10-25."""
    night_us = 1_792_890_000_000_000
    found = breach(replace(LARGE, at_us=night_us, subjects_eu=1))
    found = replace(found, discovery=replace(found.discovery, at_us=night_us))
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        clock = clock_at(REGISTER, PROFILE, found, night_us)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert duty(clock, "eu-gdpr-33").deadline_us == night_us + 72 * HOUR_US


def test_the_most_pressing_comes_first() -> None:
    counted = replace(LARGE, minors=1, subjects_eu=1)
    clock = clock_at(REGISTER, PROFILE, breach(counted), T0_US + 30 * HOUR_US)
    states = [one.state for one in clock.duties]
    assert states == sorted(states, key=[OVERDUE, DUE, TOLD, NOT_REQUIRED].index)
    left = [one.left_us for one in clock.duties if one.state == OVERDUE and one.left_us is not None]
    assert left == sorted(left)
