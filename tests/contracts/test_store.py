"""What every evidence store promises: one suite over the store in memory and over the real one."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pipeline.adapters.store import open_store
from pipeline.column_batch import ColumnBatch, FixedColumn
from pipeline.errors import Fenced, StoreRefused
from pipeline.events import LEAF_KINDS, LogPosition, codes
from pipeline.migrations.runner import apply_all
from pipeline.ports import EvidenceStore, LedgerEntry
from tests.batches import RECEIVED_AT_US, batch, with_reason
from tests.fakes import InMemoryStore

OpenStore = Callable[[], EvidenceStore]


@pytest.fixture(params=["memory", pytest.param("clickhouse", marks=pytest.mark.stack)])
def open_another(request: pytest.FixtureRequest) -> Iterator[OpenStore]:
    """Opens stores on the same data, one for each writer."""
    if request.param == "memory":
        memory = InMemoryStore()
        yield lambda: memory
        return
    stack: Any = request.getfixturevalue("stack")
    apply_all(stack.settings)
    opened = []

    def open_real() -> EvidenceStore:
        opened.append(open_store(stack.settings.clickhouse))
        return opened[-1]

    yield open_real
    for store in opened:
        store.close()


@pytest.fixture
def store(open_another: OpenStore) -> EvidenceStore:
    return open_another()


@pytest.fixture
def position() -> LogPosition:
    return LogPosition("access.events", f"life-{uuid.uuid4().hex}", 3)


def _chain(
    store: EvidenceStore, position: LogPosition, count: int, previous: LedgerEntry | None = None
) -> list[LedgerEntry]:
    entries: list[LedgerEntry] = []
    for seed in range(count):
        previous = batch(position, previous, seed=seed).commit(store)
        entries.append(previous)
    return entries


def test_a_new_position_has_nothing(store: EvidenceStore, position: LogPosition) -> None:
    assert store.last_entry(position) is None
    assert list(store.entries(position, -1, 10)) == []
    assert store.unsealed(position, -1) is None
    assert store.load_profiles(position) is None
    ids, offsets, received = store.event_ids(position, 10**9, 100)
    assert (len(ids), len(offsets), len(received)) == (0, 0, 0)


def test_a_sealed_entry_comes_back_byte_by_byte(store: EvidenceStore, position: LogPosition) -> None:
    entries = _chain(store, position, 3)
    assert store.last_entry(position) == entries[-1]
    assert list(store.entries(position, -1, 10)) == entries
    assert list(store.entries(position, entries[0].last_offset, 1)) == [entries[1]]
    assert list(store.entries(position, entries[0].last_offset - 1, 10)) == entries


def test_lives_of_a_topic_are_told_apart(store: EvidenceStore, position: LogPosition) -> None:
    other = dataclasses.replace(position, incarnation=position.incarnation + "+1")
    first, second = _chain(store, position, 2)[-1], _chain(store, other, 1)[-1]
    found = {entry.incarnation: entry for entry in store.incarnations(position.topic, position.partition)}
    assert (found[position.incarnation], found[other.incarnation]) == (first, second)
    assert position.incarnation not in {entry.incarnation for entry in store.incarnations(position.topic, 4)}


def test_sealing_again_is_the_same_as_once(store: EvidenceStore, position: LogPosition) -> None:
    one = batch(position)
    one.commit(store)
    one.commit(store, writer="the same worker after a time-out")
    assert list(store.entries(position, -1, 10)) == [one.entry]


def test_sealing_again_after_others_went_on_is_still_the_same(store: EvidenceStore, position: LogPosition) -> None:
    entries = _chain(store, position, 3)
    store.seal(entries[0], "the same worker after a long time-out")
    assert list(store.entries(position, -1, 10)) == entries


def test_the_second_writer_of_a_position_is_fenced(open_another: OpenStore, position: LogPosition) -> None:
    ours, theirs = open_another(), open_another()
    winner = batch(position, seed=1).commit(theirs)
    loser = batch(position, seed=2)
    loser.store_rows(ours)
    with pytest.raises(Fenced):
        ours.seal(loser.entry, "a worker that slept")
    assert ours.last_entry(position) == winner


def test_a_writer_far_behind_is_fenced(open_another: OpenStore, position: LogPosition) -> None:
    ours, theirs = open_another(), open_another()
    slept = batch(position, seed=9, events=5)
    entries = _chain(theirs, position, 3)
    with pytest.raises(Fenced):
        ours.seal(slept.entry, "a worker that slept long")
    assert list(ours.entries(position, -1, 10)) == entries


def test_rows_without_an_entry_are_an_unsealed_batch(store: EvidenceStore, position: LogPosition) -> None:
    sealed = batch(position).commit(store)
    pending = batch(position, sealed, seed=5, versions_id=b"w" * 32)
    pending.store_rows(store)
    found = store.unsealed(position, sealed.last_offset)
    assert found is not None
    assert (found.first_offset, found.last_offset) == (pending.entry.first_offset, pending.entry.last_offset)
    assert found.versions_id == b"w" * 32
    store.seal(pending.entry, "test")
    assert store.unsealed(position, sealed.last_offset) is None
    assert store.unsealed(position, pending.entry.last_offset) is None


def test_dead_letters_alone_are_an_unsealed_batch(store: EvidenceStore, position: LogPosition) -> None:
    pending = batch(position, events=0, dead_letters=4)
    store.insert_dead_letters(pending.dead_letters, pending.token)
    found = store.unsealed(position, -1)
    assert found is not None
    assert (found.first_offset, found.last_offset) == (0, 3)


@pytest.mark.parametrize("page", [20_000, 7, 1])
def test_event_ids_are_those_of_the_newest_sealed_first_occurrences(
    store: EvidenceStore, position: LogPosition, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.adapters.store._PAGE_IDS", page)

    def one_duplicate(rows: ColumnBatch) -> None:
        rows.columns["duplicate_of"] = FixedColumn(np.where(np.arange(rows.count) == 10, 3, -1))

    first = batch(position, seed=1, events=30, change=one_duplicate)
    second = batch(position, first.commit(store), seed=2, events=30)
    second.commit(store)
    batch(position, second.entry, seed=3).store_rows(store)  # not sealed
    ids, offsets, received = store.event_ids(position, second.entry.last_offset, 1000)
    expected = [offset for offset in (*range(30), *range(32, 62)) if offset != 10]
    assert offsets.tolist() == expected
    assert ids[5] == first.events.fixed("event_id")[5]
    assert ids[-1] == second.events.fixed("event_id")[-1]
    assert received.tolist() == [RECEIVED_AT_US + offset * 1000 for offset in expected]
    assert store.event_ids(position, second.entry.last_offset, 7)[1].tolist() == expected[-7:]
    assert store.event_ids(position, 20, 1000)[1].tolist() == [one for one in expected if one <= 20]
    assert store.event_ids(position, 20, 15)[1].tolist() == [one for one in expected if one <= 20][-15:]


def test_only_sealed_dead_letters_the_store_rejected_are_rejected_offsets(
    store: EvidenceStore, position: LogPosition
) -> None:
    sealed = batch(position, seed=1)
    with_reason(sealed.dead_letters, "store_rejected")
    other = batch(position, sealed.commit(store), seed=2)
    with_reason(other.dead_letters, "empty")
    pending = batch(position, other.commit(store), seed=3)
    with_reason(pending.dead_letters, "store_rejected")
    pending.store_rows(store)
    assert sorted(store.rejected_offsets(position, 0, 10**6)) == [20, 21]
    assert list(store.rejected_offsets(position, 0, 20)) == [20]


def test_a_gap_is_found_by_its_first_offset_once_it_is_sealed(store: EvidenceStore, position: LogPosition) -> None:
    made = batch(position)
    rows = made.dead_letters
    first = int(rows.fixed("offset")[0])
    kinds = [codes(LEAF_KINDS)["gap"], codes(LEAF_KINDS)["dead_letter"]]
    rows.columns["leaf_kind"] = FixedColumn(np.array(kinds, np.int8))
    rows.columns["offset"] = FixedColumn(np.array([first, first + 6], np.uint64))
    rows.columns["last_offset"] = FixedColumn(np.array([first + 5, first + 6], np.uint64))
    made = dataclasses.replace(made, entry=dataclasses.replace(made.entry, last_offset=first + 6))
    made.store_rows(store)
    assert store.gap_end(position, first) == -1
    made.commit(store)
    assert store.gap_end(position, first) == first + 5
    assert store.gap_end(position, first + 1) == -1
    assert store.gap_end(position, int(rows.fixed("offset")[1])) == -1


def test_profiles_come_back_as_the_newest_of_each_actor(store: EvidenceStore, position: LogPosition) -> None:
    keys = [b"default\0" + np.uint64(number).tobytes() * 2 for number in range(4)]
    states = [bytes([number]) * 3000 for number in range(4)]
    store.save_profiles(position, 10, "f1", keys, states)
    store.save_profiles(position, 25, "f1", keys[:1], [b"newer"])
    found = store.load_profiles(position)
    assert found is not None
    assert (found.sealed_offset, found.feature_version) == (25, "f1")
    assert dict(zip(found.keys, found.states, strict=True)) == dict(zip(keys, [b"newer", *states[1:]], strict=True))


def test_a_snapshot_without_changes_still_moves_the_offset(store: EvidenceStore, position: LogPosition) -> None:
    store.save_profiles(position, 10, "f1", [], [])
    store.save_profiles(position, 12, "f1", [], [])
    found = store.load_profiles(position)
    assert found is not None
    assert (found.sealed_offset, list(found.keys)) == (12, [])


def test_profiles_of_another_feature_version_are_left_out(store: EvidenceStore, position: LogPosition) -> None:
    store.save_profiles(position, 10, "f1", [b"a\0x", b"a\0y"], [b"old", b"old"])
    store.save_profiles(position, 20, "f2", [b"a\0x"], [b"new"])
    found = store.load_profiles(position)
    assert found is not None
    assert (list(found.keys), list(found.states)) == ([b"a\0x"], [b"new"])


def test_an_artefact_is_kept_once_under_its_hash(store: EvidenceStore) -> None:
    content = b"\0\xff" + uuid.uuid4().bytes * 1000
    identity = store.save_artefact("policy", content)
    assert store.save_artefact("policy", content) == identity
    assert store.load_artefact(identity) == content
    assert len(identity) == 64


def test_an_unknown_artefact_is_refused(store: EvidenceStore) -> None:
    with pytest.raises(StoreRefused):
        store.load_artefact("0" * 64)


def test_an_entry_with_other_content_at_a_sealed_place_is_fenced(store: EvidenceStore, position: LogPosition) -> None:
    sealed = batch(position).commit(store)
    forged = dataclasses.replace(sealed, n_alerts=sealed.n_alerts + 1)
    with pytest.raises(Fenced):
        store.seal(forged, "test")
