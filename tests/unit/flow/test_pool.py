"""The partitions a process owns: how they follow assignments, and what the monitor sees of them meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

from faust.types import TP

from pipeline.app import LoopFlow, PartitionPool
from pipeline.partition import PartitionWorker
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
