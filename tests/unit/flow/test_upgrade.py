"""After an upgrade whose sets cannot be read any more: profiles are learnt again, evidence stays, nothing is lost."""

from __future__ import annotations

import numpy as np

from pipeline.batch import Judgement
from pipeline.errors import Away
from pipeline.partition.worker import PartitionWorker
from tests.fakes import InMemoryStore
from tests.flows import (
    POSITION,
    FixedJudgements,
    Log,
    Published,
    UpgradedJudgements,
    await_that,
    judgement,
    records,
    worker_of,
)


def _run(store: InMemoryStore, count: int, judgements: FixedJudgements, *, kill: bool = False) -> PartitionWorker:
    """Runs a worker until `count` records are sealed, then ends it in order or, with `kill`, leaves no snapshot."""
    before = store._snapshots.copy()
    log = Log(records(count))
    worker = worker_of(store, log, Published(), judgements)
    worker.start()
    await_that(lambda: log.sealed_next >= count and worker.status.state == "running", worker.status)
    worker.close()
    assert worker.join(5)
    if kill:
        store._snapshots.clear()
        store._snapshots.update(before)
    return worker


def _learnt(store: InMemoryStore) -> dict[bytes, bytes]:
    snapshot = store.load_profiles(POSITION)
    assert snapshot is not None
    return {bytes(key): np.asarray(state).tobytes() for key, state in zip(snapshot.keys, snapshot.states, strict=True)}


def test_profiles_are_what_the_new_version_would_have_learnt_and_what_is_sealed_stays() -> None:
    fresh, store = InMemoryStore(), InMemoryStore()
    _run(fresh, 200, UpgradedJudgements())
    _run(store, 100, FixedJudgements())
    sealed = [entry.entry_hash for entry in store.ledger]
    _run(store, 200, UpgradedJudgements())
    assert [entry.entry_hash for entry in store.ledger][: len(sealed)] == sealed
    assert sorted(row.offset for row in store.sealed_rows("access_events")) == list(range(200))
    assert _learnt(store) == _learnt(fresh)


def test_they_are_kept_before_anything_is_judged_by_them() -> None:
    """A directory that changes between two take-overs must not make the evidence look forged."""
    store = InMemoryStore()
    _run(store, 100, FixedJudgements(), kill=True)
    worker = _run(store, 100, UpgradedJudgements(), kill=False)
    snapshot = store.load_profiles(POSITION)
    assert worker.status.state == "closed"
    assert snapshot is not None
    assert snapshot.feature_version == UpgradedJudgements.feature_version
    assert snapshot.sealed_offset == 99


def test_two_versions_side_by_side_take_over_from_each_other() -> None:
    """A rolling upgrade: a partition goes to the new version, back to the old one, and to the new one again."""
    store = InMemoryStore()
    for count, judgements in (
        (60, FixedJudgements()), (120, UpgradedJudgements()), (180, _Old()), (240, UpgradedJudgements("3")),
    ):  # fmt: skip
        worker = _run(store, count, judgements)
        assert worker.status.code == ""
    assert sorted(row.offset for row in store.sealed_rows("access_events")) == list(range(240))


class _Old(UpgradedJudgements):
    feature_version = FixedJudgements.feature_version

    def __init__(self) -> None:
        super().__init__("1")


def test_a_store_that_is_away_just_then_is_waited_for() -> None:
    store = InMemoryStore()
    _run(store, 100, FixedJudgements())
    faults = [Away("the store does not answer")] * 3
    save = store.save_profiles

    def unwilling(*args: object) -> None:
        if faults:
            raise faults.pop()
        save(*args)  # type: ignore[arg-type]

    store.save_profiles = unwilling  # type: ignore[method-assign,assignment]
    _run(store, 200, UpgradedJudgements())
    assert not faults
    assert sorted(row.offset for row in store.sealed_rows("access_events")) == list(range(200))


def test_a_rebalance_before_they_are_kept_changes_nothing() -> None:
    """The memory stands already when the partition begins anew; what it learnt must be kept all the same."""
    store, log, done = InMemoryStore(), Log(records(200)), list[str]()
    _run(store, 100, FixedJudgements())
    save, seal = store.save_profiles, store.seal
    worker = worker_of(store, log, Published(), UpgradedJudgements())

    def interrupted(*arguments: object) -> None:
        if not done:
            done.append("rebalance")
            worker.reassign()
            raise Away("the store does not answer")
        done.append("kept")
        save(*arguments)  # type: ignore[arg-type]

    def noted(*arguments: object) -> None:
        done.append("sealed")
        seal(*arguments)  # type: ignore[arg-type]

    store.save_profiles, store.seal = interrupted, noted  # type: ignore[method-assign,assignment]
    worker.start()
    await_that(lambda: log.sealed_next >= 200, worker.status)
    worker.close()
    assert worker.join(5)
    assert done[:3] == ["rebalance", "kept", "sealed"]


def test_what_was_stored_and_not_sealed_is_finished_by_the_version_that_judged_it() -> None:
    store = InMemoryStore()
    _run(store, 100, FixedJudgements())
    store.ledger.pop()  # killed between rows and ledger entry
    log = Log(records(100))
    worker = worker_of(store, log, Published(), _Refusing())
    worker.start()
    await_that(lambda: worker.status.state == "stopped", worker.status)
    worker.close()
    assert worker.join(5)
    assert worker.status.code == "other_version"
    _run(store, 100, FixedJudgements())
    assert sorted(row.offset for row in store.sealed_rows("access_events")) == list(range(100))


class _Refusing(UpgradedJudgements):
    """Reads what is sealed (its features are the same), and cannot judge by it."""

    feature_version = FixedJudgements.feature_version

    def current(self) -> Judgement:
        return judgement("2")
