"""Faust's Kafka consumer, changed so that one item of a stream is one fetched run of records of one partition.

Place in the flow: between the broker and the agent `record` (`app.py`). This file alone knows Faust's private names
(pinned exactly; `tests/contracts/test_transport_names.py` fails when one of them moves). What it changes, and why:

- `getmany` yields one message a run instead of one a record: Faust's cost is per message (about 75 µs), so a run of
  thousands of records costs next to nothing.
- The truth about progress is the ledger in the store, not the group's committed offset. `perform_seek`, which Faust
  calls after every assignment, seeks nowhere: partitions are *held* (nothing is fetched from them) until whoever owns
  the partition has asked the store and calls `start_at`. A store that is away thus never fails a
  rebalance: the worker keeps its assignment, polls and heart-beats.
- Fetches gather for up to 100 ms: a run costs the same whether it holds one record or a thousand.
- Faust's own acknowledgement is a no-op: it acknowledges in a `finally`, also after an exception. What is committed to
  the group is what the ledger has sealed (`commit_sealed`), as a hint for lag tools and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, NamedTuple, cast

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP, ConsumerMessage, Message

_IDLE_S = 0.05
_SEEK_POLL_S = 0.005
_FETCH_MIN_BYTES, _FETCH_MAX_WAIT_MS = 256 << 10, 100

AssignmentListener = Callable[[frozenset[TP]], None]


class FetchedRun(NamedTuple):
    """Records of one partition in offset order, and the number of the seek they were fetched after."""

    seek_number: int
    records: list[Any]


class _GatheringThread(AIOKafkaConsumerThread):
    """Lets the broker gather: Faust's consumer would be answered at every single record, hundreds of times a second.

    It also knows what is being fetched here. A rebalance cancels the waiting for a fetch, not the fetch: in this thread
    it goes on, takes the records that come in next, and moves the position behind them although nobody hears of them.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  Faust's own signature
        super().__init__(*args, **kwargs)
        self._fetching: list[frozenset[TP]] = []

    def is_fetching(self, tp: TP) -> bool:
        """Whether a fetch that may take records of `tp` is under way; asked from any thread."""
        return any(tp in partitions for partitions in self._fetching.copy())

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> Any:  # noqa: ANN401  Faust's RecordMap
        partitions = frozenset(active_partitions)
        self._fetching.append(partitions)
        try:
            return await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        finally:
            self._fetching.remove(partitions)

    def _create_worker_consumer(self, transport: Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # Faust has no setting for them; aiokafka is pinned, and a contract test holds the names.
        consumer._fetch_min_bytes = _FETCH_MIN_BYTES  # noqa: SLF001
        consumer._fetch_max_wait_ms = _FETCH_MAX_WAIT_MS  # noqa: SLF001
        return consumer


class RunConsumer(Consumer):
    """Delivers runs of records; partitions flow only between `start_at` and the next assignment."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  Faust's own signature
        super().__init__(*args, **kwargs)
        self._positioned: dict[TP, int] = {}
        """Number of the seek each flowing partition stands after."""
        self._in_flight: set[TP] = set()
        self._seeking = asyncio.Lock()
        self._blocked: set[TP] = set()
        self._sealed_next: dict[TP, int] = {}

    # -- what the owner of the partitions calls, always on Faust's loop

    async def start_at(self, tp: TP, offset: int, seek_number: int) -> None:
        """Starts delivering `tp` at `offset`; ignored where the partition is no longer ours.

        Runs carry `seek_number`, so that nothing fetched before can pass for what follows: older records would be
        stored twice, newer ones would look like a hole in the log. A fetch that is under way while we seek may have
        read at either position and moved on: it is let out, dropped, and the seek repeated. So is one whose result
        nobody waits for any more: a second fetch for it can begin only after that.
        """
        async with self._seeking:
            if tp not in self.assignment():
                return
            self._positioned.pop(tp, None)
            was_under_way = self._may_take(tp)  # it may take records behind the seek, and end before we hear of either
            await self.seek_wait({tp: offset})
            if was_under_way or self._may_take(tp):
                while self._may_take(tp) and not self.should_stop:
                    await asyncio.sleep(_SEEK_POLL_S)
                if tp not in self.assignment():
                    return
                await self.seek_wait({tp: offset})
            self._blocked.discard(tp)
            self._positioned[tp] = seek_number

    def _may_take(self, tp: TP) -> bool:
        """Whether a fetch is under way that may move the position of `tp`."""
        return tp in self._in_flight or cast(_GatheringThread, self._thread).is_fetching(tp)

    def block(self, tp: TP) -> None:
        """Back-pressure: no more of `tp` for now; polling and heart-beats go on."""
        self._blocked.add(tp)

    def unblock(self, tp: TP) -> None:
        """Ends the back-pressure of `tp`."""
        self._blocked.discard(tp)

    def commit_sealed(self, tp: TP, next_offset: int) -> None:
        """Notes what the ledger has sealed: the group's committed offset follows within the commit interval.

        Ignored where the partition is no longer ours: its thread may end a commit after the group took it away.
        """
        if tp in self.assignment():
            self._sealed_next[tp] = next_offset

    async def fetch_position(self, tp: TP) -> int | None:
        """The offset the next fetch of `tp` begins at; None where it is not ours or has no position yet."""
        if tp not in self.assignment() or tp not in self._positioned:
            return None
        try:
            return await self.position(tp)
        except KafkaError:
            return None  # a rebalance took it meanwhile

    # -- what Faust calls

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _GatheringThread(self, loop=self.loop, beacon=self.beacon)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Where nothing is assigned, Faust would not ask for a seek: whoever owned partitions must hear of it too."""
        await super().on_partitions_assigned(assigned, generation_id)
        if not assigned:
            await self.perform_seek()

    async def perform_seek(self) -> None:
        """Seeks nowhere: holds every partition of the new assignment and says who owns what now."""
        assigned = frozenset(self.assignment())
        self._positioned.clear()
        self._blocked.clear()
        for tp in list(self._sealed_next):
            if tp not in assigned:
                del self._sealed_next[tp]
        cast(RunTransport, self.transport).announce(assigned)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """Fetches, and yields each partition's run as one message whose value is the list of records."""
        generation_id = self.app.consumer_generation_id
        try:
            records, _ = await self._wait_next_records(timeout)
            if not records or self.should_stop:
                return
            for tp, run in records.items():
                if not self.flow_active or self.app.consumer_generation_id != generation_id:
                    return
                if run and tp in self._positioned:
                    # Faust's own search for holes in the offsets is switched off: holes are recorded by the ledger.
                    self._read_offset[tp] = None
                    yield tp, self._run_message(tp, run)
        finally:
            self._in_flight = set()

    def _run_message(self, tp: TP, run: list[Any]) -> Message:
        last = run[-1]
        # Faust carries the value untouched: the topic is declared with the raw serializer
        value = cast(bytes, FetchedRun(self._positioned[tp], run))
        return ConsumerMessage(
            tp.topic, tp.partition, last.offset, last.timestamp / 1000.0, last.timestamp_type, None, None, value,
            None, 0, 0, tp, generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ANN401  Faust's RecordMap
        """Fetches only from partitions whose position came from the store and that are not blocked."""
        wanted = (active_partitions or set()) & self._positioned.keys() - self._blocked
        if not wanted:
            await self.sleep(_IDLE_S)
            return {}
        self._in_flight = wanted
        # A partition may come back while we wait for the others: look again soon where one is missing.
        waiting = active_partitions is not None and len(wanted) < len(active_partitions)
        return await super()._getmany(wanted, min(timeout, _IDLE_S) if waiting else timeout)

    def ack(self, message: Message) -> bool:
        """Marks Faust's message as done; says nothing about the records in it."""
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    def _filter_committable_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        """What the ledger has sealed and the group does not know yet."""
        return {tp: offset for tp, offset in self._sealed_next.items() if self._should_commit(tp, offset)}


class RunTransport(Transport):
    """Installs `RunConsumer` and tells the application about assignments."""

    Consumer = RunConsumer

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  Faust's own signature
        super().__init__(*args, **kwargs)
        self.on_assignment: AssignmentListener | None = None

    def announce(self, assigned: frozenset[TP]) -> None:
        """Passes the whole new assignment on."""
        if self.on_assignment is not None:
            self.on_assignment(assigned)
