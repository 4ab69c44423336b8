"""What an attacker can teach the profile: a burst does not become usual at once, a slow rise is slow or seen.

The limits are stated as numbers of these stories: an account of about ten open accesses, or records, a day.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import F32
from detectors.features import INDEX, compute
from detectors.profile import DAY_MEASURES, Profiles
from pipeline.events import EXPLAINED, codes
from tests.arrays import DAY_US, START_US, event_arrays

OPEN, ACCOUNTED = codes(EXPLAINED)["not_yet_explained"], codes(EXPLAINED)["explained"]
OPEN_TOTALS = tuple(name for name in DAY_MEASURES if name not in ("audit", "all_subjects", "all_records"))


class Account:
    """One account, day by day."""

    def __init__(self, quiet_days: int, seed: int = 1) -> None:
        self.profiles, self.number = Profiles(), 0
        for customers in np.random.default_rng(seed).poisson(10, quiet_days).tolist():
            self.day(max(1, customers))

    def day(self, customers: int, *, keep: bool = True, **fields: Any) -> F32:
        """A day of so many open accesses to other customers each, a second apart; the features of each access."""
        start = self.number * 100_000
        times = START_US + self.number * DAY_US + np.arange(customers) * 1_000_000
        lists = [[start + turn] for turn in range(customers)]
        return self.judge({"time_us": times, "subject_lists": lists, **fields}, customers, keep)

    def records(self, records: int, *, keep: bool = True) -> F32:
        """A day of one access that gives so many records."""
        features: F32 = self.judge({"time_us": [START_US + self.number * DAY_US], "records": records}, 1, keep)[0]
        return features

    def judge(self, fields: dict[str, Any], count: int, keep: bool) -> F32:
        """The features; the day is undone unless it is to be kept."""
        self.profiles.begin()
        features, _, _ = compute(event_arrays(count, **{"explained": OPEN, **fields}), self.profiles)
        if keep:
            self.profiles.commit()
            self.number += 1
        else:
            self.profiles.rollback()
        return features


@pytest.mark.parametrize("feature", ["subjects_day_own", "records_day_own", "subjects_1h_own"])
def test_a_burst_does_not_become_the_new_normal(feature: str) -> None:
    """Thirty times the usual every day: the next day is as strange but for a seventh, half is left after six days,
    and only after two and a half weeks is it no deviation any more."""
    account = Account(30)
    strange = [float(account.day(300)[-1, INDEX[feature]]) for _ in range(20)]
    assert strange[0] > 4
    assert strange[1] > 0.85 * strange[0]
    assert strange[5] > 0.5 * strange[0]
    assert [value > 1 for value in strange].index(False) == pytest.approx(17, abs=1)


def test_a_burst_is_as_strange_at_its_end_as_its_size_says() -> None:
    """Nothing of today is taken for usual: what is told rises to the end of the burst."""
    features = Account(30).day(300)
    for feature in ("subjects_day", "subjects_day_own", "records_day_own", "subjects_1h_own"):
        assert (np.diff(features[:, INDEX[feature]]) >= 0).all(), feature
    rare = Account(30).day(300, device=99, channel=3, action=7, local_hour=3)
    for feature in ("new_device", "rare_channel", "rare_action", "hour_rarity"):
        assert np.ptp(rare[:, INDEX[feature]]) == 0, feature
        assert rare[0, INDEX[feature]] > 0.8, feature


def test_one_burst_leaves_later_ordinary_days_ordinary_and_a_later_burst_strange() -> None:
    account = Account(30)
    first = float(account.day(300)[-1, INDEX["subjects_day_own"]])
    for _ in range(30):
        assert account.day(10)[-1, INDEX["subjects_day_own"]] < 0.5
    assert account.day(300)[-1, INDEX["subjects_day_own"]] > first


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 10**6), min_size=6, max_size=40))
def test_a_day_teaches_a_level_at_most_two_of_its_own_deviations_upwards(totals: list[int]) -> None:
    account, place = Account(0), DAY_MEASURES.index("records")
    account.records(totals[0])
    for closed, total in enumerate(totals[1:], start=1):
        before = account.profiles.state[0].copy()
        account.records(total)  # closes the day before
        learnt = account.profiles.state[0]["day_mean"][place] - before["day_mean"][place]
        if closed > 5:
            at_most = 2.0 * (math.sqrt(before["day_var"][place]) + 0.4) / min(closed, 30)
            assert learnt <= at_most * (1 + 1e-5)


@pytest.mark.parametrize(("limit", "days", "week"), [(1.0, 46, 2.7), (1.5, 16, 7.6), (2.0, 9, 13.2)])
def test_who_stays_below_a_limit_every_day_rises_slowly_or_is_seen_in_the_week(
    limit: float, days: int, week: float
) -> None:
    """The greatest day below a limit, day after day: how long until thirty times the usual, and how the week tells."""
    account = Account(0)
    for total in np.random.default_rng(1).poisson(10, 40).tolist():
        account.records(total)
    taken, told = [10], [0.0]
    while taken[-1] < 300:
        taken.append(10)
        while account.records(int(taken[-1] * 1.05) + 1, keep=False)[INDEX["records_day_own"]] < limit:
            taken[-1] = int(taken[-1] * 1.05) + 1
        told.append(math.exp(account.records(taken[-1])[INDEX["records_week"]]))
    assert len(taken) - 1 == pytest.approx(days, abs=1)
    assert max(told) == pytest.approx(week, rel=0.1)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.booleans())
def test_an_access_that_work_accounts_for_raises_no_open_total(seed: int, approved: bool) -> None:
    """Neither today's totals nor what is told of them; totals of everything do rise."""
    account, draw = Account(8), np.random.default_rng(seed)
    account.day(5, sensitivity=4, unmasked=1, external=1, vip_subjects=1)
    account.number -= 1
    before = account.profiles.state[0].copy()
    work = {"explained": OPEN, "approved": 1} if approved else {"explained": ACCOUNTED}
    fields = {
        "action": draw.integers(0, 20, 6), "outcome": draw.integers(1, 4, 6), "records": draw.integers(0, 10**6, 6),
        "sensitivity": 4, "unmasked": 1, "external": 1, "vip_subjects": 2,
    }  # fmt: skip
    times = START_US + account.number * DAY_US + 10**9 + np.arange(6)
    features = account.judge({**work, **fields, "time_us": times}, 6, keep=True)
    after = account.profiles.state[0]
    for name in OPEN_TOTALS:
        assert after["today"][DAY_MEASURES.index(name)] == before["today"][DAY_MEASURES.index(name)], name
    assert after["today"][DAY_MEASURES.index("all_subjects")] > before["today"][DAY_MEASURES.index("all_subjects")]
    for name in ("records", "records_own", "bytes", "repeat_subject", "return_visits"):
        assert not features[:, INDEX[name]].any(), name


def test_sizes_of_single_accesses_are_learnt_access_by_access() -> None:
    """The limit of one feature: within a hundred accesses of 200 records each, their size is usual; the day is not."""
    features = Account(30).day(300, records=200)
    assert features[0, INDEX["records_own"]] > 10
    assert features[100, INDEX["records_own"]] < 2.5
    assert features[-1, INDEX["records_day_own"]] > 4


def test_a_drip_below_every_limit_adds_up_and_one_loud_day_does_not() -> None:
    """About ten customers a day; from then on twenty: no day stands out, and after two weeks the sum does."""
    account = Account(40)
    drip = [account.day(20)[-1] for _ in range(14)]
    assert max(float(day[INDEX["subjects_day_own"]]) for day in drip) < 1.5
    rises = [float(day[INDEX["slow_rise"]]) for day in drip]
    assert rises == sorted(rises)
    assert rises[-1] > 5
    loud = Account(40)
    loud.day(400)
    after = [float(loud.day(10)[-1, INDEX["slow_rise"]]) for _ in range(12)]
    assert max(after) < 2
    assert after[-1] < 0.5
