"""What a recovery met is said: in the partition's status, in `accesstrail status` by code, and as an alarm row."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from pipeline.cli.operate import worker_findings
from pipeline.cli.stack_status import troubles
from pipeline.errors import Fenced
from pipeline.partition.worker import PartitionWorker
from tests.fakes import InMemoryStore
from tests.flows import Log, Published, await_that, records, worker_of


def _run(store: InMemoryStore, log: Log) -> PartitionWorker:
    worker = worker_of(store, log, Published())
    worker.start()
    wanted = log.records[-1].offset + 1
    await_that(lambda: log.sealed_next >= wanted, f"{log.sealed_next} of {wanted} sealed, {worker.status}")
    return worker


def _end(worker: PartitionWorker) -> None:
    worker.close()
    assert worker.join(5)


def _said(worker: PartitionWorker) -> list[tuple[object, object, object]]:
    """(code, state, partition) as `accesstrail status --json` lists them."""
    found = troubles([{"partitions": [asdict(worker.observe())]}])
    assert all(one["what"] for one in found)
    return [(one["code"], one["state"], one["partition"]) for one in found]


def _sealed_once(store: InMemoryStore, count: int = 50) -> None:
    _end(_run(store, Log(records(count))))


def test_a_calm_partition_has_nothing_to_say() -> None:
    worker = _run(InMemoryStore(), Log(records(20)))
    assert _said(worker) == []
    _end(worker)


@pytest.mark.parametrize(
    ("log", "code"),
    [
        (Log(records(30, salt="new"), topic_id="life-2"), "topic_recreated"),
        (Log(records(20, salt="lost")), "log_shortened"),
    ],
)
def test_a_new_life_of_the_log_is_said_with_its_cause(log: Log, code: str) -> None:
    store = InMemoryStore()
    _sealed_once(store)
    worker = _run(store, log)
    assert _said(worker) == [(code, "noticed", 0)]
    assert worker.observe().sealed_offset == log.records[-1].offset  # not the old life's
    _end(worker)
    assert [token.split(":")[1] for token in store.alerts if token.startswith("alarm:")] == [code]


def test_a_profile_gap_is_said_and_is_one_row_however_often_it_is_met() -> None:
    store = InMemoryStore()
    _sealed_once(store, 30)
    store._snapshots.clear()
    log = Log([one for one in records(60) if one.offset >= 20], first_offset=20)
    worker = _run(store, log)
    assert _said(worker) == [("profile_gap", "noticed", 0)]
    worker.reassign()
    await_that(lambda: worker.status.state == "running" and len(log.started_at) == 2, "begun anew")
    assert _said(worker) == [("profile_gap", "noticed", 0)]  # the profiles in memory still miss the events
    _end(worker)
    assert [token for token in store.alerts if ":profile_gap:" in token] == [
        "alarm:profile_gap:access.events:life-1:0:29"
    ]


def test_being_fenced_once_is_noticed_and_again_and_again_stops_the_partition() -> None:
    store, log = InMemoryStore(), Log(records(40))
    store.faults["seal"] = [Fenced("another one")]
    worker = _run(store, log)
    assert _said(worker) == [("fenced", "noticed", 0)]
    _end(worker)
    store, log = InMemoryStore(), Log(records(40))
    store.faults["seal"] = [Fenced("another one") for _ in range(20)]
    worker = worker_of(store, log, Published())
    worker.start()
    await_that(lambda: worker.status.state == "stopped", "stopped")
    assert _said(worker) == [("fenced", "stopped", 0)]
    (finding,) = worker_findings([{"partitions": [asdict(worker.observe())]}])
    assert (finding.what, finding.state) == ("partition 0", "fault")
    assert "look for a second deployment" in finding.text
    _end(worker)


def test_a_ledger_whose_columns_were_changed_beside_an_unchanged_hash_is_a_conflict() -> None:
    from dataclasses import replace

    store = InMemoryStore()
    _sealed_once(store)
    store._snapshots.clear()
    store.ledger[0] = replace(store.ledger[0], n_alerts=store.ledger[0].n_alerts + 1)
    worker = worker_of(store, Log(records(60)), Published())
    worker.start()
    await_that(lambda: worker.status.state == "stopped", "stopped")
    assert _said(worker) == [("ledger_conflict", "stopped", 0)]
    _end(worker)


def test_a_fault_of_our_own_stops_its_partition_and_tells_its_place_but_not_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, log = InMemoryStore(), Log(records(10))
    store.faults["insert_events"] = [KeyError("alice@example.com")]  # type: ignore[list-item]  # no error of ours
    worker = worker_of(store, log, Published())
    worker.start()
    await_that(lambda: worker.status.state == "stopped", "stopped")
    assert _said(worker) == [("internal_error", "stopped", 0)]
    assert worker.is_alive
    await_that(lambda: "KeyError in fakes.py line" in caplog.text, "its place in the log")
    assert "alice" not in caplog.text
    _end(worker)


def test_what_was_sealed_is_counted_once_a_batch() -> None:
    store, log = InMemoryStore(), Log(records(100, bad=frozenset({3, 4, 50})))
    worker = _run(store, log)
    await_that(lambda: worker.observe().records == 100, "counted")
    status = worker.observe()
    assert (status.events, status.dead_letters, status.duplicates) == (97, 3, 9)
    assert sum(status.reasons.values()) == 3
    assert sum(status.batch_sizes) == status.batches == len(store.ledger)
    assert status.step_seconds["form"] > 0
    assert status.step_seconds["seal"] > 0
    assert (status.inbox_records, status.inbox_bytes, status.oldest_received_at) == (0, 0, 0.0)
    assert status.versions_id == store.ledger[-1].versions_id.hex()
    _end(worker)


def test_a_log_that_begins_anew_under_a_running_partition_is_a_new_life_and_nothing_of_it_is_dropped() -> None:
    """The topic is made anew between two fetches: the consumer goes on at its beginning without a word."""
    store, log = InMemoryStore(), Log(records(50))
    worker = _run(store, log)
    log.topic_id, log.records = "life-2", records(80, salt="anew ")
    worker.offer(list(log.records[:10]), worker._inbox._seek_number)
    await_that(lambda: worker.status.incarnation == "life-2" and log.sealed_next == 80, "the new life")
    assert _said(worker) == [("topic_recreated", "noticed", 0)]
    _end(worker)
    new = [entry for entry in store.ledger if entry.incarnation == "life-2"]
    assert sum(entry.n_events + entry.n_dead_letters for entry in new) == 80
    assert sum(entry.n_gaps for entry in store.ledger) == 1


def test_every_probe_of_a_bisection_is_a_turn() -> None:
    """Many refused rows take minutes to find: the watchdog must see that the thread gets on."""
    turns = {}
    for refused in (set(), {3, 9, 17}):
        store, log = InMemoryStore(), Log(records(20))
        store.refused_offsets = refused
        worker = _run(store, log)
        turns[len(refused)] = worker.observe().turns
        _end(worker)
    assert turns[3] > turns[0] + 3 * 4  # log2(20) probes a row at least
