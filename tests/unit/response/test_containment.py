"""Stopping an account: one call a command, its answer with the incident before its row, nothing after its time."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.channels.http import HttpClient
from pipeline.adapters.channels.webhook import WebhookSender
from pipeline.errors import NotificationRejected
from pipeline.incidents.effects import CallContainment
from pipeline.incidents.records import ContainResult, parse_record
from pipeline.notifications.message import from_json
from pipeline.notifications.outcome import Sent
from pipeline.notifications.pacing import SECOND_US, Circuit, Limits
from pipeline.response.containment import ContainmentCall, call_of, parse_containment
from pipeline.response.containment_writer import AskedContainment, ContainmentWriter
from pipeline.response.delivery import ChannelRoles
from tests.channel_settings import NOTIFICATION, settings_of
from tests.fake_channels import START_US, http_channel
from tests.sending import (  # fmt: skip
    ACCOUNT,
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
)

HOUR_US = 3600 * SECOND_US
LIMITS = Limits(rate_per_minute=6000, failures_to_open=3)
EFFECT = CallContainment(
    contain_id=str(UUID(int=7)),
    tenant_id="default",
    incident_key=f"default:{ACCOUNT}",
    incident_id=str(UUID(int=9)),
    account_token=ACCOUNT,
    reason="reads every customer, tells nobody why",
    expires_us=MINUTE_START_US + HOUR_US,
    by="li.wei",
)
CALL = call_of(EFFECT)


@dataclass
class Hook:
    """The containment channel and a process that may be killed."""

    danger: Danger = field(default_factory=Danger)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.store = FakeDeliveryStore(self.danger)
        self.circuits: dict[str, Circuit] = {}
        self.outbox, self.incidents = FakeOutbox(self.danger), FakeOutbox(self.danger)
        self.sender = FakeSender(self.clock, self.danger)

    def run(self, *calls: ContainmentCall) -> None:
        roles = ChannelRoles(
            store=self.store, outbox=self.outbox, people=("chat",), circuits=self.circuits, clock=self.clock,
            chance=lambda: 0.5,
        )  # fmt: skip
        writer = ContainmentWriter("stop", LIMITS, self.sender, self.incidents, roles)
        for offset, call in enumerate(calls or (CALL,)):
            writer.offer(at(offset), AskedContainment(call, "stop", MINUTE_START_US))
        while (due_us := writer.step()) is not None:
            self.clock.now_us = max(self.clock.now_us, due_us)
        assert writer.held == 0

    def results(self) -> list[ContainResult]:
        found = [parse_record(key, value) for key, value in self.incidents.records]
        return [one for one in found if isinstance(one, ContainResult)]


@pytest.mark.parametrize(
    ("answers", "succeeded", "code"),
    [([], True, "ok"), ([LATER, LATER], True, "ok"), ([NEVER], False, "bad_request")],
)
def test_the_answer_reaches_the_incident_once(answers: list[Sent], succeeded: bool, code: str) -> None:
    hook = Hook()
    hook.sender.answers = answers[:]
    hook.run()
    (result,) = hook.results()
    assert (result.contain_id, result.succeeded, result.code) == (UUID(int=7), succeeded, code)
    assert (result.incident_id, result.by, result.is_by_person) == (EFFECT.incident_id, "system:containment", False)
    assert len(hook.sender.asked) == 1 + answers.count(LATER)


def test_nobody_is_stopped_after_the_time_for_which_it_was_asked() -> None:
    hook = Hook()
    hook.sender.usual = lambda now_us: LATER
    hook.run()
    assert max(at_us for at_us, _, _ in hook.sender.asked) < CALL.expires_us
    (result,) = hook.results()
    assert (result.succeeded, result.code, result.at_us) == (False, "expired", CALL.expires_us)
    late = Hook(clock=Clock(CALL.expires_us))
    late.run()
    assert late.sender.asked == []
    assert [one.code for one in late.results()] == ["expired"]


def test_a_webhook_that_is_out_is_told_on_a_channel_that_people_read() -> None:
    hook = Hook()
    hook.sender.usual = lambda now_us: LATER
    hook.run()
    (record,) = hook.outbox.records
    assert record[0] == b"chat", "nobody is told anything over the webhook itself"
    assert list(hook.circuits) == ["stop"], "status can say that it is open"
    assert from_json(record[1]).title_en == "Channel stop does not deliver"


def test_the_same_call_twice_is_one_call() -> None:
    hook = Hook()
    hook.run(CALL, CALL)
    hook.run(CALL, CALL, CALL)
    assert len(hook.sender.asked) == 1
    assert len(hook.results()) == 1
    assert hook.store.settled() == {0, 1, 2}


def test_killed_at_any_step_the_answer_is_told_and_a_repeated_one_is_the_same_command() -> None:
    whole = Hook()
    whole.run()
    assert whole.danger.steps == ["send", "sent", "before outbox", "after outbox", "before row", "after row"]
    for kill_at in range(len(whole.danger.steps)):
        hook = Hook()
        hook.danger.kill_at = kill_at
        with pytest.raises(Killed):
            hook.run()
        hook.danger.kill_at = -1
        hook.run()
        assert 1 <= len(hook.sender.asked) <= 2
        assert hook.results()
        assert {one.command_id for one in hook.results()} == {whole.results()[0].command_id}
        assert len(hook.store.rows("delivered")) == 1


# -- the record


def test_the_record_is_canonical_and_comes_back() -> None:
    text = CALL.to_json().decode()
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert " " not in text.replace(EFFECT.reason, "")
    assert parse_containment(CALL.to_json()) == CALL
    assert parse_containment(NOTIFICATION.to_json()) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"extra": 1}, {"contain_id": "7"}, {"contain_id": "x" * 36}, {"account_token": "b" * 65}, {"expires_us": -1},
        {"expires_us": "soon"}, {"by": ""}, {"reason": "x" * 2001}, {"reason": ""}, {"incident_id": None},
    ],
)  # fmt: skip
def test_what_is_no_call_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(NotificationRejected):
        parse_containment(json.dumps({**json.loads(CALL.to_json()), **changes}).encode())


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text(), st.lists, max_leaves=5).map(msgspec.json.encode))
def test_anything_else_is_no_call(value: bytes) -> None:
    assert parse_containment(value) is None


@pytest.mark.parametrize(("fault", "outcome", "code"), [
    ("none", "delivered", "ok"), ("content", "refused", "bad_request"), ("server_error", "retry", "server_error"),
    ("too_many", "retry", "too_many"), ("cut", "retry", "cut_off"), ("redirect", "retry", "redirected"),
])  # fmt: skip
def test_the_receiver_gets_the_call_signed(fault: str, outcome: str, code: str, tmp_path: Path) -> None:
    with http_channel("webhook") as fake:
        fake.faults = [fault]
        settings = settings_of("webhook", tmp_path, fake.port)
        sent = WebhookSender(settings, HttpClient(settings)).call(CALL, 2, START_US)
    assert (sent.outcome, sent.code) == (outcome, code)
    assert fake.refusals == [], "its signature, time and id are what the receiver expects"
    (request,) = fake.requests
    assert request.document == json.loads(CALL.to_json())
    assert request.headers["x-accesstrail-attempt"] == "2"
