"""The page of roles and permissions is what the matrix says."""

from __future__ import annotations

from pipeline.accounts.permissions import ACTIONS
from tests.golden.make_permissions import PATH, render


def test_the_page_is_not_stale() -> None:
    assert PATH.read_text(encoding="utf-8") == render(), "run: python -m tests.golden.make_permissions"


def test_every_action_stands_on_it() -> None:
    page = PATH.read_text(encoding="utf-8")
    assert [name for name in ACTIONS if f"| `{name}` |" not in page] == []
