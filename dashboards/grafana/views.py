"""What a panel looks like in Grafana: type of panel, options, units, colours, links; classic schema, Grafana 10 to 13.

Place in the flow: called by `build.py` for each panel. Pure. Two views have no like in Grafana and become what does
the same job: a heat map of two texts is a table whose cells are coloured (Grafana's own needs times on the x axis), and
`state` is a row of coloured tiles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from dashboards.panels.boards import board
from dashboards.panels.panel import Colour, Column, Panel, Threshold, Unit, View, Words

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
Json = dict[str, Any]

TYPES: Mapping[View, str] = {
    "stat": "stat", "timeseries": "timeseries", "bars": "barchart", "table": "table", "heatmap": "table",
    "state": "stat", "text": "table",
}  # fmt: skip
UNITS: Mapping[Unit, str] = {
    # With separators: an auditor reads 12,432, not 12.4 K.
    "count": "locale", "percent": "percent", "risk": "none", "seconds": "s", "milliseconds": "ms", "bytes": "bytes",
    "per_second": "suffix:/s", "time": "dateTimeAsIso", "text": "string", "token": "string",
}  # fmt: skip
COLOURS: Mapping[Colour, str] = {"good": "green", "notice": "blue", "warning": "orange", "bad": "red"}
_TEXTS = ("text", "token")
_TOKEN_WIDTH = 290


def uid_of(board: str, language: Language) -> str:
    """The dashboard's uid. With the product's name before it: uids are one namespace for all of a Grafana."""
    return f"accesstrail-{board}" + ("" if language == "en" else f"-{language}")


def said(words: Words, language: Language) -> str:
    """The words in one language."""
    return words.en if language == "en" else words.zh


def options(panel: Panel) -> Json:
    """The panel's options by its view."""
    if panel.view in ("stat", "state"):
        return _tiles(panel)
    if panel.view == "timeseries":
        legend = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    if panel.view == "bars":
        return {
            # Which field names the bars is left to Grafana: its first text, which is ours too.
            "orientation": "horizontal", "showValue": "always", "stacking": "none", "fullHighlight": False,
            "xTickLabelRotation": 0, "xTickLabelMaxLength": 40, "barWidth": 0.97, "groupWidth": 0.7,
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
            "tooltip": {"mode": "single", "sort": "none"},
        }  # fmt: skip
    return {"frameIndex": 0, "showHeader": panel.view != "text", "cellHeight": "sm"}


def _tiles(panel: Panel) -> Json:
    """One number, or one coloured tile a row."""
    rows = panel.view == "state"
    chosen = {"values": True, "limit": panel.max_rows, "calcs": []} if rows else {"values": False, "calcs": ["last"]}
    return {
        "reduceOptions": chosen | {"fields": ""},
        "colorMode": "background" if panel.thresholds else "value",
        "graphMode": "none", "wideLayout": True, "showPercentChange": False, "percentChangeColorMode": "standard",
        "justifyMode": "auto", "orientation": "auto",
        "textMode": "value_and_name" if rows else "auto",
    }  # fmt: skip


def transformations(panel: Panel) -> list[Json]:
    """A heat map's rows of x, y, value become a matrix."""
    if panel.view != "heatmap":
        return []
    x, y, value = (one.name for one in panel.columns[:3])
    return [{"id": "groupingToMatrix", "options": {"columnField": x, "rowField": y, "valueField": value}}]


def field_config(panel: Panel, language: Language) -> Json:
    """Units, colours, names of columns and where a click leads."""
    defaults: Json = {
        "unit": UNITS[panel.unit], "noValue": said(panel.empty, language),
        "thresholds": {"mode": "absolute", "steps": list(_steps(panel.thresholds))},
        "color": {"mode": _colour_mode(panel)},
    }  # fmt: skip
    custom = _custom(panel)
    if custom:
        defaults["custom"] = custom
    if panel.view == "timeseries" and any(one.name == "series" for one in panel.columns):
        defaults["displayName"] = "${__field.labels.series}"
    if panel.view != "table":
        # A bar or a tile is one field: whichever column of its row leads on, a click on it does.
        links = [link for column in panel.columns for link in _links(column, panel, language)]
        if links:
            defaults["links"] = links
    named = panel.view in ("bars", "table", "text") or (panel.view == "stat" and len(panel.columns) > 1)
    overrides = [_override(one, panel, language) for one in panel.columns] if named else []
    return {"defaults": defaults, "overrides": overrides}


def _steps(thresholds: tuple[Threshold, ...]) -> Iterator[Json]:
    """Grafana's first step is whatever lies below: good where the first threshold tells of something worse."""
    yield {"value": None, "color": "green" if thresholds and thresholds[0].colour != "good" else "text"}
    for one in thresholds:
        yield {"value": one.value, "color": COLOURS[one.colour]}


def _colour_mode(panel: Panel) -> str:
    if panel.view == "heatmap" and not panel.thresholds:
        return "continuous-BlYlRd"
    return "thresholds" if panel.thresholds or panel.view in ("stat", "state") else "palette-classic"


def _custom(panel: Panel) -> Json:
    if TYPES[panel.view] == "table":
        cells = {"cellOptions": {"type": "color-background", "mode": "basic"}} if panel.view == "heatmap" else {}
        return {"align": "auto", "inspect": False} | cells
    if panel.view == "timeseries":
        # A gap is a gap: a line drawn over it would say that something was measured.
        return {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "spanNulls": False, "showPoints": "auto"}
    return {}


def _override(column: Column, panel: Panel, language: Language) -> Json:
    properties: list[Json] = [
        {"id": "displayName", "value": said(column.label, language)},
        {"id": "unit", "value": UNITS[column.unit]},
    ]
    if panel.view == "table":
        properties += _cell(column, panel, language)
    return {"matcher": {"id": "byName", "options": column.name}, "properties": properties}


def _cell(column: Column, panel: Panel, language: Language) -> Iterator[Json]:
    if any(column.name.endswith(f"_{other}") for other in LANGUAGES if other != language):
        yield {"id": "custom.hidden", "value": True}
    if column.unit == "token":
        yield {"id": "custom.width", "value": _TOKEN_WIDTH}
    links = list(_links(column, panel, language))
    if links:
        yield {"id": "links", "value": links}
    if panel.thresholds and column.unit == panel.unit and column.unit not in _TEXTS:
        yield {"id": "custom.cellOptions", "value": {"type": "color-text"}}


def _links(column: Column, panel: Panel, language: Language) -> Iterator[Json]:
    """Another board with this row's values, in the same range of time."""
    if column.drill is None:
        return
    units = {one.name: one.unit for one in panel.columns}
    chosen = "".join(
        # Percent-encoded, since an actor's role or a resource may hold anything.
        f"&var-{name}=${{__data.fields.{source}{'' if units.get(source) in _TEXTS else '.numeric'}:percentencode}}"
        for name, source in column.drill.parameters
    )
    target = board(column.drill.board)
    title = f"{said(column.label, language)} → {said(target.title, language) if target else column.drill.board}"
    yield {"title": title, "url": f"/d/{uid_of(column.drill.board, language)}?${{__url_time_range}}{chosen}"}
