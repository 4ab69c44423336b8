"""Rule enumeration: numbers are walked through, not looked up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from detectors.base import F32, U16, EventArrays, Reason
from detectors.features import INDEX

FLOOR = 8500


class Enumeration:
    """Half of the last 20 steps go to the next number, at more than 20 accesses in ten minutes."""

    name = "enumeration"

    @property
    def reasons(self) -> Mapping[str, Reason]:
        """Its one reason."""
        code = f"rule:{self.name}"
        return {
            code: Reason(
                code=code,
                title_en="customers taken one after another in numerical order",
                title_zh="按编号顺序逐个遍历客户",
                next_step_en="Block the session or key at the gateway and look at what was returned.",
                next_step_zh="在网关处阻断该会话或密钥，并核查已返回的数据。",
                articles=("pipl-51",),
            )
        }

    def risk(self, events: EventArrays, features: F32, surprisals: F32) -> U16:
        """The floor where the rule holds, else 0; (n,)."""
        in_order = features[:, INDEX["sequence"]] >= 0.5
        fast = features[:, INDEX["events_10m"]] >= np.log1p(20.0)
        hit = in_order & fast
        return np.where(hit & (events.scorable == 1), FLOOR, 0).astype(np.uint16)
