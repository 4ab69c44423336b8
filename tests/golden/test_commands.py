"""The reference of commands is what the commands say of themselves."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipeline.cli import COMMANDS
from tests.golden.make_commands import PATH


def test_the_reference_of_commands_is_not_stale() -> None:
    # In a process of its own: click keeps the help option that a command was first asked with.
    made = subprocess.run(
        [sys.executable, "-m", "tests.golden.make_commands", "--print"],
        capture_output=True, text=True, check=True, cwd=PATH.parents[2],
    )  # fmt: skip
    assert PATH.read_text(encoding="utf-8") == made.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example(name: str) -> None:
    text = PATH.read_text(encoding="utf-8")
    section = text.split(f"## accesstrail {name}\n", 1)[1].split("\n## ", 1)[0]
    after_usage = section.split("Usage:", 1)[1].split("\n", 1)[1]
    assert f"  accesstrail {name}" in after_usage, "no example"
