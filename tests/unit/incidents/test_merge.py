"""Merging over two logs: the same end whatever is lost, late, repeated or in another order; nobody waits in vain."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.incidents.effects import Emit
from pipeline.incidents.model import MOST_CHILDREN, Incident
from pipeline.incidents.records import AnyCommand
from pipeline.incidents.rules import Rules
from tests.incident_logs import DAY_US, KEY, MACHINE, OTHER_KEY, TENANT, World, alert, command, uuid_of

PARENT, CHILD = KEY, OTHER_KEY
THIRD = f"{TENANT}:endpoint:third"


def two(**values: Any) -> World:
    world = World(**values)
    world.put(
        alert("p", incident_key=PARENT), alert("c", incident_key=CHILD, detector="drip", risk=50, severity="high")
    )
    return world


def absorb(world: World, parent: str = PARENT, child: str = CHILD, **values: Any) -> AnyCommand:
    return command(
        "absorb", incident_key=parent, incident_id=world.incident(parent).incident_id, child_key=child,
        child_incident_id=world.incident(child).incident_id, **values,
    )  # fmt: skip


def merged_into(world: World, parent: str = PARENT, child: str = CHILD, **values: Any) -> AnyCommand:
    return command(
        "merged_into", incident_key=child, incident_id=world.incident(child).incident_id, parent_key=parent,
        parent_incident_id=world.incident(parent).incident_id, **values,
    )  # fmt: skip


def is_whole(world: World) -> bool:
    """Both sides say the same, and nothing is waited for."""
    parent, child = world.incident(PARENT), world.incident(CHILD)
    held = parent.children.get(child.incident_id)
    merged = child.merged
    if held is None or merged is None or held.summary is None:
        return False
    told = (held.revision, merged.taken, held.summary.alerts, merged.incident_id)
    return told == (child.alert_revision, child.alert_revision, child.alerts, parent.incident_id)


def test_a_parent_takes_the_child_in_with_all_it_knows() -> None:
    world = two()
    world.put(absorb(world))
    assert is_whole(world)
    parent, child = world.incident(PARENT), world.incident(CHILD)
    assert (parent.all_alerts, parent.alerts, parent.severity, parent.risk) == (2, 1, "high", 6500)
    assert (child.state, child.merged_into, child.verdict) == ("resolved", parent.incident_id, "")
    assert world.tick_until_quiet() == 0


def test_beginning_at_the_child_leads_to_the_same() -> None:
    world = two()
    world.put(merged_into(world))
    assert is_whole(world)


@pytest.mark.parametrize("order", [("absorb", "merged_into"), ("merged_into", "absorb")])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_both_commands_in_either_order_any_number_of_times(order: tuple[str, str], times: int) -> None:
    world = two()
    made = {"absorb": absorb(world), "merged_into": merged_into(world)}
    world.put(*(made[name] for name in order * times))
    assert is_whole(world)
    assert (world.incident(PARENT).all_alerts, world.incident(CHILD).reopened) == (2, 0)


def test_a_parent_that_never_hears_is_told_less_and_less_often() -> None:
    world = two(fate=lambda emitted: emitted.command.name != "absorb")
    world.put(absorb(world))
    begun_us = world.at_us
    with pytest.raises(AssertionError, match="for ever"):
        world.tick_until_quiet(40)
    assert world.at_us - begun_us > 5 * DAY_US


@pytest.mark.parametrize("lost", range(4))
def test_a_crash_between_any_two_steps_is_healed_by_ticks(lost: int) -> None:
    counted = iter(range(100))
    world = two(fate=lambda emitted: 0 if next(counted) == lost else 1)
    world.put(absorb(world))
    world.tick_until_quiet()
    assert is_whole(world)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whatever_is_lost_or_repeated_both_keys_come_to_the_same(data: st.DataObject) -> None:
    fates = data.draw(st.lists(st.integers(0, 2), max_size=12))
    world = two(fate=lambda emitted: fates.pop() if fates else 1)
    begun = data.draw(st.lists(st.sampled_from(["absorb", "merged_into"]), min_size=1, max_size=3))
    for name in begun:
        world.put(absorb(world) if name == "absorb" else merged_into(world))
    for number in range(data.draw(st.integers(0, 5))):
        risk, detector = data.draw(st.integers(0, 100)), data.draw(st.sampled_from(["a", "drip"]))
        world.put(alert(number, incident_key=CHILD, risk=risk, detector=detector))
    world.tick_until_quiet()
    assert is_whole(world)


def test_a_parent_that_does_not_answer_is_asked_less_and_less_often() -> None:
    world = two(fate=lambda emitted: 0)
    world.put(absorb(world))
    begun_us = world.at_us
    with pytest.raises(AssertionError, match="for ever"):
        world.tick_until_quiet(20)
    assert world.at_us - begun_us > 5 * DAY_US


def test_an_alert_of_the_child_is_told_in_the_parent_at_once_where_it_is_graver() -> None:
    world = two()
    world.put(absorb(world), alert("c2", incident_key=CHILD, detector="drip", risk=99, severity="critical"))
    assert is_whole(world)
    assert (world.incident(PARENT).severity, world.incident(PARENT).all_alerts) == ("critical", 3)
    assert len(world.states[CHILD].incidents) == 1


def test_mere_counts_reach_the_parent_with_the_next_tick_not_each_by_itself() -> None:
    world = two()
    world.put(absorb(world))
    before = len(world.rows)
    world.put(*(alert(number, incident_key=CHILD, detector="drip", risk=5) for number in range(500)))
    assert len(world.rows) == before + 500
    world.tick_until_quiet()
    assert is_whole(world)
    assert world.incident(PARENT).all_alerts == 502


def test_closing_the_parent_gives_the_child_its_verdict_and_reopening_takes_it_back() -> None:
    world = two()
    world.put(absorb(world), command("resolve", verdict="true_positive"))
    assert (world.incident(CHILD).verdict, world.incident(CHILD).state) == ("true_positive", "resolved")
    world.put(command("reopen"))
    assert (world.incident(CHILD).verdict, world.incident(CHILD).is_active_child) == ("", True)


def test_what_a_parent_said_before_it_was_closed_comes_too_late() -> None:
    world = two()
    world.put(absorb(world), command("resolve", verdict="true_positive"), merged_into(world, revision=1, epoch=0))
    assert world.incident(CHILD).verdict == "true_positive"


def test_a_parent_is_not_closed_without_a_verdict() -> None:
    world = two()
    world.put(absorb(world), merged_into(world, revision=1, epoch=1, parent_state="resolved"))
    assert faults(world) == ["not_resolved"]
    assert world.incident(CHILD).is_active_child


def reopened_beside_a_newer_one() -> World:
    """The parent was closed, the child's key has a newer incident, then the parent is reopened."""
    world = two()
    world.put(absorb(world), command("resolve", verdict="benign"))
    world.put(alert("c2", incident_key=CHILD, detector="drip", risk=50), command("reopen"))
    return world


def test_a_reopened_parent_does_not_get_a_child_back_whose_key_has_a_newer_incident() -> None:
    world = reopened_beside_a_newer_one()
    assert [(one.state, one.verdict) for one in world.states[CHILD].incidents] == [("resolved", "benign"), ("open", "")]
    assert world.incident(PARENT).children == {}
    assert faults(world) == ["another_open"]


def test_an_older_incident_is_not_reopened_beside_one_that_lives_on_in_a_parent() -> None:
    world = two()
    old = world.incident(CHILD).incident_id
    world.put(command("resolve", incident_key=CHILD, verdict="benign"))
    world.put(alert("c2", incident_key=CHILD, detector="drip", risk=50))
    world.put(absorb(world))
    assert world.incident(CHILD).is_active_child
    world.put(command("reopen", incident_key=CHILD, incident_id=old))
    assert faults(world)[-1] == "another_open"


def test_risk_does_not_fall_when_a_child_leaves() -> None:
    world = two()
    world.put(absorb(world))
    risk = world.incident(PARENT).risk
    child_id = world.incident(CHILD).incident_id
    world.put(command("unlink", other_key=CHILD, other_incident_id=child_id), alert("p2", risk=61))
    assert world.incident(PARENT).risk == risk > 6100


def test_an_alert_nobody_saw_when_the_parent_was_closed_stands_alone_again() -> None:
    world = two(fate=lambda emitted: 0 if emitted.command.name == "absorb" and stop else 1)
    stop: list[int] = []
    world.put(absorb(world))
    stop.append(1)
    world.put(alert("late", incident_key=CHILD, detector="new", risk=90), command("resolve", verdict="benign"))
    child = world.incident(CHILD)
    assert (child.state, child.merged, child.reopened) == ("open", None, 1)


def test_an_alert_after_the_parent_was_closed_follows_the_rules_for_reopening() -> None:
    world = two()
    world.put(
        absorb(world), command("resolve", verdict="benign"), alert("c2", incident_key=CHILD, detector="drip", risk=50)
    )
    assert [one.state for one in world.states[CHILD].incidents] == ["resolved", "open"]


@pytest.mark.parametrize(
    "undo", [("unlink", PARENT, CHILD), ("reopen", CHILD, PARENT)], ids=["at the parent", "at the child"]
)
def test_a_person_can_part_them_from_either_side(undo: tuple[str, str, str]) -> None:
    name, at, other = undo
    world = two()
    world.put(absorb(world))
    others = {"other_key": other, "other_incident_id": world.incident(other).incident_id} if name == "unlink" else {}
    world.put(command(name, incident_key=at, **others))
    assert (world.incident(PARENT).children, world.incident(CHILD).merged) == ({}, None)
    assert world.incident(CHILD).state == "open"
    late = world.put(merged_into(world, revision=1)).log_row
    assert late is not None
    assert (late.transition, late.code) == ("refused", "not_merged"), "what the parent said before is late"
    world.put(absorb(world))
    assert is_whole(world), "a person may merge them again"


def test_a_child_that_has_not_heard_that_it_was_let_go_is_told_again() -> None:
    world = two(fate=lambda emitted: 0 if "released" in str(emitted) and not heard else 1)
    heard: list[int] = []
    world.put(absorb(world))
    child_id = world.incident(CHILD).incident_id
    world.put(command("unlink", other_key=CHILD, other_incident_id=child_id))
    assert world.incident(CHILD).is_active_child
    heard.append(1)
    world.put(alert("c2", incident_key=CHILD, risk=90))
    assert (world.incident(CHILD).state, world.incident(PARENT).children) == ("open", {})


def faults(world: World) -> list[str]:
    return [row.code for row in world.rows if row.transition == "refused"]


def test_two_that_absorb_each_other_both_stay_alone() -> None:
    world = two()
    for one in (absorb(world), absorb(world, CHILD, PARENT)):
        world.handle(one)
    while world.pending:
        world.handle(world.pending.popleft())
    world.tick_until_quiet()
    for key in (PARENT, CHILD):
        incident = world.incident(key)
        assert (incident.children, incident.merged, incident.state) == ({}, None, "open")
    assert set(faults(world)) >= {"has_children"}


def test_a_child_has_one_parent_and_the_second_one_lets_go() -> None:
    world = two()
    world.put(alert("t", incident_key=THIRD), absorb(world))
    world.put(absorb(world, THIRD, CHILD))
    assert is_whole(world)
    assert world.incident(THIRD).children == {}
    assert "merged_elsewhere" in faults(world)


def test_a_closed_child_is_not_merged_and_the_parent_lets_go() -> None:
    world = two()
    world.put(command("resolve", incident_key=CHILD, verdict="benign"), absorb(world))
    assert (world.incident(PARENT).children, world.incident(CHILD).verdict) == ({}, "benign")


def test_a_child_whose_parent_does_not_take_it_is_let_go() -> None:
    world = two()
    world.put(command("resolve", incident_key=PARENT, verdict="benign"), merged_into(world))
    child = world.incident(CHILD)
    assert (child.state, child.merged) == ("open", None)
    nobody = command(
        "merged_into", incident_key=CHILD, incident_id=child.incident_id, parent_key=THIRD,
        parent_incident_id=str(uuid_of("nobody")),
    )  # fmt: skip
    world.put(nobody)
    assert (world.incident(CHILD).state, world.incident(CHILD).merged) == ("open", None)


def test_a_child_that_does_not_exist_leaves_the_parent() -> None:
    world = World()
    world.put(alert("p"))
    world.put(command("absorb", incident_key=PARENT, child_key=THIRD, child_incident_id=str(uuid_of("nobody"))))
    assert world.incident(PARENT).children == {}
    assert world.tick_until_quiet() == 0


def test_an_incident_does_not_absorb_itself_or_its_own_key() -> None:
    world = two()
    world.put(absorb(world, PARENT, PARENT), merged_into(world, CHILD, CHILD))
    assert faults(world) == ["same_incident", "same_incident"]


def test_what_is_merged_is_handled_in_its_parent_only() -> None:
    world = two()
    world.put(absorb(world), command("acknowledge", incident_key=CHILD))
    assert faults(world) == ["is_merged"]


def test_a_campaign_absorbs_incidents_under_its_own_key() -> None:
    world = two()
    campaign = f"{TENANT}:campaign:autumn"
    for key in (PARENT, CHILD):
        child = world.incident(key).incident_id
        world.put(command("absorb", incident_key=campaign, child_key=key, child_incident_id=child))
    parent = world.incident(campaign)
    assert (parent.all_alerts, parent.severity, len(parent.children)) == (2, "high", 2)
    assert all(world.incident(key).is_active_child for key in (PARENT, CHILD))
    world.tick_until_quiet()
    world.put(command("absorb", incident_key=f"{TENANT}:campaign:x", child_key=KEY, by=MACHINE,
                      child_incident_id=child))  # fmt: skip
    assert world.states[f"{TENANT}:campaign:x"].incidents == ()


def test_children_are_limited() -> None:
    world = World(Rules())
    world.put(alert("p"))
    for number in range(MOST_CHILDREN + 1):
        key = f"{TENANT}:endpoint:{number}"
        world.put(alert(number, incident_key=key))
        world.put(absorb(world, PARENT, key))
    assert len(world.incident(PARENT).children) == MOST_CHILDREN
    assert faults(world) == ["too_many"]
    last: Incident = world.incident(f"{TENANT}:endpoint:{MOST_CHILDREN}")
    assert last.is_open


def test_what_the_engine_emits_has_ids_that_follow_from_the_record() -> None:
    first, again = two(), two()
    given_one = absorb(first)
    first.put(given_one)
    again.put(given_one)
    emitted = [[one.command.command_id for one in world.effects if isinstance(one, Emit)] for world in (first, again)]
    assert emitted[0] == emitted[1]
    assert len(set(emitted[0])) == len(emitted[0]) > 1
