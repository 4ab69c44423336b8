"""Settings of a running system: one TOML file + environment + secret files, checked as a whole at start.

Every fault is listed at once (`ConfigError`, exit 78). Secrets are never values in the file: only paths to files
that hold nothing but the secret and that nobody but their owner may read (mode 0600). The environment overrides
the file: `ACCESSTRAIL_<SECTION>_<KEY>`, e.g. `ACCESSTRAIL_KAFKA_BOOTSTRAP_SERVERS`.
"""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

from pipeline.audit_settings import AuditSettings, audit_settings
from pipeline.errors import ConfigError
from pipeline.retention_settings import RetentionSettings, retention_settings
from pipeline.settings_table import SettingsTable
from pipeline.time_zones import zone_data

ENVIRONMENT_PREFIX = "ACCESSTRAIL_"
CONFIG_VARIABLE = "ACCESSTRAIL_CONFIG"
ROLES = ("migrator", "writer", "reader")
SCHEDULER = "scheduler"
"""The role of scheduled detectors: only a system that runs them needs its password."""
RESPONDER = "responder"
"""The role of incident handling and notifications: likewise."""
NOTARY = "notary"
"""The role that signs checkpoints: likewise."""
VAULT = "vault"
"""The role that keeps and reveals identities: only a system with a vault needs its password."""
RETENTION = "retention"
"""The role that deletes what has had its time: likewise, and only retention itself."""
GRAFANA = "grafana"
"""The role of Grafana's data source: only whoever publishes it needs its password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """Where access events come from."""

    bootstrap_servers: str
    events_topic: str
    incidents_topic: str
    notifications_topic: str
    partitions: int
    group: str
    response_group: str
    session_timeout_s: int
    max_batch_records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickHouseSettings:
    """Where evidence is kept; one password file a role."""

    host: str
    native_port: int
    http_port: int
    database: str
    password_files: Mapping[str, Path]
    timeout_s: int
    commits_at_once: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionSettings:
    """Keys of tokens, dead letters and the vault."""

    token_keys_file: Path
    attrs_allowed: tuple[str, ...]
    vault_keys_file: Path | None = None
    """Keys that wrap the data keys of identities; None: there is no vault, tokens stay tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionSettings:
    """What events are judged by."""

    directory: Path
    model: Path | None
    default_time_zone: str
    nightly_budget: bool = True
    """Whether the threshold is moved each night so that the alert budget is kept."""
    alerts_a_day: float = 0.0
    """The alert budget; 0: the one that the model in force was trained for."""
    model_public_keys: Path | None = None
    """Whose signature a model needs; None: nobody's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverySettings:
    """How often profiles are written so that a takeover is short."""

    snapshot_interval_s: int
    snapshot_events: int
    drain_timeout_s: int
    away_alert_after_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSettings:
    """Where a worker tells how it is, and when its watchdog ends it. `port` 0: a free one, which `status` names."""

    host: str
    port: int
    poll_interval_s: int
    stalled_after_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseSettings:
    """How incidents are handled and who is told; tables as they stand in the file, which `pipeline.response.settings`
    reads. `link_base`: where links in messages lead, "": messages carry none. `host`, `port`: of the page behind them,
    0: a free one. `containment`: name of the channel that stops an account, "": none does.
    """

    incidents: Mapping[str, Any]
    channels: Mapping[str, Any]
    operator: Mapping[str, Any]
    link_base: str
    host: str
    port: int
    containment: str
    two_people: tuple[str, ...] = ()
    """Actions that take a second person here although they need not: names of the matrix of permissions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """Where the console is offered. `port` 0: a free one, which `status` names. `public_address`: scheme and host under
    which a proxy with TLS offers it, "": only this machine. `hosts`: other names it may be asked by.
    """

    host: str = "127.0.0.1"
    port: int = 0
    public_address: str = ""
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GrafanaSettings:
    """Where dashboards are published to, and how Grafana reaches the store. `url` "": nowhere.

    `contact_file` holds the address that alert rules tell; None: Grafana's default policy decides.
    """

    url: str
    token_file: Path | None
    ca_file: Path | None
    viewers: str
    store_host: str
    store_port: int
    store_tls: bool
    contact: str
    contact_file: Path | None
    silence_after_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """How the ledger is signed. `deployment`: begins every origin and names the key. `anchors`: tables as they stand
    in the file, which `pipeline.notary.settings` reads. Files None: nothing is signed here.
    """

    deployment: str = "accesstrail"
    signing_key_file: Path | None = None
    public_keys_file: Path | None = None
    checkpoint_interval_s: float = 1.0
    anchor_interval_s: float = 10.0
    anchor_age_alert_s: float = 30.0
    anchors: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration; immutable, checked."""

    state_dir: Path
    retention_class: str
    kafka: KafkaSettings
    clickhouse: ClickHouseSettings
    protection: ProtectionSettings
    detection: DetectionSettings
    recovery: RecoverySettings
    health: HealthSettings
    response: ResponseSettings
    grafana: GrafanaSettings
    source: Path
    console: ConsoleSettings = ConsoleSettings()
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)


class _Reader:
    """The sections of the file as tables; the environment goes before each."""

    def __init__(self, raw: Mapping[str, Any], base: Path, environment: Mapping[str, str]) -> None:
        self.faults: list[str] = []
        self._raw = raw
        self._base = base
        self._environment = environment
        self._tables: dict[str, SettingsTable] = {}
        self._elsewhere: set[str] = set()

    def _table(self, section: str) -> SettingsTable:
        if section not in self._tables:
            prefix = f"{ENVIRONMENT_PREFIX}{section}_".upper()
            overrides = {
                name.removeprefix(prefix).lower(): text
                for name, text in self._environment.items()
                if name.startswith(prefix)
            }
            self._tables[section] = SettingsTable(
                self._raw.get(section, {}), section, self.faults, self._base, overrides
            )
        return self._tables[section]

    def text(self, section: str, key: str, default: str | None = None, *, empty_ok: bool = False) -> str:
        return self._table(section).text(key, default, empty_ok=empty_ok)

    def number(self, section: str, key: str, default: float, low: float, high: float) -> float:
        return self._table(section).number(key, default, low, high)

    def whole(self, section: str, key: str, default: int, low: int, high: int) -> int:
        return self._table(section).whole(key, default, low, high)

    def flag(self, section: str, key: str) -> bool:
        return self._table(section).flag(key)

    def choice(self, section: str, key: str, words: tuple[str, ...]) -> str:
        """One of some words; the first is the default."""
        return self._table(section).choice(key, words)

    def texts(self, section: str, key: str) -> tuple[str, ...]:
        return self._table(section).texts(key)

    def path(self, section: str, key: str, *, kind: str, default: str | None = None) -> Path:
        """A path, relative to the configuration file; kind: 'secret', 'folder', 'file' or 'any'."""
        path = self._table(section).path(key, default)
        fault = _PATH_CHECKS[kind](path) if path else None
        if fault:
            self._table(section).fault(f"{key}: {fault}")
        return path or self._base

    def whole_table(self, section: str) -> Mapping[str, Any]:
        """A section that somebody else reads; the environment says nothing to it."""
        table = SettingsTable(self._raw.get(section, {}), section, self.faults)
        self._elsewhere.add(section)
        return {key: self._raw[section][key] for key in table.said()}

    def inner_tables(self, section: str, key: str) -> Mapping[str, Any]:
        """The tables under a key, which somebody else reads; the environment says nothing to them."""
        found = self._table(section).table(key).said()
        return {name: self._raw[section][key][name] for name in found}

    def unknown(self) -> None:
        self.faults += [
            f"unknown section [{section}]" for section in self._raw if section not in {*self._tables, *self._elsewhere}
        ]
        for table in self._tables.values():
            table.unknown()


def _secret_fault(path: Path) -> str | None:
    try:
        return _fault_of_secret(path)
    except OSError as exc:
        return f"{path} cannot be looked at: {exc.strerror}"


def _fault_of_secret(path: Path) -> str | None:
    if not path.is_file():
        return f"no file at {path}"
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return f"{path} can be read by others: run chmod 600 on it"
    if not path.stat().st_size:
        return f"{path} is empty"
    return None


def _folder_fault(path: Path) -> str | None:
    return None if path.is_dir() else f"no folder at {path}"


def _file_fault(path: Path) -> str | None:
    return None if path.is_file() else f"no file at {path}"


_PATH_CHECKS: Mapping[str, Callable[[Path], str | None]] = {
    "secret": _secret_fault,
    "folder": _folder_fault,
    "file": _file_fault,
    "any": lambda path: None,
}


def _check_time_zone(reader: _Reader, name: str) -> None:
    try:
        zone_data(name)
    except ZoneInfoNotFoundError:
        reader.faults.append(f"[detection] default_time_zone: no time zone named {name!r}")


def _kafka(reader: _Reader) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=reader.text("kafka", "bootstrap_servers"),
        events_topic=reader.text("kafka", "events_topic", "access.events"),
        incidents_topic=reader.text("kafka", "incidents_topic", "access.incidents"),
        notifications_topic=reader.text("kafka", "notifications_topic", "access.notifications"),
        partitions=reader.whole("kafka", "partitions", 24, 1, 1000),
        group=reader.text("kafka", "group", "accesstrail-record"),
        response_group=reader.text("kafka", "response_group", "accesstrail-respond"),
        session_timeout_s=reader.whole("kafka", "session_timeout_s", 6, 6, 300),
        max_batch_records=reader.whole("kafka", "max_batch_records", 5000, 1, 50000),
    )


def _clickhouse(reader: _Reader) -> ClickHouseSettings:
    password_files = {role: reader.path("clickhouse", f"{role}_password_file", kind="secret") for role in ROLES}
    for role in (SCHEDULER, RESPONDER, GRAFANA, NOTARY, VAULT, RETENTION):
        if reader.text("clickhouse", f"{role}_password_file", "", empty_ok=True):
            password_files[role] = reader.path("clickhouse", f"{role}_password_file", kind="secret")
    return ClickHouseSettings(
        host=reader.text("clickhouse", "host", "127.0.0.1"),
        native_port=reader.whole("clickhouse", "native_port", 9000, 1, 65535),
        http_port=reader.whole("clickhouse", "http_port", 8123, 1, 65535),
        database=reader.text("clickhouse", "database", "accesstrail"),
        password_files=password_files,
        timeout_s=reader.whole("clickhouse", "timeout_s", 30, 1, 600),
        commits_at_once=reader.whole("clickhouse", "commits_at_once", 2, 1, 1000),
    )


def _protection(reader: _Reader) -> ProtectionSettings:
    vault = reader.text("protection", "vault_keys_file", "", empty_ok=True)
    return ProtectionSettings(
        token_keys_file=reader.path("protection", "token_keys_file", kind="secret"),
        attrs_allowed=reader.texts("protection", "attrs_allowed"),
        vault_keys_file=reader.path("protection", "vault_keys_file", kind="secret") if vault else None,
    )


def _detection(reader: _Reader) -> DetectionSettings:
    model = reader.text("detection", "model", "", empty_ok=True)
    time_zone = reader.text("detection", "default_time_zone", "Asia/Shanghai")
    _check_time_zone(reader, time_zone)
    signed = reader.text("detection", "model_public_keys", "", empty_ok=True)
    return DetectionSettings(
        directory=reader.path("detection", "directory", kind="folder"),
        # A missing model is no fault: events are stored unscored and `status` says so.
        model=reader.path("detection", "model", kind="any") if model else None,
        default_time_zone=time_zone,
        nightly_budget=reader.choice("detection", "nightly_budget", ("on", "off")) == "on",
        alerts_a_day=reader.number("detection", "alerts_a_day", 0, 0, 100_000),
        model_public_keys=reader.path("detection", "model_public_keys", kind="file") if signed else None,
    )


def _console(reader: _Reader) -> ConsoleSettings:
    address = reader.text("console", "public_address", "", empty_ok=True).rstrip("/")
    if address and not _is_address(address):
        reader.faults.append("[console] public_address must be https://HOST or https://HOST:PORT, nothing behind it")
    return ConsoleSettings(
        host=reader.text("console", "host", "127.0.0.1"),
        port=reader.whole("console", "port", 0, 0, 65535),
        public_address=address,
        hosts=reader.texts("console", "hosts"),
    )


def _is_address(text: str) -> bool:
    scheme, _, rest = text.partition("://")
    return scheme == "https" and bool(rest) and not set(rest) & set("/?#@ ")


def _grafana(reader: _Reader) -> GrafanaSettings:
    url = reader.text("grafana", "url", "", empty_ok=True).rstrip("/")
    ca = reader.text("grafana", "ca_file", "", empty_ok=True)
    contact = reader.choice("grafana", "contact", ("none", "email", "webhook"))
    token = reader.text("grafana", "token_file", "", empty_ok=True)
    address = reader.text("grafana", "contact_file", "", empty_ok=True)
    if url and not token:
        reader.faults.append("[grafana] token_file is missing: the file with a service account's token")
    if contact != "none" and not address:
        reader.faults.append("[grafana] contact_file is missing: the file with the address that is told")
    return GrafanaSettings(
        url=url,
        token_file=reader.path("grafana", "token_file", kind="secret") if token else None,
        ca_file=reader.path("grafana", "ca_file", kind="file") if ca else None,
        viewers=reader.choice("grafana", "viewers", ("editors", "everyone")),
        store_host=reader.text("grafana", "store_host", "", empty_ok=True),
        store_port=reader.whole("grafana", "store_port", 0, 0, 65535),
        store_tls=reader.choice("grafana", "store_tls", ("off", "on")) == "on",
        contact=contact,
        contact_file=reader.path("grafana", "contact_file", kind="secret") if address else None,
        silence_after_s=reader.whole("grafana", "silence_after_s", 86_400, 60, 30 * 86_400),
    )


def _ledger(reader: _Reader) -> LedgerSettings:
    deployment = reader.text("ledger", "deployment", "accesstrail")
    if not deployment.isprintable() or any(letter.isspace() or letter == "+" for letter in deployment):
        reader.faults.append("[ledger] deployment must be one word without plus signs")
    private = reader.text("ledger", "signing_key_file", "", empty_ok=True)
    public = reader.text("ledger", "public_keys_file", "", empty_ok=True)
    return LedgerSettings(
        deployment=deployment,
        signing_key_file=reader.path("ledger", "signing_key_file", kind="any") if private else None,
        public_keys_file=reader.path("ledger", "public_keys_file", kind="any") if public else None,
        checkpoint_interval_s=reader.number("ledger", "checkpoint_interval_s", 1, 0.1, 3600),
        anchor_interval_s=reader.number("ledger", "anchor_interval_s", 10, 0.1, 3600),
        anchor_age_alert_s=reader.number("ledger", "anchor_age_alert_s", 30, 1, 86_400),
        anchors=reader.inner_tables("ledger", "anchors"),
    )


def settings_from(raw: Mapping[str, Any], source: Path, environment: Mapping[str, str]) -> Settings:
    """Builds settings from parsed TOML; `source` anchors relative paths.

    Raises: ConfigError: with every fault found.
    """
    reader = _Reader(raw, source.parent, environment)
    settings = Settings(
        state_dir=reader.path("accesstrail", "state_dir", kind="folder", default="."),
        retention_class=reader.text("accesstrail", "retention_class", "standard"),
        kafka=_kafka(reader),
        clickhouse=_clickhouse(reader),
        protection=_protection(reader),
        detection=_detection(reader),
        recovery=RecoverySettings(
            snapshot_interval_s=reader.whole("recovery", "snapshot_interval_s", 30, 1, 3600),
            snapshot_events=reader.whole("recovery", "snapshot_events", 50_000, 100, 10_000_000),
            drain_timeout_s=reader.whole("recovery", "drain_timeout_s", 8, 1, 60),
            away_alert_after_s=reader.whole("recovery", "away_alert_after_s", 60, 1, 3600),
        ),
        health=HealthSettings(
            host=reader.text("health", "host", "127.0.0.1"),
            port=reader.whole("health", "port", 0, 0, 65535),
            poll_interval_s=reader.whole("health", "poll_interval_s", 5, 1, 60),
            stalled_after_s=reader.whole("health", "stalled_after_s", 120, 10, 86_400),
        ),
        response=ResponseSettings(
            incidents=reader.whole_table("incidents"),
            channels=reader.whole_table("channels"),
            operator=reader.whole_table("operator"),
            link_base=reader.text("response", "link_base", "", empty_ok=True).rstrip("/"),
            two_people=reader.texts("response", "two_people"),
            host=reader.text("response", "host", "127.0.0.1"),
            port=reader.whole("response", "port", 0, 0, 65535),
            containment=reader.text("response", "containment", "", empty_ok=True),
        ),
        grafana=_grafana(reader),
        source=source,
        console=_console(reader),
        ledger=_ledger(reader),
        retention=retention_settings(reader),
        audit=audit_settings(reader.flag, reader.whole),
    )
    reader.unknown()
    if settings.protection.vault_keys_file and VAULT not in settings.clickhouse.password_files:
        reader.faults.append(f"[clickhouse] {VAULT}_password_file is missing: the vault has a role of its own")
    if settings.retention.nightly and RETENTION not in settings.clickhouse.password_files:
        reader.faults.append(f"[clickhouse] {RETENTION}_password_file is missing: retention has a role of its own")
    if reader.faults:
        raise ConfigError(reader.faults)
    return settings


def load(path: Path, environment: Mapping[str, str]) -> Settings:
    """Reads and checks the configuration file.

    Raises: ConfigError: the file cannot be read, is no TOML, or has faults (all of them listed).
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError([f"{path} cannot be read: {exc.strerror}"]) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError([f"{path} is not valid TOML: {exc}"]) from exc
    return settings_from(raw, path.absolute(), environment)
