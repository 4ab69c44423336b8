"""Verification of a tree: an honest one passes, any one change is found and named, and only the change is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.events import LogPosition
from pipeline.ledger.append import NO_HASH, batch_id, entry_hash
from pipeline.ledger.checkpoint import Checkpoint, TreeName
from pipeline.ledger.verify import Findings, TreeCheck
from tests.ledger_trees import NAME, Sealed, checkpoint_of, history

FIELDS = [
    "epoch", "first_offset", "last_offset", "tree_size_before", "tree_size", "n_events", "n_dead_letters", "n_gaps",
    "n_subjects", "n_alerts", "n_unscored", "canon_version", "batch_id", "first_received_at_us", "last_received_at_us",
    "partition",
]  # fmt: skip
HASHES = ["root", "previous_hash", "versions_id", "entry_hash"]


def found(batches: Sequence[Sealed], checkpoints: Sequence[Checkpoint], name: TreeName = NAME) -> Findings:
    findings = Findings()
    check = TreeCheck(name, checkpoints, findings)
    for one in batches:
        check.entry(one.entry, one.leaves)
    check.end()
    return findings


def codes(batches: Sequence[Sealed], checkpoints: Sequence[Checkpoint]) -> set[str]:
    return set(found(batches, checkpoints).counts)


@given(st.integers(0, 10**6), st.integers(1, 12), st.booleans(), st.data())
def test_an_honest_history_passes_whatever_was_signed_of_it(
    seed: int, batches: int, gaps: bool, data: st.DataObject
) -> None:
    made = history(seed, batches, gaps=gaps)
    signed = data.draw(st.lists(st.sampled_from(made)))
    findings = found(made, [checkpoint_of(one) for one in [*signed, made[-1]]])
    assert not findings.has_differences, findings.told
    assert set(findings.counts) <= {"gap"}


def test_what_is_behind_the_newest_checkpoint_is_said() -> None:
    made = history(1)
    assert codes(made, [checkpoint_of(made[2])]) == {"not_covered"}
    assert codes(made, []) == {"not_covered"}


def with_entry(made: list[Sealed], at: int, **changes: Any) -> list[Sealed]:
    return [replace(one, entry=replace(one.entry, **changes)) if number == at else one
            for number, one in enumerate(made)]  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("at", [0, 3, 5])
def test_a_changed_number_of_an_entry_breaks_its_hash(field: str, at: int) -> None:
    made = history(2)
    told = codes(with_entry(made, at, **{field: getattr(made[at].entry, field) + 1}), [checkpoint_of(made[-1])])
    assert "entry_hash" in told


@pytest.mark.parametrize("field", HASHES)
def test_a_changed_hash_of_an_entry_is_found(field: str) -> None:
    made = history(2)
    assert codes(with_entry(made, 3, **{field: sha256(b"x").digest()}), [checkpoint_of(made[-1])]) & {
        "entry_hash", "entry_chain"
    }  # fmt: skip


def rehashed(made: list[Sealed], at: int, **changes: Any) -> list[Sealed]:
    """An entry changed by somebody who also makes all hashes behind it anew."""
    changed, previous = list(made), None if at == 0 else made[at - 1].entry
    for number in range(at, len(made)):
        entry = replace(made[number].entry, **(changes if number == at else {}))
        entry = replace(entry, previous_hash=NO_HASH if previous is None else previous.entry_hash)
        entry = replace(entry, entry_hash=entry_hash(entry))
        changed[number], previous = replace(made[number], entry=entry), entry
    return changed


EXPECTED = {
    "epoch": "entry_chain", "first_offset": "entry_chain", "last_offset": "entry_chain",
    "tree_size_before": "entry_chain", "tree_size": "entry_counts", "n_events": "entry_counts",
    "n_dead_letters": "entry_counts", "n_gaps": "entry_counts", "n_subjects": "entry_counts",
    "n_unscored": "entry_counts", "batch_id": "entry_counts", "first_received_at_us": "entry_counts",
    "last_received_at_us": "entry_counts", "partition": "entry_chain",
}  # fmt: skip


@pytest.mark.parametrize(("field", "code"), EXPECTED.items())
def test_whoever_makes_the_chain_anew_still_contradicts_the_rows(field: str, code: str) -> None:
    made = history(3)
    changed = rehashed(made, 2, **{field: getattr(made[2].entry, field) + 1})
    assert code in codes(changed, [checkpoint_of(made[-1])])


def changed_leaves(made: list[Sealed], at: int, change: Callable[[Any], Any]) -> list[Sealed]:
    return [replace(one, leaves=change(one.leaves)) if number == at else one for number, one in enumerate(made)]


@given(st.integers(0, 10**6), st.data())
def test_a_changed_row_is_told_at_its_batch_and_nowhere_else(seed: int, data: st.DataObject) -> None:
    made = history(seed)
    at = data.draw(st.integers(0, len(made) - 1))
    row = data.draw(st.integers(0, len(made[at].leaves.hashes) - 1))

    def change(leaves: Any) -> Any:
        hashes = list(leaves.hashes)
        hashes[row] = sha256(hashes[row]).digest()
        return replace(leaves, hashes=hashes)

    findings = found(changed_leaves(made, at, change), [checkpoint_of(one) for one in made])
    assert findings.counts["entry_root"] == 1
    assert findings.told[0].offset == made[at].entry.first_offset or findings.told[0].code == "checkpoint_root"
    assert set(findings.counts) - {"not_covered"} == {"entry_root", "checkpoint_root"}
    assert findings.counts["checkpoint_root"] == 1, "what follows is told from what the entry says"


@given(st.integers(0, 10**6), st.data())
def test_a_deleted_row_is_found(seed: int, data: st.DataObject) -> None:
    made = history(seed)
    at = data.draw(st.integers(0, len(made) - 1))
    row = data.draw(st.integers(0, len(made[at].leaves.hashes) - 1))

    def delete(leaves: Any) -> Any:
        one, other = leaves.part(0, row), leaves.part(row + 1, len(leaves.hashes))
        return _joined(one, other)

    told = codes(changed_leaves(made, at, delete), [checkpoint_of(made[-1])])
    assert {"entry_root", "entry_counts", "offset_missing"} <= told


def _joined(*parts: Any) -> Any:
    arrays = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("offsets", "last_offsets", "received_at_us", "kinds", "versions", "unscored", "subjects",
                     "batch_ids")
    }  # fmt: skip
    return replace(parts[0], hashes=[one for part in parts for one in part.hashes], **arrays)


@given(st.integers(0, 10**6), st.data())
def test_a_row_twice_is_found(seed: int, data: st.DataObject) -> None:
    made = history(seed)
    at = data.draw(st.integers(0, len(made) - 1))
    row = data.draw(st.integers(0, len(made[at].leaves.hashes) - 1))
    told = codes(
        changed_leaves(made, at, lambda one: _joined(one.part(0, row + 1), one.part(row, len(one.hashes)))),
        [checkpoint_of(made[-1])],
    )
    assert {"entry_root", "row_order"} <= told


@given(st.integers(0, 10**6))
def test_swapped_rows_are_found(seed: int) -> None:
    made = list(history(seed, 8))
    at = next((number for number, one in enumerate(made) if len(one.leaves.hashes) > 1), None)
    if at is None:
        return

    def swap(leaves: Any) -> Any:
        return replace(leaves, hashes=[leaves.hashes[1], leaves.hashes[0], *leaves.hashes[2:]])

    assert "entry_root" in codes(changed_leaves(made, at, swap), [checkpoint_of(made[-1])])


@pytest.mark.parametrize("kept", range(6))
def test_a_cut_end_is_found_by_a_checkpoint_that_somebody_kept(kept: int) -> None:
    made = history(4)
    assert "checkpoint_beyond" in codes(made[:kept], [checkpoint_of(made[-1])])


def test_a_missing_batch_in_the_middle_breaks_the_chain() -> None:
    made = history(5)
    assert "entry_chain" in codes([*made[:2], *made[3:]], [checkpoint_of(made[-1])])


def test_a_missing_beginning_breaks_the_chain() -> None:
    made = history(5)
    assert "entry_chain" in codes(made[1:], [checkpoint_of(made[-1])])


def test_a_history_made_anew_with_a_stolen_key_contradicts_an_old_checkpoint() -> None:
    honest, forged = history(6), history(7)
    signed_anew = [checkpoint_of(one) for one in forged]
    assert codes(forged, signed_anew) == set()
    told = codes(forged, [*signed_anew, checkpoint_of(honest[3])])
    assert told & {"checkpoint_root", "checkpoint_fork", "checkpoint_beyond"}


def test_two_checkpoints_of_one_size_and_two_roots_are_a_fork() -> None:
    made = history(8)
    other = Checkpoint(NAME, made[-1].entry.tree_size, sha256(b"other").digest())
    assert "checkpoint_fork" in codes(made, [checkpoint_of(made[-1]), other])


def test_a_checkpoint_within_a_batch_is_checked_at_its_size() -> None:
    made = history(9, 4)
    wrong = Checkpoint(NAME, made[1].entry.tree_size + 1, sha256(b"other").digest())
    assert "checkpoint_root" in codes(made, [wrong, checkpoint_of(made[-1])])


def test_another_life_of_the_topic_is_another_tree() -> None:
    made = history(10, name=TreeName("accesstrail", LogPosition("access.events", "life-2", 3)))
    assert "entry_chain" in codes(made, [checkpoint_of(made[-1])])


def test_times_that_go_back_are_said_and_are_no_difference() -> None:
    made = history(11)
    before = made[1].entry.last_received_at_us
    at = 2
    moved = replace(made[at].leaves, received_at_us=made[at].leaves.received_at_us - 10_000_000)
    entry = made[at].entry
    entry = replace(
        entry, first_received_at_us=int(moved.received_at_us.min()), last_received_at_us=int(moved.received_at_us.max())
    )
    changed = rehashed(
        [replace(one, leaves=moved) if number == at else one for number, one in enumerate(made)], at,
        first_received_at_us=entry.first_received_at_us, last_received_at_us=entry.last_received_at_us,
    )  # fmt: skip
    assert before > entry.last_received_at_us
    findings = found(changed, [checkpoint_of(changed[-1])])
    assert set(findings.counts) == {"time_backwards"}
    assert not findings.has_differences


def test_a_row_with_another_batch_s_mark_is_found() -> None:
    made = history(12)

    def mark(leaves: Any) -> Any:
        ids = leaves.batch_ids.copy()
        ids[0] += 1
        return replace(leaves, batch_ids=ids)

    assert codes(changed_leaves(made, 1, mark), [checkpoint_of(made[-1])]) == {"row_order"}


def test_a_range_begins_behind_an_entry_that_is_bound_by_what_follows() -> None:
    made = history(13)
    for forged in (False, True):
        findings = Findings()
        check = TreeCheck(NAME, [checkpoint_of(made[-1])], findings)
        before = made[2].entry
        if forged:
            root = sha256(b"forged").digest()
            before = replace(before, root=root, batch_id=batch_id(before.first_offset, root))
            before = replace(before, entry_hash=entry_hash(before))
        check.begin_behind(before, before.tree_size)
        for one in made[3:]:
            check.entry(one.entry, one.leaves)
        check.end()
        assert findings.has_differences == forged


def test_of_many_differences_a_hundred_are_told_and_all_are_counted() -> None:
    findings = Findings()
    for number in range(250):
        findings.add("entry_root", "tree", "x", number)
    assert len(findings.told) == 100
    assert findings.counts["entry_root"] == 250
    assert findings.told[0].check == 7
