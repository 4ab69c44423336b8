"""What the variants of an ablation are made of: fired alerts equal the policy's count, raw columns, fused parts."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.combine import Calibration
from detectors.policy import NEVER, Findings, Policy, count_fired, policy_for_budget
from detectors.surprisal import surprisals
from tests.arrays import event_arrays
from tests.evaluate.ablation import FOREST, FUSED, TOP3, fired_rows, other_scores, raw_columns
from tests.models import small_model

HOUR_US = 3_600_000_000


@st.composite
def findings(draw: st.DrawFn) -> Findings:
    """Some findings of three actors in time order."""
    count = draw(st.integers(1, 40))

    def whole(low: int, high: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.array([draw(st.integers(low, high)) for _ in range(count)], np.int64)

    bits = np.left_shift(np.uint64(1), whole(0, 3).astype(np.uint64))
    times = np.sort(whole(1, 400)) * HOUR_US
    return Findings(whole(0, 2), times, whole(3000, 9000), whole(0, 1) * 8500, bits, bits)


@given(findings(), st.integers(4000, 9000))
def test_as_many_rows_fire_as_the_policy_counts(some: Findings, threshold: int) -> None:
    policy = Policy(threshold)
    rows = fired_rows(some, policy)
    assert len(rows) == count_fired(some, policy)
    assert set(rows.tolist()) <= set(some.reach(policy).tolist())


@given(findings(), st.integers(0, 10))
def test_under_the_policy_of_a_budget_no_more_fire(some: Findings, allowed: int) -> None:
    assert len(fired_rows(some, policy_for_budget(some, allowed))) <= allowed


@given(findings())
def test_nothing_fires_under_never(some: Findings) -> None:
    assert not len(fired_rows(some, Policy(NEVER)))


def test_raw_columns_are_one_row_an_event_and_finite() -> None:
    columns = raw_columns(event_arrays(7))
    assert columns.shape == (7, 13)
    assert columns.dtype == np.float32
    assert np.isfinite(columns).all()


def test_forest_and_top_3_are_fused_as_the_product_fuses_its_witnesses() -> None:
    model = small_model()
    rows = surprisals(model.golden, np.zeros(len(model.golden), np.int32), model.peers)
    found = other_scores(model, rows)
    silent = rows.copy()
    silent[:, :-3] = 0  # no pattern says anything: only forest and top-3 are heard
    parts = other_scores(model, silent)
    calibration = Calibration(model.calibration.witnesses, model.calibration.fused)
    assert np.array_equal(found[TOP3], rows[:, -2].astype(np.float64))
    np.testing.assert_allclose(parts[FUSED], calibration.fuse(parts[FOREST], silent), rtol=1e-12)
