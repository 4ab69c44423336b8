"""Version sets in operation on the real stack: two workers take up changes and rollbacks while they run."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kafka import KafkaProducer

from detectors.model import read, save
from pipeline.adapters.kafka import TopicAdmin, topic_specs
from tests.accounts import token_file
from tests.conftest import Stack
from tests.corpus.make_poison import event
from tests.e2e.stores import PATIENCE_S, Consumer
from tests.models import small_model

pytestmark = [pytest.mark.stack, pytest.mark.e2e, pytest.mark.timeout(1800)]

TOPIC = "e2e.versions"
HEADER = "resource_type,data_categories,sensitivity,owner_department\n"


class Running:
    """Two workers on a topic, files to change, records to send."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.shared = folder / "shared"
        (self.shared / "directory").mkdir(parents=True)
        self.write_resources("customer_profile,,2,\n")
        save(small_model(threshold=9900), self.shared / "model")
        kafka = replace(
            stack.settings.kafka,
            events_topic=TOPIC,
            incidents_topic=f"{TOPIC}.incidents",
            notifications_topic=f"{TOPIC}.notifications",
        )
        self.admin = TopicAdmin(kafka.bootstrap_servers)
        self.admin.create(topic_specs(kafka))
        self.consumer = Consumer(folder / "consumer", stack.state, TOPIC, "versions-record", self.shared)
        self.producer: Any = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers, acks="all")
        token = token_file(self.consumer.settings.state_dir, "lin.meng", "analyst")
        self.person = ("--token-file", str(token))
        self._sent = 0

    def write_resources(self, rows: str) -> None:
        beside = self.shared / "resources.new"
        beside.write_text(HEADER + rows, encoding="utf-8")
        beside.replace(self.shared / "directory" / "resources.csv")

    def taken_up(self, number: int) -> None:
        """Waits until both workers say that they judge by this activation."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            logs = sorted(self.consumer.folder.glob("worker-*.log"))[-2:]
            told = [f"activation={number} " in log.read_text(encoding="utf-8", errors="replace") for log in logs]
            if all(told):
                return
            assert time.monotonic() < deadline, f"activation {number}: {told}\n{self.consumer.said()}"
            time.sleep(0.2)

    def judged_now(self, count: int = 160) -> set[str]:
        """Version sets of events that are sent now, by all partitions."""
        first = self._sent
        for number in range(first, first + count):
            body = event(f"versions {number}", actor_id=f"actor-{number % 40}", event_time="2026-11-20T08:00:00Z")
            self.producer.send(TOPIC, key=body["actor_id"].encode(), value=msgspec.json.encode(body))
        self._sent += count
        self.producer.flush()
        self.consumer.await_end_of_log(self.admin)
        ids = [event(f"versions {number}")["event_id"] for number in range(first, first + count)]
        rows = self.consumer.reader.query(
            "SELECT lower(hex(versions_id)), uniqExact(partition) FROM accesstrail.access_events "
            "WHERE topic = {t:String} AND event_id IN {ids:Array(UUID)} GROUP BY versions_id",
            {"t": TOPIC, "ids": ids},
        )
        assert sum(partitions for _, partitions in rows) > 4
        return {str(one) for one, _ in rows}

    def versions(self, *words: str, code: int = 0) -> Any:
        """A `versions` command's JSON."""
        return self._said("versions", *words, code=code)

    def models(self, *words: str, code: int = 0) -> Any:
        """A `models` command's JSON."""
        return self._said("models", *words, code=code)

    def _said(self, group: str, *words: str, code: int) -> Any:
        done = self.consumer.command(group, *words, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        lines = [json.loads(line) for line in (done.stdout if code < 2 else done.stderr).splitlines()]
        return lines if words[0] == "list" else lines[0]

    def close(self) -> None:
        self.producer.close()
        self.consumer.close()
        self.admin.close()


@pytest.fixture(scope="module")
def running(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    made = Running(stack, tmp_path_factory.mktemp("versions"))
    made.consumer.start()
    made.consumer.start()
    yield made
    made.close()


def test_changes_and_rollbacks_without_a_restart(running: Running) -> None:
    consumer = running.consumer
    first = consumer.await_versions(1)
    running.taken_up(1)
    assert running.judged_now() == {first}
    workers = [worker.pid for worker in consumer.workers]

    running.write_resources("customer_profile,,4,\n")
    second = consumer.await_versions(2)
    running.taken_up(2)
    assert second != first
    assert running.judged_now() == {second}

    (running.shared / "directory" / "resources.csv").write_text("nonsense\n", encoding="utf-8")
    _await_alert(consumer, "system:reload_failed")
    assert running.judged_now() == {second}
    running.write_resources("customer_profile,,4,\n")

    told = running.versions("threshold", "45.5", "--reason", "a test of 13812345678", *running.person)
    assert (told["kind"], told["threshold"], told["announced"]) == ("threshold", 45.5, True)
    running.taken_up(3)
    assert running.judged_now() == {told["versions_id"]}

    assert running.versions("rollback", "--reason", "enough", *running.person)["versions_id"] == second
    running.taken_up(4)
    assert running.judged_now() == {second}
    assert running.versions("use", first[:8], "--reason", "back to the first", *running.person)["versions_id"] == first
    running.taken_up(5)
    time.sleep(5)  # the unchanged files must not undo it
    assert running.judged_now() == {first}
    assert [worker.pid for worker in consumer.workers] == workers
    assert [worker.poll() for worker in consumer.workers] == [None, None]


def test_the_set_in_force_survives_a_restart(running: Running) -> None:
    running.consumer.stop()
    running.consumer.start()
    running.consumer.start()
    in_force = running.versions("show")
    running.taken_up(5)
    assert running.judged_now() == {in_force["versions_id"]}
    assert running.versions("list")[0]["number"] == 5


def test_every_change_is_an_access_event_once_and_raises_no_alert(running: Running) -> None:
    rows = running.consumer.reader.query(
        "SELECT toString(event_id), toString(score_status), fields_accessed, justification, duplicate_of "
        "FROM accesstrail.access_events WHERE topic = {t:String} AND action = 'policy_change' "
        "AND source_system = 'accesstrail' AND resource_type = 'version_set' ORDER BY source_seq",
        {"t": TOPIC},
    )
    log = sorted(running.versions("list"), key=lambda one: int(one["number"]))
    assert [row[0] for row in rows] == [one["event_id"] for one in log[1:]]
    assert {row[1] for row in rows} == {"not_scored"}
    assert {row[4] for row in rows} == {-1}
    assert [row[2] for row in rows][1] == ["policy"]
    assert "13812345678" not in rows[1][3]
    assert "13812345678" not in log[2]["reason"]
    assert all(one["announced"] for one in log[1:])
    found = running.consumer.command("search", "--actor", "lin.meng", "--json")
    kinds = Counter(json.loads(line)["resource_type"] for line in found.stdout.splitlines())
    assert kinds == {"version_set": 3, "accesstrail_account": 2}
    alerts = running.consumer.reader.query(
        "SELECT count() FROM accesstrail.alerts WHERE event_id IN {ids:Array(UUID)}", {"ids": [row[0] for row in rows]}
    )
    assert alerts == [(0,)]


def test_the_commands_say_what_is_in_force_and_refuse_what_cannot_be(running: Running) -> None:
    shown = running.versions("show")
    assert shown["in_force"] is True
    assert shown["events"] > 0
    assert {"model", "policy", "configuration", "directory/resources", "rules", "features"} <= set(shown["parts"])
    changed = running.versions("diff", "2", "3", code=1)["changed"]
    assert list(changed) == ["policy"]
    assert running.versions("diff", "1", "5")["changed"] == {}
    assert running.versions("use", "ffffffff", "--reason", "x", *running.person, code=2)["error"] == "usage"
    assert running.versions("use", "5", "--reason", "x", *running.person, code=2)["error"] == "usage"
    assert running.versions("threshold", "45", "--reason", " ", *running.person, code=2)["error"] == "usage"
    text = running.consumer.command("versions", "list")
    assert text.returncode == 0
    assert "lin.meng" not in text.stdout
    assert text.stdout.splitlines()[1].split()[0] == "5"
    told = running.consumer.command("versions", "show", "2").stdout
    assert "not in force" in told
    assert "from level 99 (1 event in 89,000)" in told


def test_a_promoted_model_survives_a_changed_directory_and_is_taken_back(running: Running, tmp_path: Path) -> None:
    before = running.models("show")["model_id"]
    save(small_model(threshold=9800, seed=2), tmp_path / "next")
    wanted = read(tmp_path / "next").model_id
    told = running.models("promote", str(tmp_path / "next"), "--reason", "monthly", *running.person)
    assert (told["kind"], told["threshold"], told["announced"]) == ("promote", 98.0, True)
    running.taken_up(6)
    assert running.judged_now() == {told["versions_id"]}
    running.write_resources("customer_profile,,3,\n")
    running.taken_up(7)
    assert running.models("show")["model_id"] == wanted
    latest, earlier = running.models("list")
    assert (latest["model_id"], latest["until"], latest["kind"]) == (wanted, None, "promote")
    assert (earlier["model_id"], earlier["kind"]) == (before, "first")
    back = running.models("rollback", "--reason", "worse", *running.person)
    assert (back["kind"], back["threshold"]) == ("model_rollback", 99.0)
    running.taken_up(8)
    assert running.judged_now() == {back["versions_id"]}
    assert running.models("show")["model_id"] == before
    assert running.versions("diff", "7", "8", code=1)["changed"].keys() == {"model", "policy"}
    (tmp_path / "next" / "golden.npz").write_bytes(b"damaged")
    refused = running.models("promote", str(tmp_path / "next"), "--reason", "x", *running.person, code=2)
    assert refused["error"] == "model_corrupt"
    assert running.consumer.command("models", "list").stdout.splitlines()[1].startswith(before[:12])
    compared = running.consumer.command("models", "compare", "in-force", wanted[:8], "--json")
    assert json.loads(compared.stdout)["manifest"]["threshold"] == {"a": 99.0, "b": 98.0}


def _await_alert(consumer: Consumer, detector: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    sql = "SELECT count() FROM accesstrail.alerts WHERE detector = {d:String}"
    while not consumer.reader.query(sql, {"d": detector})[0][0]:
        assert time.monotonic() < deadline, consumer.said()
        time.sleep(0.2)
