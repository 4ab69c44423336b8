"""An application of two agents: each partition's records reach the thread of their topic, and both end together."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from faust.types import TP

from pipeline.app import Agent, Application, LoopFlow, build
from pipeline.config import Settings
from pipeline.partition.status import PartitionStatus
from pipeline.partition.thread import PartitionThread
from pipeline.transport import FetchedRun, RunTransport
from tests.flows import Log

TOPICS = ("access.incidents", "access.notifications")


class Noted(PartitionThread[PartitionStatus]):
    """Says what it is told to do."""

    def __init__(self, said: list[tuple[str, str, int]], topic: str, partition: int) -> None:
        super().__init__(PartitionStatus(topic, partition), Log([]), inbox_records=10, inbox_bytes=1000)
        self._said = said

    def _note(self, what: str) -> None:
        self._said.append((what, self.status.topic, self.status.partition))

    def _live(self, generation: int) -> None:
        raise AssertionError("no thread was started")

    def start(self) -> None:
        self._note("start")

    def close(self) -> None:
        self._note("close")

    def join(self, timeout_s: float) -> bool:
        return True

    def offer(self, records: list[Any], seek_number: int) -> None:
        self._note("offer")


def application(said: list[tuple[str, str, int]]) -> Application:
    kafka = SimpleNamespace(bootstrap_servers="127.0.0.1:9", partitions=8, session_timeout_s=6)
    settings = SimpleNamespace(kafka=kafka, state_dir=Path(), recovery=SimpleNamespace(drain_timeout_s=1))

    def made(flow: LoopFlow, topic: str, partition: int) -> Noted:
        return Noted(said, topic, partition)

    agents = [Agent(f"agent {topic}", topic, made) for topic in TOPICS]
    nothing: Any = None
    return build(cast(Settings, settings), "group", agents, nothing, lambda: said.append(("stopping", "", 0)))


def test_records_reach_the_thread_of_their_topic_and_partition() -> None:
    said: list[tuple[str, str, int]] = []
    made = application(said)
    transport = made.faust.transport
    assert isinstance(transport, RunTransport)

    async def assign() -> None:
        transport.announce(frozenset({TP(TOPICS[0], 0), TP(TOPICS[1], 0), TP(TOPICS[1], 1)}))

    asyncio.run(assign())
    assert sorted(said) == [("start", TOPICS[0], 0), ("start", TOPICS[1], 0), ("start", TOPICS[1], 1)]
    said.clear()
    made.pools[1].offer(TP(TOPICS[1], 0), FetchedRun(1, []))
    made.pools[0].offer(TP(TOPICS[1], 1), FetchedRun(1, []))
    assert said == [("offer", TOPICS[1], 0)], "a pool takes nothing of another topic"
    assert [pool.turn() for pool in made.pools] == [["recovering"], ["recovering", "recovering"]]
    said.clear()
    made.close()
    assert sorted(said) == [("close", TOPICS[0], 0), ("close", TOPICS[1], 0), ("close", TOPICS[1], 1)]


def test_each_agent_has_a_name_and_a_topic_of_its_own() -> None:
    made = application([])
    assert sorted(made.faust.agents) == [f"agent {topic}" for topic in TOPICS]
