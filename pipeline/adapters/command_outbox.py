"""Commands that Kafka could not take yet, kept in one small file until it can: STATE/console-outbox.ndjson.

Place in the flow: used by the console for acknowledging only, where waiting would leave an escalation running. A
command keeps its id, so that one that was sent and not seen to be acknowledged does nothing the second time. The file
is 0600 and is replaced as a whole, on the disk before the viewer is told; a command is forgotten once Kafka has it.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from pathlib import Path

from pipeline.errors import AccesstrailError, Away, ConfigError
from pipeline.incidents.records import Command, command_from, encode_command
from pipeline.ports import EventSender

_log = logging.getLogger(__name__)

FILE_NAME = "console-outbox.ndjson"
MOST_KEPT = 1_000
RETRY_S = 3.0


class CommandOutbox:
    """Kept commands, and the thread that sends them. `sender`: as `EventProducer`; may raise Away."""

    def __init__(self, path: Path, sender: EventSender, *, retry_s: float = RETRY_S) -> None:
        """Raises: ConfigError: the file cannot be used."""
        self._path, self._sender, self._retry_s = path, sender, retry_s
        self._lock = threading.Lock()
        self._wake, self._ends = threading.Event(), threading.Event()
        self._kept = _read(path)
        self._thread = threading.Thread(target=self._run, name="console-outbox", daemon=True)

    def start(self) -> None:
        """Begins sending what is kept."""
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; what is kept stays."""
        self._ends.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def keep(self, command: Command) -> None:
        """Takes one command. Raises: Away: too many wait, or the disk does not take it."""
        with self._lock:
            if len(self._kept) >= MOST_KEPT:
                raise Away("Kafka is away and too many commands wait for it", code="kafka_away")
            self._write([*self._kept, command])
        self._wake.set()

    def incidents(self) -> frozenset[str]:
        """Incidents about which something is kept."""
        with self._lock:
            return frozenset(one.incident_id for one in self._kept)

    def send_all(self) -> bool:
        """Sends what is kept, oldest first; whether nothing is left."""
        with self._lock:
            waiting = list(self._kept)
        if not waiting:
            return True
        try:
            for one in waiting:
                self._sender.send(one.incident_key.encode(), encode_command(one))
            self._sender.flush()
        except AccesstrailError as exc:
            _log.info("kept commands wait: %d, code=%s", len(waiting), exc.code)
            return False
        sent = {one.command_id for one in waiting}
        with self._lock:
            self._write([one for one in self._kept if one.command_id not in sent])
            return not self._kept

    def _run(self) -> None:
        while not self._ends.is_set():
            self._wake.clear()
            try:
                is_empty = self.send_all()
            except Away as exc:  # the disk: sent again, and the incident knows it already
                _log.warning("the outbox cannot be written: code=%s", exc.code)
                is_empty = False
            self._wake.wait(None if is_empty else self._retry_s)
            if not is_empty:
                self._ends.wait(self._retry_s)

    def _write(self, commands: list[Command]) -> None:
        """Replaces the file; the lock is held."""
        text = b"".join(encode_command(one) + b"\n" for one in commands)
        beside = self._path.with_suffix(".new")
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except OSError as exc:
            raise Away(f"{self._path} cannot be written: {exc.strerror}", code="kafka_away") from None
        self._kept = commands


def _read(path: Path) -> list[Command]:
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError([f"{path} can be read by others: run chmod 600 on it"])
        return [command_from(json.loads(line)) for line in path.read_bytes().splitlines()]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as exc:
        raise ConfigError([f"{path} cannot be used ({type(exc).__name__}): move it away"]) from None
