"""Features: each rises in the case it is for, not in its look-alike; what is not judged leaves no trace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detectors.base import F32, EventArrays
from detectors.features import FEATURES, INDEX, N_FEATURES, NAMES, compute
from detectors.profile import STATE, Profiles
from pipeline.events import ACTIONS, EXPLAINED, OUTCOMES, codes
from tests.arrays import DAY_US, START_US, event_arrays

ACTION, OUTCOME, WORK = codes(ACTIONS), codes(OUTCOMES), codes(EXPLAINED)
MINUTE_US = 60_000_000
OPEN = {"explained": WORK["not_yet_explained"]}


def days(count: int, a_day: int = 10) -> list[int]:
    """Event times: `a_day` events, a minute apart, on each of `count` days."""
    return [START_US + day * DAY_US + turn * MINUTE_US for day in range(count) for turn in range(a_day)]


def run(profiles: Profiles, events: EventArrays) -> F32:
    profiles.begin()
    features, _, _ = compute(events, profiles)
    profiles.commit()
    return features


def after_a_month(feature: str, count: int = 1, **fields: Any) -> float:
    """The feature of the last of `count` events on the day after 30 quiet days of 10 events."""
    profiles = Profiles()
    run(profiles, event_arrays(300, time_us=days(30)))
    start = START_US + 30 * DAY_US
    fields.setdefault("time_us", start + np.arange(count) * MINUTE_US)
    fields.setdefault("subject_lists", [[500_000 + index] for index in range(count)])
    return float(run(profiles, event_arrays(count, **fields))[-1, INDEX[feature]])


# feature, its obvious case, the look-alike that stays below: fields of the events of the day after a quiet month
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("hour_rarity", {"local_hour": 3}, {"local_hour": 10}),
    ("gap_days", {"time_us": [START_US + 90 * DAY_US]}, {"time_us": [START_US + 31 * DAY_US]}),
    ("records", {"records": 5000}, {"records": 5000, "outcome": OUTCOME["denied"]}),
    ("records_own", {"records": 200}, {"records": 1}),
    ("bytes", {"bytes_out": 10**9}, {"bytes_out": 10**9, "outcome": OUTCOME["error"]}),
    ("events_10m", {"count": 60, "time_us": START_US + 30 * DAY_US + np.arange(60) * 1_000_000}, {"count": 60}),
    ("subjects_1h", {"count": 50}, {"count": 50, "subject_lists": [[7]] * 50}),
    ("subjects_day", {"count": 200}, {"count": 200, "subject_lists": [[index % 5] for index in range(200)]}),
    ("subjects_day_own", {"count": 80}, {"count": 10}),
    ("exposure_day", {"count": 40, "sensitivity": 4}, {"count": 40, "sensitivity": 1}),
    ("records_day", {"count": 40, "records": 50}, {"count": 40}),
    ("records_day_own", {"count": 40, "records": 50}, {"count": 10}),
    ("exported_day", {"action": ACTION["export"], "records": 900}, {"action": ACTION["list"], "records": 900}),
    ("unmasked_day", {"count": 30, "unmasked": 1}, {"count": 30}),
    ("unmasked_day_own", {"count": 30, "unmasked": 1}, {"count": 30}),
    ("unexplained_day", {"count": 30, "sensitivity": 3, **OPEN}, {"count": 30, "sensitivity": 3}),
    ("new_network", {"ip_prefix": 99}, {}),
    ("new_device", {"device": 99}, {"device": 0}),
    ("new_country", {"country": 99}, {}),
    ("new_agent", {"user_agent": 99}, {}),
    ("rare_resource", {"resource_type": 99}, {}),
    ("rare_action", {"action": ACTION["decrypt"]}, {}),
    ("travel", {"latitude": 50.1, "longitude": 8.7, "time_us": [days(30)[-1] + 30 * MINUTE_US]}, {"latitude": 31.9}),
    ("denied_10m", {"count": 12, "outcome": OUTCOME["denied"]}, {"count": 12}),
    ("repeat_subject", {"count": 9, "subject_lists": [[7]] * 9, **OPEN}, {"count": 9, "subject_lists": [[7]] * 9}),
    ("vip_day", {"count": 9, "vip_subjects": 1, **OPEN}, {"count": 9, "vip_subjects": 1}),
    ("sequence", {"count": 30, "sequence": range(800, 830)}, {"count": 30, "sequence": [900, 17, 450] * 10}),
    ("device_turns", {"count": 10, "device": [31, 32] * 5}, {"count": 10, "device": [31] * 5 + [32] * 5}),
    ("off_region", {"count": 20, "off_region": 1}, {"count": 20}),
    ("external_day", {"external": 1, "records": 700}, {"records": 700}),
]  # fmt: skip


@pytest.mark.parametrize(("feature", "case", "lookalike"), CASES, ids=[case[0] for case in CASES])
def test_the_obvious_case_raises_the_feature(feature: str, case: dict[str, Any], lookalike: dict[str, Any]) -> None:
    raised, quiet = after_a_month(feature, **case), after_a_month(feature, **lookalike)
    assert raised > quiet + 0.25
    assert raised > 1.2 * quiet


@pytest.mark.parametrize("records", [1, 2, 5, 7, 50])
def test_an_account_whose_days_are_all_alike_is_held_to_them(records: int) -> None:
    """Its variance is 0, never a hair below: a service that does the same every day is measured as anybody else is."""
    profiles, start = Profiles(), START_US + 30 * DAY_US
    run(profiles, event_arrays(30, time_us=days(30, 1), records=records, **OPEN))
    assert (profiles.state[0]["day_var"] >= 0).all()
    assert (profiles.state[0]["size_var"] >= 0).all()
    burst = run(profiles, event_arrays(60, time_us=start + np.arange(60) * MINUTE_US, records=9 * records, **OPEN))
    for feature in ("records_own", "records_day_own", "subjects_day_own", "subjects_1h_own"):
        assert burst[-1, INDEX[feature]] > 2.0, feature


@pytest.mark.parametrize("feature", ["records_week", "subjects_week"])
def test_a_slow_rise_over_a_week_is_seen(feature: str) -> None:
    calm = days(28)
    slow = [START_US + (28 + day) * DAY_US + turn * MINUTE_US for day in range(7) for turn in range(40)]
    profiles = Profiles()
    flat = run(profiles, event_arrays(280, time_us=calm))[-1, INDEX[feature]]
    risen = run(profiles, event_arrays(280, time_us=slow, subject_lists=[[index] for index in range(280)]))
    assert flat < 0.1
    assert risen[-1, INDEX[feature]] > 1.0


@pytest.mark.parametrize("records", range(1, 12))
def test_an_account_that_did_the_same_every_day_is_measured_against_itself(records: int) -> None:
    """Deviations that round to less than nothing would be no number, and the account's own features 0 for good."""
    profiles = Profiles()
    quiet = {"records": records, **OPEN}
    run(profiles, event_arrays(200, time_us=days(20), subject_lists=[[row % 10] for row in range(200)], **quiet))
    assert (profiles.state[0]["day_var"] >= 0).all()
    assert (profiles.state[0]["size_var"] >= 0).all()
    burst = event_arrays(90, time_us=START_US + 20 * DAY_US + np.arange(90) * 1_000_000, **{**quiet, "records": 500})
    features = run(profiles, burst)
    assert features[0, INDEX["records_own"]] > 3
    assert (features[-1, [INDEX[name] for name in ("subjects_day_own", "records_day_own")]] > 3).all()


def test_every_feature_has_its_case_here() -> None:
    assert {case[0] for case in CASES} | {"records_week", "subjects_week"} == set(NAMES)
    assert all(feature.title_en.isascii() and not feature.title_zh.isascii() for feature in FEATURES)


def test_customers_who_read_their_own_record_are_no_repeat_lookers() -> None:
    fields: dict[str, Any] = {"count": 9, "subject_lists": [[7]] * 9, **OPEN}
    assert after_a_month("repeat_subject", own_subject=1, **fields) == 0


def test_an_event_from_before_midnight_does_not_wipe_the_day_that_ended() -> None:
    """Two servers' clocks, or somebody who back-dates one event a night to stay below the weekly features."""
    before = START_US + 40 * DAY_US - 10 * MINUTE_US
    times = [before, before + 11 * MINUTE_US, before + 8 * MINUTE_US]
    day = int(event_arrays(1, time_us=[before]).local_day[0])
    events = event_arrays(3, time_us=times, records=[5000, 1, 1], local_day=[day, day + 1, day])
    profiles = Profiles()
    run(profiles, event_arrays(1, time_us=[START_US]))
    run(profiles, events)
    ring = profiles.state["ring_records"][0]
    assert (ring[day % len(ring)], ring[(day + 1) % len(ring)]) == (5000, 2)


def test_repeat_looks_are_forgotten_after_a_week() -> None:
    profiles = Profiles()
    times = [START_US + day * DAY_US for day in (0, 1, 2, 12)]
    features = run(profiles, event_arrays(4, time_us=times, subject_lists=[[7]] * 4, **OPEN))
    assert np.expm1(features[:, INDEX["repeat_subject"]]) == pytest.approx([1, 2, 3, 1], rel=1e-5)


@pytest.mark.parametrize("true", [1, 10, 100, 1000, 3000])
def test_distinct_customers_are_estimated_within_a_twentieth(true: int) -> None:
    tokens = np.random.default_rng(true).integers(1, 2**63, true).tolist()  # halves of keyed tokens: any 64 bits
    repeated = [[tokens[index % true]] for index in range(2 * true)]
    times = START_US + np.arange(2 * true) * 1000
    features = run(Profiles(), event_arrays(2 * true, time_us=times, subject_lists=repeated))
    counted = float(np.expm1(features[-1, INDEX["subjects_day"]]))
    assert counted == pytest.approx(true, rel=0.05, abs=0.1)


def test_a_count_beyond_the_listed_customers_still_counts() -> None:
    features = run(Profiles(), whole_list(5000))
    assert np.expm1(features[0, INDEX["subjects_day"]]) == pytest.approx(4999, rel=0.01)


def whole_list(count: int) -> EventArrays:
    events = event_arrays(1)
    events.subject_count[:] = count
    return events


def test_what_is_not_scorable_neither_scores_nor_learns() -> None:
    with_noise, without = Profiles(), Profiles()
    loud = {"records": 10**6, "device": 77, "local_hour": 3, "scorable": 0, "sequence": 9}
    run(without, event_arrays(50))
    run(with_noise, event_arrays(50))
    silent = run(with_noise, event_arrays(5, time_us=START_US + 3000 * MINUTE_US + np.arange(5), **loud))
    assert not silent.any()
    key = event_arrays(1).actor_keys
    assert with_noise.export(key) == without.export(key)


def test_a_silent_row_between_others_changes_nothing_of_theirs() -> None:
    lists = [[1], [2], [3, 4], [5]]
    mixed = run(Profiles(), event_arrays(4, scorable=[1, 0, 1, 1], subject_lists=lists))
    kept = [0, 2, 3]
    times = START_US + np.array(kept) * MINUTE_US
    alone = run(Profiles(), event_arrays(3, time_us=times, subject_lists=[lists[row] for row in kept]))
    assert mixed[kept].tobytes() == alone.tobytes()


def test_a_late_event_is_judged_and_moves_nothing() -> None:
    profiles, key = Profiles(), event_arrays(1).actor_keys
    run(profiles, event_arrays(300, time_us=days(30)))
    before = profiles.export(key)
    late = {"records": 9000, "device": 99, "sequence": 5, "subject_lists": [[1], [2]], "latitude": -30.0}
    features = run(profiles, event_arrays(2, time_us=[days(30)[-1] - 11 * MINUTE_US, START_US], **late))
    assert profiles.export(key) == before
    assert (features[:, INDEX["records"]] > 9).all()
    assert (features[:, INDEX["new_device"]] > 0.5).all()


def test_an_event_less_than_ten_minutes_late_counts() -> None:
    profiles, key = Profiles(), event_arrays(1).actor_keys
    run(profiles, event_arrays(10))
    before = profiles.export(key)
    run(profiles, event_arrays(1, time_us=[START_US]))
    assert profiles.export(key) != before


def test_rollback_brings_every_byte_back_and_forgets_new_actors() -> None:
    profiles = Profiles()
    old = event_arrays(30, actors=np.arange(30) % 3)
    run(profiles, old)
    keys, whole = sorted(set(old.actor_keys)), len(profiles)
    before = profiles.export(keys)
    profiles.begin()
    compute(event_arrays(500, actors=np.arange(500) % 200, time_us=START_US + DAY_US + np.arange(500)), profiles)
    assert len(profiles) == 200
    assert profiles.export(keys) != before
    profiles.rollback()
    assert len(profiles) == whole == 3
    assert profiles.export(keys) == before
    assert not profiles.state[whole:].tobytes().strip(b"\0")


def test_after_a_rollback_the_same_batch_gives_the_same_as_the_first_time() -> None:
    profiles, batch = Profiles(), event_arrays(60, actors=np.arange(60) % 7)
    profiles.begin()
    first, _, _ = compute(batch, profiles)
    profiles.rollback()
    profiles.begin()
    again, _, _ = compute(batch, profiles)
    profiles.commit()
    assert first.tobytes() == again.tobytes()


def test_a_batch_that_was_never_committed_is_undone_by_the_next() -> None:
    profiles, batch = Profiles(), event_arrays(20)
    profiles.begin()
    first, _, _ = compute(batch, profiles)
    assert first.tobytes() == run(profiles, batch).tobytes()


def test_only_committed_changes_are_dirty() -> None:
    profiles = Profiles()
    run(profiles, event_arrays(2, actors=[4, 2]))
    assert profiles.dirty() == event_arrays(2, actors=[4, 2]).actor_keys
    profiles.clear_dirty()
    profiles.begin()
    compute(event_arrays(1, actors=2), profiles)
    profiles.rollback()
    assert profiles.dirty() == []


def test_exported_records_go_on_as_if_nothing_had_happened() -> None:
    first, second = Profiles(), Profiles()
    batch = event_arrays(90, actors=np.arange(90) % 70)
    run(first, batch)
    keys = sorted(set(batch.actor_keys))
    second.restore(keys, first.export(keys))
    later = event_arrays(90, actors=np.arange(90) % 70, time_us=START_US + DAY_US + np.arange(90) * MINUTE_US)
    assert run(first, later).tobytes() == run(second, later).tobytes()
    assert first.export(keys) == second.export(keys)


def test_a_record_is_at_most_four_kibibytes() -> None:
    profiles = Profiles()
    run(profiles, event_arrays(2000, device=range(1, 2001), ip_prefix=range(1, 2001), resource_type=range(1, 2001)))
    (record,) = profiles.export(event_arrays(1).actor_keys)
    assert len(record) == STATE.itemsize <= 4096


@pytest.mark.parametrize(
    "fields",
    [
        {"records": 2**63 - 1, "bytes_out": 2**63 - 1},
        {"records": 0, "bytes_out": 0},
        {"time_us": [0, 2**60, 1, 2**61, 5], "local_day": [-(2**31), 2**31 - 1, 0, 5, 7]},
        {"latitude": 90.0, "longitude": [-180.0, 180.0, 0.0, 179.9, -179.9]},
        {"local_hour": 23, "day_kind": 0, "action": 0, "outcome": 0, "explained": 0},
        {"sequence": [2**32 - 1, 1, 2, 2**32 - 1, 1], "vip_subjects": 65535, "external": 1},
    ],
    ids=["largest", "smallest", "times", "poles", "absent", "wrap"],
)
def test_extreme_values_give_finite_features(fields: dict[str, Any]) -> None:
    features = run(Profiles(), event_arrays(5, **fields))
    assert features.shape == (5, N_FEATURES)
    assert np.isfinite(features).all()
