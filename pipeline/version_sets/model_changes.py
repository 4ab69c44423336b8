"""Putting another model in force, as a person: what of the set changes, and what it would change to.

Place in the flow: between `accesstrail models` and the activation log. Directory, configuration, rules and exceptions
stay as they are; a model comes with the alert policy it was trained with, or had when it was in force.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from detectors.model import unpack
from detectors.policy import Policy
from pipeline.errors import ModelRejected, UsageError
from pipeline.ports import EvidenceStore
from pipeline.version_sets.activator import Edit
from pipeline.version_sets.files import ConfiguredFiles
from pipeline.version_sets.model_signature import CheckedModel
from pipeline.version_sets.sets import MODEL_PARTS, Activation

Decide = Callable[[Activation], Edit]


@dataclass(frozen=True, slots=True)
class Promotion:
    """A model folder that was read and checked once, and may be put in force."""

    checked: CheckedModel

    @classmethod
    def of(cls, folder: Path, files: ConfiguredFiles) -> Promotion:
        """Checks signature, hashes, version of the features and golden rows. Raises: UsageError: one fails."""
        try:
            return cls(files.signed_model(folder))
        except ModelRejected as exc:
            raise UsageError(f"refused: {exc}", code=exc.code) from None

    def edit(self, *, keep_threshold: bool) -> Decide:
        """The change of the set in force; `keep_threshold`: its alert threshold, not the model's own."""

        def decide(newest: Activation) -> Edit:
            policy, parts = self.policy(newest, keep_threshold=keep_threshold), newest.parts
            wanted = {"model": self.checked.contents["model"], "policy": policy.content()}
            if all(parts.get(name) == sha256(content).hexdigest() for name, content in wanted.items()):
                raise UsageError("this model is in force already, with the same thresholds")
            gone: dict[str, bytes | None] = dict.fromkeys(("model_signature", "model_signer"))
            contents = {**gone, **self.checked.contents, "policy": policy.content()}
            return Edit(contents, policy.threshold, {"model_fault": "", **self.checked.words})

        return decide

    def policy(self, newest: Activation, *, keep_threshold: bool) -> Policy:
        """What would alert. Raises: UsageError: there is no threshold to keep."""
        if not keep_threshold:
            return self.checked.model.policy
        if newest.parts.get("model_fault"):
            raise UsageError("no model is in use, so there is no threshold to keep: leave out --keep-threshold")
        return replace(self.checked.model.policy, threshold=newest.threshold)


def earlier_model(history: Sequence[Activation]) -> Activation:
    """The newest activation with another model than the one in force has. Raises: UsageError: there is none."""
    if not history:
        raise UsageError("no version set is in force yet: start a worker first")
    now = history[-1].parts.get("model")
    for one in reversed(history):
        if one.parts.get("model", now) != now:
            return one
    raise UsageError("there is no earlier model to go back to: see `accesstrail models list`")


def going_back(
    history: Sequence[Activation], store: EvidenceStore, files: ConfiguredFiles
) -> tuple[Activation, Decide]:
    """To the model before, with the policy it had; everything else of the set in force stays.

    Raises: UsageError: there is none, this version of the code cannot use it, or who signed it is not known any more.
    """
    earlier = earlier_model(history)
    try:
        unpack(store.load_artefact(earlier.parts["model"]))
        trusted = files.trusts(earlier.parts)
    except ModelRejected as exc:
        raise UsageError(f"refused: {exc}", code=exc.code) from None
    if not trusted:
        raise UsageError("refused: no known key has signed the model before", code="model_unsigned")

    def decide(newest: Activation) -> Edit:
        if newest.parts.get("model") == earlier.parts["model"]:
            raise UsageError("this model is in force already")
        gone: dict[str, bytes | None] = dict.fromkeys(MODEL_PARTS)
        kept = {name: earlier.parts[name] for name in (*MODEL_PARTS, "policy") if name in earlier.parts}
        return Edit(gone, earlier.threshold, kept)

    return earlier, decide
