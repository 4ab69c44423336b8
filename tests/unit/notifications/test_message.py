"""The record of the topic: canonical, bounded, and refused as a whole where it is none."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import NotificationRejected
from pipeline.notifications.message import (
    ACTIONS,
    MAX_LINE,
    MAX_LINES,
    MAX_RECORD_BYTES,
    MAX_TITLE,
    Notification,
    checked,
    from_json,
    notification_id_of,
)
from tests.channel_settings import NOTIFICATION

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)


@given(WORDS, st.lists(WORDS, max_size=4).map(tuple), st.sampled_from(ACTIONS), st.integers(0, 2**62))
def test_a_notification_comes_back_from_its_record(
    title: str, lines: tuple[str, ...], action: str, created_us: int
) -> None:
    one = replace(NOTIFICATION, title_zh=title, lines_en=lines, action=action, created_us=created_us)
    assert from_json(one.to_json()) == one


def test_the_record_is_canonical() -> None:
    text = NOTIFICATION.to_json().decode()
    document = json.loads(text)
    assert list(document) == sorted(document)
    assert ": " not in text.split('"title_zh"')[0].split('"lines_en"')[0]
    assert "一夜读取" in text
    assert (document["type"], document["format"]) == ("notification", 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "alert"}, {"format": 2}, {"action": "shout"}, {"severity": "grave"}, {"channel": "On Call"},
        {"channel": ""}, {"dedup_key": ""}, {"notification_id": "x" * 513}, {"tenant_id": 5}, {"created_us": "now"},
        {"created_us": True}, {"created_us": 1.5}, {"link": "javascript:alert(1)"}, {"link": "http://a b"},
        {"link": "https://" + "a" * 500}, {"title_en": ""}, {"title_zh": "x" * (MAX_TITLE + 1)}, {"lines_en": "text"},
        {"lines_en": [5]}, {"lines_zh": ["x" * (MAX_LINE + 1)]}, {"lines_zh": ["x"] * (MAX_LINES + 1)}, {"extra": 1},
        {"severity": None}, {"risk": -1}, {"risk": 10_001}, {"risk": 87.4}, {"alerts": -1}, {"alerts": True},
        {"alerts": "3"}, {"lines_en": ["\ud800"]},
    ],
)  # fmt: skip
def test_what_no_channel_could_send_is_refused(changes: dict[str, Any]) -> None:
    document = {**json.loads(NOTIFICATION.to_json()), **changes}
    with pytest.raises(NotificationRejected):
        from_json(json.dumps(document).encode())


@pytest.mark.parametrize("value", [b"", b"null", b"[]", b"{}", b"\xff", b"1" * 5000, b"[" * 60_000, b"0" * 70_000])
def test_what_is_no_record_is_refused(value: bytes) -> None:
    with pytest.raises(NotificationRejected):
        from_json(value)


def test_a_missing_field_is_refused() -> None:
    for name in json.loads(NOTIFICATION.to_json()):
        document = json.loads(NOTIFICATION.to_json())
        del document[name]
        with pytest.raises(NotificationRejected):
            from_json(json.dumps(document).encode())


def test_a_refusal_names_the_field_and_repeats_nothing() -> None:
    with pytest.raises(NotificationRejected, match="severity must be one of") as refused:
        checked(replace(NOTIFICATION, severity="zhang.san@company.test"))
    assert "zhang" not in str(refused.value)


def test_a_record_is_bounded_as_a_whole() -> None:
    """Each line for itself is short enough; all of them in four-byte characters are not."""
    lines = ("😀" * MAX_LINE,) * MAX_LINES
    with pytest.raises(NotificationRejected, match=f"{MAX_RECORD_BYTES:,} bytes"):
        checked(replace(NOTIFICATION, lines_en=lines, lines_zh=lines))


def test_the_id_follows_from_the_cause_and_from_nothing_else() -> None:
    parts = ("oncall", "default:3f", "trigger", "access.incidents:1:7:42")
    assert notification_id_of(*parts) == notification_id_of(*parts)
    others = [(*parts[:index], parts[index] + "x", *parts[index + 1 :]) for index in range(4)]
    assert len({notification_id_of(*one) for one in [parts, *others, ("oncal", "ldefault:3f", *parts[2:])]}) == 6


@pytest.mark.parametrize(
    ("language", "title", "first"),
    [
        ("zh", "【高】事件 7d1f5b0e，风险 87", "一夜"),
        ("en", "[high] Incident 7d1f5b0e, risk 87", "Read"),
        ("both", "【高】事件 7d1f5b0e，风险 87 / [high] Incident 7d1f5b0e, risk 87", "一夜"),
    ],
)
def test_words_are_in_the_language_asked_for(language: str, title: str, first: str) -> None:
    words = NOTIFICATION.words(language)
    assert words.title == title
    assert words.lines[0].startswith(first)
    assert len(words.lines) == (4 if language == "both" else 2)


def test_a_notification_is_immutable() -> None:
    assert hash(NOTIFICATION) == hash(replace(NOTIFICATION))
    assert isinstance(NOTIFICATION, Notification)
    with pytest.raises(AttributeError):
        NOTIFICATION.link = ""  # type: ignore[misc]
