"""The risk of an incident: one detector never exceeds its own height, others add a bounded part, more is never less."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.incidents.risk import HIGHEST, MOST_FROM_OTHERS, incident_risk

RISKS = st.lists(st.integers(0, HIGHEST), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("risks", "expected"),
    [([], 0), ([0], 0), ([7000], 7000), ([7000, 6000], 7450), ([10_000, 10_000], 10_000), ([3000] * 40, 5000)],
)
def test_examples(risks: list[int], expected: int) -> None:
    assert incident_risk(risks) == expected


@given(RISKS)
def test_it_lies_between_the_highest_and_what_others_may_add(risks: list[int]) -> None:
    assert max(risks) <= incident_risk(risks) <= min(HIGHEST, max(risks) + MOST_FROM_OTHERS)


@given(RISKS, st.randoms(use_true_random=False))
def test_order_makes_no_difference(risks: list[int], random: object) -> None:
    shuffled = list(risks)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert incident_risk(shuffled) == incident_risk(risks)


@given(RISKS, st.data())
def test_a_detector_that_rises_or_joins_never_lowers_it(risks: list[int], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(risks) - 1))
    raised = [*risks[:place], data.draw(st.integers(risks[place], HIGHEST)), *risks[place + 1 :]]
    assert incident_risk(raised) >= incident_risk(risks)
    assert incident_risk([*risks, data.draw(st.integers(0, HIGHEST))]) >= incident_risk(risks)
