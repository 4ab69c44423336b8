"""What a responder says of itself: metrics over both topics, and the status file of one process with two monitors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pipeline.adapters.status_file import read_workers
from pipeline.cli.monitoring import Monitoring, Part
from pipeline.cli.operate import FAULT, OK, WARNING, worker_findings
from pipeline.cli.stack_status import _unready
from pipeline.config import Settings
from pipeline.health.findings import Reason, Report
from pipeline.health.metrics import RESPONDER_METRICS
from pipeline.health.monitor import StoreAccess
from pipeline.health.samples import ProcessFacts
from pipeline.response.status import ResponseStatus, response_samples

INCIDENTS, MESSAGES = "access.incidents", "access.notifications"
FACTS = ProcessFacts(1 << 20, 12, 1_000.0)


def handling(number: int = 0, **values: Any) -> ResponseStatus:
    made = ResponseStatus(INCIDENTS, number, state="running", incarnation="x", sealed_offset=9, records=10)
    made.transitions = {"opened": 1, "joined": 9}
    made.open_incidents, made.keys, made.ticks = 1, 3, 2
    for name, value in values.items():
        setattr(made, name, value)
    return made


def sending() -> ResponseStatus:
    made = ResponseStatus(MESSAGES, 0, state="running", incarnation="y", sealed_offset=3, records=4)
    made.deliveries = {"chat:delivered": 3, "pager:retry": 2}
    made.circuits_open = ["pager"]
    return made


def reports(**values: Any) -> list[Report]:
    return [
        Report(now_s=5.0, ready=True, partitions=(handling(), handling(1)), lags={0: 7, 1: 0}, **values),
        Report(now_s=5.0, ready=True, partitions=(sending(),), lags={0: 1}),
    ]


def values_of(text: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_metrics_are_summed_over_partitions_and_told_by_topic() -> None:
    values = values_of(response_samples(reports(), FACTS).text())
    assert values['accesstrail_incident_transitions_total{transition="joined"}'] == 18
    assert values["accesstrail_incidents_open"] == 2
    assert values["accesstrail_incident_ticks_total"] == 4
    assert values['accesstrail_deliveries_total{channel="pager",outcome="retry"}'] == 2
    assert values['accesstrail_channel_circuit_open{channel="pager"}'] == 1
    assert values[f'accesstrail_response_lag_records{{topic="{INCIDENTS}",partition="0"}}'] == 7
    assert values[f'accesstrail_response_lag_records{{topic="{MESSAGES}",partition="0"}}'] == 1
    assert values["accesstrail_ready"] == 1
    told = {name.split("{")[0] for name in values}
    assert {one.name for one in RESPONDER_METRICS} <= told


def test_a_responder_is_ready_only_where_both_topics_are() -> None:
    first, second = reports()
    values = values_of(response_samples([first, replace(second, ready=False)], FACTS).text())
    assert values["accesstrail_ready"] == 0


@pytest.fixture
def monitoring(tmp_path: Path) -> Monitoring:
    settings = SimpleNamespace(state_dir=tmp_path, health=SimpleNamespace(host="127.0.0.1", port=0))

    def open_store() -> StoreAccess:
        raise AssertionError("nothing is watched here")

    part = Part(
        kind="responder", topics=(INCIDENTS, MESSAGES), open_store=open_store, metrics=response_samples,
        more=lambda: {"links": ""},
    )  # fmt: skip
    return Monitoring(cast(Settings, settings), "w", part)


def test_one_status_file_tells_of_both_topics(monitoring: Monitoring, tmp_path: Path) -> None:
    first, second = reports()
    away = (Reason("store_away", None, 1.0), Reason("recovering", 0))
    monitoring.note(0, replace(first, ready=False, not_ready=away))
    monitoring.note(1, replace(second, ready=False, not_ready=away))
    (said,) = read_workers(tmp_path / "run", "responder")
    assert (said["ready"], said["live"]) == (False, True)
    assert [(one["code"], one.get("partition"), one.get("topic")) for one in said["reasons"]] == [
        ("store_away", None, None), ("recovering", 0, INCIDENTS), ("recovering", 0, MESSAGES),
    ]  # fmt: skip
    assert [(one["topic"], one["partition"], one["lag"]) for one in said["partitions"]] == [
        (INCIDENTS, 0, 7), (INCIDENTS, 1, 0), (MESSAGES, 0, 1),
    ]  # fmt: skip
    problems = _unready("responder", [said])
    assert len(problems) == 3
    assert f"partition 0 of {MESSAGES}" in problems[2].english


def test_pages_answer_for_both_topics(monitoring: Monitoring) -> None:
    first, second = reports()
    monitoring.note(0, first)
    assert json.loads(monitoring._readyz().body)["ready"] is False  # of the second nothing is known yet
    monitoring.note(1, replace(second, partitions=(handling(), handling(1, state="stopped", code="fenced"))))
    page = json.loads(monitoring._readyz().body)
    assert (page["ready"], page["reasons"]) == (True, [])
    assert [(one["code"], one["topic"]) for one in page["stopped"]] == [("fenced", MESSAGES)]
    assert "accesstrail_incident_keys" in monitoring._metrics().body


def test_doctor_says_what_responders_say() -> None:
    assert [one.state for one in worker_findings([], "responder")] == [WARNING]
    said = {"partitions": [{"topic": MESSAGES, "partition": 2, "state": "stopped", "code": "store_refused"}]}
    (found,) = worker_findings([said], "responder")
    assert (found.what, found.state) == (f"partition 2 of {MESSAGES}", FAULT)
    assert [(one.what, one.state) for one in worker_findings([{"partitions": []}], "responder")] == [("responders", OK)]
