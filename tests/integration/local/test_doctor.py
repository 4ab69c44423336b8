"""`accesstrail doctor` on the running stack: everything fine is said so, a wrong topic is found."""

from __future__ import annotations

import json

import pytest

from pipeline.cli import main
from pipeline.cli.operate import _raw_events
from pipeline.errors import ConfigError
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
    assert {
        "Kafka topic access.events",
        "raw events",
        "ClickHouse schema",
        "ClickHouse reader",
        "clocks",
        "disk",
    } <= set(states)
    assert code == 0


@pytest.mark.parametrize(
    "acting",
    [{"retention.ms": "604800000", "segment.ms": "604800000"}, {"retention.ms": "-1", "segment.ms": "43200000"}, {}],
)
def test_raw_events_that_stay_too_long_are_a_fault(acting: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="more than seven days"):
        _raw_events(acting)


def test_another_number_of_partitions_is_a_fault(
    stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCESSTRAIL_KAFKA_PARTITIONS", "5")
    code, states = _doctor(stack, capsys)
    assert states["Kafka topic access.events"] == "fault"
    assert code == 1
