"""The thread of one response partition: trouble, rebalance, back-pressure, ticks; everything is handled once."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Away, Fenced, StoreRefused
from pipeline.partition.recovery import LogBounds
from pipeline.response.handling import HandlingPartition
from pipeline.response.partition_loop import LoopLimits, ResumeAt, resume_at
from pipeline.response.ticks import TickSchedule
from tests.flows import Log, Record, await_that
from tests.incident_logs import KEY, SECOND_US, START_US, alert, encoded
from tests.response import MemoryIncidents
from tests.response_fakes import NO_LINKS, rows_of
from tests.unit.response.test_handling import RULES

MS = START_US // 1000


class Sent:
    """Role `Outbox`: remembers what was sent."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes]] = []

    def send(self, key: bytes, value: bytes) -> None:
        self.records.append((key, value))

    def flush(self) -> None:
        """Everything is there."""


def log_of(count: int, first: int = 0) -> Log:
    made = [Record(at, encoded(alert(at)), KEY.encode(), MS) for at in range(first, first + count)]
    return Log(made, topic_id="inc-1")


def partition_of(store: MemoryIncidents, log: Log, *, now_us: int = START_US, **limits: int) -> HandlingPartition:
    made = HandlingPartition(
        "access.incidents", 0, open_store=lambda: store, commands=Sent(), messages=Sent(), rules=RULES,
        asking=NO_LINKS, flow=log, limits=LoopLimits(**{"max_batch_records": 20, **limits}), writer="test",
        now_us=lambda: now_us,
    )  # fmt: skip
    log.worker = made
    return made


def run(store: MemoryIncidents, log: Log, **limits: int) -> HandlingPartition:
    """Runs a partition until the log is handled and ends it."""
    partition = partition_of(store, log, **limits)
    partition.start()
    wanted = log.records[-1].offset + 1
    await_that(lambda: log.sealed_next >= wanted, partition.status)
    partition.close()
    assert partition.join(5)
    return partition


def offsets(store: MemoryIncidents) -> list[int]:
    return sorted(one.offset for one in rows_of(store))


def test_everything_is_handled_once_and_the_next_process_goes_on_behind_it() -> None:
    store = MemoryIncidents()
    done = run(store, log_of(100))
    assert (done.status.state, done.status.records, done.status.sealed_offset) == ("closed", 100, 99)
    log = log_of(150)
    run(store, log)
    assert log.started_at == [100]
    assert offsets(store) == list(range(150))


def test_a_log_is_not_shorter_because_a_former_owner_went_on_while_the_store_was_read() -> None:
    store = MemoryIncidents()
    run(store, log_of(100))
    log = log_of(100)
    log.grows_when_asked(store, "log_rows", end_offset=60)
    partition = partition_of(store, log)
    partition.start()
    await_that(lambda: partition.status.state == "running", partition.status)
    partition.close()
    assert partition.join(5)
    assert (partition.status.incarnation, log.started_at) == ("inc-1", [100])


def test_a_store_that_is_away_is_waited_for_and_said() -> None:
    store, log = MemoryIncidents(), log_of(60)
    store.faults["append"] = [Away("cut", code="store_away") for _ in range(3)]
    partition = partition_of(store, log)
    partition.start()
    await_that(lambda: (partition.status.state, partition.status.code) == ("away", "store_away"), "away")
    await_that(lambda: log.sealed_next == 60, partition.status)
    assert (partition.status.state, partition.status.code) == ("running", "")
    partition.close()
    assert partition.join(5)
    assert offsets(store) == list(range(60))


def test_a_fenced_partition_begins_anew_from_the_store() -> None:
    store, log = MemoryIncidents(), log_of(60)
    store.faults["append"] = [Fenced("another was first")]
    partition = run(store, log)
    assert partition.status.fenced == 1
    assert log.started_at == [0, 0]
    assert offsets(store) == list(range(60))


def test_a_broken_invariant_stops_the_partition_until_it_is_assigned_again() -> None:
    store, log = MemoryIncidents(), log_of(60)
    store.faults["append"] = [StoreRefused("no right")]
    partition = partition_of(store, log)
    partition.start()
    await_that(lambda: partition.status.state == "stopped", partition.status)
    assert partition.status.code == "store_refused"
    assert offsets(store) == []
    partition.reassign()
    await_that(lambda: log.sealed_next == 60, partition.status)
    partition.close()
    assert partition.join(5)


def test_a_rebalance_begins_anew_and_nothing_is_doubled() -> None:
    store, log = MemoryIncidents(), log_of(300)
    partition = partition_of(store, log, max_batch_records=7)
    partition.start()
    for _ in range(5):
        partition.reassign()
    await_that(lambda: log.sealed_next == 300, partition.status)
    partition.close()
    assert partition.join(5)
    assert offsets(store) == list(range(300))
    assert partition.status.open_incidents == 1


def test_more_than_the_inbox_holds_blocks_the_fetcher() -> None:
    store, log = MemoryIncidents(), log_of(400)
    store.faults["append"] = [Away("cut") for _ in range(2)]
    run(store, log, inbox_records=50)
    assert log.blocked
    assert offsets(store) == list(range(400))


def test_a_due_tick_is_sent_by_the_thread_and_counted() -> None:
    store, log = MemoryIncidents(), log_of(1)
    partition = partition_of(store, log, now_us=START_US + 600 * SECOND_US)
    partition.start()
    await_that(lambda: partition.status.ticks == 1, partition.status)
    partition.close()
    assert partition.join(5)
    ((key, value),) = partition._commands.records  # type: ignore[attr-defined]  # our fake
    assert (key, b'"command":"tick"' in value) == (KEY.encode(), True)


def test_what_is_observed_is_a_copy() -> None:
    partition = run(MemoryIncidents(), log_of(3))
    seen = partition.observe()
    partition.status.transitions["opened"] += 5
    assert seen.transitions["opened"] == 1
    assert threading.current_thread().is_alive()


# -- where to go on


def test_where_to_go_on() -> None:
    assert resume_at(LogBounds("x", 0, 10), {}) == ResumeAt("x", 0)
    assert resume_at(LogBounds("x", 0, 10), {"x": 4}) == ResumeAt("x", 5)
    assert resume_at(LogBounds("x", 7, 10), {"x": 4}) == ResumeAt("x", 7, lost=2)
    assert resume_at(LogBounds("y", 0, 10), {"x": 4}) == ResumeAt("y", 0)
    assert resume_at(LogBounds("x", 0, 3), {"x": 4}) == ResumeAt("x+1", 0)
    assert resume_at(LogBounds("x", 0, 9), {"x": 4, "x+1": 6}) == ResumeAt("x+1", 7)


# -- ticks


def test_a_tick_is_due_once_and_again_later_and_later() -> None:
    ticks = TickSchedule()
    ticks.set("k", 100)
    assert ticks.due_us == 100
    assert ticks.due(99, 10) == []
    assert ticks.due(100, 10) == [("k", 100)]
    ticks.sent("k", 100)
    assert ticks.due(100 + SECOND_US - 1, 10) == []
    assert ticks.due(100 + SECOND_US, 10) == [("k", 100)]
    ticks.sent("k", 100 + SECOND_US)
    assert ticks.due_us == 100 + 3 * SECOND_US
    ticks.set("k", 0)
    assert ticks.due_us == 0


def test_another_due_time_is_no_reason_to_send_two_ticks_in_one_second() -> None:
    ticks = TickSchedule()
    ticks.set("k", 100)
    ticks.sent("k", 100)
    ticks.set("k", 200)
    assert ticks.due_us == 100 + SECOND_US


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 50), st.booleans()), max_size=80))
def test_what_is_due_is_what_was_set_last(steps: list[tuple[int, int, bool]]) -> None:
    ticks, wanted = TickSchedule(), dict[str, int]()
    for number, due_us, look in steps:
        key = str(number)
        ticks.set(key, due_us)
        wanted[key] = due_us
        if look:
            ticks.due(25, 3)
    left = {key: due_us for key, due_us in wanted.items() if due_us}
    assert ticks.due_us == min(left.values(), default=0)
    assert dict(ticks.due(50, 100)) == left
