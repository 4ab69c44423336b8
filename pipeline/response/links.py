"""Links in messages: whoever reads the message may look at one incident and acknowledge it, for seven days.

Place in the flow: handling puts them into messages; `adapters/acknowledge_page.py` answers behind them. A link holds no
name and needs no login: it is signed (HMAC-SHA256, RFC 2104), names the channel it was sent to, so that the log says
through which one an incident was acknowledged, and opens nothing but that one incident. Token: base64url (RFC 4648 §5)
without padding of version, incident id, end of validity in seconds, channel, signature.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid5

from pipeline.errors import ConfigError
from pipeline.incidents.records import Acknowledge
from pipeline.notifications.message import CHANNEL_NAME
from pipeline.notifications.secret import Secret
from pipeline.private_files import line_in, write_new

PATH = "/i/"
"""Behind it the token; `BASE/i/TOKEN` is the whole link."""
VALID_S = 7 * 86_400
MAX_TOKEN = 130
_VERSION = b"\x01"
_PURPOSE = b"accesstrail link\0"
"""Signed with it, so that no other signature of the same secret is one of a link."""
_MAC_BYTES, _ID_END, _HEAD_BYTES = 32, 17, 22
_NAMESPACE = UUID("e2f0b7c6-0a67-5cf5-93f5-90d1f0f6a6d3")


@dataclass(frozen=True, slots=True)
class LinkClaim:
    """What a genuine link says. `link_id`: of the link itself."""

    incident_id: str
    channel: str
    expires_s: int
    link_id: UUID

    @property
    def by(self) -> str:
        """Who acknowledges, as the log names it: nobody logged in, so it is the channel."""
        return f"link:{self.channel}"

    def command_id(self, times_reopened: int) -> UUID:
        """Of the command it gives: the same however often it is followed, until the incident is reopened."""
        return uuid5(self.link_id, str(times_reopened))

    def command(self, tenant_id: str, incident_key: str, times_reopened: int, at_us: int) -> Acknowledge:
        """The command that the link gives, for the record of `access.incidents` under `incident_key`."""
        return Acknowledge(
            command_id=self.command_id(times_reopened),
            tenant_id=tenant_id,
            incident_key=incident_key,
            incident_id=self.incident_id,
            by=self.by,
            at_us=at_us,
        )


class Links:
    """Makes and checks links under one secret. `base`: where they lead, without a slash at its end; "": no links."""

    def __init__(self, secret: Secret, base: str) -> None:
        self._secret = secret
        self._base = base

    def link(self, incident_id: str, channel: str, at_us: int) -> str:
        """The link of one incident for one channel, valid for seven days from `at_us` (UTC microseconds) on."""
        if not self._base:
            return ""
        expires_s = at_us // 1_000_000 + VALID_S
        payload = _VERSION + UUID(incident_id).bytes + expires_s.to_bytes(5, "big") + channel.encode("ascii")
        return self._base + PATH + _encoded(payload + self._mac(payload))

    def verify(self, token: str, now_us: int) -> LinkClaim | None:
        """What the token says; None where it is not ours, was changed, or is over."""
        signed = _decoded(token)
        payload, mac = signed[:-_MAC_BYTES], signed[-_MAC_BYTES:]
        if len(payload) <= _HEAD_BYTES or not hmac.compare_digest(mac, self._mac(payload)) or payload[:1] != _VERSION:
            return None
        channel = payload[_HEAD_BYTES:].decode("ascii")
        expires_s = int.from_bytes(payload[_ID_END:_HEAD_BYTES], "big")
        if not CHANNEL_NAME.fullmatch(channel) or now_us >= expires_s * 1_000_000:
            return None
        incident_id = str(UUID(bytes=payload[1:_ID_END]))
        return LinkClaim(incident_id, channel, expires_s, link_id=uuid5(_NAMESPACE, token))

    def _mac(self, payload: bytes) -> bytes:
        return hmac.new(self._secret.reveal().encode(), _PURPOSE + payload, hashlib.sha256).digest()


def open_links(secret_file: Path, base: str) -> Links:
    """Links under the secret of this file, which is made (0600) where there is none: all processes share it.

    Raises: ConfigError: it is no secret of its owner alone, or cannot be made.
    """
    if base and not secret_file.exists():
        _make(secret_file)
    text, fault = line_in(secret_file) if base else ("", "")
    if fault:
        raise ConfigError([f"the secret of links {secret_file} {fault}"])
    return Links(Secret(text), base)


def _make(secret_file: Path) -> None:
    try:
        secret_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):  # another process was faster, its secret is as good
            write_new(secret_file, secrets.token_hex(32) + "\n")
    except OSError as exc:
        raise ConfigError([f"the secret of links {secret_file} cannot be made: {exc.strerror}"]) from None


def _encoded(signed: bytes) -> str:
    return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()


def _decoded(token: str) -> bytes:
    """The bytes, or none: of the spellings that decode to the same bytes only the one that we write is taken."""
    if len(token) > MAX_TOKEN or not token.isascii():
        return b""
    try:
        signed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return b""
    return signed if _encoded(signed) == token else b""
