"""One partition of incident handling over fakes: one row a position, nothing lost and nothing doubled by any crash."""

from __future__ import annotations

from collections import Counter
from itertools import count

import pytest
from msgspec.structs import replace

from pipeline.errors import Away, Fenced, StoreRefused
from pipeline.incidents.changes import fold_log
from pipeline.incidents.escalate import Escalation, Layer, Plan
from pipeline.incidents.model import EMPTY
from pipeline.incidents.records import ContainResult, encode_command, parse_record
from pipeline.incidents.rules import Rules
from pipeline.response.containment import NO_WEBHOOK, parse_containment
from pipeline.response.handling import Asking
from tests.incident_logs import ACTOR, DAY_US, KEY, OTHER_KEY, SECOND_US, alert, command
from tests.response import MemoryIncidents
from tests.response_fakes import Broker, Crash, Handler, holds_together, rows_of

PLAN = Plan(
    channels=("chat", "pager"), acknowledge_within_s=600, layers=(Layer(name="lead", channels=("lead",)),),
    repeat_every_s=3600,
)  # fmt: skip
RULES = Rules(escalation=Escalation(plans=dict.fromkeys(("low", "medium", "high", "critical"), PLAN)))


def handler_of(*records: object, store: MemoryIncidents | None = None, **more: object) -> Handler:
    broker = Broker()
    broker.put(*records)  # type: ignore[arg-type]
    return Handler(broker, store or MemoryIncidents(), RULES, **more)  # type: ignore[arg-type]


def merge(handler: Handler) -> None:
    """Asks that the incident of OTHER_KEY is absorbed by that of KEY."""
    parent, child = (handler.states[key].current for key in (KEY, OTHER_KEY))
    assert parent is not None
    assert child is not None
    handler.broker.put(
        command(
            "absorb",
            incident_id=parent.incident_id,
            child_key=OTHER_KEY,
            child_incident_id=child.incident_id,
            command_id="merge",
        )
    )


def history() -> tuple[object, ...]:
    """Alerts and commands of two keys, an alert that comes twice, and records that nobody can read."""
    return (
        alert(1), alert(2, incident_key=OTHER_KEY, detector="drip", severity="high"), alert(1),
        command("acknowledge", "ack"), alert(3, severity="critical", risk=90.0), command("comment", "words"),
        command("acknowledge", "ack"), command("resolve", "end", verdict="benign"), command("reopen", "again"),
        alert(4, incident_key=OTHER_KEY, detector="drip", risk=80.0),
        command("contain", "stop", expires_us=9_000_000_000_000_000), command("suspect_breach", "b", known_at_us=1),
    )  # fmt: skip


def test_every_record_leaves_one_row_also_where_nothing_changes() -> None:
    handler = handler_of(*history())
    for key, value in ((b"", b"{}"), (b"acme:x", None), (b"acme:x", b"{"), (None, b"x"), (b"\xff", b"{}")):
        handler.broker.write(key, value)
    handler.run()
    assert sorted(one.offset for one in rows_of(handler.store)) == list(range(len(handler.broker.records)))
    holds_together(handler)
    assert Counter(one.kind for one in rows_of(handler.store).values())["unreadable"] == 5


def test_what_nobody_could_read_takes_no_memory() -> None:
    handler = handler_of()
    for number in range(100):
        handler.broker.write(f"acme:{number}".encode(), b"no record")
    handler.run()
    assert len(rows_of(handler.store)) == 100
    assert not handler.states


def test_a_replay_of_the_alert_topic_changes_nothing() -> None:
    """Every alert is sent a second time: rows are added, states and messages are not."""
    handler = handler_of(*history())
    handler.run()
    before = {key: (state.incidents, state.alerts) for key, state in handler.states.items()}
    told = set(handler.broker.told())
    for one in list(handler.broker.records):
        if b'"type":"alert"' in (one.value or b""):
            handler.broker.write(one.key, one.value)
    handler.run()
    assert {key: (state.incidents, state.alerts) for key, state in handler.states.items()} == before
    assert set(handler.broker.told()) == told
    holds_together(handler)


def summary(handler: Handler) -> dict[str, list[tuple[object, ...]]]:
    """What people see of the incidents, whenever it was."""
    return {
        key: [
            (one.state, one.severity, one.risk, one.all_alerts, one.verdict, one.acknowledged_by, one.comments,
             one.reopened, sorted(one.detectors), [child.incident_key for child in one.children.values()],
             one.merged.incident_key if one.merged else "")
            for one in state.incidents
        ]
        for key, state in handler.states.items()
    }  # fmt: skip


@pytest.mark.parametrize("step", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_crash_behind_any_step_leaves_what_no_crash_would(step: int, nth: int) -> None:
    calm = handler_of(*history())
    calm.run()
    seen = count(1)

    def crash(done: int) -> None:
        if done == step and next(seen) == nth:
            raise Crash

    handler = handler_of(*history(), most=3)
    handler.after_step = crash
    for _ in range(3):
        try:
            handler.begin()
            handler.run()
        except Crash:
            continue
        break
    holds_together(handler)
    assert summary(handler) == summary(calm)


@pytest.mark.parametrize("nth", range(1, 8))
def test_a_crash_between_any_two_records_that_are_written_leaves_what_no_crash_would(nth: int) -> None:
    """Also between the two commands of a merge: the parent's word to the child, the child's to the parent."""
    calm, sent = handler_of(alert(1), alert(2, incident_key=OTHER_KEY)), count(1)
    calm.run()
    merge(calm)
    calm.run()

    def crash() -> None:
        if next(sent) == nth:
            raise Crash

    handler = handler_of(alert(1), alert(2, incident_key=OTHER_KEY))
    handler.run()
    merge(handler)
    handler.broker.before_send = crash
    for _ in range(2):
        try:
            handler.run()
        except Crash:
            handler.begin()
    holds_together(handler)
    assert summary(handler) == summary(calm)
    child = handler.states[OTHER_KEY].latest
    parent = handler.states[KEY].latest
    assert child is not None
    assert parent is not None
    assert child.merged_into == parent.incident_id


def test_of_two_workers_the_fenced_one_keeps_nothing_and_loses_nothing() -> None:
    first = handler_of(*history(), most=5)
    second = Handler(first.broker, first.store, RULES, writer="b", most=3)
    first.step()
    with pytest.raises(Fenced):
        second.step()
    assert second.states == {}
    second.partition._forget()
    second.resume()
    assert second.states == first.states
    second.run()
    with pytest.raises(Fenced):
        first.step()
    first.begin()
    first.run()
    holds_together(first)
    assert first.states == second.states


def test_a_store_that_does_not_answer_leaves_memory_as_it_was() -> None:
    handler = handler_of(*history())
    handler.store.faults["append"] = [StoreRefused("no right")]
    with pytest.raises(StoreRefused):
        handler.step()
    assert handler.states == {}
    assert not rows_of(handler.store)
    handler.run()
    holds_together(handler)


def test_ten_thousand_alerts_of_one_key_are_one_incident_and_few_messages() -> None:
    handler = handler_of(most=2000)
    handler.broker.put(*(alert(number) for number in range(10_000)), step_us=6000)
    handler.run()
    state = handler.states[KEY]
    assert [one.alerts for one in state.incidents] == [10_000]
    assert len(rows_of(handler.store)) == 10_000
    assert len(handler.broker.messages) <= 2 * (1 + RULES.escalation.most_updates)


# -- lives of the log


def test_a_topic_made_anew_is_read_from_its_beginning_and_states_are_kept() -> None:
    handler = handler_of(alert(1), alert(2))
    handler.run()
    handler.broker.records.clear()
    handler.broker.topic_id = "inc-2"
    handler.broker.put(alert(2), alert(3))
    handler.begin()
    assert handler.next_offset == 0
    handler.run()
    incident = handler.states[KEY].latest
    assert incident is not None
    assert incident.alerts == 3
    assert len(rows_of(handler.store)) == 4


def test_a_log_that_lost_its_end_is_another_life() -> None:
    handler = handler_of(alert(1), alert(2), alert(3))
    handler.run()
    del handler.broker.records[1:]
    handler.begin()
    assert (handler.partition.status.incarnation, handler.next_offset) == ("inc-1+1", 0)


def test_what_kafka_deleted_before_it_was_read_is_counted() -> None:
    handler = handler_of(alert(1), alert(2), alert(3), alert(4))
    handler.most = 1
    handler.step()
    handler.broker.first_offset = 3
    handler.begin()
    assert (handler.next_offset, handler.partition.status.gaps) == (3, 2)


def test_a_row_that_is_not_ours_stops_the_partition() -> None:
    handler = handler_of(alert(1))
    handler.run()
    ((at, row),) = rows_of(handler.store).items()
    place = (at.topic, at.incarnation, at.partition, at.offset)
    handler.store.log[place] = (replace(row, changes="[1]"), "a")
    with pytest.raises(StoreRefused, match="cannot be read"):
        handler.begin()


# -- ticks


def due_us(handler: Handler) -> int:
    return handler.partition._due_us()


def test_a_tick_is_sent_when_it_is_due_and_escalates_once() -> None:
    handler = handler_of(alert(1))
    handler.run()
    assert due_us(handler) == handler.broker.at_us + 600 * SECOND_US
    handler.tick()
    assert len(handler.broker.records) == 1
    handler.broker.at_us = due_us(handler)
    handler.tick()
    handler.tick()
    assert [one.name for one in rows_of(handler.store).values()] == ["isolation_forest", "tick"]
    assert {name for name, _ in handler.broker.messages} == {"chat", "pager", "lead"}
    holds_together(handler)


def test_due_times_are_known_again_after_a_restart() -> None:
    handler = handler_of(alert(1))
    handler.run()
    before = due_us(handler)
    handler.begin()
    assert due_us(handler) == before
    handler.broker.at_us = before + DAY_US
    handler.tick()
    assert {name for name, _ in handler.broker.messages} == {"chat", "pager", "lead"}
    holds_together(handler)


def test_a_tick_that_the_broker_says_is_early_is_sent_again_later_and_later() -> None:
    """The broker's clock stands still behind ours: the command does nothing, and is not sent every second for ever."""
    handler = handler_of(alert(1))
    handler.run()
    ours = due_us(handler)
    for _ in range(600):
        handler.partition._wake(ours)
        handler.run()
        ours += SECOND_US
    ticks = [one for one in rows_of(handler.store).values() if one.name == "tick"]
    assert 8 <= len(ticks) <= 20
    assert {one.transition for one in ticks} == {"no_change"}
    handler.broker.at_us = ours + 60 * SECOND_US
    handler.partition._wake(handler.broker.at_us)
    handler.run()
    assert "lead" in {name for name, _ in handler.broker.messages}


def test_a_tick_that_was_not_acknowledged_is_sent_again_under_the_same_id() -> None:
    handler = handler_of(alert(1))
    handler.run()
    handler.broker.at_us = due_us(handler)

    def away() -> None:
        handler.broker.before_send = lambda: None
        raise Away("the broker does not answer")

    handler.broker.before_send = away
    with pytest.raises(Away):
        handler.partition._wake(handler.broker.at_us)
    again = Handler(handler.broker, handler.store, RULES)
    again.partition._wake(handler.broker.at_us)
    handler.partition._wake(handler.broker.at_us)
    ids = [parse_record(one.key, one.value).command_id for one in handler.broker.records[1:]]  # type: ignore[union-attr]
    assert len(ids) == 2
    assert len(set(ids)) == 1
    handler.run()
    assert [one.transition for one in rows_of(handler.store).values()][1:] == ["ticked", "no_change"]


# -- messages, containment, frozen evidence


def test_each_channel_gets_a_message_of_its_own_with_its_link() -> None:
    asking = Asking(lambda incident_id, channel, at_us: f"https://a.example/{incident_id}/{channel}")
    handler = handler_of(alert(1), asking=asking)
    handler.run()
    incident = handler.states[KEY].latest
    assert incident is not None
    found = {one.channel: one for one in handler.broker.told().values()}
    assert sorted(found) == ["chat", "pager"]
    assert found["chat"].link == f"https://a.example/{incident.incident_id}/chat"
    assert {one.dedup_key for one in found.values()} == {incident.incident_id}
    assert [key for key, _ in handler.broker.messages] == ["chat", "pager"]


def test_a_link_that_no_message_can_hold_is_left_out_and_somebody_is_told() -> None:
    handler = handler_of(alert(1), asking=Asking(lambda incident_id, channel, at_us: "https://a.example/" + "x" * 600))
    handler.run()
    assert [one.link for one in handler.broker.told().values()] == ["", ""]


def test_without_a_webhook_containment_fails_and_says_so() -> None:
    handler = handler_of(alert(1), command("contain", "stop", expires_us=9_000_000_000_000_000))
    handler.run()
    incident = handler.states[KEY].latest
    assert incident is not None
    (answered,) = incident.containments.values()
    assert (answered.status, answered.code) == ("failed", NO_WEBHOOK)
    holds_together(handler)


def test_containment_is_a_record_under_the_key_of_its_channel() -> None:
    handler = handler_of(
        alert(1), command("contain", "stop", expires_us=9_000_000_000_000_000),
        asking=Asking(lambda incident_id, channel, at_us: "", containment="stopper"),
    )  # fmt: skip
    handler.run()
    (call,) = (parse_containment(value) for name, value in handler.broker.messages if name == "stopper")
    assert call is not None
    assert (call.account_token, call.reason) == (ACTOR, "because")
    one, same = (call.result(succeeded=True, code="", at_us=at_us) for at_us in (1, 2))
    assert one.command_id == same.command_id
    assert isinstance(parse_record(one.incident_key.encode(), encode_command(one)), ContainResult)


def test_frozen_evidence_is_kept_with_the_row_that_asks_for_it() -> None:
    handler = handler_of(*history())
    handler.run()
    assert [one.incident.incident_key for one in handler.store.holds.values()] == [KEY]


def test_states_are_the_fold_of_the_rows_alone() -> None:
    handler = handler_of(*history())
    handler.run()
    for key, state in handler.states.items():
        rows = [one for one in rows_of(handler.store).values() if one.incident_key == key]
        assert fold_log(rows) == state != EMPTY
