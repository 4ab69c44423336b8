"""The risk of an incident: the highest detector counts, the others add a bounded part, one noisy detector adds nothing.

Place in the flow: asked by the fold for every alert that joins. With m₁ ≥ m₂ ≥ … the highest risk that each *detector*
reached (hundredths, each at most its cap):

    risk = min(m₁ + MOST_FROM_OTHERS, 100 − (100 − m₁) · Π_{i≥2} (1 − mᵢ / 400))

Any number of alerts of one detector gives m₁ and no more. Monotone in every mᵢ, never above 100, the same in whatever
order alerts came. Whole numbers throughout: the same on every machine. Example: 70 beside 60 gives 74.5.
"""

from __future__ import annotations

from collections.abc import Iterable

MOST_FROM_OTHERS = 2000
"""Hundredths that all other detectors together may add."""
HIGHEST = 10_000
_PART = 4
"""A second detector of risk 100 closes a quarter of the distance to 100."""


def incident_risk(highest_by_detector: Iterable[int]) -> int:
    """Risk in hundredths, 0–10,000, from the highest risk of each detector (hundredths)."""
    first, *others = sorted(highest_by_detector, reverse=True) or [0]
    if not others:
        return first
    distance = HIGHEST - first
    for one in others:
        distance = distance * (_PART * HIGHEST - one) // (_PART * HIGHEST)
    return min(first + MOST_FROM_OTHERS, HIGHEST - distance)
