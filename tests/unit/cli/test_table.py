"""Stored values for people and programs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from ipaddress import IPv6Address
from typing import Any
from uuid import UUID

import pytest

from pipeline.cli.table import aligned, inner_types, plain_row


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (b"\x01" * 15 + b"\0", "FixedString(16)", "01" * 15 + "00"),
        (b"\x01", "FixedString(2)", "0100"),
        ("客服部".encode(), "LowCardinality(String)", "客服部"),
        (b"\xff", "String", "\ufffd"),
        (datetime(2026, 11, 20, 10, 15, 30, 123000, timezone(timedelta(hours=8))), "DateTime64(6, 'UTC')", None),
        (datetime.fromisoformat("2026-11-20"), "DateTime", "2026-11-20T00:00:00Z"),
        (date(2026, 11, 20), "Date", "2026-11-20"),
        (UUID(int=1), "UUID", "00000000-0000-0000-0000-000000000001"),
        (IPv6Address("::ffff:10.1.0.1"), "IPv6", None),
        ([b"ab"], "Array(FixedString(2))", ["6162"]),
        ({b"k": b"ab"}, "Map(LowCardinality(String), FixedString(2))", {"k": "6162"}),
        ((b"k", b"ab", 3), "Tuple(String, FixedString(2), UInt8)", ["k", "6162", 3]),
        ([(b"a,b", 1)], "Array(Tuple(name String, n UInt8))", [["a,b", 1]]),
        (float("nan"), "Float64", None),
        (2**63, "UInt64", 2**63),
        (None, "Nullable(String)", None),
    ],
)
def test_every_type_becomes_plain(value: Any, kind: str, expected: Any) -> None:
    [found] = plain_row([value], [kind])
    if isinstance(value, datetime) and value.tzinfo is not None and value.tzinfo is not UTC:
        expected = "2026-11-20T02:15:30.123000Z"
    if isinstance(value, IPv6Address):
        expected = str(value)
    assert found == expected


def test_inner_types_are_found_through_quotes_and_brackets() -> None:
    assert inner_types("Map(Enum8('a)' = 1, 'b,' = 2), Array(UInt8))") == ["Enum8('a)' = 1, 'b,' = 2)", "Array(UInt8)"]
    assert inner_types("UInt8") == ["UInt8"]


def test_a_table_is_aligned_by_display_width() -> None:
    lines = list(aligned(["name", "n"], [["客服", 1], ["abcdef", 22]]))
    assert lines == ["name    n", "客服    1", "abcdef  22"]


def test_stored_text_cannot_steer_the_terminal() -> None:
    [_, line] = aligned(["text"], [["a\x1b[2Jb\nc"]])
    assert line == "a\\x1b[2Jb\\nc"


def test_long_cells_are_cut() -> None:
    [_, line] = aligned(["text"], [["x" * 500]])
    assert line == "x" * 59 + "…"


def test_lists_and_maps_are_readable() -> None:
    [_, line] = aligned(["a", "b", "c"], [[["x", "y"], {"k": 1}, None]])
    assert line == "x, y  k=1"
