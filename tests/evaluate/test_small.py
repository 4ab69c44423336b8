"""The evaluation in its small form, so that a change that ruins detection is seen before anybody measures it in full.

One company that is in no set, 14 days scored, 15 attacks and 17 alerts allowed. Measured: recall 0.47, of medium and
strong attacks 0.60, PR-AUC by actor-day 0.68. The bounds lie 0.2 and more below, far from any goal: so few attacks say
little, and the page in docs/reference says how good detection is.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.evaluate.ablation import NAIVE, RULES, TOP3, VARIANTS
from tests.evaluate.companies import HELD_OUT, TUNING, CompanyPlan
from tests.evaluate.company_run import run_company
from tests.evaluate.table import pooled, render

SCENARIOS = ("bulk_export", "enumeration", "new_geo", "permission_probing", "service_misuse")
PLAN = CompanyPlan(9001, 40, date(2026, 3, 2), 35, 21, SCENARIOS)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    assert PLAN.seed not in (*TUNING, *HELD_OUT)
    return run_company(PLAN, tmp_path_factory.mktemp("evaluation") / "company", print)


def test_recall_and_curve_are_not_far_below_what_was_measured(result: dict[str, Any]) -> None:
    report = result["report"]
    assert report["attacks"] >= 12
    assert report["recall"] >= 0.47 - 0.2
    found, attacks = pooled([result], ("medium", "strong"))
    assert found >= (0.60 - 0.25) * attacks
    assert report["pr_auc_actor_day"] >= 0.68 - 0.2


def test_no_more_alerts_fire_than_the_budget_allows(result: dict[str, Any]) -> None:
    allowed = PLAN.budget_per_day * result["report"]["days"]
    assert 0 < result["report"]["alerts"] <= allowed
    for name in VARIANTS:
        assert result["variants"][name]["alerts"] <= allowed


def test_detection_is_far_better_than_a_plain_forest_on_raw_columns(result: dict[str, Any]) -> None:
    variants = result["variants"]
    for name in (TOP3, RULES):
        assert variants[name]["recall"] >= variants[NAIVE]["recall"] + 0.1
        assert variants[name]["pr_auc_actor_day"] >= variants[NAIVE]["pr_auc_actor_day"] + 0.3


def test_twins_and_look_alikes_are_counted(result: dict[str, Any]) -> None:
    report = result["report"]
    assert report["twins"]["cases"] >= 8
    assert report["twins"]["alerted"] < report["twins"]["cases"]
    assert sum(row["actor_days"] for row in report["lookalikes"]) > 100


def test_the_table_of_it_can_be_read(result: dict[str, Any]) -> None:
    page = render([result])
    assert "| 9001 | 40 | 2026-03-02 |" in page
    assert all(f"| {name} |" in page for name in (*VARIANTS, *SCENARIOS))


def test_thresholds_that_move_at_night_come_near_the_budget_within_a_week(result: dict[str, Any]) -> None:
    """The first week begins with thresholds of quiet history, among as many attacks as alerts are allowed.

    Measured: 4.8 and 0.6 of the budget. Of eight alerts a week chance alone gives ± 0.35.
    """
    first, second = (week["ratio"] for week in result["weeks"])
    assert 0.0 < second <= 1.6
    assert second < first
