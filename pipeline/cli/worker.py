"""`accesstrail worker`: builds the adapters of one worker and runs it in the foreground until it is told to stop."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import uuid

import click

from pipeline import process_memory
from pipeline.adapters.activations import open_activations
from pipeline.adapters.incidents import IncidentPublisher
from pipeline.adapters.kafka import EventProducer, TopicAdmin
from pipeline.adapters.store import ClickHouseStore, open_store
from pipeline.adapters.vault import open_keeper
from pipeline.app import Agent, LoopFlow, build, inbox_bytes, run
from pipeline.cli.account_news import tell_at_start
from pipeline.cli.monitoring import Monitoring, worker_part
from pipeline.cli.options import settings_options
from pipeline.config import Settings
from pipeline.flow import Chain
from pipeline.partition.recovery import LogBounds
from pipeline.partition.thread import Observer, nobody
from pipeline.partition.turns import Turns
from pipeline.partition.worker import PartitionLimits, PartitionWorker
from pipeline.privacy.identities import KnownIdentities
from pipeline.privacy.key_file import KeyFile
from pipeline.privacy.protector import Protectors
from pipeline.version_sets.judgements import StoreAccess, stored_judgements
from pipeline.version_sets.watch import VersionWatch


def start_logging() -> None:
    """Lines to standard error: time, level, logger, message; messages carry codes and counts only."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    for chatty in ("faust", "mode", "aiokafka", "numba"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # These repeat a traceback or some lines at every try while a server or topic is away; we say it once, with a code.
    for vendor in ("kafka", "clickhouse_driver", "aiokafka.cluster", "aiokafka.consumer.group_coordinator"):
        logging.getLogger(vendor).setLevel(logging.CRITICAL)


def make_worker(settings: Settings, observer: Observer = nobody) -> None:
    """Runs one worker in the foreground; `observer` is told of every step that is done (`partition.Observer`).

    Raises: ConfigError; DirectoryError; Away where nothing can be retried.
    """
    keys = KeyFile(settings.protection.token_keys_file)
    admin = TopicAdmin(settings.kafka.bootstrap_servers)
    publisher = IncidentPublisher(EventProducer(settings.kafka.bootstrap_servers, settings.kafka.incidents_topic))
    writer = uuid.uuid4().hex[:16]
    known = KnownIdentities(only_rotated=settings.protection.vault_keys_file is None)
    chain, lock = Chain(Protectors(keys, known)), threading.Lock()

    def connect() -> ClickHouseStore:
        return open_store(settings.clickhouse)

    def open_access() -> StoreAccess:
        return StoreAccess(connect(), open_activations(settings.clickhouse))

    judgements = stored_judgements(settings, keys, open_access)
    changes = EventProducer(settings.kafka.bootstrap_servers, settings.kafka.events_topic)
    watch = VersionWatch(judgements, open_access, changes, keys)
    turns = Turns(settings.clickhouse.commits_at_once)
    limits = PartitionLimits(
        max_batch_records=settings.kafka.max_batch_records,
        inbox_bytes=inbox_bytes(settings.kafka.partitions),
        snapshot_interval_s=settings.recovery.snapshot_interval_s,
        snapshot_events=settings.recovery.snapshot_events,
    )

    def partition_worker(flow: LoopFlow, topic: str, partition: int) -> PartitionWorker:
        return PartitionWorker(
            topic, partition, chain=chain, chain_lock=lock, judgements=judgements, open_store=connect,
            publisher=publisher, flow=flow, limits=limits, turns=turns, writer=writer, observer=observer,
            open_vault=lambda: open_keeper(settings, known),
        )  # fmt: skip

    def read_bounds(topic: str, partition: int) -> LogBounds:
        return LogBounds(*admin.bounds(topic, partition))

    monitoring = Monitoring(settings, writer, worker_part(settings, judgements.model_state))
    agent = Agent("record", settings.kafka.events_topic, partition_worker)
    application = build(settings, settings.kafka.group, [agent], read_bounds, monitoring.stop)
    monitoring.start(application.pools)
    # Until Faust's own handlers stand: an orderly end of a worker that only waits.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        monitoring.await_kafka()
        tell_at_start(settings, changes)
        watch.start()
        process_memory.settle()
        run(application)
    finally:
        watch.stop()
        monitoring.stop()


@click.command("worker")
@settings_options
def worker_command(settings: Settings) -> None:
    """Run one worker in the foreground: Kafka in, ClickHouse out.

    It needs Kafka and ClickHouse with topics and schema (`accesstrail topics create`, `accesstrail migrate --apply`),
    and waits for what is away. SIGTERM ends it in order: a batch being committed is finished, nothing else begins.
    It answers GET /livez, /readyz and /metrics where [health] says; `accesstrail status --json` names the address.

    \b
    Examples:
      accesstrail worker --config /etc/accesstrail/config.toml
      accesstrail worker --state ./state
    """
    start_logging()
    make_worker(settings)
