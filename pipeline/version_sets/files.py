"""What the configuration's files give now: directory, model and settings as the parts of a version set.

Place in the flow: read once at the start and again by the watcher (`watch.py`) when the files change; never on
the scoring path. Reading checks everything; nothing is kept in the store here.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from detectors.features import FEATURE_VERSION
from detectors.policy import NEVER, Policy
from pipeline.adapters.directory import read_directory
from pipeline.columns import CANON_VERSION
from pipeline.config import Settings
from pipeline.errors import ModelRejected
from pipeline.privacy.key_file import Keys
from pipeline.privacy.keys import Keyring
from pipeline.privacy.masks import MASKS_VERSION
from pipeline.version_sets.model_signature import CheckedModel, checked_model, known_keys
from pipeline.version_sets.rules_source import rules_content
from pipeline.version_sets.sets import CANONICAL_TOKENS, MODEL_OF_FILES, TOKENS, VersionSet

_log = logging.getLogger(__name__)
DIRECTORY = "directory/"

FileSignature = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version set that could be put in force: its artefacts by part, its version words, the model's own alert policy.

    `fault`: the code why there is no usable model, or empty.
    """

    contents: Mapping[str, bytes]
    words: Mapping[str, str]
    policy: Policy
    fault: str

    @property
    def threshold(self) -> int:
        """The model's own alert threshold, in hundredths."""
        return self.policy.threshold

    def with_policy(self, threshold: int) -> dict[str, bytes]:
        """Every artefact's content by part, the alert policy included (`threshold`: hundredths)."""
        return {**self.contents, "policy": replace(self.policy, threshold=threshold).content()}

    def parts(self, threshold: int) -> dict[str, str]:
        """The set's parts under an alert threshold."""
        contents = self.with_policy(threshold)
        return {**self.words, **{name: sha256(content).hexdigest() for name, content in contents.items()}}

    @property
    def model_artefact(self) -> str | None:
        """Id of the model's artefact, None where there is no usable model."""
        return sha256(self.contents["model"]).hexdigest() if "model" in self.contents else None

    @property
    def files_id(self) -> bytes:
        """Names what the files gave, whatever threshold a person chose since."""
        return VersionSet(self.parts(self.threshold)).versions_id


class ConfiguredFiles:
    """The directory folder, the model folder and the settings that decide about a batch."""

    def __init__(self, settings: Settings, keys: Keys) -> None:
        self._detection, self.keys = settings.detection, keys
        self.configuration: dict[str, object] = {
            "default_time_zone": settings.detection.default_time_zone,
            "attrs_allowed": sorted(settings.protection.attrs_allowed),
            # A batch that is formed again must fall into the same partition of the table, and give the same evidence.
            "partitions": settings.kafka.partitions,
            "retention_class": settings.retention_class,
        }
        self.retention_class = settings.retention_class

    @property
    def keyring(self) -> Keyring:
        """The token keys there are now."""
        return self.keys.current

    def signing(self, in_force: Mapping[str, str]) -> dict[str, str]:
        """Which token key signs, as parts: the one in force, whatever the key file holds besides, until a person
        rotates it; without a set in force the newest.
        """
        signing = in_force.get(TOKENS) or self.keyring.version_id
        canonical = self.keyring.canonical.version_id
        return {TOKENS: signing} | ({CANONICAL_TOKENS: canonical} if canonical != signing else {})

    def trusts(self, parts: Mapping[str, str]) -> bool:
        """Whether the set's model may be used: nobody's signature is asked for, or a key that is still known signed."""
        if self._detection.model_public_keys is None or "model" not in parts:
            return True
        return parts.get("model_signer", "") in {key.identity for key in known_keys(self._detection.model_public_keys)}

    def signed_model(self, folder: Path) -> CheckedModel:
        """Another folder's model under the same demands. Raises: ModelRejected."""
        return checked_model(folder, self._detection.model_public_keys)

    def code_words(self, fault: str) -> dict[str, str]:
        """What of the code itself decides about a batch: only the same code judges under it again."""
        return {
            "canon": str(CANON_VERSION),
            "features": FEATURE_VERSION,
            "rules": sha256(rules_content()).hexdigest(),
            "masks": MASKS_VERSION,
            "model_fault": fault,
        }

    def words(self, fault: str) -> dict[str, str]:
        """Parts that are version words: the code's, the directory's token key, whose signature a model needs."""
        words = {**self.code_words(fault), TOKENS: self.keyring.canonical.version_id}
        if self._detection.model_public_keys is not None:
            try:
                keys = known_keys(self._detection.model_public_keys)
            except ModelRejected:  # said as the fault of the model
                keys = ()
            words["model_keys"] = " ".join(sorted(key.identity for key in keys))
        return words

    def signature(self) -> FileSignature:
        """Name, size, time of change and inode of every file; cheap, and different after any replacement."""
        places = (self._detection.directory, self._detection.model, self._detection.model_public_keys)
        found: list[tuple[str, int, int, int]] = []
        for place in places:
            if place is None:
                continue
            for path in sorted(place.iterdir()) if place.is_dir() else [place]:
                try:
                    stat = path.stat()
                except OSError:  # gone since it was listed: another signature next time
                    continue
                found.append((str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino))
        return tuple(found)

    def read(self) -> Candidate:
        """Reads and checks all files. Raises: DirectoryError: the directory folder is missing or has faults."""
        zones = (self._detection.default_time_zone,)
        directory = read_directory(self._detection.directory, self.keyring, time_zones=zones)
        found, fault = usable_model(self._detection.model, self._detection.model_public_keys)
        contents = {DIRECTORY + kind: content for kind, content in directory.artefacts().items()}
        words = self.words(fault)
        if found is not None:
            contents |= found.contents
            words |= found.words
        contents["rules"] = rules_content()
        contents["configuration"] = json.dumps(self.configuration, sort_keys=True).encode()
        words[MODEL_OF_FILES] = sha256(contents["model"]).hexdigest() if found else fault
        # While no model can be used nothing is scored, so nothing may fire.
        return Candidate(contents, words, found.model.policy if found else Policy(NEVER), fault)


def usable_model(folder: Path | None, public_keys: Path | None) -> tuple[CheckedModel | None, str]:
    """The model, or the code why there is none: events are stored unscored then, never lost."""
    if folder is None:
        return None, "model_missing"
    try:
        return checked_model(folder, public_keys), ""
    except ModelRejected as exc:
        _log.warning("the model cannot be used: code=%s: %s", exc.code, exc)
        return None, exc.code
