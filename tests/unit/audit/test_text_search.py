"""Words looked for in what people wrote: all of them, anywhere, whatever their case and width."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audit.text_search import holds, refuse_identifiers, words_of
from pipeline.errors import UsageError
from pipeline.privacy.masks import mask_text

PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=("Zs", "Cc", "Zl", "Zp")), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("batch", ("Nightly BATCHES", "")), ("night batch", ("batch job", "not at night")),
        ("ＢＡＴＣＨ", ("batch", "")),
        ("STRASSE", ("Straße 5", "")), ("客户投诉", ("处理客户投诉工单", "")), ("投诉　客户", ("客户的投诉", "")),
        ("138****5678", ("called 138****5678", "")), ("", ("anything", "")), ("ﬁle", ("File", "")),
    ],
)  # fmt: skip
def test_what_holds_the_words(text: str, written: tuple[str, str]) -> None:
    assert holds(words_of(text), *written)


@pytest.mark.parametrize(
    ("text", "written"),
    [("night batch", ("batch", "")), ("batch", ("bat", "ch")), ("投诉", ("客户", "")), ("x", ("", ""))],
)  # fmt: skip
def test_what_does_not(text: str, written: tuple[str, str]) -> None:
    assert not holds(words_of(text), *written)


@given(PLAIN, st.text(max_size=20), st.text(max_size=20))
def test_a_word_is_found_in_every_text_that_has_it_between_blanks(word: str, before: str, behind: str) -> None:
    assert holds(words_of(word), f"{before} {word} {behind}")
    assert holds(words_of(word), f"{before} {word.upper()} {behind}") or word.upper().casefold() != word.casefold()


@given(st.text(max_size=200))
def test_any_text_has_words_which_it_holds_itself(text: str) -> None:
    assert holds(words_of(text), text)


@pytest.mark.parametrize(
    "text", ["13812345678", "mail lin@example.com", "110105 19491231 002X", "６２２２０２１２３４５６７８９０１２8"]
)
def test_what_is_masked_wherever_it_is_stored_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError) as told:
        refuse_identifiers(text)
    assert told.value.code == "masked_text"
    assert text not in str(told.value)


@given(st.text(max_size=100))
def test_whatever_is_not_refused_can_be_stored_as_it_is(text: str) -> None:
    try:
        refuse_identifiers(text)
    except UsageError:
        assert mask_text(text) != text
    else:
        assert mask_text(text) == text
