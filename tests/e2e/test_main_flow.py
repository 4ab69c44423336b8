"""The whole system: real Kafka, real ClickHouse, real worker processes, killed with -9 in mid-stream."""

from __future__ import annotations

import collections
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from detectors.model import save
from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.directory import read_directory
from pipeline.adapters.kafka import TopicAdmin, topic_specs
from pipeline.adapters.status_file import read_workers
from pipeline.cli.simulate import write_simulation
from pipeline.config import Settings
from pipeline.offline import read_events, train_model
from pipeline.privacy.keys import Keyring
from pipeline.sources.simulate import Simulation, draw_company
from tests.conftest import Stack
from tests.corpus.make_poison import Poison, poison
from tests.e2e.checker import Counted, check

pytestmark = [pytest.mark.stack, pytest.mark.e2e, pytest.mark.timeout(600)]

EVENTS = 20_000
_PATIENCE_S = 150
_IDENTIFIERS = ("actor_id", "resource_id", "subject_ids", "device_id", "session_id", "credential_id", "case_ref")


class System:
    """A copy of the stack's configuration for one topic, and the workers that read it."""

    def __init__(self, stack: Stack, folder: Path, topic: str) -> None:
        self.folder, self.topic = folder, topic
        (folder / "run").mkdir(parents=True)
        text = (stack.state / "config.toml").read_text(encoding="utf-8")
        kafka = (
            f'events_topic = "{topic}"\n'
            f'incidents_topic = "{topic}.incidents"\n'
            f'notifications_topic = "{topic}.notifications"\n'
            f'group = "{topic}-record"\n'
        )
        text = text.replace("[kafka]\n", f"[kafka]\n{kafka}", 1)
        for name in ("secrets", "keys"):
            (folder / name).symlink_to(stack.state / name)
        (folder / "directory").mkdir()
        self.config = folder / "config.toml"
        self.config.write_text(text, encoding="utf-8")
        self.settings = replace(
            stack.settings,
            kafka=replace(
                stack.settings.kafka,
                events_topic=topic,
                incidents_topic=f"{topic}.incidents",
                notifications_topic=f"{topic}.notifications",
            ),
        )
        self.admin = TopicAdmin(self.settings.kafka.bootstrap_servers)
        self.admin.create(topic_specs(self.settings.kafka))
        self.logs: list[Path] = []

    def start(self) -> subprocess.Popen[bytes]:
        """One worker process."""
        log = self.folder / f"worker-{len(self.logs)}.log"
        self.logs.append(log)
        with log.open("wb") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "pipeline.cli", "worker", "--config", str(self.config)],
                stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """A worker that ends in order with the block."""
        process = self.start()
        try:
            yield process
        finally:
            process.terminate()
            assert process.wait(20) is not None

    def ends(self) -> dict[int, int]:
        """End offset of every partition."""
        count = self.settings.kafka.partitions
        return {number: self.admin.bounds(self.topic, number)[2] for number in range(count)}

    @property
    def incarnation(self) -> str:
        """The life of the topic."""
        return self.admin.bounds(self.topic, 0)[0]

    def sealed(self, reader: ClickHouse) -> int:
        """Offsets sealed so far, all partitions."""
        sql = (
            "SELECT sum(leaves) FROM (SELECT max(tree_size) AS leaves FROM accesstrail.ledger "
            "WHERE topic = {t:String} GROUP BY partition)"
        )
        return int(reader.query(sql, {"t": self.topic})[0][0])

    def await_sealed(self, reader: ClickHouse, wanted: int) -> None:
        """Waits until that many offsets are sealed."""
        deadline = time.monotonic() + _PATIENCE_S
        while (found := self.sealed(reader)) < wanted:
            tail = self.logs[-1].read_text(encoding="utf-8", errors="replace")[-2000:]
            assert time.monotonic() < deadline, f"only {found} of {wanted} offsets sealed; the worker said:\n{tail}"
            time.sleep(0.2)


def produce(settings: Settings, topics: list[str], lines: list[bytes], bad: list[Poison]) -> None:
    """The same records in the same order to each topic: events by actor, poison scattered among them."""
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers, acks="all", max_request_size=1 << 20)
    every = max(1, len(lines) // max(1, len(bad)))
    for topic in topics:
        left = list(bad)
        for number, line in enumerate(lines):
            producer.send(topic, key=json.loads(line)["actor_id"].encode(), value=line)
            if number % every == 0 and left:
                _send_bad(producer, topic, left.pop(), number % settings.kafka.partitions)
        for one in left:
            _send_bad(producer, topic, one, 0)
    producer.flush()
    producer.close()


def _send_bad(producer: Any, topic: str, one: Poison, partition: int) -> None:
    """A poison record; one without a key goes to a stated partition. The client refuses neither key nor value."""
    key = b"nobody" if one.key is None and one.value is None else one.key
    producer.send(topic, key=key, value=one.value, partition=None if key else partition)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[bytes]]:
    """A trained model, its directory, and the events that follow the history."""
    folder = tmp_path_factory.mktemp("company")
    simulation = Simulation(draw_company(11, 50), date(2026, 9, 1), 22, 5, attacks_per_scenario=1)
    write_simulation(simulation, folder)
    events = read_events([str(folder / "events.ndjson.zst")])
    history = replace(events, lines=events.lines[:-EVENTS], time_us=events.time_us[:-EVENTS], ids=events.ids[:-EVENTS])
    directory = read_directory(folder / "directory", Keyring.offline())
    save(train_model(history, directory, "Asia/Shanghai"), folder / "model")
    return folder, list(events.lines[-EVENTS:])


@pytest.fixture(scope="module")
def reader(stack: Stack) -> ClickHouse:
    return connect(stack.settings.clickhouse, "reader")


@pytest.fixture(scope="module")
def runs(
    stack: Stack, company: tuple[Path, list[bytes]], reader: ClickHouse, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[System, Counted]]:
    """One calm run and one with two kill -9, over the same records."""
    folder, lines = company
    systems = {name: System(stack, tmp_path_factory.mktemp(name), f"e2e.{name}") for name in ("calm", "killed")}
    for system in systems.values():
        shutil.copytree(folder / "directory", system.folder / "directory", dirs_exist_ok=True)
        shutil.copytree(folder / "model", system.folder / "model")
    bad = poison()
    produce(stack.settings, [system.topic for system in systems.values()], lines, bad)
    total = len(lines) + len(bad)
    with systems["calm"].worker():
        systems["calm"].await_sealed(reader, total)
    killed = systems["killed"]
    for share in (0.15, 0.5):
        process = killed.start()
        killed.await_sealed(reader, int(total * share))
        process.send_signal(signal.SIGKILL)
        process.wait()
    with killed.worker():
        killed.await_sealed(reader, total)
    counted = {
        name: (system, check(reader, system.topic, system.incarnation, system.ends()))
        for name, system in systems.items()
    }
    for system in systems.values():
        system.admin.close()
    return counted


def test_every_offset_is_there_exactly_once_after_two_kills(runs: dict[str, tuple[System, Counted]]) -> None:
    _, counted = runs["killed"]
    assert counted.events + counted.dead_letters == EVENTS + len(poison())


def test_every_poison_record_is_a_dead_letter_with_its_reason(runs: dict[str, tuple[System, Counted]]) -> None:
    expected = collections.Counter(one.expected for one in poison() if one.expected != "valid")
    for _, counted in runs.values():
        assert counted.reasons == dict(expected)


def test_alerts_equal_those_of_a_calm_run(runs: dict[str, tuple[System, Counted]]) -> None:
    calm, killed = runs["calm"][1], runs["killed"][1]
    assert calm.alerts
    assert killed.alerts == calm.alerts


def test_rollups_equal_the_sealed_events(runs: dict[str, tuple[System, Counted]], reader: ClickHouse) -> None:
    counted = reader.query(
        "SELECT countIf(duplicate_of < 0 AND NOT (action = 'log_control' AND resource_type = 'heartbeat')), count() "
        "FROM accesstrail.access_events WHERE topic LIKE 'e2e.%'"
    )[0]
    for table in ("risk_actor_1h", "risk_resource_1d"):
        raw = f"SELECT sum(events) FROM accesstrail_raw.{table} FINAL WHERE topic LIKE 'e2e.%'"
        writer = connect(runs["calm"][0].settings.clickhouse, "writer")
        sealed = f"{raw} AND batch_id IN (SELECT batch_id FROM accesstrail_raw.ledger)"
        assert writer.query(sealed)[0][0] == counted[0], table
    sources = connect(runs["calm"][0].settings.clickhouse, "writer").query(
        "SELECT sum(events) FROM accesstrail_raw.sources FINAL WHERE topic LIKE 'e2e.%' "
        "AND batch_id IN (SELECT batch_id FROM accesstrail_raw.ledger)"
    )
    assert sources[0][0] == counted[1]


def _identifiers(lines: list[bytes]) -> set[str]:
    """Every identifier that went in and is long enough to be told from a word or a number."""
    found: set[str] = set()
    for line in lines:
        event: dict[str, Any] = json.loads(line)
        for name in _IDENTIFIERS:
            value = event.get(name, ())
            found.update([value] if isinstance(value, str) else value)
    return {one for one in found if len(one) >= 6}


def _leaked(identifiers: set[str], folders: list[Path]) -> set[str]:
    words: set[str] = set()
    for folder in folders:
        for path in folder.rglob("*.log"):
            words.update(re.findall(r"[\w.:-]{6,}", path.read_text(encoding="utf-8", errors="replace")))
    return {word.strip(".:-") for word in words} & identifiers


def test_no_identifier_is_in_any_log_line(
    runs: dict[str, tuple[System, Counted]], company: tuple[Path, list[bytes]], stack: Stack, tmp_path: Path
) -> None:
    identifiers = _identifiers(company[1])
    # Only logs: Kafka's own segments, called *.log too, hold the raw events for their few days by design.
    folders = [stack.state / "logs", *(system.folder for system, _ in runs.values())]
    assert any(path.stat().st_size for folder in folders for path in folder.rglob("*.log"))
    assert not _leaked(identifiers, folders)
    planted = next(iter(identifiers))
    (tmp_path / "planted.log").write_text(f"2026-11-24 worker: handled {planted}.\n", encoding="utf-8")
    assert _leaked(identifiers, [tmp_path]) == {planted}


@pytest.mark.parametrize(
    ("damage", "code"),
    [("missing", "model_missing"), ("corrupt", "model_corrupt"), ("other_version", "model_other_version")],
)
def test_without_a_usable_model_events_are_stored_unscored_and_an_alarm_says_so(
    damage: str, code: str, stack: Stack, company: tuple[Path, list[bytes]], reader: ClickHouse, tmp_path: Path
) -> None:
    folder, lines = company
    system = System(stack, tmp_path / "system", f"e2e.{damage}")
    if damage != "missing":
        shutil.copytree(folder / "model", system.folder / "model")
    if damage == "corrupt":
        forest = system.folder / "model" / "forest.npz"
        forest.write_bytes(forest.read_bytes()[:-20] + os.urandom(20))
    if damage == "other_version":
        manifest = system.folder / "model" / "manifest.json"
        about = json.loads(manifest.read_text(encoding="utf-8"))
        manifest.write_text(json.dumps({**about, "feature_version": "0"}), encoding="utf-8")
    produce(stack.settings, [system.topic], lines[:300], [])
    with system.worker():
        system.await_sealed(reader, 300)
        time.sleep(1.5)
        system.admin.close()
        (status,) = read_workers(system.folder / "run")
    assert status["model"] == {"state": "unusable", "code": code}
    assert sum(one["unscored"] for one in status["partitions"]) > 0
    rows = reader.query(
        "SELECT DISTINCT toString(score_status) FROM accesstrail.access_events WHERE topic = {t:String}",
        {"t": system.topic},
    )
    assert {row[0] for row in rows} <= {"unscored", "not_scored", "duplicate"}
    assert ("unscored",) in rows
    assert reader.query("SELECT count() FROM accesstrail.alerts WHERE detector = {d:String}", {"d": f"system:{code}"})[
        0
    ][0]


@pytest.mark.real_data
def test_real_cloudtrail_records_come_out_as_stored_and_scored_events(
    stack: Stack, company: tuple[Path, list[bytes]], reader: ClickHouse, real_data: Path, tmp_path: Path
) -> None:
    system = System(stack, tmp_path / "system", "e2e.cloudtrail")
    shutil.copytree(company[0] / "model", system.folder / "model")
    done = subprocess.run(
        [
            sys.executable, "-m", "pipeline.cli", "ingest", str(real_data / "cloudtrail_invictus.jsonl.gz"),
            "--format", "cloudtrail", "--config", str(system.config), "--topic", system.topic, "--json",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sent"] == 2900
    with system.worker():
        system.await_sealed(reader, 2900)
    system.admin.close()
    rows = reader.query(
        "SELECT toString(outcome), count() FROM accesstrail.access_events "
        "WHERE topic = {t:String} AND score_status = 'scored' GROUP BY 1",
        {"t": system.topic},
    )
    outcomes = {str(name): int(number) for name, number in rows}
    assert sum(outcomes.values()) == 2900
    assert outcomes["denied"] + outcomes["error"] == 300
