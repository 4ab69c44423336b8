"""Same log + same versions = same findings, on the real stack: five readings of one topic into stores of their own.

One worker; three workers of which one is killed with -9 every few seconds, in batches of five; replays into an empty
store, in batches of 5,000 and, ended in the middle, of few; a check. Late, duplicate and clock-skewed events, bad
records, and two changes of the version set inside the log. `ACCESSTRAIL_LONG=1` reads a longer log with more kills.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from detectors import features
from detectors.model import Model, load, save
from pipeline.adapters.clickhouse import connect
from pipeline.adapters.directory import read_directory
from pipeline.adapters.kafka import TopicAdmin, topic_specs
from pipeline.cli.replay import replay_command
from pipeline.cli.simulate import write_simulation
from pipeline.offline import read_events, train_model
from pipeline.privacy.keys import Keyring
from pipeline.sources.simulate import Simulation, draw_company
from tests.conftest import Stack
from tests.corpus.make_poison import poison
from tests.e2e.stores import LONG, Consumer, empty_store
from tests.e2e.test_main_flow import produce

pytestmark = [pytest.mark.stack, pytest.mark.e2e, pytest.mark.timeout(7200 if LONG else 1800)]
# Batches of five under a kill every five seconds seal some thirty events a second: a phase is then five minutes long.
EVENTS = 24_000 if LONG else 1_200
SMALL_BATCH = "50" if LONG else "5"  # of the replay that is killed: it must be far from its end at the kill, no more
KILL_EVERY_S, FIRST_KILL_AFTER = 5.0, 80
KILLS_A_PHASE = 1_000 if LONG else 2
TOPIC = "e2e.determinism"


@dataclass(frozen=True, slots=True)
class Company:
    """Two models of one company, its directory, and the events after the history."""

    folder: Path
    first: Model
    second: Model
    lines: list[bytes]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    folder = tmp_path_factory.mktemp("company")
    simulation = Simulation(draw_company(11, 30), date(2026, 9, 1), 60 if LONG else 14, 5, attacks_per_scenario=1)
    write_simulation(simulation, folder)
    events = read_events([str(folder / "events.ndjson.zst")])
    end = len(events) - EVENTS
    history = replace(events, lines=events.lines[:end], time_us=events.time_us[:end], ids=events.ids[:end])
    model = train_model(history, read_directory(folder / "directory", Keyring.offline()), "Asia/Shanghai")
    # Lowest thresholds: this is about equal alerts, so there must be many, and the accounts are new to the log.
    save(replace(model, threshold=1), folder / "model")
    save(replace(model, threshold=2, about={**model.about, "number": 2}), folder / "other-model")
    return Company(folder, load(folder / "model"), load(folder / "other-model"), disturbed(list(events.lines[end:])))


def disturbed(lines: list[bytes]) -> list[bytes]:
    """The events with some sent late, some sent twice, and one source whose clock is wrong."""
    rng = random.Random(3)
    found: list[bytes] = []
    held: list[bytes] = []
    for number, line in enumerate(lines):
        event: dict[str, Any] = json.loads(line)
        if event["source_system"] == "crm" and number % 3 == 0:
            moment = datetime.fromisoformat(event["event_time"]) + timedelta(hours=rng.choice((-7, 5)))
            event["event_time"] = moment.isoformat()
        made = json.dumps(event, ensure_ascii=False).encode()
        (held if rng.random() < 0.03 else found).append(made)
        if rng.random() < 0.03:
            found.append(made)
        if len(held) > 40:
            found.append(held.pop(0))
    return [*found, *held]


@dataclass(slots=True)
class Readings:
    """What is compared: `killed` counts the kills."""

    calm: Consumer
    fleet: Consumer
    replayed: Consumer
    kills: int


class Killer:
    """Kills one of the fleet's workers once some of the phase is sealed, then every few seconds while it goes on."""

    def __init__(self, fleet: Consumer) -> None:
        self._fleet, self._done = fleet, threading.Event()
        self.kills = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        reader = connect(self._fleet.settings.clickhouse, "reader")
        sealed, pause_s = self._fleet.leaves(reader) + FIRST_KILL_AFTER, 0.1
        most = self.kills + KILLS_A_PHASE
        while self.kills < most and not self._done.wait(pause_s):
            # A fleet that stands still is starting: killing it again and again would test nothing.
            if (now := self._fleet.leaves(reader)) > sealed:
                self._fleet.replace(self.kills)
                self.kills += 1
                sealed, pause_s = now, KILL_EVERY_S
        reader.close()

    def end(self) -> int:
        self._done.set()
        self._thread.join()
        return self.kills


def _change(phase: int, company: Company, shared: Path) -> None:
    """Another directory, then another model; each is one rename away from being there."""
    if phase == 1:
        lines = (shared / "directory" / "resources.csv").read_text(encoding="utf-8").splitlines()
        beside = shared / "resources.new"
        beside.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
        beside.replace(shared / "directory" / "resources.csv")
    if phase == 2:
        save(company.second, shared / "model")


@pytest.fixture(scope="module")
def readings(stack: Stack, company: Company, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Readings]:
    shared = tmp_path_factory.mktemp("shared")
    (company.folder / "directory").rename(shared / "directory")
    save(company.first, shared / "model")
    kafka = replace(
        stack.settings.kafka,
        events_topic=TOPIC,
        incidents_topic=f"{TOPIC}.incidents",
        notifications_topic=f"{TOPIC}.notifications",
    )
    admin = TopicAdmin(kafka.bootstrap_servers)
    admin.create(topic_specs(kafka))
    with ExitStack() as cleanup:
        cleanup.callback(admin.close)
        folder = tmp_path_factory.mktemp("consumers")
        second, third = (cleanup.enter_context(empty_store(stack, folder / name)) for name in ("two", "three"))
        calm = Consumer(folder / "calm", stack.state, TOPIC, "determinism-calm", shared)
        fleet = Consumer(folder / "fleet", second, TOPIC, "determinism-fleet", shared, batch=5)
        replayed = Consumer(folder / "replayed", third, TOPIC, "determinism-replayed", shared)
        for consumer in (calm, fleet, replayed):
            cleanup.callback(consumer.close)
        calm.start()
        kills, share, bad = 0, len(company.lines) // 3 + 1, poison()
        for phase in range(3):
            # The fleet does not run while the set changes: both take it up at the same offsets, one at work, one at
            # its start.
            _change(phase, company, shared)
            calm.await_versions(phase + 1)
            for _ in range(3):
                fleet.start()
            killer = Killer(fleet)
            cleanup.callback(killer.end)  # a failure must not leave it killing beside a store that ends
            fleet.await_versions(phase + 1)
            produce(calm.settings, [TOPIC], company.lines[phase * share : (phase + 1) * share], bad[phase::3])
            fleet.await_end_of_log(admin)
            kills += killer.end()
            fleet.await_end_of_log(admin)
            fleet.stop()
            calm.await_end_of_log(admin)
        calm.stop()
        yield Readings(calm, fleet, replayed, kills)


def test_three_workers_under_kills_seal_what_one_calm_worker_seals(readings: Readings) -> None:
    assert readings.kills >= 3
    assert readings.fleet.roots() == readings.calm.roots()
    assert readings.fleet.alerts() == readings.calm.alerts()


def test_the_log_holds_what_this_test_is_about(readings: Readings) -> None:
    calm, fleet = readings.calm, readings.fleet
    assert len(calm.versions()) == 3
    assert fleet.versions() == calm.versions()
    assert len(calm.alerts()) > 15
    assert len({row[-1] for row in calm.alerts()}) == 3
    assert max(fleet.batch_sizes()) == 5
    assert max(calm.batch_sizes()) > 50
    counts = calm.reader.query(
        "SELECT countIf(duplicate_of >= 0), countIf(action = 'policy_change' AND source_system = 'accesstrail'), "
        "uniqExactIf(event_id, action = 'policy_change' AND source_system = 'accesstrail'), "
        "countIf(action = 'policy_change' AND source_system = 'accesstrail' AND score_status = 'scored') "
        "FROM accesstrail.access_events WHERE topic = {t:String}",
        {"t": TOPIC},
    )[0]
    assert counts[0] > EVENTS / 50
    # Two readings told of the same two changes; the repetition is known as such.
    assert counts[1:] == (4, 2, 0)


def test_a_replay_into_an_empty_store_gives_the_same(readings: Readings) -> None:
    target = readings.replayed
    first = readings.calm.command("replay", "--into", str(target.config), "--batch", "5000", "--json")
    assert first.returncode == 0, first.stderr + first.stdout
    assert target.roots() == readings.calm.roots()
    assert target.alerts() == readings.calm.alerts()
    assert max(target.batch_sizes()) > 5
    again = readings.calm.command("replay", "--into", str(target.config), "--batch", "5")
    assert again.returncode == 0, again.stderr
    assert target.roots() == readings.calm.roots()


def test_a_replay_killed_in_the_middle_goes_on_and_gives_the_same(
    readings: Readings, stack: Stack, tmp_path: Path
) -> None:
    (tmp_path / "directory").mkdir()  # a replay judges by recorded sets, so it may be empty
    with empty_store(stack, tmp_path / "four") as state:
        target = Consumer(tmp_path / "target", state, TOPIC, "determinism-four", tmp_path)
        command = [
            sys.executable, "-m", "pipeline.cli", "replay", "--into", str(target.config), "--batch", SMALL_BATCH,
            "--config", str(readings.fleet.config),
        ]  # fmt: skip
        total = sum(leaves for _, leaves, _ in readings.calm.roots().values())
        for share in (0.2, 0.5):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                deadline = time.monotonic() + (600 if LONG else 120)
                while target.leaves() < share * total:
                    assert process.poll() is None
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            finally:
                process.kill()
                process.wait()
        done = readings.fleet.command("replay", "--into", str(target.config), "--batch", "500")
        assert done.returncode == 0, done.stdout + done.stderr
        assert target.roots() == readings.calm.roots()
        assert target.alerts() == readings.calm.alerts()
        target.close()


@pytest.mark.parametrize("batch", [5, 5000])
def test_a_check_finds_every_partition_equal(readings: Readings, batch: int) -> None:
    done = readings.fleet.command("replay", "--check", "--batch", str(batch), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    roots = readings.calm.roots()
    assert {one["partition"]: one["root"].upper() for one in found if one["leaves"]} == {
        partition: root for partition, (_, _, root) in roots.items()
    }
    assert sum(one["alerts"] for one in found) == len(readings.calm.alerts())


def test_a_profile_that_reads_the_wall_clock_is_found_out(readings: Readings, monkeypatch: pytest.MonkeyPatch) -> None:
    original = features.compute

    def by_the_clock(events: Any, profiles: Any) -> Any:
        found = original(events, profiles)
        profiles.state["rate_10m"][profiles.slot_of(events.actor_keys)] += time.time_ns() % 1000
        return found

    monkeypatch.setattr("pipeline.stages.assess.compute", by_the_clock)
    result = CliRunner().invoke(
        replay_command, ["--check", "--json", "--config", str(readings.calm.config)], standalone_mode=False
    )
    assert result.return_value == 1, result.output
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert any("root" in one["difference"]["what"] for one in found if one["difference"])
