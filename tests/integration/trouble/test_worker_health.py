"""A real worker says how it is: pages, metrics, status; and goes on when what was away is back."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import Stack
from tests.systems import Gate, System, until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


def test_a_running_worker_is_live_ready_and_counts_what_it_sealed(stack: Stack, tmp_path: Path) -> None:
    system = System(stack, tmp_path / "system", "health.running")
    system.produce(400)
    with system.worker():
        system.await_sealed(400)
        until(lambda: system.page("/readyz")[0] == 200, "ready")
        assert json.loads(system.page("/livez")[1]) == {"live": True, "reasons": []}

        def settled() -> bool:
            return all(f'lag_records{{partition="{number}"}} 0' in system.page("/metrics")[1] for number in range(8))

        until(settled, "no lag left, from the store's side")
        metrics = system.page("/metrics")[1]
        document, words = system.status()
    values = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
    assert sum(float(v) for k, v in values.items() if k.startswith("accesstrail_events_total")) == 400
    assert float(values["accesstrail_batch_records_sum"]) == 400
    assert float(values['accesstrail_batch_step_seconds_total{step="seal"}']) > 0
    assert float(values["accesstrail_process_open_file_descriptors"]) > 10
    (worker,) = document["workers"]
    assert worker["ready"] is True
    assert worker["health"].startswith("http://127.0.0.1:")
    assert document["ready"] is True
    assert document["troubles"] == []
    assert worker["health"] in words
    system.close()


def test_a_worker_that_starts_while_the_store_is_away_waits_and_says_so(stack: Stack, tmp_path: Path) -> None:
    gate = Gate(stack.settings.clickhouse.native_port, is_open=False)
    system = System(stack, tmp_path / "system", "health.store", store_port=gate.port)
    system.produce(100)
    with system.worker() as process:
        until(lambda: "store_away" in system.codes(), "store_away in /readyz")
        until(lambda: any(one["state"] == "away" for one in system.partition_entries().values()), "partitions away")
        document, words = system.status()
        assert document["ready"] is False
        assert ("store_away", "store") in {(one["code"], one.get("dependency")) for one in document["troubles"]}
        assert all(one["since"] for one in document["troubles"] if one.get("dependency"))
        assert "ClickHouse does not answer" in words
        until(lambda: "store is away for" in system.said(), "one line in the log")
        assert system.page("/livez")[0] == 200
        assert 'accesstrail_away_seconds{dependency="store"}' in system.page("/metrics")[1]
        gate.open()
        system.await_sealed(100)
        until(lambda: system.page("/readyz")[0] == 200, "ready again")
        assert process.poll() is None
        # It could not be stored then; now it tells from when until when.
        until(lambda: any(row[0].startswith("From ") for row in system.alarms("store_away")), "the alert row")
    ((english, chinese, _),) = [row for row in system.alarms("store_away") if row[0].startswith("From ")][-1:]
    assert " until 20" in english
    assert "Next: " in english
    assert "下一步：" in chinese
    assert system.said().count("store is away for") == 1
    gate.shut()
    system.close()


def test_a_worker_that_starts_while_the_broker_is_away_waits_and_says_so(stack: Stack, tmp_path: Path) -> None:
    real_port = int(stack.settings.kafka.bootstrap_servers.rpartition(":")[2])
    gate = Gate(real_port, is_open=False)
    system = System(stack, tmp_path / "system", "health.broker", kafka_port=gate.port)
    system.produce(100)
    with system.worker() as process:
        until(lambda: {"kafka_away", "not_assigned"} <= system.codes(), "kafka_away in /readyz")
        until(lambda: bool(system.alarms("kafka_away")), "its alert row, at once: the store is there")
        assert system.alarms("kafka_away")[-1][0].startswith("Since ")
        assert system.page("/livez")[0] == 200
        gate.open()
        system.await_sealed(100)
        until(lambda: system.page("/readyz")[0] == 200, "ready")
        assert process.poll() is None
    gate.shut()
    system.close()


def test_a_short_cut_of_the_store_loses_nothing_and_restarts_nobody(stack: Stack, tmp_path: Path) -> None:
    gate = Gate(stack.settings.clickhouse.native_port)
    system = System(stack, tmp_path / "system", "health.cut", store_port=gate.port)
    with system.worker() as process:
        system.produce(300, salt="before ")
        system.await_sealed(300)
        gate.shut()
        system.produce(300, salt="during ")
        until(lambda: "store_away" in system.codes(), "away is said")
        until(lambda: "store is away for" in system.said(), "and alerted")
        gate.open()
        system.await_sealed(600)
        until(lambda: system.page("/readyz")[0] == 200, "ready again")
        assert process.poll() is None
    assert sum(system.sealed().values()) == 600
    gate.shut()
    system.close()


def test_a_broker_that_hangs_is_said_and_the_worker_goes_on_when_it_answers_again(stack: Stack, tmp_path: Path) -> None:
    system = System(stack, tmp_path / "system", "health.hangs")
    processes = json.loads((stack.state / "run" / "stack.json").read_text(encoding="utf-8"))["processes"]
    (broker,) = [one["pid"] for one in processes if one["name"] == "kafka"]
    with system.worker() as process:
        system.produce(100, salt="before ")
        system.await_sealed(100)
        os.kill(broker, signal.SIGSTOP)
        try:
            until(lambda: "kafka_away" in system.codes(), "kafka_away in /readyz")
            until(lambda: any(row[0].startswith("Since ") for row in system.alarms("kafka_away")), "an alert row")
            assert system.page("/livez")[0] == 200
        finally:
            os.kill(broker, signal.SIGCONT)
        system.produce(100, salt="after ")
        system.await_sealed(200)
        until(lambda: system.page("/readyz")[0] == 200, "ready again")
        until(lambda: any(row[0].startswith("From ") for row in system.alarms("kafka_away")), "its end in the row")
        assert process.poll() is None
    system.close()


def test_a_worker_ends_in_order_and_in_time_also_while_the_broker_hangs(stack: Stack, tmp_path: Path) -> None:
    """A consumer that cannot leave its group would keep the process for ever: a supervisor would have to kill it."""
    system = System(stack, tmp_path / "system", "health.leaves", recovery="drain_timeout_s = 2")
    processes = json.loads((stack.state / "run" / "stack.json").read_text(encoding="utf-8"))["processes"]
    (broker,) = [one["pid"] for one in processes if one["name"] == "kafka"]
    with system.worker() as process:
        system.produce(100)
        system.await_sealed(100)
        os.kill(broker, signal.SIGSTOP)
        try:
            process.terminate()
            assert process.wait(30) == 0
        finally:
            os.kill(broker, signal.SIGCONT)
    assert "does not leave its group" in system.said()
    assert not system.workers()  # it says no more that it runs
    system.close()


def test_a_suspended_worker_comes_back_and_the_watchdog_stays_quiet(stack: Stack, tmp_path: Path) -> None:
    system = System(stack, tmp_path / "system", "health.suspended", more="stalled_after_s = 15")
    with system.worker() as process:
        system.produce(100, salt="before ")
        system.await_sealed(100)
        process.send_signal(signal.SIGSTOP)
        system.produce(100, salt="during ")
        time.sleep(20)
        process.send_signal(signal.SIGCONT)
        system.await_sealed(200)
        until(lambda: system.page("/readyz")[0] == 200, "ready again")
        assert process.poll() is None
    assert "the worker ends" not in system.said()
    system.close()
