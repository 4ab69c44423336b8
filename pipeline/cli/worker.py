"""`accesstrail worker`: builds the adapters of one worker and runs it in the foreground until it is told to stop."""

from __future__ import annotations

import logging
import sys
import threading
import uuid
from dataclasses import asdict

import click

from pipeline import process_memory
from pipeline.adapters.activations import open_activations
from pipeline.adapters.incidents import IncidentPublisher
from pipeline.adapters.kafka import EventProducer, TopicAdmin
from pipeline.adapters.status_file import StatusFile
from pipeline.adapters.store import ClickHouseStore, open_store
from pipeline.app import LoopFlow, build, run
from pipeline.cli.options import settings_options
from pipeline.config import Settings
from pipeline.flow import Chain
from pipeline.judgements import StoreAccess, StoredJudgements, stored_judgements
from pipeline.partition import Observer, PartitionLimits, PartitionStatus, PartitionWorker, nobody
from pipeline.privacy.keys import Keyring
from pipeline.privacy.protector import Protector
from pipeline.recovery import LogBounds
from pipeline.version_watch import VersionWatch

_READY_STATES = ("running", "stopped")


class _Status:
    """Turns the partitions' states into the status file (role `app.StatusSink`)."""

    def __init__(self, file: StatusFile, judgements: StoredJudgements) -> None:
        self._file, self._judgements = file, judgements

    def write(self, partitions: list[PartitionStatus], *, assigned: bool) -> None:
        """Ready means: partitions are assigned (or none is left for us) and none is recovering or away."""
        ready = assigned and all(one.state in _READY_STATES for one in partitions)
        ready = ready and not (partitions and all(one.state == "stopped" for one in partitions))
        self._file.write([asdict(one) for one in partitions], ready=ready, model=self._judgements.model_state())

    def close(self) -> None:
        """Nothing is ready any more."""
        self._file.remove()


def start_logging() -> None:
    """Lines to standard error: time, level, logger, message; messages carry codes and counts only."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    for chatty in ("faust", "mode", "aiokafka", "kafka", "clickhouse_driver", "numba"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def make_worker(settings: Settings, observer: Observer = nobody) -> None:
    """Runs one worker in the foreground; `observer` is told of every step that is done (`partition.Observer`).

    Raises: ConfigError; DirectoryError; Away where nothing can be retried.
    """
    keyring = Keyring.load(settings.protection.token_keys_file)
    admin = TopicAdmin(settings.kafka.bootstrap_servers)
    publisher = IncidentPublisher(EventProducer(settings.kafka.bootstrap_servers, settings.kafka.incidents_topic))
    writer = uuid.uuid4().hex[:16]
    protector = Protector(keyring, partitions=settings.kafka.partitions)
    chain, lock = Chain(protector, settings.retention_class), threading.Lock()

    def connect() -> ClickHouseStore:
        return open_store(settings.clickhouse)

    def open_access() -> StoreAccess:
        return StoreAccess(connect(), open_activations(settings.clickhouse))

    judgements = stored_judgements(settings, keyring, open_access)
    changes = EventProducer(settings.kafka.bootstrap_servers, settings.kafka.events_topic)
    watch = VersionWatch(judgements, open_access, changes, keyring)
    limits = PartitionLimits(
        max_batch_records=settings.kafka.max_batch_records,
        snapshot_interval_s=settings.recovery.snapshot_interval_s,
        snapshot_events=settings.recovery.snapshot_events,
    )

    def partition_worker(flow: LoopFlow, topic: str, partition: int) -> PartitionWorker:
        return PartitionWorker(
            topic, partition, chain=chain, chain_lock=lock, judgements=judgements, open_store=connect,
            publisher=publisher, flow=flow, limits=limits, writer=writer, observer=observer,
        )  # fmt: skip

    def read_bounds(topic: str, partition: int) -> LogBounds:
        return LogBounds(*admin.bounds(topic, partition))

    (settings.state_dir / "run").mkdir(mode=0o700, exist_ok=True)
    status = _Status(StatusFile(settings.state_dir / "run" / "worker.json"), judgements)
    watch.start()
    process_memory.settle()
    try:
        run(build(settings, partition_worker, read_bounds, status))
    finally:
        watch.stop()


@click.command("worker")
@settings_options
def worker_command(settings: Settings) -> None:
    """Run one worker in the foreground: Kafka in, ClickHouse out.

    It needs a running Kafka and ClickHouse with topics and schema (`accesstrail topics create`, `accesstrail migrate
    --apply`). SIGTERM ends it in order: a batch being committed is finished, nothing else begins.

    \b
    Examples:
      accesstrail worker --config /etc/accesstrail/config.toml
      accesstrail worker --state ./state
    """
    start_logging()
    make_worker(settings)
