"""The monitor's threads, step by step: what it asks, what it writes, and when it ends the process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from pipeline.column_batch import ColumnBatch
from pipeline.errors import AccesstrailError, Away, StoreRefused
from pipeline.health.findings import Health, HealthLimits, LogEnds, Reason, Report
from pipeline.health.monitor import Monitor, StoreAccess, TopicSeen, _Repeating
from pipeline.partition.status import PartitionStatus


def running(sealed: int = 99, **fields: object) -> PartitionStatus:
    status = PartitionStatus("access.events", 0, state="running", incarnation="life-1", sealed_offset=sealed)
    for name, value in fields.items():
        setattr(status, name, value)
    return status


@dataclass
class World:
    """Partitions, broker and store as a test wants them (roles `Watched`, `StatusSink`)."""

    statuses: tuple[PartitionStatus, ...] = (running(),)
    seen: TopicSeen | AccesstrailError = field(default_factory=lambda: TopicSeen("life-1", {0: LogEnds(0, 100)}))
    fault: AccesstrailError | None = None
    refused: AccesstrailError | None = None
    renewed: int = 0
    ended: list[Sequence[Reason]] = field(default_factory=list)
    alarms: list[tuple[str, str]] = field(default_factory=list)
    written: list[Report] = field(default_factory=list)
    asked_positions: list[Sequence[int]] = field(default_factory=list)

    def loop_turns(self) -> int | None:
        return len(self.written)

    def is_assigned(self) -> bool:
        return True

    def observe(self) -> tuple[tuple[PartitionStatus, ...], frozenset[int]]:
        return self.statuses, frozenset()

    def positions(self, partitions: Sequence[int]) -> Mapping[int, int]:
        self.asked_positions.append(partitions)
        return {}

    def renew(self) -> None:
        self.renewed += 1

    def write(self, report: Report) -> None:
        self.written.append(report)

    def look(self, partitions: Sequence[int]) -> TopicSeen:
        if isinstance(self.seen, AccesstrailError):
            raise self.seen
        return self.seen

    def ping(self) -> None:
        if self.fault is not None:
            raise self.fault

    def write_alarm(self, rows: ColumnBatch, token: str) -> None:
        if self.refused is not None:
            raise self.refused
        texts = [rows.text(name) for name in ("detector", "explanation_en")]
        detector, english = (one.interner.texts[int(one.ids[0])] for one in texts)
        self.alarms.append((detector, english))

    def monitor(self, *, away_alert_after_s: float = 0, stalled_after_s: float = 1000) -> Monitor:
        return Monitor(
            Health(HealthLimits(away_alert_after_s, stalled_after_s)), self, self.look,
            StoreAccess(self.ping, self.write_alarm), self, topic="access.events", retention_class="standard",
            poll_interval_s=1, end=self.ended.append,
        )  # fmt: skip


def watch(monitor: Monitor) -> None:
    """What the three threads do, one after the other."""
    monitor._kafka.step()
    monitor._store.step()
    monitor.tick()


def test_a_log_with_another_id_or_a_shorter_one_begins_the_partitions_anew() -> None:
    for seen in (TopicSeen("life-2", {0: LogEnds(0, 100)}), TopicSeen("life-1", {0: LogEnds(0, 99)})):
        world = World(seen=seen)
        world.monitor()._kafka.step()
        assert world.renewed == 1


def test_a_log_that_is_the_same_is_left_alone_whatever_the_partition_does() -> None:
    for world in (
        World(),
        World((running(50),)),
        World((running(-1),)),
        World((running(99, incarnation="life-1+2"),)),
        World((running(200, state="recovering"),)),  # it finds out by itself
        World((running(99, incarnation="life-0", state="stopped"),)),
        World(seen=Away("cut", code="kafka_away")),
    ):
        world.monitor()._kafka.step()
        assert world.renewed == 0


def test_an_alarm_waits_for_the_store_and_tells_from_when_until_when() -> None:
    world = World(fault=Away("cut", code="store_away"))
    monitor = world.monitor()
    for _ in range(3):
        watch(monitor)
    assert world.alarms == []
    assert [span.code for span in monitor.report.away] == ["store_away"]
    world.fault = None
    watch(monitor)  # back: the first row may go before the end is noticed
    watch(monitor)
    assert [name for name, _ in world.alarms][-1] == "system:store_away"
    assert world.alarms[-1][1].startswith("From ")
    count = len(world.alarms)
    watch(monitor)
    assert len(world.alarms) == count


def test_kafka_away_is_stored_at_once() -> None:
    world = World(seen=Away("cut", code="kafka_away"))
    monitor = world.monitor()
    watch(monitor)
    watch(monitor)
    assert [(name, text[:5]) for name, text in world.alarms] == [("system:kafka_away", "Since")]


def test_a_stopped_partition_is_an_alarm_once() -> None:
    world = World((running(41, state="stopped", code="ledger_conflict"),))
    monitor = world.monitor()
    for _ in range(3):
        watch(monitor)
    assert [name for name, _ in world.alarms] == ["system:ledger_conflict"]


def test_a_store_that_refuses_alarms_is_not_asked_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    world = World((running(41, state="stopped", code="store_refused"),), refused=StoreRefused("no right"))
    monitor = world.monitor()
    watch(monitor)
    watch(monitor)
    watch(monitor)
    assert caplog.text.count("an alarm could not be stored") == 1


def test_a_partition_that_stands_still_is_said_stored_and_ends_the_process(caplog: pytest.LogCaptureFixture) -> None:
    world = World((running(41),))
    monitor = world.monitor(stalled_after_s=1e-9)
    watch(monitor)
    with caplog.at_level(logging.CRITICAL):
        watch(monitor)
        watch(monitor)
    assert [reason.code for reason in world.ended[-1]] == ["no_progress"]
    assert world.written[-1].fatal  # the status file said so before the end
    assert ("system:no_progress", 0) in [(name, 0) for name, _ in world.alarms]
    assert "the worker ends: code=no_progress partition=0" in caplog.text
    assert world.asked_positions  # the fetcher's own position was asked for before


def test_a_thread_that_fails_in_an_unforeseen_way_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[object] = []
    monkeypatch.setattr("pipeline.health.monitor.end_process", ended.append)

    def fail(made: Callable[[], _Repeating]) -> Callable[[], None]:
        def step() -> None:
            made().stop()
            raise KeyError("alice@example.com")

        return step

    threads: list[_Repeating] = []
    threads.append(_Repeating("watch", fail(lambda: threads[0]), 0))
    threads[0].start()
    threads[0].join(5)
    assert ended == [()]
