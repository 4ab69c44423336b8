"""One panel's answer as a page shows it: numbers in their unit, colours by threshold, series for the chart.

Place in the flow: between a `PanelAnswer` and `templates/panel.html`. Pure. Whatever a panel draws is there as a table
too, for readers who do not see the drawing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dashboards.console.code_names import DEAD_LETTERS, title_of
from dashboards.console.words import LANGUAGES, WORDS, Language, said
from dashboards.panels.panel import Colour, Column, Panel, Unit, Words
from pipeline.audit.panels import PanelAnswer
from pipeline.incidents.words import VERDICTS
from pipeline.own_reasons import in_chinese

_SECOND_US = 1_000_000
_TOP = 100.0
_LEVELS = 5
_EXPLANATION = "explanation_"
_ANY = ("severity", "outcome", "action", "explained", "series")
_KINDS: Mapping[str, tuple[str, ...]] = {
    "severity_word": ("severity",), "action_word": ("action",), "outcome": ("outcome",), "state": ("state",),
    "verdict": ("explained",), "first_verdict": ("explained",), "status": ("actor_status",), "network": ("network",),
    "actor_type": ("actor_type",), "kind": ("actor_type", "change", "record"), "approved": ("answer",),
    "ticket": ("answer",), "flags": ("flag",), "basis": ("basis",), "recipient_kind": ("recipient",),
    "label": _ANY, "series": _ANY, "y": ("weekday",),
}  # fmt: skip
"""Which words a column's values may be, by the column's name."""
_CODED = frozenset({"detector", "why", "label", "series"})
"""Columns that hold codes of detectors or reasons, one or several behind commas."""
_PAGES: Mapping[str, tuple[str, str]] = {
    "actor": ("/actors/", "search_evidence"), "subject-audit": ("/subjects/", "search_evidence"),
    "incident-response": ("/incidents", "read_incidents"),
}  # fmt: skip
"""Where a drill to a board leads in the console, and the action of the matrix that the page takes."""

May = Callable[[str], bool]
"""Whether the viewer may do an action of the matrix."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One value as it is shown. `at_us`: a time instead; `token`: a pseudonym instead; `share`: of the largest, %.

    `to`: where a click leads, "" nowhere; `code`: what the text stands for; `level`: shade of a heat map, 0 none.
    """

    text: str
    colour: Colour | str = ""
    at_us: int = 0
    token: str = ""
    share: float = 0.0
    is_number: bool = False
    to: str = ""
    code: str = ""
    level: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """A panel ready for its template. `chart`: what the script draws, None: nothing.

    Of a heat map `rows` are its lines, each headed by its name, and `columns` the names above them.
    """

    panel: Panel
    heads: Sequence[Words]
    rows: Sequence[Sequence[Cell]]
    chart: Mapping[str, Any] | None = None
    columns: Sequence[str] = ()


def _nobody(_action: str) -> bool:
    return False


def shown(
    panel: Panel, answer: PanelAnswer, language: Language, range_s: tuple[float, float], may: May = _nobody
) -> Shown:
    """The panel with its answer. `range_s`: from when until when it was asked for, UTC seconds; `may`: links follow."""
    # An explanation comes in both languages: the viewer's is shown.
    said_in = [f"{_EXPLANATION}{one}" for one in LANGUAGES if one != language]
    columns = [one for one in panel.columns if one.name not in said_in]
    places = [answer.columns.index(column.name) for column in columns]
    values = [[row[place] for place in places] for row in answer.rows]
    if panel.view == "heatmap":
        return _heat_map(panel, values, language)
    largest = max((abs(float(row[-1])) for row in values if _is_number(row[-1])), default=0.0)
    last = len(columns) - 1
    rows = [
        [
            _linked(
                _cell(panel, column, one, largest, language, is_last=number == last),
                column, dict(zip(answer.columns, whole, strict=True)), may,
            )
            for number, (column, one) in enumerate(zip(columns, row, strict=True))
        ]
        for row, whole in zip(values, answer.rows, strict=True)
    ]  # fmt: skip
    chart = _chart(panel, answer, language, *range_s) if panel.view == "timeseries" and values else None
    return Shown(panel, [column.label for column in columns], rows, chart)


def _linked(cell: Cell, column: Column, row: Mapping[str, Any], may: May) -> Cell:
    """The cell with the page it leads to, where the viewer may open that."""
    if column.name == "incident":
        is_one = bool(row["incident"]) and may("read_incidents")
        return replace(cell, text=str(row["incident"])[:8], to=f"/incidents/{row['incident']}") if is_one else cell
    if column.drill is None:
        return cell
    page, action = _PAGES.get(column.drill.board, (f"/boards/{column.drill.board}", "read_incidents"))
    if not may(action):
        return cell
    if not column.drill.parameters:
        return replace(cell, to=page)
    named = str(row.get(column.drill.parameters[0][1]) or "")
    return replace(cell, to=page + named) if named else cell


def _heat_map(panel: Panel, values: Sequence[Sequence[Any]], language: Language) -> Shown:
    """Lines of y by columns of x; numbers are sorted as numbers."""
    found = {(str(y), str(x)): float(value) for x, y, value in values}
    highest = max(found.values(), default=0.0)
    across, down = (_in_order({key[place] for key in found}) for place in (1, 0))
    rows = [
        [Cell(_in_words("y", y, language).text)]
        + [_heat(panel, found.get((y, x), 0.0), highest, language) for x in across]
        for y in down
    ]
    return Shown(panel, (), rows, columns=across)


def _in_order(names: set[str]) -> list[str]:
    return sorted(names, key=lambda name: (int(name) if name.isdecimal() else -1, name))


def _heat(panel: Panel, number: float, highest: float, language: Language) -> Cell:
    level = max(1, round(_LEVELS * number / highest)) if number > 0 else 0
    return Cell(in_unit(number, panel.unit, language), is_number=True, level=level)


def _cell(panel: Panel, column: Column, value: object, largest: float, language: Language, *, is_last: bool) -> Cell:
    unit = column.unit
    if isinstance(value, datetime):
        return Cell("", at_us=round(value.timestamp() * _SECOND_US))
    if unit == "token":
        return Cell("", token=str(value or ""))
    if value is None:
        return Cell("–")
    if not _is_number(value):
        return _in_words(column.name, str(value), language)
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


def _in_words(column: str, value: str, language: Language) -> Cell:
    """A word or a code in the viewer's language, as far as the column may hold such; anything else as it is."""
    if column in ("verdict", "first_verdict") and value in VERDICTS:
        return Cell(VERDICTS[value][LANGUAGES.index(language)], code=value)
    if column == "reason":
        return _reason(value, language)
    kinds = _KINDS.get(column, ())
    told = [_word(kinds, column, one, language) for one in value.split(", ")]
    text = ("；" if language == "zh" else "; " if column == "why" else ", ").join(told)
    return Cell(text, code=value) if told != value.split(", ") else Cell(value)


def _reason(value: str, language: Language) -> Cell:
    """Why a record was refused, or why something was changed: in words where accesstrail itself gave the reason."""
    title = DEAD_LETTERS.get(value)
    if title is not None:
        return Cell(title.zh if language == "zh" else title.en, code=value)
    return Cell(in_chinese(value) if language == "zh" else value)


def _word(kinds: Sequence[str], column: str, value: str, language: Language) -> str:
    title = title_of(value) if column in _CODED else None
    if title is not None:
        return title.zh if language == "zh" else title.en
    return next((said(key, language) for kind in kinds if (key := f"{kind}.{value}") in WORDS), value)


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
    names = [_in_words("series", one, language).text for one in lines]
    return {"x": times, "names": names, "lines": list(lines.values()), "range": [since_s, until_s]}
