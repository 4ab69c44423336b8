"""The Faust application: its agents, the partitions they feed, start and orderly stop. No rule of ours lives here.

Place in the flow: an agent receives runs of records of one topic (`transport.py`) and hands each to the thread of its
partition: `record` to `partition/worker.py`; `handle` and `notify`, of another process, to `response/`. One process =
one Faust worker = one member of its consumer group; a supervisor restarts it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import faust
from faust.types import TP
from mode import CrashingSupervisor

from pipeline.config import Settings
from pipeline.errors import EXIT_OK, EXIT_SOFTWARE
from pipeline.partition.recovery import LogBounds
from pipeline.partition.status import PartitionStatus
from pipeline.partition.thread import PartitionThread
from pipeline.transport import FetchedRun, RunConsumer, RunTransport

_log = logging.getLogger(__name__)

# While the store is away a worker's memory grows by what its inboxes and the consumer's own buffers take: 42 MiB up to
# 192 partitions, beyond them 64 KiB more for each, from the 480th on 128.
_INBOXES_BYTES, _MIN_INBOX_BYTES, _MAX_INBOX_BYTES = 30 << 20, 64 << 10, 8 << 20
_FETCHED_BYTES, _MIN_FETCH_BYTES, _MAX_FETCH_BYTES = 12 << 20, 64 << 10, 2 << 20
_POSITION_TIMEOUT_S = 2.0
# A turn is a second. What the monitor says of the stopped partitions shall be seen and stored before the end.
_LAST_WORDS_TURNS = 8
_LEAVE_GROUP_S = 10.0
_METADATA_MAX_AGE_MS = 5_000
_MAX_POLL_INTERVAL_S = 24 * 86_400.0  # the longest that 31 bits of milliseconds hold

MakeWorker = Callable[["LoopFlow", str, int], PartitionThread[Any]]
ReadBounds = Callable[[str, int], LogBounds]


@dataclass(slots=True)
class LoopFlow:
    """Lets a partition's thread steer the fetcher, whose methods belong to Faust's loop (role `partition.Flow`)."""

    app: faust.App
    read_bounds: ReadBounds
    loop: asyncio.AbstractEventLoop | None = None

    def bounds(self, topic: str, partition: int) -> LogBounds:
        """What the broker holds of one partition."""
        return self.read_bounds(topic, partition)

    def start_at(self, topic: str, partition: int, offset: int, seek_number: int) -> None:
        """Fetch from `offset` on."""
        seek = self._consumer.start_at(TP(topic, partition), offset, seek_number)
        asyncio.run_coroutine_threadsafe(seek, self._running_loop)

    def block(self, topic: str, partition: int) -> None:
        """Fetch nothing for now."""
        self._running_loop.call_soon_threadsafe(self._consumer.block, TP(topic, partition))

    def unblock(self, topic: str, partition: int) -> None:
        """Fetch again."""
        self._running_loop.call_soon_threadsafe(self._consumer.unblock, TP(topic, partition))

    def sealed(self, topic: str, partition: int, next_offset: int) -> None:
        """The group may be told that everything below is done."""
        self._running_loop.call_soon_threadsafe(self._consumer.commit_sealed, TP(topic, partition), next_offset)

    async def positions(self, topic: str, partitions: Sequence[int]) -> Mapping[int, int]:
        """The next offset to fetch of each partition that has a position."""
        found = {number: await self._consumer.fetch_position(TP(topic, number)) for number in partitions}
        return {number: position for number, position in found.items() if position is not None}

    @property
    def _consumer(self) -> RunConsumer:
        consumer = self.app.consumer
        assert isinstance(consumer, RunConsumer)  # noqa: S101  our transport makes no other
        return consumer

    @property
    def _running_loop(self) -> asyncio.AbstractEventLoop:
        assert self.loop is not None  # noqa: S101  set before any partition starts
        return self.loop


class PartitionPool:
    """The partitions this process owns now; follows the group's assignments."""

    def __init__(self, make_worker: MakeWorker, flow: LoopFlow, topic: str, drain_timeout_s: float) -> None:
        self._make_worker, self._flow, self._topic = make_worker, flow, topic
        self._drain_timeout_s = drain_timeout_s
        self._workers: dict[TP, PartitionThread[Any]] = {}
        self._assigned_once = False
        self._turns: int | None = None

    def assign(self, assigned: frozenset[TP]) -> None:
        """Takes the whole new assignment: closes what is gone, begins what is new, begins anew what stayed."""
        self._flow.loop = asyncio.get_running_loop()
        self._assigned_once = True
        ours = {tp for tp in assigned if tp.topic == self._topic}
        for tp in [tp for tp in self._workers if tp not in ours]:
            self._workers.pop(tp).close()
        for tp in sorted(ours):
            worker = self._workers.get(tp)
            if worker is not None:
                worker.reassign()
            else:
                worker = self._make_worker(self._flow, tp.topic, tp.partition)
                # Started before it can be seen: the monitor takes a thread that does not run for one that has ended.
                worker.start()
                self._workers[tp] = worker

    def offer(self, tp: TP, run: FetchedRun) -> None:
        """Hands a run of records to its partition."""
        worker = self._workers.get(tp)
        if worker is not None:
            worker.offer(run.records, run.seek_number)

    # -- what the monitor asks, from threads of its own (role `monitor.Watched`)

    def loop_turns(self) -> int | None:
        """Grows while the loop makes turns; None before it runs."""
        return self._turns

    def is_assigned(self) -> bool:
        """Whether the group has ever assigned us anything."""
        return self._assigned_once

    def observe(self) -> tuple[tuple[PartitionStatus, ...], frozenset[int]]:
        """How each partition is, and which partitions' threads have ended although they are ours."""
        workers = [worker for _, worker in sorted(self._workers.copy().items())]
        # Asked first: a thread that was closed in between says so in its status.
        dead = [not worker.is_alive for worker in workers]
        statuses = tuple(worker.observe() for worker in workers)
        ended = [one.partition for one, is_dead in zip(statuses, dead, strict=True) if is_dead and not one.is_over]
        return statuses, frozenset(ended)

    def positions(self, partitions: Sequence[int]) -> Mapping[int, int]:
        """The next offset to fetch; a loop that does not answer in time knows nothing."""
        loop = self._flow.loop
        if loop is None:
            return {}
        asked = asyncio.run_coroutine_threadsafe(self._flow.positions(self._topic, partitions), loop)
        try:
            return asked.result(_POSITION_TIMEOUT_S)
        except TimeoutError:
            asked.cancel()
            return {}

    def renew(self) -> None:
        """Begins every partition anew from the store."""
        loop = self._flow.loop
        if loop is not None:
            loop.call_soon_threadsafe(self._renew)

    # -- the loop's

    def _renew(self) -> None:
        for worker in list(self._workers.values()):
            worker.reassign()

    def turn(self) -> list[str]:
        """Notes that the loop makes turns; the state of every partition that is ours."""
        self._turns = (self._turns or 0) + 1
        return [worker.status.state for worker in self._workers.values()]

    def close(self) -> None:
        """Stops every partition: a running commit ends, nothing more begins. Blocks up to the drain time-out."""
        deadline = time.monotonic() + self._drain_timeout_s
        workers = list(self._workers.values())  # two threads may come here at the end
        for worker in workers:
            worker.close()
        late = [worker for worker in workers if not worker.join(max(0.0, deadline - time.monotonic()))]
        if late:
            _log.warning(
                "stopped without waiting further: partitions=%d (nothing of theirs was acknowledged)", len(late)
            )
        self._workers.clear()


def inbox_bytes(partitions: int) -> int:
    """How much one partition may hold, so that one worker that owns all of them stays within its bound."""
    return max(_MIN_INBOX_BYTES, min(_MAX_INBOX_BYTES, _INBOXES_BYTES // partitions))


def _fetch_bytes(partitions: int) -> int:
    """How much the consumer fetches ahead of one of so many partitions; a larger single record still comes."""
    return max(_MIN_FETCH_BYTES, min(_MAX_FETCH_BYTES, _FETCHED_BYTES // partitions))


def _faust_settings(settings: Settings, topics: int = 1) -> Mapping[str, Any]:
    kafka = settings.kafka
    return {
        "broker": "kafka://" + kafka.bootstrap_servers.replace(",", ";kafka://"),
        "store": "memory://",
        "web_enabled": False,
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "broker_session_timeout": kafka.session_timeout_s,
        "broker_heartbeat_interval": max(1.0, kafka.session_timeout_s / 6),
        "broker_rebalance_timeout": max(kafka.session_timeout_s, 10),
        "broker_request_timeout": max(20, kafka.session_timeout_s),
        "broker_commit_interval": 2.0,
        # While the store is away nothing is fetched, and that may last: who is alive is told by heart-beats alone.
        "broker_max_poll_interval": _MAX_POLL_INTERVAL_S,
        # Where the topic is missing the consumer asks no sooner than this, and reads nothing until then.
        "consumer_metadata_max_age_ms": _METADATA_MAX_AGE_MS,
        "stream_wait_empty": True,
        "stream_buffer_maxsize": 64,
        "consumer_max_fetch_size": _fetch_bytes(kafka.partitions * topics),
        "consumer_auto_offset_reset": "earliest",
        "datadir": str(settings.state_dir / "run"),
        "logging_config": None,
    }


@dataclass(frozen=True, slots=True)
class Agent:
    """What reads one topic: its name, and who makes the thread of one partition."""

    name: str
    topic: str
    make_worker: MakeWorker


@dataclass(frozen=True, slots=True)
class Application:
    """The declared application, the partitions it feeds (a pool an agent), and how long an orderly end may take."""

    faust: faust.App
    pools: tuple[PartitionPool, ...]
    when_stopping: Callable[[], None]
    stop_within_s: float

    def close(self) -> None:
        """Ends the partitions of all agents. Blocks up to the drain time-out of each."""
        for pool in self.pools:
            pool.close()


def build(
    settings: Settings, group: str, agents: Sequence[Agent], read_bounds: ReadBounds, when_stopping: Callable[[], None]
) -> Application:
    """Declares the application and its agents.

    `read_bounds` asks the broker, from a partition's thread; `when_stopping` is called when an orderly end begins.
    """
    app = faust.App(group, **_faust_settings(settings, len(agents)))
    transport = RunTransport(app.conf.broker_consumer, app)
    app.transport = transport
    flow, drain_timeout_s = LoopFlow(app, read_bounds), settings.recovery.drain_timeout_s
    pools = tuple(PartitionPool(one.make_worker, flow, one.topic, drain_timeout_s) for one in agents)

    def assign(assigned: frozenset[TP]) -> None:
        for pool in pools:
            pool.assign(assigned)

    transport.on_assignment = assign
    application = Application(app, pools, when_stopping, len(agents) * drain_timeout_s + _LEAVE_GROUP_S)
    declared = [_declare(app, agent, pool) for agent, pool in zip(agents, pools, strict=True)]
    # Faust's signals hold weak references only.
    app.declared = (*declared, *_watch_over(application))  # type: ignore[attr-defined]
    return application


def _declare(app: faust.App, agent: Agent, pool: PartitionPool) -> object:
    topic = app.topic(agent.topic, value_serializer="raw", key_serializer="raw")

    @app.agent(topic, concurrency=1, supervisor_strategy=CrashingSupervisor, name=agent.name)
    async def hand_on(stream: Any) -> None:  # noqa: ANN401  Faust's stream type knows no noack
        """Hands each fetched run to its partition; never waits, never fails."""
        async for event in stream.noack().events():
            # A run fetched before a rebalance would look like a hole in the log behind the new position.
            if event.message.generation_id == app.consumer_generation_id:
                pool.offer(event.message.tp, event.value)
            event.ack()

    return hand_on


def _watch_over(application: Application) -> tuple[object, object]:
    app, pools = application.faust, application.pools

    @app.task  # type: ignore[untyped-decorator]  # Faust's
    async def turn() -> None:
        """Shows that the loop makes turns, and ends the process when no partition can go on."""
        hopeless_turns = 0
        while not app.should_stop:
            states = [state for pool in pools for state in pool.turn()]
            hopeless_turns = hopeless_turns + 1 if states and set(states) == {"stopped"} else 0
            if hopeless_turns > _LAST_WORDS_TURNS:
                _log.error("no partition can go on: the process ends; see the codes above")
                await app.crash(SystemExit(EXIT_SOFTWARE))
                return
            await asyncio.sleep(1.0)

    @app.on_before_shutdown.connect
    async def drain(*_: Any, **__: Any) -> None:  # noqa: ANN401  Faust's signal arguments
        """Ends the partitions in order before the consumer goes."""
        application.when_stopping()
        await asyncio.get_running_loop().run_in_executor(None, application.close)

    return turn, drain


class _Worker(faust.Worker):
    """Ends in a bounded time: a consumer that is stopped while its group is rebalanced may wait for ever.

    Killed at any point it would lose nothing; what it leaves undone is that the group is told at once.
    """

    def __init__(self, application: Application, **options: Any) -> None:  # noqa: ANN401  Faust's own signature
        super().__init__(application.faust, **options)
        self._application = application

    async def stop(self) -> None:
        """Begins the orderly end."""
        timer = threading.Timer(self._application.stop_within_s, self._end_now)
        timer.daemon = True
        timer.start()
        await super().stop()

    def _end_now(self) -> None:
        _log.warning("the consumer does not leave its group: the worker ends all the same, and nothing is lost")
        try:
            self._application.when_stopping()
            self._application.close()
            logging.shutdown()
        finally:
            os._exit(EXIT_SOFTWARE if self._application.faust.crash_reason or self.crash_reason else EXIT_OK)


def run(application: Application) -> None:
    """Runs the application until SIGTERM or SIGINT; ends the process with Faust's exit code."""
    worker = _Worker(
        application,
        loglevel=logging.INFO,
        override_logging=False,
        redirect_stdouts=False,
        quiet=True,
        logging_config=None,
    )
    worker.execute_from_commandline()
