"""Rule bulk_export: much data leaves in one step and nothing justifies it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from detectors.base import F32, U16, EventArrays, Reason
from detectors.features import INDEX

FLOOR = 9000


class BulkExport:
    """500 records or more leave at once, without approval or explaining work item."""

    name = "bulk_export"

    @property
    def reasons(self) -> Mapping[str, Reason]:
        """Its one reason."""
        code = f"rule:{self.name}"
        return {
            code: Reason(
                code=code,
                title_en="bulk export without approval or work item",
                title_zh="无审批且无工单的批量导出",
                next_step_en="Ask the account's manager whether it was ordered; hold the file at its recipient.",
                next_step_zh="向其主管确认是否有此导出任务，并在接收方处冻结文件。",
                articles=("pipl-51", "pipl-55"),
            )
        }

    def risk(self, events: EventArrays, features: F32, surprisals: F32) -> U16:
        """The floor where the rule holds, else 0; (n,)."""
        taken_out = (events.action >= 7) & (events.action <= 10) & (events.outcome == 1)
        unexplained = (events.explained != 1) & (events.approved == 0)
        human = (events.actor_type != 4) & (features[:, INDEX["records_own"]] >= 0)
        hit = taken_out & unexplained & human & (events.records >= 500)
        return np.where(hit & (events.scorable == 1), FLOOR, 0).astype(np.uint16)
