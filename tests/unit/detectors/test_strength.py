"""What model and rules come to together: a rule is a floor, and half of it adds to the model."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.strength import MAX_RISK, PRESSED_FROM, pressed, risk_of, strength, strength_of
from pipeline.stages.decide import severity

LEVELS, FLOORS = st.integers(0, 60_000), st.integers(0, 9500)


def arrays(level: int, floor: int) -> tuple[np.ndarray, np.ndarray]:
    return np.array([level], np.uint16), np.array([floor], np.uint16)


@given(LEVELS, FLOORS)
def test_arrays_and_single_events_agree_and_nothing_overflows(level: int, floor: int) -> None:
    assert strength(*arrays(level, floor)).tolist() == [strength_of(level, floor)]
    assert risk_of(*arrays(level, floor)).tolist() == [pressed(strength_of(level, floor))]


@given(LEVELS, FLOORS)
def test_neither_a_rule_nor_the_model_lowers_what_the_other_says(level: int, floor: int) -> None:
    assert strength_of(level, floor) >= max(level, floor)
    assert risk_of(*arrays(level, floor))[0] >= pressed(max(level, floor)) >= min(PRESSED_FROM, max(level, floor))


@given(LEVELS, FLOORS, st.integers(0, 500))
def test_more_of_either_is_never_less(level: int, floor: int, more: int) -> None:
    assert strength_of(level + more, floor) >= strength_of(level, floor)
    assert strength_of(level, floor + more) >= strength_of(level, floor)


def test_two_who_agree_weigh_more_than_one() -> None:
    assert strength_of(8000, 0) == strength_of(0, 8000) == 8000
    assert strength_of(8000, 3000) == 9500
    assert strength_of(6000, 8000) == 10_000


def test_a_rule_that_the_model_does_not_second_is_a_floor_and_no_more() -> None:
    """A rule holds on many ordinary days of a company that its author never saw."""
    assert strength_of(3000, 8000) == strength_of(4000, 8000) == 8000


def test_what_history_lowered_to_the_least_adds_nothing() -> None:
    assert strength_of(4000, 1) == 4000, "a floor that history lowered to the least adds nothing"


def test_risk_is_the_strength_until_severity_has_no_more_steps() -> None:
    assert [pressed(together) for together in (0, 3500, 9500, PRESSED_FROM)] == [0, 3500, 9500, PRESSED_FROM]
    assert severity(pressed(PRESSED_FROM), 2, explained=False) == severity(9999, 2, explained=False)
    assert severity(pressed(PRESSED_FROM - 1), 2, explained=False) != severity(9999, 2, explained=False)


def test_of_two_beyond_the_strangest_of_a_hundred_thousand_the_stronger_has_the_higher_risk() -> None:
    """Nothing ends at 100: what ranks by risk alone keeps the order of the strongest."""
    risks = [pressed(together) for together in (9_800, 10_000, 10_500, 11_000, 12_000, 15_000, 20_000, 30_000, 64_750)]
    assert risks == sorted(set(risks))
    assert risks[-1] < MAX_RISK


@given(st.integers(0, 64_750), st.integers(0, 2000))
def test_risk_never_falls_where_the_strength_rises(together: int, more: int) -> None:
    assert pressed(together) <= pressed(together + more) < MAX_RISK
    assert pressed(together) <= together
