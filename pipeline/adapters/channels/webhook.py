"""A receiver of one's own: the record of a notification, or of a containment call, as it is, signed.

    POST
    X-Accesstrail-Id: the notification's id (a call's `contain_id`), the same on every attempt: count an id once
    X-Accesstrail-Attempt: from 1
    X-Accesstrail-Timestamp: seconds since 1970, of this attempt
    X-Accesstrail-Signature: v1= and the hexadecimal HMAC-SHA256 (RFC 2104) of `TIMESTAMP.BODY` under the secret

A receiver compares in constant time and refuses what is more than five minutes off. Any 2xx is a confirmation.
"""

from __future__ import annotations

import hashlib
import hmac

from pipeline.adapters.channels.http import HttpClient
from pipeline.notifications.config import ChannelSettings
from pipeline.notifications.message import Notification
from pipeline.notifications.outcome import Sent, judged
from pipeline.notifications.secret import Secret
from pipeline.response.containment import ContainmentCall


class WebhookSender:
    """Kind `webhook`."""

    def __init__(self, settings: ChannelSettings, client: HttpClient) -> None:
        self._secret = settings.secret or Secret("")
        self._client = client

    def send(self, notification: Notification, attempt: int, now_us: int) -> Sent:
        """As `Sender.send`."""
        return self._post(notification.notification_id, notification.to_json(), attempt, now_us)

    def call(self, call: ContainmentCall, attempt: int, now_us: int) -> Sent:
        """Asks that an account be stopped; as `Sender.send`. A confirmation says that it is."""
        return self._post(call.contain_id, call.to_json(), attempt, now_us)

    def _post(self, record_id: str, body: bytes, attempt: int, now_us: int) -> Sent:
        headers = signed_headers(self._secret, body, now_us)
        headers["X-Accesstrail-Id"] = record_id
        headers["X-Accesstrail-Attempt"] = str(attempt)
        return judged(self._client.post("", body, now_us, headers))


def signed_headers(secret: Secret, body: bytes, now_us: int) -> dict[str, str]:
    """Time stamp and signature of a body."""
    timestamp = str(now_us // 1_000_000)
    signature = hmac.new(secret.reveal().encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"X-Accesstrail-Timestamp": timestamp, "X-Accesstrail-Signature": f"v1={signature}"}
