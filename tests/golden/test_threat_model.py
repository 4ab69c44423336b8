"""The threat model names tests that are there, and every threat has a control, a test or a plain "not tested"."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
STRIDE = "STRIDE"


def rows() -> list[list[str]]:
    """The lines of the table of threats: kind, threat, control, test, what remains."""
    section = PAGE.split("## Threats and controls")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ") and line[2] in STRIDE]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def named() -> list[str]:
    return re.findall(r"`(tests/[^`]+)`", PAGE)


def test_every_test_that_is_named_is_there_and_holds_tests() -> None:
    assert len(named()) > 25
    for path in named():
        assert (ROOT / path).is_file(), path
        assert re.search(r"^(async )?def test_|^    def test_", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


def test_every_kind_of_threat_is_there_and_every_line_is_whole() -> None:
    assert {row[0] for row in rows()} == set(STRIDE)
    for row in rows():
        assert len(row) == 5, row
        assert all(row), row
        assert "`tests/" in row[3] or "*not tested*" in row[3], row


def test_every_holder_who_was_asked_for_is_told_of() -> None:
    said = PAGE.split("## Who holds what")[1]
    for holder in ("Database administrator", "Stolen signing key", "Stolen token key", "Malicious producer",
                   "Broker administrator", "Auditor's account"):  # fmt: skip
        assert f"| {holder}" in said
