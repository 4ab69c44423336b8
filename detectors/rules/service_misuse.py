"""Rule service_misuse: a machine's credential is in somebody's hands."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from detectors.base import F32, U16, EventArrays, Reason
from detectors.features import INDEX

FLOOR = 8500


class ServiceMisuse:
    """A service whose network and program were both never seen with it before."""

    name = "service_misuse"

    @property
    def reasons(self) -> Mapping[str, Reason]:
        """Its one reason."""
        code = f"rule:{self.name}"
        return {
            code: Reason(
                code=code,
                title_en="service account used from an unknown network by another program",
                title_zh="服务账号从未知网络由其他程序使用",
                next_step_en="Rotate the credential and find where it leaked.",
                next_step_zh="轮换该凭据，并查明泄露途径。",
                articles=("pipl-51",),
            )
        }

    def risk(self, events: EventArrays, features: F32, surprisals: F32) -> U16:
        """The floor where the rule holds, else 0; (n,)."""
        service = events.actor_type == 4
        new_network = features[:, INDEX["new_network"]] >= 0.8
        new_program = features[:, INDEX["new_agent"]] >= 0.8
        hit = service & new_network & new_program
        return np.where(hit & (events.scorable == 1), FLOOR, 0).astype(np.uint16)
