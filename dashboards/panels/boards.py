"""All boards, in the order in which they are listed everywhere."""

from __future__ import annotations

from dashboards.panels.panel import Board

BOARDS: tuple[Board, ...] = ()


def board(uid: str) -> Board | None:
    """The board of that uid; None: there is none."""
    return next((one for one in BOARDS if one.uid == uid), None)
