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
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pipeline.events import SEVERITIES
from pipeline.private_files import write_new

CHANNEL = "desk"
_LONGEST_BODY = 1 << 20
_OLDEST_S = 300
_SETTINGS = """
# The demo's own channel: a receiver in the demo's process.
[channels.{channel}]
kind = "webhook"
url = "http://127.0.0.1:{port}/"
secret_file = "secrets/{channel}"
allow_hosts = ["127.0.0.1"]
allow_private = ["127.0.0.0/8"]

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
        self.arrived_s: dict[str, float] = {}
        """When each incident was told of first, seconds since 1970."""
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, name="desk", daemon=True).start()

    def settings(self) -> str:
        """What the configuration says of it, TOML."""
        return _SETTINGS.format(channel=CHANNEL, port=self._server.server_address[1])

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
        deadline = time.monotonic() + patience_s
        with self._changed:
            while True:
                for one in self._messages.values():
                    if (one["action"], one["incident_id"]) == (action, incident_id):
                        return one
                if not self._changed.wait(deadline - time.monotonic()):
                    return None

    def await_gravest(self, patience_s: float, quiet_s: float) -> Mapping[str, Any] | None:
        """The gravest incident told of, once no new one comes for `quiet_s`; None: none came in time."""
        deadline = time.monotonic() + patience_s
        with self._changed:
            if not self._changed.wait_for(lambda: self._messages, patience_s):
                return None
            while self._changed.wait(min(quiet_s, deadline - time.monotonic())):
                continue
            told = [one for one in self._messages.values() if one["action"] == "trigger"]
            return max(told, key=lambda one: SEVERITIES.index(one["severity"]), default=None)

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
            self.arrived_s.setdefault(message["incident_id"], time.time())
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
