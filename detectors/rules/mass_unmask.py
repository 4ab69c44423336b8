"""Rule mass_unmask: clear text is collected."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from detectors.base import F32, U16, EventArrays, Reason
from detectors.features import INDEX

FLOOR = 8500


class MassUnmask:
    """More than 40 unmasked looks today, most of them unexplained, and this one too."""

    name = "mass_unmask"

    @property
    def reasons(self) -> Mapping[str, Reason]:
        """Its one reason."""
        code = f"rule:{self.name}"
        return {
            code: Reason(
                code=code,
                title_en="many unmasked looks without work items",
                title_zh="无工单的大量明文查看",
                next_step_en="Ask for the work behind these looks; restrict unmasking until answered.",
                next_step_zh="要求说明这些查看的工作依据，说明前限制明文查看权限。",
                articles=("pipl-51", "pipl-28"),
            )
        }

    def risk(self, events: EventArrays, features: F32, surprisals: F32) -> U16:
        """The floor where the rule holds, else 0; (n,)."""
        many = features[:, INDEX["unmasked_day"]] >= np.log1p(40.0)
        unexplained = features[:, INDEX["unexplained_day"]] >= np.log1p(20.0)
        person = (events.actor_type != 4) & (events.actor_type != 7)
        hit = many & unexplained & person & (events.unmasked == 1) & (events.explained != 1)
        return np.where(hit & (events.scorable == 1), FLOOR, 0).astype(np.uint16)
