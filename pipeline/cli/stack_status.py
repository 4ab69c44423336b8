"""What `accesstrail status` says: addresses, readiness, processes, workers, and how far each partition is.

Read from four places, each of which may be away: the run file of the local stack, the workers' status files, Kafka (log
ends, topic ids) and the ledger (what is sealed, as the role reader). What is away is named under `problems`; what the
workers say of their partitions is merged under `troubles`, each with its code, its partition and what it means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from deploy.local.files import read_json
from deploy.local.supervisor import is_locked, lock_file, run_file
from pipeline.adapters.clickhouse import connect
from pipeline.adapters.kafka import Bounds, TopicAdmin, TopicFacts
from pipeline.adapters.status_file import read_workers
from pipeline.config import Settings
from pipeline.errors import AccesstrailError
from pipeline.health.findings import LOOP_STUCK, NO_PROGRESS, THREAD_ENDED
from pipeline.health.problems import Problem, problem_of, told
from pipeline.health.troubles import explain
from pipeline.partition.recovery import current_life

_SEALED = "SELECT topic, incarnation, partition, max(last_offset) FROM ledger GROUP BY topic, incarnation, partition"

_OF_THE_PROCESS = frozenset((LOOP_STUCK, NO_PROGRESS, THREAD_ENDED, "not_assigned", "topic_missing"))

_NO_WORKER = Problem(
    "no worker runs here: start one with `accesstrail up` or `accesstrail worker`",
    "此处没有 worker 运行：用 `accesstrail up` 或 `accesstrail worker` 启动",
)

Document = dict[str, object]
Sealed = Mapping[tuple[str, str, int], int]


def collect(settings: Settings, limit_ms: int = 0) -> Document:
    """The status document: the keys of the outside contract, the workers, and what they say of model and partitions.

    `limit_ms`: how long a question to Kafka may take where somebody waits; 0: the usual.
    """
    problems: list[Problem] = []
    stack = _stack(settings.state_dir)
    topics: dict[str, TopicFacts] = {}
    bounds: dict[int, Bounds] = {}
    sealed: Sealed | None = None
    workers: list[Document] = []
    responders: list[Document] = [*read_workers(settings.state_dir / "run", "responder")]
    notaries: list[Document] = [*read_workers(settings.state_dir / "run", "notary")]
    consoles = read_workers(settings.state_dir / "run", "console")
    if stack is None and lock_file(settings.state_dir).exists():
        # Nobody would answer; asking would only wait for time-outs.
        start = f"`accesstrail up --state {settings.state_dir}`"
        problems.append(
            Problem(f"the local stack does not run: start it with {start}", f"本地环境未运行：用 {start} 启动")
        )
    else:
        topics, bounds = _kafka(settings, problems, limit_ms)
        sealed = _sealed(settings, problems)
        problems += _faults(stack)
        workers = _workers(settings.state_dir, stack, problems)
        problems += _unready("responder", responders) + _unready("notary", notaries)
    events = settings.kafka.events_topic
    return {
        "ready": not problems,
        "bootstrap_servers": settings.kafka.bootstrap_servers,
        "clickhouse": {
            "host": settings.clickhouse.host,
            "native_port": settings.clickhouse.native_port,
            "http_port": settings.clickhouse.http_port,
        },
        "console": next((str(one["address"]) for one in consoles if one.get("address")), None),
        "incarnation": {name: facts.topic_id for name, facts in topics.items()},
        "partitions": _partitions(events, topics.get(events), bounds, sealed),
        "stopped": _stopped(workers),
        "troubles": troubles(workers),
        "profile_gaps": [entry.get("partition") for entry in _entries(workers) if entry.get("profile_gap") is True],
        "model": next((worker.get("model") for worker in workers), None),
        "unscored": sum(_whole(one.get("unscored")) for one in _entries(workers)),
        "processes": _processes(stack),
        "workers": workers,
        "schedulers": read_workers(settings.state_dir / "run", "scheduler"),
        "responders": responders,
        "notaries": notaries,
        "problems": [one.english for one in problems],
        "problems_zh": [one.chinese for one in problems],
    }


def _kafka(
    settings: Settings, problems: list[Problem], limit_ms: int
) -> tuple[dict[str, TopicFacts], dict[int, Bounds]]:
    admin = TopicAdmin(settings.kafka.bootstrap_servers, limit_ms)
    topics: dict[str, TopicFacts] = {}
    try:
        for name in (settings.kafka.events_topic, settings.kafka.incidents_topic):
            facts = admin.describe(name)
            if facts is None:
                make = "`accesstrail topics create`"
                problems.append(
                    Problem(f"there is no topic {name}: create it with {make}", f"没有 topic {name}：用 {make} 创建")
                )
            else:
                topics[name] = facts
        events = topics.get(settings.kafka.events_topic)
        return topics, admin.partition_bounds(events.name, range(events.partitions)) if events else {}
    except AccesstrailError as exc:
        problems.append(problem_of(exc))
        return topics, {}
    finally:
        admin.close()


def _sealed(settings: Settings, problems: list[Problem]) -> Sealed | None:
    try:
        with closing(connect(settings.clickhouse, "reader")) as store:
            database = settings.clickhouse.database
            rows = store.query(_SEALED.replace("FROM ledger", f"FROM {database}.ledger"))
    except AccesstrailError as exc:
        problems.append(problem_of(exc))
        return None
    return {(str(topic), str(incarnation), int(partition)): int(last) for topic, incarnation, partition, last in rows}


def _partitions(
    topic: str, facts: TopicFacts | None, bounds: Mapping[int, Bounds], sealed: Sealed | None
) -> list[Document]:
    """One entry a partition; `lag` counts records that are in Kafka and not sealed, None where that is unknown."""
    lives: dict[int, dict[str, int]] = {}
    for (name, life, number), offset in (sealed or {}).items():
        if name == topic:
            lives.setdefault(number, {})[life] = offset
    entries: list[Document] = []
    for partition in range(facts.partitions if facts else 0):
        assert facts is not None  # noqa: S101  the range is empty otherwise
        life = current_life(facts.topic_id, lives.get(partition, {}))
        last = lives.get(partition, {}).get(life)
        known = bounds.get(partition)
        lag = None
        if known is not None and sealed is not None:
            next_offset = known.first_offset if last is None else max(last + 1, known.first_offset)
            lag = max(0, known.end_offset - next_offset)
        entries.append(
            {
                "topic": topic,
                "incarnation": life,
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


def _workers(state: Path, stack: Document | None, problems: list[Problem]) -> list[Document]:
    found: list[Document] = [*read_workers(state / "run")]
    if stack is not None and stack.get("worker") is False and not found:
        return []
    if not found:
        problems.append(_NO_WORKER)
    children = {process["pid"] for process in _processes(stack)}
    if found and stack is not None and stack.get("worker") is True and not children & {one["pid"] for one in found}:
        problems.append(Problem("the worker is being started again", "worker 正在重新启动"))
    problems += _unready("worker", found)
    for entry in _stopped(found):
        problems.append(_stop(entry["partition"], str(entry["code"])))
    return found


def _stop(partition: object, code: str) -> Problem:
    known = explain(code)
    return Problem(
        f"partition {partition} has stopped ({code}): {known.english}",
        f"分区 {partition} 已停止（{code}）：{known.chinese}",
    )


def _unready(kind: str, processes: Sequence[Document]) -> list[Problem]:
    return [
        Problem(
            f"{kind} {process['pid']} is not ready: {reason.get('what')}{_of(reason)}",
            f"{kind} {process['pid']} 未就绪：{_in_chinese(reason)}",
        )
        for process in processes
        for reason in listed(process.get("reasons"))
    ]


def _of(reason: Document) -> str:
    since = f", since {reason['since']}" if "since" in reason else ""
    where = f", partition {reason['partition']}" if "partition" in reason else ""
    where += f" of {reason['topic']}" if "topic" in reason else ""
    where += f", {reason['place']}" if "place" in reason else ""
    return f" ({reason.get('code')}{where}{since})"


def _in_chinese(reason: Document) -> str:
    where = f"，{reason['topic']}" if "topic" in reason else ""
    where += f"，分区 {reason['partition']}" if "partition" in reason else ""
    where += f"，{reason['place']}" if "place" in reason else ""
    where += f"，自 {reason['since']} 起" if "since" in reason else ""
    return told(str(reason.get("code")), str(reason.get("what")), where)


def listed(value: object) -> list[Document]:
    """The documents of a list; none where it is no list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _entries(workers: Sequence[Document]) -> list[Document]:
    """The partitions of all workers; while one goes from hand to hand, what the worker says that is further on."""
    merged: dict[object, Document] = {}
    for entry in (entry for worker in workers for entry in listed(worker.get("partitions"))):
        place = (entry.get("topic"), entry.get("partition"))
        known = merged.setdefault(place, entry)
        if _whole(entry.get("sealed_offset")) > _whole(known.get("sealed_offset")):
            merged[place] = entry
    return sorted(merged.values(), key=lambda entry: _whole(entry.get("partition")))


def _stopped(workers: Sequence[Document]) -> list[Document]:
    return [
        {"topic": entry.get("topic"), "partition": entry.get("partition"), "code": entry.get("code")}
        for entry in _entries(workers)
        if entry.get("state") == "stopped"
    ]


def troubles(workers: Sequence[Document]) -> list[Document]:
    """Everything that is not as it should be with a partition or a dependency, by code."""
    found: list[Document] = []
    for worker in workers:
        for span in listed(worker.get("away")):
            since = datetime.fromtimestamp(_seconds(span.get("since_s")), UTC).isoformat(timespec="seconds")
            found.append(
                {"code": span.get("code"), "state": "away", "dependency": span.get("dependency"), "since": since}
            )
    for entry in _entries(workers):
        state = entry.get("state")
        codes = [(entry.get("code"), state)] if state in ("stopped", "away") else []
        codes += [("recovering", state)] if state == "recovering" else []
        codes += [(entry.get("new_life"), "noticed")] if entry.get("new_life") else []
        codes += [("profile_gap", "noticed")] if entry.get("profile_gap") is True else []
        codes += [("fenced", "noticed")] if _whole(entry.get("fenced")) and state != "stopped" else []
        found += [
            {"code": code, "state": said, "topic": entry.get("topic"), "partition": entry.get("partition")}
            for code, said in codes
        ]
    return [{**one, "what": explain(str(one["code"])).meaning} for one in found]


def unready(workers: Sequence[Document]) -> list[Document]:
    """What workers say of themselves beyond their partitions' troubles: why they are not well, what model they lack."""
    found: list[Document] = []
    for worker in workers:
        reasons = [one for one in listed(worker.get("reasons")) if one.get("code") in _OF_THE_PROCESS]
        found += [{"code": one.get("code"), "partition": one.get("partition")} for one in reasons]
        model = worker.get("model")
        if isinstance(model, dict):
            found += [{"code": model["code"], "model": "unusable"}] if model.get("state") == "unusable" else []
            faults = model.get("not_reloaded")
            found += [{"code": code, "model": "not_reloaded"} for code in (faults.values() if faults else ())]
    return found


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _processes(stack: Document | None) -> list[Document]:
    if stack is None:
        return []
    children = stack.get("processes")
    return [
        {"name": entry["name"], "pid": entry["pid"], "since": entry["since"]}
        for entry in (children if isinstance(children, list) else [])
    ]


def _faults(stack: Document | None) -> list[Problem]:
    """Children that are dead now, and why."""
    faults = stack.get("faults") if stack else None
    return [
        Problem(f"{fault}; it is being started again", f"进程已退出，正在重新启动：{fault}")
        for fault in (faults if isinstance(faults, list) else [])
    ]


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
