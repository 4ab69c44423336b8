"""Pages that say why something is not shown or not done: one template, a code, words of the viewer.

Place in the flow: made by `guard.py` from an error of our tree or from a refusal of its own.
"""

from __future__ import annotations

import re

from dashboards.console.outages import KAFKA, SLOW, STORE, dependency_of
from dashboards.console.visit import Page, Visit
from dashboards.console.words import WORDS, Language, said
from pipeline.errors import AccesstrailError, Away, Forbidden, StoreRefused, UsageError
from pipeline.health.troubles import TROUBLES

TEMPLATE = "error.html"
_GENERIC = frozenset({Forbidden.code, UsageError.code})
"""Codes that say nothing beyond the sentence."""
_SECONDS = re.compile(r"([0-9]+) s$")
_NOT_THERE = frozenset({"no_incident", "no_panel", "no_board", "no_channel"})


def plain_error(status: int, code: str, *values: str) -> Page:
    """A page of the words `error.<code>`."""
    return Page(TEMPLATE, _values(code, f"error.{code}", *values), status)


def _values(code: str, key: str, *values: str) -> dict[str, object]:
    return {"code": code, "key": key, "values": values, "since_us": 0, "is_away": False}


def not_done(error: AccesstrailError, visit: Visit) -> Page:
    """The page of an error that a handler or what it asked has raised."""
    if isinstance(error, Away):
        return away_page(error.code, visit)
    if isinstance(error, StoreRefused):
        return plain_error(502, "store_refused")
    if isinstance(error, Forbidden):
        if error.code == "login_refused":
            return Page(TEMPLATE, _values(error.code, "login.refused"), 403)
        return Page(TEMPLATE, _values(error.code, "error.refused", refusal(error, visit.language)), 403)
    if isinstance(error, UsageError):
        if f"error.{error.code}" in WORDS:
            return plain_error(404 if error.code in _NOT_THERE else 400, error.code)
        return Page(TEMPLATE, _values(error.code, "error.refused", refusal(error, visit.language)), 400)
    raise error


def refusal(error: Forbidden | UsageError, language: Language) -> str:
    """Why something is refused, in words: English as the layer below says it, Chinese by its code."""
    if error.code == "login_refused":
        return said("login.refused", language)
    if error.code == "login_locked" and (found := _SECONDS.search(str(error))):
        return said("login.locked", language, found[1])
    if language == "en" or error.code in _GENERIC:
        return str(error)
    key = f"error.{error.code}"
    if key in WORDS:
        return said(key, language)
    return TROUBLES[error.code].chinese if error.code in TROUBLES else str(error)


def away_page(code: str, visit: Visit) -> Page:
    """What is missing and since when; the page asks again by itself."""
    if code == SLOW:  # it answers, and asking again by itself would only make it slower
        return plain_error(503, code)
    dependency = dependency_of(code)
    since_us = visit.parts.outages.failed(dependency, visit.now_us)
    key = f"error.away.{dependency if dependency in (STORE, KAFKA) else 'accounts'}"
    return Page(TEMPLATE, {"code": code, "key": key, "values": (), "since_us": since_us, "is_away": True}, 503)
