"""Severe rules: each a small class with its reason in two languages and a floor under the risk; one file a rule.

A rule reads the event's arrays and the features by name, nothing else. Floors are maxima: rules never add up.
"""

from __future__ import annotations

from collections.abc import Sequence

from detectors.base import Detector
from detectors.rules.bulk_export import BulkExport
from detectors.rules.enumeration import Enumeration
from detectors.rules.external_share import ExternalShare
from detectors.rules.impossible_travel import ImpossibleTravel
from detectors.rules.inactive_account import InactiveAccount
from detectors.rules.mass_unmask import MassUnmask
from detectors.rules.service_misuse import ServiceMisuse


def all_rules() -> Sequence[Detector]:
    """Every rule, in a fixed order (it is part of the evidence)."""
    return (
        BulkExport(), Enumeration(), ExternalShare(), ImpossibleTravel(), InactiveAccount(), MassUnmask(),
        ServiceMisuse(),
    )  # fmt: skip
