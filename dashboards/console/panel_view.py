"""One panel's answer as a page shows it: numbers in their unit, colours by threshold, series for the chart.

Place in the flow: between a `PanelAnswer` and `templates/panel.html`. Pure. Whatever a panel draws is there as a table
too, for readers who do not see the drawing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dashboards.console.words import WORDS, Language, said
from dashboards.panels.panel import Colour, Panel, Unit, Words
from pipeline.audit.panels import PanelAnswer

_SECOND_US = 1_000_000
_TOP = 100.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One value as it is shown. `at_us`: a time instead; `token`: a pseudonym instead; `share`: of the largest, %."""

    text: str
    colour: Colour | str = ""
    at_us: int = 0
    token: str = ""
    share: float = 0.0
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """A panel ready for its template. `chart`: what the script draws, None: nothing."""

    panel: Panel
    heads: Sequence[Words]
    rows: Sequence[Sequence[Cell]]
    chart: Mapping[str, Any] | None = None


def shown(panel: Panel, answer: PanelAnswer, language: Language, range_s: tuple[float, float]) -> Shown:
    """The panel with its answer. `range_s`: from when until when it was asked for, UTC seconds."""
    places = [answer.columns.index(column.name) for column in panel.columns]
    values = [[row[place] for place in places] for row in answer.rows]
    largest = max((abs(float(row[-1])) for row in values if _is_number(row[-1])), default=0.0)
    last = len(panel.columns) - 1
    rows = [
        [
            _cell(panel, column.unit, one, largest, language, is_last=number == last)
            for number, (column, one) in enumerate(zip(panel.columns, row, strict=True))
        ]
        for row in values
    ]
    chart = _chart(panel, answer, language, *range_s) if panel.view == "timeseries" and values else None
    return Shown(panel, [column.label for column in panel.columns], rows, chart)


def _cell(panel: Panel, unit: Unit, value: object, largest: float, language: Language, *, is_last: bool) -> Cell:
    if isinstance(value, datetime):
        return Cell("", at_us=round(value.timestamp() * _SECOND_US))
    if unit == "token":
        return Cell("", token=str(value or ""))
    if value is None:
        return Cell("–")
    if not _is_number(value):
        return Cell(_named(str(value), language))
    number = float(value)  # type: ignore[arg-type]  # asked just now
    counts = panel.unit if unit == "text" else unit
    colour = colour_of(panel, number) if is_last and panel.thresholds else ""
    share = _TOP * abs(number) / largest if largest else 0.0
    return Cell(in_unit(number, counts, language), colour, share=round(share, 1), is_number=True)


def colour_of(panel: Panel, number: float) -> Colour | str:
    """The colour of a value: that of the last threshold it reaches."""
    return next((one.colour for one in reversed(panel.thresholds) if number >= one.value), "")


def in_unit(number: float, unit: Unit, language: Language) -> str:
    """A number with its unit, as short as it can be read."""
    if unit == "percent":
        return f"{number:,.1f} %"
    if unit == "seconds":
        return _seconds(number, language)
    if unit == "milliseconds":
        return f"{number:,.0f} ms"
    if unit == "bytes":
        return _bytes(number)
    if unit == "per_second":
        return f"{number:,.1f}/s"
    return f"{number:,.0f}" if number == int(number) else f"{number:,.2f}"


def _seconds(number: float, language: Language) -> str:
    words = ("天", "小时", "分", "秒") if language == "zh" else ("d", "h", "min", "s")
    for size, word in zip((86_400, 3_600, 60), words, strict=False):
        if number >= 2 * size:
            return f"{number / size:,.1f} {word}"
    return f"{number:,.0f} {words[3]}" if number == int(number) else f"{number:,.1f} {words[3]}"


def _bytes(number: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(number) < 1024:
            return f"{number:,.0f} {unit}"
        number /= 1024
    return f"{number:,.1f} TiB"


def _named(name: str, language: Language) -> str:
    """A severity, an outcome or an action in the viewer's language; anything else as it is."""
    keys = (f"{kind}.{name}" for kind in ("severity", "outcome", "action", "explained"))
    return next((said(key, language) for key in keys if key in WORDS), name)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _chart(panel: Panel, answer: PanelAnswer, language: Language, since_s: float, until_s: float) -> Mapping[str, Any]:
    """Columns time, series, value as one line a series over common times (seconds), gaps as null."""
    time_at, series_at, value_at = (answer.columns.index(column.name) for column in panel.columns[:3])
    times = sorted({row[time_at].timestamp() for row in answer.rows})
    place = {at: number for number, at in enumerate(times)}
    lines: dict[str, list[float | None]] = {}
    for row in answer.rows:
        line = lines.setdefault(str(row[series_at]), [None] * len(times))
        line[place[row[time_at].timestamp()]] = row[value_at]
    names = [_named(one, language) for one in lines]
    return {"x": times, "names": names, "lines": list(lines.values()), "range": [since_s, until_s]}
