"""Whether every pruned leaf belongs to a run of retention that the ledger knows: part of check 12.

Place in the flow: behind `pipeline/cli/verification.py`. A row that somebody deleted leaves a whole tree where its hash
was put into `pruned_leaves`. So each such leaf must be of a run that was announced: an access event with the run's id,
in the evidence, whose fingerprint is the digest of class and bounds. And the leaf must lie within these: its time of
receipt before the run's bound, and within the times of the sealed entry that it belongs to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

from pipeline.adapters.reader_pool import Questions
from pipeline.audit.rights_events import RETENTION, SOURCE_SYSTEM, lettered
from pipeline.ledger.verify import Findings
from pipeline.retention.runs import DELETING, DONE, RetentionRun

_RUNS = (
    "SELECT toString(run_id), stage, retention_class, days, provision_days, toUnixTimestamp64Micro(bound), "
    "toUnixTimestamp64Micro(provision_bound) FROM accesstrail.retention_runs ORDER BY run_id, at"
)
_ANNOUNCED = (
    "SELECT toString(event_id), query_fingerprint, toUnixTimestamp64Micro(received_at) FROM accesstrail.access_events "
    "WHERE event_id IN (SELECT run_id FROM accesstrail.retention_runs) AND source_system = {system:String} "
    "AND action = 'log_control' AND resource_type = {kind:String}"
)
_USED = "SELECT DISTINCT toString(run_id) FROM accesstrail.pruned_leaves"
_OUTSIDE = (
    "SELECT leaf.topic, leaf.partition, min(leaf.offset), count() FROM accesstrail.pruned_leaves AS leaf "
    "LEFT ANY JOIN (SELECT DISTINCT run_id, retention_class, bound, 1 AS is_run FROM accesstrail.retention_runs) "
    "AS run ON leaf.run_id = run.run_id "
    "LEFT ANY JOIN (SELECT batch_id, topic, incarnation, partition, epoch, first_offset, last_offset, "
    "first_received_at, last_received_at FROM accesstrail.ledger) AS entry "
    "ON leaf.batch_id = entry.batch_id AND leaf.topic = entry.topic AND leaf.incarnation = entry.incarnation "
    "AND leaf.partition = entry.partition AND leaf.epoch = entry.epoch "
    "WHERE run.is_run = 0 OR leaf.received_at >= run.bound OR leaf.retention_class != run.retention_class "
    "OR leaf.offset < entry.first_offset OR leaf.last_offset > entry.last_offset "
    "OR leaf.received_at < entry.first_received_at OR leaf.received_at > entry.last_received_at "
    "GROUP BY leaf.topic, leaf.partition ORDER BY ALL"
)
_COUNTS = (
    "SELECT toString(run_id), stated, kept FROM (SELECT run_id, (events, dead_letters) AS stated "
    "FROM accesstrail.retention_runs WHERE stage = 'done') AS run LEFT JOIN (SELECT run_id, "
    "(countIf(source = 'access_events'), countIf(source = 'dead_letters')) AS kept FROM accesstrail.pruned_leaves "
    "GROUP BY run_id) AS leaf USING run_id WHERE stated != kept ORDER BY ALL"
)


class _Runs(NamedTuple):
    """Runs by id; those that began to delete, which each one does behind its announcement; whether all have ended."""

    by_id: Mapping[str, RetentionRun]
    began: frozenset[str]
    are_ended: bool


def check_pruned(questions: Questions, findings: Findings) -> bool:
    """Whether all runs have ended; differences are told. Raises: Away; StoreRefused."""
    runs = _runs(questions, findings)
    given = {"system": SOURCE_SYSTEM, "kind": RETENTION}
    told: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for event_id, fingerprint, received_us in questions.query(_ANNOUNCED, given):
        told[event_id].append((fingerprint, received_us))
    used = {run_id for (run_id,) in questions.query(_USED)}
    for run_id in sorted(used | runs.began):
        run = runs.by_id.get(run_id)
        if run is None:
            findings.add("pruned_uncovered", "", f"leaves were pruned by {run_id}, which is no run of retention")
        elif not any(print_ == lettered(run.digest) and run.is_due_at(at_us) for print_, at_us in told[run_id]):
            findings.add("pruned_uncovered", "", f"the ledger holds no announcement of run {run_id} as it stands")
    for run_id, stated, kept in questions.query(_COUNTS):
        about = f"run {run_id} says that it deleted {stated} accesses and dead letters, its leaves say {kept}"
        findings.add("pruned_uncovered", "", about)
    for topic, partition, first, count in questions.query(_OUTSIDE):
        about = f"{count} pruned leaves of {topic} partition {partition} are not within what their run may delete"
        findings.add("pruned_uncovered", "", about, int(first))
    return runs.are_ended


def _runs(questions: Questions, findings: Findings) -> _Runs:
    runs: dict[str, RetentionRun] = {}
    stages: dict[str, set[str]] = defaultdict(set)
    rows: list[tuple[Any, ...]] = questions.query(_RUNS)
    for run_id, stage, name, days, provision_days, bound_us, provision_bound_us in rows:
        one = RetentionRun(
            run_id=run_id, retention_class=name, days=days, provision_days=provision_days, bound_us=bound_us,
            provision_bound_us=provision_bound_us,
        )  # fmt: skip
        if runs.setdefault(run_id, one) != one:
            findings.add("pruned_uncovered", "", f"two rows of run {run_id} say different things")
        stages[run_id].add(stage)
    open_runs = [run_id for run_id, seen in stages.items() if DELETING in seen and DONE not in seen]
    for run_id in open_runs:
        about = f"run {run_id} of retention has not ended: `accesstrail retention run` ends it"
        findings.add("retention_unended", "", f"{about}; sums and lists by subject are not compared")
    began = frozenset(run_id for run_id, seen in stages.items() if seen & {DELETING, DONE})
    return _Runs(runs, began, not open_runs)
