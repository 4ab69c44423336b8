"""Rules: one file each, with its words, its predicate, its runbook and the cases that it must pass.

A rule reads the event's arrays and the features by name, nothing else. Floors are maxima: rules never add up.
"""

from __future__ import annotations

from collections.abc import Sequence

from detectors.rules import (
    bulk_export,
    enumeration,
    external_share,
    impossible_travel,
    inactive_account,
    mass_unmask,
    service_misuse,
)
from detectors.rules.rule import Rule

_MODULES = (
    bulk_export, enumeration, external_share, impossible_travel, inactive_account, mass_unmask, service_misuse,
)  # fmt: skip
_RULES = tuple(sorted((module.RULE for module in _MODULES), key=lambda rule: (-rule.floor, rule.name)))


def all_rules() -> Sequence[Rule]:
    """Every rule, the gravest first, then by name: the order in which they are named as reasons (it is evidence)."""
    return _RULES
