"""Who is told when: first message, updates, escalation, duty hours, maintenance; ticks early, late and repeated."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.incidents.duty_hours import DutyHours
from pipeline.incidents.escalate import Escalation, Layer, MaintenanceWindow, Plan, waits
from pipeline.incidents.fold import next_due_us
from pipeline.incidents.rules import Rules
from pipeline.timestamps import utc_us
from tests.incident_logs import HOUR_US, KEY, MACHINE, SECOND_US, START_US, World, alert, command

LEAD, HEAD = Layer(name="lead", channels=("lead",), acknowledge_within_s=1200), Layer(name="head", channels=("head",))
MEDIUM = Plan(channels=("chat",), acknowledge_within_s=600, layers=(LEAD, HEAD), repeat_every_s=3600)
CRITICAL = Plan(channels=("pager",), acknowledge_within_s=60, repeat_every_s=300)
ESCALATION = Escalation(plans={"medium": MEDIUM, "critical": CRITICAL}, update_interval_s=300, most_updates=3)
MINUTE_US = 60 * SECOND_US


def world_of(escalation: Escalation = ESCALATION, at_us: int = START_US) -> World:
    return World(Rules(escalation=escalation), at_us=at_us)


def told(world: World) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(one.action, one.reason, one.channels) for one in world.told()]


def tick(world: World, after_us: int = 0) -> str:
    row = world.put(command("tick"), step_us=after_us).log_row
    assert row is not None
    return row.transition


def due_in(world: World) -> int:
    due_us = next_due_us(world.states[KEY], world.rules)
    return due_us - world.at_us if due_us else 0


def test_opening_is_told_once_and_the_clock_begins() -> None:
    world = world_of()
    world.put(alert(1))
    assert told(world) == [("trigger", "opened", ("chat",))]
    assert due_in(world) == 10 * MINUTE_US


def test_an_early_tick_does_nothing_a_late_one_does_it_once() -> None:
    world = world_of()
    world.put(alert(1))
    assert tick(world, 10 * MINUTE_US - 1) == "no_change"
    assert tick(world, 5 * HOUR_US) == "ticked"
    assert [tick(world) for _ in range(3)] == ["no_change"] * 3
    assert told(world)[1:] == [("update", "escalated", ("chat", "lead"))]


def test_layers_follow_each_other_and_the_last_is_told_again() -> None:
    world = world_of()
    world.put(alert(1))
    waited = []
    for _ in range(4):
        waited.append(due_in(world) // MINUTE_US)
        tick(world, due_in(world))
    assert waited == [10, 20, 60, 60]
    assert [channels for _, _, channels in told(world)[1:]] == [("chat", "lead"), *[("chat", "lead", "head")] * 3]
    assert world.incident().timers.layer == 2


@pytest.mark.parametrize("name", ["acknowledge", "resolve", "assign", "contain"])
def test_whoever_acts_stops_the_clock_and_everybody_told_hears_of_it(name: str) -> None:
    fields: dict[str, dict[str, Any]] = {
        "resolve": {"verdict": "benign"}, "assign": {"assignee": "li.wei"}, "contain": {"expires_us": START_US * 2},
    }  # fmt: skip
    world = world_of()
    world.put(alert(1))
    tick(world, 10 * MINUTE_US)
    world.put(command(name, **fields.get(name, {})))
    action = "resolve" if name == "resolve" else "acknowledge"
    assert told(world)[-1] == (action, action, ("chat", "lead"))
    assert due_in(world) == 0


def test_a_machine_that_assigns_does_not_stop_the_clock() -> None:
    world = world_of()
    world.put(alert(1), command("assign", assignee="li.wei", by=MACHINE))
    assert due_in(world) == 10 * MINUTE_US - SECOND_US


def test_alerts_that_say_nothing_new_are_not_told() -> None:
    world = world_of()
    world.put(*(alert(number, risk=60 + number % 15) for number in range(100)))
    assert len(told(world)) == 1


def test_a_rise_is_told_not_more_often_than_the_interval_and_so_many_times() -> None:
    world = world_of(replace(ESCALATION, plans={"medium": Plan(channels=("chat",))}))
    world.put(alert(1, risk=10), alert(2, risk=30), alert(3, risk=50))
    assert told(world) == [("trigger", "opened", ("chat",))]
    assert due_in(world) == 300 * SECOND_US - 2 * SECOND_US
    tick(world, due_in(world))
    assert told(world)[1:] == [("update", "due", ("chat",))]
    assert world.told()[-1].incident.risk == 5000
    for number in range(10):
        world.put(alert(f"d{number}", detector=f"d{number}"), step_us=HOUR_US)
    assert len(told(world)) == 1 + ESCALATION.most_updates


def test_a_graver_severity_is_told_at_once_and_may_shorten_the_clock() -> None:
    world = world_of()
    world.put(alert(1), alert(2, severity="critical"))
    assert told(world)[1:] == [("update", "severity", ("pager",))]
    assert due_in(world) == MINUTE_US
    world.put(command("resolve", verdict="benign"))
    assert told(world)[-1][2] == ("chat", "pager"), "whoever was told at any time"


def test_reopening_is_told_as_new_and_the_clock_begins_anew() -> None:
    world = world_of()
    world.put(alert(1), command("acknowledge"), command("resolve", verdict="benign"), command("reopen"))
    assert told(world)[-1] == ("trigger", "reopened", ("chat",))
    assert due_in(world) == 10 * MINUTE_US


def test_a_plan_without_layers_tells_its_own_channels_again() -> None:
    world = world_of()
    world.put(alert(1, severity="critical"))
    waited = []
    for _ in range(3):
        waited.append(due_in(world) // SECOND_US)
        tick(world, due_in(world))
    assert waited == [60, 300, 300]
    assert told(world)[1:] == [("update", "escalated", ("pager",))] * 3


def test_where_nobody_is_to_be_told_nothing_is_said_or_due() -> None:
    world = world_of()
    world.put(alert(1, severity="low"), command("acknowledge"), command("resolve", verdict="test"))
    assert (told(world), due_in(world)) == ([], 0)


# -- waiting

OFFICE = DutyHours("Asia/Shanghai", (((9 * 60, 18 * 60),),) * 5 + ((), ()))
SATURDAY_US = utc_us("2026-11-28T10:00:00+08:00")
MONDAY_US = utc_us("2026-11-30T09:00:00+08:00")
IN_HOURS = replace(ESCALATION, plans={"medium": replace(MEDIUM, hours=OFFICE), "critical": CRITICAL})


def test_what_is_told_in_duty_hours_waits_for_them_and_the_deadline_counts_them() -> None:
    world = world_of(IN_HOURS, SATURDAY_US)
    world.put(alert(1))
    assert (told(world), world.at_us + due_in(world)) == ([], MONDAY_US)
    tick(world, due_in(world))
    assert told(world) == [("trigger", "due", ("chat",))]
    assert world.at_us + due_in(world) == MONDAY_US + 10 * MINUTE_US
    assert world.incident().timers.held_back == 1


def test_a_graver_severity_does_not_wait() -> None:
    world = world_of(IN_HOURS, SATURDAY_US)
    world.put(alert(1), alert(2, severity="critical"))
    assert [one[0] for one in told(world)] == ["trigger"]
    assert told(world)[0][2] == ("pager",)


def test_a_graver_severity_with_earlier_hours_is_told_in_those() -> None:
    every_day = replace(OFFICE, weekly=(((12 * 60, 18 * 60),),) * 7)
    plans = {**IN_HOURS.plans, "high": replace(MEDIUM, hours=every_day)}
    world = world_of(replace(IN_HOURS, plans=plans), SATURDAY_US)
    world.put(alert(1), alert(2, severity="high"))
    assert world.at_us + due_in(world) == utc_us("2026-11-28T12:00:00+08:00")
    tick(world, due_in(world))
    assert [one[0] for one in told(world)] == ["trigger"]


def test_what_is_closed_before_it_was_told_is_not_told() -> None:
    world = world_of(IN_HOURS, SATURDAY_US)
    world.put(alert(1), command("resolve", verdict="benign"))
    assert (told(world), due_in(world)) == ([], 0)


def window(**values: Any) -> MaintenanceWindow:
    return MaintenanceWindow(name="m", from_us=START_US, until_us=START_US + HOUR_US, **values)


def test_a_maintenance_window_delays_counts_and_drops_nothing() -> None:
    world = world_of(replace(ESCALATION, maintenance=(window(detectors=frozenset({"isolation_forest"})),)))
    world.put(alert(1), alert(2), alert(3, severity="critical"))
    assert (told(world), world.incident().timers.muted) == ([], 1)
    assert world.at_us + due_in(world) == START_US + HOUR_US
    tick(world, due_in(world))
    assert told(world) == [("trigger", "due", ("pager",))]


def test_a_detector_outside_the_window_is_told_at_once() -> None:
    world = world_of(replace(ESCALATION, maintenance=(window(detectors=frozenset({"isolation_forest"})),)))
    world.put(alert(1))
    assert told(world) == []
    world.put(alert(2, detector="bulk_export"))
    assert [one[0] for one in told(world)] == ["trigger"]


def test_escalation_waits_for_the_end_of_a_window_too() -> None:
    later = replace(window(), from_us=START_US + 5 * MINUTE_US)
    world = world_of(replace(ESCALATION, maintenance=(later,)))
    world.put(alert(1))
    assert tick(world, 10 * MINUTE_US) == "ticked"
    assert [one[1] for one in told(world)] == ["opened"]
    assert world.at_us + due_in(world) == later.until_us
    tick(world, due_in(world))
    assert [one[1] for one in told(world)] == ["opened", "escalated"]


@pytest.mark.parametrize(
    ("values", "covered"),
    [
        ({}, True),
        ({"detectors": frozenset({"a", "b"})}, True),
        ({"detectors": frozenset({"a"})}, False),
        ({"incident_keys": frozenset({KEY})}, True),
        ({"incident_keys": frozenset({"other:key"})}, False),
        ({"incident_keys": frozenset({"other:key"}), "detectors": frozenset({"a", "b"})}, True),
    ],
)
def test_what_a_window_covers(values: dict[str, Any], covered: bool) -> None:
    assert window(**values).covers(KEY, ("a", "b"), START_US) is covered
    assert not window(**values).covers(KEY, ("a", "b"), START_US + HOUR_US)


def test_windows_that_follow_each_other_are_one_wait() -> None:
    first = window()
    second = replace(first, from_us=first.until_us, until_us=first.until_us + HOUR_US)
    wait = waits(replace(IN_HOURS, maintenance=(second, first)), "critical", KEY, (), START_US)
    assert wait is not None
    assert (wait.until_us, wait.is_muted) == (START_US + 2 * HOUR_US, True)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 40 * MINUTE_US), max_size=30), st.lists(st.integers(0, 3), max_size=30))
def test_ticks_at_any_times_tell_nothing_that_is_not_due_and_nothing_twice(pauses: list[int], extra: list[int]) -> None:
    """However ticks come, each layer is told in order, never before its deadline."""
    world = world_of()
    world.put(alert(1))
    begun_us = world.at_us
    for pause_us, repeats in zip(pauses, extra, strict=False):
        for number in range(repeats + 1):
            tick(world, 0 if number else pause_us)
    escalated = [one for one in world.told() if one.reason == "escalated"]
    layers = [one.incident.timers.layer for one in escalated]
    assert layers == [min(number, 2) for number in range(1, len(escalated) + 1)]
    times_us = [begun_us, *(one.at_us for one in escalated)]
    waited_us = [later - before for before, later in pairwise(times_us)]
    least_us = [600 * SECOND_US, 1200 * SECOND_US, 3600 * SECOND_US]
    assert all(waited >= least for waited, least in zip(waited_us, least_us, strict=False))
