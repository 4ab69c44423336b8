"""The partitions a process owns: how they follow assignments, and what the monitor sees of them meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

from faust.types import TP

from pipeline.app import LoopFlow, PartitionPool
from pipeline.partition.status import PartitionStatus
from pipeline.partition.worker import PartitionWorker
from tests.fakes import InMemoryStore
from tests.flows import POSITION, Log, Published, records, worker_of


def test_a_partition_that_is_about_to_start_is_never_seen_as_ended() -> None:
    """The monitor looks from a thread of its own, at any moment; what it sees as ended ends the process."""
    seen: list[frozenset[int]] = []
    log = Log(records(5))

    def make_worker(flow: LoopFlow, topic: str, partition: int) -> PartitionWorker:
        worker = worker_of(InMemoryStore(), log, Published())
        start = worker.start

        def observed_start() -> None:
            seen.append(pool.observe()[1])
            start()
            seen.append(pool.observe()[1])

        worker.start = observed_start  # type: ignore[method-assign]
        return worker

    nothing: Any = None
    pool = PartitionPool(make_worker, LoopFlow(nothing, nothing), POSITION.topic, drain_timeout_s=5)

    async def assign() -> None:
        pool.assign(frozenset({TP(POSITION.topic, POSITION.partition)}))

    asyncio.run(assign())
    assert seen == [frozenset(), frozenset()]
    assert [one.partition for one in pool.observe()[0]] == [POSITION.partition]
    pool.close()


def test_the_pool_follows_every_assignment_and_renews_on_request() -> None:
    """What is gone is closed, what is new begins, what stayed begins anew, and all do once the log is another."""
    said: list[tuple[str, int]] = []

    class Noted(PartitionWorker):
        """Says what it is told to do."""

        def __init__(self, partition: int) -> None:
            self.partition = partition
            self.status = PartitionStatus("t", partition)

        def start(self) -> None:
            said.append(("start", self.partition))

        def reassign(self) -> None:
            said.append(("reassign", self.partition))

        def close(self) -> None:
            said.append(("close", self.partition))

        def join(self, timeout_s: float) -> bool:
            return True

    nothing: Any = None
    pool = PartitionPool(lambda flow, topic, partition: Noted(partition), LoopFlow(nothing, nothing), "t", 5)

    def take(*partitions: int) -> list[tuple[str, int]]:
        said.clear()
        pool.assign(frozenset(TP("t", partition) for partition in partitions))
        return sorted(said)

    async def follow() -> None:
        assert take(0, 1) == [("start", 0), ("start", 1)]
        assert take(1, 2) == [("close", 0), ("reassign", 1), ("start", 2)]
        assert take(1, 2) == [("reassign", 1), ("reassign", 2)]
        said.clear()
        await asyncio.to_thread(pool.renew)  # the monitor has a thread of its own
        await asyncio.sleep(0)
        assert sorted(said) == [("reassign", 1), ("reassign", 2)]
        assert take() == [("close", 1), ("close", 2)]

    asyncio.run(follow())
