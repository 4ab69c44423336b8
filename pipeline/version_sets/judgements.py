"""Where version sets come from: built from the configuration, kept in the store before use, found again by id.

Place in the flow: beside `partition/worker.py` (role `Judgements`). The set in force is the newest entry of the store's
activation log, so all workers agree and a restart changes nothing. A set becomes the one in force here only after it
was read back from the store's artefacts, never from the folder it once came from, so that recovery judges as the
stream did. Which set is current changes only by `take_up`, which the watcher (`watch.py`) calls from a thread
of its own; a partition asks `current()` once a batch.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from detectors import exceptions
from detectors.features import FEATURE_VERSION
from detectors.model import Model, unpack
from detectors.policy import Policy
from detectors.rules import all_rules
from pipeline import process_memory
from pipeline.batch import Judgement
from pipeline.config import Settings
from pipeline.directory import DirectorySnapshot
from pipeline.errors import ConfigError, DirectoryError, ModelRejected, OtherVersion
from pipeline.ports import ActivationLog, EvidenceStore
from pipeline.privacy.key_file import Keys
from pipeline.privacy.protector import Protection
from pipeline.version_sets import shadow
from pipeline.version_sets.activator import RELOAD_FAILED, Activator
from pipeline.version_sets.files import DIRECTORY, ConfiguredFiles
from pipeline.version_sets.sets import TOKENS, Activation, VersionSet, canonical_version

_log = logging.getLogger(__name__)
_KEPT_SETS = 8
TOKEN_KEY_MISSING = "token_key_missing"  # noqa: S105  a code


@dataclass(slots=True)
class StoreAccess:
    """The two roles of the store that version sets need; each belongs to one thread at a time."""

    evidence: EvidenceStore
    activations: ActivationLog


class StoredJudgements:
    """The version set in force and older ones by id; safe to use from several partitions' threads."""

    feature_version = FEATURE_VERSION

    def __init__(self, activator: Activator, open_access: Callable[[], StoreAccess]) -> None:
        self.activator = activator
        self._files, self._open_access = activator.files, open_access
        self._access: StoreAccess | None = None
        self._lock = threading.Lock()
        self._sets: OrderedDict[bytes, Judgement] = OrderedDict()
        self._current: Judgement | None = None
        self.activation: Activation | None = None
        self.faults: dict[str, str] = {}
        """Codes of what keeps the watcher from its work; the set in force is not touched by them."""

    def current(self) -> Judgement:
        """The set new batches are judged under. Raises: Away; DirectoryError: there is none yet."""
        with self._lock:
            if self._current is None:
                self._begin()
            assert self._current is not None  # noqa: S101  set by _begin
            return self._current

    def by_id(self, versions_id: bytes) -> Judgement:
        """An older set from the store. Raises: Away; OtherVersion."""
        with self._lock:
            known = self._sets.get(versions_id)
            if known is None:
                known = restore(self._opened().evidence, versions_id, self._files)
                self._remember(known)
            return known

    def take_up(self, activation: Activation, judgement: Judgement) -> None:
        """From the next batch on: this set, read back from the store."""
        with self._lock:
            self._set(activation, judgement)

    @property
    def started(self) -> bool:
        """Whether a set is in force here; before that there is nothing to watch over."""
        return self._current is not None

    def model_state(self) -> dict[str, object]:
        """What `status` says of the model and of the version set it belongs to."""
        current, activation, faults = self._current, self.activation, dict(self.faults)
        if current is None or activation is None:
            return {"state": "loading"}
        said: dict[str, object] = {"not_reloaded": faults} if faults else {}
        if current.model is None:
            return {"state": "unusable", "code": current.model_fault, **said}
        return {
            "state": "in_use",
            "model_id": current.model.model_id,
            "threshold": current.policy.threshold / 100,
            "versions_id": activation.versions_id.hex(),
            "activation": activation.number,
            **said,
        }

    def _begin(self) -> None:
        """At the start: the set in force, or a new one where the files hold what was never in force before."""
        access = self._opened()
        activation = self._activation_at_start(access)
        try:
            judgement = restore(access.evidence, activation.versions_id, self._files)
        except OtherVersion as exc:
            if exc.code == TOKEN_KEY_MISSING:
                raise  # judging without it would make everybody a new person: the key file is to be put right first
            # Another version of accesstrail put it in force: this one judges by what it understands, and says so.
            activation = self.activator.replace(access.evidence, access.activations, activation, exc.code)
            judgement = restore(access.evidence, activation.versions_id, self._files)
        self._set(activation, judgement)

    def _activation_at_start(self, access: StoreAccess) -> Activation:
        """What the files give where that is new; files that cannot be used do not keep a worker from the set in force.

        Raises: Away; DirectoryError: the files are wrong and nothing was in force before.
        """
        try:
            return self.activator.at_start(access.evidence, access.activations)
        except (DirectoryError, ModelRejected) as exc:
            newest = access.activations.newest(self.activator.topic)
            if newest is None:
                raise
            self.faults["files"] = exc.code
            _log.warning("the version set in force stays: code=%s: %s", exc.code, exc)
            self.activator.alarm(access.evidence, RELOAD_FAILED, newest.versions_id)
            return newest

    def _set(self, activation: Activation, judgement: Judgement) -> None:
        self.activation, self._current = activation, judgement
        # Its files and artefacts were texts of many times its size.
        process_memory.give_back()
        self._remember(judgement)
        _log.info(
            "version set in force: activation=%d kind=%s versions=%s",
            activation.number, activation.kind, activation.versions_id.hex()[:12],
        )  # fmt: skip

    def _remember(self, judgement: Judgement) -> None:
        self._sets[judgement.versions.versions_id] = judgement
        while len(self._sets) > _KEPT_SETS:
            self._sets.popitem(last=False)

    def _opened(self) -> StoreAccess:
        if self._access is None:
            self._access = self._open_access()
        return self._access


def stored_judgements(settings: Settings, keys: Keys, open_access: Callable[[], StoreAccess]) -> StoredJudgements:
    """The version sets of the configured topic."""
    files = ConfiguredFiles(settings, keys)
    activator = Activator(settings.kafka.events_topic, files)
    return StoredJudgements(activator, open_access)


def restore(store: EvidenceStore, versions_id: bytes, files: ConfiguredFiles) -> Judgement:
    """A version set from the store's artefacts, each checked against its id.

    Raises: Away; StoreRefused: an artefact is missing or damaged; OtherVersion.
    """
    versions = VersionSet.from_content(store.load_artefact(versions_id.hex()))
    parts = dict(versions.parts)
    fault = parts.get("model_fault", "")
    for word, value in files.code_words(fault).items():
        if parts.get(word) != value:
            raise OtherVersion(
                f"version set {versions_id.hex()[:12]} was made with another version of {word}: "
                "what was judged under it can be finished only by the version of accesstrail that made it"
            )
    protection_keys = parts[TOKENS], canonical_version(parts)
    try:
        files.keys.signing_with(*protection_keys)
    except ConfigError:
        raise OtherVersion(
            f"version set {versions_id.hex()[:12]} was made with another token key: "
            "add that key's entry to the key file; what was judged under it can be finished only with it",
            code=TOKEN_KEY_MISSING,
        ) from None
    configuration = json.loads(store.load_artefact(parts["configuration"]))
    kinds = [part for part in parts if part.startswith(DIRECTORY)]
    directory = DirectorySnapshot.from_artefacts(
        {kind.removeprefix(DIRECTORY): store.load_artefact(parts[kind]) for kind in kinds}
    )
    model: Model | None = unpack(store.load_artefact(parts["model"])) if "model" in parts else None
    return Judgement(
        versions=versions,
        directory=directory,
        model=model,
        rules=all_rules(),
        policy=Policy.from_content(store.load_artefact(parts["policy"])),
        default_time_zone=configuration["default_time_zone"],
        attrs_allowed=tuple(configuration["attrs_allowed"]),
        model_fault=fault,
        protection=Protection(configuration["partitions"], *protection_keys),
        retention_class=configuration["retention_class"],
        exceptions=exceptions.from_content(store.load_artefact(parts[exceptions.PART]))
        if exceptions.PART in parts
        else (),
        shadow=shadow.stored(store, parts),
    )
