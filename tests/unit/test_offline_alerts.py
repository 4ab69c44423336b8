"""One pass with details gives the alerts of two passes; nightly thresholds move as the live system moves them."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.budget import LEAST_DAYS, ordinary_days
from detectors.model import Model
from detectors.policy import Findings, Firing, Policy, fired_rows
from pipeline.adapters.directory import read_directory
from pipeline.cli.simulate import write_simulation
from pipeline.directory import DirectorySnapshot
from pipeline.offline import EventFile, Scored, ScoringRun, read_events, score_events, train_model
from pipeline.offline_alerts import Activity, Reachable, fired_nightly
from pipeline.privacy.keys import Keyring
from pipeline.sources.simulate import Simulation, draw_company
from tests.arrays import event_arrays

ZONE = ZoneInfo("Asia/Shanghai")
DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> tuple[EventFile, EventFile, DirectorySnapshot, Model]:
    """Two weeks of thirty accounts, a model of the first eight days, the rest to score."""
    folder = tmp_path_factory.mktemp("company")
    write_simulation(Simulation(draw_company(4, 30), date(2026, 3, 2), 14, 4), folder)
    directory = read_directory(folder / "directory", Keyring.offline())
    events = read_events([str(folder / "events.ndjson.zst")])
    cut = len(events) * 6 // 10
    parts = (_part(folder, events, name, *span) for name, *span in (("h", 0, cut), ("r", cut, len(events))))
    history, rest = parts
    return history, rest, directory, train_model(history, directory, "Asia/Shanghai")


def _part(folder: Path, events: EventFile, name: str, first: int, last: int) -> EventFile:
    path = folder / f"{name}.ndjson"
    path.write_bytes(b"\n".join(events.lines[first:last]) + b"\n")
    return read_events([str(path)])


def scored(company: tuple[EventFile, EventFile, DirectorySnapshot, Model], **more: object) -> Scored:
    history, rest, directory, model = company
    return score_events(rest, history, directory, Keyring.offline(), model, "Asia/Shanghai", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("budget", [0.5, 5.0, 40.0])
@pytest.mark.parametrize("batch", [97, 5000])
def test_one_pass_gives_the_alerts_of_judging_again_under_the_chosen_policy(
    company: tuple[EventFile, EventFile, DirectorySnapshot, Model], budget: float, batch: int
) -> None:
    history, rest, directory, model = company
    once = scored(company, budget_per_day=budget, batch=batch)
    run = ScoringRun(rest, history, directory, Keyring.offline(), model, "Asia/Shanghai")
    policy = Policy(once.threshold, model.rule_threshold)
    again = [
        (one.decoded.events[alert.row].event_id, alert.alert_id, alert.explanation_zh, alert.risk, alert.severity)
        for one, _ in run.judged(policy)
        for alert in one.judged.alerts
    ]
    ours = [(one.event_id, one.alert.alert_id, one.alert.explanation_zh, one.alert.risk, one.alert.severity)
            for one in once.alerts]  # fmt: skip
    assert ours == again
    assert ours


def test_details_that_were_dropped_are_made_again(
    company: tuple[EventFile, EventFile, DirectorySnapshot, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    plenty = scored(company, budget_per_day=40.0)
    monkeypatch.setattr(Reachable, "__init__", _small(Reachable.__init__))
    few = scored(company, budget_per_day=40.0)
    assert [one.alert.alert_id for one in few.alerts] == [one.alert.alert_id for one in plenty.alerts]


def _small(init: object) -> object:
    """The same, with room for the details of twenty events, unless more is asked for."""

    def smaller(self: Reachable, most: int = 20, only: object = None) -> None:
        init(self, most=most, only=only)  # type: ignore[operator]

    return smaller


def test_nightly_moves_thresholds_from_the_models_own_on(
    company: tuple[EventFile, EventFile, DirectorySnapshot, Model],
) -> None:
    """Five days far over the budget: four nights at most, a fifth each."""
    own = company[3].threshold
    moved = scored(company, budget_per_day=0.2, nightly=True)
    assert own < moved.threshold <= own * 1.2**4
    assert len(moved.alerts) > len(scored(company, budget_per_day=0.2).alerts)


def findings(levels: np.ndarray[tuple[int], np.dtype[np.int64]], days: int) -> Findings:
    """Findings of as many accounts, evenly over the days of the zone."""
    count = len(levels)
    times = np.sort(np.arange(count, dtype=np.int64) * days * DAY_US // max(1, count)) + 1_770_000_000_000_000
    none = np.zeros(count, np.int64)
    bits = np.ones(count, np.uint64)
    return Findings(np.arange(count, dtype=np.int64), times, levels, none, bits, bits)


def same(found: Findings) -> Activity:
    """As many accounts on every day."""
    activity = Activity(ZONE)
    for day in range(0, 120):
        events = event_arrays(20, time_us=np.full(20, int(found.time_us[0]) + day * DAY_US))
        activity.add(events, np.arange(20, dtype=np.int64))
    return activity


def test_a_holiday_week_allows_what_its_accounts_are_worth() -> None:
    assert ordinary_days([30] * 49 + [10] * 7, 14) == pytest.approx(14 * (7 * 30 + 7 * 10) / 14 / 27.5)
    assert ordinary_days([30] * 56, 14) == pytest.approx(14.0)
    assert ordinary_days([], 14) == 0.0
    activity = same(findings(np.array([5000, 5000]), 7))
    first = (1_770_000_000 + 8 * 3600) // 86_400
    assert activity.until(first + 3) == [20] * 4
    assert len(activity.until(first + 100)) == 56


def test_fired_nightly_comes_to_the_budget_from_either_side() -> None:
    chance = np.random.default_rng(5)
    days, budget = 84, 4.0
    found = findings((4000 + chance.exponential(900, days * 200)).astype(np.int64), days)
    for begin in (5000, 9000):
        rows, policies = fired_nightly(found, np.zeros(0, np.int64), Policy(begin), budget, same(found), ZONE)
        last_month = int((found.time_us[rows] > found.time_us[-1] - 28 * DAY_US).sum())
        assert 0.8 <= last_month / 28 / budget <= 1.25
        thresholds = [policy.threshold for _, policy in policies]
        assert thresholds[:LEAST_DAYS] == [begin] * LEAST_DAYS
        steps = pairwise(thresholds)
        assert all(abs(after - before) <= before * 0.2 for before, after in steps)


def test_a_flood_of_one_day_moves_no_night_by_more_than_a_fifth_and_is_forgotten() -> None:
    chance = np.random.default_rng(6)
    days, budget = 56, 4.0
    levels = (4000 + chance.exponential(900, days * 200)).astype(np.int64)
    flood = slice(28 * 200, 29 * 200)
    levels[flood] = 20_000
    found = findings(levels, days)
    _, policies = fired_nightly(found, np.zeros(0, np.int64), Policy(7000), budget, same(found), ZONE)
    thresholds = [policy.threshold for _, policy in policies]
    assert max(after / before for before, after in pairwise(thresholds)) <= 1.2
    assert abs(thresholds[-1] - thresholds[27]) < 0.15 * thresholds[27]


@settings(deadline=None)
@given(st.lists(st.integers(4000, 12_000), min_size=1, max_size=60), st.integers(1, 59))
def test_firing_in_parts_is_firing_at_once(levels: list[int], cut: int) -> None:
    count = len(levels)
    found = Findings(
        np.arange(count, dtype=np.int64) % 5, np.arange(count, dtype=np.int64) * 7_200_000_000,
        np.array(levels, np.int64), np.zeros(count, np.int64),
        np.ones(count, np.uint64), np.ones(count, np.uint64),
    )  # fmt: skip
    policy, firing = Policy(6000), Firing(5)
    first, second = np.arange(min(cut, count)), np.arange(min(cut, count), count)
    parts = [firing.fire(found.at(first), policy), firing.fire(found.at(second), policy) + len(first)]
    assert np.concatenate(parts).tolist() == fired_rows(found, policy).tolist()
