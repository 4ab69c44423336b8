"""Every reason of a dead letter and of a gap has its words in both languages."""

from __future__ import annotations

import re

import pytest

from dashboards.console.code_names import DEAD_LETTERS, titled
from pipeline.reading import STORE_REJECTED
from pipeline.stages.decode import REASONS
from pipeline.stages.gaps import MISSING_OFFSETS, TOPIC_RECREATED
from pipeline.stages.reason_words import REASONS_ZH

EVERY = {*REASONS, STORE_REJECTED, MISSING_OFFSETS, TOPIC_RECREATED}


def test_no_reason_lacks_its_words() -> None:
    assert REASONS_ZH.keys() == REASONS.keys()
    assert DEAD_LETTERS.keys() == EVERY


@pytest.mark.parametrize("code", sorted(EVERY))
def test_words_of_a_reason_are_chinese_and_english(code: str) -> None:
    words = titled("dead_letter", code)
    assert re.search("[一-鿿]", words.zh)
    assert not re.search("[一-鿿]", words.en)
    assert len(set(DEAD_LETTERS.values())) == len(DEAD_LETTERS)


def test_numbers_of_a_reason_are_the_same_in_both_languages() -> None:
    for code, chinese in REASONS_ZH.items():
        named = set(re.findall(r"[a-z]+_[a-z]+|\d{2,}", REASONS[code]))
        assert named <= set(re.findall(r"[a-z]+_[a-z]+|\d{2,}", chinese)), code


def test_a_reason_of_a_newer_version_is_shown_as_it_is() -> None:
    assert titled("dead_letter", "newer_one") == ("newer_one", "newer_one")
