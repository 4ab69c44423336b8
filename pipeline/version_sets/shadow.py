"""A shadow model as a part of the version set: put beside the model in force, or taken away; it decides nothing.

Place in the flow: edits for `Activator.change`, made by `accesstrail models shadow`.
"""

from __future__ import annotations

from detectors.model import Model, pack
from pipeline.errors import UsageError
from pipeline.version_sets.activator import Edit
from pipeline.version_sets.sets import Activation

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
