"""Real senders on fake channels behind one partition: every message arrives through every fault, and a row ends it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from pipeline.adapters.channels.registry import sender_of
from pipeline.incidents.flood import FloodLimits
from pipeline.notifications.message import Notification, from_json
from pipeline.notifications.outcome import Sender
from pipeline.notifications.pacing import Limits
from pipeline.response.channel_writer import ChannelWriter, flood_limits_of
from pipeline.response.delivery import ChannelRoles
from pipeline.response.partition_loop import LoopLimits
from pipeline.response.sending import Sending, SendingPartition
from tests.channel_settings import KINDS, settings_of
from tests.fake_channels import FakeChannel, channel
from tests.flows import Log, Record, await_that
from tests.response import MemoryIncidents
from tests.sending import TOPIC, TOPIC_ID, Danger, FakeOutbox, message

LIMITS = Limits(rate_per_minute=1_000_000, first_wait_s=0.01, failures_to_open=1000)
FAULTS = ["server_error", "cut", "none", "cut_in_body", "wrong", "none", "slow", "server_error"]
EACH = 6
NOW_MS = time.time_ns() // 1_000_000


@dataclass
class Street:
    """Seven channels, each a kind of its own and named for it, behind one partition."""

    fakes: dict[str, FakeChannel]
    senders: dict[str, Sender]

    def __post_init__(self) -> None:
        self.store, self.outbox = MemoryIncidents(), FakeOutbox(Danger())
        self.log = Log([], topic_id=TOPIC_ID)

    def put(self, *messages: Notification) -> None:
        for one in messages:
            self.log.records.append(Record(len(self.log.records), one.to_json(), one.channel.encode(), NOW_MS))

    def begin(self, limits: Limits = LIMITS) -> SendingPartition:
        def make(name: str, roles: ChannelRoles) -> ChannelWriter:
            flood = flood_limits_of(name, FloodLimits(per_minute=1_000_000))
            return ChannelWriter(name, limits, flood, self.senders[name], roles)

        shared = Sending(
            writers={name: partial(make, name) for name in self.senders},
            containment="",
            outbox=self.outbox,
            incidents=FakeOutbox(Danger()),
            open_store=lambda: self.store,
            chance=lambda: 0.5,
        )
        made = SendingPartition(TOPIC, 0, sending=shared, flow=self.log, limits=LoopLimits())
        self.log.worker = made
        made.start()
        return made

    def rows(self, name: str, outcome: str) -> list[str]:
        rows = [one.row for one in self.store.delivered.values()]
        return [row.notification_id for row in rows if (row.channel, row.outcome) == (name, outcome)]

    def is_done(self) -> bool:
        return self.log.sealed_next == len(self.log.records)


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    with contextlib.ExitStack() as stack:
        fakes = {kind: stack.enter_context(channel(kind)) for kind in KINDS}
        senders: dict[str, Sender] = {}
        for kind, fake in fakes.items():
            (tmp_path / kind).mkdir()
            fake.now_us = time.time_ns() // 1000
            senders[kind] = sender_of(settings_of(kind, tmp_path / kind, fake.port, timeout_s=0.5))
        yield Street(fakes, senders)


def messages(kind: str) -> list[Notification]:
    return [message(n, channel=kind, at_us=NOW_MS * 1000 + n) for n in range(EACH)]


def test_every_message_arrives_on_every_channel_through_every_fault(street: Street) -> None:
    for kind, fake in street.fakes.items():
        fake.faults = FAULTS.copy()
        street.put(*messages(kind))
    partition = street.begin()
    await_that(street.is_done, partition.status)
    for kind, fake in street.fakes.items():
        assert len(set(fake.taken)) == EACH, "at least once"
        assert fake.refusals == []
        assert sorted(street.rows(kind, "delivered")) == sorted(one.notification_id for one in messages(kind))
    taken = {kind: len(fake.taken) for kind, fake in street.fakes.items()}
    partition.reassign()
    await_that(lambda: len(street.log.started_at) == 2 and street.is_done(), partition.status)
    partition.close()
    assert partition.join(10)
    assert {kind: len(fake.taken) for kind, fake in street.fakes.items()} == taken, "never after its row"


def test_a_channel_that_answers_slowly_delays_none_of_the_others(street: Street) -> None:
    street.fakes["slack"].faults = ["slow"] * 1000
    for kind in KINDS:
        street.put(*messages(kind))
    partition = street.begin()
    others = [kind for kind in KINDS if kind != "slack"]
    await_that(lambda: all(len(street.rows(kind, "delivered")) == EACH for kind in others), partition.status)
    assert street.rows("slack", "delivered") == []
    partition.close()
    assert partition.join(10)


def test_a_channel_without_anybody_is_told_on_another_one_which_reads_it(street: Street) -> None:
    street.fakes["webhook"].faults = ["unauthorized"] * 1000
    street.put(*messages("webhook"))
    partition = street.begin()
    await_that(lambda: street.outbox.records, partition.status)
    ((key, value),) = street.outbox.records
    assert key == b"dingtalk"
    street.log.records.append(Record(EACH, value, key, NOW_MS))
    assert street.log.worker is not None
    partition.reassign()
    await_that(lambda: street.rows("dingtalk", "delivered"), partition.status)
    text = street.fakes["dingtalk"].requests[0].document["markdown"]["text"]
    assert "Channel webhook does not deliver" in text
    assert "Cause: unauthorized. Its settings have to be repaired." in from_json(value).lines_en[0]
    partition.close()
    assert partition.join(10)
