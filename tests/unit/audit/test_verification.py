"""A verification as it is told afterwards: its verdict, its sums, and how old it may be."""

from __future__ import annotations

from pipeline.audit.verification import (
    DIFFERS,
    INTACT,
    MISSING,
    MOST_TREES,
    OLD_AFTER_US,
    Verifications,
    run_of,
    unjudged,
)
from pipeline.events import LogPosition
from pipeline.ledger.checkpoint import TreeName
from pipeline.ledger.verify import Report, TreeCounts

FACTS = {"began_us": 10, "ended_us": 20, "by": "wu.ling", "hashed_by": "here", "keys": ["ops+1"], "kept": 2}


def _report(*codes: str) -> Report:
    found = Report()
    for code in codes:
        found.findings.add(code, "a tree", "what is wrong", 7)
    found.trees = [(TreeName("bank", LogPosition("access.events", "life", 0)), TreeCounts(leaves=9, events=8, gaps=1))]
    return found


def test_the_verdict_is_that_of_the_checks() -> None:
    for codes, verdict in (((), INTACT), (("gap",), MISSING), (("gap", "entry_root"), DIFFERS)):
        assert run_of(_report(*codes), **FACTS).verdict == verdict  # type: ignore[arg-type]


def test_changes_and_what_is_missing_are_counted_apart_and_told_with_their_place() -> None:
    run = run_of(_report("gap", "gap", "entry_root"), **FACTS)  # type: ignore[arg-type]
    assert (run.changed, run.missing, run.total("leaves"), run.tree_count) == (1, 2, 9, 1)
    assert [(one.check, one.code, one.offset) for one in run.differences] == [
        (13, "gap", 7), (13, "gap", 7), (7, "entry_root", 7),
    ]  # fmt: skip


def test_a_run_stays_small_however_many_trees_there_are() -> None:
    many = _report(*["entry_root"] * 5_000)
    many.trees *= 3_000
    run = run_of(many, **FACTS)  # type: ignore[arg-type]
    assert (len(run.trees), run.tree_count) == (MOST_TREES, 3_000)
    assert len(run.differences) == 100
    assert run.counts == {"entry_root": 5_000}


def test_a_run_without_an_end_hides_no_verdict_before_it() -> None:
    judged = run_of(_report("entry_root"), **FACTS)  # type: ignore[arg-type]
    failed = unjudged("store_away", **{**FACTS, "began_us": 30})  # type: ignore[arg-type]
    found = Verifications([failed, judged])
    assert found.judged is judged
    assert not found.is_old_at(10 + OLD_AFTER_US)
    assert found.is_old_at(11 + OLD_AFTER_US)
    assert not Verifications([failed]).is_old_at(2**60)
