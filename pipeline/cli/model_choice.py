"""The model that a word on the command line names: a folder, an id, or the one in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from detectors.model import Model, ModelFiles, read, unpacked
from detectors.policy import Policy
from pipeline.cli.changing import Change
from pipeline.errors import UsageError
from pipeline.ports import EvidenceStore
from pipeline.version_sets.activator import policy_of
from pipeline.version_sets.sets import Activation

IN_FORCE = "in-force"
_SHORTEST_PREFIX = 6


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """A model's bytes; `activation`: the latest that put it in force, None where a folder was named."""

    files: ModelFiles
    activation: Activation | None = None
    policy: Policy | None = None

    def model(self) -> Model:
        """The checked model with the policy it has, or had, in force. Raises: ModelRejected."""
        model = self.files.model()
        if self.policy is None:
            return model
        return replace(model, threshold=self.policy.threshold, rule_threshold=self.policy.rule_threshold)


def choose(word: str, system: Change | None) -> ChosenModel:
    """The model that `word` names.

    Raises: UsageError: none, or several, or an id without a system; ModelRejected: the folder holds none; Away.
    """
    if word != IN_FORCE and Path(word).is_dir():
        return ChosenModel(read(Path(word)))
    if system is None:
        raise UsageError(f"{word} is no folder; for an id or `{IN_FORCE}` name the system with --state or --config")
    history = system.access.activations.history(system.settings.kafka.events_topic)
    store = system.access.evidence
    if word == IN_FORCE:
        if not history or "model" not in history[-1].parts:
            raise UsageError("no model is in force")
        return _of(store, history[-1])
    return _by_id(word.lower(), history, store)


def _by_id(word: str, history: Sequence[Activation], store: EvidenceStore) -> ChosenModel:
    if len(word) < _SHORTEST_PREFIX:
        raise UsageError(f"there is no folder of this name; of an id give at least {_SHORTEST_PREFIX} digits")
    latest = {one.parts["model"]: one for one in history if "model" in one.parts}
    found = [one for one in (_of(store, activation) for activation in latest.values()) if _is_named(one, word)]
    if not found:
        raise UsageError("no model of this id was ever in force here: see `accesstrail models list`")
    if len(found) > 1:
        raise UsageError("this is the beginning of several models' ids: give more digits")
    return found[0]


def _is_named(one: ChosenModel, word: str) -> bool:
    return one.files.model_id.startswith(word)


def _of(store: EvidenceStore, activation: Activation) -> ChosenModel:
    files = stored(store, activation)
    return ChosenModel(files, activation, policy_of(store, activation))


def stored(store: EvidenceStore, activation: Activation) -> ModelFiles:
    """The bytes of the model that an activation put in force, its signature included."""
    parts = activation.parts
    files = unpacked(store.load_artefact(parts["model"]))
    signature = store.load_artefact(parts["model_signature"]) if "model_signature" in parts else None
    return replace(files, signature=signature)
