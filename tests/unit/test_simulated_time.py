"""The seam between the stream's and the scheduled alerts of `accesstrail score`: one threshold, one budget."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.scheduled.base import Contributor, Finding
from pipeline.schedule.findings import NEVER, RISE
from pipeline.schedule.simulated import Candidate, StreamCandidates, budget_threshold, fired_candidates

HOUR_US = 3_600_000_000


def candidate(risk: int, key: str = "", slot: int = 0) -> Candidate:
    where = Contributor("id", 0, 0, "00", "offline", "offline", 0, 0, 3)
    finding = Finding(
        detector="slow_drip", tenant_id="default", key=key or str(risk), slot=slot, window_start_us=0, window_end_us=1,
        risk=risk, numbers={}, contributor=where, explanation_en="", explanation_zh="",
    )  # fmt: skip
    return Candidate(0, 0, risk, 1 << 60, finding)


def stream(risks: list[int]) -> StreamCandidates:
    """One actor an event, so that nothing is suppressed."""
    count = len(risks)
    return StreamCandidates(
        np.arange(count), np.full(count, HOUR_US), np.array(risks, np.int64), np.ones(count, np.uint64)
    )


@pytest.mark.parametrize("budget", range(8))
def test_both_kinds_of_alerts_together_stay_within_the_budget_and_use_it(budget: int) -> None:
    risks, scheduled = [7100, 8200, 9000, 5000], [candidate(risk) for risk in (7000, 8000, 9500)]
    threshold = budget_threshold(stream(risks), scheduled, budget)
    fired = sum(risk >= threshold for risk in risks) + sum(one.risk >= threshold for one in scheduled)
    assert fired == budget


def test_without_a_threshold_every_scheduled_alert_fires() -> None:
    candidates = [candidate(7000), candidate(9000)]
    assert fired_candidates(candidates, NEVER) == candidates
    assert fired_candidates(candidates, 7001) == candidates[1:]


def test_a_key_is_told_once_in_its_quiet_time_unless_its_risk_rises() -> None:
    told = [candidate(7000, "k", 0), candidate(7000 + RISE, "k", 2), candidate(7000, "k", 40)]
    silent = [candidate(7000 + RISE - 1, "k", 1), candidate(9000, "k", 3)]
    assert [one.finding.slot for one in fired_candidates([*silent, *told], 7000)] == [0, 2, 40]


def test_what_does_not_fire_silences_nothing() -> None:
    assert [one.risk for one in fired_candidates([candidate(7000, "k", 0), candidate(7900, "k", 1)], 7500)] == [7900]


def test_a_candidate_becomes_an_alert_of_the_streams_form() -> None:
    alert = candidate(9000).alert()
    assert (alert.detector, alert.risk, alert.severity, alert.reasons) == (
        "slow_drip", 9000, "high", ("scheduled:slow_drip",)
    )  # fmt: skip
    assert alert.alert_id == candidate(7000, key="9000").alert().alert_id
