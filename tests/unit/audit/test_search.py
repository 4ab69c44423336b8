"""Questions and cursors: what may be asked, what an address may hold, windows that neither overlap nor leave holes."""

from __future__ import annotations

import base64
import contextlib
import itertools
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.access_reading import windows
from pipeline.audit.actor import ActorDay, Slice, comparisons, shares
from pipeline.audit.export import harmless
from pipeline.audit.identifiers import TokenMaker
from pipeline.audit.search import Cursor, Question, checked, token_of
from pipeline.errors import UsageError
from pipeline.privacy.keys import Key, Keyring

_OF_TOPICS = string.ascii_letters + string.digits + "._-+"
KEYRING = Keyring((Key(1, b"k" * 32),))


@given(
    st.builds(
        Cursor, st.integers(-(2**61), 2**61), st.text(_OF_TOPICS, max_size=249), st.text(_OF_TOPICS, max_size=60),
        st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1),
    )
)  # fmt: skip
def test_a_cursor_comes_back_from_its_text(cursor: Cursor) -> None:
    assert Cursor.from_text(cursor.text()) == cursor


@given(st.text(max_size=200))
def test_any_other_text_is_no_cursor_and_nothing_else(text: str) -> None:
    with contextlib.suppress(UsageError):
        Cursor.from_text(text)


@pytest.mark.parametrize("values", ["[1,2,3,4,5]", '[true,"a","b",0,0]', '[1,"a","b",-1,0]', "{}", "[]", "null"])
def test_a_cursor_of_other_values_is_refused(values: str) -> None:
    with pytest.raises(UsageError):
        Cursor.from_text(base64.urlsafe_b64encode(values.encode()).decode())


@pytest.mark.parametrize(
    "wrong",
    [
        {"actors": ("zhang.wei",)}, {"subjects": ("AB" * 16,)}, {"resources": ("ab" * 16,) * 5},
        {"actions": ("steal",)},
        {"outcomes": ("maybe",)}, {"explained": ("perhaps",)}, {"least_risk": 10_001}, {"least_risk": -1},
        {"from_us": 5, "until_us": 5}, {"purpose": "x" * 257}, {"tenant": ""},
            {"text": "zhang " * 50}, {"text": " \u3000"}, {"text": "zhang 13812345678"},
    ],
)  # fmt: skip
def test_a_question_that_cannot_be_asked_is_refused_without_its_values(wrong: dict[str, Any]) -> None:
    plain: dict[str, Any] = {"tenant": "default", "from_us": 1, "until_us": 2}
    with pytest.raises(UsageError) as told:
        checked(Question(**plain | wrong))
    assert "zhang" not in str(told.value)
    assert "steal" not in str(told.value)


def test_a_question_shows_no_text_that_was_typed() -> None:
    assert "zhang" not in repr(checked(Question(tenant="default", from_us=1, until_us=2, text="zhang")))


@given(st.integers(0, 2**50), st.integers(1, 2**50), st.booleans(), st.none() | st.integers(0, 2**51))
def test_windows_cover_the_period_once(from_us: int, length: int, is_whole: bool, ahead_us: int | None) -> None:
    pieces = list(windows(from_us, from_us + length, is_whole=is_whole, ahead_us=ahead_us))
    assert pieces[0][1] == from_us + length
    assert pieces[-1][0] == from_us
    assert all(later[0] == earlier[1] for later, earlier in itertools.pairwise(pieces))
    assert len(pieces) == 1 or not is_whole
    assert len(pieces) < 20


def test_a_token_is_taken_as_it_is_and_a_name_becomes_one() -> None:
    maker = TokenMaker(KEYRING, "default")
    known = KEYRING.token("default", "actor", "zhang.wei").hex()
    assert maker.named("actor", " zhang.wei ").tokens == (known,)
    assert maker.named("actor", known.upper()).tokens == (known,)
    assert maker.named("actor", known).identifier == ""
    assert maker.named("actor", f"id:{known}").tokens == (KEYRING.token("default", "actor", known).hex(),)
    assert "zhang" not in repr(maker.named("actor", "zhang.wei"))
    assert token_of("0" * 31) is None
    for kind, text in (("actor", " "), ("actor", "x" * 513), ("nothing", "x"), ("subject", "id:")):
        with pytest.raises(UsageError) as told:
            maker.named(kind, text)
        assert text.strip() not in str(told.value) or not text.strip()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1", "'=1"), ("  @x", "'  @x"), ("", ""), ("plain", "plain"), ("\u3000＝1", "'\u3000＝1"), ("a=1", "a=1"),
        ("-", "'-"),
    ],
)  # fmt: skip
def test_a_cell_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str, shown: str) -> None:
    assert harmless(text) == shown


def _day(day: int, events: int, explained: int = 0) -> ActorDay:
    return ActorDay(day, events, 0, explained, events * 2, events, 0, 0)


def test_the_usual_is_the_median_of_active_days_and_now_is_the_largest_day_of_the_week() -> None:
    days = [_day(100 - n, 10) for n in range(7, 13)] + [_day(88, 1000), _day(100, 25), _day(99, 3, explained=3)]
    found, usual_days = comparisons(days, today=100)
    by_name = {one.name: one for one in found}
    assert usual_days == 7
    assert (by_name["events"].usual, by_name["events"].now) == (10.0, 25.0)
    assert by_name["events"].is_more
    assert (by_name["unexplained"].usual, by_name["unexplained"].now) == (10.0, 25.0)
    assert not by_name["denied"].is_more


def test_with_few_active_days_before_there_is_no_usual() -> None:
    assert comparisons([_day(90, 10), _day(100, 500)], today=100) == ([], 1)
    assert comparisons([], today=100) == ([], 0)


def test_the_rest_of_many_words_is_one_row() -> None:
    slices = [Slice(f"type-{n:02}", "", "read", "denied" if n % 2 else "success", "CN", "office",
                    "not_yet_explained", n, 2 * n) for n in range(1, 21)]  # fmt: skip
    found = shares(slices, lambda one: one.resource_type)
    assert [one.name for one in found[:2]] == ["type-20", "type-19"]
    assert len(found) == 13
    assert found[-1].name == ""
    assert sum(one.events for one in found) == sum(range(1, 21))
    assert found[-1].events == sum(range(1, 9))
    assert found[0].denied == 0
    assert found[1].denied == 19
