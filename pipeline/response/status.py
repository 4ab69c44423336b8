"""What one partition of incident handling or of sending says of itself, and its metrics.

Place in the flow: written by the partition's thread (`handling.py`, `sending.py`), read by health, `/metrics` and
`accesstrail status`. Numbers, states, codes and names of channels only; no identifier ever comes near it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.health.findings import Report
from pipeline.health.metrics import Samples
from pipeline.health.samples import ProcessFacts, add_process
from pipeline.partition.status import STATES, PartitionStatus


@dataclass(slots=True)
class ResponseStatus(PartitionStatus):
    """One partition of a response topic. `deliveries`: rows by `channel:outcome`; `circuits_open`: names of channels.

    `sealed_offset`: below and at it everything is handled, or settled. `gaps`: records that Kafka deleted before they
    were read.
    """

    transitions: dict[str, int] = field(default_factory=dict)
    keys: int = 0
    open_incidents: int = 0
    ticks: int = 0
    deliveries: dict[str, int] = field(default_factory=dict)
    circuits_open: list[str] = field(default_factory=list)


def response_samples(reports: Sequence[Report], process: ProcessFacts) -> Samples:
    """The values of every metric of a responder; `reports`: one a topic."""
    found = Samples()
    for report in reports:
        for status in report.partitions:
            _add_partition(found, status, report.lags.get(status.partition))
    ours = [one for report in reports for one in report.partitions if isinstance(one, ResponseStatus)]
    _add_response(found, ours)
    add_process(found, reports, process)
    return found


def _add_partition(found: Samples, status: PartitionStatus, lag: int | None) -> None:
    where = {"topic": status.topic, "partition": status.partition}
    if lag is not None:
        found.add("response_lag_records", lag, **where)
    found.add("response_records_total", status.records, **where)
    found.add("response_gaps_total", status.gaps, **where)
    found.add("response_fenced_total", status.fenced, **where)
    for state in STATES:
        found.add("response_partition_state", state == status.state, **where, state=state)


def _add_response(found: Samples, statuses: Sequence[ResponseStatus]) -> None:
    """Sums over the partitions that are ours now."""
    transitions: Counter[str] = Counter()
    deliveries: Counter[str] = Counter()
    for status in statuses:
        transitions.update(status.transitions)
        deliveries.update(status.deliveries)
    for name, count in sorted(transitions.items()):
        found.add("incident_transitions_total", count, transition=name)
    found.add("incidents_open", sum(one.open_incidents for one in statuses))
    found.add("incident_keys", sum(one.keys for one in statuses))
    found.add("incident_ticks_total", sum(one.ticks for one in statuses))
    for name, count in sorted(deliveries.items()):
        channel, _, outcome = name.partition(":")
        found.add("deliveries_total", count, channel=channel, outcome=outcome)
    for channel in sorted({name for one in statuses for name in one.circuits_open}):
        found.add("channel_circuit_open", 1, channel=channel)
