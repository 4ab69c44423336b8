"""Words in two languages: complete, bounded, without identifiers and the same on every replay."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.events import SEVERITIES
from pipeline.notifications.message import MAX_LINE, MAX_LINES, MAX_TITLE, checked, from_json
from pipeline.notifications.templates import (
    DigestFacts,
    IncidentFacts,
    digest_notification,
    digest_words,
    incident_notification,
    incident_words,
    outage_alarm,
    test_notification,
    test_words,
    undelivered_alarm,
)
from tests.channel_settings import NOTIFICATION
from tests.fake_channels import START_US

TOKEN = "3f9c2a77" + "b" * 24
FACTS = IncidentFacts(
    incident_id="7d1f5b0e-0f0c-5b6a-8d55-9a3e4f1c2b90",
    tenant_id="default",
    dedup_key=f"default:{TOKEN}",
    severity="high",
    risk=87.4,
    state="open",
    alert_count=3,
    detectors=("bulk_read", "new_network"),
    explanation_en=f"Account {TOKEN} read 4,000 customers in one night; usually 30.",
    explanation_zh=f"账号 {TOKEN} 一夜读取 4,000 名客户，平时为 30 名。",
    link="https://accesstrail.company.test/incidents/7d1f5b0e",
    actor_token=TOKEN,
)
ALL_FACTS = replace(
    FACTS, state="resolved", acknowledged_by="li.wei", verdict="false_positive", times_reopened=2, escalation=3
)


def test_an_incident_in_english() -> None:
    words = incident_words(FACTS, "trigger").en
    assert words.title == "[high] Incident 7d1f5b0e, risk 87"
    assert words.lines == (
        "Account 3f9c2a77… read 4,000 customers in one night; usually 30.",
        "Alerts: 3. Detectors: bulk_read, new_network.",
        "State: open.",
        "Account (token): 3f9c2a77…",
    )


def test_an_incident_in_chinese_with_all_there_is_to_say() -> None:
    words = incident_words(ALL_FACTS, "resolve").zh
    assert words.title == "【高】事件已关闭 7d1f5b0e，风险 87"
    assert words.lines == (
        "账号 3f9c2a77… 一夜读取 4,000 名客户，平时为 30 名。",
        "告警 3 条；检测器：bulk_read、new_network。",
        "状态：已关闭，确认人 li.wei。",
        "账号（代号）：3f9c2a77…",
        "已重新打开 2 次。",
        "未在规定时间内确认：已升级到第 3 级。",
        "结论：误报。",
    )


@pytest.mark.parametrize("action", ["trigger", "update", "acknowledge", "resolve"])
@pytest.mark.parametrize("state", ["open", "acknowledged", "assigned", "contained", "resolved"])
@pytest.mark.parametrize("verdict", ["", "true_positive", "benign", "false_positive", "test"])
def test_both_languages_say_the_same_of_everything(action: str, state: str, verdict: str) -> None:
    for severity in SEVERITIES:
        both = incident_words(replace(ALL_FACTS, state=state, verdict=verdict, severity=severity), action)
        assert len(both.en.lines) == len(both.zh.lines) == 6 + bool(verdict)
        numbers = [re.findall(r"\d+", f"{words.title} {' '.join(words.lines)}") for words in (both.en, both.zh)]
        assert numbers[0] == numbers[1]
        assert not re.search("[a-z]{4,}", both.zh.title)


@given(st.text(max_size=2000), st.lists(st.text(max_size=80), max_size=30).map(tuple))
def test_whatever_the_facts_quote_the_message_can_be_sent(text: str, detectors: tuple[str, ...]) -> None:
    facts = replace(ALL_FACTS, explanation_en=text, explanation_zh=text, detectors=detectors, acknowledged_by=text)
    one = incident_notification("oncall", "update", facts, created_us=START_US, cause="0")
    assert from_json(one.to_json()) == one
    assert len(one.title_en) <= MAX_TITLE
    assert all(len(line) <= MAX_LINE for line in one.lines_en + one.lines_zh)


def test_an_explanation_keeps_its_last_sentence_which_says_what_to_do() -> None:
    """Three sentences of the longest kind, as the detectors write them."""
    text = (
        "This account looked at more than usual in the whole company; " * 14
        + "Next: ask whether a script runs under it."
    )
    assert incident_words(replace(ALL_FACTS, explanation_en=text), "trigger").en.lines[0].endswith("runs under it.")


def test_a_digest_of_the_longest_messages_can_be_sent() -> None:
    one = incident_notification(
        "oncall", "update", replace(ALL_FACTS, explanation_en="😀" * 1200, explanation_zh="😀" * 1200),
        created_us=START_US, cause="0",
    )  # fmt: skip
    facts = DigestFacts(
        from_us=START_US, until_us=START_US + 60_000_000, alerts=10_000, incidents=1_000,
        per_severity={"high": 1_000}, worst=(one,) * 40,
    )  # fmt: skip
    digest = digest_notification("oncall", facts, dedup_key="digest:1", tenant_id="default", severity="high")
    assert from_json(digest.to_json()) == digest


def test_no_token_is_shown_in_full() -> None:
    one = incident_notification("oncall", "trigger", FACTS, created_us=START_US, cause="0")
    assert TOKEN not in "".join((one.title_en, one.title_zh, *one.lines_en, *one.lines_zh))
    assert one.dedup_key.endswith(TOKEN), "the key is no text for people"


def test_the_same_cause_is_the_same_record() -> None:
    def made(action: str, cause: str) -> bytes:
        return incident_notification("oncall", action, FACTS, created_us=START_US, cause=cause).to_json()

    assert made("trigger", "0") == made("trigger", "0")
    assert len({made("trigger", "0"), made("trigger", "1"), made("update", "0")}) == 3


def test_a_digest_says_that_it_is_one_counts_all_and_names_the_worst() -> None:
    worst = tuple(
        incident_notification(
            "oncall", "trigger", replace(FACTS, incident_id=f"{number:08d}-x", risk=99 - number), created_us=START_US,
            cause=str(number),
        )
        for number in range(25)
    )  # fmt: skip
    facts = DigestFacts(
        from_us=START_US, until_us=START_US + 60_000_000, alerts=10_000, incidents=1000,
        per_severity={"critical": 2, "high": 998}, worst=worst,
    )  # fmt: skip
    words = digest_words(facts)
    assert words.en.title == "Digest: 1,000 incidents, 10,000 alerts"
    assert words.zh.title == "摘要：1,000 个事件，10,000 条告警"
    assert words.en.lines[0] == "10,000 alerts in 1 min made 1,000 incidents: too many for a message each."
    assert words.en.lines[1] == "None was dropped. critical 2, high 998."
    assert words.zh.lines[1] == "没有丢弃任何事件。严重 2 个，高 998 个。"
    assert [line[16:24] for line in words.en.lines[2:]] == [f"{number:08d}" for number in range(10)]
    one = digest_notification("oncall", facts, dedup_key="digest:1", severity="critical", tenant_id="default")
    assert from_json(one.to_json()).lines_zh[2].startswith("【高】事件 00000000，风险 99：账号 3f9c2a77…")
    assert (one.risk, one.alerts, one.created_us) == (9900, 10_000, facts.until_us)


def test_a_test_says_that_nothing_happened() -> None:
    words = test_words("oncall", "li.wei")
    assert words.en.lines == ("Sent by li.wei. Nothing has happened; nobody needs to act.",)
    assert "没有发生任何事件" in words.zh.lines[0]
    one = test_notification("oncall", "li.wei", tenant_id="default", created_us=START_US)
    assert (one.action, one.title_zh) == ("test", "通道 oncall 测试")
    assert (
        one.dedup_key != test_notification("oncall", "li.wei", tenant_id="default", created_us=START_US + 1).dedup_key
    )


def test_an_outage_is_one_alarm_on_the_other_channel() -> None:
    first = outage_alarm("mail", "oncall", "timeout", 5, START_US, "default")
    again = outage_alarm("mail", "oncall", "timeout", 9, START_US, "default")
    assert first.notification_id == again.notification_id
    assert (first.channel, first.action, first.severity) == ("mail", "alarm", "high")
    assert first.lines_en[0] == "Undelivered: 5 message(s) wait. Cause: timeout. It is tried again by itself."
    repaired = outage_alarm("mail", "oncall", "unauthorized", 5, START_US, "default")
    assert "Its settings have to be repaired." in repaired.lines_en[0]
    assert "需要人工修正" in repaired.lines_zh[0]
    assert outage_alarm("mail", "oncall", "timeout", 5, START_US + 1, "default").dedup_key != first.dedup_key


def test_a_lost_message_is_repeated_on_the_other_channel() -> None:
    alarm = undelivered_alarm("mail", NOTIFICATION, "bad_request", START_US)
    assert alarm.title_en == f"Undelivered: {NOTIFICATION.title_en}"
    assert alarm.lines_zh[1:] == (NOTIFICATION.title_zh, *NOTIFICATION.lines_zh)
    assert (alarm.link, alarm.incident_id) == (NOTIFICATION.link, NOTIFICATION.incident_id)
    longest = replace(
        NOTIFICATION, title_en="x" * MAX_TITLE, lines_en=("y" * MAX_LINE,) * MAX_LINES, title_zh="题" * MAX_TITLE
    )
    assert checked(undelivered_alarm("mail", longest, "given_up", START_US)).title_en.endswith("…")
