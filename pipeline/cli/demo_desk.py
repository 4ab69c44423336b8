"""The demo's channel: messages of the responder, received on this machine.

Place in the flow: opened by `demo.py`, read by `demo_incident.py`. The desk is a receiver of the channel kind `webhook`
as a user would write one (docs/guides/channels.md): it checks signature and age before it reads, and keeps each message
once. What it shows came over HTTP from the responder process; nothing is taken from the store.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pipeline.private_files import write_new

CHANNEL = "desk"
_LONGEST_BODY = 1 << 20
_OLDEST_S = 300
_SETTINGS = """
# The page behind the links of messages, on this machine.
[response]
link_base = "http://127.0.0.1:{page_port}"
port = {page_port}

# The demo's own channel: a receiver in the demo's process.
[channels.{channel}]
kind = "webhook"
url = "http://127.0.0.1:{port}/"
secret_file = "secrets/{channel}"
allow_hosts = ["127.0.0.1"]
allow_private = ["127.0.0.0/8"]

# A whole day's messages come within a minute here; one of them in a digest, and the demo would wait for it in vain.
[incidents.flood]
per_minute = 60

[incidents.severity.critical]
channels = ["{channel}"]
acknowledge_within_s = 300
repeat_every_s = 900

[incidents.severity.high]
channels = ["{channel}"]

[incidents.severity.medium]
channels = ["{channel}"]
"""


class Desk:
    """Receives messages until it is closed; safe to ask from another thread."""

    def __init__(self, state_dir: Path) -> None:
        self._secret = secrets.token_hex(32)
        write_new(state_dir / "secrets" / CHANNEL, self._secret)
        self._messages: dict[str, Mapping[str, Any]] = {}
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, name="desk", daemon=True).start()

    def settings(self, page_port: int) -> str:
        """What the configuration says of it, TOML; `page_port`: of the page behind the messages' links."""
        return _SETTINGS.format(channel=CHANNEL, port=self._server.server_address[1], page_port=page_port)

    def close(self) -> None:
        """No more messages."""
        self._server.shutdown()
        self._server.server_close()

    def messages(self) -> list[Mapping[str, Any]]:
        """What came so far, in order, each once."""
        with self._changed:
            return list(self._messages.values())

    def await_message(self, action: str, incident_id: str, patience_s: float) -> Mapping[str, Any] | None:
        """The message of this kind about this incident; None: it did not come in time."""
        return self._await(lambda one: (one["action"], one["incident_id"]) == (action, incident_id), patience_s)

    def await_incident(self, incident_id: str, patience_s: float) -> Mapping[str, Any] | None:
        """The first message about this incident; None: none came in time."""
        return self._await(lambda one: one["incident_id"] == incident_id, patience_s)

    def _await(self, wanted: Callable[[Mapping[str, Any]], bool], patience_s: float) -> Mapping[str, Any] | None:
        with self._changed:
            return self._changed.wait_for(lambda: next(filter(wanted, self._messages.values()), None), patience_s)

    def _take(self, body: bytes, headers: Mapping[str, str]) -> bool:
        stamp = headers.get("X-Accesstrail-Timestamp", "")
        signed = hmac.new(self._secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(f"v1={signed}", headers.get("X-Accesstrail-Signature", "")):
            return False
        if abs(time.time() - int(stamp)) > _OLDEST_S:
            return False
        message = json.loads(body)
        with self._changed:
            self._messages.setdefault(message["notification_id"], message)
            self._changed.notify_all()
        return True

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        desk = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_POST(self) -> None:
                size = int(self.headers.get("Content-Length", "0"))
                body = self.rfile.read(size) if size <= _LONGEST_BODY else b""
                self.send_response(204 if desk._take(body, dict(self.headers)) else 401)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                return

        return Handler
