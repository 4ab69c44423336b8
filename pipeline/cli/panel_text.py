"""Panels as text for a terminal: tables aligned by display width, numbers with their unit, a mark for each threshold.

Place in the flow: below `dashboards.py`. Over SSH nobody sees colours: a number that thresholds speak of carries their
word instead. Tokens are printed in full, so that they can be given to `--set`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dashboards.panels.panel import Colour, Column, Panel, Words
from pipeline.audit.panels import PanelAnswer
from pipeline.cli.table import aligned

_MARKS: Mapping[Colour, Words] = {
    "good": Words("", ""), "notice": Words(" (notice)", "（注意）"), "warning": Words(" (warning)", "（警告）"),
    "bad": Words(" (bad)", "（严重）"),
}  # fmt: skip
_BYTES = ("B", "KiB", "MiB", "GiB", "TiB")


def panel_lines(panel: Panel, answer: PanelAnswer, zone: ZoneInfo, language: str) -> Iterator[str]:
    """One panel: its title, its question, its answer."""
    yield f"== {_of(panel.title, language)}"
    yield _of(panel.question, language)
    if not answer.rows:
        yield _of(panel.empty, language)
    elif panel.view == "stat":
        yield _shown(panel, panel.columns[0], answer.rows[0][0], zone, language)
    elif panel.view == "timeseries":
        yield from _crossed(panel, answer, (0, 1), zone, language)
    elif panel.view == "heatmap":
        yield from _crossed(panel, answer, (1, 0), zone, language)
    else:
        names = [_of(column.label, language) for column in panel.columns]
        cells = [[_shown(panel, column, value, zone, language)
                  for column, value in zip(panel.columns, row, strict=True)] for row in answer.rows]  # fmt: skip
        yield from aligned(names, cells)


def _crossed(panel: Panel, answer: PanelAnswer, axes: tuple[int, int], zone: ZoneInfo, language: str) -> Iterator[str]:
    """Rows down, columns across: times and series, weekdays and hours. What there is no row for is empty."""
    down, across = axes
    columns = list(dict.fromkeys(row[across] for row in answer.rows))
    if panel.view == "heatmap":
        columns.sort(key=int)
    found: dict[Any, dict[Any, Any]] = {}
    for row in answer.rows:
        found.setdefault(row[down], {})[row[across]] = row[2]
    head = [_of(panel.columns[down].label, language), *(str(name) or "-" for name in columns)]
    cells = [
        [
            _shown(panel, panel.columns[down], place, zone, language),
            *(_shown(panel, panel.columns[2], one[name], zone, language) if name in one else "" for name in columns),
        ]
        for place, one in found.items()
    ]
    yield from aligned(head, cells)


def _shown(panel: Panel, column: Column, value: Any, zone: ZoneInfo, language: str) -> str:  # noqa: ANN401
    text = _with_unit(column, value, zone)
    if column.unit != panel.unit or not isinstance(value, int | float):
        return text
    colour = panel.colour_of(value)
    return text + (_of(_MARKS[colour], language) if colour else "")


def _with_unit(column: Column, value: Any, zone: ZoneInfo) -> str:  # noqa: ANN401  any value of an answer
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    if not isinstance(value, int | float):
        return str(value)
    if column.unit == "percent":
        return f"{value:.1f} %"
    if column.unit == "risk":
        return f"{value:.0f}"
    if column.unit == "seconds":
        return str(timedelta(seconds=round(value)))
    if column.unit == "milliseconds":
        return f"{value:,.0f} ms"
    if column.unit == "bytes":
        return _bytes(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def _bytes(value: float) -> str:
    size = value
    for unit in _BYTES[:-1]:
        if abs(size) < 1024:
            return f"{size:,.0f} {unit}"
        size /= 1024
    return f"{size:,.1f} {_BYTES[-1]}"


def _of(words: Words, language: str) -> str:
    return words.zh if language == "zh" else words.en


def heading(words: Sequence[Words], asked_for: str, language: str) -> str:
    """A board's first line: its title, what it is about, the range."""
    return " · ".join([*(_of(one, language) for one in words), asked_for])
