"""The live runner of scheduled detectors over a store in memory: watermark, windows, repetition, faults in gaps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.budget import LEAST_OF_ONE_DETECTOR
from detectors.scheduled import SCHEDULED
from detectors.scheduled.base import HOUR_US, ScheduledDetector
from pipeline.errors import Away, StoreRefused
from pipeline.incidents.records import WITHDRAWN
from pipeline.schedule.alert_rows import FINAL, PROVISIONAL
from pipeline.schedule.findings import RISE, window_alert_id
from pipeline.schedule.noise import NOISE
from pipeline.schedule.runner import (
    CLOCKS_DIFFER_US,
    LogEnd,
    SealedPoint,
    due_windows,
    watermark_us,
)
from tests.schedule_fakes import SLOT, TOPIC, ZONE, Store, advance, detector, runner

# -- the watermark


def test_a_partition_at_its_log_end_counts_as_now() -> None:
    ends = {0: LogEnd(5), 1: LogEnd(9)}
    sealed = {0: SealedPoint(5, 1_000), 1: SealedPoint(4, 7_000_000)}
    assert watermark_us(100_000_000, ends, sealed) == 7_000_000
    assert watermark_us(100_000_000, {0: LogEnd(5), 1: LogEnd(0)}, {0: sealed[0]}) == 100_000_000 - CLOCKS_DIFFER_US


def test_nothing_is_known_while_a_partition_that_has_records_is_not_sealed_at_all() -> None:
    assert watermark_us(100_000_000, {0: LogEnd(5), 1: LogEnd(9)}, {0: SealedPoint(5, 1)}) is None
    assert watermark_us(100_000_000, {}, {}) is None


@given(
    st.dictionaries(
        st.integers(0, 5), st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 10**9)), min_size=1
    )
)
def test_the_watermark_is_never_later_than_any_partition_is_sealed(parts: dict[int, tuple[int, int, int]]) -> None:
    now_us = 10**9
    ends = {number: LogEnd(end) for number, (end, _, _) in parts.items()}
    sealed = {number: SealedPoint(done, at) for number, (_, done, at) in parts.items()}
    mark = watermark_us(now_us, ends, sealed)
    assert mark is not None
    assert mark <= now_us - CLOCKS_DIFFER_US
    assert all(mark <= at for end, done, at in parts.values() if done < end)


# -- which windows are due


def test_a_window_is_final_only_after_its_end_and_lateness() -> None:
    one = detector()
    close_us = (SLOT + 1) * HOUR_US + 900 * 1_000_000
    before, after = (due_windows(one, close_us + shift, SLOT, {}, ZONE) for shift in (-1, 0))
    assert [(due.slot, due.stage) for due in before] == [(SLOT, PROVISIONAL), (SLOT + 1, PROVISIONAL)]
    assert [(due.slot, due.stage) for due in after] == [(SLOT, FINAL), (SLOT + 1, PROVISIONAL)]
    assert after[0].received_before_us == close_us


def test_what_was_missed_is_caught_up_in_order() -> None:
    one = detector()
    mark_us = (SLOT + 5) * HOUR_US
    missed = due_windows(one, mark_us, SLOT, {}, ZONE)
    assert [due.slot for due in missed if due.stage == FINAL] == [SLOT, SLOT + 1, SLOT + 2, SLOT + 3]


def test_an_open_window_is_asked_again_only_after_a_while_and_never_by_a_detector_that_must_wait() -> None:
    mark_us = SLOT * HOUR_US + HOUR_US // 2
    assert due_windows(detector(), mark_us, SLOT, {SLOT: mark_us - 299_000_000}, ZONE) == []
    assert len(due_windows(detector(), mark_us, SLOT, {SLOT: mark_us - 300_000_000}, ZONE)) == 1
    assert due_windows(detector(early_s=None), mark_us, SLOT, {}, ZONE) == []


@pytest.mark.parametrize("one", SCHEDULED, ids=lambda one: one.name)
@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Europe/Berlin", "America/Los_Angeles"])
def test_slots_follow_each_other_without_gap_also_where_clocks_change(one: ScheduledDetector, zone: str) -> None:
    where = ZoneInfo(zone)
    first = one.cadence.slot_of(1_772_000_000_000_000, where)
    for slot in range(first, first + 400):
        start_us, end_us = one.cadence.start_us(slot, where), one.cadence.start_us(slot + 1, where)
        assert one.cadence.slot_of(start_us, where) == slot
        assert one.cadence.slot_of(end_us - 1, where) == slot


# -- a turn


def test_a_finding_is_provisional_first_and_the_same_alert_is_final_later() -> None:
    store = Store()
    made, published = runner(store)
    store.found("first", SLOT)
    advance(store, made, 0.5)
    assert [stage for _, stage in published.told] == [PROVISIONAL]
    store.findings["first"][0]["risk"] = 9100
    advance(store, made, 1.0)
    assert [stage for _, stage in published.told] == [PROVISIONAL, FINAL]
    assert len({alert for alert, _ in published.told}) == len(store.alerts) == 1
    assert [risk for risk, *_ in store.alerts.values()] == [9100]


def test_who_asks_again_hears_of_what_came_since_the_open_slot_was_asked() -> None:
    """After an import nobody waits until the slot's turn comes round."""
    store = Store()
    made, published = runner(store)
    advance(store, made, 0.5)
    store.found("first", SLOT)
    advance(store, made, 0.001)
    assert published.told == []
    made.ask_again()
    advance(store, made, 0.001)
    assert [stage for _, stage in published.told] == [PROVISIONAL]


def test_what_the_final_result_does_not_hold_is_taken_back_and_incident_handling_hears_of_it() -> None:
    store = Store()
    made, published = runner(store)
    store.found("first", SLOT)
    advance(store, made, 0.5)
    store.findings.clear()
    advance(store, made, 1.0)
    assert [gone for *_, gone in store.alerts.values()] == [True]
    assert [stage for _, stage in published.told] == [PROVISIONAL, WITHDRAWN]


@pytest.mark.parametrize("step", ["publish withdrawn", "withdraw"])
def test_an_alert_that_is_taken_back_is_told_although_the_scheduler_was_cut_off(step: str) -> None:
    store = Store()
    made, published = runner(store)
    store.found("first", SLOT)
    advance(store, made, 0.5)
    store.findings.clear()
    store.faults[step].append(Away("cut off"))
    advance(store, made, 1.0)
    advance(store, made, 0.1)
    assert [gone for *_, gone in store.alerts.values()] == [True]
    assert (next(iter(store.alerts)), WITHDRAWN) in published.told


def test_a_key_is_silent_for_its_quiet_time_unless_its_risk_rises() -> None:
    store = Store()
    made, _ = runner(store)
    for slot, risk in ((SLOT, 7000), (SLOT + 1, 7000), (SLOT + 2, 7000 + RISE), (SLOT + 6, 7000)):
        store.found("first", slot, risk=risk)
    for _ in range(9):
        advance(store, made, 1.0)
    ends = sorted(end // HOUR_US - 1 for _, _, end, _ in store.alerts.values())
    assert ends == [SLOT, SLOT + 2, SLOT + 6]


def told_keys(store: Store, keys: Sequence[str], slot: int) -> list[str]:
    """Which of these keys have an alert about a slot that stands."""
    zone_window = detector().cadence.window(slot, ZONE)
    named = {str(window_alert_id("first", "default", one, *zone_window)): one for one in keys}
    return sorted(key for one, key in named.items() if one in store.alerts and not store.alerts[one][3])


def noisy(store: Store, slot: int, count: int) -> None:
    """So many keys, each found once in the slots before this one."""
    for number in range(count):
        store.found("first", slot - 1 - number, f"noise{number}", risk=8000)


def test_a_detector_that_finds_much_every_week_tells_only_what_is_graver_and_says_how_much_it_kept() -> None:
    store = Store()
    made, _ = runner(store)
    noisy(store, SLOT, LEAST_OF_ONE_DETECTOR)
    for key, risk in (("same", 8000), ("less", 7000), ("graver", 8001)):
        store.found("first", SLOT, key, risk=risk)
    advance(store, made, 0.5)
    assert told_keys(store, ("same", "less", "graver"), SLOT) == ["graver"]
    advance(store, made, 1.0)
    assert told_keys(store, ("same", "less", "graver"), SLOT) == ["graver"]
    (kept,) = [held for run, held in zip(store.runs, store.held, strict=True) if run[1:3] == (SLOT, FINAL)]
    assert kept == (FINAL, {NOISE: 2}, 3)


def test_up_to_its_share_a_detector_tells_all_and_a_burst_after_a_quiet_week_too() -> None:
    store = Store()
    made, _ = runner(store)
    noisy(store, SLOT, LEAST_OF_ONE_DETECTOR - 1)
    burst = [f"burst{number}" for number in range(30)]
    for key in burst:
        store.found("first", SLOT, key, risk=7000)
    advance(store, made, 0.5)
    advance(store, made, 1.0)
    assert told_keys(store, burst, SLOT) == sorted(burst)


def test_what_was_told_stays_told_when_late_events_make_noise_of_it() -> None:
    store = Store()
    made, published = runner(store)
    store.found("first", SLOT, "told", risk=8000)
    advance(store, made, 0.5)
    noisy(store, SLOT, 20)
    advance(store, made, 1.0)
    assert told_keys(store, ("told",), SLOT) == ["told"]
    assert [stage for _, stage in published.told] == [PROVISIONAL, FINAL]


def test_the_week_before_is_asked_only_where_something_new_would_be_told() -> None:
    store = Store()
    made, _ = runner(store)
    advance(store, made, 1.5)
    weeks = [slot for _, slot, *_ in store.asked if slot < SLOT]
    assert weeks == []
    store.found("first", SLOT + 1, "k")
    advance(store, made, 1.0)
    assert {slot for _, slot, *_ in store.asked if slot < SLOT} == {SLOT + 1 - 7 * 24}


@pytest.mark.parametrize("early_s", [300, None])
def test_the_first_window_ever_becomes_final_however_long_it_takes(early_s: int | None) -> None:
    store = Store()
    made, _ = runner(store, detector(early_s=early_s))
    for _ in range(40):
        advance(store, made, 0.05)
    assert next(slot for _, slot, stage, _ in store.runs if stage == FINAL) == SLOT


def test_somebody_else_has_the_lease_so_nothing_is_asked() -> None:
    store = Store()
    made, _ = runner(store)
    store.holder = "another"
    advance(store, made, 0.5)
    assert not store.asked
    assert not made.progress.holds_lease
    assert made.progress.code == ""


def test_before_any_version_set_nothing_is_asked() -> None:
    store = Store()
    made, _ = runner(store, versions=None)
    advance(store, made, 0.5)
    assert not store.asked


def test_work_items_are_kept_once_a_version_set() -> None:
    store = Store()
    made, _ = runner(store)
    for _ in range(3):
        advance(store, made, 0.5)
    assert len(store.items) == 1


def test_a_detector_that_fails_is_repeated_until_it_succeeds_and_the_others_go_on() -> None:
    store = Store()
    made, _ = runner(store, detector("first"), detector("second"))
    store.faults["ask first"] = [StoreRefused("a query cannot be run"), Away("its memory", code="store_busy")]
    for _ in range(3):
        advance(store, made, 0.1)
    results = [(name, result) for name, _, _, result in store.runs]
    assert results.count(("first", "begun")) == 1
    assert results.count(("first", "failed")) == 2
    assert results.count(("first", "done")) == 1
    assert results.count(("second", "done")) == 3
    assert made.progress.failing == {}


def test_a_failing_detector_is_visible() -> None:
    store = Store()
    made, _ = runner(store)
    store.faults["ask first"] = [StoreRefused("a query cannot be run")]
    advance(store, made, 0.1)
    assert made.progress.failing == {"first": "store_refused"}
    assert made.progress.waiting == 1
    assert made.progress.runs == {("first", "failed"): 1}


@pytest.mark.parametrize("step", ["ask first", "write", "publish", "record", "sealed"])
def test_after_a_fault_in_any_gap_the_same_alerts_stand(step: str) -> None:
    def story(faults: Callable[[Store], None]) -> tuple[Mapping[str, Any], set[tuple[str, str]], Mapping[str, int]]:
        store = Store()
        made, published = runner(store)
        store.found("first", SLOT)
        advance(store, made, 0.01)
        store.findings["first"][0]["risk"] = 9000
        faults(store)
        for _ in range(6):
            advance(store, made, 0.5)
        return store.alerts, set(published.told), store.next_slots(TOPIC)

    def fault(store: Store) -> None:
        store.faults[step] = [Away("gone"), Away("gone")]

    assert story(fault)[0] == story(lambda store: None)[0]
    assert story(fault)[2] == story(lambda store: None)[2]
    assert {alert for alert, _ in story(fault)[1]} == {alert for alert, _ in story(lambda store: None)[1]}


def test_an_open_window_is_looked_at_no_further_than_the_watermark() -> None:
    store = Store()
    made, _ = runner(store)
    advance(store, made, 0.5)
    _, slot, until, received_before = store.asked[0]
    assert slot == SLOT
    assert until == received_before < "2026-09-21 14:30:00"


# -- one runner at a time


def test_a_runner_that_lost_its_turn_during_a_query_writes_nothing_of_it() -> None:
    store = Store()
    made, published = runner(store)
    other, _ = runner(store, name="other")
    store.found("first", SLOT)

    def long_query() -> None:
        store.when_asked = lambda: None
        store.at_us += 10 * 60 * 1_000_000
        other.tick()
        store.alerts.clear()

    store.when_asked = long_query
    advance(store, made, 0.1)
    assert not store.alerts
    assert not published.told
    assert ("first", SLOT, PROVISIONAL, "failed") in store.runs
    assert not made.progress.holds_lease
    made.tick()
    assert made.progress.failing == {}
    assert made.progress.waiting == 0


def test_whoever_has_a_turn_has_the_next_lease_too() -> None:
    store = Store()
    made, _ = runner(store)
    other, _ = runner(store, name="other")
    advance(store, made, 0)
    store.at_us += 15_000_000
    other.tick()
    assert (made.progress.holds_lease, other.progress.holds_lease) == (True, False)
    store.at_us += 15_000_000
    other.tick()
    made.tick()
    assert (made.progress.holds_lease, other.progress.holds_lease) == (False, True)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40)), max_size=60))
def test_never_do_two_runners_hold_the_same_lease(turns: list[tuple[int, int]]) -> None:
    store = Store()
    made = [runner(store, name=str(number))[0] for number in range(3)]
    for number, seconds in turns:
        store.at_us += seconds * 1_000_000
        made[number].tick()
        now = store.at_us // 15_000_000
        if made[number].progress.holds_lease:
            assert store.leases[now] == store.leases[now + 1] == str(number)


def test_a_scheduler_that_is_ended_stops_after_the_run_under_way() -> None:
    store = Store()
    made, _ = runner(store, detector("first"), detector("second"), go_on=lambda: False)
    advance(store, made, 0.1)
    assert [name for name, _, _, result in store.runs if result == "done"] == ["first"]


def test_an_open_window_that_did_not_change_is_told_once_and_once_more_when_it_is_final() -> None:
    store = Store()
    made, published = runner(store)
    store.found("first", SLOT)
    for _ in range(13):
        advance(store, made, 0.1)
    assert len([run for run in store.runs if run[1] == SLOT and run[2] == PROVISIONAL]) > 3
    assert [stage for _, stage in published.told] == [PROVISIONAL, FINAL]


def test_what_a_killed_scheduler_may_not_have_told_its_successor_tells_again() -> None:
    store = Store()
    first, _ = runner(store)
    store.found("first", SLOT)
    store.faults["publish"] = [Away("gone")]
    advance(store, first, 0.1)
    successor, published = runner(store, name="successor")
    advance(store, successor, 0.1)
    assert [stage for _, stage in published.told] == [PROVISIONAL]
