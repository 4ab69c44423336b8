"""What events are judged by, as people read it: the model, the thresholds, every change, the exceptions, the nights.

Place in the flow: filled from `adapters/versions_reading.py`; the console's page of models and rules. Levels in
hundredths of risk, times UTC microseconds, ids in hex.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from detectors.exceptions import AlertException
from pipeline.version_sets.sets import Activation, canonical_version, changed_parts

IN_FORCE, EXPIRED, ENDED, OTHER_KEY = "in force", "expired", "ended", "other key"
NOBODY = bytes(16)
"""Whose token stands where no person asked for a change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """A model that is or was in force. `until_us` 0: it is. `cuts`: what history takes off rules' floors."""

    model_id: str
    kind: str
    since_us: int
    until_us: int
    threshold: int
    rule_threshold: int
    signer: str
    rows: int
    trained_from_us: int
    trained_to_us: int
    alerts: int
    days: float
    cuts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeView:
    """One entry of the activation log. `by_token` "": accesstrail itself. `announced`: its access event is in Kafka."""

    number: int
    at_us: int
    kind: str
    reason: str
    by_token: str
    threshold: int
    versions_id: str
    parts_changed: Sequence[str]
    announced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionView:
    """One exception and what it held back. `last_us` 0: nothing yet. `ended_because` "" unless somebody ended it."""

    exception: AlertException
    state: str
    hits: int
    last_us: int
    ended_us: int = 0
    ended_because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesView:
    """Everything on the page. `nights`: reports of the nightly turn, the newest first, as `schedule/nightly.py` has
    them; `shadow_id` "": no model is tried beside the one in force."""

    models: Sequence[ModelView]
    changes: Sequence[ChangeView]
    exceptions: Sequence[ExceptionView]
    nights: Sequence[Mapping[str, Any]]
    shadow_id: str = ""
    model_fault: str = ""


def state_of(one: AlertException, newest: Activation | None, now_us: int) -> str:
    """How an exception of the set in force stands."""
    if newest is not None and canonical_version(newest.parts) != one.key_version:
        return OTHER_KEY
    return IN_FORCE if one.holds_at(now_us) else EXPIRED


def changes_of(history: Sequence[Activation], announced: frozenset[int], limit: int) -> list[ChangeView]:
    """The latest changes first; `history`: oldest first."""
    found = []
    before: Mapping[str, str] = {}
    for one in history:
        found.append(
            ChangeView(
                number=one.number, at_us=one.activated_at_us, kind=one.kind, reason=one.reason,
                by_token="" if one.by_token == NOBODY else one.by_token.hex(), threshold=one.threshold,
                versions_id=one.versions_id.hex(), parts_changed=changed_parts(before, one.parts),
                announced=one.number in announced,
            )
        )  # fmt: skip
        before = one.parts
    return found[::-1][:limit]
