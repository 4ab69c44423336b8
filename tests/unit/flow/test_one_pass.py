"""Offline scoring under a budget judges once: what fires is what a second pass under the budget's thresholds fires."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from detectors.policy import LOWEST_THRESHOLD, NEVER, RULE_THRESHOLD, Policy, findings_of, joined, policy_for_budget
from pipeline.kept_findings import FiredAlert
from pipeline.offline import EventFile, Score, Scored, ScoringRun, score_events
from pipeline.privacy.keys import Keyring
from tests.unit.detectors.alerts import TIME_ZONE, company

EVENTS, BATCH = 9000, 700
DAY_US = 86_400_000_000
SEEKING = Policy(LOWEST_THRESHOLD, RULE_THRESHOLD)


@cache
def some_events() -> EventFile:
    """Days of a company whose profiles are still empty: many findings."""
    rest = company().rest
    return EventFile(rest.lines[:EVENTS], rest.time_us[:EVENTS], rest.ids[:EVENTS])


def a_run() -> ScoringRun:
    made = company()
    return ScoringRun(some_events(), None, made.directory, Keyring.offline(), made.model, TIME_ZONE, BATCH)


def in_two_passes(budget_per_day: float) -> Scored:
    """The plain way: one pass finds the thresholds, the next one fires by them."""
    parts = []
    for one, slots in a_run().judged(Policy(NEVER)):
        found = findings_of(one.judged.assessment, slots, one.judged.arrays.event_time_us)
        parts.append(found.at(found.reach(SEEKING)))
    policy = policy_for_budget(joined(parts), budget_per_day * some_events().days)
    alerts = []
    for one, _ in a_run().judged(policy):
        for alert in one.judged.alerts:
            alerts.append(FiredAlert(alert, *one.given[alert.row]))
    return Scored(scored_by(None).scores, alerts, policy.threshold)


def scored_by(budget_per_day: float | None, *, nightly: bool = False, most_kept: int = 100_000) -> Scored:
    made = company()
    return score_events(
        some_events(), None, made.directory, Keyring.offline(), made.model, TIME_ZONE, budget_per_day=budget_per_day,
        nightly=nightly, batch=BATCH, most_kept=most_kept,
    )  # fmt: skip


def lines(scored: Scored) -> list[Score]:
    return list(scored.scores)


@pytest.mark.parametrize("budget_per_day", [1.0, 20.0])
def test_scores_alerts_and_threshold_are_those_of_two_passes(budget_per_day: float) -> None:
    once, twice = scored_by(budget_per_day), in_two_passes(budget_per_day)
    assert twice.alerts
    assert once.alerts == twice.alerts
    assert once.threshold == twice.threshold
    assert lines(once) == lines(twice)


@pytest.mark.parametrize("most_kept", [0, 40])
def test_a_flood_of_findings_is_not_kept_and_fires_the_same(most_kept: int) -> None:
    flooded, whole = scored_by(20.0, most_kept=most_kept), scored_by(20.0)
    assert len(whole.alerts) > 20
    assert flooded.alerts == whole.alerts
    assert lines(flooded) == lines(whole)


def test_nights_begin_with_the_models_own_policy_and_change_no_score() -> None:
    nightly = scored_by(3.0, nightly=True)
    assert nightly.nights[0].before == company().model.policy
    assert nightly.threshold == nightly.nights[-1].after.threshold
    assert lines(nightly) == lines(scored_by(None))
    second_day_us = int(some_events().time_us[0]) // DAY_US * DAY_US + 16 * 3_600_000_000
    first = set(np.array(some_events().ids)[some_events().time_us < second_day_us].tolist())
    assert first
    of_first_day = [one for one in nightly.alerts if one.event_id in first]
    assert of_first_day == [one for one in scored_by(None).alerts if one.event_id in first]


def test_no_events_under_a_budget_fire_nothing() -> None:
    made, none = company(), EventFile([], np.zeros(0, np.int64), [])
    for nightly in (False, True):
        scored = score_events(
            none, None, made.directory, Keyring.offline(), made.model, TIME_ZONE, budget_per_day=5.0, nightly=nightly
        )
        assert (len(scored.scores), scored.alerts, scored.nights) == (0, [], [])
