"""Which judged events become alerts: one open alert, reopening, the daily cap, the threshold of a budget."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import I64, U64, Assessment
from detectors.features import N_FEATURES, NAMES
from detectors.policy import (
    MAX_A_DAY,
    OPEN_US,
    RISE,
    Policy,
    budget_for,
    count_fired,
    fire,
    kind_bits,
    row_kinds,
    threshold_for_budget,
)
from detectors.profile import Profiles
from pipeline.events import SCORE_STATUSES, codes
from tests.arrays import DAY_US, START_US, event_arrays

HOUR_US = 3_600_000_000
MIDNIGHT_US = START_US - START_US % DAY_US
POLICY = Policy(threshold=6000)
STATUS = codes(SCORE_STATUSES)
CODES = [*(f"feature:{name}" for name in NAMES), "rule:enumeration", "rule:bulk_export"]
BREADTH, MORE_BREADTH, NETWORK = (CODES.index(f"feature:{name}") for name in ("subjects_day", "subjects_1h", "travel"))
ENUMERATION, EXPORT = CODES.index("rule:enumeration"), CODES.index("rule:bulk_export")


@dataclass(frozen=True)
class Judged:
    """One judged event of a history."""

    hours: float
    risk: int
    reasons: tuple[int, ...] = (BREADTH,)
    actor: int = 0
    status: int = STATUS["scored"]


def assessment_of(history: list[Judged]) -> Assessment:
    count = len(history)
    numbers = np.zeros((count, N_FEATURES), np.float32)
    return Assessment(
        status=np.array([one.status for one in history], np.uint8),
        anomaly_score=np.zeros(count, np.uint32),
        top3_surprisal=np.zeros(count, np.uint16),
        risk=np.array([one.risk for one in history], np.uint16),
        reason_ends=np.cumsum([len(one.reasons) for one in history]).astype(np.int64),
        reasons=np.array([code for one in history for code in one.reasons], np.int32),
        reason_codes=CODES,
        features=numbers,
        surprisals=numbers,
        usual=numbers,
        spread=numbers,
    )


def times_of(history: list[Judged]) -> I64:
    return MIDNIGHT_US + np.array([int(one.hours * HOUR_US) for one in history], np.int64)


def fired(history: list[Judged], policy: Policy = POLICY, *, split: int | None = None) -> list[int]:
    """Which events fire, in batches of `split`."""
    profiles, rows = Profiles(), []
    split = split or max(1, len(history))
    for start in range(0, len(history), split):
        part = history[start : start + split]
        events = event_arrays(len(part), actors=[one.actor for one in part], time_us=times_of(part))
        profiles.begin()
        profiles.slots(events.actor_keys)
        rows += (start + fire(events, assessment_of(part), profiles, policy)).tolist()
        profiles.commit()
    return rows


def at(*hours: float, risk: int = 7000) -> list[Judged]:
    return [Judged(hour, risk) for hour in hours]


def test_only_scored_events_at_or_above_the_threshold_fire() -> None:
    loud = Judged(0, 6000)
    assert fired([replace(loud, risk=5999)]) == []
    assert fired([loud]) == [0]
    for status in ("unscored", "duplicate", "not_scored"):
        assert fired([replace(loud, status=STATUS[status])]) == []


def test_one_open_alert_an_actor_and_24_hours() -> None:
    assert fired(at(1, 2, 12, 24.9, 25, 26)) == [0, 4]


def test_actors_do_not_suppress_each_other() -> None:
    assert fired([Judged(0, 7000, actor=0), Judged(0, 7000, actor=1), Judged(1, 7000, actor=0)]) == [0, 1]


def test_an_alert_reopens_when_the_risk_rises_by_15() -> None:
    assert fired([Judged(0, 7000), Judged(1, 8499)]) == [0]
    assert fired([Judged(0, 7000), Judged(1, 8500)]) == [0, 1]


def test_after_reopening_the_higher_risk_counts() -> None:
    assert fired([Judged(0, 6000), Judged(1, 7500), Judged(2, 8999), Judged(3, 9000)]) == [0, 1, 3]


def test_an_alert_reopens_for_a_new_kind_of_reason() -> None:
    assert fired([Judged(0, 7000, (BREADTH,)), Judged(1, 7000, (NETWORK,))]) == [0, 1]
    assert fired([Judged(0, 7000, (BREADTH,)), Judged(1, 7000, (BREADTH, ENUMERATION))]) == [0, 1]


def test_another_reason_of_the_same_kind_does_not_reopen() -> None:
    assert fired([Judged(0, 7000, (BREADTH,)), Judged(1, 7000, (MORE_BREADTH,))]) == [0]


def test_kinds_seen_while_open_are_remembered_together() -> None:
    kinds = [(BREADTH,), (NETWORK,), (BREADTH, NETWORK)]
    assert fired([Judged(hour, 7000, reasons) for hour, reasons in enumerate(kinds)]) == [0, 1]


def test_every_rule_is_a_kind_of_its_own() -> None:
    assert fired([Judged(0, 9000, (ENUMERATION,)), Judged(1, 9000, (EXPORT,))]) == [0, 1]


def test_at_most_five_alerts_an_actor_and_day() -> None:
    loud = [Judged(hour, 6000, (reason,)) for hour, reason in enumerate(one_of_each_kind())]
    assert fired(loud) == [0, 1, 2, 3, 4]
    assert fired([*loud, Judged(24.5, 6000, (ENUMERATION,))]) == [0, 1, 2, 3, 4, len(loud)]


def test_going_back_and_forth_over_midnight_does_not_lift_the_daily_cap() -> None:
    """Late events of yesterday between today's: the count of today goes on."""
    reasons = one_of_each_kind()
    history = [Judged(25 if index % 2 else 23, 6000, (reason,)) for index, reason in enumerate(reasons)]
    assert len(fired(history)) <= 1 + MAX_A_DAY


def test_a_late_alert_does_not_close_the_open_one() -> None:
    late = Judged(1, 7000, (NETWORK,))
    assert fired([*at(24), late, *at(24.5, 25.5, 47)]) == [0, 1]
    assert fired([*at(60), late, *at(61)]) == [0, 1]


def one_of_each_kind() -> list[int]:
    seen: set[int] = set()
    bits = kind_bits(CODES).tolist()
    return [index for index, bit in enumerate(bits) if bit not in seen and not seen.add(bit)]  # type: ignore[func-returns-value]


def test_every_feature_and_rule_has_exactly_one_kind() -> None:
    bits = kind_bits(CODES)
    assert all(bin(int(bit)).count("1") == 1 for bit in bits)
    assert bits[ENUMERATION] != bits[EXPORT]
    assert len({int(bit) for bit in bits[:N_FEATURES]} & {int(bit) for bit in bits[N_FEATURES:]}) == 0


def test_the_kinds_of_a_row_are_those_of_its_reasons() -> None:
    rows = [Judged(0, 1), Judged(0, 1, ()), Judged(0, 1, (BREADTH, NETWORK, MORE_BREADTH))]
    rows = [rows[1], rows[0], rows[1], rows[2], rows[1]]
    bits = kind_bits(CODES)
    both = int(bits[BREADTH] | bits[NETWORK])
    assert row_kinds(assessment_of(rows)).tolist() == [0, int(bits[BREADTH]), 0, both, 0]


def test_a_policy_comes_back_from_its_bytes() -> None:
    policy = Policy(threshold=6543, rise=100)
    assert Policy.from_content(policy.content()) == policy
    assert policy.content() == Policy(6543, rise=100).content()


def test_rollback_makes_an_alert_fire_again() -> None:
    profiles, history = Profiles(), at(1)
    events = event_arrays(1, time_us=times_of(history))
    for _ in range(2):
        profiles.begin()
        profiles.slots(events.actor_keys)
        assert fire(events, assessment_of(history), profiles, POLICY).tolist() == [0]
        profiles.rollback()


@pytest.mark.parametrize(("actors", "budget"), [(500, 10.0), (50, 1.0), (5000, 100.0), (0, 1 / 7), (3, 1 / 7)])
def test_the_budget_is_ten_a_day_for_500_actors_and_at_least_one_a_week(actors: int, budget: float) -> None:
    assert budget_for(actors) == pytest.approx(budget)


HISTORIES = st.lists(
    st.builds(
        Judged,
        hours=st.floats(0, 120, width=32),
        risk=st.integers(3900, 10_000),
        reasons=st.lists(st.sampled_from([BREADTH, NETWORK, ENUMERATION, EXPORT, 0, 1]), max_size=3).map(tuple),
        actor=st.integers(0, 3),
    ),
    max_size=60,
)


def numbers_of(history: list[Judged]) -> tuple[I64, I64, I64, U64]:
    actors, risks = [one.actor for one in history], [one.risk for one in history]
    kinds = row_kinds(assessment_of(history))
    return np.array(actors, np.int64), times_of(history), np.array(risks, np.int64), kinds


@settings(deadline=None)
@given(HISTORIES, st.integers(4000, 10_000))
def test_history_is_counted_as_the_stream_fires(history: list[Judged], threshold: int) -> None:
    assert len(fired(history, Policy(threshold))) == count_fired(threshold, *numbers_of(history))


@settings(deadline=None)
@given(HISTORIES, st.sampled_from([1, 2, 7]))
def test_how_the_log_is_cut_into_batches_changes_no_alert(history: list[Judged], split: int) -> None:
    assert fired(history, split=split) == fired(history)


@settings(deadline=None)
@given(HISTORIES)
def test_alerts_keep_every_promise_of_suppression(history: list[Judged]) -> None:
    history = sorted(history, key=lambda one: one.hours)
    times, kinds = times_of(history).tolist(), row_kinds(assessment_of(history)).tolist()
    last: dict[int, tuple[int, int, int]] = {}  # actor -> time, risk and kinds of the open alert
    a_day: Counter[tuple[int, int]] = Counter()
    firing = set(fired(history))
    for row, one in enumerate(history):
        time_us, risk, seen = last.get(one.actor, (-OPEN_US, 0, 0))
        is_open = times[row] - time_us < OPEN_US
        news = not is_open or one.risk >= risk + RISE or kinds[row] & ~seen
        day = (one.actor, times[row] // DAY_US)
        assert (row in firing) == bool(one.risk >= POLICY.threshold and news and a_day[day] < MAX_A_DAY)
        if row in firing:
            a_day[day] += 1
            merged = (max(one.risk, risk), kinds[row] | seen) if is_open else (one.risk, kinds[row])
            last[one.actor] = (times[row], *merged)


@settings(deadline=None)
@given(HISTORIES, st.floats(0, 30))
def test_the_threshold_keeps_the_budget_and_one_less_would_not(history: list[Judged], budget: float) -> None:
    numbers = numbers_of(history)
    threshold = threshold_for_budget(*numbers, budget)
    assert count_fired(threshold, *numbers) <= budget
    assert threshold == 4000 or count_fired(threshold - 1, *numbers) > budget
    assert 4000 <= threshold <= 10_001


def test_a_budget_of_nothing_fires_nothing() -> None:
    history = at(1, 50, risk=10_000)
    assert threshold_for_budget(*numbers_of(history), 0.5) == 10_001
    assert threshold_for_budget(*numbers_of(history), 2.0) == 4000
    assert threshold_for_budget(*numbers_of([]), 0.0) == 4000
