"""The demo's responder: a channel that is read on this machine, and the commands a person would type.

Place in the flow: beside `demo.py`. The desk is a receiver of the channel kind `webhook` as a user would write one
(docs/guides/channels.md): it checks signature and age before it reads, and keeps each message once. What it shows came
over HTTP from the responder process; nothing is taken from the store.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pipeline.adapters.account_secrets import Credentials
from pipeline.adapters.accounts import open_accounts
from pipeline.cli.acting import now_us
from pipeline.errors import LocalStackError
from pipeline.events import SEVERITIES
from pipeline.private_files import write_new

CHANNEL = "desk"
_LONGEST_BODY = 1 << 20
_OLDEST_S = 300
_PATIENCE_S, _QUIET_S = 60.0, 2.0
_ADMIN, _RESPONDER = "demo.admin", "demo.responder"
_REASON = "called the partner: its key was stolen and is revoked"
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


def responder_token(state_dir: Path) -> Path:
    """A responder's account for the demo, made by an admin whose password nobody learns; the file of its token."""
    first, own = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    with open_accounts(state_dir, create=True) as accounts:
        accounts.add_first(_ADMIN, first, "demo", now_us())
        accounts.add(_ADMIN, _RESPONDER, ("soc", "responder"), first, "demo", now_us())
        accounts.logins.change_password(_RESPONDER, Credentials(first), own, now_us())
        token, _ = accounts.logins.new_token(_RESPONDER, Credentials(own), label="demo", days=1, at_us=now_us())
    path = state_dir / "secrets" / "demo.token"
    write_new(path, token + "\n")
    return path


def handle_incident(
    desk: Desk, state_dir: Path, token_file: Path, mark: Callable[[str], float], say: Callable[[str], None]
) -> dict[str, Any]:
    """The gravest incident as a responder handles it: read, acknowledged, closed with a verdict; what became of it.

    Raises: LocalStackError: no message came, or a command was not carried out.
    """
    told = desk.await_gravest(_PATIENCE_S, _QUIET_S)
    if told is None:
        raise LocalStackError("no message reached the demo's channel: see logs/responder.log", code="demo_silent")
    mark("first_message_s")
    incident_id = str(told["incident_id"])
    say(f"A message on the channel {CHANNEL}, one for each incident:\n")
    _show(told, say)
    commands = (
        ("acknowledge", ["ack", incident_id[:8]]),
        ("resolve", ["resolve", incident_id[:8], "--verdict", "true_positive", "--why", _REASON]),
    )
    for action, words in commands:
        _type(words, state_dir, token_file, say)
        heard = desk.await_message(action, incident_id, _PATIENCE_S)
        if heard is None:
            raise LocalStackError(f"the channel never heard {action}: see logs/responder.log", code="demo_silent")
        say(f"  {CHANNEL}: {heard['title_en']}\n  {CHANNEL}: {heard['title_zh']}\n")
    mark("closed_s")
    return {"incident_id": incident_id, "severity": told["severity"], "messages": len(desk.messages())}


def _show(message: Mapping[str, Any], say: Callable[[str], None]) -> None:
    for language in ("en", "zh"):
        say(f"  {message[f'title_{language}']}")
        for line in message[f"lines_{language}"]:
            say(f"    {line}")
        say("")


def _type(words: Sequence[str], state_dir: Path, token_file: Path, say: Callable[[str], None]) -> None:
    """Runs `accesstrail incidents …` as anybody would, with the demo's account."""
    shown = " ".join(f"'{one}'" if " " in one else one for one in words)
    say(f"$ accesstrail incidents {shown}")
    options = ["--state", str(state_dir), "--token-file", str(token_file)]
    command = [sys.executable, "-m", "pipeline.cli", "incidents", *words, *options]
    done = subprocess.run(command, capture_output=True, text=True, start_new_session=True, check=False)
    if done.returncode:
        raise LocalStackError(f"incidents {words[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    for line in done.stdout.strip().splitlines():
        say(f"  {line}")
