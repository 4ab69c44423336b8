"""What the tests of health and trouble share: a topic of its own, real workers that read it, a connection to cut."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.kafka import TopicAdmin, topic_specs
from pipeline.adapters.status_file import read_workers
from pipeline.config import Settings, load
from pipeline.partitioning import partition_of
from tests.conftest import Stack
from tests.corpus.make_poison import event

PATIENCE_S = 150


def until(condition: Callable[[], bool], what: str, limit_s: float = PATIENCE_S) -> None:
    """Waits for what must come."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"not seen: {what}"
        time.sleep(0.1)


class Gate:
    """A TCP proxy on loopback: `shut` cuts every connection and refuses new ones until `open`."""

    def __init__(self, target_port: int, *, is_open: bool = True) -> None:
        self._target = ("127.0.0.1", target_port)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self._listener: socket.socket | None = None
        self._joined: list[socket.socket] = []
        if is_open:
            self.open()

    def open(self) -> None:
        """Lets connections through."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        """Cuts everything."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for one in self._joined:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._joined.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                try:
                    far = socket.create_connection(self._target)
                except OSError:
                    near.close()
                    continue
                self._joined += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


class System:
    """One topic on the session's stack, its configuration, and the workers that read it."""

    def __init__(
        self, stack: Stack, folder: Path, topic: str, *, partitions: int = 8, kafka_port: int | None = None,
        store_port: int | None = None, more: str = "", recovery: str = "",
    ) -> None:  # fmt: skip
        self.folder, self.topic = folder, topic
        (folder / "run").mkdir(parents=True)
        text = (stack.state / "config.toml").read_text(encoding="utf-8")
        kafka = f'events_topic = "{topic}"\nincidents_topic = "{topic}.incidents"\ngroup = "{topic}-record"\n'
        kafka += f'notifications_topic = "{topic}.notifications"\nresponse_group = "{topic}-respond"\n'
        text = text.replace("[kafka]\n", f"[kafka]\n{kafka}", 1).replace("partitions = 8", f"partitions = {partitions}")
        if kafka_port is not None:
            text = text.replace(stack.settings.kafka.bootstrap_servers, f"127.0.0.1:{kafka_port}")
        if store_port is not None:
            text = text.replace(f"native_port = {stack.settings.clickhouse.native_port}", f"native_port = {store_port}")
        text += f"\n[health]\npoll_interval_s = 1\n{more}\n[recovery]\naway_alert_after_s = 3\n{recovery}\n"
        for name in ("secrets", "keys"):
            (folder / name).symlink_to(stack.state / name)
        (folder / "directory").mkdir()
        self.config = folder / "config.toml"
        self.config.write_text(text, encoding="utf-8")
        self.settings: Settings = load(self.config, {})
        # Asked directly, whatever stands between the worker and its servers.
        self.direct = stack.settings
        self.admin = TopicAdmin(stack.settings.kafka.bootstrap_servers)
        self.admin.create(topic_specs(self.settings.kafka))
        self.reader: ClickHouse = connect(stack.settings.clickhouse, "reader")
        self.logs: list[Path] = []

    def close(self) -> None:
        """Ends the connections."""
        self.admin.close()
        self.reader.close()

    # -- workers

    def start(self, command: str = "worker") -> subprocess.Popen[bytes]:
        """One process: a worker, or another foreground command."""
        log = self.folder / f"{command}-{len(self.logs)}.log"
        self.logs.append(log)
        with log.open("wb") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "pipeline.cli", command, "--config", str(self.config)],
                stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip

    @contextmanager
    def worker(self, command: str = "worker") -> Iterator[subprocess.Popen[bytes]]:
        """A process that ends with the block."""
        process = self.start(command)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(30)

    def said(self) -> str:
        """What the workers logged."""
        return "\n".join(log.read_text(encoding="utf-8", errors="replace") for log in self.logs)

    # -- what is seen from outside

    def workers(self, kind: str = "worker") -> list[dict[str, Any]]:
        """The fresh status files."""
        return read_workers(self.folder / "run", kind)

    def status(self) -> tuple[dict[str, Any], str]:
        """`accesstrail status` as JSON and in words."""
        documents = []
        for words in (("--json",), ()):
            done = subprocess.run(
                [sys.executable, "-m", "pipeline.cli", "status", "--config", str(self.config), *words],
                capture_output=True, text=True, check=False, timeout=60,
            )  # fmt: skip
            documents.append(done.stdout)
        document: dict[str, Any] = json.loads(documents[0])
        return document, documents[1]

    def page(self, path: str, kind: str = "worker") -> tuple[int, str]:
        """One page of the first worker (or of another kind of process): HTTP status and body."""
        found = self.workers(kind)
        if not found:
            return 0, ""
        try:
            with urllib.request.urlopen(found[0]["health"] + path, timeout=5) as answer:  # noqa: S310  loopback
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as exc:
            return exc.code, exc.read().decode()
        except OSError:
            return 0, ""

    def codes(self) -> set[str]:
        """The codes /readyz gives now."""
        _, body = self.page("/readyz")
        return {reason["code"] for reason in json.loads(body)["reasons"]} if body else set()

    def partition_entries(self) -> dict[int, dict[str, Any]]:
        """What the workers say of each partition."""
        return {one["partition"]: one for worker in self.workers() for one in worker["partitions"]}

    # -- records

    def produce(self, count: int, *, salt: str = "", partitions: frozenset[int] | None = None, **fields: Any) -> None:
        """Valid events of many actors, spread over the partitions, or for those of some partitions only."""
        from kafka import KafkaProducer

        producer = KafkaProducer(bootstrap_servers=self.direct.kafka.bootstrap_servers, acks="all")
        sent = number = 0
        while sent < count:
            actor = f"{salt}actor-{number % 997}"
            number += 1
            if partitions is None or partition_of(actor.encode(), self.settings.kafka.partitions) in partitions:
                body = event(f"{self.topic} {salt} {number}", actor_id=actor, **fields)
                producer.send(self.topic, key=actor.encode(), value=msgspec.json.encode(body))
                sent += 1
        producer.flush()
        producer.close()

    def sealed(self) -> dict[int, int]:
        """Leaves sealed so far by partition, over all lives of the log."""
        sql = (
            "SELECT partition, sum(leaves) FROM (SELECT partition, incarnation, max(tree_size) AS leaves "
            "FROM accesstrail.ledger WHERE topic = {t:String} GROUP BY partition, incarnation) GROUP BY partition"
        )
        return {int(number): int(leaves) for number, leaves in self.reader.query(sql, {"t": self.topic})}

    def await_sealed(self, wanted: int) -> None:
        """Waits until so many leaves are sealed."""
        deadline = time.monotonic() + PATIENCE_S
        while (found := sum(self.sealed().values())) < wanted:
            assert time.monotonic() < deadline, (
                f"only {found} of {wanted} sealed; the workers said:\n{self.said()[-4000:]}"
            )
            time.sleep(0.2)

    def alarms(self, code: str) -> list[tuple[str, str, int]]:
        """Alert rows of one alarm: English, Chinese, partition."""
        sql = (
            "SELECT explanation_en, explanation_zh, partition FROM accesstrail.alerts WHERE detector = {d:String} "
            "AND (topic = {t:String} OR topic = '') AND event_time > now() - INTERVAL 10 MINUTE ORDER BY event_time"
        )
        return self.reader.query(sql, {"d": f"system:{code}", "t": self.topic})
