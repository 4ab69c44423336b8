"""`accesstrail responder`: builds the adapters of incident handling and of sending, and runs both in the foreground."""

from __future__ import annotations

import logging
import signal
import sys
import uuid
from dataclasses import dataclass

import click

from pipeline import process_memory
from pipeline.adapters.acknowledge_page import AcknowledgeServer
from pipeline.adapters.channels.registry import senders_of
from pipeline.adapters.channels.webhook import WebhookSender
from pipeline.adapters.clickhouse import connect
from pipeline.adapters.incident_store import ClickHouseIncidents, open_incidents
from pipeline.adapters.kafka import EventProducer, TopicAdmin
from pipeline.app import Agent, LoopFlow, build, inbox_bytes, run
from pipeline.cli.account_news import tell_of_accounts
from pipeline.cli.acknowledging import LINK_SECRET, open_page
from pipeline.cli.monitoring import Monitoring, Part
from pipeline.cli.options import settings_options
from pipeline.cli.worker import start_logging
from pipeline.column_batch import ColumnBatch
from pipeline.config import RESPONDER, Settings
from pipeline.errors import ConfigError
from pipeline.health.monitor import StoreAccess
from pipeline.notifications.config import ChannelSettings
from pipeline.partition.recovery import LogBounds
from pipeline.partition.thread import Observer, nobody
from pipeline.response.channel_writer import ChannelWriter, flood_limits_of
from pipeline.response.containment_writer import ContainmentWriter
from pipeline.response.handling import Asking, HandlingPartition
from pipeline.response.links import Links, open_links
from pipeline.response.partition_loop import LoopLimits
from pipeline.response.sending import MakeWriter, Sending, SendingPartition
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

    kafka = settings.kafka
    commands = EventProducer(kafka.bootstrap_servers, kafka.incidents_topic)
    messages = EventProducer(kafka.bootstrap_servers, kafka.notifications_topic)
    links = open_links(settings.state_dir / LINK_SECRET, response.link_base)
    page = open_page(settings, links, commands) if response.link_base else None
    outside = _Outside(settings, commands, messages, writer, observer)
    agents = [_handling(response, links, outside), _sending(response, outside)]
    monitoring = Monitoring(settings, writer, _watched(settings, agents, page))
    application = build(settings, kafka.response_group, agents, read_bounds, monitoring.stop)
    monitoring.start(application.pools)
    if page is not None:
        page.start()
    # Until Faust's own handlers stand: an orderly end of a responder that only waits.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        monitoring.await_kafka()
        tell_of_accounts(settings)
        process_memory.settle()
        run(application)
    finally:
        monitoring.stop()


@dataclass(frozen=True, slots=True)
class _Outside:
    """What both agents write to, and what they are called there."""

    settings: Settings
    commands: EventProducer
    messages: EventProducer
    writer: str
    observer: Observer

    @property
    def limits(self) -> LoopLimits:
        """Of one partition: both topics share what a process may hold."""
        return LoopLimits(inbox_bytes=inbox_bytes(2 * self.settings.kafka.partitions))

    def open_store(self) -> ClickHouseIncidents:
        """A connection for one thread."""
        return open_incidents(self.settings.clickhouse)


def _handling(response: Response, links: Links, outside: _Outside) -> Agent:
    asking = Asking(links.link, response.containment.name if response.containment else "")

    def partition(flow: LoopFlow, topic: str, number: int) -> HandlingPartition:
        return HandlingPartition(
            topic, number, open_store=outside.open_store, commands=outside.commands, messages=outside.messages,
            rules=response.incidents.rules, asking=asking, flow=flow, limits=outside.limits, writer=outside.writer,
            observer=outside.observer,
        )  # fmt: skip

    return Agent("handle", outside.settings.kafka.incidents_topic, partition)


def _sending(response: Response, outside: _Outside) -> Agent:
    containment = response.containment.name if response.containment else ""
    shared = Sending(
        writers=_writers(response, outside.commands), containment=containment, outbox=outside.messages,
        incidents=outside.commands, open_store=outside.open_store,
    )  # fmt: skip

    def partition(flow: LoopFlow, topic: str, number: int) -> SendingPartition:
        return SendingPartition(
            topic, number, sending=shared, flow=flow, limits=outside.limits, observer=outside.observer
        )

    return Agent("notify", outside.settings.kafka.notifications_topic, partition)


def _writers(response: Response, commands: EventProducer) -> dict[str, MakeWriter]:
    """How the writer of each channel is made. Raises: ConfigError: with the fault of every channel that has one."""
    stopping = response.containment
    senders = senders_of({**response.channels, **({stopping.name: stopping} if stopping else {})})

    def people(channel: ChannelSettings) -> MakeWriter:
        flood, sender = flood_limits_of(channel.kind, response.incidents.flood), senders[channel.name]
        return lambda roles: ChannelWriter(channel.name, channel.limits, flood, sender, roles)

    def stopper(channel: ChannelSettings) -> MakeWriter:
        caller = senders[channel.name]
        assert isinstance(caller, WebhookSender)  # noqa: S101  `read_response` takes no other kind
        return lambda roles: ContainmentWriter(channel.name, channel.limits, caller, commands, roles)

    told = {name: people(channel) for name, channel in response.channels.items()}
    return {**told, **({stopping.name: stopper(stopping)} if stopping else {})}


def _watched(settings: Settings, agents: list[Agent], page: AcknowledgeServer | None) -> Part:
    def open_store() -> StoreAccess:
        client = connect(settings.clickhouse, RESPONDER)

        def ping() -> None:
            client.query("SELECT 1")

        return StoreAccess(ping, _say_alarm)

    def more() -> dict[str, object]:
        host, port = page.address if page is not None else ("", 0)
        return {"links": f"http://{host}:{port}" if page is not None else ""}

    return Part(
        kind="responder", topics=tuple(one.topic for one in agents), open_store=open_store, metrics=response_samples,
        more=more,
    )  # fmt: skip


def _say_alarm(rows: ColumnBatch, token: str) -> None:
    """An alert about ourselves would wait for ourselves: the log and `status` say it, and whoever watches them."""
    _log.error("an alarm about this process: see its status and the lines above")


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
