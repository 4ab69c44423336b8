"""One notification: what a person is told on one channel, and its record of the topic `access.notifications`.

Place in the flow: written by incident handling, one record a channel (Kafka key = channel name, so that one writer
sends a channel's messages in order), read by the sender. Canonical JSON: sorted keys, no spaces, UTF-8, so that equal
notifications are equal bytes. It holds words, tokens in short form and a link to the incident, never an identity.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from pipeline.errors import NotificationRejected
from pipeline.events import SEVERITIES

FORMAT = 1
ACTIONS = ("trigger", "update", "acknowledge", "resolve", "digest", "test", "alarm")
LANGUAGES = ("zh", "en", "both")
MAX_RECORD_BYTES = 65_536
MAX_TITLE, MAX_LINE, MAX_LINES = 200, 1200, 40
"""Characters of the title and of a line, lines a language."""
MAX_LINK, MAX_KEY = 500, 512
HIGHEST_RISK, MOST_ALERTS = 10_000, 1 << 53
CHANNEL_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_LINK = re.compile(r"https?://[!-~]+")
_NUMBERS = ("risk", "alerts", "created_us")
_NAMESPACE = uuid.UUID("0b6a5d4e-6c1f-5d0a-9a57-2f1de0c47b11")


@dataclass(frozen=True, slots=True)
class Words:
    """A title and lines, in the channel's language."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What one channel shall say. `dedup_key`: what belongs together, the same from `trigger` to `resolve`.

    `severity`: of SEVERITIES. `risk` in hundredths and `alerts`: of the incident, 0 where it is about none; with the
    severity they say which of many messages is the gravest. `incident_id` and `link` are "" where it is about no
    incident. `created_us`: UTC microseconds, the time of the record that caused it, never a clock.
    """

    notification_id: str
    channel: str
    action: str
    dedup_key: str
    tenant_id: str
    incident_id: str
    severity: str
    risk: int
    alerts: int
    title_en: str
    title_zh: str
    lines_en: tuple[str, ...]
    lines_zh: tuple[str, ...]
    link: str
    created_us: int

    def words(self, language: str) -> Words:
        """Title and lines in `zh`, `en` or `both` (Chinese first)."""
        if language == "zh":
            return Words(self.title_zh, self.lines_zh)
        if language == "en":
            return Words(self.title_en, self.lines_en)
        return Words(f"{self.title_zh} / {self.title_en}", self.lines_zh + self.lines_en)

    def to_json(self) -> bytes:
        """The record's value."""
        return _canonical({**asdict(self), "type": "notification", "format": FORMAT})


def notification_id_of(channel: str, dedup_key: str, action: str, cause: str) -> str:
    """The id that follows from what caused it (a log position, an opening of a circuit): the same on every replay."""
    return str(uuid.uuid5(_NAMESPACE, json.dumps([channel, dedup_key, action, cause])))


def checked(notification: Notification) -> Notification:
    """The notification. Raises: NotificationRejected: no channel could be asked to send it."""
    faults = list(_faults(notification))
    if faults:
        raise NotificationRejected("this is no notification: " + "; ".join(faults))
    return notification


def from_json(value: bytes) -> Notification:
    """The notification of a record. Raises: NotificationRejected: it is none, or of another format."""
    if len(value) > MAX_RECORD_BYTES:
        raise NotificationRejected(f"a notification's record is at most {MAX_RECORD_BYTES:,} bytes")
    try:
        plain = json.loads(value)
        is_ours = plain.pop("type") == "notification" and plain.pop("format") == FORMAT
        found = _from_plain(plain) if is_ours else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        found = None
    if found is None:
        raise NotificationRejected("the record is no notification of this version")
    return checked(found)


def _from_plain(plain: Mapping[str, Any]) -> Notification | None:
    if set(plain) != {field.name for field in fields(Notification)}:
        return None
    lines = {name: plain[name] for name in ("lines_en", "lines_zh")}
    if not all(isinstance(one, list) and all(isinstance(line, str) for line in one) for one in lines.values()):
        return None
    rest: dict[str, Any] = {name: value for name, value in plain.items() if name not in lines}
    if not all(type(value) is (int if name in _NUMBERS else str) for name, value in rest.items()):
        return None
    rest |= {name: tuple(one) for name, one in lines.items()}
    return Notification(**rest)


def _faults(one: Notification) -> Iterable[str]:
    if not CHANNEL_NAME.fullmatch(one.channel):
        yield "channel is no name of a channel"
    if one.action not in ACTIONS:
        yield f"action must be one of {', '.join(ACTIONS)}"
    if one.severity not in SEVERITIES:
        yield f"severity must be one of {', '.join(SEVERITIES)}"
    for name in ("notification_id", "dedup_key", "tenant_id"):
        if not 0 < len(getattr(one, name)) <= MAX_KEY:
            yield f"{name} must have 1 to {MAX_KEY} characters"
    if not 0 <= one.risk <= HIGHEST_RISK or not 0 <= one.alerts <= MOST_ALERTS:
        yield f"risk must be 0 to {HIGHEST_RISK:,} (hundredths), alerts a count"
    if one.link and (len(one.link) > MAX_LINK or not _LINK.fullmatch(one.link)):
        yield f"link must be an http(s) address of at most {MAX_LINK} ASCII characters"
    yield from _faults_of_words(one)


def _faults_of_words(one: Notification) -> Iterable[str]:
    for language, title, lines in (("en", one.title_en, one.lines_en), ("zh", one.title_zh, one.lines_zh)):
        if not 0 < len(title) <= MAX_TITLE:
            yield f"title_{language} must have 1 to {MAX_TITLE} characters"
        if len(lines) > MAX_LINES or any(len(line) > MAX_LINE for line in lines):
            yield f"lines_{language} must be at most {MAX_LINES} lines of at most {MAX_LINE} characters"
    try:
        too_long = len(one.to_json()) > MAX_RECORD_BYTES
    except UnicodeEncodeError:
        yield "its words hold half a character"
    else:
        if too_long:
            yield f"its record is more than {MAX_RECORD_BYTES:,} bytes"


def _canonical(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
