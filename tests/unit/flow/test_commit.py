"""The commit protocol over the in-memory store: every gap between two steps, and what a batch commits to."""

from __future__ import annotations

import pytest

from pipeline.batch import FormedBatch
from pipeline.errors import RejectedRow
from pipeline.flow import commit_batch
from pipeline.partition.recovery import LogBounds, plan
from pipeline.partition.refused_rows import find_rejected
from pipeline.ports import LedgerEntry
from tests.fakes import InMemoryStore
from tests.flows import POSITION, Published, Record, batch_of, chain, judgement, memory, records

BAD = frozenset({3, 17, 40})


class SimulatedCrashError(Exception):
    """The process dies here."""


def _form_all(found: list[Record], size: int) -> list[FormedBatch]:
    stages, state, judged = chain(), memory(), judgement()
    formed = []
    for place in range(0, len(found), size):
        one = stages.form(batch_of(found[place : place + size]), state, judged)
        state.commit(one.entry)
        formed.append(one)
    return formed


def test_every_offset_becomes_exactly_one_leaf() -> None:
    found = [one for one in records(60, bad=BAD) if one.offset not in (0, 1, 20, 21, 22)]
    (formed,) = _form_all(found, 60)
    entry = formed.entry
    assert (entry.first_offset, entry.last_offset) == (0, 59)
    assert (entry.n_events, entry.n_dead_letters, entry.n_gaps) == (55 - 3, 3, 2)
    assert entry.tree_size == 55 + 2


@pytest.mark.parametrize("size", [1, 7, 59])
def test_the_root_does_not_depend_on_how_records_were_batched(size: int) -> None:
    found = records(60, bad=BAD)
    assert _form_all(found, size)[-1].entry.root == _form_all(found, 60)[-1].entry.root


def test_a_changed_event_changes_the_root() -> None:
    found = records(20)
    other = [*found[:7], Record(7, records(1, salt="other")[0].value), *found[8:]]
    assert _form_all(found, 20)[0].entry.root != _form_all(other, 20)[0].entry.root


def test_rollback_forgets_the_batch() -> None:
    stages, state, judged = chain(), memory(), judgement()
    first = stages.form(batch_of(records(30)), state, judged)
    state.rollback()
    again = stages.form(batch_of(records(30)), state, judged)
    assert again.entry == first.entry


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 6, 7])
def test_a_crash_after_any_step_leaves_what_a_calm_run_leaves(step: int) -> None:
    calm, crashed = InMemoryStore(), InMemoryStore()
    found, published = records(40, bad=BAD), Published()
    judged = judgement()

    def one_batch(store: InMemoryStore, crash_after: int | None) -> None:
        formed = chain().form(batch_of(found), memory(), judged)

        def after(number: int) -> None:
            if number == crash_after:
                raise SimulatedCrashError

        commit_batch(formed, store, published, "w", after)

    one_batch(calm, None)
    with pytest.raises(SimulatedCrashError):
        one_batch(crashed, step)
    resume = plan(crashed, POSITION.topic, 0, lambda: LogBounds("life-1", 0, 40), "1")
    if step < 7:
        assert crashed.ledger == []
        if step > 1:
            assert [(one.first_offset, one.last_offset) for one in resume.ranges] == [(0, 39)]
        one_batch(crashed, None)
    else:
        assert resume.ranges[-1].sealed == calm.ledger[-1]
    assert crashed.ledger == calm.ledger
    for table in ("access_events", "dead_letters"):
        assert crashed.sealed_rows(table) == calm.sealed_rows(table)
    assert crashed.alerts == calm.alerts


def test_a_refused_row_is_found_by_bisection_and_becomes_a_dead_letter() -> None:
    store, stages, state, judged = InMemoryStore(), chain(), memory(), judgement()
    store.refused_offsets = {11, 12, 30}
    found = batch_of(records(40))
    formed = stages.form(found, state, judged)
    with pytest.raises(RejectedRow):
        commit_batch(formed, store, Published(), "w")
    refused = find_rejected(formed, store)
    assert refused == {11, 12, 30}
    state.rollback()
    commit_batch(stages.form(found, state, judged, refused), store, Published(), "w")
    entry: LedgerEntry = store.ledger[-1]
    assert (entry.n_events, entry.n_dead_letters) == (37, 3)
    assert sorted(one.offset for one in store.sealed_rows("access_events")) == sorted({*range(40)} - refused)
    assert {one.reason for one in store.sealed_rows("dead_letters")} == {"store_rejected"}
