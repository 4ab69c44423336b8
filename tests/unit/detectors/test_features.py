"""Features: each rises in the case it is for, not in its look-alike; what is not judged leaves no trace."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

from detectors.base import F32, EventArrays
from detectors.features import FEATURES, INDEX, KINDS, N_FEATURES, NAMES, Feature, compute
from detectors.profile import STATE, Profiles
from pipeline.events import ACTIONS, CHANNELS, EXPLAINED, OUTCOMES, codes
from tests.arrays import DAY_US, START_US, event_arrays

ACTION, CHANNEL, OUTCOME, WORK = codes(ACTIONS), codes(CHANNELS), codes(OUTCOMES), codes(EXPLAINED)
MINUTE_US = 60_000_000
OPEN, DONE_FOR_WORK = {"explained": WORK["not_yet_explained"]}, {"explained": WORK["explained"]}


def days(count: int, a_day: int = 10) -> list[int]:
    """Event times: `a_day` events, a minute apart, on each of `count` days."""
    return [START_US + day * DAY_US + turn * MINUTE_US for day in range(count) for turn in range(a_day)]


def run(profiles: Profiles, events: EventArrays) -> F32:
    profiles.begin()
    features, _, _ = compute(events, profiles)
    profiles.commit()
    return features


def after_a_month(feature: str, count: int = 1, **fields: Any) -> float:
    """The feature of the last of `count` open events on the day after 30 quiet days of 10 of them."""
    profiles = Profiles()
    run(profiles, event_arrays(300, time_us=days(30), **OPEN))
    fields = OPEN | fields
    start = START_US + 30 * DAY_US
    fields.setdefault("time_us", start + np.arange(count) * MINUTE_US)
    fields.setdefault("subject_lists", [[500_000 + index] for index in range(count)])
    return float(run(profiles, event_arrays(count, **fields))[-1, INDEX[feature]])


# feature, its obvious case, the look-alike that stays below: fields of the events of the day after a quiet month
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("hour_rarity", {"local_hour": 3}, {"local_hour": 10}),
    ("gap_days", {"time_us": [START_US + 90 * DAY_US]}, {"time_us": [START_US + 31 * DAY_US]}),
    ("records", {"records": 5000}, {"records": 5000, "outcome": OUTCOME["denied"]}),
    ("records_own", {"records": 200}, {"records": 200, **DONE_FOR_WORK}),
    ("bytes", {"bytes_out": 10**9}, {"bytes_out": 10**9, "outcome": OUTCOME["error"]}),
    ("events_10m", {"count": 60, "time_us": START_US + 30 * DAY_US + np.arange(60) * 1_000_000}, {"count": 60}),
    ("subjects_1h", {"count": 50}, {"count": 50, "subject_lists": [[7]] * 50}),
    ("subjects_1h_own", {"count": 50}, {"count": 50, **DONE_FOR_WORK}),
    ("subjects_day", {"count": 200}, {"count": 200, "subject_lists": [[index % 5] for index in range(200)]}),
    ("subjects_day_own", {"count": 80}, {"count": 80, "approved": 1}),
    ("all_subjects_day", {"count": 80, **DONE_FOR_WORK}, {"count": 10, **DONE_FOR_WORK}),
    ("exposure_day", {"count": 40, "sensitivity": 4}, {"count": 40, "sensitivity": 1}),
    ("records_day", {"count": 40, "records": 50}, {"count": 40}),
    ("records_day_own", {"count": 40, "records": 50}, {"count": 10}),
    ("all_records_day", {"records": 900, **DONE_FOR_WORK}, {"records": 900, "outcome": OUTCOME["denied"]}),
    ("exported_day", {"action": ACTION["export"], "records": 900}, {"action": ACTION["list"], "records": 900}),
    ("exported_day_own", {"action": ACTION["share"], "records": 900}, {"action": ACTION["read"], "records": 900}),
    ("unmasked_day", {"count": 30, "unmasked": 1}, {"count": 30}),
    ("unmasked_day_own", {"count": 30, "unmasked": 1}, {"count": 30}),
    ("unexplained_day", {"count": 30, "sensitivity": 3}, {"count": 30, "sensitivity": 3, **DONE_FOR_WORK}),
    ("unexplained_day_own", {"count": 30, "sensitivity": 3}, {"count": 30, "sensitivity": 3, "approved": 1}),
    ("unexplained_2w", {"count": 30, "sensitivity": 3}, {"count": 30, "sensitivity": 2}),
    ("searches_day", {"count": 9, "action": ACTION["search"]}, {"count": 9, "action": ACTION["list"]}),
    ("changes_day", {"count": 9, "action": ACTION["delete"]}, {"count": 9, "action": ACTION["create"]}),
    ("audit_day", {"count": 9, "action": ACTION["audit_query"], **DONE_FOR_WORK}, {"count": 9}),
    ("new_network", {"ip_prefix": 99}, {}),
    ("new_device", {"device": 99}, {"device": 0}),
    ("new_country", {"country": 99}, {}),
    ("new_agent", {"user_agent": 99}, {}),
    ("rare_resource", {"resource_type": 99}, {}),
    ("rare_action", {"action": ACTION["decrypt"]}, {}),
    ("rare_channel", {"channel": CHANNEL["sql"]}, {}),
    ("travel", {"latitude": 50.1, "longitude": 8.7, "time_us": [days(30)[-1] + 30 * MINUTE_US]}, {"latitude": 31.9}),
    ("denied_10m", {"count": 12, "outcome": OUTCOME["denied"]}, {"count": 12}),
    ("repeat_subject", {"count": 9, "subject_lists": [[7]] * 9}, {"count": 9, "subject_lists": [[7] * 5] * 9}),
    (
        "return_visits",
        {"count": 4, "subject_lists": [[7]] * 4, "time_us": [START_US + (30 + day) * DAY_US for day in range(4)]},
        {"count": 4, "subject_lists": [[7]] * 4},
    ),
    ("vip_day", {"count": 9, "vip_subjects": 1}, {"count": 9, "vip_subjects": 1, **DONE_FOR_WORK}),
    ("sequence", {"count": 30, "sequence": range(800, 830)}, {"count": 30, "sequence": [900, 17, 450] * 10}),
    ("device_turns", {"count": 10, "device": [31, 32] * 5}, {"count": 10, "device": [31] * 5 + [32] * 5}),
    ("network_turns", {"count": 10, "ip_prefix": [21, 22] * 5}, {"count": 10, "ip_prefix": [21] * 5 + [22] * 5}),
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
    assert burst[0, INDEX["records_own"]] > 2.0
    for feature in ("records_day_own", "subjects_day_own", "subjects_1h_own"):
        assert burst[-1, INDEX[feature]] > 2.0, feature


SLOW = ("records_week", "subjects_week", "subjects_2w", "slow_rise")


@pytest.mark.parametrize("feature", SLOW)
def test_a_slow_rise_over_a_week_is_seen(feature: str) -> None:
    calm = days(28)
    slow = [START_US + (28 + day) * DAY_US + turn * MINUTE_US for day in range(7) for turn in range(40)]
    profiles = Profiles()
    flat = run(profiles, event_arrays(280, time_us=calm, **OPEN))[-1, INDEX[feature]]
    risen = run(profiles, event_arrays(280, time_us=slow, subject_lists=[[index] for index in range(280)], **OPEN))
    assert flat < (5 if feature.endswith("2w") else 0.1)
    assert risen[-1, INDEX[feature]] > flat + 0.8


def test_every_feature_has_its_case_here() -> None:
    assert {case[0] for case in CASES} | set(SLOW) == set(NAMES)


@pytest.mark.parametrize("feature", FEATURES, ids=NAMES)
def test_every_feature_says_what_it_is_in_both_languages(feature: Feature) -> None:
    for english, chinese in ((feature.title_en, feature.title_zh), (feature.unit_en, feature.unit_zh)):
        assert english.isascii()
        assert chinese
    assert not feature.title_zh.isascii()
    assert feature.scale in ("", "log1p", "exp")
    assert feature.why
    assert feature.definition
    assert feature.state
    assert re.fullmatch(r"0–|1–|0, 300–|0–[\d,]+", feature.value_range)


def test_titles_names_and_kinds_are_unique_and_no_kind_is_empty() -> None:
    for of in (
        NAMES,
        [one.title_en for one in FEATURES],
        [one.title_zh for one in FEATURES],
        [one for one, _ in KINDS],
    ):
        assert len(set(of)) == len(of)
    assert sorted(name for _, names in KINDS for name in names) == sorted(NAMES)


@pytest.mark.parametrize("seed", range(3))
def test_values_stay_in_the_ranges_that_the_registry_names(seed: int) -> None:
    """A year of one account that does anything at any time."""
    draw, count = np.random.default_rng(seed), 4000
    times = START_US + np.sort(draw.integers(0, 365 * DAY_US, count))
    fields = {
        name: draw.integers(0, size, count)
        for name, size in {
            "local_hour": 24, "day_kind": 5, "action": 20, "channel": 8, "outcome": 4, "explained": 4, "unmasked": 2,
            "device": 12, "ip_prefix": 40, "user_agent": 12, "resource_type": 40, "country": 12, "external": 2,
            "sensitivity": 5, "vip_subjects": 2, "off_region": 2, "sequence": 5, "records": 10**6,
        }.items()
    }  # fmt: skip
    fields["latitude"] = draw.choice([31.2, 50.1, -33.0], count)
    lists = [draw.integers(1, 2**63, int(size)).tolist() for size in draw.integers(0, 60, count)]
    values = run(Profiles(), event_arrays(count, time_us=times, subject_lists=lists, **fields))
    for feature in FEATURES:
        told = values[:, INDEX[feature.name]]
        shown = np.expm1(told) if feature.scale == "log1p" else np.exp(told) if feature.scale == "exp" else told
        lowest, highest = re.fullmatch(r"(\d)[^–]*–([\d,]*)", feature.value_range).groups()  # type: ignore[union-attr]
        assert shown.min() >= float(lowest), feature.name
        assert shown.max() <= float(highest.replace(",", "") or "inf"), feature.name


def test_customers_who_read_their_own_record_are_no_repeat_lookers() -> None:
    fields: dict[str, Any] = {"count": 9, "subject_lists": [[7]] * 9, **OPEN}
    assert after_a_month("repeat_subject", own_subject=1, **fields) == 0
    assert after_a_month("repeat_subject", **fields) > 2


def test_an_event_from_before_midnight_does_not_wipe_the_day_that_ended() -> None:
    """Two servers' clocks, or somebody who back-dates one event a night to stay below the weekly features."""
    before = START_US + 40 * DAY_US - 10 * MINUTE_US
    times = [before, before + 11 * MINUTE_US, before + 8 * MINUTE_US]
    day = int(event_arrays(1, time_us=[before]).local_day[0])
    events = event_arrays(3, time_us=times, records=[5000, 1, 1], local_day=[day, day + 1, day], **OPEN)
    profiles = Profiles()
    run(profiles, event_arrays(1, time_us=[START_US]))
    run(profiles, events)
    ring = profiles.state["ring_records"][0]
    assert (ring[day % len(ring)], ring[(day + 1) % len(ring)]) == (5000, 2)


def test_repeat_looks_fade_over_a_week_and_visits_over_two() -> None:
    profiles = Profiles()
    times = [START_US + day * DAY_US for day in (0, 7, 14, 60)]
    features = np.expm1(run(profiles, event_arrays(4, time_us=times, subject_lists=[[7]] * 4, **OPEN)))
    week, fortnight = math.exp(-1), math.exp(-0.5)
    looks = [1, 1 + week, 1 + week + week**2, 1]
    assert features[:, INDEX["repeat_subject"]] == pytest.approx(looks, abs=0.01)
    returns = [0, fortnight, fortnight + fortnight**2, (1 + fortnight + fortnight**2) * math.exp(-46 / 14)]
    assert features[:, INDEX["return_visits"]] == pytest.approx(returns, abs=0.01)


@pytest.mark.parametrize("true", [1, 10, 100, 1000, 3000])
def test_distinct_customers_are_estimated_within_a_twentieth(true: int) -> None:
    tokens = np.random.default_rng(true).integers(1, 2**63, true).tolist()  # halves of keyed tokens: any 64 bits
    repeated = [[tokens[index % true]] for index in range(2 * true)]
    times = START_US + np.arange(2 * true) * 1000
    features = run(Profiles(), event_arrays(2 * true, time_us=times, subject_lists=repeated, **OPEN))
    counted = float(np.expm1(features[-1, INDEX["subjects_day"]]))
    assert counted == pytest.approx(true, rel=0.05, abs=0.1)


def test_a_count_beyond_the_listed_customers_still_counts() -> None:
    features = run(Profiles(), whole_list(5000))
    assert np.expm1(features[0, INDEX["subjects_day"]]) == pytest.approx(5000, rel=0.01)


def whole_list(count: int) -> EventArrays:
    events = event_arrays(1, **OPEN)
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
    late = {"records": 9000, "device": 99, "sequence": 5, "subject_lists": [[1], [2]], "latitude": -30.0, **OPEN}
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
