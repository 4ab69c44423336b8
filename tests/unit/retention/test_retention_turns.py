"""Retention beside the scheduled detectors: its fault stops none of them, and whoever stands by runs nothing."""

from __future__ import annotations

from pipeline.errors import StoreRefused
from pipeline.schedule.runner import Versions
from tests.unit.test_schedule_runner import Store, advance, runner


def test_retention_that_fails_is_told_beside_the_detectors_which_go_on() -> None:
    store, asked, faults = Store(), list[int](), [StoreRefused("a tree does not verify", code="not_verified")]

    def retention(mark_us: int, versions: Versions) -> None:
        asked.append(mark_us)
        if faults:
            raise faults.pop()

    made, _ = runner(store, retention=retention)
    advance(store, made, 2)
    assert made.progress.failing == {"retention": "not_verified"}
    assert made.progress.code == ""
    runs = len(store.runs)
    advance(store, made, 2)
    assert made.progress.failing == {}
    assert len(store.runs) > runs
    assert len(asked) == 2


def test_a_scheduler_that_stands_by_runs_no_retention() -> None:
    store, asked = Store(), list[int]()
    store.holder = "another"
    made, _ = runner(store, retention=lambda mark_us, versions: asked.append(mark_us))
    advance(store, made, 2)
    assert asked == []
