"""A partition of the outbox topic: every offset ends settled, a slow channel delays none, a restart repeats nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Away, StoreRefused
from pipeline.incidents.flood import FloodLimits
from pipeline.incidents.records import ContainResult, parse_record
from pipeline.notifications.message import Notification, from_json
from pipeline.notifications.outcome import Sent
from pipeline.notifications.pacing import Limits
from pipeline.response import sending
from pipeline.response.channel_writer import ChannelWriter
from pipeline.response.containment import ContainmentCall
from pipeline.response.containment_writer import ContainmentWriter
from pipeline.response.delivery import ChannelRoles
from pipeline.response.partition_loop import LoopLimits
from pipeline.response.sending import OpenOffsets, Sending, SendingPartition
from tests.flows import Log, Record, await_that
from tests.response import MemoryIncidents
from tests.sending import LATER, OK, TOPIC, TOPIC_ID, Danger, FakeOutbox, message
from tests.unit.response.test_containment import CALL

NOW_MS = time.time_ns() // 1_000_000
LIMITS = Limits(rate_per_minute=1_000_000, first_wait_s=0.01, failures_to_open=1000)


@dataclass
class People:
    """Who reads one channel: takes what comes, unless the test holds it up."""

    answer: Callable[[], Sent] = lambda: OK
    free: threading.Event = field(default_factory=threading.Event)
    taken: list[str] = field(default_factory=list)
    calls: list[ContainmentCall] = field(default_factory=list)

    def send(self, notification: Notification, attempt: int, now_us: int) -> Sent:
        return self._take(notification.notification_id)

    def call(self, call: ContainmentCall, attempt: int, now_us: int) -> Sent:
        self.calls.append(call)
        return self._take(call.contain_id)

    def _take(self, message_id: str) -> Sent:
        self.free.wait(20)
        sent = self.answer()
        if sent.outcome == "delivered":
            self.taken.append(message_id)
        return sent


class World:
    """The log, the store, the channels; `process()` begins a process over them."""

    def __init__(self, *names: str) -> None:
        self.store = MemoryIncidents()
        self.people = {name: People() for name in (*names, "stop")}
        for one in self.people.values():
            one.free.set()
        self.outbox, self.incidents = FakeOutbox(Danger()), FakeOutbox(Danger())
        self.log = Log([], topic_id=TOPIC_ID)
        self.opened = 0

    def put(self, *items: Notification | ContainmentCall | bytes, key: str = "") -> None:
        for item in items:
            name = key or (item.channel if isinstance(item, Notification) else "stop")
            value = item if isinstance(item, bytes) else item.to_json()
            self.log.records.append(Record(len(self.log.records), value, name.encode(), NOW_MS))

    def process(self, flood: FloodLimits | None = None, **limits: int) -> SendingPartition:
        names = [name for name in self.people if name != "stop"]

        def maker(name: str) -> Callable[[ChannelRoles], ChannelWriter]:
            flooding = flood or FloodLimits(per_minute=1_000_000)
            return lambda roles: ChannelWriter(name, LIMITS, flooding, self.people[name], roles)

        def containing(roles: ChannelRoles) -> ContainmentWriter:
            return ContainmentWriter("stop", LIMITS, self.people["stop"], self.incidents, roles)

        shared = Sending(
            writers={**{name: maker(name) for name in names}, "stop": containing},
            containment="stop",
            outbox=self.outbox,
            incidents=self.incidents,
            open_store=self._open,
            chance=lambda: 0.5,
        )
        made = SendingPartition(TOPIC, 0, sending=shared, flow=self.log, limits=LoopLimits(**limits))
        self.log.worker = made
        return made

    def _open(self) -> MemoryIncidents:
        self.opened += 1
        return self.store

    def run(self, flood: FloodLimits | None = None) -> SendingPartition:
        """One process until everything is settled."""
        partition = self.process(flood)
        partition.start()
        await_that(lambda: self.log.sealed_next == len(self.log.records), partition.status)
        partition.close()
        assert partition.join(10)
        return partition

    def settled(self, incarnation: str = TOPIC_ID) -> list[int]:
        return list(self.store.settled_offsets(TOPIC, incarnation, 0, 0))


def now(number: int, channel: str = "chat", incident: int | None = None, action: str = "trigger") -> Notification:
    return message(number, channel=channel, at_us=NOW_MS * 1000 + number, incident=incident, action=action)


def ids(*notifications: Notification) -> list[str]:
    return [one.notification_id for one in notifications]


def test_every_channel_gets_its_own_and_every_offset_is_settled() -> None:
    world = World("chat", "mail")
    chat, mail = [now(n) for n in range(20)], [now(n, "mail") for n in range(20)]
    world.put(*(one for pair in zip(chat, mail, strict=True) for one in pair))
    done = world.run()
    assert world.people["chat"].taken == ids(*chat)
    assert world.people["mail"].taken == ids(*mail)
    assert world.settled() == list(range(40))
    assert (done.status.state, done.status.records) == ("closed", 40)
    assert done.status.deliveries == {"chat:delivered": 20, "mail:delivered": 20}
    assert world.opened == 3, "a connection to the store for each thread"


def test_the_next_process_goes_on_behind_what_is_settled_and_passes_over_what_is() -> None:
    world = World("chat", "mail")
    world.people["chat"].free.clear()
    world.put(now(0), *(now(n, "mail") for n in range(5)), now(1))
    partition = world.process()
    partition.start()
    await_that(lambda: len(world.settled()) == 5, partition.status)
    assert world.log.sealed_next == 0, "the group is told no more than what is settled without a gap"
    chat = partition._channels["chat"]
    partition.close()
    await_that(lambda: chat._ended, "the channel to be told")
    world.people["chat"].free.set()
    assert partition.join(10)
    assert set(world.settled()) == {0, 1, 2, 3, 4, 5}, "the attempt under way was kept"
    world.run()
    assert world.log.started_at == [0, 6]
    assert world.people["chat"].taken == ids(now(0), now(1))
    assert len(world.people["mail"].taken) == 5


def test_what_is_settled_behind_an_open_offset_leaves_no_second_row() -> None:
    world = World("chat", "mail")
    world.people["chat"].answer = lambda: LATER
    world.put(now(0), *(now(n, "mail") for n in range(5)))
    partition = world.process()
    partition.start()
    await_that(lambda: len(world.settled()) == 5, partition.status)
    partition.close()
    assert partition.join(10)
    world.people["chat"].answer = lambda: OK
    world.run()
    assert world.log.started_at == [0, 0]
    outcomes = [one.row.outcome for one in world.store.delivered.values() if one.row.channel == "mail"]
    assert outcomes == ["delivered"] * 5
    assert world.people["chat"].taken == ids(now(0))


def test_a_slow_channel_delays_no_other() -> None:
    world = World("slow", "quick")
    world.people["slow"].free.clear()
    world.put(*(now(n, "slow") for n in range(50)), *(now(n, "quick") for n in range(50)))
    partition = world.process()
    partition.start()
    await_that(lambda: len(world.people["quick"].taken) == 50, partition.status)
    assert world.people["slow"].taken == []
    world.people["slow"].free.set()
    await_that(lambda: world.log.sealed_next == 100, partition.status)
    partition.close()
    assert partition.join(10)


def test_status_names_every_channel_whose_circuit_is_open_the_containment_webhook_too() -> None:
    world = World("chat", "mail")
    for name in ("chat", "stop"):
        world.people[name].answer = lambda: replace(LATER, code="unauthorized")
    call = ContainmentCall(**{**{f: getattr(CALL, f) for f in CALL.__struct_fields__}, "expires_us": 2**52})
    world.put(now(0), now(0, "mail"), call)
    partition = world.process()
    partition.start()
    await_that(lambda: set(partition.status.circuits_open) == {"chat", "stop"}, partition.status)
    alarms = [from_json(value) for _, value in world.outbox.records]
    assert {one.channel for one in alarms if "stop" in one.title_en} <= {"chat", "mail"}, "people are told, no webhook"
    assert {one.channel for one in alarms if "chat" in one.title_en} == {"mail"}
    partition.close()
    assert partition.join(10)


def test_a_channel_that_holds_too_much_stops_the_reading_and_then_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "MOST_HELD", 10)
    monkeypatch.setattr(sending, "_ROOM_PAUSE_S", 0.01)
    world = World("chat")
    world.people["chat"].free.clear()
    world.put(*(now(n) for n in range(200)))
    partition = world.process(inbox_records=16, max_batch_records=8)
    partition.start()
    await_that(lambda: world.log.blocked and "chat" in partition._channels, partition.status)
    channel = partition._channels["chat"]
    await_that(lambda: channel.held >= 10, "the channel to be full")
    assert channel.held <= 11, "what changes hands may be counted twice"
    world.people["chat"].free.set()
    await_that(lambda: world.log.sealed_next == 200, partition.status)
    partition.close()
    assert partition.join(10)
    assert world.people["chat"].taken == ids(*(now(n) for n in range(200)))


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (b"", "chat"), (b"{}", "chat"), (b"\xff\xfe", "chat"), (b"[" * 10_000, "chat"), (b'{"type":"alert"}', "chat"),
        (b'{"type":"containment"}', "stop"), (now(1, "mail").to_json(), "chat"), (now(1).to_json(), "Chat room"),
        (now(1).to_json(), ""),
    ],
    ids=range(9),
)  # fmt: skip
def test_what_is_no_record_of_its_channel_is_settled_with_a_row_and_the_others_arrive(value: bytes, key: str) -> None:
    world = World("chat", "mail")
    world.put(now(0))
    world.log.records.append(Record(1, value, key.encode(), NOW_MS))
    world.log.records.append(Record(2, None, None, NOW_MS))
    world.put(now(2))
    world.run()
    assert world.people["chat"].taken == ids(now(0), now(2))
    refused = [one for one in world.store.delivered.values() if one.row.outcome == "refused"]
    assert [(one.position.offset, one.row.code, one.notification) for one in refused] == [
        (1, "unreadable", None), (2, "unreadable", None),
    ]  # fmt: skip
    assert world.settled() == [0, 1, 2, 3]


def test_a_message_for_an_unknown_channel_is_told_on_one_that_is_known() -> None:
    world = World("chat", "mail")
    alarm = now(1, "gone", action="alarm")
    world.put(now(0, "gone"), alarm, now(2, "stop"))
    world.run()
    assert [row.code for row in (one.row for one in world.store.delivered.values())] == ["unknown_channel"] * 3
    told = [(key, from_json(value)) for key, value in world.outbox.records]
    assert [(key, one.dedup_key) for key, one in told] == [
        (b"chat", f"undelivered:{now(0, 'gone').notification_id}"),
        (b"chat", f"undelivered:{now(2, 'stop').notification_id}"),
    ], "no alarm about an alarm; no message goes to who stops accounts"
    assert now(0, "gone").title_en in told[0][1].lines_en


def test_containment_is_called_once_and_answered_and_elsewhere_refused() -> None:
    world = World("chat")
    call = ContainmentCall(**{**{f: getattr(CALL, f) for f in CALL.__struct_fields__}, "expires_us": 2**52})
    world.put(call, call)
    world.log.records.append(Record(2, call.to_json(), b"chat", NOW_MS))
    world.run()
    assert world.people["stop"].calls == [call]
    answers = [parse_record(key, value) for key, value in world.incidents.records]
    results = [(one.succeeded, one.code) for one in answers if isinstance(one, ContainResult)]
    assert sorted(results) == [(False, "unknown_channel"), (True, "ok")]
    assert world.people["chat"].taken == []
    assert world.settled() == [0, 1, 2]


def test_a_digest_of_a_partition_settles_all_its_offsets() -> None:
    world = World("chat")
    past_us = (NOW_MS * 1000 // 60_000_000 - 5) * 60_000_000
    world.put(*(replace(now(n), created_us=past_us + n) for n in range(30)))
    world.run(FloodLimits(per_minute=5, reserved=2))
    assert len(world.people["chat"].taken) == 3 + 1
    assert world.settled() == list(range(30))


# -- trouble


def test_a_store_that_is_away_is_waited_for_and_said() -> None:
    world = World("chat")
    world.store.faults["settled_offsets"] = [Away("cut", code="store_away")]
    world.store.faults["deliveries"] = [Away("cut", code="store_away")]
    world.store.faults["record"] = [Away("cut", code="store_away") for _ in range(4)]
    world.put(*(now(n) for n in range(10)))
    partition = world.process()
    partition.start()
    await_that(lambda: (partition.status.state, partition.status.code) == ("away", "store_away"), "away")
    await_that(lambda: world.log.sealed_next == 10, partition.status)
    await_that(lambda: partition.status.state == "running", partition.status)
    partition.close()
    assert partition.join(10)
    assert world.people["chat"].taken == ids(*(now(n) for n in range(10))), "nothing is sent again for that"


def test_an_answer_of_the_store_that_was_lost_changes_nothing() -> None:
    world = World("chat")
    world.store.lost_answers["record"] = [Away("cut") for _ in range(3)]
    world.put(*(now(n) for n in range(5)))
    world.run()
    assert world.people["chat"].taken == ids(*(now(n) for n in range(5)))


def test_a_broken_invariant_in_a_channel_stops_its_partition_until_it_is_assigned_again() -> None:
    world = World("chat")
    world.store.faults["record"] = [StoreRefused("no right")]
    world.put(*(now(n) for n in range(5)))
    partition = world.process()
    partition.start()
    await_that(lambda: partition.status.state == "stopped", partition.status)
    assert partition.status.code == "store_refused"
    partition.reassign()
    await_that(lambda: world.log.sealed_next == 5, partition.status)
    partition.close()
    assert partition.join(10)


def test_a_fault_of_ours_in_a_channel_is_told_by_its_class_alone(caplog: pytest.LogCaptureFixture) -> None:
    world = World("chat")
    answers: dict[str, Sent] = {}
    world.people["chat"].answer = lambda: answers["13812345678"]
    world.put(now(0))
    partition = world.process()
    partition.start()
    await_that(lambda: partition.status.state == "stopped", partition.status)
    assert partition.status.code == "internal_error"
    assert "KeyError" in caplog.text
    assert "13812345678" not in caplog.text
    partition.close()
    assert partition.join(10)


def test_rebalances_double_nothing() -> None:
    world = World("chat", "mail")
    world.put(*(now(n, "chat" if n % 2 else "mail") for n in range(300)))
    partition = world.process(max_batch_records=7)
    partition.start()
    for _ in range(5):
        partition.reassign()
    await_that(lambda: world.log.sealed_next == 300, partition.status)
    partition.close()
    assert partition.join(10)
    for one in world.people.values():
        assert len(one.taken) == len(set(one.taken))
    assert world.settled() == list(range(300))


def test_a_log_that_lost_its_end_or_was_made_anew_is_another_life_and_is_sent() -> None:
    world = World("chat")
    world.put(*(now(n) for n in range(10)))
    world.run()
    for topic_id, life in ((TOPIC_ID, f"{TOPIC_ID}+1"), ("life-2", "life-2")):
        world.log = Log([], topic_id=topic_id)
        world.put(now(100), now(101))
        done = world.run()
        assert done.status.incarnation == life
        assert world.settled(life) == [0, 1]
        world.run()
    assert world.people["chat"].taken[10:] == ids(now(100), now(101)), "once, in whatever life"


def test_a_log_is_not_shorter_because_a_former_owner_went_on_while_the_store_was_read() -> None:
    world = World("chat")
    world.put(*(now(n) for n in range(10)))
    world.run()
    world.log.grows_when_asked(world.store, "settled_offsets", end_offset=6)
    partition = world.process()
    partition.start()
    await_that(lambda: partition.status.state == "running", partition.status)
    partition.close()
    assert partition.join(10)
    assert (partition.status.incarnation, world.log.started_at) == (TOPIC_ID, [0, 10])
    assert len(world.people["chat"].taken) == 10


def test_a_log_whose_beginning_kafka_deleted_is_read_from_where_it_begins() -> None:
    world = World("chat")
    world.put(*(now(n) for n in range(10)))
    world.log.first_offset = 4
    world.run()
    assert world.people["chat"].taken == ids(*(now(n) for n in range(4, 10)))


@given(st.lists(st.integers(0, 60), unique=True, max_size=40), st.randoms(use_true_random=False))
def test_what_is_told_is_below_every_open_offset(offsets: list[int], random: object) -> None:
    told: list[int] = []
    order = sorted(offsets)
    open_offsets = OpenOffsets(0, told.append)
    for offset in order:
        open_offsets.take(offset)
    random.shuffle(offsets)  # type: ignore[attr-defined]
    for place, offset in enumerate(offsets):
        open_offsets.settle([offset, offset])
        left = set(offsets[place + 1 :])
        assert told[-1] == min(left, default=order[-1] + 1)
    open_offsets.settle(offsets)
    assert not open_offsets._settled
