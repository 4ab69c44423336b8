"""`accesstrail dashboards`: the boards that the console and Grafana show, listed, and answered on a terminal.

Place in the flow: beside it. Boards are defined in `dashboards/panels`; panels are asked as the role reader, with
values bound on the server. What a panel shows are tokens, never identities.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from dashboards.panels.asked import MOST_BUCKETS, Asked, values_of, zone_of
from dashboards.panels.boards import BOARDS, board
from dashboards.panels.panel import Board, Panel, Words
from pipeline.adapters.panel_reading import PanelReader, open_panel_reader
from pipeline.audit.panels import PanelAnswer
from pipeline.cli.grafana import diff_command, export_command, provision_command, publish_command
from pipeline.cli.incident_desk import language_option, reading_options
from pipeline.cli.options import moment
from pipeline.cli.panel_text import heading, panel_lines
from pipeline.cli.table import aligned
from pipeline.config import Settings
from pipeline.errors import EXIT_OK, UsageError

_TEXT_BUCKETS = 24
"""A terminal shows a line a bucket of time."""
_HEADS = {"en": ("board", "title", "panels", "about"), "zh": ("看板", "名称", "面板数", "用途")}


@click.group("dashboards")
def dashboards_command() -> None:
    """Show the boards of console and Grafana, put them into Grafana; each panel answers a question somebody acts on."""


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


@dashboards_command.command("show")
@click.argument("name", metavar="BOARD", type=click.Choice([one.uid for one in BOARDS]))
@reading_options
@click.option("--panel", "uids", multiple=True, metavar="UID", help="Only this panel; may be repeated.")
@click.option("--from", "since", callback=moment, metavar="TIME", help="From then on.  [default: the board's range]")
@click.option("--to", "until", callback=moment, metavar="TIME", help="Until then, excluded.  [default: now]")
@click.option("--zone", default="UTC", show_default=True, metavar="NAME", help="Whose days and hours count.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A parameter of the board, e.g. actor=TOKEN.")
def show_command(
    settings: Settings, name: str, uids: Sequence[str], since: datetime | None, until: datetime | None, zone: str,
    given: Sequence[str], language: str, *, as_json: bool,
) -> int:  # fmt: skip
    """Show a board's panels as text: what the console and Grafana draw.

    With --json one object a panel, with every row, the rows the store read, and the milliseconds it took.

    \b
    Examples:
      accesstrail dashboards show soc-overview --state ./state
      accesstrail dashboards show incident-response --panel to-do --language zh --state ./state
      accesstrail dashboards show actor --set actor=00112233445566778899aabbccddeeff --state ./state
      accesstrail dashboards show partners --from 2026-11-01 --to 2026-12-01 --zone Asia/Shanghai --state ./state

    Exit codes: 0 shown, 2 no such panel, parameter or zone, 69 unreachable.
    """
    one = board(name)
    assert one is not None  # noqa: S101  the argument's choices are the boards
    last = until or datetime.now(UTC)
    first = since or last - timedelta(seconds=one.range_s)
    asked = Asked(first, last, zone, dict(_pair(text) for text in given))
    values = values_of(one, asked, MOST_BUCKETS if as_json else _TEXT_BUCKETS)
    panels = _chosen(one, uids)
    if not as_json:
        days = " – ".join(at.astimezone(zone_of(zone)).strftime("%Y-%m-%d %H:%M") for at in (first, last))
        click.echo(heading((one.title, one.about), f"{days} {zone}", language))
    with closing(open_panel_reader(settings.clickhouse)) as reader:
        for line in _lines(reader, panels, values, asked, language, as_json=as_json):
            click.echo(line)
    return EXIT_OK


def _lines(
    reader: PanelReader, panels: Sequence[Panel], values: Mapping[str, object], asked: Asked, language: str, *,
    as_json: bool,
) -> Iterator[str]:  # fmt: skip
    for panel in panels:
        answer = reader.run(panel, values)
        if as_json:
            yield json.dumps(_document(panel, answer), ensure_ascii=False)
        else:
            yield ""
            yield from panel_lines(panel, answer, zone_of(asked.zone), language)


def _chosen(one: Board, uids: Sequence[str]) -> Sequence[Panel]:
    """The panels named, in the board's order; all where none is."""
    known = [panel.uid for panel in one.panels]
    if set(uids) - set(known):
        raise UsageError(f"the board {one.uid} has the panels {', '.join(known)}")
    return [panel for panel in one.panels if panel.uid in uids or not uids]


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError("--set takes NAME=VALUE, e.g. actor=00112233445566778899aabbccddeeff")
    return name.strip(), value


def _document(panel: Panel, answer: PanelAnswer) -> dict[str, Any]:
    return {
        "panel": panel.uid, "title": _both(panel.title), "columns": list(answer.columns),
        "rows": [[_plain(value) for value in row] for row in answer.rows], "rows_read": answer.rows_read,
        "elapsed_ms": round(answer.elapsed_ms, 1),
    }  # fmt: skip


def _plain(value: Any) -> Any:  # noqa: ANN401  any value of an answer
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


def _both(words: Words) -> dict[str, str]:
    return {"en": words.en, "zh": words.zh}


for _command in (export_command, provision_command, publish_command, diff_command):
    dashboards_command.add_command(_command)
