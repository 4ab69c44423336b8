"""Incidents as people read them: the answers of `adapters/incident_reading.py`.

Place in the flow: what commands, pages and dashboards show; nothing here decides. Risk in hundredths, times UTC
microseconds, 0 where there is none yet; ids and tokens in hex, "" where there are none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentView:
    """An incident as it stands. `detectors`: the highest risk that each one reached."""

    tenant_id: str
    incident_id: str
    incident_key: str
    actor_token: str
    state: str
    severity: str
    risk: int
    alerts: int
    withdrawn: int
    detectors: Mapping[str, int]
    explanation_en: str
    explanation_zh: str
    gravest_alert_id: str
    opened_us: int
    first_event_us: int
    last_event_us: int
    changed_us: int
    acknowledged_us: int
    acknowledged_by: str
    assignee: str
    resolved_us: int
    resolved_by: str
    verdict: str
    reopened: int
    comments: int
    merged_into: str
    breach_since_us: int
    layer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One row of an incident's log. `at_us`: log time; `sent_us`: as the sender's clock, or the access, has it.

    `detail`: JSON, what else the record says.
    """

    at_us: int
    sent_us: int
    kind: str
    name: str
    transition: str
    code: str
    state_before: str
    state_after: str
    by: str
    why: str
    command_id: str
    alert_id: str
    detail: str


class CommandOutcome(NamedTuple):
    """What became of a command; `code`: why nothing did."""

    transition: str
    code: str
    incident_id: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertView:
    """One alert of an incident, and the event that raised it.

    `seen`: what the numbers of its explanation follow from (docs/guides/reading-an-alert.md); `topic` to `offset`:
    where the event stands.
    """

    alert_id: str
    event_id: str
    event_time_us: int
    detector: str
    risk: int
    severity: str
    reasons: tuple[str, ...]
    explanation_en: str
    explanation_zh: str
    actor_token: str = ""
    seen: Mapping[str, float] = field(default_factory=dict)
    topic: str = ""
    incarnation: str = ""
    partition: int = 0
    offset: int = 0


class IncidentPlace(NamedTuple):
    """Where a page of the list ended: the last incident shown, by what the list is ordered by."""

    severity: str
    opened_us: int
    incident_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFilter:
    """Which incidents a list shows; no states, no severities, "": all. `handler`: acknowledged by it or given to it."""

    states: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    handler: str = ""
    actor_token: str = ""


SUBJECTS_OF_ROW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRow:
    """One access of an alert, as stored: tokens and masks only. Counts -1 where the source gave none.

    `subject_tokens`: the first `SUBJECTS_OF_ROW` of those it lists.
    """

    event_id: str
    event_time_us: int
    received_us: int
    actor_token: str
    action: str
    outcome: str
    resource_type: str
    resource_id: str
    subjects: int
    records_returned: int
    purpose: str
    explained: str
    channel: str
    network_kind: str
    src_country: str
    app_id: str
    endpoint: str
    fields_unmasked: tuple[str, ...]
    justification: str
    risk: int
    topic: str
    partition: int
    offset: int
    subject_tokens: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentExport:
    """A file of canonical JSON: tokens and names of responders, no identity of a customer or an actor.

    `log_rows`, `alerts`: how many it holds.
    """

    body: bytes
    log_rows: int
    alerts: int


@dataclass(frozen=True, slots=True)
class Verdicts:
    """How incidents in which a detector took part were judged."""

    true_positive: int
    benign: int
    false_positive: int

    @property
    def precision(self) -> float | None:
        """Share of true positives; None: nothing was judged."""
        judged = self.true_positive + self.benign + self.false_positive
        return self.true_positive / judged if judged else None


@dataclass(frozen=True, slots=True)
class Durations:
    """How long something took, seconds; zero where it never happened."""

    count: int
    median_s: float
    p90_s: float


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Messages of a channel: arrived, and given up for good."""

    delivered: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentStatistics:
    """A period in numbers. `alerts`: taken in by incidents; `opened`: incidents; `detectors`, `channels`: by name."""

    days: float
    alerts: int
    opened: int
    detectors: Mapping[str, Verdicts]
    to_acknowledge: Durations
    to_resolve: Durations
    channels: Mapping[str, Arrivals]

    @property
    def alerts_a_day(self) -> float:
        """Alerts by day of the period."""
        return self.alerts / self.days if self.days else 0.0
