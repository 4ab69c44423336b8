"""Inclusion and consistency proofs: each one holds, no other one does, and none is larger than was promised."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from pipeline.ledger.leaf import leaf_hash
from pipeline.ledger.merkle import Frontier
from pipeline.ledger.proofs import Nodes, is_consistent, is_included

MOST = 40
DATA = [str(number).encode() for number in range(MOST)]
LEAVES = [leaf_hash(one) for one in DATA]
ROOTS = [Frontier().append(LEAVES[:size]).root() for size in range(MOST + 1)]


@pytest.mark.parametrize("size", range(1, MOST + 1))
def test_every_leaf_is_shown_to_be_where_it_is_and_nowhere_else(size: int) -> None:
    nodes = Nodes(Frontier(), LEAVES[:size])
    for index in range(size):
        proof = nodes.inclusion(index, size)
        assert is_included(LEAVES[index], index, size, proof, ROOTS[size])
        assert not any(
            is_included(LEAVES[index], other, size, proof, ROOTS[size]) for other in range(size) if other != index
        )
        assert not is_included(leaf_hash(b"other"), index, size, proof, ROOTS[size])
        assert not is_included(LEAVES[index], index, size, (*proof, bytes(32)), ROOTS[size])
        assert not (proof and is_included(LEAVES[index], index, size, proof[:-1], ROOTS[size]))


@pytest.mark.parametrize("new", range(1, MOST + 1))
def test_every_earlier_tree_is_shown_to_be_the_beginning_and_no_other(new: int) -> None:
    for old in range(1, new + 1):
        proof = Nodes(Frontier().append(LEAVES[:old]), LEAVES[old:new]).consistency(old, new)
        assert proof == Nodes(Frontier(), LEAVES).consistency(old, new)
        assert is_consistent(old, ROOTS[old], new, ROOTS[new], proof)
        assert not is_consistent(old, ROOTS[new - 1] if old != new - 1 else ROOTS[0], new, ROOTS[new], proof)
        assert not is_consistent(old, ROOTS[old], new, sha256(b"fork").digest(), proof)
        assert not (proof and is_consistent(old, ROOTS[old], new, ROOTS[new], proof[1:]))
        assert not is_consistent(old, ROOTS[old], new, ROOTS[new], (*proof, bytes(32)))


@given(st.integers(1, 300), st.data())
def test_another_implementation_of_the_rfc_gives_the_same_proofs(size: int, data: st.DataObject) -> None:
    tree = InmemoryTree(algorithm="sha256")
    entries = [str(number).encode() for number in range(size)]
    for entry in entries:
        tree.append_entry(entry)
    leaves = [leaf_hash(entry) for entry in entries]
    known = data.draw(st.integers(0, size))
    nodes = Nodes(Frontier().append(leaves[:known]), leaves[known:])
    assert nodes.root(size) == tree.get_root()
    index = data.draw(st.integers(known, size)) - 1
    if index >= known:
        path = tree.prove_inclusion(index + 1, size).path
        assert list(nodes.inclusion(index, size)) == list(path)[1:]
    old = data.draw(st.integers(max(known, 1), size))
    assert is_consistent(old, tree.get_root(old), size, tree.get_root(), nodes.consistency(old, size))


@given(st.integers(1, MOST), st.integers(0, MOST), st.integers(0, 255), st.data())
def test_a_changed_hash_proves_nothing(size: int, at: int, flip: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = list(Nodes(Frontier(), LEAVES[:size]).inclusion(index, size))
    if proof:
        place = at % len(proof)
        damaged = bytearray(proof[place])
        damaged[flip % 32] ^= 1 << (flip % 8)
        proof[place] = bytes(damaged)
        assert not is_included(LEAVES[index], index, size, proof, ROOTS[size])


def test_the_empty_tree_is_the_beginning_of_every_tree() -> None:
    assert is_consistent(0, ROOTS[0], 5, ROOTS[5], ())
    assert not is_consistent(0, ROOTS[1], 5, ROOTS[5], ())
    assert is_consistent(0, ROOTS[0], 0, ROOTS[0], ())


def test_a_shorter_tree_is_no_continuation() -> None:
    proof = Nodes(Frontier(), LEAVES).consistency(3, 7)
    assert not is_consistent(7, ROOTS[7], 3, ROOTS[3], proof)
    with pytest.raises(ValueError, match="none of"):
        Nodes(Frontier(), LEAVES).consistency(7, 3)
    with pytest.raises(ValueError, match="not in a tree"):
        Nodes(Frontier(), LEAVES).inclusion(7, 7)


def test_at_a_billion_leaves_an_inclusion_proof_has_thirty_hashes() -> None:
    """By the frontier alone: the newest leaf's proof names all complete subtrees, the longest path 30 hashes."""
    size = 10**9
    before = Frontier(size - 1, tuple(sha256(str(bit).encode()).digest() for bit in range((size - 1).bit_count())))
    nodes = Nodes(before, [leaf_hash(b"newest")])
    proof = nodes.inclusion(size - 1, size)
    assert is_included(leaf_hash(b"newest"), size - 1, size, proof, nodes.root(size))
    assert 32 * 30 + 200 <= 1200, "thirty hashes and a checkpoint of 200 bytes"
    assert len(proof) <= 30
    assert len(nodes.consistency(size - 1, size)) <= 31
