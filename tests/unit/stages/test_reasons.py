"""Reasons of a batch equal those found event by event: rules, the largest surprisals, rules that history lowered."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.features import N_FEATURES
from pipeline.stages.assess import MAX_REASONS, MIN_SURPRISAL, WATCH_RISK, reasons_of

LEVELS = [0.0, 0.5, 0.99, 1.0, 1.5, 2.25]


def _one(surprise: list[float], risk: int, floors: list[int]) -> list[int]:
    if risk < WATCH_RISK:
        return []
    ranked = sorted(range(N_FEATURES), key=lambda index: (-surprise[index], index))[:MAX_REASONS]
    by_floor = sorted(range(len(floors)), key=lambda place: (-floors[place], place))
    why = [N_FEATURES + place for place in by_floor if floors[place] >= WATCH_RISK]
    held = [N_FEATURES + place for place in by_floor if 0 < floors[place] < WATCH_RISK]
    return [*why, *(index for index in ranked if surprise[index] >= MIN_SURPRISAL), *held]


@given(st.integers(0, 2**32 - 1), st.integers(0, 8), st.integers(0, 3))
def test_reasons_equal_those_found_event_by_event(seed: int, count: int, rules: int) -> None:
    drawn = np.random.default_rng(seed)
    rows = drawn.choice(LEVELS, (count, N_FEATURES)).tolist()  # few levels: many ties
    risks = drawn.choice([0, WATCH_RISK - 1, WATCH_RISK, 9000], count).tolist()
    floors = drawn.choice([0, 1, WATCH_RISK - 1, WATCH_RISK, 8000], (rules, count)).tolist()
    surprise = np.zeros((count, N_FEATURES + 3), np.float32)
    surprise[:, :N_FEATURES] = np.array(rows, np.float32).reshape(count, N_FEATURES)
    ends, reasons = reasons_of(surprise, np.array(risks, np.uint16), [np.array(one, np.uint16) for one in floors])
    found = [reasons[end - size : end].tolist() for end, size in zip(ends, np.diff(ends, prepend=0), strict=True)]
    expected = [_one(rows[row], risks[row], [one[row] for one in floors]) for row in range(count)]
    assert found == expected
