"""`accesstrail up`, `status`, `down` as processes, on a stack of their own: it is killed here in every way."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.local import clickhouse, kafka
from deploy.local.configuration import choose_ports, config_file, prepare_folder, settings
from deploy.local.jars import read_lock
from deploy.local.process import accepts, start_ticks
from deploy.local.supervisor import Supervisor
from pipeline.adapters.clickhouse import connect
from pipeline.adapters.kafka import EventProducer, TopicAdmin
from pipeline.config import Settings
from pipeline.errors import Away, LocalStackError
from pipeline.roles import ROLES

pytestmark = pytest.mark.stack

TOPIC = "access.events"
UP_LIMIT_S = 120


def accesstrail(*words: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *words],
        capture_output=True, text=True, timeout=UP_LIMIT_S, check=False, env={**os.environ, **(environment or {})},
    )  # fmt: skip


def up(state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return accesstrail("up", "--state", str(state), "--detach", "--no-worker", "--partitions", "2", *words)


def status(state: Path) -> dict[str, object]:
    document = json.loads(accesstrail("status", "--state", str(state), "--json").stdout)
    assert isinstance(document, dict)
    return document


def run_document(state: Path) -> dict[str, object]:
    document = json.loads((state / "run" / "stack.json").read_text())
    assert isinstance(document, dict)
    return document


def pids(state: Path) -> dict[str, int]:
    processes = run_document(state)["processes"]
    assert isinstance(processes, list)
    return {entry["name"]: entry["pid"] for entry in processes}


def mentioning(text: str) -> list[int]:
    """Every living process whose command line names this folder: what a person would look for."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if text.encode() in command and start_ticks(int(folder.name)) is not None:
            found.append(int(folder.name))
    return found


def until(condition: Callable[[], bool], what: str, limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"not seen: {what}"
        time.sleep(0.05)


def answers(chosen: Settings) -> bool:
    """Whether Kafka and ClickHouse serve requests."""
    if not accepts(int(chosen.kafka.bootstrap_servers.rpartition(":")[2])):
        return False
    try:
        return offsets(chosen) is not None and rows(chosen) is not None
    except Away:
        return False


def rows(chosen: Settings) -> int:
    with closing(connect(chosen.clickhouse, "reader")) as reader:
        return int(reader.query("SELECT count() FROM accesstrail.artefacts")[0][0])


def offsets(chosen: Settings) -> tuple[str, int]:
    """Topic id, and how many records the topic holds."""
    with closing(TopicAdmin(chosen.kafka.bootstrap_servers)) as admin:
        facts = admin.describe(TOPIC)
        assert facts is not None
        held = sum(one.end_offset for one in admin.partition_bounds(TOPIC, range(facts.partitions)).values())
        return facts.topic_id, held


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a running stack, two records and one row; whatever a test leaves running is stopped."""
    folder = tmp_path_factory.mktemp("own") / "state"
    started = up(folder)
    assert started.returncode == 0, started.stderr
    chosen = settings(folder, {})
    with closing(EventProducer(chosen.kafka.bootstrap_servers, TOPIC)) as producer:
        producer.send(b"one", b"1")
        producer.send(b"two", b"2")
        producer.flush()
    with closing(connect(chosen.clickhouse, "writer")) as writer:
        writer.query("INSERT INTO accesstrail_raw.artefacts (artefact_id, kind, content) SELECT SHA256('a'), 'x', 'y'")
    yield folder
    accesstrail("down", "--state", str(folder))
    for pid in mentioning(str(folder)):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def running(state: Path) -> Path:
    """The folder, its stack running whatever the test before did."""
    if not status(state)["ready"]:
        started = up(state)
        assert started.returncode == 0, started.stderr
    return state


def test_status_has_the_keys_outsiders_rely_on(running: Path) -> None:
    document = status(running)
    chosen = settings(running, {})
    assert document["ready"] is True
    assert document["bootstrap_servers"] == chosen.kafka.bootstrap_servers
    assert document["clickhouse"] == {
        "host": "127.0.0.1",
        "native_port": chosen.clickhouse.native_port,
        "http_port": chosen.clickhouse.http_port,
    }
    assert document["console"] is None
    assert document["workers"] == []
    topic_id, _ = offsets(chosen)
    assert isinstance(document["incarnation"], dict)
    assert document["incarnation"][TOPIC] == topic_id
    partitions = document["partitions"]
    assert isinstance(partitions, list)
    assert [set(one) for one in partitions] == [{"topic", "incarnation", "partition", "lag", "sealed_offset"}] * 2
    assert sum(one["lag"] for one in partitions) == 2
    assert {one["sealed_offset"] for one in partitions} == {None}
    processes = document["processes"]
    assert isinstance(processes, list)
    assert [set(one) for one in processes] == [{"name", "pid", "since"}] * 2
    assert {one["name"] for one in processes} == {"kafka", "clickhouse"}
    assert all(start_ticks(one["pid"]) is not None for one in processes)


def test_only_loopback_is_listened_on(running: Path) -> None:
    inodes = {
        os.readlink(link).partition("[")[2].rstrip("]")
        for pid in pids(running).values()
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if os.readlink(link).startswith("socket:")
    }
    listening = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                listening.append(fields[1].partition(":")[0])
    assert len(listening) == 4
    # 127.0.0.1, as IPv4 and as IPv4 in IPv6, in the kernel's byte order.
    assert set(listening) <= {"0100007F", "0000000000000000FFFF00000100007F"}


def test_a_second_up_is_refused_and_disturbs_nothing(running: Path) -> None:
    before = pids(running)
    second = up(running)
    assert second.returncode == 70
    assert "already runs" in second.stderr
    assert f"accesstrail down --state {running}" in second.stderr
    assert pids(running) == before


@pytest.mark.parametrize("name", ["kafka", "clickhouse"])
def test_a_killed_child_comes_back_with_its_data(running: Path, name: str) -> None:
    chosen = settings(running, {})
    before = offsets(chosen), rows(chosen)
    killed = pids(running)[name]
    os.kill(killed, signal.SIGKILL)
    until(lambda: pids(running).get(name) not in (None, killed), f"another {name}")
    until(lambda: answers(chosen), f"{name} to answer")
    assert (offsets(chosen), rows(chosen)) == before
    log = (running / "logs" / "stack.log").read_text()
    assert f"{name} ended with signal 9; starting it again in 1 s" in log


def test_a_killed_parent_leaves_no_orphan_and_its_folder_comes_back(running: Path) -> None:
    chosen = settings(running, {})
    before = offsets(chosen), rows(chosen)
    parent, children = run_document(running)["pid"], set(pids(running).values())
    assert isinstance(parent, int)
    assert children <= set(mentioning(str(running)))
    os.kill(parent, signal.SIGKILL)

    def all_gone() -> bool:
        """Nobody names the folder, and the dead are collected too (which is another process's work)."""
        return not mentioning(str(running)) and not any(start_ticks(child) is not None for child in children)

    until(all_gone, "the end of every process", 10)
    unready = accesstrail("status", "--state", str(running), "--json")
    assert unready.returncode == 69
    assert json.loads(unready.stdout)["ready"] is False
    assert up(running).returncode == 0
    again = settings(running, {})
    assert again.kafka == chosen.kafka
    assert again.clickhouse == chosen.clickhouse
    assert (offsets(again), rows(again)) == before


def test_down_stops_everything_and_the_folder_comes_back_on_other_ports_if_need_be(running: Path) -> None:
    chosen = settings(running, {})
    before = offsets(chosen), rows(chosen)
    done = accesstrail("down", "--state", str(running), "--json")
    assert json.loads(done.stdout) == {"stopped": True}
    assert mentioning(str(running)) == []
    assert json.loads(accesstrail("down", "--state", str(running), "--json").stdout) == {"stopped": False}
    port = int(chosen.kafka.bootstrap_servers.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)), socket.create_server(("127.0.0.1", chosen.clickhouse.native_port)):
        asked = up(running, "--kafka-port", str(port))
        assert asked.returncode == 70
        assert f"port {port} is taken" in asked.stderr
        assert "--kafka-port" in asked.stderr
        assert mentioning(str(running)) == []
        started = up(running)
        assert started.returncode == 0, started.stderr
    again = settings(running, {})
    assert again.kafka.bootstrap_servers != chosen.kafka.bootstrap_servers
    assert again.clickhouse.native_port != chosen.clickhouse.native_port
    assert (offsets(again), rows(again)) == before


def test_no_password_is_in_a_log_a_command_line_or_a_configuration(running: Path) -> None:
    secrets = [path.read_bytes() for path in (running / "secrets").iterdir()]
    assert len(secrets) == len(ROLES) + 1  # the passwords, and what the ledger is signed with
    files = [path for path in running.glob("logs/*") if path.is_file()] + [config_file(running)]
    files += [*(running / "run").glob("*.json"), *(running / "clickhouse" / "work").glob("*.xml")]
    texts = [path.read_bytes() for path in files]
    texts += [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids(running).values()]
    assert not any(secret in text for secret in secrets for text in texts)


@pytest.mark.parametrize("taken", ["native", "http", "kafka"])
def test_a_port_that_is_taken_at_the_last_moment_is_named_with_the_option_to_use(tmp_path: Path, taken: str) -> None:
    """The words are the real programs' own: this fails when a version says it otherwise."""
    folder = prepare_folder(tmp_path / "state")
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        free = choose_ports(folder)
        if taken == "kafka":
            service = kafka.service(folder, port, free.kafka_controller, os.environ, progress=print)
        else:
            ports = (port, free.clickhouse_http) if taken == "native" else (free.clickhouse_native, port)
            service = clickhouse.service(folder, *ports)
        service = replace(service, ready=lambda: False)
        with pytest.raises(LocalStackError) as caught, Supervisor(folder) as supervisor:
            supervisor.start(service)
    assert f"{port}" in str(caught.value)
    assert "is taken" in str(caught.value)
    assert ("--kafka-port" if taken == "kafka" else "--clickhouse-port") in str(caught.value)


def test_a_second_engine_on_the_same_data_is_refused_in_words_that_help(running: Path, tmp_path: Path) -> None:
    """The stack's lock forbids this; an engine started by hand does not ask for the lock."""
    command = Path(f"/proc/{pids(running)['clickhouse']}/cmdline").read_bytes().split(b"\0")[:-1]
    for name in ("config.xml", "users.xml"):
        text = (running / "clickhouse" / "work" / name).read_text()
        (tmp_path / name).write_text(re.sub(r"_port>\d+<", f"_port>{choose_ports(running).clickhouse_http}<", text))
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert "another ClickHouse uses this state folder" in clickhouse.explain(ended.stderr.decode(), None, None)
    assert answers(settings(running, {}))


def test_ctrl_c_in_the_foreground_stops_everything(tmp_path: Path, running: Path) -> None:
    folder = tmp_path / "state"
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "up", "--state", str(folder), "--no-worker"],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line.strip() == "ready":
            break
    # As a terminal does: to every process of the group.
    os.killpg(process.pid, signal.SIGINT)
    said += process.stderr.readlines()
    assert process.wait(60) == 0
    process.stderr.close()
    assert mentioning(str(folder)) == []
    text = "".join(said)
    assert re.search(r"Kafka +127\.0\.0\.1:\d+", text)
    assert "accesstrail status --state" in text
    assert "accesstrail ingest" in text


def test_jars_that_cannot_be_had_stop_the_start_with_what_to_do(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    nowhere = {"ACCESSTRAIL_CACHE": str(cache), "ACCESSTRAIL_MAVEN_MIRROR": "http://127.0.0.1:9"}
    folder = tmp_path / "state"
    words = ("up", "--state", str(folder), "--detach", "--no-worker")
    unfetched = accesstrail(*words, environment=nowhere)
    assert unfetched.returncode == 70
    assert "ACCESSTRAIL_MAVEN_MIRROR" in unfetched.stderr
    assert "Traceback" not in unfetched.stderr
    first = read_lock()[0]
    (cache / "kafka-4.1.1" / first.file_name).write_bytes(b"another jar")
    changed = accesstrail(*words, environment=nowhere)
    assert changed.returncode == 70
    assert first.coordinate in changed.stderr
    assert first.sha256 in changed.stderr
    assert mentioning(str(folder)) == []
