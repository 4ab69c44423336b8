"""The nightly turn: once a day, never twice, moved by the budget, said in a report; and what it reads of the store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from detectors.features import N_FEATURES
from detectors.policy import Policy
from detectors.scheduled.base import DAY_US
from pipeline.directory import DirectorySnapshot
from pipeline.errors import Away
from pipeline.schedule.nightly import NIGHT, InForce, Kept, Nightly, Sampled, compare
from pipeline.schedule.runner import Versions

ZONE = ZoneInfo("Asia/Shanghai")
VERSIONS = Versions(bytes(32), DirectorySnapshot(), ZONE)
TODAY = 20_750
MORNING_US = NIGHT.start_us(TODAY, ZONE) + 4 * 3600 * 1_000_000
POLICY = Policy(9000)
IN_FORCE = InForce(b"\1" * 32, POLICY, "model", 2.0)


def kept(actors: int, a_day: int, level: int, *, shadow_level: int = 0, days: int = 14) -> Kept:
    """Every one of `actors` has a finding a day apart, `a_day` of them on each of the days."""
    rows = [
        (number % actors, NIGHT.start_us(TODAY - days + day, ZONE) + number * 1_000_000)
        for day in range(days)
        for number in range(day * a_day, (day + 1) * a_day)
    ]
    count = len(rows)
    reasons = [("feature:records",)] * count
    return Kept(
        np.array([row[0] for row in rows], np.int64), np.array([row[1] for row in rows], np.int64),
        np.full(count, level, np.int64), np.zeros(count, np.int64), reasons,
        np.full(count, shadow_level, np.int64), np.zeros(count, np.int64), reasons,
    )  # fmt: skip


@dataclass
class FakeNights:
    """A store of nights in memory."""

    found: Kept = field(default_factory=lambda: kept(100, 4, 9500))
    days: int = 14
    alerts: Mapping[str, int] = field(default_factory=lambda: {"isolation_forest": 50, "slow_drip": 6})
    rows: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    scale: float = 1.0

    def last_night(self, topic: str) -> int | None:
        return max((row["day"] for row in self.rows), default=None)

    def active(self, from_us: int, until_us: int) -> Sequence[int]:
        return [50] * self.days

    def kept(self, topic: str, from_us: int, until_us: int, shadow_id: str) -> Kept:
        self.asked.append(shadow_id)
        return self.found

    def sampled(self, topic: str, from_us: int, until_us: int, feature_version: str) -> Sampled:
        recent = until_us == NIGHT.start_us(TODAY, ZONE)
        chance = np.random.default_rng(int(recent))
        features = chance.gamma(2.0, 3.0, (900, N_FEATURES)).astype(np.float32)
        if recent:
            features[:, 0] *= self.scale
        return Sampled(features, chance.exponential(8.0, 900), np.array(["desk"] * 900))

    def fired(self, topic: str, from_us: int, until_us: int) -> Mapping[tuple[str, int], int]:
        spread: dict[tuple[str, int], int] = {}
        for name, count in self.alerts.items():
            for number in range(count):
                place = (name, TODAY - 14 + number % 14)
                spread[place] = spread.get(place, 0) + 1
        return spread

    def record_night(self, row: Mapping[str, Any]) -> None:
        if self.faults:
            raise self.faults.pop()
        self.rows.append(dict(row))

    def begun(self) -> FakeNights:
        """With the night before done."""
        self.rows.append({"day": TODAY - 2})
        return self

    def report(self) -> dict[str, Any]:
        """The newest report."""
        document: dict[str, Any] = json.loads(self.rows[-1]["report"])
        return document


@dataclass
class Threshold:
    """What puts policies in force; remembers what it was asked."""

    moved: list[tuple[int, Policy]] = field(default_factory=list)

    def __call__(self, day: int, policy: Policy) -> Policy:
        self.moved.append((day, policy))
        return policy


def nightly(store: FakeNights, threshold: Threshold, in_force: InForce | None = IN_FORCE, **more: Any) -> Nightly:
    return Nightly("access.events", "runner", store, lambda: in_force, threshold, **more)


def test_a_day_is_reported_once_when_it_is_over_and_an_hour_late() -> None:
    store, threshold = FakeNights(), Threshold()
    night = nightly(store, threshold)
    midnight = NIGHT.start_us(TODAY, ZONE)
    night.turn(midnight + 3_599 * 1_000_000, VERSIONS)
    assert [row["day"] for row in store.rows] == [TODAY - 2]
    night.turn(midnight + 3_600 * 1_000_000, VERSIONS)
    night.turn(MORNING_US, VERSIONS)
    assert [row["day"] for row in store.rows] == [TODAY - 2, TODAY - 1]
    nightly(store, threshold).turn(MORNING_US, VERSIONS)  # another process, the same store
    assert len(store.rows) == 2


def test_the_first_night_begins_the_series_and_moves_nothing() -> None:
    """A new system's history comes in at once, and the first night may find a part of it."""
    store, threshold = FakeNights(), Threshold()
    night = nightly(store, threshold)
    night.turn(MORNING_US - DAY_US, VERSIONS)
    assert (threshold.moved, store.report()["budget"]["why"]) == ([], "begun")
    night.turn(MORNING_US, VERSIONS)
    assert len(threshold.moved) == 1


def test_twice_the_budget_raises_the_threshold_by_a_fifth_at_most() -> None:
    store, threshold = FakeNights().begun(), Threshold()
    nightly(store, threshold).turn(MORNING_US, VERSIONS)
    (_, policy), row = threshold.moved[0], store.rows[-1]
    assert POLICY.threshold < policy.threshold <= POLICY.threshold * 1.2
    assert (row["threshold_before"], row["threshold"]) == (POLICY.threshold, policy.threshold)
    budget = store.report()["budget"]
    assert budget["why"] == "moved"
    assert budget["ratio"] == 2.0
    assert budget["fired"] == {"isolation_forest": 50, "slow_drip": 6}


def test_a_budget_that_is_kept_moves_nothing() -> None:
    just, below = kept(1000, 2, 9010), kept(1000, 30, 8999)
    both = replace(
        kept(1000, 32, 0),
        actors=np.concatenate((just.actors, below.actors + 2000)),
        time_us=np.concatenate((just.time_us, below.time_us)),
        level=np.concatenate((just.level, below.level)),
        floor=np.concatenate((just.floor, below.floor)),
    )
    store, threshold = FakeNights(found=both, alerts={"isolation_forest": 28}).begun(), Threshold()
    nightly(store, threshold).turn(MORNING_US, VERSIONS)
    assert threshold.moved == []
    assert store.report()["budget"]["why"] == "kept"


@pytest.mark.parametrize(("days", "keeps", "why"), [(0, True, "kept"), (14, False, "off")])
def test_the_threshold_stays_without_history_and_where_it_is_switched_off(days: int, keeps: bool, why: str) -> None:
    store, threshold = FakeNights(days=days).begun(), Threshold()
    nightly(store, threshold, keeps_budget=keeps).turn(MORNING_US, VERSIONS)
    assert threshold.moved == []
    assert store.report()["budget"]["why"] == why
    assert store.rows[-1]["threshold"] == POLICY.threshold


def test_without_a_model_there_is_no_night_and_nothing_is_marked_done() -> None:
    store, threshold = FakeNights(), Threshold()
    nightly(store, threshold, None).turn(MORNING_US, VERSIONS)
    assert (store.rows, threshold.moved) == ([], [])


def test_a_night_whose_report_was_not_kept_is_done_again() -> None:
    store, threshold = FakeNights(faults=[Away("no answer", code="clickhouse_away")]), Threshold()
    night = nightly(store, threshold)
    with pytest.raises(Away):
        night.turn(MORNING_US, VERSIONS)
    night.turn(MORNING_US, VERSIONS)
    assert [row["day"] for row in store.rows] == [TODAY - 1]


def test_drift_names_the_feature_that_moved_and_only_it() -> None:
    store = FakeNights(scale=3.0)
    nightly(store, Threshold()).turn(MORNING_US, VERSIONS)
    drift = store.report()["drift"]
    assert len(drift["shifted"]) == 1
    assert drift["features"][0][0] == drift["shifted"][0]
    assert drift["rows"] == drift["reference_rows"] == 900


def test_a_shadow_model_is_compared_on_the_same_events() -> None:
    store = FakeNights(found=kept(100, 2, 9500, shadow_level=8000))
    current = replace(IN_FORCE, shadow_id="other", shadow_policy=Policy(8500))
    nightly(store, Threshold(), current).turn(MORNING_US, VERSIONS)
    shadow = store.report()["shadow"]
    assert (shadow["model_id"], shadow["alerts"], shadow["shadow_alerts"]) == ("other", 28, 0)
    assert shadow["only_in_force_actor_days"] == 28
    assert store.asked == ["other"]


def test_overlap_is_the_share_of_actor_days_both_alert_on() -> None:
    both = kept(50, 1, 9500, shadow_level=9500)
    assert compare(both, POLICY, POLICY)["overlap"] == 1.0
    nothing = kept(50, 1, 100, shadow_level=100)
    assert compare(nothing, POLICY, POLICY)["overlap"] is None


def test_a_threshold_far_too_high_comes_down_although_nothing_nearly_reaches_it() -> None:
    store, threshold = FakeNights(found=kept(100, 1, 5000)).begun(), Threshold()
    nightly(store, threshold, replace(IN_FORCE, policy=Policy(30_000))).turn(MORNING_US, VERSIONS)
    assert threshold.moved[0][1].threshold == 24_000


def test_reasons_of_another_version_count_as_no_kind() -> None:
    strange = replace(kept(1, 1, 9500, days=1), reasons=[("feature:gone", "rule:mass_lookup")])
    findings = strange.findings()
    assert findings.first.tolist() == [0]
    assert findings.kinds[0] != 0


def test_reasons_that_an_exception_took_away_count_as_no_kind() -> None:
    held = replace(kept(1, 1, 9500, days=1), reasons=[("feature:records", "exception:abc", "rule:mass_lookup")])
    alone = replace(held, reasons=[("feature:records",)])
    assert held.findings().kinds.tolist() == alone.findings().kinds.tolist()
