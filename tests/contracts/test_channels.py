"""Every kind of channel against every fault: what its sender makes of it, and what of it arrives, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pipeline.adapters.channels.registry import KINDS as REGISTERED
from pipeline.adapters.channels.registry import sender_of
from pipeline.notifications.config import KINDS as CONFIGURED
from pipeline.notifications.message import Notification
from pipeline.notifications.outcome import Sender, Sent
from pipeline.notifications.pacing import SECOND_US, Limits
from pipeline.notifications.policy import Deliveries, DeliveryRow, Send, Settle, next_step, row_of
from tests.channel_settings import (
    KINDS,
    NOTIFICATION,
    certificates,
    numbered,
    secret_file,
    sent_text,
    settings_of,
    tls_settings_of,
    to_this_machine,
)
from tests.fake_channels import FAULTS, START_US, FakeChannel, channel

VENDORS = ("dingtalk", "feishu", "wecom")
"""They answer 200 and say in the body what became of it."""
WEBHOOK_PROMISES = ("none", "cut_in_body", "huge", "wrong", "nested")
"""A receiver's status alone is its promise."""
EXPECTED = {
    "none": ("delivered", "ok"),
    "slow": ("retry", "timeout"),
    "wrong": ("retry", "unknown_answer"),
    "nested": ("retry", "unknown_answer"),
    "too_many": ("retry", "too_many"),
    "server_error": ("retry", "server_error"),
    "cut": ("retry", "cut_off"),
    "cut_in_body": ("retry", "cut_off"),
    "redirect": ("retry", "redirected"),
    "huge": ("retry", "answer_too_large"),
    "drip": ("retry", "timeout"),
    "content": ("refused", "bad_request"),
    "unauthorized": ("retry", "unauthorized"),
}
OF_MAIL: dict[str, tuple[str, str | None]] = {
    "wrong": ("retry", "server_error"),
    "too_many": ("retry", "server_error"),
    "content": ("refused", "content_refused"),
    "huge": ("retry", None),
    "cut_in_body": ("retry", "server_error"),
}
NOT_OF_MAIL = ("nested", "redirect", "unauthorized")


def expected(kind: str, fault: str) -> tuple[str, str | None]:
    if kind == "webhook" and fault in WEBHOOK_PROMISES:
        return "delivered", "ok"
    if kind == "smtp" and fault in OF_MAIL:
        return OF_MAIL[fault]
    if kind == "dingtalk" and fault == "content":
        return "refused", "content_refused"
    return EXPECTED[fault]


def cases() -> list[tuple[str, str]]:
    return [(kind, fault) for kind in KINDS for fault in FAULTS if kind != "smtp" or fault not in NOT_OF_MAIL]


def test_every_kind_has_settings_a_sender_and_a_fake() -> None:
    assert set(KINDS) == set(REGISTERED) == set(CONFIGURED)


@pytest.mark.parametrize(("kind", "fault"), cases())
def test_what_a_sender_makes_of_a_fault(kind: str, fault: str, tmp_path: Path) -> None:
    with channel(kind) as fake:
        fake.faults = [fault]
        timeout_s = 0.4 if fault in ("slow", "drip") else 10
        sender = sender_of(settings_of(kind, tmp_path, fake.port, timeout_s=timeout_s))
        sent = sender.send(NOTIFICATION, 1, START_US)
    outcome, code = expected(kind, fault)
    assert (sent.outcome, sent.code if code else None) == (outcome, code)
    assert fake.refusals == []
    assert len(fake.requests) <= 1, "no redirect is followed"


@pytest.mark.parametrize("kind", KINDS)
def test_a_channel_without_anybody_is_no_connection(kind: str, tmp_path: Path) -> None:
    with channel(kind) as fake:
        port = fake.port
    assert sender_of(settings_of(kind, tmp_path, port)).send(NOTIFICATION, 1, START_US) == Sent(
        "retry", "no_connection"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_arrives_with_its_words_and_its_link(kind: str, tmp_path: Path) -> None:
    with channel(kind) as fake:
        assert sender_of(settings_of(kind, tmp_path, fake.port)).send(NOTIFICATION, 1, START_US).outcome == "delivered"
    text = sent_text(kind, fake)
    assert "7d1f5b0e" in text
    assert "一夜读取 4,000 名客户，平时为 30 名。" in text
    assert "Read 4,000 customers in one night; usually 30." in text
    sent = text if kind == "smtp" else fake.requests[0].body.decode()
    assert "https://accesstrail.company.test/incidents/7d1f5b0e" in sent


@pytest.mark.parametrize(("language", "yes", "no"), [("zh", "平时为", "usually"), ("en", "usually", "平时为")])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "webhook"])
def test_a_channel_speaks_its_language_alone(kind: str, language: str, yes: str, no: str, tmp_path: Path) -> None:
    with channel(kind) as fake:
        sender_of(settings_of(kind, tmp_path, fake.port, language=language)).send(NOTIFICATION, 1, START_US)
    assert yes in sent_text(kind, fake)
    assert no not in sent_text(kind, fake)


@pytest.mark.parametrize("kind", ["webhook", "dingtalk", "feishu"])
def test_an_old_time_stamp_and_a_wrong_secret_are_refused_there_and_told_here(kind: str, tmp_path: Path) -> None:
    with channel(kind) as fake:
        settings = settings_of(kind, tmp_path, fake.port)
        stale = sender_of(settings).send(NOTIFICATION, 1, START_US - 3_700 * SECOND_US)
        other = secret_file(tmp_path, "other", "another secret")
        wrong = sender_of(settings_of(kind, tmp_path, fake.port, secret_file=other)).send(NOTIFICATION, 1, START_US)
    assert stale.code == wrong.code == "unauthorized"
    assert stale.is_channels_fault
    assert fake.refusals == ["stale", "signature"]
    assert fake.taken == []


@pytest.mark.parametrize("kind", ["dingtalk", "feishu", "wecom", "slack", "pagerduty"])
def test_a_wrong_token_is_the_channels_fault_and_loses_no_message(kind: str, tmp_path: Path) -> None:
    with channel(kind) as fake:
        other = secret_file(tmp_path, "other", "another-token")
        sent = sender_of(settings_of(kind, tmp_path, fake.port, token_file=other)).send(NOTIFICATION, 1, START_US)
    assert sent.is_channels_fault
    assert fake.refusals == ["token"]
    assert fake.taken == []


@pytest.mark.parametrize("kind", ["webhook", "slack", "pagerduty"])
def test_how_long_a_channel_asks_to_wait_is_told(kind: str, tmp_path: Path) -> None:
    with channel(kind) as fake:
        fake.faults = ["too_many"]
        sent = sender_of(settings_of(kind, tmp_path, fake.port)).send(NOTIFICATION, 1, START_US)
    assert (sent.http_status, sent.retry_after_s) == (429, 37.0)


# -- at least once, at most once: the policy drives the sender, by a clock of the test


@dataclass
class Writer:
    """What the delivering process does, with its rows as its only memory."""

    sender: Sender
    fake: FakeChannel
    limits: Limits
    rows: list[DeliveryRow] = field(default_factory=list)
    now_us: int = START_US

    def deliver(self, waiting: Sequence[Notification], steps: int = 200, lose_row_of: int = -1) -> None:
        """Until nothing waits, or so many steps. `lose_row_of`: killed after that attempt, before its row."""
        deliveries = Deliveries(self.limits)
        for row in self.rows:
            deliveries.take(row)
        attempts = 0
        for _ in range(steps):
            step = next_step(waiting, deliveries, self.now_us)
            if isinstance(step, Send):
                self.fake.now_us = self.now_us
                sent = self.sender.send(step.notification, step.attempt, self.now_us)
                if attempts == lose_row_of:
                    return
                attempts += 1
                row = row_of(step, sent, self.now_us, self.limits, chance=0.5)
            elif isinstance(step, Settle):
                row = step.row
            elif step.until_us is None:
                return
            else:
                self.now_us = step.until_us
                continue
            self.rows.append(row)
            deliveries.take(row)
        raise AssertionError("it never ends")


def writer(kind: str, fake: FakeChannel, folder: Path) -> Writer:
    settings = settings_of(kind, folder, fake.port, timeout_s=0.4)
    return Writer(sender_of(settings), fake, settings.limits)


@pytest.mark.parametrize(("kind", "fault"), [case for case in cases() if expected(*case)[0] != "refused"])
def test_a_message_arrives_through_every_fault_and_is_confirmed_once(kind: str, fault: str, tmp_path: Path) -> None:
    with channel(kind) as fake:
        fake.faults = [fault, fault]
        delivering = writer(kind, fake, tmp_path)
        delivering.deliver([NOTIFICATION])
        assert len(fake.taken) >= 1, "at least once"
        so_far = len(fake.taken)
        delivering.deliver([NOTIFICATION])
        again = replace(NOTIFICATION, notification_id="another-id", created_us=START_US + 299 * SECOND_US)
        delivering.deliver([NOTIFICATION, again])
    assert len(fake.taken) == so_far, "nothing is sent after its confirmation"
    assert [row.outcome for row in delivering.rows].count("delivered") == 1
    assert delivering.rows[-1].outcome == "skipped"
    assert len(set(fake.taken)) == 1, "what is repeated is the same message"


@pytest.mark.parametrize("kind", KINDS)
def test_after_the_window_the_same_is_said_again(kind: str, tmp_path: Path) -> None:
    later = replace(NOTIFICATION, notification_id="another-id", created_us=START_US + 300 * SECOND_US)
    with channel(kind) as fake:
        writer(kind, fake, tmp_path).deliver([NOTIFICATION, later])
    assert len(fake.taken) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_killed_before_the_row_it_is_sent_again_and_killed_after_it_is_not(kind: str, tmp_path: Path) -> None:
    waiting = [numbered(number) for number in range(3)]
    with channel(kind) as fake:
        delivering = writer(kind, fake, tmp_path)
        delivering.deliver(waiting, lose_row_of=1)
        assert len(fake.taken) == 2
        delivering.deliver(waiting)
        delivering.deliver(waiting)
    assert len(fake.taken) == 4
    assert len(set(fake.taken)) == 3
    assert fake.taken[1] == fake.taken[2], "the one whose row was lost, unchanged"


@pytest.mark.parametrize("kind", KINDS)
def test_no_resolve_overtakes_its_trigger(kind: str, tmp_path: Path) -> None:
    actions = ("trigger", "acknowledge", "resolve")
    waiting = [numbered(number, action, key="one") for number, action in enumerate(actions)]
    with channel(kind) as fake:
        fake.faults = ["server_error", "server_error", "none", "server_error"]
        delivering = writer(kind, fake, tmp_path)
        delivering.deliver([*waiting, numbered(9)])
    delivered = [row.action for row in delivering.rows if row.outcome == "delivered" and row.dedup_key == "one"]
    assert delivered == list(actions)
    assert len(fake.taken) == 4


@pytest.mark.parametrize("kind", ["dingtalk", "wecom"])
def test_never_more_than_twenty_a_minute_where_the_vendor_counts(kind: str, tmp_path: Path) -> None:
    with channel(kind) as fake:
        delivering = writer(kind, fake, tmp_path)
        delivering.deliver([numbered(number) for number in range(70)], steps=500)
    times = [row.at_us for row in delivering.rows if row.attempt]
    assert len(fake.taken) == 70
    assert max(sum(at <= other < at + 60 * SECOND_US for other in times) for at in times) <= 20
    assert times[-1] - times[0] <= 5 * 60 * SECOND_US, "and not much less"


# -- PagerDuty's three actions, mail's thread


@pytest.mark.parametrize(
    ("action", "theirs"),
    [("trigger", "trigger"), ("update", "trigger"), ("digest", "trigger"), ("alarm", "trigger"), ("test", "trigger"),
     ("acknowledge", "acknowledge"), ("resolve", "resolve")],
)  # fmt: skip
def test_pagerduty_knows_three_actions_of_one_key(action: str, theirs: str, tmp_path: Path) -> None:
    with channel("pagerduty") as fake:
        sender = sender_of(settings_of("pagerduty", tmp_path, fake.port))
        assert sender.send(replace(NOTIFICATION, action=action), 1, START_US) == Sent("delivered", "ok", 202)
        sender.send(replace(NOTIFICATION, action=action, dedup_key="k" * 400), 1, START_US)
    first, second = (request.document for request in fake.requests)
    assert (first["event_action"], first["dedup_key"]) == (theirs, NOTIFICATION.dedup_key)
    assert len(second["dedup_key"]) == 64


@pytest.mark.parametrize(
    ("ours", "theirs"), [("low", "info"), ("medium", "warning"), ("high", "error"), ("critical", "critical")]
)
def test_pagerduty_has_severities_of_its_own(ours: str, theirs: str, tmp_path: Path) -> None:
    with channel("pagerduty") as fake:
        sender_of(settings_of("pagerduty", tmp_path, fake.port)).send(replace(NOTIFICATION, severity=ours), 1, START_US)
    assert fake.requests[0].document["payload"]["severity"] == theirs


def test_the_mails_of_an_incident_are_one_thread_and_a_repeated_one_is_the_same_mail(tmp_path: Path) -> None:
    with channel("smtp") as fake:
        sender = sender_of(settings_of("smtp", tmp_path, fake.port))
        for one in (NOTIFICATION, NOTIFICATION, replace(numbered(1, "resolve"), dedup_key=NOTIFICATION.dedup_key)):
            sender.send(one, 1, START_US)
    first, again, later = fake.mails
    assert first["Message-ID"] == again["Message-ID"] != later["Message-ID"]
    assert first["References"] == later["References"]
    assert NOTIFICATION.notification_id in first["Message-ID"]
    assert first["Auto-Submitted"] == "auto-generated"
    assert (first["From"], first["To"]) == ("accesstrail@company.test", "oncall@company.test")


# -- TLS


@pytest.mark.parametrize("kind", KINDS)
def test_over_tls_to_the_address_that_was_checked_by_the_name_that_was_meant(kind: str, tmp_path: Path) -> None:
    with channel(kind, certificates(tmp_path)) as fake:
        sender = sender_of(tls_settings_of(kind, tmp_path, fake), to_this_machine)
        assert sender.send(NOTIFICATION, 1, START_US).outcome == "delivered"
    if kind != "smtp":
        assert fake.requests[0].headers["host"] == f"channel.test:{fake.port}"
    assert len(fake.taken) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_of_another_name_or_of_nobody_known_gets_no_message(kind: str, tmp_path: Path) -> None:
    context = certificates(tmp_path, names=("evil.test",))
    with channel(kind, context) as fake:
        other_name = sender_of(tls_settings_of(kind, tmp_path, fake), to_this_machine)
        assert other_name.send(NOTIFICATION, 1, START_US) == Sent("retry", "certificate")
        unknown = sender_of(tls_settings_of(kind, tmp_path, fake, ca_file=None), to_this_machine)
        assert unknown.send(NOTIFICATION, 1, START_US) == Sent("retry", "certificate")
    assert fake.requests == []
    assert fake.taken == []


def test_mail_says_nothing_where_tls_is_refused_or_missing(tmp_path: Path) -> None:
    with channel("smtp", certificates(tmp_path)) as fake:
        fake.faults = ["redirect"]
        sender = sender_of(tls_settings_of("smtp", tmp_path, fake), to_this_machine)
        assert sender.send(NOTIFICATION, 1, START_US).outcome == "retry"
    with channel("smtp") as plain:
        sender = sender_of(tls_settings_of("smtp", tmp_path, plain), to_this_machine)
        assert sender.send(NOTIFICATION, 1, START_US) == Sent("retry", "tls_refused")
    assert fake.mails == plain.mails == []


@pytest.mark.parametrize("fault", ["unauthorized", "unknown_recipient"])
def test_a_login_or_recipient_that_is_refused_is_the_channels_fault(fault: str, tmp_path: Path) -> None:
    with channel("smtp", certificates(tmp_path)) as fake:
        fake.faults = [fault]
        sent = sender_of(tls_settings_of("smtp", tmp_path, fake), to_this_machine).send(NOTIFICATION, 1, START_US)
    assert sent == Sent("retry", "unauthorized")
    assert sent.is_channels_fault
