"""PagerDuty Events API v2: `trigger`, `acknowledge` and `resolve` of one alert by its dedup key.

The routing key stands in the body. 202 confirms with `"status": "success"`; 400 is never repeated, 429 and 5xx are.
What PagerDuty does not know (update, digest, alarm, test) is a `trigger`: under the same key it adds to the same alert.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline.adapters.channels.http import HttpClient
from pipeline.adapters.channels.markup import OPEN_WORDS, json_body, safe_link, words_of
from pipeline.notifications.config import ChannelSettings
from pipeline.notifications.message import Notification
from pipeline.notifications.outcome import DELIVERED, RETRY, Answer, Sent, judged
from pipeline.notifications.secret import Secret
from pipeline.notifications.text import cut

MAX_SUMMARY, MAX_DEDUP_KEY = 1024, 255
_SEVERITIES = {"low": "info", "medium": "warning", "high": "error", "critical": "critical"}


class PagerDutySender:
    """Kind `pagerduty`."""

    def __init__(self, settings: ChannelSettings, client: HttpClient) -> None:
        self._routing_key = settings.token or Secret("")
        self._language = settings.language
        self._client = client

    def send(self, notification: Notification, attempt: int, now_us: int) -> Sent:
        """As `Sender.send`."""
        answer = self._client.post("", self._body(notification), now_us)
        sent = judged(answer)
        if sent.outcome == DELIVERED and not _is_confirmed(answer):
            return Sent(RETRY, answer.failure or "unknown_answer", answer.status)
        return sent

    def _body(self, notification: Notification) -> bytes:
        action = notification.action if notification.action in ("acknowledge", "resolve") else "trigger"
        event: dict[str, Any] = {
            "routing_key": self._routing_key.reveal(),
            "event_action": action,
            "dedup_key": _dedup_key(notification.dedup_key),
        }
        if action == "trigger":
            event["payload"] = self._payload(notification)
            event["client"] = "accesstrail"
            if notification.link:
                href = safe_link(notification.link)
                event |= {"client_url": href, "links": [{"href": href, "text": OPEN_WORDS[self._language]}]}
        return json_body(event)

    def _payload(self, notification: Notification) -> Mapping[str, Any]:
        words = words_of(notification, self._language)
        created = datetime.fromtimestamp(notification.created_us / 1e6, UTC)
        details = {"message": "\n".join(words.lines), "incident_id": notification.incident_id}
        return {
            "summary": cut(words.title, MAX_SUMMARY, len),
            "source": "accesstrail",
            "severity": _SEVERITIES[notification.severity],
            "timestamp": created.isoformat(timespec="milliseconds"),
            "class": notification.action,
            "custom_details": {**details, "notification_id": notification.notification_id},
        }


def _dedup_key(key: str) -> str:
    """The key, or its SHA-256 where it is longer than PagerDuty takes."""
    return key if len(key) <= MAX_DEDUP_KEY else hashlib.sha256(key.encode()).hexdigest()


def _is_confirmed(answer: Answer) -> bool:
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return False
    return answer.status == 202 and isinstance(document, dict) and document.get("status") == "success"
