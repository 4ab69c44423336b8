"""The incident engine over random histories: deterministic, one row a record, the log folds to the same state."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.incidents.changes import MAX_CHANGES_BYTES
from pipeline.incidents.effects import CallContainment, Emit
from pipeline.incidents.escalate import Escalation, Layer, MaintenanceWindow, Plan
from pipeline.incidents.fold import apply
from pipeline.incidents.model import EMPTY, KeyState, LogRow, Position, rank
from pipeline.incidents.records import COMMANDS, AlertRecord, Record, Unreadable, encode_command
from pipeline.incidents.rules import Rules
from tests.incident_logs import (
    DAY_US,
    INCARNATION,
    KEY,
    MACHINE,
    OTHER_KEY,
    PERSON,
    SECOND_US,
    START_US,
    TENANT,
    TOPIC,
    World,
    alert,
    command,
    uuid_of,
)

THIRD_KEY = f"{TENANT}:campaign:autumn"
KEYS = (KEY, OTHER_KEY, THIRD_KEY)
RULES = Rules(
    reopen_within_us=DAY_US,
    escalation=Escalation(
        plans={
            "medium": Plan(
                channels=("chat",), acknowledge_within_s=600, layers=(Layer(name="l2", channels=("mail",)),)
            ),
            "critical": Plan(channels=("pager",), acknowledge_within_s=60, repeat_every_s=300),
        },
        maintenance=(MaintenanceWindow(name="m", from_us=START_US, until_us=START_US + 40 * SECOND_US),),
        update_interval_s=30,
    ),
)

ALERTS = st.builds(
    alert,
    name=st.integers(1, 12),
    incident_key=st.sampled_from(KEYS[:2]),
    detector=st.sampled_from(["forest", "bulk_export", "enumeration", "drip"]),
    risk=st.integers(0, 100).map(float),
    severity=st.sampled_from(["low", "medium", "high", "critical"]),
    stage=st.sampled_from(["", "provisional", "final", "withdrawn"]),
    event_time_us=st.integers(START_US - DAY_US, START_US + DAY_US),
)
NAMES = sorted(COMMANDS)


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[str, dict[str, Any]]]:
    """What happens next: an alert, a command whose references are resolved in the world, a pause, something broken."""
    drawn = ALERTS.map(lambda made: ("alert", {"alert": made}))
    one = st.one_of(
        drawn,
        st.tuples(
            st.sampled_from([*NAMES, "absorb", "absorb", "resolve", "tick"]),
            st.fixed_dictionaries(
                {
                    "key": st.sampled_from(KEYS), "other": st.sampled_from(KEYS), "id": st.integers(1, 400),
                    "by": st.sampled_from([PERSON, "li.wei", "wang", MACHINE]), "guard": st.booleans(),
                    "word": st.sampled_from(["true_positive", "benign", "false_positive", "test"]),
                    "number": st.integers(0, 3), "yes": st.booleans(),
                }
            ),
        ),
        st.tuples(st.just("pause"), st.fixed_dictionaries({"us": st.integers(1, DAY_US)})),
        st.sampled_from([("broken", {}), ("pause", {"us": 30 * SECOND_US})]),
    )  # fmt: skip
    begins = [draw(drawn) for _ in range(draw(st.integers(0, 3)))]
    return [*begins, *draw(st.lists(one, max_size=40))]


def record_of(world: World, kind: str, given_one: dict[str, Any]) -> Record:
    if kind == "alert":
        made: AlertRecord = given_one["alert"]
        return made
    if kind == "broken":
        return Unreadable("bad_json", KEY)
    key, other = given_one["key"], given_one["other"]
    own, others = world.states[key].current, world.states[other].current
    other_id = others.incident_id if others else str(uuid_of("nobody"))
    number, word = given_one["number"], given_one["word"]
    contained = next(iter(own.containments), None) if own else None
    fields: dict[str, dict[str, Any]] = {
        "assign": {"assignee": f"person{number}"},
        "comment": {"severity": [None, "low", "high", "critical"][number]},
        "contain": {"expires_us": world.at_us + number * DAY_US},
        "contain_result": {"contain_id": contained or str(uuid_of("none")), "succeeded": given_one["yes"]},
        "resolve": {"verdict": word},
        "link": {"other_key": other, "other_incident_id": other_id},
        "unlink": {"other_key": other, "other_incident_id": other_id},
        "absorb": {"child_key": other, "child_incident_id": other_id},
        "merged_into": {"parent_key": other, "parent_incident_id": other_id, "revision": number,
                        "parent_state": ["open", "open", "resolved", "released"][number], "verdict": word},
        "suspect_breach": {"known_at_us": START_US},
        "breach_step": {"step": f"step{number}"},
    }  # fmt: skip
    guard = own.incident_id if own and (given_one["guard"] or kind == "merged_into") else ""
    return command(
        kind, given_one["id"], incident_key=key, incident_id=guard, by=given_one["by"], **fields.get(kind, {})
    )


def play(world: World, history: list[tuple[str, dict[str, Any]]]) -> World:
    for kind, given_one in history:
        if kind == "pause":
            world.at_us += given_one["us"]
        else:
            world.put(record_of(world, kind, given_one))
    return world


@settings(max_examples=300, deadline=None)
@given(steps())
def test_the_log_of_a_key_folds_to_the_state_that_its_records_made(history: list[tuple[str, dict[str, Any]]]) -> None:
    world = play(World(RULES), history)
    assert len(world.rows) == world.offset, "one row a record"
    assert [row.position.offset for row in world.rows] == list(range(world.offset))
    through_bytes = [msgspec.json.decode(msgspec.json.encode(row), type=LogRow) for row in world.rows]
    for key, state in world.states.items():
        world.rows = through_bytes
        assert world.refold(key) == state
    assert all(len(row.changes.encode()) <= MAX_CHANGES_BYTES for row in world.rows)


@settings(max_examples=150, deadline=None)
@given(steps())
def test_the_same_log_gives_the_same_rows_states_and_effects(history: list[tuple[str, dict[str, Any]]]) -> None:
    first = play(World(RULES), history)
    again = World(RULES)
    states: dict[str, KeyState] = {}
    for row, record, at_us in zip(first.rows, first_records(first, history), times(first), strict=True):
        outcome = apply(states.get(row.incident_key, EMPTY), record, row.position, at_us, RULES)
        assert outcome.log_row == row
        states[row.incident_key] = outcome.state
        again.effects += outcome.effects
    assert again.effects == first.effects
    assert states == {key: state for key, state in first.states.items() if state != EMPTY}


def times(world: World) -> list[int]:
    return [row.received_at_us for row in world.rows]


def first_records(world: World, history: list[tuple[str, dict[str, Any]]]) -> list[Record]:
    """The records of the log: played once more, and written down as they are handled."""
    found: list[Record] = []

    class Writing(World):
        def handle(self, record: Record) -> Any:
            found.append(record)
            return super().handle(record)

    play(Writing(RULES), history)
    assert len(found) == len(world.rows)
    return found


@settings(max_examples=200, deadline=None)
@given(steps())
def test_what_is_refused_or_changes_nothing_leaves_the_state_as_it_was(
    history: list[tuple[str, dict[str, Any]]],
) -> None:
    class Watching(World):
        def handle(self, record: Record) -> Any:
            before = self.states[record.incident_key]
            outcome = super().handle(record)
            row = outcome.log_row
            assert row is not None
            if row.transition in ("refused", "no_change"):
                assert row.code
                assert row.changes == "{}"
                assert msgspec.structs.replace(outcome.state, position=before.position) == before
            return outcome

    play(Watching(RULES), history)


@settings(max_examples=200, deadline=None)
@given(steps())
def test_invariants_of_every_state(history: list[tuple[str, dict[str, Any]]]) -> None:
    class Watching(World):
        def handle(self, record: Record) -> Any:
            before = {one.incident_id: one for one in self.states[record.incident_key].incidents}
            outcome = super().handle(record)
            incidents = outcome.state.incidents
            assert sum(one.is_open or one.is_active_child for one in incidents) <= 1
            for one in incidents:
                old = before.get(one.incident_id)
                assert one.alerts >= one.withdrawn >= 0
                assert one.alerts == sum(part.alerts for part in one.detectors.values())
                assert one.is_open or one.verdict or one.merged
                assert not (one.merged and one.children)
                assert not (one.timers.escalate_due_us and (one.acknowledged_us or not one.is_open))
                if old is not None and old.is_open:
                    assert one.risk >= old.risk
                    row = outcome.log_row
                    assert rank(one.severity) >= rank(old.severity) or (row is not None and row.transition == "graded")
            return outcome

    world = play(Watching(RULES), history)
    contained = [one.contain_id for one in world.effects if isinstance(one, CallContainment)]
    assert len(contained) == len(set(contained)), "a containment is called once"
    assert not any(one.by.startswith("system:") for one in world.effects if isinstance(one, CallContainment))


@settings(max_examples=200, deadline=None)
@given(steps(), st.integers(0, 60))
def test_reading_the_topic_again_from_any_offset_changes_nothing(
    history: list[tuple[str, dict[str, Any]]], offset: int
) -> None:
    world = play(World(RULES), history)
    records = first_records(world, history)
    for row, record in list(zip(world.rows, records, strict=True))[offset:]:
        state = world.states[row.incident_key]
        outcome = apply(state, record, row.position, row.received_at_us, RULES)
        assert (outcome.state, outcome.log_row, outcome.effects) == (state, None, ())


@settings(max_examples=200, deadline=None)
@given(st.lists(ALERTS.map(lambda one: msgspec.structs.replace(one, stage="")), min_size=1, max_size=30), st.data())
def test_alerts_that_are_published_again_change_nothing(alerts: list[AlertRecord], data: st.DataObject) -> None:
    """From any offset, at new offsets: as after a crash between producing alerts and sealing their batch."""
    distinct = {one.alert_id: one for one in reversed(alerts)}
    alerts = [distinct[one.alert_id] for one in alerts]  # an id names one content here
    world = World(RULES)
    world.put(*alerts)
    before = {key: (state.incidents, state.alerts) for key, state in world.states.items()}
    told = len(world.told())
    world.put(*alerts[data.draw(st.integers(0, len(alerts) - 1)) :], step_us=0)
    assert {key: (state.incidents, state.alerts) for key, state in world.states.items()} == before
    assert len(world.told()) == told
    assert {row.transition for row in world.rows[len(alerts) :]} <= {"no_change"}


@settings(max_examples=150, deadline=None)
@given(steps(), st.data())
def test_emitted_commands_that_come_twice_lead_to_the_same_end(
    history: list[tuple[str, dict[str, Any]]], data: st.DataObject
) -> None:
    """A crash after an effect was carried out carries it out again, right after the first time."""
    once = play(World(RULES), history)
    world = World(RULES, fate=lambda emitted: 2)
    for kind, given_one in history:
        if kind == "pause":
            world.at_us += given_one["us"]
        else:
            world.put(record_of(world, kind, given_one))
    assert shapes(world) == shapes(once)
    assert all(isinstance(encode_command(one.command), bytes) for one in world.effects if isinstance(one, Emit))


def shapes(world: World) -> dict[str, Any]:
    """What matters of every key, without ids that follow from offsets."""
    return {
        key: [
            (one.ordinal, one.state, one.severity, one.risk, one.alerts, one.verdict, bool(one.merged),
             len(one.children), len(one.links), one.reopened, one.comments)
            for one in state.incidents
        ]
        for key, state in world.states.items()
        if state.incidents
    }  # fmt: skip


@given(st.integers(0, 100))
def test_another_partition_or_incarnation_is_never_taken_for_a_record_that_was_read(offset: int) -> None:
    state = KeyState(position=Position(TOPIC, INCARNATION, 0, 50))
    assert state.has_read(Position(TOPIC, INCARNATION, 0, offset)) == (offset <= 50)
    assert not state.has_read(Position(TOPIC, "inc-2", 0, offset))
    assert not state.has_read(Position(TOPIC, INCARNATION, 1, offset))
