"""Runs the rules' cases: each becomes one event that differs from a quiet one, judged by its rule.

Place in the flow: none; `accesstrail rules test` and the tests run them. The quiet event: an employee reads one
customer's profile in the office on a workday morning, no work item named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.base import F32, EventArrays
from detectors.features import INDEX, N_FEATURES
from detectors.rules.facts import VOCABULARIES, level_of
from detectors.rules.rule import Case, Rule
from pipeline import events as words

_QUIET: Mapping[str, tuple[str, str | float]] = {
    "peer_group_ids": ("i4", 0), "actor_type": ("u1", "employee"), "actor_status": ("u1", "active"),
    "tenure_days": ("i4", 400), "days_to_leave": ("i4", 32767), "on_behalf": ("u8", 0), "event_time_us": ("i8", 0),
    "local_day": ("i4", 20_000), "local_hour": ("u1", 10), "day_kind": ("u1", "workday"),
    "holidays": ("i4", 0), "channel": ("u1", "ui"),
    "action": ("u1", "read"), "outcome": ("u1", "success"), "resource_type": ("u8", 11), "resource_type_ids": ("i4", 0),
    "endpoint": ("u8", 5), "source_system": ("u8", 6), "resource": ("u8", 7), "sensitivity": ("u1", 2),
    "records": ("i8", 1), "matched": ("i8", -1), "bytes_out": ("i8", 1000), "unmasked": ("u1", 0),
    "external": ("u1", 0), "recipient": ("u1", ""), "destination_abroad": ("u1", 0), "grant_to_self": ("u1", 0),
    "break_glass": ("u1", 0), "explained": ("u1", "not_yet_explained"), "approved": ("u1", 0), "case": ("u8", 0),
    "purpose_fit": ("u1", ""), "legal_basis": ("u1", ""), "consent_withdrawn": ("u1", 0), "contract": ("u1", ""),
    "contract_limit": ("i4", -1),
    "ip_prefix": ("u8", 21), "network_kind": ("u1", "office"), "country": ("u2", 17230), "source_abroad": ("u1", 0),
    "latitude": ("f4", 31.2), "longitude": ("f4", 121.5), "device": ("u8", 31), "user_agent": ("u8", 41),
    "agent_kind": ("u1", "browser"), "session": ("u8", 51), "credential": ("u8", 61), "subject_count": ("i8", 1),
    "vip_subjects": ("u2", 0), "minor_subjects": ("u2", 0), "own_subject": ("u1", 0), "household_subject": ("u1", 0),
    "off_region": ("u1", 0), "sequence": ("u4", 0), "scorable": ("u1", 1),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one case: `sort` is holds, silent or look-alike; `floor` is what the rule said."""

    rule: str
    sort: str
    text: str
    expected: int
    floor: int

    @property
    def passed(self) -> bool:
        """Whether the rule did what the case says."""
        return self.floor == self.expected


def outcomes_of(rule: Rule) -> list[Outcome]:
    """Runs all cases of a rule as one batch."""
    sorts = {"holds": rule.cases.holds, "silent": rule.cases.silent, "look-alike": rule.cases.look_alikes}
    named = [(sort, one) for sort, found in sorts.items() for one in found]
    events, features = batch_of(rule.cases.base, [one for _, one in named])
    floors = rule.risk(events, features, features).tolist()
    return [
        Outcome(rule.name, sort, one.text, rule.floor if sort == "holds" else 0, floor)
        for (sort, one), floor in zip(named, floors, strict=True)
    ]


def batch_of(base: Case, cases: Sequence[Case]) -> tuple[EventArrays, F32]:
    """The cases as arrays and features, one event each. Raises: KeyError: a case names what is no field or feature."""
    rows = [{**base.event, **one.event} for one in cases]
    unknown = {name for row in rows for name in row} - set(_QUIET)
    if unknown:
        raise KeyError(f"no such field of an event: {', '.join(sorted(unknown))}")
    arrays: dict[str, Any] = {name: _column(name, dtype, quiet, rows) for name, (dtype, quiet) in _QUIET.items()}
    features = np.zeros((len(cases), N_FEATURES), np.float32)
    for place, one in enumerate(cases):
        for name, amount in {**base.seen, **one.seen}.items():
            features[place, INDEX[name]] = level_of(name, amount)
    events = EventArrays(
        count=len(cases),
        actor_keys=[b"default\0" + place.to_bytes(16, "little") for place in range(len(cases))],
        peer_groups=["customer_service/agent"],
        resource_types=["customer_profile"],
        subject_ends=np.arange(1, len(cases) + 1, dtype=np.int64),
        subjects=np.arange(1, len(cases) + 1, dtype=np.uint64),
        **arrays,
    )
    return events, features


def _column(
    name: str, dtype: str, quiet: str | float, rows: Iterable[Mapping[str, str | float]]
) -> npt.NDArray[np.generic]:
    codes = {"": 0, **words.codes(VOCABULARIES.get(name, ()))}
    values = [row.get(name, quiet) for row in rows]
    return np.array([codes[value] if isinstance(value, str) else value for value in values], dtype)
