"""From history to a model: baselines, peer tables, forest, calibration and the alert threshold of a budget.

The features come from the stream's own stages in time order, while profiles learn; the first part of the days only
warms profiles up, the rest is what the model is fitted to. Deterministic: rows are sampled by their place.

What an attacker could teach the model is bounded four ways: events named as excluded teach nothing at all; where the
model in use (the *champion*) is given, the strangest account-days by its judgement are not fitted to: a cluster of
anomalies in the history hides its like (masking); no account gives the forest more than its share of rows; tables and
calibration count days (or weeks) of accounts, so that a thousand events of one day weigh as much as one. The budget's
thresholds are set over all that was not excluded, because all of it would have alerted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from detectors import isolation_forest, surprisal
from detectors.base import F32, Assessment, EventArrays
from detectors.combine import calibrate, judge, lowered
from detectors.features import N_FEATURES, NAMES
from detectors.model import Model
from detectors.policy import budget_for, findings_of, policy_for_budget
from detectors.rules.rule import Rule, floors_of
from detectors.strength import risk_of
from pipeline.errors import UsageError

MIN_ROWS = 2_000
SAMPLE_ROWS = 100_000
WARM_UP_SHARE = 0.3
BUDGET_DAYS = 14
SCHEDULED_SHARE = 0.2
"""Of the budget, left to the scheduled detectors until nights have counted what they fire: 0.15 to 0.28 of all alerts
in eleven of twelve simulated months."""
CHAMPION_SHARE = 0.01
"""Of the account-days: those that the champion finds strangest, to which the new model is not fitted. A budget of 12
alerts a day for 400 accounts alerts on three times as many."""
ACCOUNT_SHARE = 0.02
"""Of the forest's rows: what one account may give at most; three times the mean where accounts are few."""
_ACCOUNT_MEANS = 3.0
_GOLDEN_ROWS = 64
_DAY_US = 86_400_000_000
_MANY_DAYS = 1 << 20
_RARE_RULE_DAYS, _CUT_A_DECADE = 2_000.0, 2_000.0

Reasons = Callable[[F32, npt.NDArray[np.uint16], Sequence[npt.NDArray[np.uint16]]], tuple[
    npt.NDArray[np.int64], npt.NDArray[np.int32]
]]  # fmt: skip


@dataclass(slots=True)
class _History:
    """What is kept of every event of the fitted part."""

    features: list[F32] = field(default_factory=list)
    groups: list[npt.NDArray[np.int32]] = field(default_factory=list)
    time_us: list[npt.NDArray[np.int64]] = field(default_factory=list)
    actors: list[npt.NDArray[np.int64]] = field(default_factory=list)
    days: list[npt.NDArray[np.int64]] = field(default_factory=list)
    accounted: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    floors: list[npt.NDArray[np.uint16]] = field(default_factory=list)


def train(
    batches: Iterable[tuple[EventArrays, F32, npt.NDArray[np.int64], npt.NDArray[np.bool_]]],
    first_us: int,
    last_us: int,
    rules: Sequence[Rule],
    reasons: Reasons,
    *,
    budget_per_day: float | None = None,
    champion: Model | None = None,
) -> Model:
    """Fits a model to history in time order.

    Each batch: its arrays, features (n, k), actors as small integers (n,), and the mask of rows to leave out.
    `first_us`, `last_us`: event times of the first and last event. `budget_per_day`: alerts accepted, default by the
    number of active actors. `champion`: the model in use, as a guard. Raises: UsageError: too little history.
    """
    warm_until_us = first_us + int((last_us - first_us) * WARM_UP_SHARE)
    history, group_names = _History(), dict[str, int]()
    for events, features, actors, left_out in batches:
        keep = (events.scorable == 1) & ~left_out & (events.event_time_us >= warm_until_us)
        rows = np.flatnonzero(keep)
        names = np.array([group_names.setdefault(name, len(group_names)) for name in events.peer_groups], np.int32)
        history.features.append(features[rows])
        history.groups.append(names[events.peer_group_ids[rows]])
        history.time_us.append(events.event_time_us[rows])
        history.actors.append(actors[rows])
        history.days.append(actors[rows] * _MANY_DAYS + events.local_day[rows])
        history.accounted.append(((events.explained == 1) | (events.approved == 1))[rows])
        history.floors.append(np.stack(floors_of(rules, events, features), 1)[rows])
    features = np.concatenate(history.features) if history.features else np.zeros((0, N_FEATURES), np.float32)
    if len(features) < MIN_ROWS:
        raise UsageError(
            f"too little history: {len(features)} usable events after the warm-up, at least {MIN_ROWS} are needed"
        )
    return _fitted(features, history, list(group_names), rules, reasons, budget_per_day, champion)


def _fitted(
    features: F32,
    history: _History,
    group_names: list[str],
    rules: Sequence[Rule],
    reasons: Reasons,
    budget_per_day: float | None,
    champion: Model | None,
) -> Model:
    groups, time_us = np.concatenate(history.groups), np.concatenate(history.time_us)
    actors, floors = np.concatenate(history.actors), np.concatenate(history.floors)
    days, accounted = np.concatenate(history.days), np.concatenate(history.accounted)
    strange = _strangest_days(champion, features, group_names, groups, days, accounted)
    learnt = np.flatnonzero(~strange)
    largest, begins = surprisal.daily_largest(features[learnt], days[learnt])
    account, local_day = np.divmod(days[learnt], _MANY_DAYS)
    weeks = surprisal.weeks_of(features[learnt], account, local_day, groups[learnt])
    peers = surprisal.fit(largest.astype(np.float32), group_names, groups[learnt][begins], weeks)
    table = peers.index(group_names, groups)
    surprise = surprisal.surprisals(features, table, peers)
    step = max(1, -(-len(learnt) // SAMPLE_ROWS))
    sample = within_share(learnt[::step], actors)
    forest = isolation_forest.fit(surprise[sample])
    calibration = calibrate(isolation_forest.scores(forest, surprise[learnt]), surprise[learnt], days[learnt])
    judged = judge(forest, calibration, surprise, accounted)
    held = {rule.name: floors[learnt, index] > 0 for index, rule in enumerate(rules)}
    cuts = {name: rule_cut(days[learnt][here], days[learnt]) for name, here in held.items()}
    by_rule = [lowered(floors[:, index], cuts[rule.name]) for index, rule in enumerate(rules)]
    floor = np.maximum.reduce(by_rule) if by_rule else np.zeros(len(features), np.uint16)
    risk = risk_of(judged.level, floor)
    ends, codes = reasons(surprise, risk, by_rule)
    names = [*(f"feature:{name}" for name in NAMES), *(code for rule in rules for code in rule.reasons)]
    assessment = Assessment(
        np.ones(len(risk), np.uint8), judged.anomaly, judged.top3, risk, judged.level, floor, ends, codes, names,
        features, surprise, features, features,
    )  # fmt: skip
    recent = np.flatnonzero(time_us >= time_us.max() - BUDGET_DAYS * _DAY_US)
    length_days = max(1.0, float(time_us[recent].max() - time_us[recent].min()) / _DAY_US)
    active = _active_a_day(actors[recent], time_us[recent])
    budget = budget_for(active) if budget_per_day is None else budget_per_day
    fired_at_most = budget * (1.0 - SCHEDULED_SHARE) * length_days
    policy = policy_for_budget(findings_of(assessment, actors, time_us).at(recent), fired_at_most)
    about = {
        "rows": len(features),
        "first_event_us": int(time_us.min()),
        "last_event_us": int(time_us.max()),
        "peer_groups": {name: int((groups == index).sum()) for index, name in enumerate(group_names)},
        "actors_active_a_day": round(active, 1),
        "budget_per_day": round(budget, 3),
        "left_out": {"strangest_events": int(strange.sum()), "strangest_account_days": len(np.unique(days[strange]))},
        "forest": {
            "trees": isolation_forest.TREES,
            "max_samples": isolation_forest.MAX_SAMPLES,
            "sampled_every": step,
            "rows_over_an_account_s_share": len(learnt[::step]) - len(sample),
        },
    }
    golden = features[
        np.argsort(-judged.anomaly.astype(np.int64), kind="stable")[:: max(1, len(features) // _GOLDEN_ROWS)]
    ]
    return Model(
        forest, peers, calibration, policy.threshold, golden[:_GOLDEN_ROWS].copy(), about, cuts, policy.rule_threshold
    )


def _strangest_days(
    champion: Model | None,
    features: F32,
    group_names: Sequence[str],
    groups: npt.NDArray[np.int32],
    days: npt.NDArray[np.int64],
    accounted: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_]:
    """The events (n,) of the account-days whose strangest event the champion puts highest; of equal ones the first.

    Whole days: what made one event of a burst strange made most others strange too.
    """
    if champion is None:
        return np.zeros(len(features), np.bool_)
    surprise = surprisal.surprisals(features, champion.peers.index(group_names, groups), champion.peers)
    level = judge(champion.forest, champion.calibration, surprise, accounted).level
    names, place = np.unique(days, return_inverse=True)
    highest = np.zeros(len(names), np.int64)
    np.maximum.at(highest, place, level.astype(np.int64))
    most = math.ceil(CHAMPION_SHARE * len(names))
    chosen = np.zeros(len(names), np.bool_)
    chosen[np.argsort(-highest, kind="stable")[:most]] = True
    strangest: npt.NDArray[np.bool_] = chosen[place]
    return strangest


def within_share(rows: npt.NDArray[np.int64], actors: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Of the rows, those that leave no account more than its share; what is kept of one is evenly spread over its rows.

    `actors` (n,): the account of each event; `rows` (r,) index into it.
    """
    accounts, place, counts = np.unique(actors[rows], return_inverse=True, return_counts=True)
    most = math.ceil(max(ACCOUNT_SHARE, _ACCOUNT_MEANS / max(1, len(accounts))) * len(rows))
    order = np.argsort(place, kind="stable")
    turn = np.empty(len(rows), np.int64)
    turn[order] = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    total = counts[place].astype(np.int64)
    keep = (total <= most) | ((turn + 1) * most // total > turn * most // total)
    return rows[keep]


def rule_cut(days_held: npt.NDArray[np.int64], days: npt.NDArray[np.int64]) -> int:
    """What a rule's floor loses (hundredths) by the days of accounts, numbered as in `train`, on which it held.

    20 for every tenfold of one day in 2,000; as much again at most, 20 for every tenfold of accounts: a rule that holds
    on one ordinary day in 200 of many people says little of any of them. One account alone takes no more off it: who
    repeats a burst for a week before the training is not to talk a rule away.
    """
    held = np.unique(days_held)
    share = (len(held) + 0.5) / len(np.unique(days))
    often = max(0.0, math.log10(share * _RARE_RULE_DAYS))
    widely = math.log10(max(1, len(np.unique(held // _MANY_DAYS))))
    return round(_CUT_A_DECADE * (often + min(often, widely)))


def _active_a_day(actors: npt.NDArray[np.int64], time_us: npt.NDArray[np.int64]) -> float:
    """Mean number of actors seen on a day that has any."""
    pairs = np.unique(np.stack((time_us // _DAY_US, actors), 1), axis=0)
    return len(pairs) / max(1, len(np.unique(pairs[:, 0])))
