"""`accesstrail responder`: builds the adapters of incident handling and of sending, and runs both in the foreground."""

from __future__ import annotations

import logging
import signal
import sys
import uuid

import click

from pipeline import process_memory
from pipeline.adapters.clickhouse import connect
from pipeline.adapters.incident_store import ClickHouseIncidents, open_incidents
from pipeline.adapters.kafka import EventProducer, TopicAdmin
from pipeline.app import Agent, LoopFlow, build, inbox_bytes, run
from pipeline.cli.monitoring import Monitoring, Part
from pipeline.cli.options import settings_options
from pipeline.cli.worker import start_logging
from pipeline.column_batch import ColumnBatch
from pipeline.config import RESPONDER, Settings
from pipeline.errors import ConfigError
from pipeline.health.monitor import StoreAccess
from pipeline.partition.recovery import LogBounds
from pipeline.partition.thread import Observer, nobody
from pipeline.response.handling import Asking, HandlingPartition
from pipeline.response.partition_loop import LoopLimits
from pipeline.response.settings import Response, read_response
from pipeline.response.status import response_samples

_log = logging.getLogger(__name__)


def make_responder(settings: Settings, observer: Observer = nobody) -> None:
    """Runs one responder in the foreground; `observer` is told of every step that is done (`partition.thread`).

    Raises: ConfigError, a channel's faults with its name; Away where nothing can be retried.
    """
    if RESPONDER not in settings.clickhouse.password_files:
        raise ConfigError(["[clickhouse] responder_password_file is missing: the responder runs as a role of its own"])
    response = read_response(settings.response, settings.source.parent)
    admin, writer = TopicAdmin(settings.kafka.bootstrap_servers), uuid.uuid4().hex[:16]

    def read_bounds(topic: str, partition: int) -> LogBounds:
        return LogBounds(*admin.bounds(topic, partition))

    agents = [_handling(settings, response, writer, observer)]
    monitoring = Monitoring(settings, writer, _watched(settings, agents))
    application = build(settings, settings.kafka.response_group, agents, read_bounds, monitoring.stop)
    monitoring.start(application.pools)
    # Until Faust's own handlers stand: an orderly end of a responder that only waits.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        monitoring.await_kafka()
        process_memory.settle()
        run(application)
    finally:
        monitoring.stop()


def _handling(settings: Settings, response: Response, writer: str, observer: Observer) -> Agent:
    servers, kafka = settings.kafka.bootstrap_servers, settings.kafka
    commands, messages = (
        EventProducer(servers, kafka.incidents_topic),
        EventProducer(servers, kafka.notifications_topic),
    )
    asking = Asking(lambda incident_id, channel, at_us: "", response.containment.name if response.containment else "")
    limits = LoopLimits(inbox_bytes=inbox_bytes(2 * kafka.partitions))

    def open_store() -> ClickHouseIncidents:
        return open_incidents(settings.clickhouse)

    def partition(flow: LoopFlow, topic: str, number: int) -> HandlingPartition:
        return HandlingPartition(
            topic, number, open_store=open_store, commands=commands, messages=messages, rules=response.incidents.rules,
            asking=asking, flow=flow, limits=limits, writer=writer, observer=observer,
        )  # fmt: skip

    return Agent("handle", kafka.incidents_topic, partition)


def _watched(settings: Settings, agents: list[Agent]) -> Part:
    client = connect(settings.clickhouse, RESPONDER)

    def ping() -> None:
        client.query("SELECT 1")

    def write_alarm(rows: ColumnBatch, token: str) -> None:
        """An alert about ourselves would wait for ourselves: the log and `status` say it, and whoever watches them."""
        _log.error("an alarm about this process: see its status and the lines above")

    return Part(
        kind="responder", topics=tuple(one.topic for one in agents), store=StoreAccess(ping, write_alarm),
        metrics=response_samples,
    )  # fmt: skip


@click.command("responder")
@settings_options
def responder_command(settings: Settings) -> None:
    """Handle incidents and send messages in the foreground: alerts and commands in, incidents and messages out.

    Several may run: each partition of the topics of incidents and of messages has one of them. What is away is waited
    for. SIGTERM ends it in order. It answers GET /livez, /readyz and /metrics at a free port of [health] host, which
    its status file in the folder `run` names.

    \b
    Examples:
      accesstrail responder --config /etc/accesstrail/config.toml
      accesstrail responder --state ./state

    Exit codes: 0 ended as asked, 70 nothing can go on, 78 configuration: every fault is listed, a channel's with its
    name.
    """
    start_logging()
    make_responder(settings)
