"""Rule external_share: data leaves the organisation or the country."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from detectors.base import F32, U16, EventArrays, Reason

FLOOR = 8500


class ExternalShare:
    """Records of sensitivity 3 or 4 go to an outsider or abroad, without approval or work item."""

    name = "external_share"

    @property
    def reasons(self) -> Mapping[str, Reason]:
        """Its one reason."""
        code = f"rule:{self.name}"
        return {
            code: Reason(
                code=code,
                title_en="sensitive data handed outside without approval",
                title_zh="未经审批向外部提供敏感数据",
                next_step_en="Find out who received the data and on what basis; start the transfer record.",
                next_step_zh="核实接收方及其依据，并建立对外提供记录。",
                articles=("pipl-23", "pipl-38", "pipl-55"),
            )
        }

    def risk(self, events: EventArrays, features: F32, surprisals: F32) -> U16:
        """The floor where the rule holds, else 0; (n,)."""
        hit = (
            (events.external == 1)
            & (events.sensitivity >= 3)
            & (events.approved == 0)
            & (events.explained != 1)
            & (events.outcome == 1)
            & (events.actor_type != 5)
        )
        return np.where(hit & (events.scorable == 1), FLOOR, 0).astype(np.uint16)
