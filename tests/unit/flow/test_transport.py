"""What happens between a seek and a fetch that is under way: no record is passed over, whoever waits for the fetch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import ConsumerStoppedError
from faust.types import TP

from pipeline.transport import RunConsumer, _GatheringThread

PLACE = TP("access.events", 3)


class Fetcher:
    """As aiokafka's: whoever asks first gets what comes in, and the position moves behind it."""

    def __init__(self) -> None:
        self._closed, self._subscriptions = False, SimpleNamespace(fetch_context=nullcontext)
        self.position, self._come = 0, asyncio.Event()

    async def fetched_records(self, partitions: set[TP], timeout: float, max_records: int) -> dict[TP, list[int]]:
        await self._come.wait()
        first, self.position = self.position, self.position + 2
        return {place: [first, first + 1] for place in partitions}

    def come(self) -> None:
        """Two records come in."""
        self._come.set()


class Thread(_GatheringThread):
    """Without a thread."""

    def __init__(self) -> None:
        self._fetching = []
        self.consumer: Any = SimpleNamespace(flow_active=True)


class World(RunConsumer):
    """A consumer whose thread is this one."""

    should_stop = False

    def __init__(self) -> None:
        self.fetcher = Fetcher()
        self._in_flight, self._positioned, self._blocked = set(), {}, set()
        self._seeking, self._thread = asyncio.Lock(), Thread()

    def assignment(self) -> set[TP]:
        return {PLACE}

    async def seek_wait(self, partitions: Any) -> None:
        self.fetcher.position = partitions[PLACE]
        await self.heard()

    async def heard(self) -> None:
        """The loop hears of the seek at once."""

    def fetch(self) -> asyncio.Task[Any]:
        """What a call into the thread does there."""
        kafka: Any = SimpleNamespace(_fetcher=self.fetcher, _closed=False)
        return asyncio.create_task(self._thread._fetch_records(kafka, {PLACE}, 1.0, 500))

    def is_positioned(self) -> bool:
        return PLACE in self._positioned


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def test_a_fetch_that_a_rebalance_left_behind_takes_no_record_of_the_next_owner() -> None:
    async def run() -> None:
        world = World()
        left_behind = world.fetch()  # its caller was cancelled: nobody waits for the result
        await asyncio.sleep(0)
        started = asyncio.create_task(world.start_at(PLACE, 40, 1))
        await asyncio.sleep(0.05)
        assert not world.is_positioned()
        world.fetcher.come()
        await started
        assert left_behind.done()
        assert (world.fetcher.position, world._positioned) == (40, {PLACE: 1})

    asyncio.run(run())


def test_a_fetch_that_ends_before_the_seek_is_heard_of_is_made_good_too() -> None:
    left_behind: list[asyncio.Task[Any]] = []

    class Slow(World):
        async def heard(self) -> None:
            self.fetcher.come()
            await _until(lambda: all(one.done() for one in left_behind))

    async def run() -> None:
        world = Slow()
        left_behind.append(world.fetch())
        await asyncio.sleep(0)
        await world.start_at(PLACE, 40, 1)
        assert (world.fetcher.position, world._positioned) == (40, {PLACE: 1})

    asyncio.run(run())


def test_nobody_waits_where_nothing_is_fetched() -> None:
    async def run() -> None:
        world = World()
        await world.start_at(PLACE, 40, 1)
        assert (world.fetcher.position, world._positioned) == (40, {PLACE: 1})

    asyncio.run(run())


def test_a_fetch_that_fails_is_over() -> None:
    async def run() -> None:
        world = World()
        world.fetcher._closed = True
        with pytest.raises(ConsumerStoppedError):
            await world.fetch()
        await world.start_at(PLACE, 7, 2)
        assert world._positioned == {PLACE: 2}

    asyncio.run(run())
