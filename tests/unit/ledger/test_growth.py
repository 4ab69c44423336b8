"""The proof made of leaves that pass by is the one made of all nodes, and shows what it should, for any two sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ledger import growth
from pipeline.ledger.growth import consistency
from pipeline.ledger.leaf import leaf_hash
from pipeline.ledger.merkle import Frontier
from pipeline.ledger.proofs import Nodes, is_consistent

LEAVES = [leaf_hash(bytes([number & 255, number >> 8])) for number in range(300)]


@given(st.integers(1, 300), st.integers(1, 300))
def test_it_is_the_proof_of_all_nodes(one: int, other: int) -> None:
    old, new = sorted((one, other))
    before = Frontier().append(LEAVES[:old])
    proof, after = consistency(before, new, LEAVES[old:new])
    assert proof == Nodes(Frontier(), LEAVES[:new]).consistency(old, new)
    assert after == Frontier().append(LEAVES[:new])
    assert is_consistent(old, before.root(), new, after.root(), proof)


def test_leaves_are_taken_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "_CHUNK", 7)
    proof, _ = consistency(Frontier().append(LEAVES[:33]), 300, iter(LEAVES[33:]))
    assert proof == Nodes(Frontier(), LEAVES).consistency(33, 300)


@pytest.mark.parametrize("leaves", [LEAVES[10:19], LEAVES[10:21]])
def test_other_leaves_than_the_sizes_say_are_refused(leaves: list[bytes]) -> None:
    with pytest.raises(ValueError, match="leaves than the tree"):
        consistency(Frontier().append(LEAVES[:10]), 20, leaves)


@pytest.mark.parametrize(("old", "new"), [(0, 5), (6, 5)])
def test_nothing_is_proved_of_sizes_that_do_not_follow(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="none of"):
        consistency(Frontier().append(LEAVES[:old]), new, [])
