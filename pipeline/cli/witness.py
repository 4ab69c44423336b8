"""`accesstrail witness`: cosigns checkpoints of others' ledgers that continue what it saw (C2SP tlog-witness)."""

from __future__ import annotations

import logging
import signal
import threading
import time
from pathlib import Path

import click

from pipeline.adapters.small_server import Page, Request, SmallServer
from pipeline.adapters.witness_memory import WitnessFile
from pipeline.cli.worker import start_logging
from pipeline.errors import EXIT_OK, UsageError
from pipeline.ledger.signed_note import load_private_key, load_public_keys
from pipeline.ledger.witnessing import Witness

_log = logging.getLogger(__name__)
_MOST_BYTES = 65_536


class WitnessServer(SmallServer):
    """Answers `POST /add-checkpoint`, one request at a time."""

    def __init__(self, host: str, port: int, witness: Witness, memory: WitnessFile) -> None:
        self._witness, self._memory, self._lock = witness, memory, threading.Lock()
        super().__init__(host, port, self._answer, name="witness", methods=("POST",), max_body_bytes=_MOST_BYTES)

    def _answer(self, request: Request) -> Page:
        if request.path != "/add-checkpoint":
            return Page("there is POST /add-checkpoint\n", 404)
        with self._lock:
            try:
                reply = self._witness.add(request.body, self._memory, int(time.time()))
            except OSError:
                _log.exception("what was seen cannot be remembered, so nothing is signed")
                return Page("what was seen cannot be remembered\n", 503)
        if reply.status != 200:
            _log.warning("refused with status %d", reply.status)
        return Page(reply.body, reply.status, reply.content_type)


@click.command("witness")
@click.option("--listen", default="127.0.0.1:8099", show_default=True, metavar="HOST:PORT", help="Where to answer.")
@click.option("--keys", required=True, type=click.Path(path_type=Path), help="Public keys of the logs, one a line.")
@click.option("--key", required=True, type=click.Path(path_type=Path), help="The witness's own private key, 0600.")
@click.option("--memory", required=True, type=click.Path(path_type=Path), help="File of what it saw. Keep it safe.")
@click.option("--deployment", "deployments", multiple=True, help="Sign for this deployment only; may be repeated.")
def witness_command(listen: str, keys: Path, key: Path, memory: Path, deployments: tuple[str, ...]) -> int:
    """Cosign checkpoints that continue what this witness saw; refuse every second history.

    Run it where those who run the ledger have no rights, behind a proxy with TLS. It speaks C2SP tlog-witness.

    \b
    Example:
      accesstrail witness --listen 127.0.0.1:8099 --keys ledger.pub --key witness.key --memory witness.json

    Exit codes: 0 ended as asked, 2 wrong options, 78 a key or the memory cannot be read.
    """
    start_logging()
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65_535:
        raise UsageError("--listen takes HOST:PORT")
    witness = Witness(key=load_private_key(key), logs=load_public_keys(keys), deployments=deployments)
    server = WitnessServer(host.strip("[]"), int(port), witness, WitnessFile(memory))
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    server.start()
    click.echo(f"witness {witness.key.name} answers at http://{server.address[0]}:{server.address[1]}")
    ended.wait()
    server.close()
    return EXIT_OK
