"""`accesstrail dashboards`: the boards that the console and Grafana show.

Place in the flow: beside it. Boards are defined in `dashboards/panels`; this lists them.
"""

from __future__ import annotations

import json

import click

from dashboards.panels.boards import BOARDS
from dashboards.panels.panel import Words
from pipeline.cli.incident_desk import language_option
from pipeline.cli.table import aligned
from pipeline.errors import EXIT_OK

_HEADS = {"en": ("board", "title", "panels", "about"), "zh": ("看板", "名称", "面板数", "用途")}


@click.group("dashboards")
def dashboards_command() -> None:
    """Show the boards of console and Grafana: each panel answers one question that somebody acts on."""


@dashboards_command.command("list")
@language_option
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output.")
def list_command(language: str, *, as_json: bool) -> int:
    """List the boards; needs no running system.

    \b
    Examples:
      accesstrail dashboards list
      accesstrail dashboards list --language zh
    """
    if as_json:
        for one in BOARDS:
            document = {
                "board": one.uid, "title": _both(one.title), "about": _both(one.about),
                "panels": [panel.uid for panel in one.panels], "parameters": [given.name for given in one.parameters],
            }  # fmt: skip
            click.echo(json.dumps(document, ensure_ascii=False))
        return EXIT_OK
    cells = [[one.uid, getattr(one.title, language), len(one.panels), getattr(one.about, language)] for one in BOARDS]
    for line in aligned(_HEADS[language], cells):
        click.echo(line)
    return EXIT_OK


def _both(words: Words) -> dict[str, str]:
    return {"en": words.en, "zh": words.zh}
