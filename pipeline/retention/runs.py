"""A run of retention: which class, up to when, and the digest that its announcement carries.

Place in the flow: planned by `accesstrail retention run`, announced as an access event whose id is the run's and whose
fingerprint is the digest of the run, so that the ledger says what was to be deleted before anything was.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256

PLANNED, DELETING, DONE = "planned", "deleting", "done"
DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRun:
    """What a run may delete: rows of the class received before `bound_us`; what was handed to others, received before
    `provision_bound_us` only. UTC µs.
    """

    run_id: str
    retention_class: str
    days: int
    provision_days: int
    bound_us: int
    provision_bound_us: int
    by: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of all of it but who started it, hex."""
        said = {
            "run_id": self.run_id, "retention_class": self.retention_class, "days": self.days,
            "provision_days": self.provision_days, "bound_us": self.bound_us,
            "provision_bound_us": self.provision_bound_us,
        }  # fmt: skip
        return sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def is_due_at(self, at_us: int) -> bool:
        """Whether the rows it may delete have had their time at a moment."""
        return (
            self.bound_us + self.days * DAY_US <= at_us
            and self.provision_bound_us + self.provision_days * DAY_US <= at_us
            and self.provision_bound_us <= self.bound_us
        )


def run_of(
    run_id: str, retention_class: str, days: int, provision_days: int, now_us: int, by: str = ""
) -> RetentionRun:
    """The run that is due now."""
    bound_us = now_us - days * DAY_US
    return RetentionRun(
        run_id=run_id, retention_class=retention_class, days=days, provision_days=provision_days, bound_us=bound_us,
        provision_bound_us=min(bound_us, now_us - provision_days * DAY_US), by=by,
    )  # fmt: skip
