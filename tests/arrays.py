"""Event arrays for detector tests: a quiet event by default, any field changed by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from detectors.base import NO_LOCATION, EventArrays

START_US = 1_790_000_000_000_000  # 2026-09-21T14:13:20Z
DAY_US = 86_400_000_000
_DEFAULTS: Mapping[str, tuple[str, float]] = {
    "peer_group_ids": ("i4", 0), "actor_type": ("u1", 1), "actor_status": ("u1", 1), "tenure_days": ("i4", 400),
    "days_to_leave": ("i4", 32767), "local_hour": ("u1", 10), "day_kind": ("u1", 1),
    "holidays": ("i4", 0), "channel": ("u1", 1),
    "action": ("u1", 1), "outcome": ("u1", 1), "resource_type": ("u8", 11), "resource_type_ids": ("i4", 0),
    "endpoint": ("u8", 5), "source_system": ("u8", 6), "resource": ("u8", 7), "sensitivity": ("u1", 2),
    "records": ("i8", 1), "bytes_out": ("i8", 1000), "unmasked": ("u1", 0), "external": ("u1", 0),
    "break_glass": ("u1", 0), "explained": ("u1", 1), "approved": ("u1", 0), "case": ("u8", 0),
    "ip_prefix": ("u8", 21), "network_kind": ("u1", 1), "country": ("u2", 17230), "latitude": ("f4", 31.2),
    "longitude": ("f4", 121.5), "device": ("u8", 31), "user_agent": ("u8", 41), "session": ("u8", 51),
    "credential": ("u8", 61), "vip_subjects": ("u2", 0), "minor_subjects": ("u2", 0), "own_subject": ("u1", 0),
    "on_behalf": ("u8", 0), "matched": ("i8", -1), "recipient": ("u1", 0), "destination_abroad": ("u1", 0),
    "grant_to_self": ("u1", 0), "purpose_fit": ("u1", 0), "legal_basis": ("u1", 0), "consent_withdrawn": ("u1", 0),
    "contract": ("u1", 0), "contract_limit": ("i4", -1), "source_abroad": ("u1", 0), "agent_kind": ("u1", 1),
    "household_subject": ("u1", 0), "off_region": ("u1", 0), "sequence": ("u4", 0), "scorable": ("u1", 1),
}  # fmt: skip


def event_arrays(count: int, **fields: Any) -> EventArrays:
    """`count` events; a field is given as a scalar or a sequence of `count` values.

    `actors`: index of the actor of each event; `time_us`: event times (default: one a minute from START_US);
    `subject_lists`: subjects of each event (default: one subject, different each time).
    """
    actors = np.broadcast_to(np.asarray(fields.pop("actors", 0)), (count,))
    time_us = np.asarray(fields.pop("time_us", START_US + np.arange(count) * 60_000_000), np.int64)
    lists = fields.pop("subject_lists", [[1000 + index] for index in range(count)])
    arrays: dict[str, Any] = {
        name: np.broadcast_to(np.asarray(fields.pop(name, value), dtype), (count,)).copy()
        for name, (dtype, value) in _DEFAULTS.items()
    }
    arrays["local_day"] = np.asarray(fields.pop("local_day", time_us // DAY_US), np.int32)
    arrays["peer_groups"] = fields.pop("peer_groups", ["customer_service/agent"])
    arrays["resource_types"] = ["customer_profile"]
    assert not fields, f"unknown fields: {sorted(fields)}"
    return EventArrays(
        count=count,
        actor_keys=[b"default\0" + int(actor).to_bytes(16, "little") for actor in actors],
        event_time_us=time_us,
        subject_ends=np.cumsum([len(one) for one in lists]).astype(np.int64),
        subjects=np.array([subject for one in lists for subject in one], np.uint64),
        subject_count=np.array([len(one) for one in lists], np.int64),
        **arrays,
    )


assert NO_LOCATION > 180  # a quiet event has a place
