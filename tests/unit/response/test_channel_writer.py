"""The writer of a channel: nothing lost, nothing twice after its row, floods as digests, silence told elsewhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Away
from pipeline.incidents.flood import FloodLimits
from pipeline.notifications.message import Notification, from_json
from pipeline.notifications.outcome import Sent
from pipeline.notifications.pacing import SECOND_US, Limits
from pipeline.response.channel_writer import ChannelWriter, flood_limits_of
from pipeline.response.delivery import ChannelRoles
from pipeline.response.roles import Delivery
from tests.sending import (
    LATER,
    MINUTE_START_US,
    NEVER,
    Clock,
    Danger,
    FakeDeliveryStore,
    FakeOutbox,
    FakeSender,
    Killed,
    at,
    message,
    most_in_a_minute,
)

LIMITS = Limits(rate_per_minute=6000, failures_to_open=3)
FLOOD = FloodLimits(per_minute=5, reserved=2, worst=3)
UNAUTHORIZED = Sent("retry", "unauthorized", 401)
HOUR_US = 3600 * SECOND_US


@dataclass
class Channel:
    """A channel, the log of its topic, and a process that may be killed: all that survives is here."""

    kind: str = "slack"
    limits: Limits = LIMITS
    flood: FloodLimits = FLOOD
    others: tuple[str, ...] = ("mail",)
    clock: Clock = field(default_factory=Clock)
    danger: Danger = field(default_factory=Danger)
    log: list[Notification] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = FakeDeliveryStore(self.danger)
        self.outbox = FakeOutbox(self.danger)
        self.sender = FakeSender(self.clock, self.danger)
        self.recorded: list[Delivery] = []

    def writer(self) -> ChannelWriter:
        """A process that begins: nothing but the store tells it what was done."""
        roles = ChannelRoles(
            store=self.store,
            outbox=self.outbox,
            people=("chat", *self.others),
            circuits={},
            clock=self.clock,
            chance=lambda: 0.5,
            recorded=self.recorded.extend,
        )
        return ChannelWriter("chat", self.limits, flood_limits_of(self.kind, self.flood), self.sender, roles)

    def run(self, until_us: int | None = None) -> ChannelWriter:
        """One process, from its start until nothing waits or the time is over; each message is read at its time."""
        writer = self.writer()
        read_from = next((n for n in range(len(self.log)) if n not in self.store.settled()), len(self.log))
        unread = [(n, one) for n, one in enumerate(self.log) if n >= read_from and n not in self.store.settled()]
        while True:
            while unread and unread[0][1].created_us <= self.clock.now_us:
                writer.offer(at(unread[0][0]), unread[0][1])
                unread = unread[1:]
            due_us = self._step(writer)
            times = [one for one in (due_us, unread[0][1].created_us if unread else None) if one is not None]
            if not times or (until_us is not None and min(times) > until_us):
                return writer
            self.clock.now_us = max(self.clock.now_us, min(times))

    def _step(self, writer: ChannelWriter) -> int | None:
        try:
            return writer.step()
        except Away:
            return self.clock.now_us

    def alarms(self, to: str = "mail") -> list[Notification]:
        return [from_json(value) for key, value in self.outbox.records if key == to.encode()]

    def digests(self) -> list[Notification]:
        return [one for one in self.sender.messages if one.action == "digest"]

    def all_is_settled(self) -> bool:
        return self.store.settled() == set(range(len(self.log)))


def flooded(count: int = 12) -> list[Notification]:
    return [message(n, risk=100 * n, at_us=MINUTE_START_US + n) for n in range(count)]


# -- what arrives


def test_few_messages_go_out_as_they_are_and_every_offset_is_settled() -> None:
    channel = Channel(log=flooded(3))
    channel.run()
    assert [one.notification_id for one in channel.sender.messages] == [one.notification_id for one in channel.log]
    assert channel.all_is_settled()
    assert [one.position for one in channel.recorded] == [at(0), at(1), at(2)]


def test_a_flood_becomes_one_digest_which_settles_what_it_stands_for() -> None:
    channel = Channel(log=flooded())
    channel.run()
    assert [one.action for one in channel.sender.messages] == ["trigger"] * 3 + ["digest"]
    (digest,) = channel.digests()
    assert digest.title_en == "Digest: 9 incidents, 90 alerts"
    assert digest.lines_en[2:] == tuple(
        f"[high] Incident {n:08d}, risk {n}: Read 4,000 customers in one night; usually 30." for n in (11, 10, 9)
    )
    assert {row.notification_id for row in channel.store.rows("skipped", "digest")} == {
        one.notification_id for one in channel.log[3:]
    }
    assert channel.all_is_settled()
    assert sorted(one.position.offset for one in channel.recorded) == [0, 1, 2, 3, *range(3, 12)], "and its own"


def test_what_a_digest_stands_for_is_not_settled_before_it_is_delivered() -> None:
    channel = Channel(log=flooded())
    channel.sender.usual = lambda now_us: (
        LATER if now_us >= MINUTE_START_US + 60 * SECOND_US else Sent("delivered", "ok")
    )
    channel.run(until_us=MINUTE_START_US + 65 * SECOND_US)
    assert channel.store.settled() == {0, 1, 2}
    assert channel.store.rows("skipped") == []


def test_a_digest_that_is_refused_for_good_is_told_elsewhere_and_nothing_of_it_is_left_open() -> None:
    channel = Channel(log=flooded())
    channel.sender.answers = [Sent("delivered", "ok")] * 3 + [NEVER]
    channel.run()
    (alarm,) = channel.alarms()
    assert alarm.title_en == "Undelivered: Digest: 9 incidents, 90 alerts"
    assert any("risk 11" in line for line in alarm.lines_en)
    assert len(channel.store.rows("refused", "bad_request")) == 1 + 9
    assert channel.all_is_settled()


def test_the_test_and_the_alarm_of_an_outage_do_not_go_under_in_a_flood() -> None:
    outage = replace(message(50, action="alarm", at_us=MINUTE_START_US + 20), incident_id="")
    lost = message(51, action="alarm", at_us=MINUTE_START_US + 21)
    channel = Channel(log=[*flooded(), outage, lost, message(52, action="test", at_us=MINUTE_START_US + 22)])
    channel.run()
    assert [one.action for one in channel.sender.messages] == ["trigger"] * 3 + ["alarm", "test", "digest"]


def test_a_pager_hears_every_acknowledge_and_resolve() -> None:
    later = [
        message(n, action=a, at_us=MINUTE_START_US + 30 + n) for a in ("acknowledge", "resolve") for n in range(12)
    ]
    channel = Channel(kind="pagerduty", log=[*flooded(), *sorted(later, key=lambda one: one.created_us)])
    channel.run()
    actions = [one.action for one in channel.sender.messages]
    assert (actions.count("acknowledge"), actions.count("resolve")) == (12, 12)
    assert Channel(log=channel.log).run() is not None


def test_a_message_from_a_clock_that_is_ahead_does_not_hold_the_others_back() -> None:
    ahead = replace(message(0), created_us=MINUTE_START_US + 10 * HOUR_US)
    channel = Channel()
    writer = channel.writer()
    for n, one in enumerate([ahead, *flooded()[1:]]):
        writer.offer(at(n), one)
    while (due_us := writer.step()) is not None:
        assert due_us <= MINUTE_START_US + 62 * SECOND_US
        channel.clock.now_us = due_us
    assert len(channel.digests()) == 1


def test_ten_thousand_alerts_of_a_thousand_incidents_are_few_messages_and_nothing_is_dropped() -> None:
    log = [
        message(n, incident=n % 1000, action="trigger" if n < 1000 else "update", risk=n % 9973,
                at_us=MINUTE_START_US + n * 6000)
        for n in range(10_000)
    ]  # fmt: skip
    channel = Channel(log=log, flood=FloodLimits())
    channel.run()
    singles = [one for one in channel.sender.messages if one.action != "digest"]
    assert len(singles) <= 10
    (digest,) = channel.digests()
    assert digest.title_en.startswith("Digest: 1,000 incidents")
    told = [int(line.split("risk ")[1].split(":")[0]) for line in digest.lines_en[2:]]
    assert (len(told), told[0]) == (10, round(max(one.risk for one in log[9000:]) / 100)), "as each stood at last"
    assert channel.all_is_settled()
    settled = {row.notification_id for row in channel.store.rows("skipped", "digest")}
    assert settled | {one.notification_id for one in singles} == {one.notification_id for one in log}


def test_what_is_read_late_is_told_by_the_minutes_it_belongs_to() -> None:
    log = [message(n, at_us=MINUTE_START_US + n * 3 * SECOND_US) for n in range(60)]
    channel = Channel(log=log)
    channel.clock.now_us = MINUTE_START_US + HOUR_US
    channel.run()
    assert [one.action for one in channel.sender.messages].count("trigger") == 3 * 3
    assert [one.title_en for one in channel.digests()] == ["Digest: 17 incidents, 170 alerts"] * 3


def test_what_is_read_late_in_pieces_is_one_digest_a_minute_all_the_same() -> None:
    channel = Channel()
    channel.clock.now_us += HOUR_US
    writer = channel.writer()
    for n, one in enumerate(flooded(30)):
        writer.offer(at(n), one)
        for _ in range(3):
            writer.step()
        channel.clock.now_us += SECOND_US // 2
    while (due_us := writer.step()) is not None:
        channel.clock.now_us = max(channel.clock.now_us, due_us)
    assert [one.title_en for one in channel.digests()] == ["Digest: 27 incidents, 270 alerts"]


# -- at least once, at most once


@pytest.mark.parametrize("repeated", [flooded(3), flooded()])
def test_what_comes_twice_is_said_once_and_settled_twice(repeated: list[Notification]) -> None:
    channel = Channel(log=[*repeated, *(replace(one, created_us=one.created_us + 20) for one in repeated)])
    channel.run()
    assert set(channel.sender.taken.values()) == {1}
    singles = [one for one in channel.sender.messages if one.action != "digest"]
    assert len(singles) == 3
    assert channel.all_is_settled()


def test_what_comes_again_after_its_row_is_settled_without_being_sent() -> None:
    channel = Channel(log=flooded(3))
    channel.run()
    channel.log += channel.log[:]
    channel.run()
    assert set(channel.sender.taken.values()) == {1}
    assert channel.all_is_settled()


def scenario() -> Channel:
    """Singles, a digest, a refusal, an outage: everything that leaves a trace."""
    channel = Channel(log=[*flooded(9), message(20, at_us=MINUTE_START_US + 70 * SECOND_US)])
    channel.sender.answers = [LATER, Sent("delivered", "ok"), NEVER, LATER, LATER, LATER, LATER]
    return channel


def steps_of_scenario() -> Sequence[str]:
    channel = scenario()
    channel.run()
    assert channel.all_is_settled()
    return channel.danger.steps


STEPS = steps_of_scenario()


def test_the_scenario_passes_every_kind_of_step() -> None:
    assert set(STEPS) == {"send", "sent", "before row", "after row", "before outbox", "after outbox"}


@pytest.mark.parametrize("kill_at", range(len(STEPS)), ids=[f"{n}-{step}" for n, step in enumerate(STEPS)])
def test_killed_at_any_step_everything_arrives_and_nothing_arrives_after_its_row(kill_at: int) -> None:
    channel = scenario()
    channel.danger.kill_at = kill_at
    with pytest.raises(Killed, match=STEPS[kill_at]):
        channel.run()
    so_far = dict(channel.sender.taken)
    with_row = {row.notification_id for row in channel.store.rows("delivered")}
    channel.danger.kill_at = -1
    channel.run()
    assert channel.all_is_settled()
    assert all(channel.sender.taken[one] == so_far[one] for one in with_row), "at most once after its row"
    assert sum(channel.sender.taken.values()) <= len(channel.sender.taken) + 1, "only what was under way comes again"
    told = {one.notification_id for one in channel.sender.messages} | {
        row.notification_id for row in channel.store.rows("skipped", "digest")
    }
    refused = {row.notification_id for row in channel.store.rows("refused")}
    assert told | refused >= {one.notification_id for one in channel.log}, "at least once"
    undelivered = {one.dedup_key for one in channel.alarms() if one.dedup_key.startswith("undelivered:") and one.link}
    assert undelivered >= {f"undelivered:{one}" for one in refused}, "what is refused is told elsewhere"
    outages = [one.notification_id for one in channel.alarms() if not one.incident_id]
    assert 1 <= len(set(outages)) <= 2, "one opening, and one more where the row that opened it was lost"


@pytest.mark.parametrize("away_at", range(len(STEPS)))
def test_a_store_or_broker_that_is_away_makes_nothing_be_sent_again(away_at: int) -> None:
    channel = scenario()
    channel.danger.away_at = frozenset({away_at, away_at + 1})
    channel.run()
    assert set(channel.sender.taken.values()) <= {0, 1}
    assert channel.all_is_settled()


def test_a_digest_whose_row_was_lost_is_the_same_digest_again() -> None:
    channel = Channel(log=flooded())
    channel.danger.kill_at = [n for n, step in enumerate(steps_of(flooded())) if step == "sent"][-1]
    with pytest.raises(Killed):
        channel.run()
    channel.danger.kill_at = -1
    channel.run()
    first, again = channel.digests()
    assert first == again
    assert channel.all_is_settled()


def steps_of(log: list[Notification]) -> list[str]:
    channel = Channel(log=log)
    channel.run()
    return channel.danger.steps


@given(st.lists(st.integers(0, 200), max_size=4), st.integers(0, 40), st.integers(0, 3))
def test_whatever_is_killed_however_often_nothing_is_left_open(kills: list[int], count: int, failures: int) -> None:
    channel = Channel(log=[message(n, at_us=MINUTE_START_US + n * 4 * SECOND_US) for n in range(count)])
    channel.sender.answers = [LATER] * failures
    for kill_at in kills:
        channel.danger.steps.clear()
        channel.danger.kill_at = kill_at
        try:
            channel.run()
        except Killed:
            continue
    channel.danger.kill_at = -1
    channel.run()
    assert channel.all_is_settled()
    told = {one.notification_id for one in channel.sender.messages}
    told |= {row.notification_id for row in channel.store.rows("skipped", "digest")}
    assert told >= {one.notification_id for one in channel.log}
    assert sum(channel.sender.taken.values()) <= len(channel.sender.taken) + len(kills)


@pytest.mark.parametrize("killed_after", range(2, 24, 3))
def test_a_restart_gives_the_minute_no_new_room(killed_after: int) -> None:
    channel = Channel(log=flooded())
    channel.danger.kill_at = killed_after
    try:
        channel.run()
    except Killed:
        channel.danger.kill_at = -1
        channel.run()
    singles = {one.notification_id for one in channel.sender.messages if one.action == "trigger"}
    assert len(singles) == 3


# -- outages


def test_an_hour_of_outage_is_told_once_elsewhere_and_then_everything_arrives_in_order() -> None:
    log = [message(n, at_us=MINUTE_START_US + n * 60 * SECOND_US) for n in range(60)]
    channel = Channel(log=log, limits=Limits(rate_per_minute=20))
    channel.sender.usual = lambda now_us: LATER if now_us < MINUTE_START_US + HOUR_US else Sent("delivered", "ok")
    channel.run()
    (alarm,) = channel.alarms()
    assert alarm.title_en == "Channel chat does not deliver"
    assert [one.notification_id for one in channel.sender.messages] == [one.notification_id for one in log]
    during = [at_us for at_us, _, _ in channel.sender.asked if at_us < MINUTE_START_US + HOUR_US]
    assert len(during) < 20, "a channel that fails is left alone"
    after = [at_us for at_us, _, _ in channel.sender.asked if at_us >= MINUTE_START_US + HOUR_US]
    assert most_in_a_minute(after) <= 20
    assert after[-1] <= MINUTE_START_US + HOUR_US + 20 * 60 * SECOND_US


def test_a_channel_that_is_sent_too_much_rests_as_long_as_it_asks_also_after_a_restart() -> None:
    channel = Channel(log=flooded(3))
    channel.sender.answers = [Sent("retry", "too_many", 429, 60.0)]
    channel.danger.kill_at = 4
    with pytest.raises(Killed):
        channel.run()
    channel.danger.kill_at = -1
    channel.run()
    first, *later = [at_us for at_us, _, _ in channel.sender.asked]
    assert min(later) >= first + 60 * SECOND_US
    assert set(channel.sender.taken.values()) == {1}


def test_an_outage_that_began_before_a_restart_is_the_same_outage() -> None:
    channel = Channel(log=flooded(1))
    channel.sender.usual = lambda now_us: UNAUTHORIZED
    channel.run(until_us=MINUTE_START_US + HOUR_US)
    channel.run(until_us=MINUTE_START_US + 2 * HOUR_US)
    alarms = channel.alarms()
    assert len({one.notification_id for one in alarms}) == 1
    assert "Its settings have to be repaired." in alarms[0].lines_en[0]


def test_a_channel_alone_has_nobody_to_tell_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    channel = Channel(log=flooded(2), others=())
    channel.sender.answers = [NEVER, UNAUTHORIZED]
    channel.run()
    assert channel.outbox.records == []
    assert caplog.text.count("told=nobody") == 2
    assert channel.all_is_settled()


def test_after_the_time_of_giving_up_a_message_is_told_elsewhere() -> None:
    channel = Channel(log=flooded(1), limits=Limits(give_up_s=7200))
    channel.sender.usual = lambda now_us: LATER
    channel.run()
    assert [row.code for row in channel.store.rows("refused")] == ["given_up"]
    undelivered = [one for one in channel.alarms() if one.incident_id]
    assert [one.lines_en[0] for one in undelivered] == ["Channel chat did not take this message. Cause: given_up."]
    assert channel.all_is_settled()


def test_alarms_carry_no_token_in_full() -> None:
    channel = scenario()
    channel.run()
    for _, value in channel.outbox.records:
        document = json.loads(value)
        assert "b" * 24 not in "".join((document["title_en"], *document["lines_en"]))


def test_memory_of_what_is_settled_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.response.delivery._REMEMBERED", 50)
    log = [message(n, action="test", at_us=MINUTE_START_US + n * SECOND_US) for n in range(500)]
    channel = Channel(log=log, limits=Limits(rate_per_minute=6000, window_s=60))
    delivery = channel.run()._delivery
    assert len(delivery._settled_ids) <= 100
    assert len(delivery._state._settled) <= 100
    assert len(delivery._state._said) <= 250
    assert delivery.held == 0
