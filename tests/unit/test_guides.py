"""Guides lead where they say, and the guides of duties name the console's pages in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=[str(one.relative_to(ROOT)) for one in PAGES])
def test_every_link_within_the_project_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    own = [one for one in links if "://" not in one and not one.startswith("mailto:")]
    assert [one for one in own if not (page.parent / one).exists()] == []


@pytest.mark.parametrize("name", ["watching", "auditing"])
def test_guides_of_watching_and_auditing_name_boards_search_and_grafana_in_both_languages(name: str) -> None:
    english, mark, chinese = (ROOT / "docs/guides" / f"{name}.md").read_text(encoding="utf-8").partition("## 中文")
    assert mark
    assert "page *Boards*" in english
    assert "“看板”页" in chinese
    for part in (english, chinese):
        assert "(searching.md)" in part
        assert "(grafana.md)" in part


@pytest.mark.parametrize("path", ["README.md", "docs/guides/accounts.md"])
def test_where_accounts_and_tokens_are_made_is_said_plainly(path: str) -> None:
    text = " ".join((ROOT / path).read_text(encoding="utf-8").split())
    assert re.search(r"[Aa]ccounts and tokens are made on the command line only", text)
    assert "one's own account" in text
