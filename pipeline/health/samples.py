"""The values of every metric, from a health report: asked for by `/metrics`, never on the way of an event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.health.findings import Report
from pipeline.health.metrics import Samples
from pipeline.partition.status import BATCH_SIZES, STATES, STEPS, PartitionStatus


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """What the operating system says of the process."""

    resident_bytes: int
    open_files: int
    started_s: float


def samples(report: Report, process: ProcessFacts) -> Samples:
    """The values of every metric."""
    found = Samples()
    for status in report.partitions:
        _add_counters(found, status)
        _add_standing(found, status, report)
    totals = report.totals
    found.add_histogram("batch_records", BATCH_SIZES, totals.batch_sizes, totals.records)
    for step, seconds in zip(STEPS, totals.step_seconds, strict=True):
        found.add("batch_step_seconds_total", seconds, step=step)
    for versions_id in sorted({one.versions_id for one in report.partitions if one.versions_id}):
        found.add("versions_info", 1, versions_id=versions_id)
    add_process(found, [report], process)
    return found


def add_process(found: Samples, reports: Sequence[Report], process: ProcessFacts) -> None:
    """The metrics that every process of partitions has; `reports`: one a topic, of dependencies they share."""
    stopped = Counter(one.code for report in reports for one in report.partitions if one.state == "stopped")
    for code, number in stopped.items():
        found.add("partitions_stopped", number, code=code)
    for name in reports[0].away_total_s:
        found.add("away_seconds_total", max(one.away_total_s.get(name, 0.0) for one in reports), dependency=name)
        found.add("away_seconds", max(_away_s(one, name) for one in reports), dependency=name)
    found.add("ready", all(one.ready for one in reports))
    found.add("live", all(one.live for one in reports))
    found.add("process_resident_memory_bytes", process.resident_bytes)
    found.add("process_open_file_descriptors", process.open_files)
    found.add("process_start_timestamp_seconds", process.started_s)


def _away_s(report: Report, name: str) -> float:
    since_s = next((span.since_s for span in report.away if span.dependency == name), None)
    return 0.0 if since_s is None else max(0.0, report.now_s - since_s)


def _add_counters(found: Samples, status: PartitionStatus) -> None:
    number = status.partition
    for name in ("events", "gaps", "alerts", "unscored", "duplicates", "misrouted", "fenced", "batches"):
        found.add(f"{name}_total", getattr(status, name), partition=number)
    for reason, count in sorted(status.reasons.items()):
        found.add("dead_letters_total", count, partition=number, reason=reason)


def _add_standing(found: Samples, status: PartitionStatus, report: Report) -> None:
    number = status.partition
    if number in report.lags:
        found.add("lag_records", report.lags[number], partition=number)
        oldest = status.oldest_received_at or report.lag_since_s.get(number, 0.0)
        age = max(0.0, report.now_s - oldest) if report.lags[number] and oldest else 0.0
        found.add("oldest_unsealed_age_seconds", age, partition=number)
    found.add("sealed_offset", status.sealed_offset, partition=number)
    found.add("last_sealed_timestamp_seconds", status.last_sealed_at, partition=number)
    if status.snapshot_at:
        found.add("snapshot_age_seconds", max(0.0, report.now_s - status.snapshot_at), partition=number)
    for state in STATES:
        found.add("partition_state", state == status.state, partition=number, state=state)
    found.add("profile_gap", status.profile_gap, partition=number)
    found.add("stalled_seconds", report.stalled_s.get(number, 0.0), partition=number)
    found.add("inbox_records", status.inbox_records, partition=number)
    found.add("inbox_bytes", status.inbox_bytes, partition=number)
