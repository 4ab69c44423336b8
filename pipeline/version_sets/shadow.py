"""A shadow model as a part of the version set: put beside the model in force, or taken away; it decides nothing.

Place in the flow: edits for `Activator.change`, made by `accesstrail models shadow`; read by workers and scheduler.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from detectors.model import Model, pack, unpack
from pipeline.errors import ModelRejected, UsageError
from pipeline.ports import EvidenceStore
from pipeline.version_sets.activator import Edit
from pipeline.version_sets.sets import Activation

_log = logging.getLogger(__name__)
PART = "shadow"


def tried(model: Model, newest: Activation) -> Edit:
    """The set in force with this model beside its own. Raises: UsageError: there is none to compare it with."""
    if newest.parts.get("model_fault"):
        raise UsageError("no model is in force that another one could be compared with")
    return Edit({PART: pack(model)})


def ended(newest: Activation) -> Edit:
    """The set in force without its shadow model. Raises: UsageError: none is tried."""
    if PART not in newest.parts:
        raise UsageError("no model is tried now")
    return Edit({PART: None})


def stored(store: EvidenceStore, parts: Mapping[str, str]) -> Model | None:
    """The model that a set tries; one that this version of the code cannot use is tried no more: it decides nothing.

    Raises: Away; StoreRefused.
    """
    if PART not in parts:
        return None
    try:
        return unpack(store.load_artefact(parts[PART]))
    except ModelRejected as exc:
        _log.warning("the shadow model cannot be used: code=%s", exc.code)
        return None
