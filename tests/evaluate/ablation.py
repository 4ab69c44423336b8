"""What each part of detection adds, on one company: other scores of the same events under the same alert policy.

One pass over the events with the stream's stages keeps every event's scores. Each variant is calibrated as the product
is (a tail of history's events), gets the thresholds that keep the same budget, and fires by the same suppression:

    naive                 scikit-learn's IsolationForest as it comes, on raw columns of the event
    top-3 surprisal       no forest
    forest                the forest on surprisals
    forest + top-3        fused with the sum of the three most surprising kinds
    all witnesses         the same with the patterns: the model without rules
    with rules            the model and the rules; scheduled detectors, which look at many actors, are not in it
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.base import F32, F64, I64, EventArrays
from detectors.combine import ACCOUNTED_WEIGHT, Tail, fit_tail, top3
from detectors.evaluation.curve import actor_day_curve
from detectors.evaluation.evidence import NONE, Evidence, stories
from detectors.evaluation.recall import recall
from detectors.isolation_forest import scores
from detectors.model import Model, load
from detectors.policy import (
    _ALERT_STATE,
    LOWEST_THRESHOLD,
    NEVER,
    Findings,
    Policy,
    _fired,
    _wide,
    findings_of,
    joined,
    kind_bits,
    policy_for_budget,
)
from detectors.strength import risk_of
from detectors.train import SAMPLE_ROWS, WARM_UP_SHARE
from pipeline.adapters.directory import read_directory
from pipeline.cli.evaluate import Truth, labels_of, strengths_of
from pipeline.cli.history import DEFAULT_TIME_ZONE
from pipeline.offline import EventFile, JudgedBatch, OfflineChain, read_events
from pipeline.privacy.keys import Keyring
from pipeline.stages.assess import reasons_of

NAIVE, TOP3, FOREST, FUSED, WITNESSES, RULES = VARIANTS = (
    "naive", "top-3 surprisal", "forest", "forest + top-3", "all witnesses", "with rules",
)  # fmt: skip
OF_NO_ACCOUNT = ("silent_source", "sequence_hole", "vip_crowd")
"""Scenarios whose events are ordinary ones of many accounts: only the source or the subject stands out."""
_OTHERS = (TOP3, FOREST, FUSED)
_WATCHED = 10_000
"""A risk at which reasons are always given."""


def raw_columns(events: EventArrays) -> F32:
    """What the event itself says, float32 (n, 13): what somebody feeds to a forest who does not build features."""
    names = (
        "local_hour", "day_kind", "channel", "action", "outcome", "sensitivity", "records", "bytes_out",
        "subject_count", "network_kind", "agent_kind", "source_abroad", "recipient",
    )  # fmt: skip
    return np.stack([getattr(events, name).astype(np.float32) for name in names], 1)


def other_scores(model: Model, surprisals: F32) -> dict[str, F64]:
    """The scores that the model's parts would give alone, before calibration, (n,) each."""
    of_forest = scores(model.forest, surprisals)
    summed = top3(surprisals)
    heard = [
        tail.surprisal(score) for tail, score in zip(model.calibration.witnesses[:2], (of_forest, summed), strict=True)
    ]
    return {TOP3: summed, FOREST: of_forest, FUSED: heard[0] + heard[1]}


@dataclass(slots=True)
class History:
    """What the calibration of the variants is fitted to: events of the part that the model was fitted to."""

    raw: list[F32] = field(default_factory=list)
    scores: dict[str, list[F64]] = field(default_factory=lambda: {name: [] for name in _OTHERS})


@dataclass(slots=True)
class Seen:
    """The scored events of one pass."""

    levels: dict[str, list[F64]] = field(default_factory=lambda: {name: [] for name in VARIANTS})
    anomaly: list[npt.NDArray[np.uint32]] = field(default_factory=list)
    actors: list[I64] = field(default_factory=list)
    findings: dict[str, list[Findings]] = field(default_factory=lambda: {name: [] for name in VARIANTS})
    rows: list[I64] = field(default_factory=list)
    """The events that any variant's thresholds could let through, as places among all scored ones."""


class Ablation:
    """One company's pass: `learn` from history, then `see` the rest, then `result`."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._history, self._seen = History(), Seen()
        self._tails: dict[str, Tail] = {}
        self._naive: Any = None
        self._count = 0

    def learn(self, one: JudgedBatch, fitted_from_us: int) -> None:
        """Keeps scores of a batch of history."""
        arrays = one.judged.arrays
        rows = np.flatnonzero((arrays.scorable == 1) & (arrays.event_time_us >= fitted_from_us))
        if len(rows):
            self._history.raw.append(raw_columns(arrays)[rows])
            for name, score in other_scores(self._model, one.judged.assessment.surprisals[rows]).items():
                self._history.scores[name].append(score)

    def calibrate(self) -> None:
        """Fits the naive forest and every variant's tail to what was learnt."""
        from sklearn.ensemble import IsolationForest

        raw = np.concatenate(self._history.raw)
        sample = raw[:: max(1, -(-len(raw) // SAMPLE_ROWS))]
        self._naive = IsolationForest(random_state=0).fit(sample)
        self._tails = {name: fit_tail(np.concatenate(parts)) for name, parts in self._history.scores.items()}
        self._tails[NAIVE] = fit_tail(-self._naive.score_samples(sample))
        self._history = History()

    def see(self, one: JudgedBatch, actors: I64) -> None:
        """Keeps levels and findings of a batch of scored events."""
        arrays, assessment = one.judged.arrays, one.judged.assessment
        weight = np.where((arrays.explained == 1) | (arrays.approved == 1), ACCOUNTED_WEIGHT, 1.0)
        tails = {
            name: self._tails[name].surprisal(score) * weight
            for name, score in other_scores(self._model, assessment.surprisals).items()
        }
        tails[NAIVE] = self._tails[NAIVE].surprisal(-self._naive.score_samples(raw_columns(arrays)))
        levels = {name: np.where(arrays.scorable == 1, tail * 2000.0, 0.0) for name, tail in tails.items()}
        levels[WITNESSES] = assessment.level.astype(np.float64)
        levels[RULES] = risk_of(assessment.level, assessment.floor).astype(np.float64)
        whole = findings_of(assessment, actors, arrays.event_time_us)
        reached = np.maximum.reduce([levels[name] for name in VARIANTS]) >= LOWEST_THRESHOLD
        rows = np.flatnonzero(reached).astype(np.int64)
        plain = _of_features(whole.at(rows), assessment.surprisals[rows], assessment.reason_codes)
        for name in VARIANTS:
            self._seen.levels[name].append(levels[name])
            found = replace(plain, level=np.rint(levels[name][rows]).astype(np.int64))
            if name == NAIVE:  # says no reasons
                found = replace(found, first=np.zeros_like(found.first), kinds=np.zeros_like(found.kinds))
            self._seen.findings[name].append(whole.at(rows) if name == RULES else found)
        self._seen.rows.append(rows + self._count)
        self._seen.anomaly.append(assessment.anomaly_score)
        self._seen.actors.append(actors)
        self._count += len(actors)

    def result(self, events: EventFile, truth: Truth, budget_per_day: float) -> dict[str, Any]:
        """Each variant's recall, curve, alerts and precision."""
        row_of = {event_id: row for row, event_id in enumerate(events.ids)}
        none = np.zeros(0, np.int64)
        evidence = Evidence(
            np.zeros(self._count), np.zeros(self._count), np.concatenate(self._seen.actors), events.time_us, none, none,
            none, (), stories(labels_of(truth), row_of), stories((), row_of), strengths_of(truth),
        )  # fmt: skip
        return {name: self._variant(name, evidence, budget_per_day * events.days) for name in VARIANTS}

    def _variant(self, name: str, evidence: Evidence, fired_at_most: float) -> dict[str, Any]:
        findings = joined(self._seen.findings[name])
        policy = policy_for_budget(findings, fired_at_most)
        fired = np.concatenate(self._seen.rows)[fired_rows(findings, policy)]
        tie = np.concatenate(self._seen.anomaly) if name in (WITNESSES, RULES) else np.zeros(self._count)
        judged = replace(
            evidence,
            risk=np.concatenate(self._seen.levels[name]),
            anomaly=tie.astype(np.float64),
            alert_row=fired,
            alert_actor=evidence.actor[fired],
            alert_time_us=evidence.time_us[fired],
        )
        found = recall(judged)
        return {
            "recall": found["recall"],
            "recall_by_strength": found["recall_by_strength"],
            "pr_auc_actor_day": actor_day_curve(judged),
            "pr_auc_of_accounts": actor_day_curve(_of_accounts(judged)),
            "alerts": len(fired),
            "precision": round(float((~judged.is_false).mean()), 4) if len(fired) else None,
        }


def _of_accounts(evidence: Evidence) -> Evidence:
    """Without the events of attacks that no account commits: a source that fails, a crowd of which each looks once."""
    of_none = [number for number, name in enumerate(evidence.attacks.scenarios) if name in OF_NO_ACCOUNT]
    return replace(evidence, actor=np.where(np.isin(evidence.attacks.of_event, of_none), NONE, evidence.actor))


def _of_features(findings: Findings, surprisals: F32, codes: Any) -> Findings:
    """The same findings with no rule among floors and reasons."""
    ends, reasons = reasons_of(surprisals, np.full(len(surprisals), _WATCHED, np.uint16), [])
    bits = kind_bits(codes)
    first, kinds = np.zeros((2, len(ends)), np.uint64)
    sizes = np.diff(ends, prepend=0)
    np.bitwise_or.at(kinds, np.repeat(np.arange(len(sizes)), sizes), bits[reasons])
    told = np.flatnonzero(sizes)
    first[told] = bits[reasons[ends[told] - sizes[told]]]
    return replace(findings, floor=np.zeros_like(findings.floor), first=first, kinds=kinds)


def fired_rows(findings: Findings, policy: Policy) -> I64:
    """The findings that fire under the policy, from an empty memory."""
    rows = findings.reach(policy)
    size = int(findings.actors.max()) + 1 if len(findings.actors) else 1
    state: dict[str, npt.NDArray[Any]] = {name: np.zeros(size, _wide(name)) for name in _ALERT_STATE}
    chosen: I64 = rows[_fired(findings.at(rows), state, policy)]
    return chosen


def run(folder: Path, truth: Truth, budget_per_day: float) -> dict[str, Any]:
    """The ablation of a company whose history, rest, model and directory lie in `folder`."""
    model = load(folder / "model")
    directory = read_directory(folder / "directory", Keyring.offline())
    chain = OfflineChain(directory, Keyring.offline(), model, Policy(NEVER), DEFAULT_TIME_ZONE)
    ablation = Ablation(model)
    history = read_events([str(folder / "history.ndjson.zst")])
    first_us, last_us = int(history.time_us[0]), int(history.time_us.max())
    fitted_from_us = first_us + int((last_us - first_us) * WARM_UP_SHARE)
    judging_s, begun_s = 0.0, time.process_time()
    for one in chain.run(history):
        judging_s += time.process_time() - begun_s
        ablation.learn(one, fitted_from_us)
        begun_s = time.process_time()
    count = len(history)
    del history
    ablation.calibrate()
    rest = read_events([str(folder / "rest.ndjson.zst")])
    begun_s = time.process_time()
    for one in chain.run(rest):
        judging_s += time.process_time() - begun_s
        ablation.see(one, chain.profiles.slot_of(one.judged.arrays.actor_keys))
        begun_s = time.process_time()
    count += len(rest)
    return {
        "variants": ablation.result(rest, truth, budget_per_day),
        "judged_per_s": round(count / judging_s),
        "events": count,
    }


def summary(variants: Mapping[str, Any]) -> str:
    """One line a variant."""
    return "\n".join(
        f"{name:18} recall {row['recall']} PR-AUC {row['pr_auc_actor_day']} alerts {row['alerts']}"
        for name, row in variants.items()
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.evaluate.ablation")
    parser.add_argument("folder", type=Path)
    parser.add_argument("budget", type=float, help="alerts a day")
    options = parser.parse_args()
    there = options.folder
    print(json.dumps(run(there, Truth(there / "labels.csv", there / "attacks.csv"), options.budget)))
