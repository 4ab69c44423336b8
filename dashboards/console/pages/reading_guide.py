"""The help page: where to begin, the keyboard, the words, and what the viewer's roles allow."""

from __future__ import annotations

from dashboards.console.visit import Page, Visit
from pipeline.accounts.permissions import ACTIONS, ROLES


def help_page(visit: Visit) -> Page:
    """Help; the permissions come from the one matrix."""
    allowed = [action for name, action in ACTIONS.items() if visit.may(name)]
    roles = [(name, ROLES[name]) for name in sorted(visit.who.roles)]
    return Page("help.html", {"title": "help.title", "roles": roles, "allowed": allowed})
