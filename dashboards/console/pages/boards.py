"""Boards: the list of them, one with its range and whom it is about, and each of its panels as a part of its own.

Place in the flow: the definitions that Grafana shows too (`dashboards/panels`), asked on the server. A panel whose rows
name accounts, or of a board about somebody, is evidence behind the read trail; opening somebody's board is told as a
question about them before any panel is. A name that is typed becomes a token here and never an address.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from dashboards.console.pages.actor import token_in_path
from dashboards.console.pages.overview import is_evidence, panel_of, panel_page
from dashboards.console.pages.search import subject_ids, typed_time
from dashboards.console.visit import Answer, Evidence, Fields, Page, Redirect, Visit
from dashboards.panels.asked import LONGEST_RANGE, Asked, values_of
from dashboards.panels.boards import BOARDS, board
from dashboards.panels.panel import Board, Column, Panel, Parameter
from pipeline.errors import UsageError

HEALTH = "pipeline-health"
RANGES_S = (3_600, 6 * 3_600, 86_400, 7 * 86_400, 30 * 86_400, 90 * 86_400)
"""Ranges that can be chosen; times of one's own go before."""
STEP_S = 10
"""A range ends now, in steps of this, so that viewers of the same moment ask the same question."""
_MOST_CHOICES = 100
_LONGEST_ID = 512


def needs(one: Board) -> str:
    """The action of the matrix that looking at a board takes; its panels may take more."""
    return "read_status" if one.uid == HEALTH else "search_evidence" if one.parameters else "read_incidents"


def list_page(visit: Visit) -> Answer:
    """Every board that the viewer may open."""
    return Page("boards.html", {"title": "boards.title", "boards": [one for one in BOARDS if visit.may(needs(one))]})


def board_page(visit: Visit) -> Answer:
    """One board; where it is about somebody, the question about whom."""
    return _page(visit, _board(visit))


def about_page(visit: Visit) -> Answer:
    """The board of somebody: told as a question about them, its panels follow."""
    one, token = _board(visit), token_in_path(visit)
    parameter = _parameter(one)
    return Evidence(
        page=_page(visit, one, token), look=parameter.name, rows=0, about=f"{parameter.name}:{token}",
        subject_ids=_subject_ids(visit, parameter, token), case_ref=visit.kept.ticket,
        fingerprint=_fingerprint(one, None, token, range_of(visit, one)),
    )  # fmt: skip


def _page(visit: Visit, one: Board, token: str = "") -> Page:
    asked = range_of(visit, one)
    chosen = _chosen(visit.query, one)
    query = urlencode({name: text for name, text in chosen.items() if text})
    base = f"/boards/{one.uid}/of/{token}" if token else f"/boards/{one.uid}"
    shown = [] if one.parameters and not token else [
        (panel, f"{base}/{'panels' if _is_told(one, panel) else 'figures'}/{panel.uid}?{query}", _is_told(one, panel))
        for panel in one.panels if not _is_told(one, panel) or visit.may("search_evidence")
    ]  # fmt: skip
    values = {
        "title": "boards.title", "board": one, "token": token, "panels": shown, "chosen": chosen, "query": query,
        "ranges": RANGES_S, "asked": asked, "base": base, "is_moving": not chosen["from"] and not chosen["until"],
        "own_page": f"/{'actors' if one.uid == 'actor' else 'subjects'}/{token}" if token else "",
    }  # fmt: skip
    return Page("board.html", values)


def ask(visit: Visit) -> Answer:
    """An id or a token that was typed or chosen becomes an address."""
    one = _board(visit)
    parameter = _parameter(one)
    typed = visit.form.text("who", longest=_LONGEST_ID + 3) or visit.form.text("choice", longest=_LONGEST_ID + 3)
    named = visit.parts.evidence.named(parameter.name, typed)
    if named.identifier and parameter.name == "subject":
        visit.kept.remember(named.tokens[0], named.identifier)
    chosen = _chosen(visit.form, one)
    query = urlencode({name: text for name, text in chosen.items() if text})
    return Redirect(f"/boards/{one.uid}/of/{named.tokens[0]}?{query}")


def choices(visit: Visit) -> Answer:
    """Whom the board may be about, as the board itself knows: tokens, so behind the read trail."""
    one = _board(visit)
    parameter = _parameter(one)
    if not parameter.choices:
        raise UsageError("there is no such panel", code="no_panel")
    found = visit.parts.panels.run(_choices_of(parameter), values_of(one, range_of(visit, one)))
    tokens = [str(row[0]) for row in found.rows]
    template = "board_choices.html" if visit.is_fragment else "board_choices_page.html"
    page = Page(template, {"title": "boards.title", "tokens": tokens, "parameter": parameter, "board": one})
    return Evidence(page=page, look="panel", rows=len(tokens), about=f"{one.uid}/choices")


def _choices_of(parameter: Parameter) -> Panel:
    label = parameter.label
    return Panel(
        uid=f"choices-{parameter.name}", title=label, question=label, decision=label, sql=parameter.choices,
        view="table", columns=(Column(parameter.name, label, parameter.unit),), max_rows=_MOST_CHOICES,
    )  # fmt: skip


# -- panels


def figure(visit: Visit) -> Answer:
    """One panel that names nobody."""
    one = _board(visit)
    panel = panel_of(one, visit.path["panel"])
    if _is_told(one, panel):
        raise UsageError("there is no such figure", code="no_panel")
    page, _ = panel_page(visit, one, panel, range_of(visit, one), back=f"/boards/{one.uid}")
    return page


def evidence_panel(visit: Visit) -> Answer:
    """One panel whose rows name accounts."""
    one = _board(visit)
    panel = panel_of(one, visit.path["panel"])
    asked = range_of(visit, one)
    page, rows = panel_page(visit, one, panel, asked, back=f"/boards/{one.uid}")
    about, print_ = f"{one.uid}/{panel.uid}", _fingerprint(one, panel, "", asked)
    return Evidence(page=page, look="panel", rows=rows, about=about, fingerprint=print_)


def about_panel(visit: Visit) -> Answer:
    """One panel of the board of somebody."""
    one, token = _board(visit), token_in_path(visit)
    parameter = _parameter(one)
    panel = panel_of(one, visit.path["panel"])
    asked = range_of(visit, one, {parameter.name: token})
    page, rows = panel_page(visit, one, panel, asked, back=f"/boards/{one.uid}/of/{token}")
    return Evidence(
        page=page, look="panel", rows=rows, about=f"{one.uid}/{panel.uid} {parameter.name}:{token}",
        subject_ids=_subject_ids(visit, parameter, token), case_ref=visit.kept.ticket,
        fingerprint=_fingerprint(one, panel, token, asked),
    )  # fmt: skip


def _is_told(one: Board, panel: Panel) -> bool:
    """Whether looking at a panel is told: not on the board of the pipeline, which names no person."""
    return one.uid != HEALTH and (bool(one.parameters) or is_evidence(panel))


# -- what was asked


def _board(visit: Visit) -> Board:
    found = board(visit.path.get("uid", HEALTH))
    if found is None:
        raise UsageError("there is no such board", code="no_board")
    return found


def _parameter(one: Board) -> Parameter:
    if not one.parameters:
        raise UsageError("there is no such board", code="no_board")
    return one.parameters[0]


def _chosen(fields: Fields, one: Board) -> dict[str, str]:
    given = fields.text("range", longest=12)
    return {
        "range": given if given.isascii() and given.isdigit() and int(given) in RANGES_S else str(one.range_s),
        "from": fields.text("from", longest=32), "until": fields.text("until", longest=32),
    }  # fmt: skip


def range_of(visit: Visit, one: Board, parameters: Mapping[str, str] | None = None) -> Asked:
    """The range of the address: a length up to now, or times in the viewer's zone. Raises: UsageError."""
    chosen = _chosen(visit.query, one)
    now_us = visit.now_us // 1_000_000 // STEP_S * STEP_S * 1_000_000
    until_us = typed_time(visit, chosen["until"]) or now_us
    since_us = typed_time(visit, chosen["from"])
    until = datetime.fromtimestamp(until_us / 1e6, UTC)
    length = timedelta(seconds=int(chosen["range"]))
    since = datetime.fromtimestamp(since_us / 1e6, UTC) if since_us else until - length
    if not timedelta() < until - since <= LONGEST_RANGE:
        raise UsageError("a range ends after it begins and is not endless", code="bad_range")
    return Asked(since, until, visit.zone, parameters or {})


def _subject_ids(visit: Visit, parameter: Parameter, token: str) -> tuple[str, ...]:
    return subject_ids(visit, (token,)) if parameter.name == "subject" else ()


def _fingerprint(one: Board, panel: Panel | None, token: str, asked: Asked) -> str:
    """SHA-256 of the whole question."""
    question = [
        one.uid, panel.uid if panel else "", token, asked.since.isoformat(), asked.until.isoformat(), asked.zone
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(question).encode()).hexdigest()
