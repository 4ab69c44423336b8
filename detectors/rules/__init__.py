"""Rules: one file each, with its words, its predicate, its runbook and the cases that it must pass.

A rule reads the event's arrays and the features by name, nothing else. Floors are maxima: rules never add up.
"""

from __future__ import annotations

from collections.abc import Sequence

from detectors.rules import (
    ai_agent_volume,
    auditor_abuse,
    break_glass,
    bulk_export,
    consent_withdrawn,
    copy_surge,
    credential_sharing,
    cross_border,
    departing_employee,
    direct_sql,
    dormant_account,
    enumeration,
    external_share,
    foreign_access,
    impossible_travel,
    inactive_account,
    log_tampering,
    mass_lookup,
    mass_unmask,
    minors_without_approval,
    night_sweep,
    own_record,
    partner_over_contract,
    permission_probing,
    purpose_drift,
    record_tampering,
    repeat_curiosity,
    search_fishing,
    self_grant,
    service_misuse,
    unusual_decrypt,
    vip_snooping,
)
from detectors.rules.rule import Rule

_MODULES = (
    ai_agent_volume, auditor_abuse, break_glass, bulk_export, consent_withdrawn, copy_surge, credential_sharing,
    cross_border, departing_employee, direct_sql, dormant_account, enumeration, external_share, foreign_access,
    impossible_travel, inactive_account, log_tampering, mass_lookup, mass_unmask, minors_without_approval,
    night_sweep, own_record, partner_over_contract, permission_probing, purpose_drift, record_tampering,
    repeat_curiosity, search_fishing, self_grant, service_misuse, unusual_decrypt, vip_snooping,
)  # fmt: skip
_RULES = tuple(sorted((module.RULE for module in _MODULES), key=lambda rule: (-rule.floor, rule.name)))


def all_rules() -> Sequence[Rule]:
    """Every rule, the gravest first, then by name: the order in which they are named as reasons (it is evidence)."""
    return _RULES
