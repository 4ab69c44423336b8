"""The one typed list of metrics, and their text exposition (Prometheus text format 0.0.4).

Place in the flow: beside it. Nothing is counted per event: values are read from the partitions' statuses when somebody
asks (`health.samples`). Labels are of low cardinality: partition, code, state, step, dependency, reason, never an id of
a person or an event. `docs/reference/metrics.md` is generated from this list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "accesstrail_"

Kind = Literal["counter", "gauge", "histogram"]
Unit = Literal["", "seconds", "bytes", "records", "info"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its full name, type, unit, labels, and what it says."""

    name: str
    kind: Kind
    unit: Unit
    labels: tuple[str, ...]
    help: str


_PARTITION = ("partition",)

_ROWS: tuple[tuple[str, Kind, Unit, tuple[str, ...], str], ...] = (
    ("events_total", "counter", "", _PARTITION, "Access events sealed in the ledger."),
    ("dead_letters_total", "counter", "", ("partition", "reason"), "Records sealed as dead letters, by reason."),
    ("gaps_total", "counter", "", _PARTITION, "Gaps sealed: runs of offsets that Kafka could not give."),
    ("alerts_total", "counter", "", _PARTITION, "Alerts raised by sealed events."),
    ("unscored_total", "counter", "", _PARTITION, "Events stored without a score although one was due."),
    ("duplicates_total", "counter", "", _PARTITION, "Events that repeat an earlier event's id."),
    (
        "misrouted_total", "counter", "", _PARTITION,
        "Events that lie in another partition than their key says: a producer partitions otherwise.",
    ),
    ("fenced_total", "counter", "", _PARTITION, "How often another worker had sealed our position first."),
    ("batches_total", "counter", "", _PARTITION, "Batches sealed."),
    ("batch_records", "histogram", "records", (), "Records in a sealed batch."),
    (
        "batch_step_seconds_total", "counter", "seconds", ("step",),
        "Time spent by step: form (stages, evidence), rows (store), publish (Kafka), seal (ledger), snapshot.",
    ),
    (
        "lag_records", "gauge", "records", _PARTITION,
        "Records in Kafka that the ledger has not sealed: the broker's end offset minus the next offset to seal.",
    ),
    (
        "oldest_unsealed_age_seconds", "gauge", "seconds", _PARTITION,
        "Age of the oldest record that is not sealed; where none was fetched, time since the lag was first seen.",
    ),
    ("sealed_offset", "gauge", "", _PARTITION, "Newest offset sealed in this life of the log; -1: none."),
    (
        "last_sealed_timestamp_seconds", "gauge", "seconds", _PARTITION,
        "When this worker last sealed a batch, seconds since 1970; 0: not since it began.",
    ),
    (
        "snapshot_age_seconds", "gauge", "seconds", _PARTITION,
        "Time since the partition's profiles were last written, or since it was taken over.",
    ),
    ("partition_state", "gauge", "", ("partition", "state"), "1 for the state the partition is in, else 0."),
    ("partitions_stopped", "gauge", "", ("code",), "Partitions that have stopped, by code."),
    ("profile_gap", "gauge", "", _PARTITION, "1 where the profiles miss events that Kafka no longer holds."),
    (
        "away_seconds_total", "counter", "seconds", ("dependency",),
        "Time during which a dependency (store, kafka) did not answer.",
    ),
    ("away_seconds", "gauge", "seconds", ("dependency",), "How long it does not answer already; 0: it answers."),
    ("stalled_seconds", "gauge", "seconds", _PARTITION, "How long records wait and the sealed offset stands still."),
    ("inbox_records", "gauge", "records", _PARTITION, "Fetched records that wait for their partition's thread."),
    ("inbox_bytes", "gauge", "bytes", _PARTITION, "Bytes of the fetched records that wait."),
    ("ready", "gauge", "", (), "1 while /readyz says ready."),
    ("live", "gauge", "", (), "1 while /livez says live."),
    ("versions_info", "gauge", "info", ("versions_id",), "1 for the version set of the newest batches."),
    ("process_resident_memory_bytes", "gauge", "bytes", (), "Memory of the process in RAM."),
    ("process_open_file_descriptors", "gauge", "", (), "Open file descriptors of the process."),
    ("process_start_timestamp_seconds", "gauge", "seconds", (), "When the worker began, seconds since 1970."),
)  # fmt: skip
_SCHEDULER_ROWS: tuple[tuple[str, Kind, Unit, tuple[str, ...], str], ...] = (
    ("scheduled_runs_total", "counter", "", ("detector", "state"), "Runs of scheduled detectors, by result."),
    ("scheduled_alerts_total", "counter", "", ("detector",), "Alert rows that scheduled detectors wrote or renewed."),
    ("scheduled_waiting", "gauge", "", (), "Windows that are due and not done."),
    ("scheduled_failing", "gauge", "", ("detector", "code"), "1 for a scheduled detector whose last run failed."),
    (
        "scheduled_watermark_age_seconds", "gauge", "seconds", (),
        "How far behind now the events are that scheduled detectors may judge for good.",
    ),
    ("scheduled_lease", "gauge", "", (), "1 while this scheduler is the one that runs."),
    ("nightly_threshold", "gauge", "", (), "Level from which alerts fire since the last nightly turn."),
    ("nightly_budget_ratio", "gauge", "", (), "Alerts fired in fourteen days, of the alert budget."),
    ("nightly_shifted_measures", "gauge", "", (), "Features and groups whose distribution shifted (index > 0.25)."),
    ("retention_running", "gauge", "", (), "1 while retention deletes; only where the scheduler runs it each night."),
    (
        "retention_ended_timestamp_seconds", "gauge", "seconds", (),
        "When a night of retention last ended well, seconds since 1970; 0: not since the scheduler began.",
    ),
    ("retention_deleted_rows_total", "counter", "", (), "Rows that retention deleted."),
)  # fmt: skip

_RESPONDER_ROWS: tuple[tuple[str, Kind, Unit, tuple[str, ...], str], ...] = (
    ("incident_transitions_total", "counter", "", ("transition",), "Records handled, by what each did."),
    ("incidents_open", "gauge", "", (), "Incidents that somebody has to look after, in the partitions that are ours."),
    ("incident_keys", "gauge", "", (), "Incident keys whose state is held in memory."),
    ("incident_ticks_total", "counter", "", (), "Tick commands sent because something was due."),
    ("deliveries_total", "counter", "", ("channel", "outcome"), "Attempts to send a message, by result."),
    ("channel_circuit_open", "gauge", "", ("channel",), "1 for a channel that is left alone after failures."),
    ("response_lag_records", "gauge", "records", ("topic", "partition"), "Records in Kafka that are not handled."),
    ("response_records_total", "counter", "records", ("topic", "partition"), "Records handled."),
    ("response_gaps_total", "counter", "records", ("topic", "partition"), "Records that Kafka deleted unread."),
    ("response_fenced_total", "counter", "", ("topic", "partition"), "How often another process had written first."),
    (
        "response_partition_state", "gauge", "", ("topic", "partition", "state"),
        "1 for the state the partition is in, else 0.",
    ),
)  # fmt: skip

_NOTARY_ROWS: tuple[tuple[str, Kind, Unit, tuple[str, ...], str], ...] = (
    ("notary_checkpoints_total", "counter", "", (), "Checkpoints signed and stored."),
    ("notary_trees", "gauge", "", (), "Trees that are looked at."),
    ("notary_trees_refused", "gauge", "", ("code",), "Trees that are not signed, by code."),
    ("notary_round_age_seconds", "gauge", "seconds", (), "Time since the last round over all trees ended well."),
    (
        "notary_anchor_age_seconds", "gauge", "seconds", ("anchor",),
        "How long the anchor lacks a checkpoint already; 0: it has all.",
    ),
    (
        "notary_anchored_timestamp_seconds", "gauge", "seconds", ("anchor",),
        "When the anchor last took something, seconds since 1970; 0: not since the notary began.",
    ),
    ("notary_anchored_total", "counter", "", ("anchor",), "Checkpoints that the anchor took."),
)  # fmt: skip


def _metrics(rows: tuple[tuple[str, Kind, Unit, tuple[str, ...], str], ...]) -> tuple[Metric, ...]:
    return tuple(Metric(PREFIX + name, kind, unit, labels, text) for name, kind, unit, labels, text in rows)


METRICS, SCHEDULER_METRICS = _metrics(_ROWS), _metrics(_SCHEDULER_ROWS)
RESPONDER_METRICS, NOTARY_METRICS = _metrics(_RESPONDER_ROWS), _metrics(_NOTARY_ROWS)
"""A worker's; a scheduler's, a responder's and a notary's beside those of the process."""

_ALL = (*SCHEDULER_METRICS, *RESPONDER_METRICS, *NOTARY_METRICS, *METRICS)
_BY_NAME: Mapping[str, Metric] = {one.name: one for one in _ALL}


@dataclass(slots=True)
class Samples:
    """Values of metrics at one moment; refuses a name or a label that is not on the list."""

    _lines: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, value: float, **labels: object) -> None:
        """One value of the metric `accesstrail_<name>`."""
        metric = _BY_NAME[PREFIX + name]
        if tuple(labels) != metric.labels:
            raise ValueError(f"{metric.name} has the labels {metric.labels}")
        self._put(metric, "", labels, value)

    def add_histogram(self, name: str, bounds: Iterable[float], counts: Iterable[int], total: float) -> None:
        """One histogram: counts by class (one more class than bounds), and the sum of the values."""
        metric, below = _BY_NAME[PREFIX + name], 0
        for bound, count in zip([*map(_number, bounds), "+Inf"], counts, strict=True):
            below += count
            self._put(metric, "_bucket", {"le": bound}, below)
        self._put(metric, "_sum", {}, total)
        self._put(metric, "_count", {}, below)

    def _put(self, metric: Metric, suffix: str, labels: Mapping[str, object], value: float) -> None:
        words = ",".join(f'{key}="{_escaped(str(text))}"' for key, text in labels.items())
        line = f"{metric.name}{suffix}{{{words}}}" if words else f"{metric.name}{suffix}"
        self._lines.setdefault(metric.name, []).append(f"{line} {_number(value)}")

    def text(self) -> str:
        """The exposition: every metric of the list that has a value, in the list's order."""
        lines: list[str] = []
        for metric in _ALL:
            if metric.name in self._lines:
                lines.append(f"# HELP {metric.name} {metric.help}")
                lines.append(f"# TYPE {metric.name} {metric.kind}")
                lines += self._lines[metric.name]
        return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(round(value, 6))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
