"""Rule inactive_account: nobody should be using this account."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from detectors.base import F32, U16, EventArrays, Reason

FLOOR = 9000


class InactiveAccount:
    """A successful access by an account whose owner has left or is on leave at event time."""

    name = "inactive_account"

    @property
    def reasons(self) -> Mapping[str, Reason]:
        """Its one reason."""
        code = f"rule:{self.name}"
        return {
            code: Reason(
                code=code,
                title_en="account of someone who left or is on leave",
                title_zh="离职或休假人员的账号被使用",
                next_step_en="Disable the account now and ask who used it.",
                next_step_zh="立即停用该账号，并查明使用者。",
                articles=("pipl-51",),
            )
        }

    def risk(self, events: EventArrays, features: F32, surprisals: F32) -> U16:
        """The floor where the rule holds, else 0; (n,)."""
        hit = ((events.actor_status == 2) | (events.actor_status == 3)) & (events.outcome == 1)
        return np.where(hit & (events.scorable == 1), FLOOR, 0).astype(np.uint16)
