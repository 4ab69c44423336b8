"""What an exception would have held back: the stage's own decision, asked about stored events and alerts.

Place in the flow: beside it; `adapters/exceptions.py` reads the rows, `accesstrail exceptions preview` shows the
answer. It is told for the thresholds in force now, whatever was in force when an event was judged. The model's level of
an event follows from its stored score (`combine.py`: score = s / (s + 2), level = 2,000 s), to a hundredth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from detectors.base import EXCEPTION_CODE
from detectors.exceptions import STATE_KEYS, AlertException, Causes, left_of
from detectors.policy import Policy, reaches
from pipeline.stages.hold_back import causes_of

Position = tuple[str, str, int, int]
"""Topic, incarnation, partition, offset."""
WORST = 10


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event of history as far as exceptions look at it. `score`: millionths."""

    position: Position
    score: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """An alert of history; risk in hundredths, time UTC microseconds."""

    alert_id: str
    position: Position
    time_us: int
    detector: str
    risk: int
    severity: str


@dataclass(slots=True)
class Preview:
    """Events in scope that reach a threshold, of these: those of which nothing is left; alerts that would not be."""

    reaching: int = 0
    held_back: int = 0
    alerts: Counter[str] = field(default_factory=Counter)
    worst: list[StoredAlert] = field(default_factory=list)


def level_of(score: int) -> int:
    """The model's level (hundredths) of a stored anomaly score (millionths)."""
    share = score / 1e6
    return round(2000.0 * 2.0 * share / (1.0 - share)) if share < 1.0 else 0


def preview(
    one: AlertException,
    events: Iterable[StoredEvent],
    alerts: Sequence[StoredAlert],
    alerted: set[Position],
    policy: Policy,
    floors: Mapping[str, int],
) -> Preview:
    """What the exception would have held back. `events`: of its scope; `alerts`: all; `floors`: of each rule.

    `alerted`: positions in its scope that alerts of the scheduled detectors it names speak of.
    """
    found, silenced = Preview(), set[Position]()
    for event in events:
        causes = causes_of(_told(event.reasons), level_of(event.score), floors)
        if not _reaches(causes, policy):
            continue
        found.reaching += 1
        left = left_of(causes, policy.threshold, [one])
        if left.taken and not _reaches(left.causes, policy):
            found.held_back += 1
            silenced.add(event.position)
    held = [alert for alert in alerts if _is_held(alert, one, silenced, alerted)]
    found.alerts.update(alert.detector for alert in held)
    found.worst = sorted(held, key=lambda alert: (-alert.risk, alert.time_us, alert.alert_id))[:WORST]
    return found


def _told(reasons: Sequence[str]) -> Sequence[str]:
    """Reasons that no other exception had taken away."""
    taken = next((place for place, code in enumerate(reasons) if code.startswith(EXCEPTION_CODE)), len(reasons))
    return reasons[:taken]


def _reaches(causes: Causes, policy: Policy) -> bool:
    return bool(reaches(np.array(causes.level), np.array(causes.floor), policy))


def _is_held(alert: StoredAlert, one: AlertException, silenced: set[Position], alerted: set[Position]) -> bool:
    if alert.detector not in STATE_KEYS:
        return alert.position in silenced
    return (
        alert.detector in one.detectors and alert.position in alerted and (one.up_to is None or alert.risk <= one.up_to)
    )
