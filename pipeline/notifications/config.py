"""Settings of channels: one table `[channels.NAME]` each, checked as a whole at start.

Place in the flow: read once, before anything is sent; a wrong channel is refused with its name. Every fault is listed,
not only the first. Tokens and secrets are never values here: `token_file` and `secret_file` name files that hold
nothing else and that nobody but their owner may read (mode 0600). The address of a robot is a secret too where it
holds the token, so the token stands in its file and `url` is the part before it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError
from pipeline.notifications.message import CHANNEL_NAME, LANGUAGES
from pipeline.notifications.pacing import Limits
from pipeline.notifications.secret import Secret
from pipeline.private_files import line_in
from pipeline.settings_table import SettingsTable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_URL = re.compile(r"(https?)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?(/[!-~]*)?")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]+")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?=.{{1,254}}$){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")
_TOKEN = re.compile(r"[A-Za-z0-9_/=.-]+")
_SECURITY = {"starttls": 587, "tls": 465, "none": 25}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a channel is asked. `scheme`: https, http (loopback only) or smtp. `path`: from the slash, never shown.

    Some receivers take a token in the path, whatever is said about it.
    """

    scheme: str
    host: str
    port: int
    path: str = field(default="/", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSettings:
    """What mail needs besides. `security`: starttls, tls, or none (loopback only). `username`: "" logs nobody in."""

    sender: str
    recipients: tuple[str, ...]
    security: str
    username: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings:
    """One channel. `allow_hosts`: names it may ask; `allow_private`: networks besides the public ones it may reach.

    `timeout_s`: for one attempt as a whole. `ca_file`: authorities besides the system's; None: none.
    """

    name: str
    kind: str
    endpoint: Endpoint
    token: Secret | None
    secret: Secret | None
    language: str
    allow_hosts: tuple[str, ...]
    allow_private: tuple[Network, ...]
    connect_timeout_s: float
    timeout_s: float
    ca_file: Path | None
    limits: Limits = field(default_factory=Limits)
    mail: MailSettings | None = None


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a kind of channel needs: `token`, `secret` are "needed", "optional" or "none". `url`: the vendor's."""

    token: str
    secret: str
    rate_per_minute: int
    url: str = ""
    hosts: tuple[str, ...] = ()


KINDS: Mapping[str, _Kind] = {
    "webhook": _Kind("none", "needed", 300),
    "dingtalk": _Kind("needed", "needed", 20, "https://oapi.dingtalk.com/robot/send", ("oapi.dingtalk.com",)),
    "feishu": _Kind(
        "needed", "needed", 60, "https://open.feishu.cn/open-apis/bot/v2/hook", ("open.feishu.cn", "open.larksuite.com")
    ),
    "wecom": _Kind("needed", "none", 20, "https://qyapi.weixin.qq.com/cgi-bin/webhook/send", ("qyapi.weixin.qq.com",)),
    "slack": _Kind("needed", "none", 60, "https://hooks.slack.com/services", ("hooks.slack.com",)),
    "pagerduty": _Kind(
        "needed", "none", 120, "https://events.pagerduty.com/v2/enqueue",
        ("events.pagerduty.com", "events.eu.pagerduty.com"),
    ),
    "smtp": _Kind("none", "optional", 60),
}  # fmt: skip
"""Every kind. Rates are the vendors' own where they state one (DingTalk and WeCom: 20 a minute)."""


def channels_from(raw: Mapping[str, Any], folder: Path) -> Mapping[str, ChannelSettings]:
    """The channels of the table `[channels]`, in its order; `folder` anchors relative paths.

    Raises: ConfigError: with every fault of every channel; it holds no secret and no address that could hold one.
    """
    found, faults = read_channels(raw, folder)
    if faults:
        raise ConfigError(faults)
    return found


def read_channels(raw: Mapping[str, Any], folder: Path) -> tuple[Mapping[str, ChannelSettings], list[str]]:
    """The same for a caller who has faults of other sections to add: channels without a fault, and the faults."""
    found: dict[str, ChannelSettings] = {}
    faults: list[str] = []
    for name, table in raw.items():
        if not CHANNEL_NAME.fullmatch(name):
            faults.append(f"[channels.{name[:40]!r}] a channel's name is a-z, 0-9, - and _, at most 40, a letter first")
            continue
        own: list[str] = []
        reader = SettingsTable(table, f"channels.{name}", own, folder)
        settings = None if own else _channel(reader, name)
        faults.extend(own)
        if settings is not None and not own:
            found[name] = settings
    return found, faults


def _channel(reader: SettingsTable, name: str) -> ChannelSettings | None:
    kind = reader.text("kind")
    if kind not in KINDS:
        if kind:
            reader.fault(f"kind must be one of {', '.join(KINDS)}")
        return None
    known = KINDS[kind]
    allow_private = _networks(reader)
    mail, endpoint = _mail(reader) if kind == "smtp" else (None, _endpoint(reader, known))
    allow_hosts = reader.texts("allow_hosts") or known.hosts
    _check_host(reader, endpoint, allow_hosts, allow_private)
    settings = ChannelSettings(
        name=name,
        kind=kind,
        endpoint=endpoint,
        token=_token(reader, known),
        secret=_signing_secret(reader, known, mail),
        language=reader.choice("language", LANGUAGES),
        allow_hosts=tuple(host.lower() for host in allow_hosts),
        allow_private=allow_private,
        connect_timeout_s=reader.number("connect_timeout_s", 5, 0.1, 60),
        timeout_s=reader.number("timeout_s", 15, 0.1, 120),
        ca_file=_authorities(reader),
        limits=_limits(reader, known),
        mail=mail,
    )
    reader.unknown()
    return settings


def http_endpoint(reader: SettingsTable, name: str, kind: str) -> ChannelSettings:
    """Another receiver over HTTP (an anchor) under the same rules: hosts, addresses, times, authorities; a secret if
    it is given. `kind` only names it. Faults are noted with the table.
    """
    known = _Kind("none", "optional", 300)
    allow_private, endpoint = _networks(reader), _endpoint(reader, known)
    allow_hosts = reader.texts("allow_hosts")
    _check_host(reader, endpoint, allow_hosts, allow_private)
    return ChannelSettings(
        name=name, kind=kind, endpoint=endpoint, token=None, secret=_signing_secret(reader, known, None),
        language=LANGUAGES[0], allow_hosts=tuple(host.lower() for host in allow_hosts), allow_private=allow_private,
        connect_timeout_s=reader.number("connect_timeout_s", 5, 0.1, 60),
        timeout_s=reader.number("timeout_s", 15, 0.1, 120), ca_file=_authorities(reader),
    )  # fmt: skip


def _limits(reader: SettingsTable, known: _Kind) -> Limits:
    usual = Limits()
    return Limits(
        rate_per_minute=reader.whole("rate_per_minute", known.rate_per_minute, 1, 6000),
        window_s=reader.number("window_s", usual.window_s, 0, 86_400),
        give_up_s=reader.number("give_up_s", usual.give_up_s, 60, 30 * 86_400),
    )


def _authorities(reader: SettingsTable) -> Path | None:
    if not reader.has("ca_file"):
        return None
    path = reader.path("ca_file")
    if path and not path.is_file():
        reader.fault(f"ca_file: no file at {path}")
    return path


def _secret(reader: SettingsTable, key: str, need: str) -> Secret | None:
    if need == "none" or (need == "optional" and not reader.has(key)):
        return None
    path = reader.path(key)
    if path is None:
        return None
    text, fault = line_in(path)
    if fault:
        reader.fault(f"{key} {path} {fault}")
    return Secret(text.strip())


def _token(reader: SettingsTable, known: _Kind) -> Secret | None:
    token = _secret(reader, "token_file", known.token)
    if token and token.reveal() and not _TOKEN.fullmatch(token.reveal()):
        reader.fault("token_file must hold a token alone (letters, digits, _ / = . -), not a whole address")
    return token


def _signing_secret(reader: SettingsTable, known: _Kind, mail: MailSettings | None) -> Secret | None:
    secret = _secret(reader, "secret_file", known.secret)
    if mail and bool(mail.username) != (secret is not None):
        reader.fault("username and secret_file belong together: give both or neither")
    return secret


def _endpoint(reader: SettingsTable, known: _Kind) -> Endpoint:
    found = _URL.fullmatch(reader.text("url", known.url or None))
    if not found or "?" in (found[4] or "") or "#" in (found[4] or ""):
        if reader.has("url"):
            reader.fault("url must be https://HOST[:PORT]/PATH without user, query and fragment")
        return Endpoint("https", "", 443)
    scheme = found[1]
    port = int(found[3] or (443 if scheme == "https" else 80))
    return Endpoint(scheme, found[2].strip("[]").lower(), _port(reader, port), found[4] or "/")


def _port(reader: SettingsTable, port: int) -> int:
    if not 0 < port < 65_536:
        reader.fault("the port must be 1 to 65535")
    return port


def _mail(reader: SettingsTable) -> tuple[MailSettings, Endpoint]:
    security = reader.choice("security", tuple(_SECURITY))
    host = reader.text("host")
    if host and not _HOST.fullmatch(host):
        reader.fault("host must be the name or address of a mail server")
    port = reader.whole("port", _SECURITY.get(security, 587), 1, 65_535)
    sender, recipients = reader.text("from"), reader.texts("to")
    if sender and not _ADDRESS.fullmatch(sender):
        reader.fault("from must be one mail address, without a name")
    if not recipients:
        reader.fault("to must list at least one mail address")
    if not all(_ADDRESS.fullmatch(one) for one in recipients):
        reader.fault("to must list mail addresses, without names")
    username = reader.text("username", "") if reader.has("username") else ""
    mail = MailSettings(sender=sender, recipients=recipients, security=security, username=username)
    return mail, Endpoint("smtp", host.lower(), port)


def _networks(reader: SettingsTable) -> tuple[Network, ...]:
    networks = []
    for text in reader.texts("allow_private"):
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError:
            reader.fault("allow_private must list networks such as 10.1.2.0/24")
    return tuple(networks)


def _check_host(
    reader: SettingsTable, endpoint: Endpoint, allowed: tuple[str, ...], networks: tuple[Network, ...]
) -> None:
    host = endpoint.host
    if not host:
        return
    if host not in {one.lower() for one in allowed}:
        reader.fault(f"its host {host} is not in allow_hosts: list it there if it is meant")
    is_plain = endpoint.scheme == "http" or (endpoint.scheme == "smtp" and reader.text("security", "") == "none")
    if is_plain and not _is_loopback(host):
        reader.fault("without TLS only this machine itself (127.0.0.1, ::1) may be asked")
    if is_plain and not any(network.is_loopback for network in networks):
        reader.fault("without TLS it needs a loopback network in allow_private")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
