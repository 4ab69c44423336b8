"""Two models side by side: differences of manifests, overlap, correlation, verdict; small tables by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.evaluation.comparison import (
    AlertSeen,
    Side,
    judged_side_by_side,
    manifest_differences,
    rank_correlation,
    reasons_against,
)
from detectors.model import read, save
from tests.models import small_model

DAY_US = 86_400_000_000


def _alert(actor: str, day: int, risk: float = 80.0) -> AlertSeen:
    return AlertSeen(f"{actor}-{day}", actor, day * DAY_US + 5, risk, "isolation_forest")


def _side(*alerts: AlertSeen, risk: tuple[float, ...] = (0.0, 10.0, 90.0), **known: float) -> Side:
    values = np.array(risk)
    return Side(values, values / 200, alerts, **known)


def test_overlap_counts_actor_days_not_alerts() -> None:
    first = _side(_alert("a", 1), _alert("a", 1), _alert("b", 1), _alert("c", 2))
    second = _side(_alert("a", 1), _alert("b", 2), _alert("c", 2))
    found = judged_side_by_side(first, second, 2.0)
    assert found["overlap"] == 0.5
    assert found["alerts_per_day"] == {"a": 2.0, "b": 1.5}
    assert [one["event_id"] for one in found["only_a"]] == ["b-1"]
    assert [one["event_id"] for one in found["only_b"]] == ["b-2"]


def test_what_only_one_alerts_on_is_the_ten_gravest() -> None:
    loud = _side(*(_alert(f"x{number}", 1, float(number)) for number in range(15)))
    found = judged_side_by_side(_side(), loud, 1.0)
    assert [one["risk"] for one in found["only_b"]] == [float(number) for number in range(14, 4, -1)]
    assert found["overlap"] == 0.0


def test_equal_models_have_nothing_against_each_other() -> None:
    side = _side(_alert("a", 1), recall=0.5, pr_auc=0.4)
    found = judged_side_by_side(side, side, 1.0)
    assert (found["overlap"], found["rank_correlation"], found["population_stability_index"]) == (1.0, 1.0, 0.0)
    assert reasons_against(found, 1.0) == []
    assert judged_side_by_side(_side(), _side(), 1.0)["overlap"] == 1.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"alerts_per_day": {"a": 1.0, "b": 1.3}}, "1.3 alerts a day"),
        ({"alerts_per_day": {"a": 1.0, "b": 0.7}}, "0.7 alerts a day"),
        ({"overlap": 0.49}, "49% of the alerted actor-days"),
        ({"population_stability_index": 0.21}, "spread otherwise"),
        ({"recall": {"a": 0.8, "b": 0.7}}, "70% of the labelled attacks"),
    ],
)
def test_each_bound_has_its_own_reason(change: dict[str, Any], words: str) -> None:
    good = {
        "alerts_per_day": {"a": 1.0, "b": 1.0}, "overlap": 0.5, "population_stability_index": 0.2,
        "recall": {"a": 0.7, "b": 0.7},
    }  # fmt: skip
    assert reasons_against(good, 1.0) == []
    (reason,) = reasons_against({**good, **change}, 1.0)
    assert words in reason


def test_without_labels_or_budget_neither_is_held_against_it() -> None:
    found = judged_side_by_side(_side(_alert("a", 1)), _side(_alert("a", 1)), 1.0)
    assert found["recall"] == {"a": None, "b": None}
    assert reasons_against(found, None) == []


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=30))
def test_rank_correlation_looks_at_order_only(values: list[float]) -> None:
    one = np.array(values)
    assert rank_correlation(one, one * 4) == pytest.approx(1.0)
    if len(set(values)) > 1:
        assert rank_correlation(one, -one) == pytest.approx(-1.0)


def test_rank_correlation_shares_ranks_of_equal_values() -> None:
    """By hand: ranks 1.5 1.5 3 4 against 1 2 3.5 3.5."""
    assert rank_correlation(np.array([0.0, 0, 1, 2]), np.array([0.0, 1, 5, 5])) == pytest.approx(4.0 / 4.5)


def test_manifests_differ_in_what_was_trained_and_set(tmp_path: Any) -> None:
    save(small_model(), tmp_path / "a")
    save(small_model(7000, 2, 9000), tmp_path / "b")
    stated = [read(tmp_path / name).statements() for name in ("a", "b")]
    assert manifest_differences(stated[0], stated[0]) == {}
    assert manifest_differences(*stated) == {
        "threshold": {"a": 65.43, "b": 70.0}, "rule_threshold": {"a": 82.0, "b": 90.0},
    }  # fmt: skip
    later = {
        **stated[1], "peer_groups": ["*", "new/group"], "rule_cuts": {"bulk_export": 500},
        "about": {"rows": 9, "budget_per_day": 2.0, "excluded": {"true_positive": 3}},
    }  # fmt: skip
    found = manifest_differences(stated[1], later)
    assert found["rows"] == {"a": None, "b": 9}
    assert found["excluded"] == {"a": None, "b": {"true_positive": 3}}
    assert found["rule_cut:bulk_export"] == {"a": 0.0, "b": 5.0}
    assert found["peer_groups_only_here"]["b"] == ["new/group"]
