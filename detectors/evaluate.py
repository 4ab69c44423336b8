"""How good the findings are, against labels: the whole of an evaluation as plain data.

Place in the flow: after `accesstrail score`; nothing here is read by the stream. Each measure stands with its
definition in `detectors/evaluation/`: recall and time to detect, the actor-day curve, whom alerts fall on, false alerts
on what is harmless, calibration and stability of risk. `detectors/evaluation/report.py` writes it for people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from detectors.evaluation.calibration import stability, tail_calibration
from detectors.evaluation.curve import actor_day_curve
from detectors.evaluation.evidence import Account, Evidence, Happening
from detectors.evaluation.fairness import groups
from detectors.evaluation.harmless import lookalikes, twins
from detectors.evaluation.recall import minutes_to_detect, recall


def evaluate(
    evidence: Evidence,
    accounts: Mapping[str, Account] | None = None,
    happenings: Sequence[Happening] = (),
    time_zone: str = "UTC",
) -> dict[str, Any]:
    """The report as plain data, ready for JSON.

    None stands where nothing can be said: curve, times, look-alikes and stability where events were not given, a share
    of nothing. `accounts`: what the directory says of each actor; without it no groups. `time_zone`: whose days count
    for actors without a site.
    """
    days, alerts = evidence.days, len(evidence.alert_row)
    hits = int((~evidence.is_false).sum())
    is_placed = len(evidence.placed) > 0
    minutes = minutes_to_detect(evidence) if is_placed else None
    return {
        "events": len(evidence.risk),
        "days": None if days is None else round(days, 3),
        "actors": len(evidence.actors),
        "attacks": len(evidence.attacks),
        "attacks_not_scored": evidence.attacks.unseen,
        "alerts": alerts,
        "alerts_per_day": None if days is None else round(alerts / days, 3),
        "precision": round(hits / alerts, 4) if alerts else None,
        **recall(evidence),
        "pr_auc_actor_day": actor_day_curve(evidence),
        "pr_auc_actor_day_of_events": actor_day_curve(evidence, with_alerts=False),
        "median_minutes_to_detect": minutes["all"]["median_minutes"] if minutes else None,
        "minutes_to_detect": minutes,
        "twins": twins(evidence) if len(evidence.twins) else None,
        "lookalikes": lookalikes(evidence, happenings, accounts or {}, time_zone) if happenings and is_placed else None,
        **(
            {"peer_groups": None, "departments": None, "sites": None}
            if accounts is None
            else groups(evidence, accounts)
        ),
        "calibration": tail_calibration(evidence) if len(evidence.risk) else None,
        "stability": stability(evidence),
    }
