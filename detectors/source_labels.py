"""Which labelled event an alert about a source hits: a silence and a hole have no events of their own.

Place in the flow: before `evaluate`. Such labels stand on the next events of the source's instance, whoever made them,
while the alert names the last event before a silence or the one after the largest hole. So they count by instance: an
alert of a detector whose state is a source's hits the nearest such label of the same instance within a day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from detectors.scheduled import SCHEDULED

SOURCE_DETECTORS = frozenset(one.name for one in SCHEDULED if one.state_key == "source")
SOURCE_SCENARIOS = frozenset(("silent_source", "sequence_hole"))
WITHIN_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Sighting:
    """An alert or a label at a source: `name` is the detector's or the scenario's. Times UTC microseconds."""

    name: str
    event_id: str
    instance: str
    time_us: int


def hits_by_source(alerts: Sequence[Sighting], labels: Sequence[Sighting]) -> list[Sighting | None]:
    """For each alert the label that it hits by its source's instance; None: its own event alone counts."""
    by_instance: dict[str, list[Sighting]] = defaultdict(list)
    for label in labels:
        if label.name in SOURCE_SCENARIOS:
            by_instance[label.instance].append(label)
    return [
        _nearest(alert, by_instance[alert.instance]) if alert.name in SOURCE_DETECTORS else None for alert in alerts
    ]


def _nearest(alert: Sighting, labels: Sequence[Sighting]) -> Sighting | None:
    near = [one for one in labels if abs(one.time_us - alert.time_us) <= WITHIN_US]
    return min(near, key=lambda one: (abs(one.time_us - alert.time_us), one.event_id), default=None)
