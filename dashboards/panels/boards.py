"""All boards, in the order in which they are listed everywhere."""

from __future__ import annotations

from dashboards.panels import (
    actor,
    compliance,
    incident_response,
    partners,
    pipeline_health,
    soc_overview,
    subject_audit,
    unexplained_access,
)
from dashboards.panels.panel import Board

BOARDS: tuple[Board, ...] = (
    soc_overview.BOARD,
    incident_response.BOARD,
    unexplained_access.BOARD,
    actor.BOARD,
    subject_audit.BOARD,
    partners.BOARD,
    compliance.BOARD,
    pipeline_health.BOARD,
)


def board(uid: str) -> Board | None:
    """The board of that uid; None: there is none."""
    return next((one for one in BOARDS if one.uid == uid), None)
