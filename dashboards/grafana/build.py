"""A board as a Grafana dashboard: classic JSON (schema version 41), which Grafana 10 to 13 read; the same every time.

Place in the flow: pure, from `dashboards/panels` to JSON; `provisioning.py` writes it to files, `publish.py` sends it.
One language a dashboard: Grafana has no words in two. Every dashboard asks its data source through `${datasource}`, so
the file may be imported anywhere; it is not editable, since the next publication would undo what was edited.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from dashboards.grafana.macros import ZONE, faults_of, grafana_sql
from dashboards.grafana.views import TYPES, Json, Language, field_config, options, said, transformations, uid_of
from dashboards.panels.panel import Board, Panel, Parameter

SCHEMA_VERSION = 41
PLUGIN = "grafana-clickhouse-datasource"
PLUGIN_VERSION = "4.15.0"
"""The oldest version of the plugin that our statements are meant for; it needs Grafana 11.6."""
TAG = "accesstrail"
"""On each of our dashboards; one without it is never written over."""
DATA_SOURCE_UID = "accesstrail-clickhouse"
DATA_SOURCE_NAME = "accesstrail"
_DATA_SOURCE = {"type": PLUGIN, "uid": "${datasource}"}
_COLUMNS = 12
_SECONDS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_OTHER_BOARDS = {"en": "Other boards", "zh": "其他看板"}
_SOURCE_LABEL = {"en": "Data source", "zh": "数据源"}
_DECISION = {"en": "What to do with it", "zh": "用途"}


def dashboard(board: Board, language: Language, *, zone: str) -> Json:
    """The dashboard of a board. `zone`: IANA name of the time zone whose days and hours count.

    Raises: ValueError: a panel that Grafana could not show as it is meant; nothing but a fault of ours.
    """
    built: Json = {
        "id": None,
        "uid": uid_of(board.uid, language),
        "title": said(board.title, language),
        "description": said(board.about, language),
        "tags": [TAG, f"{TAG}-{language}"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "timezone": zone,
        "time": {"from": f"now-{_duration(board.range_s)}", "to": "now"},
        "refresh": _duration(board.refresh_s),
        "timepicker": {},
        "graphTooltip": 1,
        "annotations": {"list": []},
        "links": [_board_list(language)],
        "templating": {"list": [*_variables(board.parameters, language, zone)]},
        "panels": [*_panels(board, language)],
    }
    faults = lint(built)
    if faults:
        raise ValueError(f"board {board.uid}: {'; '.join(faults)}")
    return built


def as_text(document: Json) -> str:
    """The file's text: keys in our order, Chinese as it is, one line feed at the end."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def lint(built: Json) -> list[str]:
    """What a viewer would miss: words, units, the data source, and SQL that Grafana would not fill."""
    variables = [one["name"] for one in built["templating"]["list"]]
    faults = [] if "datasource" in variables else ["no variable for the data source"]
    for one in built["templating"]["list"]:
        if one["type"] == "query":
            faults += [f"variable {one['name']}: {fault}" for fault in faults_of(one["query"], variables)]
    for panel in built["panels"]:
        faults += [f"panel {panel['id']} ({panel['title']}): {fault}" for fault in _panel_faults(panel, variables)]
    return faults


def _panel_faults(panel: Json, variables: Sequence[str]) -> Iterator[str]:
    for words in ("title", "description"):
        if not panel[words].strip():
            yield f"no {words}"
    if not panel["fieldConfig"]["defaults"]["unit"]:
        yield "no unit"
    if not panel["targets"]:
        yield "asks nothing"
    for target in panel["targets"]:
        if target["datasource"] != _DATA_SOURCE:
            yield "does not ask ${datasource}"
        yield from faults_of(target["rawSql"], variables)


def _duration(seconds: int) -> str:
    return next(f"{seconds // size}{letter}" for size, letter in _SECONDS if seconds % size == 0)


def _board_list(language: Language) -> Json:
    return {
        "title": _OTHER_BOARDS[language], "type": "dashboards", "icon": "external link", "tooltip": "", "url": "",
        "tags": [f"{TAG}-{language}"], "asDropdown": True, "targetBlank": False, "includeVars": False,
        "keepTime": True,
    }  # fmt: skip


def _variables(parameters: Sequence[Parameter], language: Language, zone: str) -> Iterator[Json]:
    yield {
        "name": "datasource", "label": _SOURCE_LABEL[language], "type": "datasource", "query": PLUGIN,
        "current": {"selected": False, "text": DATA_SOURCE_NAME, "value": DATA_SOURCE_UID},
        "hide": 0, "includeAll": False, "multi": False, "options": [], "refresh": 1, "regex": "",
    }  # fmt: skip
    # A constant: were it chosen, the days in SQL would differ from those on the axis, which are the dashboard's.
    yield {"name": ZONE, "type": "constant", "query": zone, "hide": 2, "current": _option(zone), "options": []}
    for one in parameters:
        yield _variable(one, parameters, language)


def _variable(one: Parameter, parameters: Sequence[Parameter], language: Language) -> Json:
    common = {"name": one.name, "label": said(one.label, language), "hide": 0, "current": _option(one.default)}
    if not one.choices:
        return common | {"type": "textbox", "query": one.default, "options": [_option(one.default)]}
    return common | {
        "type": "query", "datasource": _DATA_SOURCE, "query": grafana_sql(one.choices, parameters),
        # Asked again with the range; a token from elsewhere may be typed; the order is the statement's.
        "refresh": 2, "sort": 0, "allowCustomValue": True, "includeAll": False, "multi": False, "options": [],
        "regex": "",
    }  # fmt: skip


def _option(text: str) -> Json:
    return {"selected": True, "text": text, "value": text}


def _panels(board: Board, language: Language) -> Iterator[Json]:
    """Panels from left to right, a new line where the next does not fit."""
    x = y = line_height = 0
    for number, panel in enumerate(board.panels, start=1):
        if x + panel.width > _COLUMNS:
            x, y, line_height = 0, y + line_height, 0
        place = {"h": panel.height, "w": panel.width * 2, "x": x * 2, "y": y}
        yield _panel(number, panel, board, language) | {"gridPos": place}
        x, line_height = x + panel.width, max(line_height, panel.height)


def _panel(number: int, panel: Panel, board: Board, language: Language) -> Json:
    series = panel.view == "timeseries"
    built: Json = {
        "id": number,
        "type": TYPES[panel.view],
        "title": said(panel.title, language),
        "description": f"{said(panel.question, language)}\n\n"
        f"**{_DECISION[language]}**: {said(panel.decision, language)}",
        "datasource": _DATA_SOURCE,
        "targets": [_target(grafana_sql(panel.sql, board.parameters), series=series)],
        "options": options(panel),
        "fieldConfig": field_config(panel, language),
        "transformations": transformations(panel),
    }
    if series:
        # About as many points as the console draws; a bucket below ten seconds shows batches, not people.
        built |= {"maxDataPoints": 200, "interval": "10s"}
    return built


def _target(sql: str, *, series: bool) -> Json:
    return {
        "refId": "A", "datasource": _DATA_SOURCE, "editorType": "sql", "pluginVersion": PLUGIN_VERSION, "rawSql": sql,
        "format": 0 if series else 1, "queryType": "timeseries" if series else "table",
    }  # fmt: skip
