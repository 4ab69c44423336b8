"""The nightly turn: an alert budget kept by moving the threshold, and a report of budget, drift and shadow model.

Place in the flow: beside it, after a local day is over and sealed; run by whoever runs the scheduled detectors. Steps:

1. what could have fired in the fourteen days that end with this one, and what scheduled detectors fired → policy
2. another policy → a new version set in force, told as an access event, by nobody's hand (kind `budget`)
3. sample of this week against the four weeks before → drift
4. a shadow model's findings beside those of the model in force → how the two compare
5. the report → store; a night without its row is repeated, and step 2 is done once a day whatever happens

Days are local days of the deployment's time zone, events counted by event time. See DESIGN "alert budget".
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import reduce
from itertools import takewhile
from operator import or_
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from detectors.base import EXCEPTION_CODE, F32, F64, I64
from detectors.budget import HISTORY_DAYS, ORDINARY_DAYS, budget_night, most_of_a_day, ordinary_days
from detectors.drift import Shift, feature_shifts, risk_shifts
from detectors.features import FEATURE_VERSION, KIND_OF, NAMES
from detectors.policy import Findings, Policy, fired_rows, kind_bits
from detectors.scheduled import SCHEDULED
from detectors.scheduled.base import DAY_US, Cadence
from pipeline.schedule.runner import Versions

_log = logging.getLogger(__name__)
RECENT_DAYS, REFERENCE_DAYS = 7, 28
_SHOWN_SHIFTS = 10
NIGHT = Cadence(unit="day", lateness_s=3600, history_days=0, quiet_slots=0)
_DAY_ZERO = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Kept:
    """Judgements that were kept from the watch level on, in log order within each actor, (n,) each."""

    actors: I64
    time_us: I64
    level: I64
    floor: I64
    """Both as exceptions left them; reasons that they took away stand behind their code."""
    reasons: Sequence[tuple[str, ...]]
    shadow_level: I64
    shadow_floor: I64
    shadow_reasons: Sequence[tuple[str, ...]]

    def findings(self) -> Findings:
        """As the model in force judged."""
        return _findings(self, self.level, self.floor, self.reasons)

    def shadow_findings(self) -> Findings:
        """As the shadow model judged."""
        return _findings(self, self.shadow_level, self.shadow_floor, self.shadow_reasons)


@dataclass(frozen=True, slots=True)
class Sampled:
    """Events kept by chance: features (n, k), risk in points (n,), peer groups (n,)."""

    features: F32
    risk: F64
    groups: npt.NDArray[np.str_]


class NightStore(Protocol):
    """What a night needs of the store; every method may raise Away or StoreRefused. Times UTC microseconds."""

    def last_night(self, topic: str) -> int | None:
        """The newest day that has its report."""
        ...

    def active(self, from_us: int, until_us: int) -> Sequence[int]:
        """How many accounts were active on each day from the first that had any, oldest first."""
        ...

    def kept(self, topic: str, from_us: int, until_us: int, shadow_id: str) -> Kept:
        """Judgements that any threshold could let through, of the shadow model with this id too (empty: none)."""
        ...

    def sampled(self, topic: str, from_us: int, until_us: int, feature_version: str) -> Sampled:
        """The events kept by chance, at most a few ten thousand of them."""
        ...

    def fired(self, topic: str, from_us: int, until_us: int) -> Mapping[tuple[str, int], int]:
        """Alerts by detector and day of UTC: neither the system's own alarms nor those taken back."""
        ...

    def record_night(self, row: Mapping[str, Any]) -> None:
        """Keeps the report of a day."""
        ...


@dataclass(frozen=True, slots=True)
class InForce:
    """What of the version set in force a night needs."""

    versions_id: bytes
    policy: Policy
    model_id: str
    budget_per_day: float
    shadow_id: str = ""
    shadow_policy: Policy | None = None


@dataclass(slots=True)
class NightProgress:
    """What the nightly turn says of itself."""

    ratio: float | None = None
    """Fired in the fourteen days, of the budget."""
    threshold: int = 0
    shifted: int = 0
    last_day: int | None = None


@dataclass(slots=True)
class Nightly:
    """Runs what is due. `put_in_force(day, policy)`: another policy, once a day; returns the one in force then."""

    topic: str
    runner: str
    store: NightStore
    in_force: Callable[[], InForce | None]
    put_in_force: Callable[[int, Policy], Policy]
    keeps_budget: bool = True
    progress: NightProgress = field(default_factory=NightProgress)

    def turn(self, mark_us: int, versions: Versions) -> None:
        """Does the newest day that is over, unless it is done. Raises: Away; StoreRefused: it is tried again.

        The first one only begins the series: of days before it history may still be on its way in.
        """
        zone = versions.zone
        day = NIGHT.slot_of(mark_us - NIGHT.lateness_s * 1_000_000, zone) - 1
        if self.progress.last_day is None:
            self.progress.last_day = self.store.last_night(self.topic)
        is_first = self.progress.last_day is None
        if self.progress.last_day is not None and day <= self.progress.last_day:
            return
        current = self.in_force()
        if current is None:
            return  # no model: nothing fires
        end_us = NIGHT.start_us(day + 1, zone)
        kept = self.store.kept(self.topic, end_us - HISTORY_DAYS * DAY_US, end_us, current.shadow_id)
        budget, policy = self._budget(day, end_us, current, kept, is_first=is_first)
        drift = self._drift(end_us)
        report = {
            "day": day_text(day),
            "model_id": current.model_id,
            "budget": budget,
            "drift": drift,
            "shadow": _shadow(kept, current),
        }
        self.store.record_night(
            {
                "day": day, "watermark": mark_us, "versions_id": current.versions_id, "topic": self.topic,
                "runner": self.runner, "threshold_before": current.policy.threshold, "threshold": policy.threshold,
                "report": json.dumps(report, ensure_ascii=False, sort_keys=True),
            }
        )  # fmt: skip
        self.progress.last_day, self.progress.threshold = day, policy.threshold
        self.progress.ratio, self.progress.shifted = budget["ratio"], len(drift["shifted"])
        _log.info("nightly report: day=%s threshold=%d", report["day"], policy.threshold)

    def _budget(
        self, day: int, end_us: int, current: InForce, kept: Kept, *, is_first: bool
    ) -> tuple[dict[str, Any], Policy]:
        from_us = end_us - HISTORY_DAYS * DAY_US
        active = self.store.active(end_us - ORDINARY_DAYS * DAY_US, end_us)
        days = min(HISTORY_DAYS, len(active))
        worth = ordinary_days(active, days)
        fired, scheduled = self._fired(from_us, end_us, most_of_a_day(current.budget_per_day))
        policy, why = current.policy, "kept"
        if not self.keeps_budget:
            why = "off"
        elif is_first:
            why = "begun"
        else:
            night = budget_night(kept.findings(), worth, scheduled, current.budget_per_day, current.policy)
            if night.has_moved:
                policy, why = self.put_in_force(day, night.after), "moved"
        count = sum(fired.values())
        return {
            "per_day": round(current.budget_per_day, 3),
            "days": days,
            "ordinary_days": round(worth, 2),
            "fired": dict(sorted(fired.items())),
            "fired_a_day": round(count / days, 3) if days else None,
            "ratio": round(count / days / current.budget_per_day, 3) if days else None,
            "threshold_before": current.policy.threshold / 100,
            "threshold": policy.threshold / 100,
            "rule_threshold": policy.rule_threshold / 100,
            "why": why,
        }, policy

    def _fired(self, from_us: int, end_us: int, most_of_a_day: float) -> tuple[dict[str, int], int]:
        """What fired by detector; and what scheduled detectors take of the budget, a day at most so much."""
        by_detector: Counter[str] = Counter()
        by_day: Counter[int] = Counter()
        names = {one.name for one in SCHEDULED}
        for (name, day), count in self.store.fired(self.topic, from_us, end_us).items():
            by_detector[name] += count
            by_day[day] += count if name in names else 0
        return dict(by_detector), round(sum(min(count, most_of_a_day) for count in by_day.values()))

    def _drift(self, end_us: int) -> dict[str, Any]:
        begin_us = end_us - RECENT_DAYS * DAY_US
        recent = self.store.sampled(self.topic, begin_us, end_us, FEATURE_VERSION)
        before = self.store.sampled(self.topic, begin_us - REFERENCE_DAYS * DAY_US, begin_us, FEATURE_VERSION)
        features = feature_shifts(NAMES, before.features, recent.features)
        risk = risk_shifts(before.risk, recent.risk, before.groups, recent.groups)
        return {
            "rows": len(recent.risk),
            "reference_rows": len(before.risk),
            "features": _shown(features),
            "risk": _shown(risk),
            "shifted": [one.name for one in (*risk, *features) if one.is_shifted],
        }


def _shadow(kept: Kept, current: InForce) -> dict[str, Any] | None:
    if current.shadow_policy is None:
        return None
    return {"model_id": current.shadow_id, **compare(kept, current.policy, current.shadow_policy)}


def compare(kept: Kept, policy: Policy, shadow_policy: Policy) -> dict[str, Any]:
    """What both models would have fired on the same events, suppression included, each by its own policy."""
    ours, theirs = kept.findings(), kept.shadow_findings()
    fired, shadow_fired = fired_rows(ours, policy), fired_rows(theirs, shadow_policy)
    days = [
        {(int(kept.actors[row]), int(kept.time_us[row]) // DAY_US) for row in rows.tolist()}
        for rows in (fired, shadow_fired)
    ]
    union = days[0] | days[1]
    return {
        "alerts": len(fired),
        "shadow_alerts": len(shadow_fired),
        "both_actor_days": len(days[0] & days[1]),
        "only_in_force_actor_days": len(days[0] - days[1]),
        "only_shadow_actor_days": len(days[1] - days[0]),
        "overlap": round(len(days[0] & days[1]) / len(union), 3) if union else None,
    }


def _findings(kept: Kept, level: I64, floor: I64, told: Sequence[tuple[str, ...]]) -> Findings:
    reasons = [tuple(takewhile(lambda code: not code.startswith(EXCEPTION_CODE), one)) for one in told]
    codes = sorted({code for one in reasons for code in one if _has_kind(code)})
    bits = dict(zip(codes, kind_bits(codes).tolist(), strict=True))
    first = np.array([bits.get(one[0], 0) if one else 0 for one in reasons], np.uint64)
    kinds = np.array([reduce(or_, (bits.get(code, 0) for code in one), 0) for one in reasons], np.uint64)
    return Findings(kept.actors, kept.time_us, level, floor, first, kinds)


def _has_kind(code: str) -> bool:
    """Whether a reason code is one of a rule or of a feature that is known still."""
    sort, _, name = code.partition(":")
    return sort == "rule" or (sort == "feature" and name in KIND_OF)


def _shown(shifts: Sequence[Shift]) -> list[list[Any]]:
    return [[one.name, one.index] for one in shifts[:_SHOWN_SHIFTS]]


def day_text(day: int) -> str:
    """A local day as a date."""
    return (_DAY_ZERO + timedelta(days=day)).isoformat()
