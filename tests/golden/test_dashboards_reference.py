"""The page of dashboards is what the boards say."""

from __future__ import annotations

from dashboards.panels.boards import BOARDS
from tests.golden.make_dashboards import PATH, render


def test_the_page_is_not_stale() -> None:
    assert PATH.read_text(encoding="utf-8") == render(), "run: python -m tests.golden.make_dashboards"


def test_every_panel_stands_on_it_in_both_languages() -> None:
    page = PATH.read_text(encoding="utf-8")
    for one in BOARDS:
        for panel in one.panels:
            for words in (panel.title, panel.question, panel.decision):
                assert words.en in page
                assert words.zh in page
