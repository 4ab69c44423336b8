"""A newcomer's way: `flow.py` fits a screen, and following an event never leads into the transport."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
SCREEN_LINES = 120


def _imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def test_flow_fits_a_screen() -> None:
    assert len((ROOT / "pipeline" / "flow.py").read_text(encoding="utf-8").splitlines()) <= SCREEN_LINES


def test_nothing_that_an_event_passes_knows_the_transport() -> None:
    way = [ROOT / "pipeline" / name for name in ("flow.py", "batch.py", "reading.py")]
    way += (ROOT / "pipeline" / "stages").glob("*.py")
    assert len(way) > 10
    for path in way:
        assert not _imports(path) & {"pipeline.transport", "pipeline.app", "faust"}, path
