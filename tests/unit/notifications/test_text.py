"""Text that leaves the system: harmless, cut at a character's border, fitted with its link whole."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.notifications.text import ELLIPSIS, cut, fitted, plain, short_tokens, utf8_size

ANY_TEXT = st.text(st.characters(codec=None), max_size=80)
SENDABLE = st.text(st.characters(codec="utf-8"), max_size=120)
FAMILY = "👨\u200d👩\u200d👧"


@given(ANY_TEXT)
def test_plain_text_is_one_line_that_can_be_sent_and_stays_as_it_is(text: str) -> None:
    shown = plain(text)
    assert shown.encode().decode() == shown
    assert all(unicodedata.category(one) not in ("Cc", "Cs", "Co", "Zl", "Zp") for one in shown)
    assert "://" not in shown
    assert plain(shown) == shown


def test_plain_text_keeps_what_people_write() -> None:
    assert plain("一夜读取\t4,000 名  客户 — é " + FAMILY) == "一夜读取 4,000 名 客户 — é " + FAMILY
    assert plain("a\r\nb\u202ec\u2066d\x00") == "a b c d"
    assert plain("see http://evil.test") == "see http：//evil.test"


@given(SENDABLE, st.integers(0, 60))
def test_a_cut_fits_and_is_a_beginning(text: str, limit: int) -> None:
    shorter = cut(text, limit)
    assert utf8_size(shorter) <= limit
    if shorter not in ("", text):
        assert text.startswith(shorter.removesuffix(ELLIPSIS))
    if utf8_size(text) <= limit:
        assert shorter == text


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("客户客户", 9, "客户…"),
        ("客户客户", 8, "客…"),
        ("客户客户", 5, ""),
        ("ab" + FAMILY + "cd", 15, "ab…"),
        ("abe\u0301xy", 6, "ab…"),
        ("ok 👍🏽👍🏽", 11, "ok…"),
    ],
)
def test_what_belongs_together_is_not_torn_apart(text: str, limit: int, expected: str) -> None:
    assert cut(text, limit) == expected


def doubled(text: str) -> str:
    return text.replace("*", "\\*")


@given(st.lists(SENDABLE.map(plain), max_size=6), st.integers(12, 90))
def test_head_and_tail_are_whole_and_lines_fill_what_is_left(lines: list[str], limit: int) -> None:
    text = fitted("head", lines, "link", limit, escape=doubled)
    assert utf8_size(text) <= limit
    assert text.startswith("head")
    assert text.endswith("link")
    if utf8_size("\n".join(["head", *filter(None, map(doubled, lines)), "link"])) <= limit:
        assert text == "\n".join(["head", *filter(None, map(doubled, lines)), "link"])


def test_a_line_is_cut_before_it_is_escaped() -> None:
    assert fitted("h", ["****"], "t", 11, escape=doubled) == "h\n\\*\\*…\nt"
    assert fitted("h", ["****", "never"], "t", 11, escape=doubled) == "h\n\\*\\*…\nt"


def test_a_head_and_a_link_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(ValueError, match="more than its 5 bytes"):
        fitted("head", [], "link", 5, escape=str)


def test_tokens_are_shown_by_their_first_digits() -> None:
    token = "3f9c2a77" + "0" * 24
    assert short_tokens(f"account {token}, {token.upper()}{'A' * 32}.") == "account 3f9c2a77…, 3F9C2A77…."
    assert short_tokens("7d1f5b0e-0f0c-5b6a-8d55-9a3e4f1c2b90") == "7d1f5b0e-0f0c-5b6a-8d55-9a3e4f1c2b90"
    assert short_tokens("f" * 33) == "f" * 33
