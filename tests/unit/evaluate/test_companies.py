"""Which companies are drawn, how results are pooled and shown, where a company's events are cut."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import zstandard

from detectors.evaluate import evaluate
from detectors.evaluation.evidence import Account, Happening
from pipeline.sources.simulate.catalogue import CATALOGUE
from tests.evaluate.__main__ import kept_or_run
from tests.evaluate.ablation import VARIANTS
from tests.evaluate.companies import HELD_OUT, SETS, TUNING, CompanyPlan, drawn
from tests.evaluate.company_run import weeks_of
from tests.evaluate.split import split
from tests.evaluate.table import by_set, pooled, render, scenarios_found
from tests.evaluations import two_attacks


def test_the_sets_are_ten_companies_and_five_and_share_none() -> None:
    assert (len(set(TUNING)), len(set(HELD_OUT))) == (10, 5)
    assert not set(TUNING) & set(HELD_OUT)


@pytest.mark.parametrize("seed", [seed for seeds in SETS.values() for seed in seeds])
def test_a_company_is_within_the_ranges_and_always_the_same(seed: int) -> None:
    plan = drawn(seed)
    assert plan == drawn(seed)
    assert 60 <= plan.actors <= 400
    assert (plan.days, plan.train_days, plan.start.weekday()) == (84, 56, 0)
    assert plan.start.year == 2026
    assert set(plan.scenarios) <= set(CATALOGUE)
    assert 6 <= len(plan.scenarios) <= len(CATALOGUE)
    assert plan.budget_per_day == pytest.approx(12 * plan.actors / 400)


def test_events_are_cut_at_chinas_midnight_whatever_their_offset(tmp_path: Path) -> None:
    times = ["2026-03-01T15:59:59Z", "2026-03-01T16:00:00Z", "2026-03-01T23:59:59+08:00", "2026-03-02T00:00:00+08:00"]
    lines = b"".join(json.dumps({"event_time": one, "n": n}).encode() + b"\n" for n, one in enumerate(times))
    (tmp_path / "events.ndjson.zst").write_bytes(zstandard.compress(lines))
    split(tmp_path, date(2026, 3, 2))
    found = {}
    for name in ("history", "rest"):
        with (tmp_path / f"{name}.ndjson.zst").open("rb") as file:
            text = zstandard.ZstdDecompressor().stream_reader(file).read()
        found[name] = [json.loads(line)["n"] for line in text.splitlines()]
    assert found == {"history": [0, 2], "rest": [1, 3]}


def result(seed: int) -> dict[str, Any]:
    """A company's result whose report is that of two attacks, one found."""
    accounts = {name: Account("sales", "agent", "north") for name in "abc"}
    happenings = [Happening("journey", date(2024, 10, 4), date(2024, 10, 5), "c")]
    case = two_attacks().event("t", "c", 7, twin="export:9")
    report = evaluate(case.evidence(), accounts, happenings, "Asia/Shanghai")
    variant = {
        name: report[name] for name in ("recall", "recall_by_strength", "pr_auc_actor_day", "alerts", "precision")
    } | {"pr_auc_of_accounts": 0.5}
    plan = drawn(seed)
    costs = {name: {"cpu_s": 1.0, "wall_s": 2.0, "peak_mib": 3.0} for name in ("train", "score")}
    return {
        "plan": {"seed": seed, "actors": plan.actors, "start": plan.start.isoformat(), "budget_per_day": 1.0},
        "date": "2026-11-26", "versions": {"features": "3"}, "report": report, "events": 1234, "costs": costs,
        "variants": dict.fromkeys(VARIANTS, variant),
        "weeks": [{"monday": "2026-05-04", "alerts": 20, "holiday": True, "ratio": 1.1}],
        "speed": {"score_events_per_cpu_s": 1, "train_events_per_cpu_s": 2, "judged_per_cpu_s": 3},
    }  # fmt: skip


def test_attacks_are_pooled_over_companies_never_averaged() -> None:
    some = [result(TUNING[0]), result(TUNING[1])]
    assert pooled(some) == (2, 4)
    assert pooled(some, ("strong",)) == (2, 2)
    assert scenarios_found(some) == {"drip": {"weak": (0, 2)}, "export": {"strong": (2, 2)}}


def test_a_finished_company_is_kept_and_not_run_again(tmp_path: Path) -> None:
    runs: list[int] = []

    def run(plan: CompanyPlan, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
        runs.append(plan.seed)
        return result(plan.seed)

    first = kept_or_run(TUNING[0], tmp_path, run)
    assert kept_or_run(TUNING[0], tmp_path, run) == json.loads(json.dumps(first))
    kept_or_run(TUNING[1], tmp_path, run)
    assert runs == [TUNING[0], TUNING[1]]


def test_sets_stand_apart_and_in_order() -> None:
    groups = by_set([result(HELD_OUT[0]), result(9001), result(TUNING[0])])
    assert list(groups) == ["tuning", "held out", "other"]


@pytest.mark.parametrize("seeds", [TUNING[:1], HELD_OUT[:2], (*TUNING[:2], HELD_OUT[0])])
def test_every_row_of_the_page_has_as_many_cells_as_its_header(seeds: tuple[int, ...]) -> None:
    page = render([result(seed) for seed in seeds])
    assert "None" not in page
    columns = 0
    for line in page.splitlines():
        if line.startswith("|---"):
            columns = line.count("|")
        elif not line.startswith("|"):
            columns = 0
        assert not columns or line.count("|") == columns, line


def test_the_page_says_date_seeds_versions_and_the_difference_of_the_sets() -> None:
    page = render([result(TUNING[0]), result(HELD_OUT[0])])
    assert "Measured on 2026-11-26. Versions: features 3." in page
    assert f"Not measured yet: tuning {TUNING[1]}, " in page
    assert f"| {TUNING[0]} |" in page
    assert f"| {HELD_OUT[0]} |" in page
    assert "| recall, all · 召回率 | ≥ 0.80 | 0.5 | 0.5 | 0.0 |" in page
    assert "| export | – | – | 1 of 1 | – | – | 1 of 1 |" in page


def test_weeks_are_counted_by_the_companys_own_days_and_holidays_are_marked() -> None:
    """The first of May 2026 and a worked Saturday: a week unlike others; an alert at 16:30 UTC is of the next day."""
    plan = CompanyPlan(1, 400, date(2026, 3, 2), 84, 56, ())
    lines = [json.dumps({"event_time": text}) for text in ("2026-05-03T16:30:00Z", "2026-05-10T15:59:59Z")]
    weeks = weeks_of(lines, plan)
    assert [(week["monday"], week["alerts"]) for week in weeks] == [
        ("2026-04-27", 0), ("2026-05-04", 2), ("2026-05-11", 0), ("2026-05-18", 0),
    ]  # fmt: skip
    assert [week["holiday"] for week in weeks] == [True, True, False, False]
    assert weeks[1]["ratio"] == round(2 / 84, 3)
