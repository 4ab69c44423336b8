"""What `accesstrail status` says: addresses, readiness, processes, and how far each partition is.

Read from four places, each of which may be away: the run file of the local stack, the worker's status file, Kafka (log
ends, topic ids) and the ledger (what is sealed, as the role reader). What is away is named under `problems`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deploy.local.files import read_json
from deploy.local.supervisor import is_locked, lock_file, run_file
from pipeline.adapters.clickhouse import connect
from pipeline.adapters.kafka import Bounds, TopicAdmin, TopicFacts
from pipeline.cli.stack_run import WORKER_FILE
from pipeline.config import Settings
from pipeline.errors import AccesstrailError

# The worker writes its state about once a second.
_WORKER_SILENT_AFTER = timedelta(seconds=15)
_SEALED = "SELECT topic, incarnation, partition, max(last_offset) FROM ledger GROUP BY topic, incarnation, partition"

Document = dict[str, object]
Sealed = Mapping[tuple[str, str, int], int]


def collect(settings: Settings) -> Document:
    """The status document: the keys of the outside contract, and the model's and the stopped partitions' state."""
    problems: list[str] = []
    stack = _stack(settings.state_dir)
    topics: dict[str, TopicFacts] = {}
    bounds: dict[int, Bounds] = {}
    sealed: Sealed | None = None
    worker: Document | None = None
    if stack is None and lock_file(settings.state_dir).exists():
        # Nobody would answer; asking would only wait for time-outs.
        problems.append(f"the local stack does not run: start it with `accesstrail up --state {settings.state_dir}`")
    else:
        topics, bounds = _kafka(settings, problems)
        sealed = _sealed(settings, problems)
        problems += _faults(stack)
        worker = _worker(settings.state_dir, stack, problems)
    events = settings.kafka.events_topic
    return {
        "ready": not problems,
        "bootstrap_servers": settings.kafka.bootstrap_servers,
        "clickhouse": {
            "host": settings.clickhouse.host,
            "native_port": settings.clickhouse.native_port,
            "http_port": settings.clickhouse.http_port,
        },
        "console": None,
        "incarnation": {name: facts.topic_id for name, facts in topics.items()},
        "partitions": _partitions(events, topics.get(events), bounds, sealed),
        "stopped": _stopped(worker),
        "profile_gaps": [entry.get("partition") for entry in _entries(worker) if entry.get("profile_gap") is True],
        "model": worker.get("model") if worker else None,
        "unscored": sum(_whole(one.get("unscored")) for one in _entries(worker)),
        "processes": _processes(stack),
        "worker": worker,
        "problems": problems,
    }


def _kafka(settings: Settings, problems: list[str]) -> tuple[dict[str, TopicFacts], dict[int, Bounds]]:
    admin = TopicAdmin(settings.kafka.bootstrap_servers)
    topics: dict[str, TopicFacts] = {}
    try:
        for name in (settings.kafka.events_topic, settings.kafka.incidents_topic):
            facts = admin.describe(name)
            if facts is None:
                problems.append(f"there is no topic {name}: create it with `accesstrail topics create`")
            else:
                topics[name] = facts
        events = topics.get(settings.kafka.events_topic)
        return topics, admin.partition_bounds(events.name, range(events.partitions)) if events else {}
    except AccesstrailError as exc:
        problems.append(str(exc))
        return topics, {}
    finally:
        admin.close()


def _sealed(settings: Settings, problems: list[str]) -> Sealed | None:
    try:
        with closing(connect(settings.clickhouse, "reader")) as store:
            database = settings.clickhouse.database
            rows = store.query(_SEALED.replace("FROM ledger", f"FROM {database}.ledger"))
    except AccesstrailError as exc:
        problems.append(str(exc))
        return None
    return {(str(topic), str(incarnation), int(partition)): int(last) for topic, incarnation, partition, last in rows}


def _partitions(
    topic: str, facts: TopicFacts | None, bounds: Mapping[int, Bounds], sealed: Sealed | None
) -> list[Document]:
    """One entry a partition; `lag` counts records that are in Kafka and not sealed, None where that is unknown."""
    entries: list[Document] = []
    for partition in range(facts.partitions if facts else 0):
        assert facts is not None  # noqa: S101  the range is empty otherwise
        last = None if sealed is None else sealed.get((topic, facts.topic_id, partition))
        known = bounds.get(partition)
        lag = None
        if known is not None and sealed is not None:
            next_offset = known.first_offset if last is None else max(last + 1, known.first_offset)
            lag = max(0, known.end_offset - next_offset)
        entries.append(
            {
                "topic": topic,
                "incarnation": facts.topic_id,
                "partition": partition,
                "lag": lag,
                "sealed_offset": last,
            }
        )
    return entries


def _stack(state: Path) -> Document | None:
    """The local stack's run file, where one runs; None for any other deployment."""
    document = read_json(run_file(state))
    return document if document is not None and is_locked(state) else None


def _worker(state: Path, stack: Document | None, problems: list[str]) -> Document | None:
    if stack is not None and stack.get("worker") is False:
        return None
    document = read_json(state / "run" / WORKER_FILE)
    if document is None or not _is_recent(document.get("updated_at")):
        problems.append("no worker runs here: start one with `accesstrail up` or `accesstrail worker`")
        return None
    if stack is not None and document.get("pid") not in [process["pid"] for process in _processes(stack)]:
        problems.append("the worker is being started again")
    elif document.get("ready") is not True:
        problems.append(
            "the worker is not ready: it has no partitions yet, recovers them, or its dependencies are away"
        )
    for entry in _stopped(document):
        problems.append(f"partition {entry['partition']} has stopped ({entry['code']}): see the runbook of this code")
    return document


def _is_recent(text: object) -> bool:
    try:
        return datetime.now(UTC) - datetime.fromisoformat(str(text)) < _WORKER_SILENT_AFTER
    except (TypeError, ValueError):
        return False


def _entries(worker: Document | None) -> list[Document]:
    entries = worker.get("partitions") if worker else None
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _stopped(worker: Document | None) -> list[Document]:
    return [
        {"topic": entry.get("topic"), "partition": entry.get("partition"), "code": entry.get("code")}
        for entry in _entries(worker)
        if entry.get("state") == "stopped"
    ]


def _processes(stack: Document | None) -> list[Document]:
    if stack is None:
        return []
    children = stack.get("processes")
    return [
        {"name": entry["name"], "pid": entry["pid"], "since": entry["since"]}
        for entry in (children if isinstance(children, list) else [])
    ]


def _faults(stack: Document | None) -> list[str]:
    """Children that are dead now, and why."""
    faults = stack.get("faults") if stack else None
    return [f"{fault}; it is being started again" for fault in faults] if isinstance(faults, list) else []


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
