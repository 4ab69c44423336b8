"""The page of controls is what the register says."""

from __future__ import annotations

from pipeline.audit.register_reading import read_controls
from tests.golden.make_controls import PAGE, render


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run: python -m tests.golden.make_controls"


def test_every_article_that_was_not_read_is_marked_wherever_it_is_served() -> None:
    register, page = read_controls(), PAGE.read_text(encoding="utf-8").splitlines()
    for control in register.controls:
        row = next(line for line in page if line.startswith(f"| `{control.control_id}`<br>"))
        assert row.count("**unconfirmed**") == len(register.unconfirmed(control))
