"""`accesstrail console`: builds what the pages ask, and serves them in the foreground.

Place in the flow: the composition root of `dashboards/console`; the one place where uvicorn is started. Nothing is
connected before somebody asks, so that the console starts while store and broker are away, and says so.
"""

from __future__ import annotations

import logging
import secrets
import signal
import socket
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import click
import uvicorn

from dashboards.console.app import console_app
from dashboards.console.outages import KAFKA, STORE, Outages
from dashboards.console.pages.overview import STEP_S
from dashboards.console.ports import Parts
from pipeline.adapters.breach_counts import IncidentEvidence
from pipeline.adapters.channels.registry import sender_of
from pipeline.adapters.command_outbox import FILE_NAME, CommandOutbox
from pipeline.adapters.health_reading import HealthReader
from pipeline.adapters.incident_reading import IncidentReader
from pipeline.adapters.kafka import EventProducer
from pipeline.adapters.panel_reading import PanelReader
from pipeline.adapters.read_announcements import open_read_announcer
from pipeline.adapters.reader_pool import ReaderPool
from pipeline.adapters.status_file import StatusFile
from pipeline.audit.reads import Read
from pipeline.cli.account_news import tell_at_start
from pipeline.cli.acting import now_us
from pipeline.cli.console_accounts import FIRST_LINK, ConsoleAccounts
from pipeline.cli.console_audit import ConsoleAudit
from pipeline.cli.console_evidence import ConsoleEvidence
from pipeline.cli.console_incidents import ConsoleDesk, ConsoleIncidents, SharedSender
from pipeline.cli.console_live import ConsoleLive, ConsolePanels
from pipeline.cli.console_sources import ListedSources
from pipeline.cli.incident_desk import Desk
from pipeline.cli.look_quota import LookQuota, quota_over
from pipeline.cli.options import settings_options
from pipeline.cli.revealing import reading_vault
from pipeline.cli.worker import start_logging
from pipeline.config import Settings
from pipeline.errors import Away, ConfigError, UsageError
from pipeline.notifications.outcome import DELIVERED
from pipeline.notifications.templates import test_notification
from pipeline.privacy.key_file import KeyFile
from pipeline.private_files import write_new
from pipeline.response.settings import read_response

_log = logging.getLogger(__name__)

LAST_PORT = "run/console.port"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_STATUS_EVERY_S = 1.0
_TELL_ACCOUNTS_EVERY_S = 10.0
_DRAIN_S = 5
_MOST_REQUESTS = 1_000
_TENANT = "default"
_SHORT_MS = 3_000


class ConsoleChannels:
    """`dashboards.console.ports.Channels`: the channels of the configuration."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def listed(self) -> Sequence[tuple[str, str]]:
        """Name and kind of each. Raises: ConfigError."""
        response = read_response(self._settings.response, self._settings.source.parent)
        return [(one.name, one.kind) for one in response.channels.values()]

    def test(self, name: str, by: str) -> str:
        """Sends one test message; "" where it arrived, else a code. Raises: UsageError; ConfigError."""
        response = read_response(self._settings.response, self._settings.source.parent)
        if name not in response.channels:
            raise UsageError("there is no such channel")
        message = test_notification(name, by, tenant_id=_TENANT, created_us=now_us())
        sent = sender_of(response.channels[name]).send(message, 1, now_us())
        return "" if sent.outcome == DELIVERED else sent.code


@contextmanager
def console_parts(settings: Settings, first_secret: str = "") -> Iterator[Parts]:
    """Everything the pages need, over the real store and broker; closed afterwards. Raises: ConfigError."""
    outages, kafka = Outages(), settings.kafka
    accounts = ConsoleAccounts(settings.state_dir)
    pool = ReaderPool(
        settings.clickhouse,
        failed=lambda: outages.failed(STORE, now_us()),
        worked=lambda: outages.worked(STORE),
    )
    producer = EventProducer(kafka.bootstrap_servers, kafka.incidents_topic, _SHORT_MS)
    sender = SharedSender(
        producer, failed=lambda: outages.failed(KAFKA, now_us()), worked=lambda: outages.worked(KAFKA)
    )
    reader = IncidentReader(pool)
    outbox = CommandOutbox(settings.state_dir / FILE_NAME, sender)
    clock = Desk(settings, reader, IncidentEvidence(pool), lambda: producer)
    keys = KeyFile(settings.protection.token_keys_file)
    listed = ListedSources(settings.detection.directory, keys.current)
    announcer = open_read_announcer(kafka.bootstrap_servers, kafka.events_topic)
    trail = _Trail(announcer.tell, quota_over(settings, pool), outages)
    with reading_vault(settings) as vault, closing(pool), closing(producer), closing(outbox), closing(announcer):
        outbox.start()
        yield Parts(
            accounts=accounts,
            trail=trail,
            incidents=ConsoleIncidents(reader, clock),
            desk=ConsoleDesk(reader, sender, outbox),
            live=ConsoleLive(
                settings.state_dir, reader, HealthReader(pool, _TENANT, kafka.events_topic), listed, now_us
            ),
            panels=ConsolePanels(PanelReader(pool), kept_s=STEP_S),
            channels=ConsoleChannels(settings),
            evidence=ConsoleEvidence(settings, pool, keys, listed, accounts.names, vault=vault),
            audit=ConsoleAudit(settings, pool),
            now_us=now_us,
            two_people=settings.response.two_people,
            public_address=settings.console.public_address,
            zone=settings.detection.default_time_zone,
            hosts=_hosts(settings),
            outages=outages,
            first_secret=first_secret,
            started_us=now_us(),
        )


def _hosts(settings: Settings) -> tuple[str, ...]:
    own = settings.console.host
    return (*settings.console.hosts, *([] if own in ("0.0.0.0", "::") else [own]))  # noqa: S104  compared, not bound


class _Trail:
    """The read trail (`ports.ReadTrail`), which keeps the quota of looks and tells of Kafka's outages."""

    def __init__(self, tell: Callable[[Read], None], quota: LookQuota, outages: Outages) -> None:
        self._tell, self._quota, self._outages = tell, quota, outages
        self._one, self._looking = threading.Lock(), dict[str, threading.Lock]()

    def admit(self, account: str, at_us: int) -> None:
        """Raises: Forbidden `look_quota`; Away; StoreRefused."""
        self._quota.admit(account, at_us)

    def tell(self, read: Read) -> None:
        """Returns when Kafka has it. Raises: Away; Forbidden `look_quota`; StoreRefused."""
        with self._turn_of(read.account):  # else looks of one moment would not know of each other
            self._quota.admit(read.account, read.at_us, read.rows)
            self._tell(read)
            self._outages.worked(KAFKA)
            self._quota.told(read)

    def _turn_of(self, account: str) -> threading.Lock:
        with self._one:
            return self._looking.setdefault(account, threading.Lock())

    def refused(self, read: Read) -> None:
        """As far as Kafka answers: the look is refused either way."""
        try:
            self._tell(read)
        except (Away, ConfigError) as exc:
            _log.warning("a refused look could not be recorded: code=%s", exc.code)


class _Server(uvicorn.Server):
    """uvicorn that ends open streams first: they would keep an orderly end waiting."""

    def __init__(self, config: uvicorn.Config, close_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._close_streams = close_streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends in order."""
        self._close_streams()
        await super().shutdown(sockets)


def serve_console(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. Raises: ConfigError: the address cannot be had, or is open without a proxy."""
    for one in (signal.SIGTERM, signal.SIGINT):  # uvicorn gives the signal back to these when it has ended in order
        signal.signal(one, lambda *_: sys.exit(0))
    for folder in ("run", "secrets"):
        (settings.state_dir / folder).mkdir(mode=0o700, exist_ok=True)
    bound = _bound(settings)
    address = _address(settings, bound)
    secret = secrets.token_urlsafe(32) if ConsoleAccounts(settings.state_dir).is_empty() else ""
    with console_parts(settings, secret) as parts, bound, first_link(settings, address, secret):
        application = console_app(parts)
        config = uvicorn.Config(
            application, log_config=None, access_log=False, server_header=False, proxy_headers=False, lifespan="off",
            ws="none", timeout_keep_alive=15, timeout_graceful_shutdown=_DRAIN_S, limit_concurrency=_MOST_REQUESTS,
            h11_max_incomplete_event_size=32 * 1024,
        )  # fmt: skip
        _welcome(address, secret)
        with told(settings, address):
            _Server(config, application.state.broadcast.close).run(sockets=[bound])


def _welcome(address: str, secret: str) -> None:
    lines = [f"console: {address}"]
    if secret:
        lines.append(f"there is no account yet; make the first one within an hour: {address}/first/{secret}")
    sys.stderr.write("\n".join(lines) + "\n")
    sys.stderr.flush()


@contextmanager
def first_link(settings: Settings, address: str, secret: str) -> Iterator[None]:
    """Keeps the one-time link in a file of mode 0600 while it may be used, for `accesstrail up` to print."""
    path = settings.state_dir / FIRST_LINK
    path.unlink(missing_ok=True)
    if secret:
        write_new(path, f"{address}/first/{secret}\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _bound(settings: Settings) -> socket.socket:
    """The listening socket. Raises: ConfigError."""
    console = settings.console
    if console.host not in _LOOPBACK and not console.public_address and not console.hosts:
        raise ConfigError(
            ["[console] host is not this machine's own: set public_address (a proxy with TLS) or hosts, who may ask"]
        )
    family = socket.AF_INET6 if ":" in console.host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    last = settings.state_dir / LAST_PORT
    try:
        if console.port or not _bound_again(found, console.host, last):
            found.bind((console.host, console.port))
    except OSError as exc:
        found.close()
        raise ConfigError([f"[console] {console.host}:{console.port} cannot be had: {exc.strerror}"]) from None
    found.listen(512)
    last.write_text(f"{found.getsockname()[1]}\n", encoding="utf-8")
    return found


def _bound_again(found: socket.socket, host: str, last: Path) -> bool:
    """Takes the port of the last time, so that bookmarks hold; False where it cannot be had."""
    try:
        found.bind((host, int(last.read_text(encoding="utf-8"))))
    except (OSError, ValueError, OverflowError):
        return False
    return True


def _address(settings: Settings, bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return settings.console.public_address or f"http://{shown}:{port}"


@contextmanager
def told(settings: Settings, address: str) -> Iterator[None]:
    """The status file while the console runs, and changes of accounts told to the log as they come."""
    folder = settings.state_dir / "run"
    status, ends = StatusFile(folder, uuid.uuid4().hex[:16], "console"), threading.Event()
    status.clear_stale()
    producer = EventProducer(settings.kafka.bootstrap_servers, settings.kafka.events_topic, _SHORT_MS)

    def write() -> None:
        while not ends.wait(_STATUS_EVERY_S):
            with suppress(OSError):  # a full disk must not end what still works
                status.write({"ready": True, "address": address})

    def tell() -> None:
        while not ends.wait(_TELL_ACCOUNTS_EVERY_S):
            tell_at_start(settings, producer)

    threads = [threading.Thread(target=one, daemon=True) for one in (write, tell)]
    try:  # from the first write on: a signal may end it at once, and the file must not outlive it
        status.write({"ready": True, "address": address})
        for one in threads:
            one.start()
        yield
    finally:
        ends.set()
        if threads[0].is_alive():
            threads[0].join(timeout=2)
        status.remove()
        producer.close()


@click.command("console")
@click.option("--host", help="Address to listen on.  [default: as [console] says, else 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65_535), help="0: a free one.  [default: as [console] says, else 0]")
@settings_options
def console_command(settings: Settings, host: str | None, port: int | None) -> None:
    """Serve the console, the pages for operations, responders and auditors, in the foreground.

    The address is printed and stands in `accesstrail status --json` under `console`. Where there is no account yet, a
    link that makes the first one is printed; it works once, for an hour. Sessions are kept in memory: a restart signs
    everybody out. SIGTERM ends it in order.

    \b
    Examples:
      accesstrail console --state ./state
      accesstrail console --config /etc/accesstrail/config.toml --port 8443

    Exit codes: 0 ended as asked, 78 configuration.
    """
    start_logging()
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    chosen = replace(
        settings.console,
        host=settings.console.host if host is None else host,
        port=settings.console.port if port is None else port,
    )
    serve_console(replace(settings, console=chosen))
