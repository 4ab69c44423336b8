"""The measures of an evaluation: exact on examples small enough to work out by hand, and what holds for any."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.evaluate import evaluate
from detectors.evaluation.calibration import STEPS, histogram, stability, stability_index, tail_calibration
from detectors.evaluation.curve import actor_day_curve, average_precision
from detectors.evaluation.evidence import Account, AlertRecord, Happening, Label, ScoreRecord, gather
from detectors.evaluation.fairness import UNKNOWN, alert_shares, groups
from detectors.evaluation.harmless import ORDINARY, lookalikes, twins
from detectors.evaluation.recall import minutes_to_detect, recall
from detectors.evaluation.report import markdown, report_lines
from detectors.evaluation.shares import wilson
from pipeline.errors import UsageError
from tests.evaluations import START_US, Case, two_attacks


def test_recall_counts_attacks_with_an_alert_on_one_of_their_events() -> None:
    found = recall(two_attacks().evidence())
    assert found["recall"] == 0.5
    assert found["recall_by_scenario"] == {
        "drip": {"attacks": 1, "found": 0, "recall": 0.0},
        "export": {"attacks": 1, "found": 1, "recall": 1.0},
    }
    assert found["recall_by_strength"]["strong"] == {"attacks": 1, "found": 1, "recall": 1.0}
    assert found["recall_by_scenario_and_strength"]["drip"] == {"weak": {"attacks": 1, "found": 0, "recall": 0.0}}


def test_an_alert_on_the_same_actor_but_another_event_finds_nothing() -> None:
    case = Case().event("x", "a", 0, attack="export:1").event("y", "a", 1, alert=True)
    assert recall(case.evidence())["recall"] == 0.0


def test_an_attack_without_a_scored_event_is_not_counted_but_said() -> None:
    case = two_attacks()
    case.labels.append(Label("elsewhere", "export", "export:2"))
    report = evaluate(case.evidence())
    assert (report["attacks"], report["attacks_not_scored"], report["recall"]) == (2, 1, 0.5)


def test_precision_and_alerts_a_day() -> None:
    report = evaluate(two_attacks().evidence())
    assert (report["alerts"], report["precision"], report["days"]) == (2, 0.5, 4.0)
    assert report["alerts_per_day"] == 0.5


def test_an_alert_whose_event_was_not_scored_is_a_false_one() -> None:
    case = two_attacks()
    case.alerts.append(AlertRecord("unknown", "z", START_US))
    report = evaluate(case.evidence())
    assert (report["alerts"], report["precision"]) == (3, round(1 / 3, 4))


def test_an_event_scored_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="twice"):
        Case().event("e").event("e").evidence()


def test_time_to_detect_runs_from_the_first_event_to_the_first_alert_bursts_and_drips_apart() -> None:
    case = two_attacks().event("d3", "b", 3 * 1440, 99, attack="drip:1", alert=True)
    case.event("e3", "a", 30, 95, attack="export:1", alert=True)
    assert minutes_to_detect(case.evidence()) == {
        "all": {"attacks": 2, "found": 2, "median_minutes": (10 + 3 * 1440) / 2},
        "bursts": {"attacks": 1, "found": 1, "median_minutes": 10.0},
        "drips": {"attacks": 1, "found": 1, "median_minutes": 3.0 * 1440},
    }


def test_a_scenario_is_a_drip_when_the_median_of_its_attacks_lasts_a_day() -> None:
    case = Case()
    for number, length_min in enumerate((5, 1440, 2000)):
        case.event(f"f{number}", "a", 0, attack=f"slow:{number}")
        case.event(f"l{number}", "a", length_min, attack=f"slow:{number}", alert=True)
    found = minutes_to_detect(case.evidence())
    assert found["bursts"] == {"attacks": 0, "found": 0, "median_minutes": None}
    assert found["drips"] == {"attacks": 3, "found": 3, "median_minutes": 1440.0}


def test_the_curve_ranks_an_actors_utc_day_by_its_largest_risk() -> None:
    case = Case()
    case.event("a1", "a", 0, 10).event("a2", "a", 1, 90).event("a3", "a", 1440, 5, attack="export:1")
    case.event("b1", "b", 0, 50, attack="export:2")
    # Days by risk: a's first (90, fine), b's (50, bad), a's second (5, bad).
    assert actor_day_curve(case.evidence()) == round((1 / 2 + 2 / 3) / 2, 4)


def test_equal_risks_are_ranked_by_anomaly_score() -> None:
    case = Case().event("a1", "a", 0, 100, anomaly=0.7).event("b1", "b", 0, 100, attack="export:1", anomaly=0.9)
    assert actor_day_curve(case.evidence()) == 1.0


def test_equal_items_count_together() -> None:
    values = np.ones(4)
    assert average_precision(values, values, np.array([True, False, False, False])) == 0.25


def test_a_curve_without_anything_bad_is_zero_and_without_events_nothing() -> None:
    assert actor_day_curve(Case().event("a1").evidence()) == 0.0
    assert actor_day_curve(gather([ScoreRecord("a1", 1.0, 0.1, "", 0)], [], [])) is None


def test_without_events_recall_is_known_and_times_are_not() -> None:
    case = two_attacks()
    case.scores = [replace(one, actor_id="", time_us=0) for one in case.scores]
    report = evaluate(case.evidence())
    assert report["recall"] == 0.5
    unknown = ("pr_auc_actor_day", "median_minutes_to_detect", "minutes_to_detect", "lookalikes", "stability")
    assert [report[name] for name in unknown] == [None] * len(unknown)


def test_wilsons_interval_is_that_of_the_literature() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 81/263, 15/148, 0/20, 1/29.
    expected = {
        (81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605), (0, 20): (0.0, 0.1611), (1, 29): (0.0061, 0.1718),
    }  # fmt: skip
    for (found, of), ends in expected.items():
        assert wilson(found, of) == pytest.approx(ends, abs=5e-5)


@given(of=st.integers(1, 10_000), data=st.data())
def test_wilsons_interval_holds_the_share_within_0_and_1(of: int, data: st.DataObject) -> None:
    found = data.draw(st.integers(0, of))
    low, high = wilson(found, of)
    assert 0 <= low <= found / of <= high <= 1


ACCOUNTS = {
    "a": Account("sales", "agent", "north"),
    "b": Account("sales", "lead", "north"),
    "c": Account("it", "admin", "south"),
}


def test_alert_shares_stand_against_the_groups_size() -> None:
    case = two_attacks().event("x", "d")
    rows = {row["group"]: row for row in alert_shares(case.evidence(), ACCOUNTS, lambda one: one.department)}
    assert set(rows) == {"sales", "it", UNKNOWN}
    assert (rows["sales"]["actors"], rows["sales"]["actor_share"]) == (2, 0.5)
    assert (rows["sales"]["alerts"], rows["sales"]["alert_share"], rows["sales"]["ratio"]) == (1, 0.5, 1.0)
    assert (rows["it"]["ratio"], rows["it"]["actors_alerted"]) == (2.0, 1)
    low, high = wilson(1, 2)
    assert rows["it"]["ratio_interval"] == [round(low * 4, 3), round(high * 4, 3)]
    assert rows[UNKNOWN]["alerts"] == 0


def test_departments_and_sites_count_false_alerts_only() -> None:
    found = groups(two_attacks().evidence(), ACCOUNTS)
    assert {row["group"]: row["alerts"] for row in found["departments"]} == {"it": 1, "sales": 0}
    assert {row["group"]: row["alerts"] for row in found["sites"]} == {"north": 0, "south": 1}
    assert {row["group"]: row["alerts"] for row in found["peer_groups"]} == {
        "it/admin": 1, "sales/agent": 1, "sales/lead": 0,
    }  # fmt: skip


def test_shares_of_no_alert_are_unknown_not_zero() -> None:
    rows = alert_shares(Case().event("x", "a").evidence(), ACCOUNTS, lambda one: one.site)
    assert (rows[0]["ratio"], rows[0]["alert_share"]) == (None, None)


def test_twins_are_alerted_by_an_alert_on_one_of_their_events() -> None:
    case = Case().event("t1", twin="export:9", alert=True).event("t2", twin="export:9", alert=True)
    case.event("t3", "b", twin="export:8").event("t4", "b", twin="drip:7").event("o", "b", alert=True)
    found = twins(case.evidence())
    assert (found["cases"], found["alerted"], found["share"]) == (3, 1, round(1 / 3, 4))
    assert found["by_scenario"]["export"]["alerted"] == 1
    assert found["by_scenario"]["drip"]["share"] == 0.0


def test_look_alikes_are_counted_over_local_days_and_only_by_false_alerts() -> None:
    case = Case()
    case.event("a1", "a", 60, alert=True)  # 01:00 UTC on the 4th: still the 3rd in New York
    case.event("b1", "b", 60, attack="export:1", alert=True)  # a true alert
    case.event("b2", "b", 1440 + 600)
    case.event("c1", "c", 600)
    accounts = {"a": Account(time_zone="America/New_York")}
    happenings = [
        Happening("journey", date(2024, 10, 3), date(2024, 10, 3), "a"),
        Happening("journey", date(2024, 10, 4), date(2024, 10, 5), "b"),
        Happening("journey", date(2024, 10, 20), date(2024, 10, 21), "b"),  # no event then
        Happening("new_device", date(2024, 10, 4), date(2024, 10, 4), "nobody"),
    ]
    found = {row["kind"]: row for row in lookalikes(case.evidence(), happenings, accounts, "Asia/Shanghai")}
    assert set(found) == {"journey", ORDINARY}
    journey = found["journey"]
    assert (journey["cases"], journey["alerted"], journey["share"]) == (2, 1, 0.5)
    assert (journey["actor_days"], journey["alerted_days"]) == (3, 1)
    assert (found[ORDINARY]["actor_days"], found[ORDINARY]["alerted_days"]) == (1, 0)


def of_two_days() -> Case:
    """An attack that no single event shows, and a stranger ordinary day."""
    return Case().event("x", "a", risk=10, attack="drip:1").event("o", "b", risk=50).event("p", "c", risk=5)


def test_a_day_ranks_by_its_largest_risk_or_by_what_an_alert_tells_of_one_of_its_events() -> None:
    case = of_two_days()
    assert actor_day_curve(case.evidence()) == 0.5
    case.alerts.append(AlertRecord("x", "a", START_US, risk=70))
    assert actor_day_curve(case.evidence()) == 1.0
    assert actor_day_curve(case.evidence(), with_alerts=False) == 0.5


def test_an_alert_lifts_ordinary_days_too_and_lowers_none() -> None:
    case = of_two_days()
    case.alerts += [AlertRecord("p", "c", START_US, risk=90), AlertRecord("o", "b", START_US, risk=1)]
    assert actor_day_curve(case.evidence()) == round(1 / 3, 4)


def test_an_alert_about_a_source_ranks_the_day_of_the_event_that_it_names() -> None:
    """Which labelled event it hits is known from the labels only: the ranking must not know it."""
    case = of_two_days()
    case.alerts.append(AlertRecord("x", "c", START_US, risk=70, named="p"))
    assert recall(case.evidence())["recall"] == 1.0
    assert actor_day_curve(case.evidence()) == round(1 / 3, 4)


def test_alerts_on_events_that_were_not_scored_rank_nothing() -> None:
    case = of_two_days()
    case.alerts.append(AlertRecord("elsewhere", "a", START_US, risk=99))
    assert actor_day_curve(case.evidence()) == 0.5


def test_calibration_compares_the_tail_of_ordinary_events_with_ten_to_the_minus_risk_by_20() -> None:
    case = Case().event("x", attack="export:1", risk=100)
    for number in range(100):
        case.event(f"o{number}", risk=40.0 if number == 0 else 20.0 if number < 10 else 0.0)
    rows = {row["risk"]: row for row in tail_calibration(case.evidence())}
    assert set(rows) == set(STEPS)
    assert (rows[20]["predicted"], rows[20]["observed"], rows[20]["ratio"]) == (0.1, 0.1, 1.0)
    assert (rows[40]["predicted"], rows[40]["observed"], rows[40]["events"]) == (0.01, 0.01, 1)
    assert (rows[100]["events"], rows[100]["observed"]) == (0, 0.0)


def test_what_the_model_alone_says_is_taken_from_the_anomaly_score() -> None:
    # s = −log10 p = 3 gives a = 3/5 and risk 60; a rule lifts the risk, not the anomaly score.
    case = Case().event("x", risk=85, anomaly=0.6).event("y", risk=0, anomaly=0.0)
    rows = {row["risk"]: row for row in tail_calibration(case.evidence())}
    assert [rows[step]["model_events"] for step in (60, 70)] == [1, 0]
    assert [rows[step]["events"] for step in (60, 70, 80, 90)] == [1, 1, 1, 0]
    assert rows[60]["model_observed"] == 0.5


def test_the_stability_index_of_two_bins_is_worked_out_by_hand() -> None:
    first, second = np.array([90, 10]), np.array([80, 20])
    p, q = (90.5 / 101, 10.5 / 101), (80.5 / 101, 20.5 / 101)
    expected = sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))
    assert stability_index(first, second) == pytest.approx(expected)


def test_stability_compares_the_halves_of_the_time() -> None:
    case = Case()
    for hour in range(10):
        case.event(f"e{hour}", "a", hour * 60, risk=0.0 if hour < 5 else 95.0)
    found = stability(case.evidence())
    assert found is not None
    assert (found["first_half"][0], found["second_half"][9]) == (5, 5)
    assert found["index"] > 1
    assert stability(Case().event("alone").evidence()) is None


def test_risk_100_has_a_bin_of_its_own() -> None:
    assert histogram(np.array([0.0, 9.99, 10.0, 99.99, 100.0])).tolist() == [2, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1]


COUNTS = st.lists(st.integers(0, 1000), min_size=4, max_size=4).filter(any)


@given(COUNTS, COUNTS)
def test_the_stability_index_is_symmetric_never_negative_and_zero_of_equals(one: list[int], two: list[int]) -> None:
    first, second = np.array(one), np.array(two)
    assert stability_index(first, second) == pytest.approx(stability_index(second, first))
    assert stability_index(first, second) >= 0
    assert stability_index(first, first) == 0


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A few events of a few actors; some are attacks, twins or alerts."""
    case = Case(strengths={"s1:1": "weak", "s2:2": "strong"})
    for number in range(draw(st.integers(1, 25))):
        case.event(
            f"e{number}", draw(st.sampled_from("abc")), draw(st.integers(0, 5 * 1440)),
            draw(st.sampled_from((0.0, 20.0, 55.5, 99.9, 100.0))),
            draw(st.sampled_from(("", "", "s1:1", "s2:2", "s2:3"))),
            draw(st.sampled_from(("", "", "s1:9"))), draw(st.booleans()), draw(st.sampled_from((0.1, 0.9))),
        )  # fmt: skip
    return case


HAPPENINGS = [Happening("journey", date(2024, 10, 4), date(2024, 10, 6), actor) for actor in "ab"]


def report_of(case: Case) -> dict[str, Any]:
    return evaluate(case.evidence(), ACCOUNTS, HAPPENINGS, "Asia/Shanghai")


@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_records_changes_nothing(case: Case, chance: random.Random) -> None:
    before = report_of(case)
    for records in (case.scores, case.alerts, case.labels, case.twins):
        chance.shuffle(records)
    assert report_of(case) == before


@given(cases())
def test_shares_lie_within_0_and_1_and_parts_add_up(case: Case) -> None:
    report = report_of(case)
    for name in ("recall", "precision", "pr_auc_actor_day"):
        assert report[name] is None or 0 <= report[name] <= 1
    for name in ("peer_groups", "departments", "sites"):
        assert sum(row["actors"] for row in report[name]) == report["actors"]
    assert sum(row["alerts"] for row in report["peer_groups"]) == report["alerts"]
    for key in ("found", "attacks"):
        rows = report["recall_by_scenario"]
        both = report["recall_by_scenario_and_strength"]
        assert all(sum(row[key] for row in both[name].values()) <= rows[name][key] for name in both)
    assert sum(row["attacks"] for row in report["recall_by_scenario"].values()) == report["attacks"]
    observed = [row["events"] for row in report["calibration"]]
    assert observed == sorted(observed, reverse=True)
    minutes = report["minutes_to_detect"]
    assert minutes["all"]["attacks"] == minutes["bursts"]["attacks"] + minutes["drips"]["attacks"]
    assert minutes["all"]["median_minutes"] is None or minutes["all"]["median_minutes"] >= 0


@given(cases())
def test_one_more_alert_never_lowers_recall(case: Case) -> None:
    before = report_of(case)["recall"]
    case.alerts.append(AlertRecord(case.scores[0].event_id, case.scores[0].actor_id, case.scores[0].time_us))
    assert before is None or report_of(case)["recall"] >= before


@given(cases())
def test_every_report_can_be_written_for_people(case: Case) -> None:
    report = report_of(case)
    lines = markdown(report).splitlines()
    assert any(line.startswith("## Calibration · 校准") for line in lines)
    assert "None" not in markdown(report)
    columns = 0
    for line in lines:  # every row of a table has as many cells as its header
        if line.startswith("|---"):
            columns = line.count("|")
        elif not line.startswith("|"):
            columns = 0
        assert not columns or line.count("|") == columns
    assert len(report_lines(report)) >= 2


def test_the_report_says_recall_by_scenario_and_strength() -> None:
    case = two_attacks()
    text = markdown(evaluate(case.evidence(), ACCOUNTS))
    assert "| all | 1 of 2 | 0.5 | 0 of 1 | 1 of 1 |" in text
    assert "| export | 1 of 1 | 1.0 | – | 1 of 1 |" in text
    assert "| it | 1 | 0.3333 | 1 | 1.0 | 3.0 |" in text
