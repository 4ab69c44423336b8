"""Systems that read one topic into stores of their own: what the same log gives again is compared with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local import clickhouse
from deploy.local.configuration import choose_ports, prepare_folder, write_config
from deploy.local.ports import Ports
from deploy.local.process import Child, Keeper
from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.kafka import TopicAdmin
from pipeline.config import Settings, load
from pipeline.migrations.runner import apply_all
from tests.conftest import Stack

LONG = os.environ.get("ACCESSTRAIL_LONG") == "1"
PATIENCE_S = 1500 if LONG else 500


@contextmanager
def empty_store(stack: Stack, state: Path) -> Iterator[Path]:
    """Another ClickHouse beside the stack's Kafka, with the schema and nothing else; gives its state folder."""
    state.mkdir(mode=0o700, parents=True)
    shutil.copytree(stack.state / "keys", state / "keys")
    state = prepare_folder(state)
    chosen = choose_ports(state)
    kafka_port = int(stack.settings.kafka.bootstrap_servers.rpartition(":")[2])
    ports = Ports(kafka_port, chosen.kafka_controller, chosen.clickhouse_native, chosen.clickhouse_http)
    write_config(state, ports)
    keeper = Keeper()
    child = Child(clickhouse.service(state, ports.clickhouse_native, ports.clickhouse_http), keeper)
    try:
        deadline = time.monotonic() + 60
        while not child.service.ready():
            assert time.monotonic() < deadline, "the second store does not start"
            time.sleep(0.1)
        apply_all(load(state / "config.toml", {}))
        yield state
    finally:
        child.stop()
        keeper.close()


class Consumer:
    """A consumer group of one topic with a store of its own: configuration, worker processes, what it sealed.

    `shared` holds `directory/` and `model/`, which several consumers judge by.
    """

    def __init__(self, folder: Path, base: Path, topic: str, group: str, shared: Path, batch: int = 5000) -> None:
        """`base`: the state folder whose Kafka, ClickHouse and keys are used."""
        self.folder, self.topic = folder, topic
        (folder / "run").mkdir(parents=True)
        text = (base / "config.toml").read_text(encoding="utf-8")
        kafka = (
            f"[kafka]\n"
            f'events_topic = "{topic}"\n'
            f'incidents_topic = "{topic}.incidents"\n'
            f'notifications_topic = "{topic}.notifications"\n'
            f'group = "{group}"\n'
            f"max_batch_records = {batch}\n"
        )
        text = text.replace("[kafka]\n", kafka, 1)
        for name in ("directory", "model"):
            text = text.replace(f'{name} = "{name}"', f'{name} = "{shared / name}"')
        for name in ("secrets", "keys"):
            (folder / name).symlink_to(base / name)
        self.config = folder / "config.toml"
        self.config.write_text(text, encoding="utf-8")
        self.settings: Settings = load(self.config, {})
        self.reader: ClickHouse = connect(self.settings.clickhouse, "reader")
        self.workers: list[subprocess.Popen[bytes]] = []
        self._logs = 0

    def start(self) -> None:
        """One worker more."""
        log = self.folder / f"worker-{self._logs}.log"
        self._logs += 1
        command = [sys.executable, "-m", "pipeline.cli", "worker", "--config", str(self.config)]
        with log.open("wb") as out:
            self.workers.append(subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT))

    def stop(self) -> None:
        """Ends every worker in order."""
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.wait(40)
        self.workers.clear()

    def replace(self, victim: int) -> None:
        """One worker is killed with -9 and another started, as a supervisor would."""
        worker = self.workers.pop(victim % len(self.workers))
        worker.kill()
        worker.wait()
        self.start()

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One command of `accesstrail` on this system."""
        return subprocess.run(
            [sys.executable, "-m", "pipeline.cli", *words, "--config", str(self.config)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def leaves(self, reader: ClickHouse | None = None) -> int:
        """Sealed leaves of all partitions; other threads bring a connection of their own."""
        sql = (
            "SELECT sum(leaves) FROM (SELECT max(tree_size) AS leaves FROM accesstrail.ledger "
            "WHERE topic = {t:String} GROUP BY partition)"
        )
        return int((reader or self.reader).query(sql, {"t": self.topic})[0][0])

    def await_end_of_log(self, admin: TopicAdmin) -> int:
        """Waits until everything that the topic holds is sealed; gives how many records that is."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            ends = admin.partition_bounds(self.topic, range(self.settings.kafka.partitions))
            wanted = sum(one.end_offset for one in ends.values())
            if self.leaves() == wanted:
                return wanted
            assert time.monotonic() < deadline, f"{self.leaves()} of {wanted} sealed; the workers said:\n{self.said()}"
            time.sleep(0.2)

    def await_versions(self, count: int) -> str:
        """Waits until that many activations are known and told; gives the id of the set in force."""
        sql = (
            "SELECT lower(hex(versions_id)), number, announced FROM accesstrail.version_activations "
            "WHERE topic = {t:String} ORDER BY number DESC LIMIT 1"
        )
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = self.reader.query(sql, {"t": self.topic})
            if found and found[0][1] >= count and (found[0][2] or count == 1):
                return str(found[0][0])
            assert time.monotonic() < deadline, f"activation {count} does not come; the workers said:\n{self.said()}"
            time.sleep(0.2)

    def said(self) -> str:
        """The last words of the workers."""
        logs = sorted(self.folder.glob("worker-*.log"))[-3:]
        return "\n".join(log.read_text(encoding="utf-8", errors="replace")[-1500:] for log in logs)

    def roots(self) -> dict[int, tuple[int, int, str]]:
        """Last sealed offset, leaves and root of each partition."""
        sql = (
            "SELECT partition, max(last_offset), max(tree_size), argMax(hex(root), last_offset) "
            "FROM accesstrail.ledger WHERE topic = {t:String} GROUP BY partition"
        )
        return {row[0]: row[1:] for row in self.reader.query(sql, {"t": self.topic})}

    def alerts(self) -> set[tuple[object, ...]]:
        """Everything an alert says, of each."""
        sql = (
            "SELECT alert_id, partition, offset, detector, risk, toString(severity), explanation_en, explanation_zh, "
            "toString(reasons), toString(seen), hex(versions_id) FROM accesstrail.alerts WHERE topic = {t:String}"
        )
        return set(self.reader.query(sql, {"t": self.topic}))

    def batch_sizes(self) -> list[int]:
        """Leaves of each sealed batch."""
        sql = "SELECT tree_size - tree_size_before FROM accesstrail.ledger WHERE topic = {t:String}"
        return [int(row[0]) for row in self.reader.query(sql, {"t": self.topic})]

    def versions(self) -> list[str]:
        """The version sets of stored events, in the order they came up in partition after partition."""
        sql = (
            "SELECT lower(hex(versions_id)) FROM accesstrail.access_events WHERE topic = {t:String} "
            "GROUP BY versions_id ORDER BY min(received_at)"
        )
        return [str(row[0]) for row in self.reader.query(sql, {"t": self.topic})]

    def close(self) -> None:
        """Ends what is left."""
        self.stop()
        self.reader.close()
