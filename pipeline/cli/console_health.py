"""The console's page of pipeline health: what `accesstrail status` says, and what the store knows beside it.

Place in the flow: under `console_evidence.py`. Whatever does not answer is a sentence among the problems; the rest is
told all the same. Kafka and the store are asked with short limits, since somebody waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pipeline.adapters.health_reading import HealthReader
from pipeline.audit.health import (
    ChannelView,
    DeadLetters,
    HealthView,
    PartitionView,
    ProcessView,
    RunView,
    SourceView,
)
from pipeline.cli.console_sources import ListedSources
from pipeline.cli.stack_status import collect
from pipeline.config import Settings
from pipeline.directory.snapshot import SourceRow
from pipeline.errors import AccesstrailError
from pipeline.health.problems import Problem, problem_of
from pipeline.health.troubles import explain

_DAY_US = 86_400_000_000
_LIMIT_MS = 3_000
Found = TypeVar("Found")


def health_of(settings: Settings, reader: HealthReader, listed: ListedSources, now_us: int) -> HealthView:
    """Everything on the page; never fails for a dependency that is away."""
    document = collect(settings, _LIMIT_MS)
    problems, unknown = _problems(document), list[str]()

    def told(part: str, ask: Callable[[], Found], otherwise: Found) -> Found:
        try:
            return ask()
        except AccesstrailError as exc:
            if problem_of(exc).english not in [one.english for one in problems]:
                problems.append(problem_of(exc))
            if part not in unknown:
                unknown.append(part)
            return otherwise

    since_us = now_us - _DAY_US
    bounds = told("sources", lambda: list(listed.rows()), list[SourceRow]())
    events, unscored = told("events", lambda: reader.events(since_us), (0, 0))
    sources = told("sources", lambda: reader.sources(now_us, bounds), list[SourceView]())
    dead_letters = told("dead_letters", lambda: reader.dead_letters(since_us), list[DeadLetters]())
    runs = told("runs", lambda: reader.runs(since_us), list[RunView]())
    channels = told("channels", lambda: reader.channels(since_us), list[ChannelView]())
    partitions = _partitions(document)
    if not partitions or any(one.lag < 0 for one in partitions):
        unknown.append("partitions")
    # Last, when everything was asked: what fails above is a problem too.
    return HealthView(
        ready=not problems, partitions=partitions, processes=_processes(document), sources=sources,
        dead_letters=dead_letters, runs=runs, channels=channels, problems=problems, unscored=unscored, events=events,
        unknown=unknown,
    )  # fmt: skip


def _problems(document: Mapping[str, Any]) -> list[Problem]:
    english, chinese = _listed(document.get("problems")), _listed(document.get("problems_zh"))
    return [Problem(str(one), str(other)) for one, other in zip(english, chinese, strict=True)]


def _partitions(document: Mapping[str, Any]) -> list[PartitionView]:
    said = {
        entry.get("partition"): entry
        for worker in _listed(document.get("workers"))
        for entry in _listed(worker.get("partitions"))
    }
    return [_partition(one, said.get(one["partition"], {})) for one in _listed(document.get("partitions"))]


def _partition(one: Mapping[str, Any], said: Mapping[str, Any]) -> PartitionView:
    sealed, lag = one.get("sealed_offset"), one.get("lag")
    return PartitionView(
        partition=one["partition"], incarnation=str(one.get("incarnation", "")), lag=-1 if lag is None else lag,
        sealed_offset=-1 if sealed is None else sealed, state=str(said.get("state", "")),
        last_sealed_us=round(_number(said.get("last_sealed_at")) * 1e6), unscored=int(_number(said.get("unscored"))),
    )  # fmt: skip


_KINDS = (
    ("worker", "workers"), ("scheduler", "schedulers"), ("responder", "responders"), ("notary", "notaries"),
)  # fmt: skip


def _processes(document: Mapping[str, Any]) -> list[ProcessView]:
    return [
        ProcessView(
            kind=kind, pid=int(_number(one.get("pid"))), since=str(one.get("started_at", "")),
            ready=not _listed(one.get("reasons")),
            troubles=[(code, explain(code).english, explain(code).chinese) for code in _codes(one)],
        )
        for kind, name in _KINDS
        for one in _listed(document.get(name))
    ]  # fmt: skip


def _codes(one: Mapping[str, Any]) -> list[str]:
    return [str(reason.get("code")) for reason in _listed(one.get("reasons"))]


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
