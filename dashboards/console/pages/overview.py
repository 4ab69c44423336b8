"""The overview: the verdict in words, the gravest incidents, and the panels of the board soc-overview.

Place in the flow: the first page of everybody. The verdict is there at the first paint and then lives by server-sent
events; panels come after the page, each by itself. Panels whose rows name accounts are evidence and go behind the read
trail; figures do not and are asked again by themselves.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dashboards.console.live import verdict_values
from dashboards.console.panel_view import shown
from dashboards.console.visit import Answer, Evidence, Page, Stream, Visit
from dashboards.panels import soc_overview
from dashboards.panels.asked import Asked, values_of
from dashboards.panels.panel import Board, Panel
from pipeline.errors import UsageError

BOARD = soc_overview.BOARD
STEP_S = BOARD.refresh_s
"""The end of the range moves in steps of this: all who look between two turns of the page ask the same question."""


def overview_page(visit: Visit) -> Answer:
    """The page, before any panel has answered."""
    sees = visit.may("read_incidents")
    values = verdict_values(visit.live.fresh(), visit.language, sees_incidents=sees)
    panels = [(one, is_evidence(one)) for one in BOARD.panels] if sees else []
    return Page("overview.html", {**values, "title": "overview.title", "panels": panels, "board": BOARD})


def live(visit: Visit) -> Answer:
    """The stream behind the page."""
    return Stream("verdict")


def figure(visit: Visit) -> Answer:
    """One panel that names nobody."""
    panel = panel_of(BOARD, visit.path["uid"])
    if is_evidence(panel):
        raise UsageError("there is no such figure", code="no_panel")
    page, _ = panel_page(visit, BOARD, panel, newest(visit, BOARD), back="/overview")
    return page


def evidence_panel(visit: Visit) -> Answer:
    """One panel whose rows name accounts."""
    panel = panel_of(BOARD, visit.path["uid"])
    page, rows = panel_page(visit, BOARD, panel, newest(visit, BOARD), back="/overview")
    return Evidence(page=page, look="panel", rows=rows, about=f"{BOARD.uid}/{panel.uid}")


# -- for every page that shows panels


def panel_of(board: Board, uid: str) -> Panel:
    """The panel of a board. Raises: UsageError: there is none."""
    found = next((one for one in board.panels if one.uid == uid), None)
    if found is None:
        raise UsageError("there is no such panel", code="no_panel")
    return found


def is_evidence(panel: Panel) -> bool:
    """Whether its rows name accounts, subjects or single accesses."""
    return any(column.unit in ("token", "time") for column in panel.columns) and panel.view != "timeseries"


def newest(visit: Visit, board: Board) -> Asked:
    """The board's own range up to now."""
    now_s = visit.now_us // 1_000_000 // STEP_S * STEP_S
    until = datetime.fromtimestamp(now_s, UTC)
    return Asked(until - timedelta(seconds=board.range_s), until, visit.zone)


def panel_page(visit: Visit, board: Board, panel: Panel, asked: Asked, back: str) -> tuple[Page, int]:
    """The part of a page that shows a panel over a range, and how many rows it shows. `back`: where it belongs."""
    answer = visit.parts.panels.run(panel, values_of(board, asked))
    view = shown(panel, answer, visit.language, (asked.since.timestamp(), asked.until.timestamp()), visit.may)
    template = "panel.html" if visit.is_fragment else "panel_page.html"
    return Page(template, {"shown": view, "panel": panel, "title": "overview.title", "back": back}), len(answer.rows)
