"""One anchor: the newest of each tree waits until it was taken, and ages from when the anchor first lacked it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from pipeline.notary.anchoring import Anchoring
from pipeline.notary.model import SignedCheckpoint
from tests.notaries import LOG, ONE, Clock, FakeTrees, notary_over


class FakeAnchor:
    """Takes what it is given, or fails with a code for some trees; may do something meanwhile."""

    def __init__(self) -> None:
        self.taken: list[SignedCheckpoint] = []
        self.code, self.only = "", ""
        self.meanwhile: Callable[[], None] = lambda: None

    def publish(self, signed: Sequence[SignedCheckpoint]) -> Mapping[str, str]:
        failed = {one.origin: self.code for one in signed if self.code and self.only in one.origin}
        self.taken += [one for one in signed if one.origin not in failed]
        self.meanwhile()
        return failed


@pytest.fixture
def history() -> list[list[SignedCheckpoint]]:
    """The checkpoints of four rounds in which both trees grew."""
    store, found = FakeTrees(), []
    notary = notary_over(store)
    store.grow(ONE)
    store.log(LOG)
    for _ in range(4):
        found.append(list(notary.round().stored))
        store.grow(ONE)
        store.log(LOG)
    return found


def test_an_anchor_that_was_away_gets_the_newest_of_each_tree_and_ages_meanwhile(
    history: list[list[SignedCheckpoint]],
) -> None:
    anchor, clock = FakeAnchor(), Clock()
    anchoring = Anchoring("a", "webhook", anchor, clock)
    assert anchoring.standing().age_s == 0
    anchor.code = "timeout"
    for signed in history:
        anchoring.offer(signed)
        anchoring.turn()
        clock.now_s += 10
    standing = anchoring.standing()
    assert (standing.age_s, standing.code, standing.waiting, standing.anchored_s) == (40, "timeout", 2, 0)
    anchor.code = ""
    anchoring.turn()
    assert anchor.taken == history[-1]
    standing = anchoring.standing()
    assert (standing.age_s, standing.code, standing.waiting, standing.anchored_s) == (0, "", 0, clock.now_s)
    clock.now_s += 3600
    anchoring.turn()
    assert anchoring.standing().age_s == 0, "where nothing grows, nothing ages"
    assert len(anchor.taken) == 2


def test_a_tree_that_is_not_taken_keeps_no_other_waiting(history: list[list[SignedCheckpoint]]) -> None:
    anchor, clock = FakeAnchor(), Clock()
    anchor.code, anchor.only = "witness_refused", "incidents"
    anchoring = Anchoring("a", "witness", anchor, clock)
    anchoring.offer(history[0])
    anchoring.turn()
    clock.now_s += 5
    standing = anchoring.standing()
    assert (standing.waiting, standing.age_s, standing.checkpoints) == (1, 5, 1)
    assert standing.anchored_s == clock.now_s - 5


def test_what_grew_during_a_turn_waits_for_the_next_one(history: list[list[SignedCheckpoint]]) -> None:
    anchor, clock = FakeAnchor(), Clock()
    anchoring = Anchoring("a", "file", anchor, clock)
    anchoring.offer(history[0])
    clock.now_s += 100

    def meanwhile() -> None:
        clock.now_s += 7
        anchoring.offer(history[1])

    anchor.meanwhile = meanwhile
    anchoring.turn()
    anchor.meanwhile = lambda: None
    assert (anchoring.standing().waiting, anchoring.standing().age_s) == (2, 7)
    anchoring.turn()
    assert anchor.taken == history[0] + history[1]


def test_an_older_checkpoint_never_takes_the_place_of_a_newer_one(history: list[list[SignedCheckpoint]]) -> None:
    anchor = FakeAnchor()
    anchoring = Anchoring("a", "file", anchor, Clock())
    anchoring.offer(history[2])
    anchoring.offer(history[0])
    anchoring.turn()
    assert anchor.taken == history[2]
