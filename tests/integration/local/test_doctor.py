"""`accesstrail doctor` on the running stack: everything fine is said so, a wrong topic is found."""

from __future__ import annotations

import json

import pytest

from pipeline.cli import main
from tests.conftest import Stack

pytestmark = pytest.mark.stack


def _doctor(stack: Stack, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, str]]:
    with pytest.raises(SystemExit) as caught:
        main(["doctor", "--state", str(stack.state), "--json"])
    report = json.loads(capsys.readouterr().out)
    assert isinstance(caught.value.code, int)
    return caught.value.code, {one["what"]: one["state"] for one in report["findings"]}


def test_a_sound_system_has_no_fault(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    code, states = _doctor(stack, capsys)
    assert "fault" not in states.values(), states
    assert {"Kafka topic access.events", "ClickHouse schema", "ClickHouse reader", "clocks", "disk"} <= set(states)
    assert code == 0


def test_another_number_of_partitions_is_a_fault(
    stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCESSTRAIL_KAFKA_PARTITIONS", "5")
    code, states = _doctor(stack, capsys)
    assert states["Kafka topic access.events"] == "fault"
    assert code == 1
