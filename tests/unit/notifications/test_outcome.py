"""How answers are judged: what is confirmed, what is sent again, what is never sent again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.notifications.outcome import (
    LONGEST_RETRY_AFTER_S,
    OUTCOMES,
    Answer,
    Sent,
    code_in,
    judged,
    judged_by_code,
    retry_after_s,
)

NOW_US = 1_790_000_000_000_000
"""2026-09-21 14:13:20 UTC, a Monday."""


@pytest.mark.parametrize(
    ("status", "outcome", "code"),
    [
        (200, "delivered", "ok"), (202, "delivered", "ok"), (204, "delivered", "ok"), (301, "retry", "redirected"),
        (307, "retry", "redirected"), (400, "refused", "bad_request"), (401, "retry", "unauthorized"),
        (403, "retry", "unauthorized"), (404, "retry", "not_found"), (410, "retry", "not_found"),
        (408, "retry", "server_error"), (413, "refused", "bad_request"), (422, "refused", "bad_request"),
        (429, "retry", "too_many"), (500, "retry", "server_error"), (503, "retry", "server_error"),
        (599, "retry", "server_error"), (999, "retry", "server_error"), (101, "retry", "server_error"),
    ],
)  # fmt: skip
def test_a_status_is_judged(status: int, outcome: str, code: str) -> None:
    assert judged(Answer(status)) == Sent(outcome, code, status)


def test_what_no_repetition_heals_is_the_channels_fault() -> None:
    faults = [code for code in (200, 301, 400, 401, 404, 429, 500) if judged(Answer(code)).is_channels_fault]
    assert faults == [301, 401, 404]
    assert judged(Answer(0, failure="certificate")).is_channels_fault
    assert not judged(Answer(0, failure="timeout")).is_channels_fault


@given(st.integers(0, 999), st.binary(max_size=20))
def test_every_answer_has_an_outcome_a_sender_may_give(status: int, body: bytes) -> None:
    sent = judged_by_code(Answer(status, body), code_in(body, "errcode"), {})
    assert sent.outcome in OUTCOMES[:3]
    assert sent.http_status == status


def test_a_vendors_code_decides_over_its_200_and_never_over_a_failure() -> None:
    known = {7: Sent("refused", "content_refused"), 8: Sent("retry", "too_many", retry_after_s=60.0)}
    assert judged_by_code(Answer(200), 0, known) == Sent("delivered", "ok", 200)
    assert judged_by_code(Answer(200), 7, known) == Sent("refused", "content_refused", 200)
    assert judged_by_code(Answer(200), 8, known) == Sent("retry", "too_many", 200, 60.0)
    assert judged_by_code(Answer(200), 9, known) == Sent("retry", "vendor_error", 200)
    assert judged_by_code(Answer(200), None, known) == Sent("retry", "unknown_answer", 200)
    assert judged_by_code(Answer(200, failure="cut_off"), None, known) == Sent("retry", "cut_off", 200)
    assert judged_by_code(Answer(503), 0, known).outcome == "retry"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"errcode":0}', 0), (b'{"code":7}', 7), (b'{"code":0,"errcode":5}', 5), (b'{"errcode":"0"}', None),
        (b'{"errcode":true}', None), (b'{"errcode":0.0}', None), (b"[]", None), (b"", None), (b"\xff", None),
        (b"<html>", None), (b'{"errcode":0', None), (b"[" * 60_000, None), (b'{"errcode":' + b"9" * 5000 + b"}", None),
    ],
)  # fmt: skip
def test_a_code_is_a_number_in_an_object(body: bytes, code: int | None) -> None:
    assert code_in(body, "errcode", "code") == code


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", None), ("0", 0.0), ("37", 37.0), (" 37 ", 37.0), ("999999", LONGEST_RETRY_AFTER_S), ("-5", None),
        ("1.5", None), ("soon", None), ("Mon, 21 Sep 2026 14:14:20 GMT", 60.0), ("Mon, 21 Sep 2026 14:14:20", 60.0),
        ("Mon, 21 Sep 2020 14:14:20 GMT", 0.0), ("Mon, 21 Sep 2099 14:14:20 GMT", LONGEST_RETRY_AFTER_S),
        ("Mon, 99 Sep 2026 14:14:20 GMT", None), ("9" * 400, None),
    ],
)  # fmt: skip
def test_how_long_a_channel_asks_to_wait(header: str, seconds: float | None) -> None:
    assert retry_after_s(header, NOW_US) == seconds


@given(st.text(max_size=40))
def test_no_header_breaks_anything(header: str) -> None:
    seconds = retry_after_s(header, NOW_US)
    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER_S
