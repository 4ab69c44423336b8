"""How good the findings are, against labels: recall at the budget, PR-AUC by actor-day, time to detect.

A hit is an alert that fired *on* an event labelled as an attack. Recall is counted by attack, not by event. The
actor-day curve ranks (actor, UTC day) by its largest risk, ties by the largest anomaly score. AUC-ROC is left out on
purpose: at one attack in a thousand events it flatters everything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Label:
    """One event that belongs to an attack."""

    event_id: str
    scenario: str
    attack_id: str


@dataclass(frozen=True, slots=True)
class ScoreRecord:
    """One scored event; actor and time are empty where the events were not given."""

    event_id: str
    risk: float
    anomaly_score: float
    actor_id: str
    time_us: int


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """One fired alert."""

    event_id: str
    actor_id: str
    time_us: int


def evaluate(
    scores: Sequence[ScoreRecord],
    alerts: Sequence[AlertRecord],
    labels: Sequence[Label],
    strengths: Mapping[str, str],
) -> dict[str, Any]:
    """The report as plain data; `pr_auc_actor_day` and times are None where events were not given."""
    attack_of = {label.event_id: label.attack_id for label in labels}
    scenario_of = {label.attack_id: label.scenario for label in labels}
    hit_at: dict[str, int] = {}
    for alert in alerts:
        attack = attack_of.get(alert.event_id)
        if attack is not None:
            hit_at[attack] = min(hit_at.get(attack, alert.time_us), alert.time_us)
    placed = [score for score in scores if score.actor_id]
    return {
        "events": len(scores),
        "attacks": len(scenario_of),
        "alerts": len(alerts),
        "alerts_per_day": _per_day(alerts, placed),
        "precision": round(sum(alert.event_id in attack_of for alert in alerts) / len(alerts), 4) if alerts else None,
        "recall": _recall(scenario_of, hit_at),
        "recall_by_scenario": _by(scenario_of, scenario_of, hit_at),
        "recall_by_strength": _by(strengths, scenario_of, hit_at),
        "pr_auc_actor_day": _pr_auc_actor_day(placed, attack_of) if placed else None,
        "median_minutes_to_detect": _minutes(placed, attack_of, hit_at) if placed else None,
    }


def _per_day(alerts: Sequence[AlertRecord], placed: Sequence[ScoreRecord]) -> float | None:
    times = [score.time_us for score in placed] or [alert.time_us for alert in alerts]
    if not times:
        return None
    return round(len(alerts) / max(1.0, (max(times) - min(times)) / _DAY_US), 3)


def _recall(attacks: Mapping[str, str], hit_at: Mapping[str, int]) -> float | None:
    return round(sum(attack in hit_at for attack in attacks) / len(attacks), 4) if attacks else None


def _by(group_of: Mapping[str, str], attacks: Mapping[str, str], hit_at: Mapping[str, int]) -> dict[str, Any]:
    groups: dict[str, list[bool]] = defaultdict(list)
    for attack in attacks:
        if attack in group_of:
            groups[group_of[attack]].append(attack in hit_at)
    return {
        name: {"attacks": len(found), "found": sum(found), "recall": round(sum(found) / len(found), 4)}
        for name, found in sorted(groups.items())
    }


def _pr_auc_actor_day(scores: Sequence[ScoreRecord], attack_of: Mapping[str, str]) -> float:
    best: dict[tuple[str, int], tuple[float, float]] = {}
    bad: set[tuple[str, int]] = set()
    for score in scores:
        key = (score.actor_id, score.time_us // _DAY_US)
        best[key] = max(best.get(key, (0.0, 0.0)), (score.risk, score.anomaly_score))
        if score.event_id in attack_of:
            bad.add(key)
    return round(average_precision([(value, key in bad) for key, value in best.items()]), 4)


def average_precision(ranked: Sequence[tuple[tuple[float, float], bool]]) -> float:
    """Area under the precision-recall curve by steps; equal scores are taken together.

    >>> average_precision([((2.0, 0.0), True), ((1.0, 0.0), False)])
    1.0
    """
    positives = sum(bad for _, bad in ranked)
    if not positives:
        return 0.0
    groups: dict[tuple[float, float], list[bool]] = defaultdict(list)
    for value, bad in ranked:
        groups[value].append(bad)
    found, seen, area = 0, 0, 0.0
    for value in sorted(groups, reverse=True):
        here = sum(groups[value])
        found, seen = found + here, seen + len(groups[value])
        area += here / positives * found / seen
    return area


def _minutes(scores: Sequence[ScoreRecord], attack_of: Mapping[str, str], hit_at: Mapping[str, int]) -> float | None:
    began: dict[str, int] = {}
    for score in scores:
        attack = attack_of.get(score.event_id)
        if attack is not None:
            began[attack] = min(began.get(attack, score.time_us), score.time_us)
    waits = [(hit_at[attack] - began[attack]) / 60e6 for attack in hit_at if attack in began]
    return round(median(waits), 2) if waits else None


def report_lines(report: Mapping[str, Any]) -> list[str]:
    """The report as a table for people."""
    lines = [
        f"events {report['events']:,}   attacks {report['attacks']}   alerts {report['alerts']}"
        f" ({report['alerts_per_day']} a day)   precision {report['precision']}",
        f"recall {report['recall']}   PR-AUC by actor-day {report['pr_auc_actor_day']}"
        f"   median minutes to detect {report['median_minutes_to_detect']}",
    ]
    for title in ("recall_by_scenario", "recall_by_strength"):
        for name, row in report[title].items():
            lines.append(f"  {name:24} {row['found']:>3} of {row['attacks']:<3} {row['recall']:.2f}")
    return lines
