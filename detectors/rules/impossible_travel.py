"""Rule impossible_travel: somebody else uses the account."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from detectors.base import F32, U16, EventArrays, Reason
from detectors.features import INDEX

FLOOR = 8000


class ImpossibleTravel:
    """More than 1,000 km/h between two accesses of a person, from networks that are no VPN or cloud."""

    name = "impossible_travel"

    @property
    def reasons(self) -> Mapping[str, Reason]:
        """Its one reason."""
        code = f"rule:{self.name}"
        return {
            code: Reason(
                code=code,
                title_en="one account at two places that no journey connects",
                title_zh="同一账号在不可能的时间内出现在两地",
                next_step_en="Call the person on a known number; end all sessions of the account.",
                next_step_zh="通过已知电话联系本人，并终止该账号的全部会话。",
                articles=("pipl-51",),
            )
        }

    def risk(self, events: EventArrays, features: F32, surprisals: F32) -> U16:
        """The floor where the rule holds, else 0; (n,)."""
        person = (events.actor_type != 4) & (events.actor_type != 7)
        direct = (events.network_kind != 2) & (events.network_kind != 4)
        hit = person & direct & (features[:, INDEX["travel"]] >= np.log1p(1000.0))
        return np.where(hit & (events.scorable == 1), FLOOR, 0).astype(np.uint16)
