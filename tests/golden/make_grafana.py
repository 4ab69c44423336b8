"""Writes tests/golden/grafana/: `python -m tests.golden.make_grafana`. Every board as Grafana's dashboard, in English;
the first also in Chinese, which differs in words only.

A test fails while a file is stale, so that a change of what people see in Grafana is seen by whoever reviews it.
"""

from __future__ import annotations

from pathlib import Path

from dashboards.grafana.build import as_text, dashboard
from dashboards.panels.boards import BOARDS

FOLDER = Path(__file__).resolve().parent / "grafana"
ZONE = "Asia/Shanghai"


def files() -> dict[str, str]:
    """Name of the file → its text."""
    english = {f"{board.uid}.en.json": as_text(dashboard(board, "en", zone=ZONE)) for board in BOARDS}
    return english | {f"{BOARDS[0].uid}.zh.json": as_text(dashboard(BOARDS[0], "zh", zone=ZONE))}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    made = files()
    for path in FOLDER.iterdir():
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
