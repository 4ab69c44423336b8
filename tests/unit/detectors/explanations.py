"""Events to explain, made by hand: what was seen, how rare it is, what is usual; and colleagues with known days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from detectors import surprisal
from detectors.base import Assessment, EventArrays
from detectors.combine import Calibration, Tail
from detectors.explain import Context, Explanation, explain
from detectors.features import FEATURES, INDEX, N_FEATURES, NAMES
from detectors.rules import all_rules
from detectors.surprisal import N_ORDER
from tests.arrays import event_arrays
from tests.models import small_model

RULE_CODES = [code for rule in all_rules() for code in rule.reasons]
CODES = [*(f"feature:{name}" for name in NAMES), *RULE_CODES]
WORDS = {code: reason for rule in all_rules() for code, reason in rule.reasons.items()}
AGENTS, ANALYSTS, SMALL = "customer_service/agent", "risk/analyst", "legal/counsel"
SCALES = {feature.name: feature.scale for feature in FEATURES}


def days_up_to(most: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A thousand days of which a tenth stays under a tenth of `most`, and a tenth above nine tenths."""
    return np.repeat(np.log1p(np.linspace(0, most, 1000))[:, np.newaxis], N_FEATURES, 1).astype(np.float32)


PEERS = surprisal.fit(
    np.concatenate((days_up_to(100.0), days_up_to(1000.0))),
    [AGENTS, ANALYSTS],
    np.repeat(np.array([0, 1], np.int32), 1000),
)
_NEVER = Tail(np.linspace(1e6, 2e6, 257), np.linspace(0.0, 2.0, 257), 1e-9)
_ALWAYS = Tail(np.linspace(-2.0, -1.0, 257), np.linspace(0.0, 2.0, 257), 1.0)


@cache
def context(*, forest_leads: bool = False) -> Context:
    """A model whose forest is the strongest witness, or whose surprisals are."""
    model = small_model()
    count = len(model.calibration.witnesses) - 1
    tails = (_ALWAYS, *[_NEVER] * count) if forest_leads else (_NEVER, *[_ALWAYS] * count)
    return Context(replace(model, peers=PEERS, calibration=Calibration(tails, model.calibration.fused)), WORDS)


def assessment_of(
    reasons: Sequence[Sequence[str]],
    seen: Mapping[str, float] | None = None,
    rare: Mapping[str, float] | None = None,
    own: Mapping[str, tuple[float, float]] | None = None,
    *,
    risk: int = 8000,
    floor: int = 0,
) -> Assessment:
    """Rows with these reasons. `seen`: amounts in the features' units; `rare`: surprisals; `own`: mean, deviation."""
    count = len(reasons)
    features = np.zeros((count, N_FEATURES), np.float32)
    for name, amount in (seen or {}).items():
        scale = SCALES[name]
        features[:, INDEX[name]] = (
            np.log1p(amount) if scale == "log1p" else np.log(amount) if scale == "exp" else amount
        )
    surprisals = np.zeros((count, N_FEATURES + N_ORDER), np.float32)
    for name, value in (rare or {}).items():
        surprisals[:, INDEX[name]] = value
    surprisals[:, N_FEATURES:] = surprisals[:, :N_FEATURES].max()
    usual, spread = np.full((2, count, N_FEATURES), np.nan, np.float32)
    for name, (mean, deviation) in (own or {}).items():
        usual[:, INDEX[name]], spread[:, INDEX[name]] = mean, deviation
    return Assessment(
        status=np.ones(count, np.uint8),
        anomaly_score=np.zeros(count, np.uint32),
        top3_surprisal=np.zeros(count, np.uint16),
        risk=np.full(count, risk, np.uint16),
        level=np.full(count, risk, np.uint16),
        floor=np.full(count, floor, np.uint16),
        reason_ends=np.cumsum([len(one) for one in reasons]).astype(np.int64),
        reasons=np.array([CODES.index(code) for one in reasons for code in one], np.int32),
        reason_codes=CODES,
        features=features,
        surprisals=surprisals,
        usual=usual,
        spread=spread,
    )


def open_events(count: int = 1, **fields: Any) -> EventArrays:
    return event_arrays(count, **{"explained": 3, **fields})


def told(
    reasons: Sequence[str] = (), events: EventArrays | None = None, *, forest_leads: bool = False, **values: Any
) -> Explanation:
    return explain(0, events or open_events(), assessment_of([reasons], **values), context(forest_leads=forest_leads))
