"""`accesstrail notary`: builds the notary with its anchors and runs it in the foreground."""

from __future__ import annotations

import logging
import signal
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace

import click

from pipeline.adapters.anchors import FileAnchor, make_anchor
from pipeline.adapters.checkpoints import ClickHouseCheckpoints, open_checkpoints
from pipeline.cli.notary_pages import NotaryPages
from pipeline.cli.options import settings_options
from pipeline.cli.worker import start_logging
from pipeline.config import NOTARY, Settings
from pipeline.errors import EXIT_OK, AccesstrailError, ConfigError, NoteRejected
from pipeline.ledger import signing_keys
from pipeline.ledger.notes import notes_in
from pipeline.ledger.signed_note import load_public_keys
from pipeline.notary.anchoring import Anchoring
from pipeline.notary.notary import Notary, NotarySettings
from pipeline.notary.settings import AnchorSettings, anchors_from

_log = logging.getLogger(__name__)


def notary_settings(settings: Settings) -> NotarySettings:
    """What the notary needs of the settings. Raises: ConfigError: there is no key to sign with, or no role."""
    ledger = settings.ledger
    if NOTARY not in settings.clickhouse.password_files:
        raise ConfigError(["[clickhouse] notary_password_file is missing: the notary runs as a role of its own"])
    if ledger.signing_key_file is None or ledger.public_keys_file is None:
        raise ConfigError(["[ledger] signing_key_file and public_keys_file are missing: nothing can be signed"])
    public = ledger.public_keys_file
    files = signing_keys.KeyFiles(ledger.signing_key_file, public)
    signing_keys.current(files)
    return NotarySettings(
        deployment=ledger.deployment, events_topic=settings.kafka.events_topic,
        incidents_topic=settings.kafka.incidents_topic, key=lambda: signing_keys.current(files),
        known=lambda: load_public_keys(public),
    )  # fmt: skip


class Office:
    """The notary, and its anchors, each with a thread of its own. `ended`: set by whoever wants an end."""

    def __init__(self, settings: Settings, name: str, ended: threading.Event) -> None:
        self._settings, self._ended = settings, ended
        self._anchors = anchors_from(settings.ledger.anchors, settings.source.parent)
        self._notary = Notary(self._open_store(), notary_settings(settings), time.time)
        self._anchorings = [_anchoring(one, self._open_store) for one in self._anchors]
        self._threads = [threading.Thread(target=self._anchor, args=(one,), name=one.name) for one in self._anchorings]
        self._has_begun = False
        self.pages = NotaryPages(settings, name, self._anchorings)

    def _open_store(self) -> ClickHouseCheckpoints:
        return open_checkpoints(self._settings.clickhouse, self._settings.kafka.incidents_topic)

    def run(self) -> None:
        """Signs until the end; what every anchor lacks is handed over once more before it."""
        for thread in self._threads:
            thread.start()
        interval_s = self._settings.ledger.checkpoint_interval_s
        try:
            while not self._ended.is_set():
                begun_s = time.monotonic()
                if not self._turn():
                    self._ended.wait(max(0.0, interval_s - (time.monotonic() - begun_s)))
        finally:
            self._ended.set()
            for thread in self._threads:
                thread.join()
            self.pages.close()

    def _turn(self) -> bool:
        """One round; whether there is more to read at once. What is away is tried again after the interval."""
        pages, goes_on = self.pages, False
        try:
            if not self._has_begun:
                self._begin()
            found = self._notary.round()
        except AccesstrailError as exc:
            if exc.code != pages.state.fault:
                _log.error("no checkpoints are signed (%s): %s", exc.code, exc)
            pages.state = replace(pages.state, fault=exc.code)
        else:
            goes_on = found.goes_on
            for tree, code in found.refused.items():
                if tree not in pages.state.last.refused:
                    _log.error("the tree %s is not signed: %s", tree, code)
            pages.state = replace(
                pages.state, fault="", round_s=time.time(), checkpoints=pages.state.checkpoints + len(found.stored),
                last=replace(found, stored=()), problems=tuple(self._notary.problems),
            )  # fmt: skip
            for one in self._anchorings:
                one.offer(found.stored)
        pages.write()
        return goes_on

    def _begin(self) -> None:
        """What was signed before, of the store and of file anchors. Raises: Away; StoreRefused; ConfigError."""
        anchored = {one.name: _notes_of(one) for one in self._anchors if one.file is not None}
        stored = self._notary.begin([note for notes in anchored.values() for note in notes])
        for anchoring in self._anchorings:
            has = set(anchored.get(anchoring.name, ()))
            anchoring.offer([one for one in stored if one.note not in has])
        self._has_begun = True

    def _anchor(self, anchoring: Anchoring) -> None:
        while not self._ended.wait(self._settings.ledger.anchor_interval_s):
            anchoring.turn()
        anchoring.turn()


def _anchoring(one: AnchorSettings, open_store: Callable[[], ClickHouseCheckpoints]) -> Anchoring:
    """Raises: ConfigError: its authorities cannot be read."""
    try:
        return Anchoring(one.name, one.kind, make_anchor(one, open_store), time.time)
    except OSError:
        raise ConfigError([f"[ledger.anchors.{one.name}] ca_file holds no certificates"]) from None


def _notes_of(one: AnchorSettings) -> Sequence[bytes]:
    """What a file anchor of this machine holds, its newest part. Raises: ConfigError: it cannot be read."""
    assert one.file is not None  # noqa: S101  the caller looked
    try:
        return list(notes_in(FileAnchor(one.file).newest()))
    except (OSError, NoteRejected):
        raise ConfigError([f"[ledger.anchors.{one.name}] file {one.file} cannot be read"]) from None


@click.command("notary")
@settings_options
def notary_command(settings: Settings) -> int:
    """Sign how far every tree of the ledger is, in the foreground, and hand that to anchors outside the store.

    It signs no tree that is smaller, or another, than what it signed before; which ones and why stands in
    `accesstrail status`. Several may run. A new key (`accesstrail keys ledger rotate`) is used from the next checkpoint
    on. SIGTERM ends it in order. It answers GET /livez, /readyz and /metrics at a free port of [health] host, which its
    status file in the folder `run` names.

    \b
    Examples:
      accesstrail notary --config /etc/accesstrail/config.toml
      accesstrail notary --state ./state

    Exit codes: 0 ended as asked, 78 configuration: every fault is listed, an anchor's with its name.
    """
    start_logging()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    Office(settings, uuid.uuid4().hex[:16], ended).run()
    return EXIT_OK
