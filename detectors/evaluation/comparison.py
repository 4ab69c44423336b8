"""Two models side by side: what their manifests say, and what they judge of the same events.

Place in the flow: `accesstrail models compare`. A is the model in use, B the one that may follow it. Actor-day: one
actor on one UTC day. Overlap: the share of alerted actor-days that both alert on, of all that either does (Jaccard).
Rank correlation: Spearman's, of the models' own scores, rules aside. Population stability index: of risk, see
`calibration.py`; above 0.2 is called a shift by habit. The verdict is a help, not a gate: it says every reason to look
closer before B is put in force, and no reason where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors.base import F64
from detectors.evaluation.calibration import histogram, stability_index

LOWEST_RATE, HIGHEST_RATE = 0.8, 1.25
"""Times the budget: where a threshold that was set for it may end up on other days."""
LOWEST_OVERLAP = 0.5
"""Below it, more than half of what responders see changes with the model."""
HIGHEST_SHIFT = 0.2
SHOWN = 10
_PLAIN = ("threshold", "rule_threshold")
_ABOUT = ("rows", "first_event_us", "last_event_us", "actors_active_a_day", "budget_per_day", "excluded", "left_out")


@dataclass(frozen=True, slots=True)
class AlertSeen:
    """One alert as it is compared: `risk` 0–100, time in UTC µs."""

    event_id: str
    actor_id: str
    time_us: int
    risk: float
    detector: str

    @property
    def actor_day(self) -> tuple[str, int]:
        """Whose alert on which UTC day."""
        return self.actor_id, self.time_us // 86_400_000_000


@dataclass(frozen=True, slots=True)
class Side:
    """What one model says of the events (n,): risk 0–100, its own score 0–1, the alerts that fired."""

    risk: F64
    anomaly: F64
    alerts: Sequence[AlertSeen]
    recall: float | None = None
    pr_auc: float | None = None


def manifest_differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """Name → {"a", "b"} of what two manifests state differently: windows, rows, groups, thresholds, cuts, budget."""
    found: dict[str, Any] = {}

    def note(name: str, first: object, second: object) -> None:
        if first != second:
            found[name] = {"a": first, "b": second}

    for name in _PLAIN:
        note(name, a[name] / 100, b[name] / 100)
    of_a, of_b = a["about"], b["about"]
    for name in _ABOUT:
        note(name, of_a.get(name), of_b.get(name))
    own_a, own_b = (set(one["peer_groups"]) for one in (a, b))
    note("peer_groups_only_here", sorted(own_a - own_b), sorted(own_b - own_a))
    for rule in sorted({*a["rule_cuts"], *b["rule_cuts"]}):
        note(f"rule_cut:{rule}", a["rule_cuts"].get(rule, 0) / 100, b["rule_cuts"].get(rule, 0) / 100)
    return found


def judged_side_by_side(a: Side, b: Side, days: float) -> dict[str, Any]:
    """Alerts a day, overlap, rank correlation, shift of risk, what only one of them alerts on."""
    days_a, days_b = ({one.actor_day for one in side.alerts} for side in (a, b))
    either = len(days_a | days_b)
    return {
        "events": len(a.risk),
        "days": round(days, 2),
        "alerts_per_day": {"a": round(len(a.alerts) / days, 2), "b": round(len(b.alerts) / days, 2)},
        "overlap": round(len(days_a & days_b) / either, 4) if either else 1.0,
        "rank_correlation": round(rank_correlation(a.anomaly, b.anomaly), 4),
        "population_stability_index": round(stability_index(histogram(a.risk), histogram(b.risk)), 4),
        "recall": {"a": a.recall, "b": b.recall},
        "pr_auc_actor_day": {"a": a.pr_auc, "b": b.pr_auc},
        "only_a": _only(a.alerts, days_b),
        "only_b": _only(b.alerts, days_a),
    }


def _only(alerts: Sequence[AlertSeen], theirs: set[tuple[str, int]]) -> list[dict[str, Any]]:
    """The gravest alerts on actor-days that the other one does not alert on."""
    own = sorted((one for one in alerts if one.actor_day not in theirs), key=lambda one: (-one.risk, one.event_id))
    return [
        {"event_id": one.event_id, "actor_id": one.actor_id, "risk": one.risk, "detector": one.detector}
        for one in own[:SHOWN]
    ]


def rank_correlation(a: F64, b: F64) -> float:
    """Spearman's rank correlation, equal values sharing their mean rank; 1 where there is nothing to order.

    >>> rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0, 15.0]))
    0.5
    """
    ranks = [_ranks(one) for one in (a, b)]
    spread = [float(((rank - rank.mean()) ** 2).sum()) if len(rank) else 0.0 for rank in ranks]
    if not all(spread):
        return 1.0
    together = float(((ranks[0] - ranks[0].mean()) * (ranks[1] - ranks[1].mean())).sum())
    return together / float(np.sqrt(spread[0] * spread[1]))


def _ranks(values: F64) -> F64:
    """Ranks from 1, equal values sharing their mean."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    mean: F64 = (ends - (counts - 1) / 2.0)[places]
    return mean


def reasons_against(found: Mapping[str, Any], budget_per_day: float | None) -> list[str]:
    """Why to look closer before B follows A, in words; empty: nothing that was measured speaks against it."""
    reasons: list[str] = []
    rate, recall = found["alerts_per_day"]["b"], found["recall"]
    if budget_per_day and not LOWEST_RATE * budget_per_day <= rate <= HIGHEST_RATE * budget_per_day:
        reasons.append(
            f"B fires {rate:g} alerts a day; its budget of {budget_per_day:g} allows "
            f"{LOWEST_RATE * budget_per_day:.2g} to {HIGHEST_RATE * budget_per_day:.2g}"
        )
    if found["overlap"] < LOWEST_OVERLAP:
        reasons.append(
            f"only {found['overlap']:.0%} of the alerted actor-days are alerted by both (wanted: {LOWEST_OVERLAP:.0%})"
        )
    if found["population_stability_index"] > HIGHEST_SHIFT:
        reasons.append(f"risk is spread otherwise: stability index {found['population_stability_index']:g} above 0.2")
    if recall["a"] is not None and recall["b"] is not None and recall["b"] < recall["a"]:
        reasons.append(f"B finds {recall['b']:.0%} of the labelled attacks, A {recall['a']:.0%}")
    return reasons
