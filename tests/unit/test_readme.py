"""README and guides tell what is true: their commands and options exist, make targets too, links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from pipeline.cli import COMMANDS, accesstrail

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _lines() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("accesstrail ")]


def _options(command: click.Command) -> set[str]:
    return {text for parameter in command.params for text in parameter.opts}


def _lines_of_guides() -> list[str]:
    """Commands in indented blocks; one goes on behind a backslash, and where a quotation is open."""
    found = []
    for guide in sorted((ROOT / "docs" / "guides").glob("*.md")):
        text = guide.read_text(encoding="utf-8").replace("\\\n", " ")
        found += re.findall(r"^    (accesstrail (?:\"[^\"]*\"|'[^']*'|#.*|[^\n\"'#])*)", text, re.MULTILINE)
    return found


@pytest.mark.parametrize("line", [*_lines(), *_lines_of_guides()])
def test_every_command_line_can_be_parsed(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    assert words[0] in COMMANDS
    command = accesstrail.get_command(click.Context(accesstrail), words[0])
    assert command is not None
    for word in words[1:]:
        if not isinstance(command, click.Group):
            break
        command = command.get_command(click.Context(command), word)
        assert command is not None, f"{words[0]} has no command {word}"
    assert {word for word in words[1:] if word.startswith("--")} <= _options(command)


def test_the_readme_shows_commands_at_all() -> None:
    assert len(_lines()) > 10
    assert len(_lines_of_guides()) > 30


@pytest.mark.parametrize("target", ["demo", "test", "check", "bench", "evaluate", "fmt", "help"])
def test_every_make_target_explains_itself(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:.*## \w", makefile, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
