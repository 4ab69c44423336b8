"""Whom the alerts fall on: each group's share of the alerts against its share of the actors.

ratio = (alerts of the group / all alerts) / (actors of the group / all actors); 1 is even. Actors are those with a
scored event or an alert. The interval is Wilson's of the share of alerts, divided by the share of actors; alerts of one
actor come together, so it is rather too narrow, and `actors_alerted` stands beside it. By peer group
(department/role) all alerts are counted; by department and by site only false ones: those are what people bear who
did nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.base import I64
from detectors.evaluation.evidence import Account, Evidence
from detectors.evaluation.shares import wilson

UNKNOWN = "(not in the directory)"


def groups(evidence: Evidence, accounts: Mapping[str, Account]) -> dict[str, Any]:
    """The three tables: peer groups over all alerts, departments and sites over false ones."""
    false = evidence.is_false
    return {
        "peer_groups": alert_shares(evidence, accounts, lambda one: f"{one.department}/{one.role}".strip("/")),
        "departments": alert_shares(evidence, accounts, lambda one: one.department, false),
        "sites": alert_shares(evidence, accounts, lambda one: one.site, false),
    }


def alert_shares(
    evidence: Evidence,
    accounts: Mapping[str, Account],
    group: Callable[[Account], str],
    counted: npt.NDArray[np.bool_] | None = None,
) -> list[dict[str, Any]]:
    """One row a group, by name; `counted` (m,): which alerts count, all by default."""
    names = [group(accounts[actor]) if actor in accounts else UNKNOWN for actor in evidence.actors]
    labels = sorted(set(names))
    number = {name: index for index, name in enumerate(labels)}
    group_of: I64 = np.array([number[name] for name in names], np.int64)
    by_actor = evidence.alert_actor if counted is None else evidence.alert_actor[counted]
    sizes = np.bincount(group_of, minlength=len(labels)).tolist()
    alerts = np.bincount(group_of[by_actor], minlength=len(labels)).tolist()
    alerted = np.bincount(group_of[np.unique(by_actor)], minlength=len(labels)).tolist()
    return [
        _row(name, sizes[index], len(names), alerts[index], len(by_actor), alerted[index])
        for index, name in enumerate(labels)
    ]


def _row(name: str, actors: int, all_actors: int, alerts: int, all_alerts: int, alerted: int) -> dict[str, Any]:
    size = actors / all_actors
    low, high = (end / size for end in wilson(alerts, all_alerts))
    return {
        "group": name or UNKNOWN,
        "actors": actors,
        "actor_share": round(size, 4),
        "alerts": alerts,
        "alert_share": round(alerts / all_alerts, 4) if all_alerts else None,
        "ratio": round(alerts / all_alerts / size, 3) if all_alerts else None,
        "ratio_interval": [round(low, 3), round(high, 3)],
        "actors_alerted": alerted,
    }
