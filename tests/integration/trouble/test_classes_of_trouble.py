"""The three classes of trouble with real workers on the real stack: one partition's trouble is nobody else's."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, TopicPartition

from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.kafka import topic_specs
from pipeline.cli.operate import worker_findings
from tests.conftest import Stack
from tests.systems import System, until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

PARTITIONS = frozenset(range(8))


@pytest.fixture
def migrator(stack: Stack) -> Iterator[ClickHouse]:
    client = connect(stack.settings.clickhouse, "migrator")
    yield client
    client.close()


@contextmanager
def refusing(migrator: ClickHouse, topic: str) -> Iterator[None]:
    """The store refuses rows of one source system of one topic, by a constraint of its own."""
    migrator.query(
        "ALTER TABLE accesstrail_raw.access_events ADD CONSTRAINT refused CHECK NOT (topic = {t:String} "
        "AND source_system = 'refused')".replace("{t:String}", f"'{topic}'")
    )
    try:
        yield
    finally:
        migrator.query("ALTER TABLE accesstrail_raw.access_events DROP CONSTRAINT refused")


def damage(migrator: ClickHouse, system: System, partition: int | None = None) -> None:
    """Somebody edits the ledger, and the profiles' snapshots are gone, so that the log must be read again."""
    where = f"topic = '{system.topic}'" + ("" if partition is None else f" AND partition = {partition}")
    for statement in (
        f"ALTER TABLE accesstrail_raw.ledger UPDATE n_alerts = n_alerts + 1 WHERE {where}",
        f"ALTER TABLE accesstrail_raw.actor_profiles DELETE WHERE {where}",
    ):
        migrator.query(statement, settings={"mutations_sync": 2})


def run_until_sealed(system: System, count: int, salt: str) -> None:
    system.produce(count, salt=salt)
    with system.worker():
        system.await_sealed(count)


def test_one_row_the_store_refuses_is_a_dead_letter_and_nobody_waits_or_restarts(
    stack: Stack, migrator: ClickHouse, tmp_path: Path
) -> None:
    system = System(stack, tmp_path / "system", "trouble.rejected")
    with refusing(migrator, system.topic), system.worker() as one, system.worker() as other:
        until(
            lambda: len(system.workers()) == 2 and set(system.partition_entries()) == PARTITIONS
            and all(len(worker["partitions"]) == 4 for worker in system.workers()),
            "two workers with four partitions each",
        )  # fmt: skip
        system.produce(800, salt="before ")
        system.produce(1, salt="bad ", partitions=frozenset({3}), source_system="refused")
        system.produce(800, salt="after ")
        system.await_sealed(1601)
        until(lambda: all(worker["ready"] for worker in system.workers()), "both ready")
        assert (one.poll(), other.poll()) == (None, None)
        document, words = system.status()
        entries = system.partition_entries()
    assert {number: entry["state"] for number, entry in entries.items()} == dict.fromkeys(PARTITIONS, "running")
    assert entries[3]["reasons"] == {"store_rejected": 1}
    assert sum(entry["events"] for entry in entries.values()) == 1600
    rows = system.reader.query(
        "SELECT partition, reason FROM accesstrail.dead_letters WHERE topic = {t:String}", {"t": system.topic}
    )
    assert rows == [(3, "store_rejected")]
    assert sum(system.sealed().values()) == 1601
    assert document["ready"] is True
    assert [set(entry) for entry in document["partitions"]] == [
        {"topic", "incarnation", "partition", "lag", "sealed_offset"}
    ] * 8
    assert len(document["workers"]) == 2
    assert all(worker["writer"] in words for worker in document["workers"])
    system.close()


def test_a_worker_that_is_left_without_a_partition_hears_of_it(stack: Stack, tmp_path: Path) -> None:
    """More workers than partitions: whoever owns none any more says so, and keeps nothing."""
    system = System(stack, tmp_path / "system", "trouble.spare", partitions=1)
    system.produce(50, salt="first ")
    with system.worker() as one:
        system.await_sealed(50)
        with system.worker():
            until(lambda: len(system.workers()) == 2, "two workers")
            one.send_signal(signal.SIGSTOP)
            system.produce(50, salt="second ")
            system.await_sealed(100)
            one.send_signal(signal.SIGCONT)
            until(
                lambda: sorted(len(worker["partitions"]) for worker in system.workers()) == [0, 1]
                and all(worker["ready"] for worker in system.workers()),
                "one partition with one owner, both ready",
            )  # fmt: skip
            system.produce(50, salt="third ")
            system.await_sealed(150)
            assert sorted(len(worker["partitions"]) for worker in system.workers()) == [0, 1]
    system.close()


def test_a_changed_ledger_stops_its_partition_alone_and_is_said(
    stack: Stack, migrator: ClickHouse, tmp_path: Path
) -> None:
    system = System(stack, tmp_path / "system", "trouble.conflict")
    run_until_sealed(system, 400, "first ")
    damage(migrator, system, 5)
    before = system.sealed()
    system.produce(400, salt="second ")
    with system.worker() as process:
        until(lambda: system.partition_entries().get(5, {}).get("state") == "stopped", "partition 5 stopped")

        def others_are_done() -> bool:
            document, _ = system.status()
            return all(entry["lag"] == 0 for entry in document["partitions"] if entry["partition"] != 5)

        until(others_are_done, "the others go on")
        assert process.poll() is None
        assert system.page("/readyz")[0] == 200  # those that can go on do
        assert '"partition": 5' in system.page("/readyz")[1]
        assert 'accesstrail_partitions_stopped{code="ledger_conflict"} 1' in system.page("/metrics")[1]
        document, words = system.status()
        found = worker_findings(system.workers())
        until(lambda: bool(system.alarms("ledger_conflict")), "an alert row")
    assert system.sealed()[5] == before[5]
    assert document["stopped"] == [{"topic": system.topic, "partition": 5, "code": "ledger_conflict"}]
    assert ("ledger_conflict", "stopped", 5) in {
        (one["code"], one["state"], one.get("partition")) for one in document["troubles"]
    }
    assert "Evidence computed again from Kafka differs" in words
    assert [(one.what, one.state) for one in found] == [("model in the stream", "warning"), ("partition 5", "fault")]
    assert "Next: keep store and log as they are" in found[1].text
    assert system.alarms("ledger_conflict")[0][2] == 5
    system.close()


def test_when_no_partition_can_go_on_the_worker_ends_with_a_non_zero_status(
    stack: Stack, migrator: ClickHouse, tmp_path: Path
) -> None:
    system = System(stack, tmp_path / "system", "trouble.all")
    run_until_sealed(system, 200, "first ")
    damage(migrator, system)
    with system.worker() as process:
        until(lambda: process.poll() is not None, "its end")
        assert process.poll() not in (0, None)
    assert "no partition can go on" in system.said()
    assert {row[2] for row in system.alarms("ledger_conflict")} == PARTITIONS
    system.close()


def test_profiles_that_miss_events_are_said_in_status_and_in_a_row(
    stack: Stack, migrator: ClickHouse, tmp_path: Path
) -> None:
    system = System(stack, tmp_path / "system", "trouble.gap")
    run_until_sealed(system, 200, "first ")
    migrator.query(
        f"ALTER TABLE accesstrail_raw.actor_profiles DELETE WHERE topic = '{system.topic}' AND partition = 2",
        settings={"mutations_sync": 2},
    )
    ends = system.admin.partition_bounds(system.topic, [2])
    admin = KafkaAdminClient(bootstrap_servers=stack.settings.kafka.bootstrap_servers)
    admin.delete_records({TopicPartition(system.topic, 2): ends[2].end_offset})
    admin.close()
    with system.worker():
        until(lambda: system.page("/readyz")[0] == 200, "ready")
        until(lambda: system.partition_entries()[2]["profile_gap"], "said")
        document, words = system.status()
        assert 'accesstrail_profile_gap{partition="2"} 1' in system.page("/metrics")[1]
    assert document["profile_gaps"] == [2]
    assert ("profile_gap", 2) in {(one["code"], one["partition"]) for one in document["troubles"]}
    assert "the actors' profiles of this partition miss those events" in words
    assert [row[2] for row in system.alarms("profile_gap")] == [2]
    system.close()


def test_a_topic_made_anew_under_a_running_worker_begins_a_new_life_and_is_said(stack: Stack, tmp_path: Path) -> None:
    system = System(stack, tmp_path / "system", "trouble.anew", partitions=2)
    with system.worker() as process:
        system.produce(300, salt="old ")
        system.await_sealed(300)
        old_life = system.admin.bounds(system.topic, 0)[0]
        system.admin.delete(system.topic)
        until(lambda: system.admin.describe(system.topic) is None, "the topic is gone")
        system.admin.create(topic_specs(system.settings.kafka)[:1])
        new_life = system.admin.bounds(system.topic, 0)[0]
        assert new_life != old_life
        # More than the old life held, so that an offset of the old one could be taken for one of the new.
        system.produce(500, salt="new ")

        def all_in_the_new_life() -> bool:
            rows = system.reader.query(
                "SELECT sum(n_events) FROM accesstrail.ledger WHERE topic = {t:String} AND incarnation = {i:String}",
                {"t": system.topic, "i": new_life},
            )
            return int(rows[0][0]) == 500

        until(all_in_the_new_life, "every record of the new topic")
        until(lambda: {one["new_life"] for one in system.partition_entries().values()} == {"topic_recreated"}, "said")
        document, words = system.status()
        assert process.poll() is None
    gaps = system.reader.query(
        "SELECT partition, incarnation, n_gaps FROM accesstrail.ledger WHERE topic = {t:String} AND n_gaps > 0 "
        "ORDER BY partition",
        {"t": system.topic},
    )
    assert gaps == [(0, old_life, 1), (1, old_life, 1)]
    assert {(one["code"], one["partition"]) for one in document["troubles"]} == {
        ("topic_recreated", 0),
        ("topic_recreated", 1),
    }
    assert "The topic was deleted and made again" in words
    assert sorted(row[2] for row in system.alarms("topic_recreated")) == [0, 1]
    system.close()


def test_a_topic_that_was_missing_for_a_while_is_read_soon_after_it_is_made(stack: Stack, tmp_path: Path) -> None:
    """Nothing waits to be told to the group here, so that the consumer gives its partitions back at once."""
    system = System(stack, tmp_path / "system", "trouble.missing", partitions=2)
    with system.worker() as process:
        until(lambda: system.page("/readyz")[0] == 200, "ready")
        system.admin.delete(system.topic)
        until(lambda: "Ignoring missing topic" in system.said(), "the consumer knows that the topic is gone")
        system.admin.create(topic_specs(system.settings.kafka)[:1])
        system.produce(100)
        until(lambda: sum(system.sealed().values()) == 100, "every record of the new topic", 45)
        assert process.poll() is None
    system.close()


STUCK_FETCHER = """
import sys
from pipeline.transport import RunConsumer
runs = [0]
fetch = RunConsumer._getmany
async def fetch_and_stop(self, active_partitions, timeout):
    if runs[0] > 3:
        await self.sleep(0.1)
        return {}
    found = await fetch(self, active_partitions, timeout)
    runs[0] += bool(found)
    return found
RunConsumer._getmany = fetch_and_stop
from pipeline.cli import main
main(["worker", "--config", sys.argv[1]])
"""


def test_a_fetcher_that_stops_fetching_is_said_and_ends_the_worker(stack: Stack, tmp_path: Path) -> None:
    """Faust's consumer is known to stop after a broker's outage; here it is made to."""
    system = System(stack, tmp_path / "system", "trouble.stuck", partitions=2, more="stalled_after_s = 10")
    log = system.folder / "stuck.log"
    system.logs.append(log)
    with log.open("wb") as out:
        stuck = subprocess.Popen(
            [sys.executable, "-c", STUCK_FETCHER, str(system.config)], stdout=out, stderr=subprocess.STDOUT
        )
    sent = 0
    try:
        until(lambda: system.page("/readyz")[0] == 200, "ready")
        while stuck.poll() is None:
            assert sent < 20_000, system.said()[-3000:]
            system.produce(20, salt=f"{sent} ")
            sent += 20
    finally:
        stuck.kill()
        stuck.wait()
    assert stuck.returncode == 70
    assert "the worker ends: code=no_progress" in system.said()
    (document,) = system.workers() or [{"live": False, "reasons": [{"code": "no_progress"}]}]
    assert document["live"] is False
    assert "no_progress" in {reason["code"] for reason in document["reasons"]}
    assert system.alarms("no_progress")
    with system.worker():
        system.await_sealed(sent)
    system.close()
