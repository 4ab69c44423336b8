"""Where version sets come from: built from the configuration, kept in the store before use, found again by id.

Place in the flow: beside `partition.py` (role `Judgements`). A set is taken up only between two batches; older sets are
read from the store's artefacts, never from the folder they once came from, so that recovery judges as it did before.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from detectors.features import FEATURE_VERSION
from detectors.model import Model, load, pack, unpack
from detectors.policy import Policy
from detectors.rules import all_rules
from pipeline.adapters.directory import read_directory
from pipeline.alarms import alarm_row
from pipeline.columns import CANON_VERSION
from pipeline.config import DetectionSettings, ProtectionSettings
from pipeline.directory import DirectorySnapshot
from pipeline.errors import BrokenInvariant, ModelRejected
from pipeline.flow import Judgement
from pipeline.ports import EvidenceStore
from pipeline.privacy.keys import Keyring
from pipeline.versions import ARTEFACT_KIND, VersionSet

_log = logging.getLogger(__name__)
_KEPT_SETS = 8
_DIRECTORY = "directory/"
RULES_VERSION = "1"
NEVER = 10_001
"""Threshold while no model can be used: nothing is scored, so nothing may fire."""


class StoredJudgements:
    """The version set in force and older ones by id; safe to use from several partitions' threads."""

    feature_version = FEATURE_VERSION

    def __init__(
        self,
        detection: DetectionSettings,
        protection: ProtectionSettings,
        keyring: Keyring,
        open_store: Callable[[], EvidenceStore],
        retention_class: str,
    ) -> None:
        self._detection, self._protection, self._keyring = detection, protection, keyring
        self._open_store, self._retention_class = open_store, retention_class
        self._store: EvidenceStore | None = None
        self._lock = threading.Lock()
        self._sets: OrderedDict[bytes, Judgement] = OrderedDict()
        self._current: Judgement | None = None

    def current(self) -> Judgement:
        """The set new batches are judged under. Raises: Away; DirectoryError: a directory file is wrong."""
        with self._lock:
            if self._current is None:
                self._current = self._build()
                self._remember(self._current)
            return self._current

    def by_id(self, versions_id: bytes) -> Judgement:
        """An older set from the store. Raises: Away; BrokenInvariant: it was made by another version of the code."""
        with self._lock:
            known = self._sets.get(versions_id)
            if known is None:
                known = self._restore(versions_id)
                self._remember(known)
            return known

    def model_state(self) -> dict[str, object]:
        """What `status` says of the model."""
        current = self._current
        if current is None:
            return {"state": "loading"}
        if current.model is None:
            return {"state": "unusable", "code": current.model_fault}
        return {"state": "in_use", "model_id": current.model.model_id, "threshold": current.policy.threshold / 100}

    def _remember(self, judgement: Judgement) -> None:
        self._sets[judgement.versions.versions_id] = judgement
        while len(self._sets) > _KEPT_SETS:
            self._sets.popitem(last=False)

    def _opened(self) -> EvidenceStore:
        if self._store is None:
            self._store = self._open_store()
        return self._store

    def _build(self) -> Judgement:
        store = self._opened()
        directory = read_directory(self._detection.directory, self._keyring)
        model, fault = usable_model(self._detection.model)
        policy = Policy(threshold=model.threshold if model else NEVER)
        parts = self._words(fault)
        for kind, content in directory.artefacts().items():
            parts[_DIRECTORY + kind] = store.save_artefact(_DIRECTORY + kind, content)
        if model is not None:
            parts["model"] = store.save_artefact("model", pack(model))
        parts["policy"] = store.save_artefact("policy", policy.content())
        configuration = json.dumps(self._configuration(), sort_keys=True).encode()
        parts["configuration"] = store.save_artefact("configuration", configuration)
        versions = VersionSet(parts)
        store.save_artefact(ARTEFACT_KIND, versions.content())
        if fault:
            alarm = alarm_row(fault, versions.versions_id, time.time_ns() // 1000, self._retention_class)
            store.insert_alerts(alarm, f"alarm:{fault}:{versions.versions_id.hex()}")
        return self._judgement(versions, directory, model, policy, fault)

    def _words(self, fault: str) -> dict[str, str]:
        """Parts that are version words: what of the code itself decides about a batch."""
        return {
            "canon": str(CANON_VERSION),
            "features": FEATURE_VERSION,
            "rules": RULES_VERSION,
            "tokens": self._keyring.version_id,
            "model_fault": fault,
        }

    def _configuration(self) -> dict[str, object]:
        return {
            "default_time_zone": self._detection.default_time_zone,
            "attrs_allowed": sorted(self._protection.attrs_allowed),
        }

    def _restore(self, versions_id: bytes) -> Judgement:
        store = self._opened()
        versions = VersionSet.from_content(store.load_artefact(versions_id.hex()))
        parts = dict(versions.parts)
        for word, value in self._words(parts.get("model_fault", "")).items():
            if parts.get(word) != value:
                raise BrokenInvariant(
                    f"offsets above the sealed one were judged with another version of {word}: "
                    "finish them with the version of accesstrail that wrote them",
                    code="other_version",
                )
        directory = DirectorySnapshot.from_artefacts(
            {
                kind.removeprefix(_DIRECTORY): store.load_artefact(identity)
                for kind, identity in parts.items()
                if kind.startswith(_DIRECTORY)
            }
        )
        model = unpack(store.load_artefact(parts["model"])) if "model" in parts else None
        policy = Policy.from_content(store.load_artefact(parts["policy"]))
        return self._judgement(versions, directory, model, policy, parts.get("model_fault", ""))

    def _judgement(
        self, versions: VersionSet, directory: DirectorySnapshot, model: Model | None, policy: Policy, fault: str
    ) -> Judgement:
        return Judgement(
            versions=versions,
            directory=directory,
            model=model,
            rules=all_rules(),
            policy=policy,
            default_time_zone=self._detection.default_time_zone,
            model_fault=fault,
        )


def usable_model(folder: Path | None) -> tuple[Model | None, str]:
    """The model, or the code why there is none: events are stored unscored then, never lost."""
    if folder is None:
        return None, "model_missing"
    try:
        return load(folder), ""
    except ModelRejected as exc:
        _log.warning("events are stored unscored: code=%s: %s", exc.code, exc)
        return None, exc.code
