"""What model and rules come to together: the stronger and half the weaker, alike for arrays and one event."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.strength import MAX_RISK, risk_of, strength, strength_of

LEVELS, FLOORS = st.integers(0, 60_000), st.integers(0, 9500)


def arrays(level: int, floor: int) -> tuple[np.ndarray, np.ndarray]:
    return np.array([level], np.uint16), np.array([floor], np.uint16)


@given(LEVELS, FLOORS)
def test_arrays_and_single_events_agree_and_nothing_overflows(level: int, floor: int) -> None:
    assert strength(*arrays(level, floor)).tolist() == [strength_of(level, floor)]


@given(LEVELS, FLOORS)
def test_neither_a_rule_nor_the_model_lowers_what_the_other_says(level: int, floor: int) -> None:
    assert strength_of(level, floor) >= max(level, floor)
    assert risk_of(*arrays(level, floor))[0] >= min(MAX_RISK, max(level, floor))


@given(LEVELS, FLOORS, st.integers(0, 500))
def test_more_of_either_is_never_less(level: int, floor: int, more: int) -> None:
    assert strength_of(level + more, floor) >= strength_of(level, floor)
    assert strength_of(level, floor + more) >= strength_of(level, floor)


def test_two_who_agree_weigh_more_than_one() -> None:
    assert strength_of(8000, 0) == strength_of(0, 8000) == 8000
    assert strength_of(8000, 3000) == strength_of(3000, 8000) == 9500
    assert strength_of(4000, 1) == 4000, "a floor that history lowered to the least adds nothing"
