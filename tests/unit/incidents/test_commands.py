"""What people do with an incident, what is refused with which code, and that nothing happens twice."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.incidents.decision import CODES
from pipeline.incidents.effects import CallContainment, FreezeEvidence
from pipeline.incidents.model import KEPT_COMMANDS, MOST_CONTAINMENTS, LogRow
from tests.incident_logs import (
    ACTOR,
    DAY_US,
    KEY,
    MACHINE,
    OTHER_KEY,
    PERSON,
    START_US,
    TENANT,
    World,
    alert,
    command,
    uuid_of,
)

LATER_US = START_US + 30 * DAY_US


def opened() -> World:
    world = World()
    world.put(alert(1))
    return world


def row_of(world: World, name: str, command_id: object | None = None, **values: Any) -> LogRow:
    row = world.put(command(name, command_id, **values)).log_row
    assert row is not None
    assert row.code == "" or row.code in CODES
    return row


def test_an_incident_goes_through_its_states_and_every_step_says_who() -> None:
    world = opened()
    steps: list[tuple[str, dict[str, Any]]] = [
        ("acknowledge", {}),
        ("assign", {"assignee": "li.wei"}),
        ("contain", {"command_id": "c", "expires_us": LATER_US}),
        ("contain_result", {"contain_id": str(uuid_of("c")), "succeeded": True, "by": "system:contain"}),
        ("resolve", {"verdict": "true_positive", "why": "confirmed by the team lead"}),
        ("reopen", {}),
    ]
    rows = [row_of(world, name, **values) for name, values in steps]
    assert [(row.transition, row.state_after) for row in rows] == [
        ("acknowledged", "acknowledged"), ("assigned", "assigned"), ("contain_asked", "assigned"),
        ("contained", "contained"), ("resolved", "resolved"), ("reopened", "open"),
    ]  # fmt: skip
    assert (rows[4].by, rows[4].why, rows[4].name, rows[4].kind) == (
        PERSON,
        "confirmed by the team lead",
        "resolve",
        "command",
    )
    assert rows[4].detail == '{"verdict":"true_positive"}'


def test_the_same_command_twice_changes_nothing() -> None:
    world = opened()
    row_of(world, "comment", "x")
    row = row_of(world, "comment", "x")
    assert (row.transition, row.code, world.incident().comments) == ("no_change", "repeated", 1)


def test_so_many_commands_are_remembered() -> None:
    world = opened()
    for number in range(KEPT_COMMANDS + 1):
        row_of(world, "comment", number)
    assert len(world.states[KEY].commands) == KEPT_COMMANDS
    assert row_of(world, "comment", 1).code == "repeated"


@pytest.mark.parametrize(
    ("name", "values", "code"),
    [
        ("acknowledge", {"by": MACHINE}, "needs_person"),
        ("resolve", {"verdict": "benign", "by": MACHINE}, "needs_person"),
        ("contain", {"expires_us": LATER_US, "by": MACHINE}, "needs_person"),
        ("contain", {"expires_us": START_US}, "expired"),
        ("suspect_breach", {"known_at_us": START_US, "by": MACHINE}, "needs_person"),
        ("comment", {"severity": "low", "by": MACHINE}, "needs_person"),
        ("contain_result", {"contain_id": str(uuid_of("none")), "succeeded": True}, "unknown_containment"),
        ("breach_step", {"step": "counted"}, "no_breach"),
        ("reopen", {}, "not_resolved"),
        ("unlink", {"other_key": OTHER_KEY, "other_incident_id": str(uuid_of(1))}, "not_linked"),
        ("acknowledge", {"incident_id": str(uuid_of("other"))}, "other_incident"),
    ],
)
def test_what_does_not_fit_is_refused_and_says_why(name: str, values: dict[str, Any], code: str) -> None:
    world = opened()
    before = world.states[KEY].incidents
    row = row_of(world, name, **values)
    assert (row.transition, row.code, row.changes) == ("refused", code, "{}")
    assert world.states[KEY].incidents == before


@pytest.mark.parametrize("name", ["acknowledge", "assign", "contain", "resolve", "suspect_breach"])
def test_nothing_is_done_about_a_closed_incident(name: str) -> None:
    world = opened()
    row_of(world, "resolve", verdict="benign")
    fields: dict[str, dict[str, Any]] = {
        "assign": {"assignee": "li.wei"}, "contain": {"expires_us": LATER_US}, "resolve": {"verdict": "benign"},
        "suspect_breach": {"known_at_us": 1},
    }  # fmt: skip
    assert row_of(world, name, **fields.get(name, {})).code == "resolved"


def test_a_command_for_a_key_without_incident_is_refused() -> None:
    assert row_of(World(), "acknowledge").code == "no_incident"


def test_acknowledging_twice_keeps_the_first_name() -> None:
    world = opened()
    row_of(world, "acknowledge")
    assert row_of(world, "acknowledge", by="li.wei").code == "already"
    assert world.incident().acknowledged_by == PERSON


def test_a_person_who_assigns_has_seen_it_a_machine_has_not() -> None:
    world = opened()
    row_of(world, "assign", assignee="li.wei", by=MACHINE)
    assert (world.incident().state, world.incident().acknowledged_us) == ("assigned", 0)
    row_of(world, "acknowledge", by="li.wei")
    assert (world.incident().state, world.incident().acknowledged_by) == ("assigned", "li.wei")
    assert row_of(world, "assign", assignee="li.wei").code == "already"


def test_severity_falls_by_a_persons_word_only_and_graver_alerts_overrule_it() -> None:
    world = World()
    world.put(alert(1, severity="high"))
    assert row_of(world, "comment", severity="low").transition == "graded"
    world.put(alert(2, severity="high"))
    assert world.incident().severity == "low", "as grave as what the person has seen"
    world.put(alert(3, severity="critical"))
    assert (world.incident().severity, world.incident().grade) == ("critical", None)


# -- containment


def calls(world: World) -> list[CallContainment]:
    return [one for one in world.effects if isinstance(one, CallContainment)]


def test_containment_is_called_once_for_a_command_and_its_answer_is_kept() -> None:
    world = opened()
    for _ in range(3):
        row_of(world, "contain", "c", expires_us=LATER_US)
    (call,) = calls(world)
    assert (call.contain_id, call.account_token, call.by, call.reason) == (str(uuid_of("c")), ACTOR, PERSON, "because")
    answer: dict[str, Any] = {"contain_id": str(uuid_of("c")), "succeeded": False, "code": "http_503"}
    assert row_of(world, "contain_result", **answer).transition == "contain_failed"
    assert row_of(world, "contain_result", **answer | {"succeeded": True}).code == "already"
    kept = world.incident().containments[str(uuid_of("c"))]
    assert (kept.status, kept.code, world.incident().state) == ("failed", "http_503", "acknowledged")


def test_an_answer_that_comes_after_closing_is_recorded_and_opens_nothing() -> None:
    world = opened()
    row_of(world, "contain", "c", expires_us=LATER_US)
    row_of(world, "resolve", verdict="true_positive")
    row = row_of(world, "contain_result", contain_id=str(uuid_of("c")), succeeded=True)
    assert (row.transition, world.incident().state) == ("contained", "resolved")


def test_containments_of_an_incident_are_limited_and_need_an_account() -> None:
    world = opened()
    for number in range(MOST_CONTAINMENTS):
        row_of(world, "contain", number, expires_us=LATER_US)
    assert row_of(world, "contain", expires_us=LATER_US).code == "too_many"
    nobody = World()
    nobody.put(alert(1, actor_token=""))
    assert row_of(nobody, "contain", expires_us=LATER_US).code == "no_account"
    assert row_of(nobody, "contain", expires_us=LATER_US, account_token="ab12").transition == "contain_asked"


# -- a suspected breach


def test_a_suspected_breach_freezes_evidence_once_and_outlasts_the_closing() -> None:
    world = opened()
    row_of(world, "suspect_breach", known_at_us=START_US - 5)
    assert row_of(world, "suspect_breach", known_at_us=START_US).code == "already"
    (freeze,) = [one for one in world.effects if isinstance(one, FreezeEvidence)]
    assert (freeze.known_at_us, freeze.by, freeze.incident.incident_id) == (
        START_US - 5, PERSON, world.incident().incident_id,
    )  # fmt: skip
    row_of(world, "resolve", verdict="true_positive")
    row = row_of(world, "breach_step", step="regulator", detail={"decision": "done", "subjects_all": 7}, why="by phone")
    assert (row.transition, row.detail) == (
        "breach_step", '{"detail":{"decision":"done","subjects_all":7},"step":"regulator"}',
    )  # fmt: skip
    breach = world.incident().breach
    assert breach is not None
    assert breach.steps == {"regulator": world.at_us}


# -- links and campaigns


def two() -> World:
    world = World()
    world.put(alert(1), alert(2, incident_key=OTHER_KEY))
    return world


def test_a_link_shows_on_both_sides_and_so_does_taking_it_away() -> None:
    world = two()
    one, other = world.incident(), world.incident(OTHER_KEY)
    row_of(world, "link", other_key=OTHER_KEY, other_incident_id=other.incident_id)
    assert list(world.incident().links) == [other.incident_id]
    assert list(world.incident(OTHER_KEY).links) == [one.incident_id]
    row_of(world, "unlink", other_key=OTHER_KEY, other_incident_id=other.incident_id)
    assert (world.incident().links, world.incident(OTHER_KEY).links) == ({}, {})


def test_a_link_to_an_incident_that_is_not_there_is_taken_away_again() -> None:
    world = opened()
    row_of(world, "link", other_key=OTHER_KEY, other_incident_id=str(uuid_of("nobody")))
    assert world.incident().links == {}
    assert [row.transition for row in world.rows] == ["opened", "linked", "refused", "unlinked"]


def test_an_incident_is_not_linked_with_itself() -> None:
    world = opened()
    assert row_of(world, "link", other_key=KEY, other_incident_id=world.incident().incident_id).code == "same_incident"


def test_a_campaign_is_opened_by_the_first_link_under_its_key() -> None:
    world = two()
    campaign = f"{TENANT}:campaign:autumn"
    for key in (KEY, OTHER_KEY):
        other = world.incident(key).incident_id
        row_of(world, "link", incident_key=campaign, other_key=key, other_incident_id=other, relation="campaign")
    parent = world.incident(campaign)
    assert (parent.state, {one.relation for one in parent.links.values()}, len(parent.links)) == (
        "open",
        {"campaign"},
        2,
    )
    assert list(world.incident().links) == [parent.incident_id]


def test_only_people_open_campaigns_and_only_under_such_keys() -> None:
    world = two()
    other: dict[str, Any] = {"other_key": KEY, "other_incident_id": world.incident().incident_id}
    assert row_of(world, "link", incident_key=f"{TENANT}:campaign:x", by=MACHINE, **other).code == "no_incident"
    assert row_of(world, "link", incident_key=f"{TENANT}:subject:campaign", **other).code == "no_incident"


def test_an_older_incident_is_not_reopened_while_another_is_open() -> None:
    world = opened()
    first = world.incident().incident_id
    row_of(world, "resolve", verdict="benign")
    world.put(alert(2))
    assert row_of(world, "reopen", incident_id=first).code == "another_open"


def test_every_code_has_words_in_both_languages() -> None:
    for en, zh in CODES.values():
        assert en.isascii()
        assert any("\u4e00" <= letter <= "\u9fff" for letter in zh)
