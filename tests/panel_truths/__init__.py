"""What every panel must answer, counted in plain Python: no SQL, no code of the panels."""

from __future__ import annotations

from tests.panel_truths import duties, people, pipeline, watching  # noqa: F401  each keeps its truths
from tests.panel_truths.counting import TRUTHS, Question

__all__ = ["TRUTHS", "Question"]
