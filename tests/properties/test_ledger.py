"""Properties of the tree and of entries over random leaves, with an independent implementation as oracle."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from pipeline.events import LogPosition
from pipeline.ledger.append import BatchContent, seal
from pipeline.ledger.leaf import leaf_hash
from pipeline.ledger.merkle import Frontier
from pipeline.ports import LedgerEntry

POSITION = LogPosition("access.events", "life", 0)
DATA = st.lists(st.binary(max_size=40), min_size=1, max_size=130)


@st.composite
def split(draw: st.DrawFn) -> tuple[list[bytes], list[list[bytes]]]:
    """Leaves and one way to batch them; no batch is empty."""
    data = draw(DATA)
    cuts = sorted(draw(st.sets(st.integers(1, len(data)), max_size=8)) | {len(data)})
    parts, start = [], 0
    for cut in cuts:
        parts.append(data[start:cut])
        start = cut
    return data, parts


@given(DATA)
def test_the_root_is_that_of_an_independent_implementation(data: list[bytes]) -> None:
    oracle = InmemoryTree(algorithm="sha256")
    for one in data:
        oracle.append_entry(one)
    assert Frontier().append(map(leaf_hash, data)).root() == oracle.get_root()


def _sealed(parts: list[list[bytes]]) -> list[LedgerEntry]:
    entries: list[LedgerEntry] = []
    first = 0
    for part in parts:
        content = BatchContent(
            first_offset=first,
            last_offset=first + len(part) - 1,
            first_received_at_us=0,
            last_received_at_us=0,
            n_events=len(part),
        )
        previous = entries[-1] if entries else None
        entries.append(seal(previous, POSITION, list(map(leaf_hash, part)), content, bytes(32)))
        first += len(part)
    return entries


@given(split())
def test_root_and_frontier_do_not_depend_on_how_leaves_are_batched(case: tuple[list[bytes], list[list[bytes]]]) -> None:
    data, parts = case
    at_once, in_parts = _sealed([data])[-1], _sealed(parts)[-1]
    assert (at_once.root, at_once.frontier, at_once.tree_size) == (in_parts.root, in_parts.frontier, in_parts.tree_size)


@given(DATA, st.data())
def test_any_changed_removed_or_moved_leaf_changes_the_root(data: list[bytes], choose: st.DataObject) -> None:
    root = Frontier().append(map(leaf_hash, data)).root()
    place = choose.draw(st.integers(0, len(data) - 1))
    changed = [*data[:place], data[place] + b"\x01", *data[place + 1 :]]
    assert Frontier().append(map(leaf_hash, changed)).root() != root
    assert Frontier().append(map(leaf_hash, data[:place] + data[place + 1 :])).root() != root
    assert Frontier().append(map(leaf_hash, [*data, b""])).root() != root
    moved = [*data[:place], *data[place + 1 :], data[place]]
    assert (Frontier().append(map(leaf_hash, moved)).root() == root) == (moved == data)


@given(split(), st.data())
def test_a_change_in_an_early_batch_changes_every_later_entry(
    case: tuple[list[bytes], list[list[bytes]]], choose: st.DataObject
) -> None:
    _, parts = case
    place = choose.draw(st.integers(0, len(parts) - 1))
    changed = [list(part) for part in parts]
    changed[place][0] += b"\x01"
    for number, (before, after) in enumerate(zip(_sealed(parts), _sealed(changed), strict=True)):
        assert (before.entry_hash == after.entry_hash) == (number < place)
