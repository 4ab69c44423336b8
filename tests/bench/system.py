"""What benches of the running system share: a local stack of their own, workers as processes, samples of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deploy.local.configuration import settings as state_settings
from deploy.local.supervisor import run_file
from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.kafka import TopicAdmin, topic_specs
from pipeline.adapters.status_file import read_workers
from pipeline.cli.stack_run import StackOptions, end, launch
from pipeline.config import Settings
from tests.bench.producer import write_events
from tests.bench.workload import Workload, prepare

PARTITIONS = 8
_POLL_S = 0.05
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """A process at one moment."""

    rss_mib: float
    peak_rss_mib: float
    descriptors: int
    threads: int
    cpu_s: float


def sample(pid: int) -> Sample:
    """Memory (resident, and its highest), open files, threads and CPU seconds of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return Sample(
        rss_mib=round(int(fields["VmRSS"].split()[0]) / 1024, 1),
        peak_rss_mib=round(int(fields["VmHWM"].split()[0]) / 1024, 1),
        descriptors=len(os.listdir(f"/proc/{pid}/fd")),
        threads=int(fields["Threads"]),
        cpu_s=(int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"),
    )


def spread_ms(waited_ms: npt.NDArray[np.float64]) -> dict[str, int]:
    """What half, 95 and 99 of 100 stay below, and the longest."""
    named = {f"p{share}_ms": round(float(np.percentile(waited_ms, share))) for share in (50, 95, 99)}
    return {**named, "max_ms": round(float(waited_ms.max()))}


class Worker:
    """One worker or responder process (`kind`) with a folder of its own for its status and log."""

    def __init__(self, system: System, name: str, environment: dict[str, str], kind: str = "worker") -> None:
        self.name, self.folder, self.kind = name, system.folder / name, kind
        (self.folder / "run").mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "worker.log"
        self.started_s = time.monotonic()
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pipeline.cli", kind, "--config", str(system.state / "config.toml")],
                stdout=out, stderr=subprocess.STDOUT,
                env={**os.environ, **system.environment, **environment,
                     "ACCESSTRAIL_ACCESSTRAIL_STATE_DIR": str(self.folder)},
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def status(self) -> dict[str, Any]:
        """What it says of itself; empty before it says anything."""
        return next((one for one in read_workers(self.folder / "run", self.kind) if one["pid"] == self.pid), {})

    def owned(self) -> set[int]:
        """The partitions it works on."""
        return {int(one["partition"]) for one in self.status().get("partitions", ())}

    def await_ready(self, timeout_s: float = 240) -> float:
        """Waits until it is ready; returns the seconds since its start."""
        while not self.status().get("ready"):
            if self.process.poll() is not None or time.monotonic() - self.started_s > timeout_s:
                raise SystemExit(f"worker {self.name} is not ready; see {self.log}\n{self.tail()}")
            time.sleep(_POLL_S)
        return time.monotonic() - self.started_s

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-1500:]

    def send(self, number: signal.Signals) -> None:
        """A signal; nothing where it has ended."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends it and waits."""
        self.send(number)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class System:
    """A running local stack without a worker, one topic of its own, and what one asks of them."""

    def __init__(self, state: Path, topic: str) -> None:
        self.state, self.topic = state, topic
        self.folder = state / "bench" / topic
        self.folder.mkdir(parents=True, exist_ok=True)
        own = state_settings(state, {})
        kafka = replace(
            own.kafka,
            events_topic=topic,
            incidents_topic=f"{topic}.incidents",
            notifications_topic=f"{topic}.notifications",
            group=f"{topic}-record",
            response_group=f"{topic}-respond",
        )
        self.settings: Settings = replace(own, kafka=kafka)
        self.environment = {
            "ACCESSTRAIL_KAFKA_EVENTS_TOPIC": topic,
            "ACCESSTRAIL_KAFKA_INCIDENTS_TOPIC": kafka.incidents_topic,
            "ACCESSTRAIL_KAFKA_NOTIFICATIONS_TOPIC": kafka.notifications_topic,
            "ACCESSTRAIL_KAFKA_GROUP": kafka.group,
            "ACCESSTRAIL_KAFKA_RESPONSE_GROUP": kafka.response_group,
        }
        self.admin = TopicAdmin(kafka.bootstrap_servers)
        self.admin.create(topic_specs(kafka))
        self.reader: ClickHouse = connect(self.settings.clickhouse, "reader")
        self.workers: list[Worker] = []
        self._producers: list[subprocess.Popen[str]] = []

    def worker(self, name: str, **environment: str) -> Worker:
        """Starts a worker; `environment` overrides its configuration."""
        self.workers.append(Worker(self, name, environment))
        return self.workers[-1]

    def responder(self, name: str) -> Worker:
        """Starts a responder."""
        self.workers.append(Worker(self, name, {}, "responder"))
        return self.workers[-1]

    def produce(self, events: Path, **options: float) -> subprocess.Popen[str]:
        """Starts a producer; options as its command's: rate, seconds, count."""
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self._producers.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.bench.producer", "--topic", self.topic, "--events", str(events),
                 "--bootstrap", self.settings.kafka.bootstrap_servers, *words],
                stdout=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
        return self._producers[-1]

    def ends(self) -> dict[int, int]:
        """End offset of every partition. Raises: Away."""
        return {number: self.admin.bounds(self.topic, number)[2] for number in range(self.settings.kafka.partitions)}

    @property
    def incarnation(self) -> str:
        """The life of the topic."""
        return self.admin.bounds(self.topic, 0)[0]

    def frontier(self) -> dict[int, int]:
        """The newest visible offset of every partition: of the ledger's view, which decides what is visible."""
        sql = "SELECT partition, max(last_offset) FROM accesstrail.ledger WHERE topic = {t:String} GROUP BY partition"
        return dict(self.reader.query(sql, {"t": self.topic}))

    def sealed(self) -> int:
        """Sealed offsets of all partitions together."""
        return sum(self.frontier().values()) + len(self.frontier())

    def await_sealed(self, wanted: int, timeout_s: float = 600) -> float:
        """Waits until so many offsets are sealed; returns the seconds it took."""
        begun_s = time.monotonic()
        while (found := self.sealed()) < wanted:
            if time.monotonic() - begun_s > timeout_s:
                raise SystemExit(f"only {found:,} of {wanted:,} offsets are sealed after {timeout_s:.0f} s")
            time.sleep(0.2)
        return time.monotonic() - begun_s

    def server_pid(self, name: str) -> int:
        """Process id of `kafka` or `clickhouse`."""
        facts = json.loads(run_file(self.state).read_text(encoding="utf-8"))
        return next(int(one["pid"]) for one in facts["processes"] if one["name"] == name)

    def close(self) -> None:
        """Ends what was started here."""
        for producer in self._producers:
            if producer.poll() is None:
                producer.terminate()
                producer.wait()
        for worker in self.workers:
            worker.send(signal.SIGCONT)
            worker.end()
        self.admin.close()
        self.reader.close()


def report_of(producer: subprocess.Popen[str]) -> dict[str, Any]:
    """Waits for a producer's end; what it sent."""
    out, _ = producer.communicate()
    found: dict[str, Any] = json.loads(out)
    return found


def write_workload(workload: Workload, path: Path, count: int) -> None:
    """The workload's first `count` events as a producer's file."""
    events = (
        (workload.keys[actor], line)
        for day in workload.days()
        for actor, line in zip(day.actors.tolist(), day.lines, strict=True)
    )
    write_events(path, islice(events, count))


@contextmanager
def running(topic: str, workload: Workload, *, history: int = 60_000, model_alerts: bool = True) -> Iterator[System]:
    """A system over a fresh state folder with the workload's directory and a model trained on it."""
    with tempfile.TemporaryDirectory(prefix="accesstrail-bench-") as name:
        state = Path(name)
        prepare(workload, state, history=history, model_alerts=model_alerts)
        stack = launch(state, StackOptions(worker=False, partitions=PARTITIONS), say=lambda text: None, tied=True)
        try:
            system = System(state, topic)
            try:
                yield system
            finally:
                system.close()
        finally:
            end(stack)
