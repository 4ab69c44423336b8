"""What Grafana shows is what was reviewed."""

from __future__ import annotations

from tests.golden.make_grafana import FOLDER, files


def test_the_dashboards_are_those_that_were_reviewed() -> None:
    stored = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert stored == files(), "run: python -m tests.golden.make_grafana, and look at what changed"
