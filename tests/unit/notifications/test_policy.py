"""What is sent next and what is not: nothing lost, nothing twice, whatever fails and wherever the writer is killed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.notifications.message import Notification
from pipeline.notifications.outcome import Sent
from pipeline.notifications.pacing import SECOND_US, Circuit, Limits
from pipeline.notifications.policy import (
    Deliveries,
    DeliveryRow,
    Send,
    Settle,
    Wait,
    is_undelivered,
    next_step,
    opened_by,
    other_channel,
    row_of,
)
from tests.channel_settings import NOTIFICATION, numbered
from tests.fake_channels import START_US

LIMITS = Limits(rate_per_minute=6000, failures_to_open=3)
OK, LATER, NEVER = Sent("delivered", "ok", 200), Sent("retry", "timeout"), Sent("refused", "bad_request", 400)
WRONG, TOO_MANY = Sent("retry", "unauthorized", 401), Sent("retry", "too_many", 429, 60.0)


@dataclass
class Channel:
    """One that gives these answers, then takes everything; and the writer that speaks to it, by its rows."""

    answers: list[Sent] = field(default_factory=list)
    limits: Limits = LIMITS
    rows: list[DeliveryRow] = field(default_factory=list)
    asked: list[tuple[int, Notification]] = field(default_factory=list)
    taken: list[Notification] = field(default_factory=list)
    now_us: int = START_US

    def deliveries(self) -> Deliveries:
        found = Deliveries(self.limits)
        for row in self.rows:
            found.take(row)
        return found

    def run(self, waiting: Sequence[Notification], killed_at: int | None = None) -> None:
        """`killed_at`: that attempt is made and its row is never written."""
        deliveries, attempts = self.deliveries(), 0
        while not isinstance(step := next_step(waiting, deliveries, self.now_us), Wait) or step.until_us is not None:
            if isinstance(step, Wait):
                assert step.until_us is not None
                assert step.until_us > self.now_us, "a wait ends later than now"
                self.now_us = step.until_us
                continue
            row = step.row if isinstance(step, Settle) else self._attempt(step)
            if isinstance(step, Send):
                attempts += 1
                if killed_at == attempts:
                    return
            self.rows.append(row)
            deliveries.take(row)

    def _attempt(self, step: Send[Notification]) -> DeliveryRow:
        sent = self.answers.pop(0) if self.answers else OK
        self.asked.append((self.now_us, step.notification))
        if sent.outcome == "delivered":
            self.taken.append(step.notification)
        return row_of(step, sent, self.now_us, self.limits, chance=0.5)


ANSWERS = st.lists(st.sampled_from([OK, LATER, NEVER, WRONG, TOO_MANY]), max_size=25)
WAITING = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["trigger", "update", "acknowledge", "resolve"])), max_size=12
).map(lambda pairs: [numbered(index, action, key=f"key {key}") for index, (key, action) in enumerate(pairs)])


@given(WAITING, ANSWERS, st.lists(st.integers(1, 6), max_size=4))
def test_everything_is_settled_once_through_failures_and_kills(
    waiting: list[Notification], answers: list[Sent], kills: list[int]
) -> None:
    one = Channel(answers)
    for killed_at in kills:
        one.run(waiting, killed_at)
    one.run(waiting)
    settled = [row.notification_id for row in one.rows if row.outcome != "retry"]
    assert sorted(settled) == sorted(notification.notification_id for notification in waiting)
    assert len(one.taken) <= len(waiting) + len(kills), "only a kill before the row repeats a message"
    assert [step for step in [next_step(waiting, one.deliveries(), one.now_us)] if step != Wait(None)] == []


@given(WAITING, ANSWERS)
def test_a_key_keeps_its_order_and_says_nothing_twice_in_a_row(
    waiting: list[Notification], answers: list[Sent]
) -> None:
    one = Channel(answers)
    one.run(waiting)
    for key in {notification.dedup_key for notification in waiting}:
        taken = [notification for notification in one.taken if notification.dedup_key == key]
        assert taken == sorted(taken, key=lambda notification: notification.created_us)
        assert all(before.action != after.action for before, after in pairwise(taken))


@given(WAITING, ANSWERS, st.integers(0, 40))
def test_a_restart_anywhere_changes_nothing(waiting: list[Notification], answers: list[Sent], at: int) -> None:
    whole, parts = Channel(list(answers)), Channel(list(answers))
    whole.run(waiting)
    parts.rows = whole.rows[:at]
    parts.answers = list(answers)[sum(1 for row in parts.rows if row.attempt) :]
    parts.now_us = parts.rows[-1].at_us if parts.rows else START_US
    parts.run(waiting)
    assert parts.rows == whole.rows


def test_a_row_that_comes_twice_counts_once() -> None:
    one = Channel([LATER])
    one.run([NOTIFICATION])
    twice = Deliveries(LIMITS)
    for row in [one.rows[0], one.rows[1], one.rows[1]]:
        twice.take(row)
    assert twice.is_settled(NOTIFICATION)
    assert twice.circuit == one.deliveries().circuit
    assert twice.bucket == one.deliveries().bucket


def test_a_message_waits_as_long_as_its_row_says_and_others_do_not() -> None:
    first, second = numbered(1), numbered(2)
    one = Channel([LATER])
    one.run([first, second])
    assert [notification for _, notification in one.asked] == [first, second, first]
    assert one.asked[2][0] == one.rows[0].not_before_us


def test_a_channel_that_is_sent_too_much_rests_as_a_whole() -> None:
    one = Channel([TOO_MANY])
    one.run([numbered(1), numbered(2)])
    assert one.asked[1][0] >= START_US + 60 * SECOND_US
    assert len(one.taken) == 2


def test_an_open_circuit_stops_everything_until_a_trial_succeeds() -> None:
    one = Channel([LATER] * 4)
    one.run([numbered(number) for number in range(6)])
    assert [row.outcome for row in one.rows[:5]] == ["retry"] * 4 + ["delivered"]
    assert one.asked[3][0] - one.asked[2][0] >= 30 * SECOND_US, "open"
    assert one.asked[4][0] - one.asked[3][0] >= 60 * SECOND_US, "half-open, failed, open twice as long"
    assert len(one.taken) == 6


def test_a_channel_set_up_wrongly_is_asked_once_and_loses_nothing() -> None:
    one = Channel([WRONG])
    one.run([numbered(1), numbered(2)])
    assert one.asked[1][0] - one.asked[0][0] >= 30 * SECOND_US
    assert len(one.taken) == 2


def test_the_same_key_and_action_within_the_window_is_said_once() -> None:
    within = numbered(2, key="one", at_us=START_US + 299 * SECOND_US)
    after = numbered(3, key="one", at_us=START_US + 300 * SECOND_US)
    one = Channel()
    one.run([numbered(1, key="one", at_us=START_US), within, after])
    assert [row.outcome for row in one.rows] == ["delivered", "skipped", "delivered"]
    assert one.rows[1].code == "duplicate"
    assert one.rows[1].attempt == 0


def test_what_was_refused_or_never_confirmed_does_not_silence_the_next() -> None:
    one = Channel([NEVER])
    one.run([numbered(1, key="one"), numbered(2, key="one")])
    assert [row.outcome for row in one.rows] == ["refused", "delivered"]


def test_what_was_resolved_can_be_triggered_again_within_the_window() -> None:
    actions = ["trigger", "resolve", "trigger", "resolve", "resolve"]
    one = Channel()
    one.run([numbered(index, action, key="one") for index, action in enumerate(actions)])
    assert [notification.action for notification in one.taken] == actions[:4]


def test_a_message_is_given_up_after_its_time_and_told_elsewhere() -> None:
    limits = replace(LIMITS, give_up_s=3600.0)
    one = Channel([LATER] * 500, limits)
    one.run([NOTIFICATION])
    last = one.rows[-1]
    assert (last.outcome, last.code, last.attempt) == ("refused", "given_up", 0)
    assert is_undelivered(last)
    assert last.at_us - START_US >= 3600 * SECOND_US


def test_a_message_that_was_never_tried_is_not_given_up() -> None:
    """The system itself was away for a week: what waits is sent, late."""
    one = Channel(now_us=START_US + 7 * 86_400 * SECOND_US)
    one.run([NOTIFICATION])
    assert one.taken == [NOTIFICATION]


def test_only_what_will_never_arrive_is_told_and_no_alarm_about_an_alarm() -> None:
    def row(sent: Sent, action: str = "trigger") -> DeliveryRow:
        return row_of(Send(replace(NOTIFICATION, action=action), 1), sent, START_US, LIMITS, 0.5)

    assert [is_undelivered(row(sent)) for sent in (OK, LATER, WRONG, NEVER)] == [False, False, False, True]
    assert not is_undelivered(row(NEVER, "alarm"))


def test_an_outage_opens_once() -> None:
    one = Channel([LATER] * 6 + [OK] + [LATER] * 3)
    one.run([numbered(number) for number in range(8)])
    deliveries, openings = Deliveries(LIMITS), 0
    for row in one.rows:
        before = deliveries.circuit
        deliveries.take(row)
        openings += opened_by(before, deliveries.circuit)
    assert openings == 2


@pytest.mark.parametrize(
    ("open_ones", "expected"), [((), "mail"), (("mail",), "pager"), (("mail", "pager"), "mail"), (("chat",), "mail")]
)
def test_an_alarm_goes_to_the_first_other_channel_that_works(open_ones: tuple[str, ...], expected: str) -> None:
    opened = Circuit(failures=5, opened_us=1, until_us=2)
    people = ("chat", "mail", "pager")
    circuits = {"stop": Circuit(), **{name: opened if name in open_ones else Circuit() for name in people}}
    assert other_channel("chat", people, circuits, START_US) == expected
    assert other_channel("chat", people, dict.fromkeys(open_ones, opened), START_US) == expected


def test_a_single_channel_has_nobody_to_tell() -> None:
    assert other_channel("chat", ("chat",), {"chat": Circuit()}, START_US) is None


def test_what_cannot_come_back_is_forgotten_and_the_rest_is_not() -> None:
    first, second = numbered(1), numbered(2)
    one = Channel()
    one.run([first, second])
    deliveries = one.deliveries()
    deliveries.forget([first.notification_id], said_before_us=second.created_us)
    assert [deliveries.is_settled(each) for each in (first, second)] == [False, True]
    assert [deliveries.said_before(each) for each in (first, second)] == [False, True]
