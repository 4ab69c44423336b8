"""Retention beside the scheduled detectors: its fault stops none of them, and whoever stands by runs nothing."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.cli import scheduler
from pipeline.errors import Away, StoreRefused
from pipeline.schedule.runner import Versions
from tests.schedule_fakes import VERSIONS, Store, advance, runner


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


def test_a_scheduler_that_runs_once_ends_only_after_its_retention(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def ran(*_: object, **__: object) -> list[Any]:
        threads.append(threading.current_thread())
        raise Away("another run is under way", code="retention_runs")

    monkeypatch.setattr(scheduler, "run_retention", ran)
    settings: Any = SimpleNamespace(retention=SimpleNamespace(nightly=True, nightly_hour=0))
    nights = scheduler.retention_nights(settings, once=True)
    assert nights is not None
    with pytest.raises(Away):
        nights.turn(0, VERSIONS)
    assert threads == [threading.current_thread()]
