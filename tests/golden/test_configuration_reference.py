"""The page of settings is fresh, and every setting has its words."""

from __future__ import annotations

from tests.golden.make_configuration import PAGE, WORDS, asked, page


def test_the_page_is_what_the_configuration_asks_for() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.golden.make_configuration"


def test_every_setting_has_words_and_nothing_else_has() -> None:
    names = [one.name for one in asked()]
    assert len(set(names)) == len(names)
    assert set(names) == set(WORDS)
