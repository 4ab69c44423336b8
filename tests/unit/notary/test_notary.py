"""The notary signs what grew and nothing that contradicts what it signed: each refusal by its code, others go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pipeline.errors import Away, ConfigError
from pipeline.ledger.append import entry_hash
from pipeline.ledger.checkpoint import Checkpoint, TreeName, open_checkpoint
from pipeline.ledger.merkle import Frontier
from pipeline.ledger.signed_note import PrivateKey
from pipeline.notary import notary as module
from pipeline.notary.model import Leaf, SignedCheckpoint
from tests.notaries import KEY, LOG, ONE, OTHER, Clock, FakeTrees, Keys, leaf_of, notary_over

NAME, OTHER_NAME, LOG_NAME = (str(TreeName("accesstrail", one)) for one in (ONE, OTHER, LOG))

SECOND_LOG = replace(LOG, partition=1)


@pytest.fixture
def store() -> FakeTrees:
    made = FakeTrees()
    for position in (ONE, OTHER):
        for _ in range(3):
            made.grow(position)
    made.log(LOG, 5)
    return made


def signed_sizes(rows: list[SignedCheckpoint]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for one in rows:
        found.setdefault(one.origin, []).append(one.checkpoint.size)
    return found


def test_every_tree_is_signed_once_and_again_when_it_grows(store: FakeTrees) -> None:
    notary = notary_over(store)
    notary.round()
    notary.round()
    assert signed_sizes(store.rows) == {NAME: [9], OTHER_NAME: [9], LOG_NAME: [5]}
    entry = store.grow(ONE, 4)
    store.log(LOG)
    found = notary.round()
    assert [(one.origin, one.checkpoint.size) for one in found.stored] == [(NAME, 13), (LOG_NAME, 7)]
    assert not found.refused
    for one in store.rows:
        checkpoint, signers = open_checkpoint(one.note, [KEY.public])
        assert (checkpoint, signers) == (one.checkpoint, (KEY.public,))
        assert Frontier(checkpoint.size, one.frontier).root() == checkpoint.root
    newest = next(one for one in found.stored if one.origin == NAME)
    assert (newest.checkpoint.root, newest.last_offset) == (entry.root, entry.last_offset)
    leaves = Frontier().append(leaf.hash for leaf in store.incidents[LOG])
    assert found.stored[1].checkpoint.root == leaves.root()


def test_a_restarted_notary_goes_on_where_it_was(store: FakeTrees) -> None:
    notary_over(store).round()
    again = notary_over(store)
    assert again.round().stored == ()
    store.grow(ONE)
    store.log(LOG)
    assert signed_sizes(list(again.round().stored)) == {NAME: [12], LOG_NAME: [7]}


def test_two_notaries_at_once_sign_the_same(store: FakeTrees) -> None:
    one, other = notary_over(store), notary_over(store)
    for _ in range(3):
        one.round()
        other.round()
        store.grow(ONE)
        store.log(LOG)
    notes: dict[tuple[str, int], set[bytes]] = {}
    for row in store.rows:
        notes.setdefault((row.origin, row.checkpoint.size), set()).add(row.note)
    assert all(len(found) == 1 for found in notes.values())
    assert not notary_over(store).round().refused


def _cut(store: FakeTrees) -> None:
    del store.entries[ONE, 0][-1]


def _cut_all(store: FakeTrees) -> None:
    store.entries[ONE, 0].clear()


def _changed_root(store: FakeTrees) -> None:
    store.entries[ONE, 0][-1] = replace(store.entries[ONE, 0][-1], root=b"r" * 32)


def _other_history(store: FakeTrees) -> None:
    store.entries[ONE, 0].clear()
    for _ in range(4):
        store.grow(ONE, salt="other")


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_cut, "tree_shortened"),
        (_cut_all, "tree_shortened"),
        (_changed_root, "tree_changed"),
        (_other_history, "tree_changed"),
    ],
)
def test_a_tree_that_was_cut_or_changed_is_refused_and_the_others_go_on(
    store: FakeTrees, change: Callable[[FakeTrees], None], code: str, restart: bool
) -> None:
    clock = Clock()
    notary = notary_over(store, clock)
    notary.round()
    change(store)
    store.grow(OTHER)
    store.log(LOG)
    if restart:
        notary = notary_over(store, clock)
    clock.now_s += 10
    found = notary.round()
    assert dict(found.refused) == {NAME: code}
    assert signed_sizes(list(found.stored)) == {OTHER_NAME: [12], LOG_NAME: [7]}
    clock.now_s += 100
    assert dict(notary.round().refused) == {NAME: code}
    assert signed_sizes(store.rows)[NAME] == [9]


def test_a_tree_is_signed_again_when_what_was_signed_is_there_again(store: FakeTrees) -> None:
    clock = Clock()
    notary = notary_over(store, clock)
    notary.round()
    lost = store.entries[ONE, 0].pop()
    assert notary.round().refused
    store.entries[ONE, 0].append(lost)
    store.grow(ONE)
    assert notary.round().refused, "it is not looked at at once"
    clock.now_s += 31
    found = notary.round()
    assert not found.refused
    assert signed_sizes(list(found.stored)) == {NAME: [12]}


def _edit(**values: object) -> Callable[[FakeTrees], None]:
    def change(store: FakeTrees) -> None:
        entry = replace(store.entries[ONE, 0][-1], **values)  # type: ignore[arg-type]
        store.entries[ONE, 0][-1] = replace(entry, entry_hash=entry_hash(entry))

    return change


@pytest.mark.parametrize(
    "change",
    [
        _edit(previous_hash=b"p" * 32),
        _edit(first_offset=10),
        _edit(tree_size_before=8),
        _edit(root=b"r" * 32),
        _edit(frontier=(b"f" * 32, b"g" * 32)),
        _edit(last_offset=8),
        lambda store: store.entries[ONE, 0].append(replace(store.grow(ONE), n_alerts=7)),
    ],
)
def test_an_entry_that_does_not_follow_is_never_signed(store: FakeTrees, change: Callable[[FakeTrees], None]) -> None:
    """Its own hash is right where it was edited: what it says does not follow from the entry before."""
    notary = notary_over(store)
    notary.round()
    store.grow(ONE)
    change(store)
    found = notary.round()
    assert dict(found.refused) == {NAME: "tree_changed"}
    assert signed_sizes(store.rows)[NAME] == [9]


def test_an_entry_whose_frontier_forgets_what_was_there_is_never_signed(store: FakeTrees) -> None:
    """Hash, chain and root all fit: only the subtrees that both trees share tell that leaves were exchanged."""
    notary = notary_over(store)
    notary.round()
    entry = store.grow(ONE, 2)
    other = Frontier().append(leaf_of("other", number) for number in range(entry.tree_size))
    _edit(root=other.root(), frontier=other.hashes)(store)
    assert dict(notary.round().refused) == {NAME: "tree_changed"}


@pytest.mark.parametrize("restart", [False, True])
def test_a_log_of_incidents_that_was_cut_or_changed_is_refused(store: FakeTrees, restart: bool) -> None:
    clock = Clock()
    notary = notary_over(store, clock)
    notary.round()
    kept = list(store.incidents[LOG])
    for rows, code in (
        (kept[:-1], "tree_shortened"),
        ([*kept[:-1], Leaf(LOG, kept[-1].offset, b"x" * 32)], "tree_changed"),
    ):
        store.incidents[LOG] = rows
        notary = notary_over(store, clock) if restart else notary
        found = notary.round()
        assert dict(found.refused) == {LOG_NAME: code}
        assert not found.stored
        store.incidents[LOG] = kept
        clock.now_s += 31
        assert not notary.round().refused


def test_an_early_row_of_incidents_that_changed_is_found_at_the_next_start(store: FakeTrees) -> None:
    notary_over(store).round()
    store.incidents[LOG][0] = Leaf(LOG, store.incidents[LOG][0].offset, b"x" * 32)
    store.log(LOG)
    found = notary_over(store).round()
    assert dict(found.refused) == {LOG_NAME: "tree_changed"}


# -- what was signed before


def test_a_store_that_forgot_its_checkpoints_is_told_by_the_anchor(store: FakeTrees) -> None:
    """Cut with all traces in the store: only what lies outside knows."""
    notary_over(store).round()
    anchored = [one.note for one in store.rows]
    store.rows.clear()
    _cut(store)
    assert signed_sizes(list(notary_over(store).round().stored))[NAME] == [6], "without an anchor nobody knows"
    store.rows.clear()
    found = notary_over(store, anchored=anchored).round()
    assert dict(found.refused) == {NAME: "tree_shortened"}


def test_a_tree_that_is_gone_as_a_whole_is_refused(store: FakeTrees) -> None:
    notary_over(store).round()
    del store.entries[ONE, 0]
    assert dict(notary_over(store).round().refused) == {NAME: "tree_shortened"}


def test_two_signed_roots_of_one_size_are_a_fork_for_ever(store: FakeTrees) -> None:
    notary_over(store).round()
    other = Checkpoint(TreeName("accesstrail", ONE), 9, b"o" * 32).signed([KEY])
    clock = Clock()
    notary = notary_over(store, clock, anchored=[other])
    store.grow(ONE)
    for _ in range(3):
        clock.now_s += 60
        assert dict(notary.round().refused) == {NAME: "checkpoint_fork"}
    assert signed_sizes(store.rows)[NAME] == [9]


def test_what_nobody_known_signed_is_passed_over_and_said(store: FakeTrees) -> None:
    stranger = PrivateKey("accesstrail", bytes(32))
    forged = Checkpoint(TreeName("accesstrail", ONE), 900, b"o" * 32).signed([stranger])
    notary = notary_over(store, anchored=[forged, b"no note at all"])
    assert notary.forged == 2
    assert notary.problems == ["checkpoint_forged"]
    assert not notary.round().refused
    assert not notary_over(store).problems


def test_checkpoints_of_another_deployment_mean_nothing_here(store: FakeTrees) -> None:
    other = Checkpoint(TreeName("elsewhere", ONE), 900, b"o" * 32).signed([KEY])
    assert not notary_over(store, anchored=[other]).round().refused


# -- trouble


def test_what_could_not_be_stored_is_stored_later_and_handed_on_then(store: FakeTrees) -> None:
    notary = notary_over(store)
    store.faults.append(Away("busy", code="store_busy"))
    with pytest.raises(Away):
        notary.round()
    assert not store.rows
    found = notary.round()
    assert signed_sizes(list(found.stored)) == {NAME: [9], OTHER_NAME: [9], LOG_NAME: [5]}
    assert list(found.stored) == store.rows


def test_without_a_key_nothing_is_lost(store: FakeTrees) -> None:
    keys = Keys()
    notary = notary_over(store, keys=keys)
    broken = True

    def key() -> PrivateKey:
        if broken:
            raise ConfigError(["no key"])
        return keys.key

    notary._settings = replace(notary._settings, key=key)
    with pytest.raises(ConfigError):
        notary.round()
    broken = False
    assert len(notary.round().stored) == 3


def test_a_new_key_signs_from_the_next_round_on_and_the_old_one_stays_known(store: FakeTrees) -> None:
    keys = Keys()
    notary = notary_over(store, keys=keys)
    notary.round()
    keys.rotate()
    store.grow(ONE)
    [newest] = notary.round().stored
    assert open_checkpoint(newest.note, keys.known)[1] == (keys.key.public,)
    assert notary_over(store, keys=keys).problems == []


def test_a_long_history_is_read_in_pages_and_no_tree_is_taken_for_cut(
    store: FakeTrees, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(7):
        store.grow(ONE)
        store.grow(OTHER)
        store.log(LOG, 3)
    store.log(SECOND_LOG, 4)
    monkeypatch.setattr(module, "_ENTRIES", 4)
    monkeypatch.setattr(module, "_LEAVES", 5)
    notary = notary_over(store)
    rounds = 0
    while (found := notary.round()).goes_on or found.stored:
        assert not found.refused
        rounds += 1
        assert rounds < 50
    sizes = signed_sizes(store.rows)
    assert {name: found[-1] for name, found in sizes.items() if name != LOG_NAME} == {
        NAME: 30, OTHER_NAME: 30, str(TreeName("accesstrail", SECOND_LOG)): 4,
    }  # fmt: skip
    assert sizes[LOG_NAME][-1] == 26
    assert not notary_over(store).round().refused


def test_trees_of_an_epoch_and_of_another_life_are_trees_of_their_own(store: FakeTrees) -> None:
    store.grow(ONE, epoch=1)
    found = notary_over(store).round()
    assert signed_sizes(list(found.stored))[f"{NAME[:-1]}1"] == [3]
