"""Writes docs/reference/commands.md from every command's `--help`; a test fails when the file is stale."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from pipeline.cli import COMMANDS, accesstrail

PATH = Path(__file__).resolve().parents[2] / "docs" / "reference" / "commands.md"
_WIDTH = 100


def render() -> str:
    """The whole reference."""
    parent = click.Context(
        accesstrail,
        info_name="accesstrail",
        max_content_width=_WIDTH,
        terminal_width=_WIDTH,
        help_option_names=["-h", "--help"],
    )
    parts = [
        "# Commands\n\nGenerated from `--help` by `python -m tests.golden.make_commands`.\n",
        f"```text\n{accesstrail.get_help(parent)}\n```\n",
    ]
    for name in COMMANDS:
        command = accesstrail.get_command(parent, name)
        assert command is not None, name
        parts += _sections(command, name, parent, "##")
    return "\n".join(parts)


def _sections(command: click.Command, name: str, parent: click.Context, mark: str) -> Iterator[str]:
    """A command's help and, one level down, those of its own commands."""
    context = click.Context(command, info_name=name, parent=parent, terminal_width=_WIDTH)
    yield f"{mark} {context.command_path}\n\n```text\n{_help(command, name, parent)}\n```\n"
    for inner_name, inner in command.commands.items() if isinstance(command, click.Group) else ():
        yield from _sections(inner, inner_name, context, mark + "#")


def _help(command: click.Command, name: str, parent: click.Context) -> str:
    context = click.Context(command, info_name=name, parent=parent, max_content_width=_WIDTH, terminal_width=_WIDTH)
    return command.get_help(context)


if __name__ == "__main__":
    if "--print" in sys.argv:
        sys.stdout.write(render())
    else:
        PATH.write_text(render(), encoding="utf-8")
