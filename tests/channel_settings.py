"""Settings, notifications and certificates for tests of channels; the settings go through the product's own reader."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pipeline.notifications.config import ChannelSettings, channels_from
from pipeline.notifications.message import Notification, notification_id_of
from tests.fake_channels import PATHS, SECRET, START_US, TOKEN, FakeChannel

KINDS = ("webhook", "dingtalk", "feishu", "wecom", "slack", "pagerduty", "smtp")
WITHOUT_TOKEN, WITHOUT_SECRET = ("webhook", "smtp"), ("wecom", "slack", "pagerduty")


def secret_file(folder: Path, name: str, text: str) -> str:
    """A file of its owner alone."""
    path = folder / name
    path.write_text(text + "\n", encoding="utf-8")
    path.chmod(0o600)
    return name


def table_of(kind: str, folder: Path, port: int, /, **changes: Any) -> dict[str, Any]:
    """The table of a channel on this machine, as it stands in the configuration."""
    table: dict[str, Any] = {
        "kind": kind,
        "allow_hosts": ["127.0.0.1"],
        "allow_private": ["127.0.0.0/8"],
        "language": "both",
        "timeout_s": 5,
        "connect_timeout_s": 5,
    }
    if kind == "smtp":
        people = {"from": "accesstrail@company.test", "to": ["oncall@company.test"]}
        table |= {"host": "127.0.0.1", "port": port, "security": "none", **people}
    else:
        table["url"] = f"http://127.0.0.1:{port}{PATHS[kind]}"
    if kind not in WITHOUT_TOKEN:
        table["token_file"] = secret_file(folder, "token", TOKEN)
    if kind not in (*WITHOUT_SECRET, "smtp"):
        table["secret_file"] = secret_file(folder, "secret", SECRET)
    return {name: value for name, value in {**table, **changes}.items() if value is not None}


def settings_of(kind: str, folder: Path, port: int, /, **changes: Any) -> ChannelSettings:
    """The same, read."""
    return channels_from({"oncall": table_of(kind, folder, port, **changes)}, folder)["oncall"]


def tls_settings_of(kind: str, folder: Path, fake: FakeChannel, **changes: Any) -> ChannelSettings:
    """A channel that asks `channel.test` over TLS and trusts the authority of `certificates(folder)`."""
    named: dict[str, Any] = {"allow_hosts": ["channel.test"], "ca_file": "ca.pem", **changes}
    if kind == "smtp":
        login = {"username": "accesstrail", "secret_file": secret_file(folder, "password", SECRET)}
        named = {"host": "channel.test", "security": "starttls", **login, **named}
    else:
        named = {"url": f"https://channel.test:{fake.port}{PATHS[kind]}", **named}
    return settings_of(kind, folder, fake.port, **named)


def to_this_machine(host: str, port: int) -> list[str]:
    """A name server for which everything is here."""
    return ["127.0.0.1"]


NOTIFICATION = Notification(
    notification_id=notification_id_of("oncall", "default:3f", "trigger", "0"),
    channel="oncall",
    action="trigger",
    dedup_key="default:3f9c2a77",
    tenant_id="default",
    incident_id="7d1f5b0e-0f0c-5b6a-8d55-9a3e4f1c2b90",
    severity="high",
    risk=8740,
    alerts=3,
    title_en="[high] Incident 7d1f5b0e, risk 87",
    title_zh="【高】事件 7d1f5b0e，风险 87",
    lines_en=("Read 4,000 customers in one night; usually 30.", "Alerts: 3. Detectors: bulk_read."),
    lines_zh=("一夜读取 4,000 名客户，平时为 30 名。", "告警 3 条；检测器：bulk_read。"),
    link="https://accesstrail.company.test/incidents/7d1f5b0e",
    created_us=START_US,
)


def numbered(number: int, action: str = "trigger", key: str | None = None, at_us: int | None = None) -> Notification:
    """Notifications that differ in words, key and id."""
    dedup_key = f"default:{number}" if key is None else key
    return replace(
        NOTIFICATION,
        notification_id=notification_id_of("oncall", dedup_key, action, str(number)),
        dedup_key=dedup_key,
        action=action,
        title_en=f"Incident number {number}, {action}",
        title_zh=f"事件 {number}，{action}",
        created_us=START_US + number if at_us is None else at_us,
    )


def certificates(folder: Path, names: tuple[str, ...] = ("channel.test",)) -> ssl.SSLContext:
    """A server's context for these names; `ca.pem` in the folder is the authority that vouches for it."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority")])
    ca = _certificate(authority, authority, ca_key, ca_key, x509.BasicConstraints(ca=True, path_length=0))
    alternative = x509.SubjectAlternativeName([*map(x509.DNSName, names), x509.IPAddress(ip_address("127.0.0.9"))])
    server = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a server")])
    certificate = _certificate(server, authority, key, ca_key, alternative)
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.now(UTC)
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(issuer_id, critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def sent_text(kind: str, fake: FakeChannel) -> str:
    """The words that the channel's people read, of the last message."""
    if kind == "smtp":
        mail = fake.mails[-1]
        return f"{mail['Subject']}\n{mail.get_content()}".replace("\r\n", "\n")
    document: Mapping[str, Any] = fake.requests[-1].document
    if kind == "webhook":
        return "\n".join([document["title_zh"], document["title_en"], *document["lines_zh"], *document["lines_en"]])
    if kind == "dingtalk":
        return str(document["markdown"]["text"])
    if kind == "wecom":
        return str(document["markdown"]["content"])
    if kind == "slack":
        return str(document["text"])
    if kind == "pagerduty":
        return f"{document['payload']['summary']}\n{document['payload']['custom_details']['message']}"
    posts = document["content"]["post"].values()
    parts = [part["text"] for post in posts for paragraph in post["content"] for part in paragraph]
    return "\n".join([*(post["title"] for post in posts), *parts])
