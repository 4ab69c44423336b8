"""Watches over the version set while a worker runs: in a thread of its own, never on the scoring path.

Every few seconds: (1) follow: what another worker or a person has put in force is read back from the store and taken
up; (2) look: where the configured files have changed and stand still, they are read, checked, kept and put in force;
(3) tell: changes whose access event Kafka has not acknowledged are produced. Whatever fails keeps the set in force,
is said by its code (log, `status`, an alert) and is tried again; a faulty file is read again when it changes.

Files may be replaced one by one: nothing is read before all of them have stood still between two looks, and what
changed while it was read is thrown away. To replace several as one, write them beside and rename the folder (or turn a
symbolic link), which is one step.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from pipeline.errors import AccesstrailError, Away
from pipeline.ports import EventSender
from pipeline.privacy.key_file import Keys
from pipeline.privacy.keys import Keyring
from pipeline.version_sets.activator import RELOAD_FAILED
from pipeline.version_sets.change_events import event_key, opened_event
from pipeline.version_sets.files import FileSignature
from pipeline.version_sets.judgements import StoreAccess, StoredJudgements, restore
from pipeline.version_sets.sets import NO_SET, Activation

_log = logging.getLogger(__name__)
POLL_S = 2.0
_OTHERS_FIRST_US = 30_000_000
"""Who wrote an activation tells of it; after this time anyone does."""


class VersionWatch:
    """Keeps one worker's version set the one that is in force."""

    def __init__(
        self,
        judgements: StoredJudgements,
        open_access: Callable[[], StoreAccess],
        sender: EventSender,
        keys: Keys,
        poll_s: float = POLL_S,
    ) -> None:
        self._judgements, self._activator, self._open_access = judgements, judgements.activator, open_access
        self._sender, self._keys, self._poll_s = sender, keys, poll_s
        self._access: StoreAccess | None = None
        # As the files were when the worker began: only what changes from here on is this worker's to propose.
        self._known = self._activator.files.signature()
        self._last_look: FileSignature | None = None
        self._files_id: bytes | None = None
        self._said: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="version-watch", daemon=True)

    def start(self) -> None:
        """Begins to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the watch; a step that runs is not waited for."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(self._poll_s):
            try:
                self.step()
            except Exception as exc:  # the thread's outermost loop: it must outlive whatever a file or an answer holds
                _log.error("the version set could not be watched: %s", type(exc).__name__)

    def step(self) -> None:
        """One round; each of its three parts is tried whatever the others met."""
        if not self._judgements.started:
            return
        for name, part in (("follow", self._follow), ("files", self._look), ("tell", self._tell)):
            try:
                part()
            except Away as exc:
                self._say(name, f"away:{exc.code}", f"waits: code={exc.code}: {exc}")
            except AccesstrailError as exc:
                self._judgements.faults[name] = exc.code
                self._say(name, exc.code, f"the version set in force stays: code={exc.code}: {exc}")

    # -- follow

    def _follow(self) -> None:
        activation = self._opened().activations.newest(self._activator.topic)
        if activation is not None:
            self._take_up(activation)
        self._clear("follow")

    def _take_up(self, activation: Activation) -> None:
        ours = self._judgements.activation
        if ours is not None and activation.number <= ours.number:
            return
        judgement = restore(self._opened().evidence, activation.versions_id, self._activator.files)
        self._judgements.take_up(activation, judgement)

    # -- look

    def _look(self) -> None:
        seen = self._activator.files.signature()
        still = seen == self._last_look
        self._last_look = seen
        if seen == self._known or not still:
            return
        access = self._opened()
        try:
            candidate = self._activator.files.read()
            if self._activator.files.signature() != seen:
                return  # replaced while it was read: look again
            if candidate.files_id != (self._files_id or self._activator.began_with):
                self._take_up(self._activator.from_files(access.evidence, access.activations, candidate))
        except Away:
            raise
        except AccesstrailError:
            self._known = seen
            self._activator.alarm(access.evidence, RELOAD_FAILED, self._in_force())
            raise
        self._known, self._files_id = seen, candidate.files_id
        self._clear("files")

    def _in_force(self) -> bytes:
        activation = self._judgements.activation
        return activation.versions_id if activation is not None else NO_SET

    # -- tell

    def _tell(self) -> None:
        """Produces the access events of changes; repeated ones are the same event by their id."""
        access = self._opened()
        for activation in access.activations.unannounced(self._activator.topic):
            old = time.time_ns() // 1000 - activation.activated_at_us > _OTHERS_FIRST_US
            if old or activation.number in self._activator.written:
                announce(activation, self._sender, access, self._keys.current)
        self._clear("tell")

    def _say(self, name: str, code: str, text: str) -> None:
        """One line a trouble, not one a look."""
        if self._said.get(name) != code:
            self._said[name] = code
            _log.warning("version watch (%s): %s", name, text)

    def _clear(self, name: str) -> None:
        self._said.pop(name, None)
        self._judgements.faults.pop(name, None)

    def _opened(self) -> StoreAccess:
        if self._access is None:
            self._access = self._open_access()
        return self._access


def announce(activation: Activation, sender: EventSender, access: StoreAccess, keyring: Keyring) -> None:
    """Produces the access event of one change and notes that Kafka has it. Raises: Away: repeat it."""
    event = opened_event(activation, keyring)
    sender.send(event_key(event), event)
    sender.flush()
    access.activations.mark_announced(activation)
