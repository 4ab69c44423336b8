"""Examples of the free-text scanner, by policy, with their look-alikes."""

from __future__ import annotations

import time

import pytest

from pipeline.privacy.masks import mask_text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("call 13812341234 now", "call 138****1234 now"),
        ("电话：13812341234，已回访", "电话：138****1234，已回访"),
        ("电话１３８１２３４１２３４", "电话１３８****１２３４"),
        ("+86 138-1234-1234", "+86 138-****-1234"),
        ("+8613812341234", "+86138****1234"),
        ("008613812341234", "0086138****1234"),
        ("138 1234\u200b1234", "138 ****\u200b1234"),
        ("①③⑧12341234", "①③⑧****1234"),
        ("身份证11010519491231002X。", "身份证110*************2X。"),
        ("110105 19491231 002x", "110*** ******** **2x"),
        ("user 13812345678x", "user 138****5678x"),
        ("tel 138-1234-5678X, later", "tel 138-****-5678X, later"),
        ("8613812345678X", "86138****5678X"),
        ("4111111111111111x", "************1111x"),
        ("6212345678901234x and 6212 3456 7890 1232X", "6212345678901234x and **** **** **** 1232X"),
        ("110105491231002", "110**********02"),
        ("4111 1111 1111 1111 12 pcs", "**** **** **** 1111 12 pcs"),
        ("6222021234567890128", "***************0128"),
        ("to zhang.wei@example.com.cn,", "to z****@example.com.cn,"),
        ("zhang＠example．com", "z****＠example．com"),
        ("passport E12345678 shown", "passport E******78 shown"),
        ("护照EA1234567", "护照E******67"),
        ("13812341234 13912341234", "138****1234 139****1234"),
    ],
)
def test_personal_numbers_are_masked(text: str, masked: str) -> None:
    assert mask_text(text) == masked
    assert mask_text(masked) == masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/customers/{id}/orders",
        "2026-11-20 10:15:30.123",
        "订单2026年11月20日10点15分30秒",
        "192.168.100.200",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "12812341234",
        "order 99138123412345678901",
        "11010519491231002 is one short",
        "110105194912310021",
        "4111111111111112",
        "1732423741000",
        "meet @ 5",
        "x@y",
        "E1234567",
        "error CE12345678",
        "table customer_profile_20261120",
    ],
)
def test_look_alikes_are_left_alone(text: str) -> None:
    assert mask_text(text) is text or mask_text(text) == text


def test_a_mask_can_make_neighbours_and_those_are_masked_too() -> None:
    masked = mask_text("4111111111111111 1381 2345678")
    assert mask_text(masked) == masked
    assert "2345678" not in masked


@pytest.mark.parametrize(
    "text", ["1 " * 1000, "13" * 1000, "1 3 " * 500, "a" * 2000 + "@", "a@a." * 500, "@" * 2000, "E1234567" * 250]
)
def test_hostile_texts_do_not_blow_up(text: str) -> None:
    # Not a timing test: a pattern with quadratic behaviour would need minutes here.
    started = time.process_time()
    for _ in range(3):
        mask_text(text * 5)
    assert time.process_time() - started < 30
