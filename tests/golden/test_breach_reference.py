"""The page of duties and the golden drafts are what the register and the templates say."""

from __future__ import annotations

import pytest

from pipeline.breach.register import read_register
from tests.golden.make_breach import DRAFTS, FOLDER, PAGE, golden_drafts, render


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run: python -m tests.golden.make_breach"


def test_every_unconfirmed_duty_is_marked() -> None:
    page = PAGE.read_text(encoding="utf-8").splitlines()
    for law in read_register().laws:
        row = next(line for line in page if line.startswith(f"| `{law.law_id}` |"))
        assert ("**unconfirmed**" in row) == (not law.confirmed)


@pytest.mark.parametrize(("law_id", "language"), DRAFTS)
def test_a_draft_is_the_golden_one(law_id: str, language: str) -> None:
    name = f"{law_id}.{language}.md"
    golden = (FOLDER / name).read_text(encoding="utf-8")
    assert golden == golden_drafts()[name], "run: python -m tests.golden.make_breach, and read what changed"
