"""Ledger entries: what seals a batch, and what may not follow what."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import pytest

from pipeline.events import LogPosition
from pipeline.ledger.append import NO_HASH, BatchContent, entry_bytes, entry_hash, seal
from pipeline.ledger.leaf import leaf_hash
from pipeline.ports import LedgerEntry

POSITION = LogPosition("access.events", "life", 7)
VERSIONS = bytes(range(32))


def _content(first: int, last: int) -> BatchContent:
    return BatchContent(
        first_offset=first, last_offset=last, first_received_at_us=10, last_received_at_us=20, n_events=last - first + 1
    )


def _entry(previous: LedgerEntry | None, first: int, last: int) -> LedgerEntry:
    leaves = [leaf_hash(str(offset).encode()) for offset in range(first, last + 1)]
    return seal(previous, POSITION, leaves, _content(first, last), VERSIONS)


def test_the_first_entry_hangs_on_nothing() -> None:
    entry = _entry(None, 0, 4)
    assert (entry.tree_size_before, entry.tree_size, entry.previous_hash, entry.epoch) == (0, 5, NO_HASH, 0)


def test_an_entry_hangs_on_the_one_before() -> None:
    first = _entry(None, 0, 4)
    second = _entry(first, 5, 9)
    assert second.previous_hash == first.entry_hash
    assert (second.tree_size_before, second.tree_size) == (5, 10)


def test_the_batch_is_named_by_its_beginning_and_the_root_after_it() -> None:
    entry = _entry(_entry(None, 0, 4), 5, 9)
    named = hashlib.sha256(b"\x03" + (5).to_bytes(8, "little") + entry.root).digest()
    assert entry.batch_id.to_bytes(8, "little") == named[:8]


def test_batches_that_end_at_one_offset_have_one_root_and_different_names() -> None:
    """Of a fenced writer's longer batch nothing may be seen once the rest of its range is sealed."""
    first = _entry(None, 0, 4)
    fenced = _entry(first, 5, 19)
    sealed = _entry(_entry(first, 5, 9), 10, 19)
    assert fenced.root == sealed.root
    assert fenced.batch_id != sealed.batch_id


@pytest.mark.parametrize(("first", "last"), [(6, 9), (4, 9), (0, 9), (5, 4)])
def test_a_batch_that_does_not_follow_without_a_hole_is_refused(first: int, last: int) -> None:
    previous = _entry(None, 0, 4)
    with pytest.raises(ValueError, match="cannot follow"):
        seal(previous, POSITION, [b"l" * 32], _content(first, last), VERSIONS)


def test_the_first_batch_begins_at_offset_zero() -> None:
    with pytest.raises(ValueError, match="cannot follow"):
        _entry(None, 1, 4)


def test_every_column_but_the_hash_itself_changes_the_entry_hash() -> None:
    entry = _entry(_entry(None, 0, 4), 5, 9)
    for field in dataclasses.fields(entry):
        value = getattr(entry, field.name)
        if field.name == "entry_hash":
            changed = dataclasses.replace(entry, entry_hash=b"x" * 32)
            assert entry_bytes(changed) == entry_bytes(entry)
            continue
        other: Any = (
            value + 1
            if isinstance(value, int)
            else value + "x"
            if isinstance(value, str)
            else (*value, b"y" * 32)
            if isinstance(value, tuple)
            else bytes([value[0] ^ 1]) + value[1:]
        )
        assert entry_hash(dataclasses.replace(entry, **{field.name: other})) != entry.entry_hash, field.name
