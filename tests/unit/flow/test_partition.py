"""One partition's worker: the three classes of trouble, take-over, recovery; nothing lost, nothing doubled."""

from __future__ import annotations

import time

from pipeline.errors import Away, StoreRefused
from pipeline.partition.recovery import END_OF_LOG
from pipeline.partition.worker import PartitionWorker
from tests.fakes import InMemoryStore
from tests.flows import POSITION, Log, Published, Record, await_that, records, worker_of


def _run(store: InMemoryStore, log: Log, until: int | None = None) -> PartitionWorker:
    """Runs a worker until the log is sealed and ends it."""
    worker = worker_of(store, log, Published())
    worker.start()
    wanted = log.records[-1].offset + 1 if until is None else until
    await_that(lambda: log.sealed_next >= wanted, f"{log.sealed_next} of {wanted} sealed, {worker.status}")
    worker.close()
    assert worker.join(5)
    return worker


def _offsets(store: InMemoryStore) -> list[int]:
    return sorted(row.offset for table in ("access_events", "dead_letters") for row in store.sealed_rows(table))


def test_everything_is_stored_once() -> None:
    store = InMemoryStore()
    _run(store, Log(records(300, bad=frozenset({5, 77}))))
    assert _offsets(store) == list(range(300))


def test_a_second_worker_goes_on_where_the_first_one_ended() -> None:
    store = InMemoryStore()
    _run(store, Log(records(100)))
    log = Log(records(200))
    _run(store, log)
    assert log.started_at == [100]  # the first one's last snapshot spared it the log
    assert _offsets(store) == list(range(200))


def test_without_a_snapshot_profiles_are_read_again_and_the_evidence_is_the_same() -> None:
    calm, store = InMemoryStore(), InMemoryStore()
    _run(calm, Log(records(200)))
    _run(store, Log(records(100)))
    store._snapshots.clear()
    log = Log(records(200))
    _run(store, log)
    assert log.started_at == [0]
    assert store.ledger[-1].root == calm.ledger[-1].root


def test_a_store_that_is_away_is_waited_for() -> None:
    store, log = InMemoryStore(), Log(records(120))
    store.faults["insert_events"] = [Away("cut") for _ in range(3)]
    store.faults["seal"] = [Away("cut")]
    _run(store, log)
    assert _offsets(store) == list(range(120))


def test_a_store_that_goes_away_while_the_log_is_read_again_is_waited_for() -> None:
    store = InMemoryStore()
    _run(store, Log(records(100)))
    store._snapshots.clear()
    store.faults["rejected_offsets"] = [Away("cut") for _ in range(3)]
    log = Log(records(120))
    worker = _run(store, log)
    assert worker.status.state == "closed"
    assert _offsets(store) == list(range(120))


def test_waiting_is_said_in_the_status() -> None:
    store, log = InMemoryStore(), Log(records(10))
    store.faults["last_entry"] = [Away("cut", code="store_away") for _ in range(5)]
    worker = worker_of(store, log, Published())
    worker.start()
    await_that(lambda: (worker.status.state, worker.status.code) == ("away", "store_away"), "away")
    await_that(lambda: worker.status.state == "running", "running again")
    worker.close()
    assert worker.join(5)


def test_more_than_the_inbox_holds_blocks_the_fetcher() -> None:
    store, log = InMemoryStore(), Log(records(400))
    store.faults["insert_events"] = [Away("cut") for _ in range(3)]
    worker = worker_of(store, log, Published(), inbox_records=50)
    worker.start()
    await_that(lambda: log.sealed_next >= 400, "all sealed")
    worker.close()
    assert worker.join(5)
    assert log.blocked
    assert _offsets(store) == list(range(400))


def test_a_row_the_store_refuses_stops_nobody() -> None:
    store, log = InMemoryStore(), Log(records(100))
    store.refused_offsets = {33}
    _run(store, log)
    assert _offsets(store) == list(range(100))
    assert [row.offset for row in store.sealed_rows("dead_letters")] == [33]
    # the same again from the log alone: the refusal is remembered, the evidence is the same
    store._snapshots.clear()
    _run(store, Log(records(120)))
    assert _offsets(store) == list(range(120))


def test_a_store_that_was_away_before_it_refused_a_row_is_not_said_to_be_away_for_ever() -> None:
    store, log = InMemoryStore(), Log(records(100))
    store.refused_offsets = {33}
    store.faults["insert_events"] = [Away("cut", code="store_away") for _ in range(2)]
    worker = worker_of(store, log, Published(), max_batch_records=100)
    worker.start()
    await_that(lambda: log.sealed_next == 100, "all sealed")
    await_that(lambda: worker.status.state == "running", worker.status)
    assert (worker.status.code, worker.status.away_since) == ("", 0.0)
    worker.close()
    assert worker.join(5)
    assert [row.offset for row in store.sealed_rows("dead_letters")] == [33]


def test_profiles_of_a_partition_that_falls_quiet_are_stored_all_the_same() -> None:
    store, log = InMemoryStore(), Log(records(40))
    worker = worker_of(store, log, Published(), max_batch_records=100, snapshot_interval_s=1)
    worker.start()
    await_that(lambda: log.sealed_next == 40, "all sealed")
    await_that(
        lambda: (snapshot := store.load_profiles(POSITION)) is not None and snapshot.sealed_offset == 39, "stored"
    )
    worker.close()
    assert worker.join(5)


def test_a_new_life_without_a_record_is_waited_for_though_the_last_snapshot_is_due() -> None:
    store, log = InMemoryStore(), Log(records(40))
    worker = worker_of(store, log, Published(), snapshot_interval_s=1)
    worker.start()
    await_that(lambda: log.sealed_next == 40, "all sealed")
    log.topic_id, log.records = "life-2", []
    worker.reassign()
    await_that(lambda: worker.status.incarnation == "life-2" and worker.status.state == "running", worker.status)
    time.sleep(1.5)  # the interval of the snapshot that the former life had not written yet
    assert (worker.status.state, worker.status.code) == ("running", "")
    worker.close()
    assert worker.join(5)


def test_missing_rights_stop_the_partition_and_say_so() -> None:
    store, log = InMemoryStore(), Log(records(10))
    store.faults["insert_events"] = [StoreRefused("no right")]
    worker = worker_of(store, log, Published())
    worker.start()
    await_that(lambda: worker.status.state == "stopped", "stopped")
    assert worker.status.code == "store_refused"
    assert store.ledger == []
    worker.reassign()
    await_that(lambda: log.sealed_next == 10, "a new assignment begins anew")
    worker.close()
    assert worker.join(5)


def test_a_log_with_other_content_than_was_sealed_is_a_conflict() -> None:
    store = InMemoryStore()
    _run(store, Log(records(50)))
    store._snapshots.clear()
    worker = worker_of(store, Log(records(60, salt="other")), Published())
    worker.start()
    await_that(lambda: worker.status.state == "stopped", "stopped")
    assert worker.status.code == "ledger_conflict"
    assert len(_offsets(store)) == 50
    worker.close()
    assert worker.join(5)


def test_two_owners_at_once_leave_one_history() -> None:
    store = InMemoryStore()
    logs = [Log(records(300)), Log(records(300), run=7)]
    workers = [worker_of(store, log, Published()) for log in logs]
    for worker in workers:
        worker.start()
    await_that(
        lambda: all(
            log.sealed_next >= 300 or w.status.state == "stopped" for log, w in zip(logs, workers, strict=True)
        ),
        "end",
    )
    for worker in workers:
        worker.close()
        assert worker.join(5)
    assert _offsets(store) == list(range(300))
    assert all(worker.status.code in ("", "fenced") for worker in workers)
    assert sum(entry.n_gaps for entry in store.ledger) == 0


def test_a_fenced_partition_forgets_what_it_had_fetched_so_that_nothing_looks_like_a_hole() -> None:
    """Another worker sealed part of our range: what waits in our inbox lies behind a stretch we must read again."""
    store, log = InMemoryStore(), Log(records(100), run=100)
    store.faults["insert_events"] = [Away("cut") for _ in range(3)]
    worker = worker_of(store, log, Published(), max_batch_records=40)
    worker.start()
    await_that(lambda: worker.status.state == "away", "standing before its first insert")
    other = worker_of(store, Log(records(10)), Published())
    other.start()
    await_that(lambda: bool(store.ledger), "another worker sealed the first ten")
    other.close()
    assert other.join(5)
    await_that(lambda: log.sealed_next >= 100, f"all sealed, {worker.status}")
    worker.close()
    assert worker.join(5)
    assert sum(entry.n_gaps for entry in store.ledger) == 0
    assert _offsets(store) == list(range(100))


def test_records_offered_twice_are_stored_once() -> None:
    """A seek that was under way when the group was rebalanced lets the same records be fetched again."""
    store = InMemoryStore()
    worker = worker_of(store, Log(records(1)), Published(), max_batch_records=100)
    worker.start()
    await_that(lambda: len(store.ledger) == 1, "recovered and the first sealed")
    with worker._tenure.changed:  # both runs arrive before the partition's thread looks
        worker.offer([*records(1, first=1)], worker._inbox._seek_number)
        worker.offer([*records(1, first=1)], worker._inbox._seek_number)
    await_that(lambda: len(store.ledger) == 2, "the second sealed")
    worker.close()
    assert worker.join(5)
    assert store.ledger[-1].tree_size == 2
    assert _offsets(store) == [0, 1]


def test_records_fetched_before_the_last_seek_are_dropped() -> None:
    store, log = InMemoryStore(), Log(records(20))
    worker = worker_of(store, log, Published())
    worker.start()
    await_that(lambda: log.sealed_next == 20, "all")
    worker.offer([*records(5, first=40)], worker._inbox._seek_number - 1)
    worker.offer([*records(5, first=20)], worker._inbox._seek_number)
    await_that(lambda: log.sealed_next == 25, "what follows")
    worker.close()
    assert worker.join(5)
    assert sum(entry.n_gaps for entry in store.ledger) == 0


def test_a_reassignment_in_mid_stream_loses_nothing() -> None:
    store, log = InMemoryStore(), Log(records(400))
    worker = worker_of(store, log, Published())
    worker.start()
    for share in (50, 150, 250):
        await_that(lambda share=share: log.sealed_next >= share, "progress")  # type: ignore[misc]
        worker.reassign()
    await_that(lambda: log.sealed_next >= 400, "all")
    worker.close()
    assert worker.join(5)
    assert _offsets(store) == list(range(400))


def test_a_topic_made_anew_closes_the_old_life_with_a_gap() -> None:
    store = InMemoryStore()
    _run(store, Log(records(50)))
    _run(store, Log(records(30, salt="new"), topic_id="life-2"))
    closing = [entry for entry in store.ledger if entry.incarnation == "life-1"][-1]
    assert (closing.first_offset, closing.last_offset, closing.n_gaps) == (50, END_OF_LOG, 1)
    assert sum(entry.n_events + entry.n_dead_letters for entry in store.ledger if entry.incarnation == "life-2") == 30


def test_a_log_shorter_than_what_was_sealed_is_a_new_life() -> None:
    store = InMemoryStore()
    _run(store, Log(records(50)))
    _run(store, Log(records(20, salt="lost")))
    assert {entry.incarnation for entry in store.ledger} == {"life-1", "life-1+1"}


def test_records_that_retention_took_are_a_gap() -> None:
    store = InMemoryStore()
    _run(store, Log(records(30)))
    log = Log([one for one in records(90) if one.offset >= 60], first_offset=60)
    worker = _run(store, log)
    assert not worker.status.profile_gap
    gap = next(entry for entry in store.ledger if entry.n_gaps)
    assert gap.first_offset == 30
    assert store.ledger[-1].last_offset == 89


def test_profiles_that_cannot_be_rebuilt_are_said_to_have_a_gap() -> None:
    store = InMemoryStore()
    _run(store, Log(records(30)))
    store._snapshots.clear()
    log = Log([one for one in records(60) if one.offset >= 20], first_offset=20)
    assert _run(store, log).status.profile_gap
    assert store.ledger[-1].last_offset == 59


def test_what_the_log_still_holds_is_learnt_and_kept_before_anything_is_judged() -> None:
    store = InMemoryStore()
    _run(store, Log(records(100)))
    starts = [entry.first_offset for entry in store.ledger]
    store._snapshots.clear()
    store._profiles.clear()
    begun = starts[2] - 3  # in the middle of an entry: what follows it is whole
    log = Log([one for one in records(100) if one.offset >= begun], first_offset=begun)
    worker = worker_of(store, log, Published())
    worker.start()
    await_that(lambda: worker.status.state == "running", worker.status)
    snapshot = store.load_profiles(POSITION)
    assert snapshot is not None
    assert (snapshot.sealed_offset, worker.status.profile_gap) == (99, True)
    worker.close()
    assert worker.join(5)
    # The same as a worker learns that never saw more of the log, nor what is known to be a repetition of the rest.
    repeated = {row.offset for row in store.rows["access_events"] if row.duplicate_of >= 0}
    late = InMemoryStore()
    kept = [one for one in records(100) if one.offset >= starts[2] and one.offset not in repeated]
    _run(late, Log(kept, first_offset=starts[2]))
    learnt = late.load_profiles(POSITION)
    assert learnt is not None
    assert (snapshot.keys, snapshot.states) == (learnt.keys, learnt.states)
    assert [entry.first_offset for entry in store.ledger] == starts


def test_a_log_that_never_held_its_beginning_has_no_profile_gap() -> None:
    """What was a hole when it was sealed is the same hole when it is read again."""
    found = [one for one in records(90) if one.offset >= 40]
    store, calm = InMemoryStore(), InMemoryStore()
    _run(store, Log(found[:20], first_offset=40))
    _run(calm, Log(found, first_offset=40))
    store._snapshots.clear()
    worker = _run(store, Log(found, first_offset=40))
    assert not worker.status.profile_gap
    assert (store.ledger[-1].root, store.sealed_alerts()) == (calm.ledger[-1].root, calm.sealed_alerts())
    # One record more is gone: now something is missing that was learnt from.
    store._snapshots.clear()
    assert _run(store, Log(found[1:], first_offset=41)).status.profile_gap


class _Shrinking(Log):
    """Retention takes more of the log just when it is read again, once."""

    def __init__(self, found: list[Record], *, first_offset: int = 0, keep_from: int) -> None:
        super().__init__(found, first_offset=first_offset)
        self._keep_from = keep_from

    def start_at(self, topic: str, partition: int, offset: int, seek_number: int) -> None:
        """The first time what lies below `keep_from` goes."""
        if not self.started_at:
            self.first_offset = self._keep_from
            self.records = [one for one in self.records if one.offset >= self.first_offset]
        super().start_at(topic, partition, offset, seek_number)


def test_what_is_deleted_while_it_is_learnt_from_is_no_conflict() -> None:
    store = InMemoryStore()
    _run(store, Log(records(100)))
    store._snapshots.clear()
    log = _Shrinking([one for one in records(120) if one.offset >= 20], first_offset=20, keep_from=105)
    worker = _run(store, log)
    assert (worker.status.state, worker.status.code, worker.status.profile_gap) == ("closed", "", True)
    assert log.started_at == [20, 105]
    assert [entry.n_gaps for entry in store.ledger if entry.last_offset >= 100][:1] == [1]
    assert store.ledger[-1].last_offset == 119


def test_what_is_deleted_while_it_is_read_again_to_be_compared_is_a_gap_and_no_conflict() -> None:
    store = InMemoryStore()
    _run(store, Log(records(100)))
    store._snapshots.clear()
    log = _Shrinking(records(120), keep_from=30)
    worker = _run(store, log)
    assert (worker.status.state, worker.status.code, worker.status.profile_gap) == ("closed", "", True)
    assert log.started_at == [0, 40]
    assert _offsets(store) == list(range(120))


def test_a_record_that_is_missing_in_mid_log_is_a_conflict() -> None:
    store = InMemoryStore()
    _run(store, Log(records(100)))
    store._snapshots.clear()
    last = store.ledger[2].last_offset
    worker = worker_of(store, Log([one for one in records(120) if one.offset != last]), Published())
    worker.start()
    await_that(lambda: worker.status.state == "stopped", worker.status)
    assert worker.status.code == "ledger_conflict"
    worker.close()
    assert worker.join(5)


def test_a_batch_never_spans_two_months_of_the_table() -> None:
    june, july = 1_751_327_999_000, 1_751_328_000_000
    found = [Record(one.offset, one.value, None, june if one.offset < 5 else july) for one in records(10)]
    store = InMemoryStore()
    _run(store, Log(found))
    assert [(entry.first_offset, entry.last_offset) for entry in store.ledger] == [(0, 4), (5, 9)]
