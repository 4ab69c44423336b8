"""What every store of incidents and deliveries promises: one suite over the one in memory and over the real one."""

from __future__ import annotations

import itertools
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Protocol

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.adapters.incident_store import open_incidents
from pipeline.errors import Fenced
from pipeline.incidents.changes import fold_log
from pipeline.incidents.model import KeyState, LogRow, Position
from pipeline.incidents.records import Unreadable
from pipeline.migrations.runner import apply_all
from pipeline.notifications.message import Notification
from pipeline.notifications.policy import DeliveryRow
from pipeline.response.roles import Delivery, DeliveryStore, IncidentSnapshot, IncidentStore
from tests.incident_logs import KEY, OTHER_KEY, START_US, World, alert, command, uuid_of
from tests.response import MemoryIncidents

OURS, THEIRS = "host:1:a", "host:2:b"
CHANNEL = "chat"


class Store(IncidentStore, DeliveryStore, Protocol):
    """Both roles."""


OpenStore = Callable[[], Store]


@pytest.fixture(params=["memory", pytest.param("clickhouse", marks=pytest.mark.stack)])
def open_store(request: pytest.FixtureRequest) -> Iterator[OpenStore]:
    """Opens the store, once for each writer."""
    if request.param == "memory":
        memory = MemoryIncidents()
        yield lambda: memory
        return
    stack: Any = request.getfixturevalue("stack")
    apply_all(stack.settings)
    opened = []

    def open_real() -> Store:
        opened.append(open_incidents(stack.settings.clickhouse))
        return opened[-1]

    yield open_real
    for store in opened:
        store.close()


@pytest.fixture
def topic() -> str:
    return f"topic-{uuid.uuid4().hex}"


def at(row: LogRow, topic: str, offset: int | None = None, incarnation: str = "life-1", partition: int = 3) -> LogRow:
    """The row elsewhere."""
    where = Position(topic, incarnation, partition, row.position.offset if offset is None else offset)
    return msgspec.structs.replace(row, position=where)


def history(topic: str, incarnation: str = "life-1") -> list[LogRow]:
    """What a short history of two keys leaves."""
    world = World()
    world.put(alert(1), alert(2, risk=91.0, severity="critical"), alert(3, incident_key=OTHER_KEY))
    world.put(command("assign", assignee="chen.hua", why="夜班 \\ ' \n \0 值班"), command("tick"))
    world.put(command("suspect_breach", known_at_us=START_US), command("resolve", verdict="true_positive"))
    world.handle(Unreadable("bad_json", "k"))
    return [at(row, topic, incarnation=incarnation) for row in world.rows]


# -- the log


def test_a_log_begins_with_nothing(open_store: OpenStore, topic: str) -> None:
    assert list(open_store().log_rows(topic, 3)) == []


def test_what_is_appended_comes_back_field_by_field_in_its_order(open_store: OpenStore, topic: str) -> None:
    store, rows = open_store(), history(topic)
    store.append(rows[:2], [], [], OURS)
    store.append(rows[2:], [], [], THEIRS)
    assert list(open_store().log_rows(topic, 3)) == rows
    assert list(store.log_rows(topic, 4)) == []


def test_a_repeated_append_is_no_error_and_adds_nothing(open_store: OpenStore, topic: str) -> None:
    store, rows = open_store(), history(topic)
    for writer in (store, store, open_store()):
        writer.append(rows, [], [], OURS)
    assert list(store.log_rows(topic, 3)) == rows


def test_of_two_writers_of_a_position_the_first_wins(open_store: OpenStore, topic: str) -> None:
    first, second, rows = open_store(), open_store(), history(topic)
    first.append(rows[:3], [], [], OURS)
    other = [msgspec.structs.replace(rows[0], why="otherwise"), *rows[1:3]]
    for taken in (rows[:3], rows[:2], rows[:4], rows[2:4], [rows[0]], other):
        with pytest.raises(Fenced, match="another"):
            second.append(taken, [], [], THEIRS)
    with pytest.raises(Fenced, match="another"):
        first.append(other, [], [], OURS)
    assert list(second.log_rows(topic, 3)) == rows[:3]
    second.append(rows[3:], [], [], THEIRS)
    with pytest.raises(Fenced, match="another"):
        first.append(rows[3:], [], [], OURS)
    assert list(first.log_rows(topic, 3)) == rows


def test_offsets_may_have_holes(open_store: OpenStore, topic: str) -> None:
    store = open_store()
    rows = [at(row, topic, 10 + 7 * number) for number, row in enumerate(history(topic))]
    store.append(rows, [], [], OURS)
    store.append(rows, [], [], OURS)
    assert list(store.log_rows(topic, 3)) == rows


def test_lives_of_a_topic_come_in_the_order_they_were_lived(open_store: OpenStore, topic: str) -> None:
    store = open_store()
    lives = [history(topic, incarnation) for incarnation in ("zzz", "aaa", "aaa+1")]
    for rows in lives:
        store.append(rows, [], [], OURS)
    assert list(store.log_rows(topic, 3)) == [row for rows in lives for row in rows]


def test_a_long_log_comes_back_whole(open_store: OpenStore, topic: str) -> None:
    """More than the real store reads at once, in blocks as large as they may be."""
    store, [row, *_] = open_store(), history(topic)
    rows = [at(row, topic, offset) for offset in range(12_345)]
    store.append(rows[:10_000], [], [], OURS)
    store.append(rows[10_000:], [], [], OURS)
    store.append(rows[:10_000], [], [], OURS)
    assert [one.position.offset for one in store.log_rows(topic, 3)] == list(range(12_345))


RECORDS = st.one_of(
    st.builds(
        alert, name=st.integers(1, 8), incident_key=st.sampled_from([KEY, OTHER_KEY]),
        risk=st.integers(0, 100).map(float), severity=st.sampled_from(["low", "high", "critical"]),
        event_time_us=st.integers(-(2**62), 2**62),
    ),
    st.builds(
        command, st.sampled_from(["acknowledge", "reopen", "tick"]), st.integers(1, 30),
        incident_key=st.sampled_from([KEY, OTHER_KEY]), why=st.text(min_size=1, max_size=20),
    ),
    st.builds(command, st.just("resolve"), st.integers(1, 30), verdict=st.sampled_from(["benign", "test"])),
)  # fmt: skip


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=st.lists(RECORDS, min_size=1, max_size=40), cuts=st.sets(st.integers(1, 60), max_size=4))
def test_appended_rows_fold_to_the_states_they_were_made_from(
    open_store: OpenStore, records: list[Any], cuts: set[int]
) -> None:
    """Whatever the records, wherever they are cut into appends."""
    store, world, topic = open_store(), World(), f"topic-{uuid.uuid4().hex}"
    world.put(*records)
    rows = [at(row, topic) for row in world.rows]
    bounds = [0, *sorted(cut for cut in cuts if cut < len(rows)), len(rows)]
    for first, last in itertools.pairwise(bounds):
        store.append(rows[first:last], [], [], OURS)
    by_key = defaultdict(list)
    for row in store.log_rows(topic, 3):
        by_key[row.incident_key].append(row)
    assert by_key.keys() == world.states.keys()
    for key, state in world.states.items():
        assert _without_position(fold_log(by_key[key])) == _without_position(state)


def _without_position(state: KeyState) -> KeyState:
    return msgspec.structs.replace(state, position=None)


def test_records_at_their_limits_are_no_obstacle(open_store: OpenStore, topic: str) -> None:
    """Ids of zero and times that no calendar has: a partition must not stop for what somebody wrote."""
    store, world = open_store(), World()
    nil = uuid.UUID(int=0)
    world.put(alert(alert_id=nil, event_time_us=2**62, actor_token="no token"), alert(2, event_time_us=-(2**62)))
    world.put(command("acknowledge", command_id=str(nil), at_us=2**53))
    rows = [at(row, topic) for row in world.rows]
    incident = world.incident()
    for _ in range(2):
        store.append(rows, [IncidentSnapshot(incident, rows[-1].position, -1)], [], OURS)
    assert fold_log(store.log_rows(topic, 3)).current == incident
    with pytest.raises(Fenced):
        store.append(rows, [], [], THEIRS)


# -- deliveries


def told(topic: str, offset: int, name: object = "one", **values: Any) -> Delivery:
    """A delivery row of a message of CHANNEL."""
    note = Notification(
        notification_id=str(uuid_of(name)), channel=CHANNEL, action="trigger", dedup_key=f"acme:{name}",
        tenant_id="acme", incident_id=str(uuid_of("incident")), severity="high", risk=5000, alerts=1,
        title_en="t", title_zh="标题",
        lines_en=(), lines_zh=(), link="", created_us=START_US,
    )  # fmt: skip
    given: dict[str, Any] = {
        "notification_id": note.notification_id, "channel": f"{CHANNEL}-{topic}", "dedup_key": note.dedup_key,
        "action": note.action, "created_us": note.created_us, "attempt": 1, "at_us": START_US + offset,
        "outcome": "delivered", "code": "ok", "http_status": 200, "not_before_us": 0,
    }  # fmt: skip
    return Delivery(Position(topic, "life-1", 2, offset), note, DeliveryRow(**given | values))


def test_deliveries_come_back_field_by_field_in_the_order_they_were_made(open_store: OpenStore, topic: str) -> None:
    store = open_store()
    made = [
        told(topic, 3, "b", outcome="retry", code="too_many", http_status=429, not_before_us=START_US + 9),
        told(topic, 4, "a"),
        told(topic, 3, "b", attempt=2, at_us=START_US + 12),
        replace(
            told(topic, 5, "c", attempt=0, outcome="skipped", code="duplicate", http_status=0, at_us=START_US + 20)
        ),
    ]
    store.record([made[2], made[0]])
    store.record([])
    store.record(made[1:])
    channel = made[0].row.channel
    assert list(open_store().deliveries(channel, 0)) == [one.row for one in made]
    assert list(store.deliveries(channel, START_US + 12)) == [made[2].row, made[3].row]
    assert list(store.deliveries("another", 0)) == []


def test_the_same_attempt_twice_is_one(open_store: OpenStore, topic: str) -> None:
    store = open_store()
    for _ in range(3):
        store.record([told(topic, 3), told(topic, 4, "other")])
    store.record([told(topic, 9)])
    rows = store.deliveries(told(topic, 3).row.channel, 0)
    assert list(rows) == [told(topic, 3).row, told(topic, 4, "other").row]


def test_an_offset_is_settled_once_nothing_is_left_to_do_about_it(open_store: OpenStore, topic: str) -> None:
    store = open_store()
    store.record([
        told(topic, 3, "a", outcome="retry"), told(topic, 4, "b"), told(topic, 6, "c", outcome="refused"),
        told(topic, 7, "d", outcome="skipped", attempt=0),
    ])  # fmt: skip
    assert list(store.settled_offsets(topic, "life-1", 2, 0)) == [4, 6, 7]
    store.record([told(topic, 3, "a", attempt=2)])
    assert list(store.settled_offsets(topic, "life-1", 2, 0)) == [3, 4, 6, 7]
    assert list(store.settled_offsets(topic, "life-1", 2, 5)) == [6, 7]
    assert [list(store.settled_offsets(topic, *other, 0)) for other in (("life-2", 2), ("life-1", 1))] == [[], []]


def test_a_message_that_kafka_holds_three_times_is_settled_at_each_offset(open_store: OpenStore, topic: str) -> None:
    """The second and third are skipped: their rows have the same message and the same attempt, none."""
    store = open_store()
    for offset in (3, 8, 11):
        skipped: dict[str, Any] = {} if offset == 3 else {"outcome": "skipped", "attempt": 0}
        store.record([told(topic, offset, "a", **skipped)])
    assert list(store.settled_offsets(topic, "life-1", 2, 0)) == [3, 8, 11]


def test_a_record_that_is_no_notification_is_settled_by_its_row(open_store: OpenStore, topic: str) -> None:
    store = open_store()
    strange = told(topic, 3, created_us=10**30, action="", dedup_key="", outcome="refused", code="unreadable")
    store.record([replace(strange, notification=None)])
    assert list(store.settled_offsets(topic, "life-1", 2, 0)) == [3]
    assert [one.code for one in store.deliveries(strange.row.channel, 0)] == ["unreadable"]
