"""Puts version sets in force: keeps every artefact in the store first, then writes the activation log.

Place in the flow: used by a worker at its start, by its watcher, and by `accesstrail versions`. Several may do so at
once: the log's next number decides, whoever comes second looks again. Rules that keep workers from undoing each other:
at its start a worker proposes its files only where they give what was never in force for the topic; while it runs, only
when its own files have changed. What a person put in force stays until then; a model that a person promoted stays
until the configured folder gives another one, whatever else changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from detectors.model import unpack
from detectors.policy import Policy
from pipeline.errors import BrokenInvariant, ModelRejected, UsageError
from pipeline.events import DEFAULT_TENANT
from pipeline.health.alarms import alarm_row
from pipeline.own_reasons import FILES_CHANGED, FIRST_SET, unusable_activation
from pipeline.ports import ActivationLog, EvidenceStore
from pipeline.privacy.masks import mask_text
from pipeline.privacy.own_identifiers import without_word
from pipeline.version_sets.change_events import Requester, change_event, sealed_event
from pipeline.version_sets.files import Candidate, ConfiguredFiles
from pipeline.version_sets.sets import (
    ARTEFACT_KIND,
    CANONICAL_TOKENS,
    CARRIED,
    FILES,
    FIRST,
    MODEL_OF_FILES,
    MODEL_PARTS,
    NO_SET,
    ROLLBACK,
    ROTATE_KEY,
    THRESHOLD,
    TOKENS,
    USE,
    Activation,
    VersionSet,
    changed_parts,
    set_before,
)

_NO_TOKEN = bytes(16)
_ATTEMPTS = 5
SYSTEM = Requester()
RELOAD_FAILED = "reload_failed"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What shall be in force; `files_id` None: as before, so the files are left alone until they change."""

    parts: Mapping[str, str]
    threshold: int
    files_id: bytes | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """What of the set in force changes: new content by part, None for a part that goes; `threshold` None: it stays.

    `parts`: what needs no keeping: ids of artefacts that are kept already, and version words.
    """

    contents: Mapping[str, bytes | None]
    threshold: int | None = None
    parts: Mapping[str, str] = field(default_factory=dict)


_Decide = Callable[[Activation | None], _Wanted | None]
"""From the newest activation to what shall follow it; None: nothing, the newest will do."""


class Activator:
    """Writes activations for one topic. Has no connection of its own: the caller's thread brings the store."""

    def __init__(self, topic: str, files: ConfiguredFiles) -> None:
        self.topic, self.files = topic, files
        self.began_with: bytes | None = None
        """What the files gave at the start."""
        self.written: set[int] = set()
        """Numbers of the activations that were written here."""

    # -- by a worker

    def at_start(self, store: EvidenceStore, log: ActivationLog) -> Activation:
        """The activation to begin with.

        Raises: Away; DirectoryError: the files cannot be read; ModelRejected: their model cannot be used while another
        is in force.
        """
        candidate = self.files.read()
        self.began_with = candidate.files_id
        history = log.history(self.topic)
        if candidate.files_id in {one.files_id for one in history}:
            return history[-1]
        return self.from_files(store, log, candidate)

    def from_files(self, store: EvidenceStore, log: ActivationLog, candidate: Candidate) -> Activation:
        """Puts in force what the files give; does nothing where the newest activation already came from the same.

        Raises: Away; ModelRejected: their model cannot be used, and the set in force has one or lacks another way.
        """

        def wanted(newest: Activation | None) -> _Wanted | None:
            if newest is not None and newest.files_id == candidate.files_id:
                return None  # another worker saw the same files first
            stays = self._stays(candidate, newest)
            has_fault = candidate.fault != "" and "model" not in stays
            if has_fault and newest is not None and candidate.fault != newest.parts.get("model_fault"):
                raise ModelRejected("the model cannot be used: the set in force stays", code=candidate.fault)
            return self._wanted(store, candidate, newest, stays)

        return self._append(log, wanted, FILES, FILES_CHANGED)

    def replace(self, store: EvidenceStore, log: ActivationLog, unusable: Activation, code: str) -> Activation:
        """Puts the files' set in force where the newest one belongs to another version of the code."""
        candidate = self.files.read()
        promoted = "model" in self._stays(candidate, unusable) and _is_usable(store, candidate, unusable)
        wanted = self._wanted(store, candidate, unusable, (*MODEL_PARTS, "policy") if promoted else ())

        def instead(newest: Activation | None) -> _Wanted | None:
            return wanted if newest is not None and newest.versions_id == unusable.versions_id else None

        return self._append(log, instead, FILES, unusable_activation(unusable.number, code))

    # -- by a person

    def use(self, log: ActivationLog, versions_id: bytes, requester: Requester, reason: str) -> Activation:
        """Puts a set in force that was in force before. Raises: UsageError: it never was, or it is now."""
        found = next((one for one in reversed(log.history(self.topic)) if one.versions_id == versions_id), None)
        if found is None:
            raise UsageError("this version set was never in force here: see `accesstrail versions list`")
        return self._again(log, found, USE, requester, reason)

    def rollback(self, log: ActivationLog, requester: Requester, reason: str) -> Activation:
        """Puts the set in force again that was in force before the present one. Raises: UsageError: there is none."""
        history = list(log.history(self.topic))
        before = set_before(history, history[-1]) if history else None
        if before is None:
            raise UsageError("there is no earlier version set to go back to: see `accesstrail versions list`")
        return self._again(log, before, ROLLBACK, requester, reason)

    def _again(
        self, log: ActivationLog, earlier: Activation, kind: str, requester: Requester, reason: str
    ) -> Activation:
        def wanted(newest: Activation | None) -> _Wanted:
            if newest is not None and newest.versions_id == earlier.versions_id:
                raise UsageError("this version set is in force already")
            if newest is not None and newest.parts.get(TOKENS) != earlier.parts.get(TOKENS):
                raise UsageError(
                    "this version set is from before the token key was rotated: nothing brings an old key back; "
                    "change what you need by itself (`models`, `exceptions`, `versions threshold`, the files)"
                )
            return _Wanted(earlier.parts, earlier.threshold)

        return self._append(log, wanted, kind, reason, requester)

    def set_threshold(
        self, store: EvidenceStore, log: ActivationLog, threshold: int, requester: Requester, reason: str
    ) -> Activation:
        """The set in force with another alert threshold (hundredths of risk). Raises: UsageError."""

        def edit(newest: Activation) -> Edit:
            if newest.parts.get("model_fault"):
                raise UsageError("no model is in use, so nothing can alert: give the system a usable model first")
            if newest.threshold == threshold:
                raise UsageError(f"the threshold is {threshold / 100:g} already")
            policy = replace(policy_of(store, newest), threshold=threshold)
            return Edit({"policy": policy.content()}, threshold)

        return self.change(store, log, THRESHOLD, edit, requester, reason)

    def rotate_key(
        self, store: EvidenceStore, log: ActivationLog, requester: Requester, reason: str
    ) -> Activation:  # fmt: skip
        """Lets the newest token key sign, in the set in force. Raises: UsageError: it does already, or no set is."""

        def edit(newest: Activation) -> Edit:
            keyring = self.files.keyring
            if newest.parts.get(TOKENS) not in keyring.version_ids:
                raise UsageError("the token key that signs is not in the key file here: put it there first")
            if newest.parts.get(TOKENS) == keyring.version_id:
                raise UsageError("the newest token key signs already")
            parts = {TOKENS: keyring.version_id}
            if keyring.is_rotated:
                parts[CANONICAL_TOKENS] = keyring.canonical.version_id
            return Edit({}, parts=parts)

        return self.change(store, log, ROTATE_KEY, edit, requester, reason)

    def change(
        self, store: EvidenceStore, log: ActivationLog, kind: str, edit: Callable[[Activation], Edit],
        requester: Requester, reason: str,
    ) -> Activation:  # fmt: skip
        """The set in force with some parts changed, in one step. Raises: UsageError: there is none, or from `edit`."""

        def wanted(newest: Activation | None) -> _Wanted:
            if newest is None:
                raise UsageError("no version set is in force yet: start a worker first")
            edited, parts = edit(newest), dict(newest.parts)
            for name, content in edited.contents.items():
                if content is None:
                    parts.pop(name, None)
                else:
                    parts[name] = store.save_artefact(name, content)
            parts |= edited.parts
            store.save_artefact(ARTEFACT_KIND, VersionSet(parts).content())
            return _Wanted(parts, newest.threshold if edited.threshold is None else edited.threshold)

        return self._append(log, wanted, kind, reason, requester)

    # -- writing

    def alarm(self, store: EvidenceStore, code: str, versions_id: bytes) -> None:
        """Says the trouble as an alert; the same code under the same version set is the same alert."""
        rows = alarm_row(code, versions_id, time.time_ns() // 1000, self.files.retention_class)
        store.insert_alerts(rows, f"alarm:{code}:{versions_id.hex()}")

    def _stays(self, candidate: Candidate, newest: Activation | None) -> tuple[str, ...]:
        """What of the model in force stays when files have changed.

        While the folder gives the same model: the one that a person promoted instead, and the policy as people and the
        budget left it. Raises: ModelRejected: the keys that models must be signed with cannot be read.
        """
        if newest is None:
            return ()
        same_model = candidate.model_artefact is not None and newest.parts.get("model") == candidate.model_artefact
        if same_model:
            return ("policy",)
        promoted = "model" in newest.parts and _model_of_files(newest.parts) == candidate.words[MODEL_OF_FILES]
        return (*MODEL_PARTS, "policy") if promoted and self.files.trusts(newest.parts) else ()

    def _wanted(
        self, store: EvidenceStore, candidate: Candidate, newest: Activation | None, stays: tuple[str, ...]
    ) -> _Wanted:
        """The candidate's set with every artefact kept, then the set itself; the store reads each back.

        What people decided beside the files stays as it is in `newest`, and so does what `stays` names.
        """
        parts = candidate.parts(candidate.threshold)
        for name, content in candidate.with_policy(candidate.threshold).items():
            if name not in stays:
                store.save_artefact(name, content)
        for name in stays:
            parts.pop(name, None)
        if newest is not None:
            parts |= {name: newest.parts[name] for name in (*CARRIED, *stays) if name in newest.parts}
        parts |= self.files.signing({} if newest is None else newest.parts)
        versions = VersionSet(parts)
        store.save_artefact(ARTEFACT_KIND, versions.content())
        if candidate.fault and "model" not in stays:
            self.alarm(store, candidate.fault, versions.versions_id)
        threshold = newest.threshold if newest is not None and "policy" in stays else candidate.threshold
        return _Wanted(parts, threshold, candidate.files_id)

    def _append(
        self, log: ActivationLog, wanted: _Decide, kind: str, reason: str, requester: Requester = SYSTEM
    ) -> Activation:
        """Writes the next activation; where another writer took the number, decides again. Raises: BrokenInvariant."""
        for _ in range(_ATTEMPTS):
            newest = log.newest(self.topic)
            what = wanted(newest)
            if what is None:
                assert newest is not None  # noqa: S101  without one there is always something to put in force
                return newest
            ours = self._activation(newest, what, kind, reason, requester)
            if log.append(ours) == ours:
                self.written.add(ours.number)
                return ours
        raise BrokenInvariant("other writers changed the version set all the time: try again", code="activation_race")

    def _token_of(self, requester: Requester) -> bytes:
        """Canonical: one person is one token in the log, whatever key signs."""
        return self.files.keyring.canonical.token(DEFAULT_TENANT, "actor", requester.actor_id)

    def _activation(
        self, newest: Activation | None, wanted: _Wanted, kind: str, reason: str, requester: Requester
    ) -> Activation:
        versions_id = VersionSet(wanted.parts).versions_id
        if newest is None and requester.is_system:
            reason = FIRST_SET  # nothing was there that could have changed
        person = b"" if requester.is_system else self._token_of(requester)
        plain = Activation(
            topic=self.topic,
            number=1 if newest is None else newest.number + 1,
            versions_id=versions_id,
            previous_id=NO_SET if newest is None else newest.versions_id,
            files_id=wanted.files_id or (NO_SET if newest is None else newest.files_id),
            kind=FIRST if newest is None else kind,
            reason=mask_text(without_word(reason, requester.actor_id, "[actor]")) if person else mask_text(reason),
            by_token=person or _NO_TOKEN,
            threshold=wanted.threshold,
            activated_at_us=time.time_ns() // 1000,
            parts=wanted.parts,
        )
        if newest is None or newest.versions_id == versions_id:
            return plain  # nothing that was in force has changed: nothing to tell
        event = change_event(plain, requester, reason, changed_parts(newest.parts, wanted.parts))
        return replace(plain, event=sealed_event(event, plain, self.files.keyring))


def policy_of(store: EvidenceStore, activation: Activation) -> Policy:
    """The alert policy of a set that is in force. Raises: StoreRefused: the store has lost it."""
    return Policy.from_content(store.load_artefact(activation.parts["policy"]))


def _model_of_files(parts: Mapping[str, str]) -> str:
    """What the folder gave when the set was made; sets that do not say so yet had nothing else."""
    return parts.get(MODEL_OF_FILES) or parts.get("model") or parts.get("model_fault", "")


def _is_usable(store: EvidenceStore, candidate: Candidate, made_by_another: Activation) -> bool:
    """Whether this version of the code can use the model and policy of a set that another version made."""
    parts = made_by_another.parts
    if parts.get("features") != candidate.words["features"]:
        return False
    try:
        unpack(store.load_artefact(parts["model"]))
        policy_of(store, made_by_another)
    except (ModelRejected, TypeError):  # a policy of other settings
        return False
    return True
