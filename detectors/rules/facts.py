"""What rules ask of a batch: words instead of codes, amounts instead of logarithms, shared masks once a batch.

Place in the flow: made once for each batch by `floors_of` (`rule.py`), read by every predicate. n = events of the
batch; every mask is (n,) bool and must not be written to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt

from detectors.base import F32, I64, EventArrays
from detectors.features import FEATURES, INDEX
from pipeline import events as words

Mask = npt.NDArray[np.bool_]

VOCABULARIES: Mapping[str, tuple[str, ...]] = {
    "actor_type": words.ACTOR_TYPES, "actor_status": words.ACTOR_STATUSES, "day_kind": words.DAY_KINDS,
    "channel": words.CHANNELS, "action": words.ACTIONS, "outcome": words.OUTCOMES, "recipient": words.RECIPIENT_TYPES,
    "explained": words.EXPLAINED, "purpose_fit": words.PURPOSE_FITS, "contract": words.CONTRACT_FITS,
    "network_kind": words.NETWORK_KINDS, "agent_kind": words.AGENT_KINDS, "legal_basis": words.LEGAL_BASES,
}  # fmt: skip
"""The fields of `EventArrays` that hold codes of words."""

SENSITIVE = 3
"""From this sensitivity on (1–4) data harm people when they leak."""
FEW = 5
"""So many data subjects can be meant one by one; in a longer list nobody was looked for."""

_CODES = {field: words.codes(vocabulary) for field, vocabulary in VOCABULARIES.items()}
_SCALES = {feature.name: feature.scale for feature in FEATURES}


@cache
def level_of(feature: str, amount: float) -> np.float32:
    """The feature's value for an amount in its own unit (accesses, days, km/h): its logarithm where kept as one."""
    scale = _SCALES[feature]
    return np.float32(math.log1p(amount) if scale == "log1p" else math.log(amount) if scale == "exp" else amount)


def all_of(first: Mask, *others: Mask) -> Mask:
    """Where every mask holds."""
    mask = first
    for other in others:
        mask = np.logical_and(mask, other)
    return mask


def any_of(first: Mask, *others: Mask) -> Mask:
    """Where one of the masks holds at least."""
    mask = first
    for other in others:
        mask = np.logical_or(mask, other)
    return mask


class Facts:
    """One batch as rules see it; a shared mask is computed when it is first asked for."""

    def __init__(self, events: EventArrays, features: F32) -> None:
        self.events = events
        self._features = features

    def at_least(self, feature: str, amount: float) -> Mask:
        """Where a feature reaches an amount, given in the feature's own unit."""
        reached: Mask = self._features[:, INDEX[feature]] >= level_of(feature, amount)
        return reached

    def counted(self, feature: str) -> F32:
        """A counting feature (kept as log1p) as the count it stands for, (n,)."""
        count: F32 = np.expm1(self._features[:, INDEX[feature]])
        return count

    def is_(self, field: str, *names: str) -> Mask:
        """Where an enumerated field holds one of these words."""
        values, codes = getattr(self.events, field), _CODES[field]
        return any_of(*(values == codes[name] for name in names))

    @cached_property
    def judged(self) -> Mask:
        """Somebody's behaviour: no heartbeat, no change of accesstrail's own, no duplicate."""
        return np.equal(self.events.scorable, 1)

    @cached_property
    def unexplained(self) -> Mask:
        """No work item covers the access (one that is only claimed does not count)."""
        return np.logical_not(self.is_("explained", "explained"))

    @cached_property
    def unapproved(self) -> Mask:
        """No approval is named. Whether it exists is the approving system's to say: rules believe the reference."""
        return np.equal(self.events.approved, 0)

    @cached_property
    def success(self) -> Mask:
        """The access was carried out."""
        return self.is_("outcome", "success")

    @cached_property
    def person(self) -> Mask:
        """Somebody of the company or of a partner: no service, AI agent or customer."""
        return np.logical_not(self.is_("actor_type", "service", "customer", "ai_agent"))

    @cached_property
    def service(self) -> Mask:
        """An account of a program."""
        return self.is_("actor_type", "service")

    @cached_property
    def sensitive(self) -> Mask:
        """Data of sensitivity 3 or 4; unknown sensitivity is not sensitive."""
        return np.greater_equal(self.events.sensitivity, SENSITIVE)

    @cached_property
    def taken_out(self) -> Mask:
        """Data were carried off: exported, downloaded, shared or printed, with success."""
        return all_of(self.is_("action", "export", "download", "share", "print"), self.success)

    @cached_property
    def few_subjects(self) -> Mask:
        """Five at most: they were looked at, not listed."""
        return np.less_equal(self.size, FEW)

    @cached_property
    def size(self) -> I64:
        """Records or data subjects of the access, whichever are more."""
        return np.maximum(self.events.records, self.events.subject_count)
