"""Exceptions of scheduled detectors: which findings they cover, live and offline, counted in every run's row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from detectors.budget import LEAST_OF_ONE_DETECTOR
from detectors.exceptions import AlertException
from detectors.scheduled import SCHEDULED
from detectors.scheduled.base import HOUR_US, Contributor, Finding
from pipeline.directory import DirectorySnapshot
from pipeline.directory.snapshot import ActorRow
from pipeline.schedule.alert_rows import FINAL
from pipeline.schedule.held_back import HeldBack
from pipeline.schedule.simulated import Collector
from tests.exceptions import exception
from tests.schedule_fakes import SLOT, START_US, VERSIONS, Store, advance, detector, runner
from tests.unit.test_simulated_time import Engine

TOKEN = "ab" * 16
BY_NAME = {one.name: one for one in SCHEDULED}
DIRECTORY = DirectorySnapshot(
    actors=(
        ActorRow(bytes.fromhex(TOKEN), "employee", "", "Retail", "Advisor", bytes(16), "", None, None, "active", False),
    )
)
ALWAYS: dict[str, Any] = {"valid_from_us": 0, "valid_until_us": START_US * 2}


def finding(name: str, key: str, *, risk: int = 8000, end_us: int = START_US, actor: str = "cd" * 16) -> Finding:
    where = Contributor("id", 0, 0, actor, "t", "i", 0, 0, 3)
    return Finding(
        detector=name, tenant_id="default", key=key, slot=0, window_start_us=0, window_end_us=end_us, risk=risk,
        numbers={}, contributor=where, explanation_en="", explanation_zh="",
    )  # fmt: skip


def covers(one: AlertException, found: Finding) -> bool:
    return HeldBack([one], DIRECTORY).by(found, BY_NAME[found.detector]) == (one.exception_id,)


@pytest.mark.parametrize(
    ("name", "scope", "key", "held"),
    [
        ("slow_drip", {"actor": TOKEN}, TOKEN, True),
        ("slow_drip", {"actor": TOKEN}, "ef" * 16, False),
        ("unexplained_access", {"peer_group": "retail/advisor"}, TOKEN, True),
        ("unexplained_access", {"peer_group": "retail/advisor"}, "ef" * 16, False),  # not in the directory
        ("unexplained_access", {"peer_group": "retail/advisor", "actor": "ef" * 16}, TOKEN, False),
        ("subject_looked_at_by_many", {"subject": TOKEN}, TOKEN, True),
        ("credential_many_places", {"credential": TOKEN}, TOKEN, True),
        ("credential_many_places", {"actor": "cd" * 16}, TOKEN, True),
        ("credential_many_places", {"actor": TOKEN}, TOKEN, False),
        ("distributed_scraping", {"endpoint": "/V1/Customers"}, "/v1/customers", True),
        ("partner_over_contract_day", {"partner": "ACME"}, "acme", True),
        ("silent_source", {"source_system": "crm"}, "CRM/node-1", True),
        ("silent_source", {"source_system": "crm"}, "crm2/node-1", False),
        ("silent_source", {"source_system": "crm", "source_instance": "node-1"}, "crm/node-1", True),
        ("silent_source", {"source_system": "crm", "source_instance": "node-1"}, "crm/node-2", False),
    ],
)
def test_all_conditions_must_hold_for_what_the_detector_keeps_its_state_of(
    name: str, scope: dict[str, str], key: str, held: bool
) -> None:
    assert covers(exception(name, scope=scope, **ALWAYS), finding(name, key)) == held


def test_a_detector_that_it_does_not_name_goes_on() -> None:
    assert not covers(exception("slow_drip", scope={"actor": TOKEN}, **ALWAYS), finding("profile_assembly", TOKEN))


def test_above_its_risk_it_does_not_hold() -> None:
    one = exception("slow_drip", scope={"actor": TOKEN}, up_to=8500, **ALWAYS)
    assert [covers(one, finding("slow_drip", TOKEN, risk=risk)) for risk in (8500, 8501)] == [True, False]


def test_the_end_of_the_window_decides_whether_it_is_valid() -> None:
    one = exception("slow_drip", scope={"actor": TOKEN}, valid_from_us=10, valid_until_us=20)
    found = [finding("slow_drip", TOKEN, end_us=end) for end in (9, 10, 19, 20)]
    assert [covers(one, each) for each in found] == [False, True, True, False]


# -- live


def excepted(*exceptions: AlertException) -> Any:
    return replace(VERSIONS, exceptions=exceptions)


def test_a_covered_finding_raises_no_alert_and_the_runs_row_counts_it() -> None:
    one = exception("first", scope={"credential": TOKEN}, **ALWAYS)
    store = Store()
    made, published = runner(store, detector(), versions=excepted(one))
    store.found("first", SLOT, key=TOKEN)
    store.found("first", SLOT, key="ef" * 16)
    for _ in range(4):
        advance(store, made, 0.5)
    assert len(store.alerts) == 1
    assert len({alert for alert, _ in published.told}) == 1
    final = [(held, findings) for stage, held, findings in store.held if stage == FINAL]
    assert final[0] == ({one.exception_id: 1}, 2)


def test_what_was_told_before_an_exception_came_stays_told() -> None:
    store, in_force = Store(), [VERSIONS]
    made, published = runner(store, detector())
    made._versions = lambda: in_force[0]
    store.found("first", SLOT, key=TOKEN)
    advance(store, made, 0.5)
    assert len(store.alerts) == 1
    in_force[0] = excepted(exception("first", scope={"credential": TOKEN}, **ALWAYS))
    for _ in range(3):
        advance(store, made, 0.5)
    ((_, _, _, withdrawn),) = store.alerts.values()
    assert not withdrawn
    assert published.told[-1][1] == FINAL
    assert all(not held for _, held, _ in store.held)


def test_what_an_exception_covers_is_no_noise_although_it_was_told_before() -> None:
    """Whoever makes exceptions for what a detector always finds makes room for the rest."""
    store, in_force = Store(), [VERSIONS]
    made, _ = runner(store, detector(early_s=None))
    made._versions = lambda: in_force[0]
    usual = [f"{number:032x}" for number in range(LEAST_OF_ONE_DETECTOR)]
    for key in usual:
        store.found("first", SLOT, key=key)
    store.found("first", SLOT + 1, key=TOKEN)
    for _ in range(3):
        advance(store, made, 0.5)
    assert len(store.alerts) == len(usual)
    in_force[0] = excepted(*(exception("first", scope={"credential": key}, **ALWAYS) for key in usual))
    for _ in range(2):
        advance(store, made, 0.5)
    assert len(store.alerts) == len(usual) + 1


def test_after_its_end_the_same_key_raises_its_alert() -> None:
    store = Store()
    one = exception("first", scope={"credential": TOKEN}, valid_from_us=0, valid_until_us=(SLOT + 2) * HOUR_US)
    made, _ = runner(store, detector(early_s=None), versions=excepted(one))
    for slot in range(SLOT, SLOT + 3):
        store.found("first", slot, key=TOKEN)
    for _ in range(10):
        advance(store, made, 0.5)
    assert [end for _, _, end, _ in store.alerts.values()] == [(SLOT + 2) * HOUR_US]


# -- offline


def test_offline_a_covered_finding_is_no_candidate() -> None:
    one = exception("slow_drip", scope={"actor": TOKEN}, **ALWAYS)
    times = np.arange(5, dtype=np.int64)

    class Named(Engine):
        def rows(self, sql: str, parameters: Any) -> list[dict[str, Any]]:
            rows = super().rows(sql, parameters)
            return [
                {**row, "key": TOKEN if row.get("offset") == 0 else row["key"]} if "key" in row else row for row in rows
            ]

    zone = ZoneInfo("Asia/Shanghai")
    assert [found.row for found in Collector(Named([0, 1]), DIRECTORY, zone).candidates(times, 0)] == [0, 1]
    assert [found.row for found in Collector(Named([0, 1]), DIRECTORY, zone, [one]).candidates(times, 0)] == [1]
