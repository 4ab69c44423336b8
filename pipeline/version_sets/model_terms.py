"""Which models were in force for a topic, when, and under which threshold: read off the activation log.

Place in the flow: `accesstrail models list`. Pure: activations in, terms out. Times are UTC microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.version_sets.sets import Activation

_DAY_US = 86_400_000_000


@dataclass(slots=True)
class ModelTerm:
    """One model's time in force, all its spells together."""

    kind: str
    """How it first came into force."""
    since_us: int
    latest: Activation
    """The last activation that put it in force, or kept it there; its threshold is the last one the model had."""
    until_us: int | None = None
    """When it last ceased to be; None: it is in force."""
    in_force_us: int = 0
    versions_ids: set[bytes] = field(default_factory=set)

    @property
    def days(self) -> float:
        """Days in force."""
        return self.in_force_us / _DAY_US


def terms(history: Sequence[Activation], now_us: int) -> list[ModelTerm]:
    """Every model that was ever in force, the latest first; `history`: the topic's activations, oldest first."""
    found: dict[str, ModelTerm] = {}
    ends = [*(one.activated_at_us for one in history[1:]), None] if history else []
    for one, end in zip(history, ends, strict=True):
        artefact = one.parts.get("model")
        if artefact is None:
            continue
        # Taken out and put in again, so that the order is that of the last spell.
        term = found.pop(artefact, None) or ModelTerm(one.kind, one.activated_at_us, one)
        found[artefact] = term
        term.latest, term.until_us = one, end
        term.in_force_us += (now_us if end is None else end) - one.activated_at_us
        term.versions_ids.add(one.versions_id)
    return list(found.values())[::-1]
