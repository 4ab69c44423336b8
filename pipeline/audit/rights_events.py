"""A legal hold or a run of retention as an access event: what keeps evidence and what deletes it is evidence itself.

Place in the flow: sent before the hold or the run is written, and counted only once Kafka has it. Its id is the hold's
row's or the run's own, so that telling twice is telling once, and verification finds it. `fingerprint` is SHA-256 of
everything that was decided: whoever holds the row can compare.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

SOURCE_SYSTEM = "accesstrail"
Kind = Literal["accesstrail_legal_hold", "accesstrail_retention"]
HOLD: Kind = "accesstrail_legal_hold"
RETENTION: Kind = "accesstrail_retention"
_ACTIONS = {HOLD: "policy_change", RETENTION: "log_control"}
# Digits as letters: a run of digits may look like a telephone number, and would be masked on its way.
_LETTERS = str.maketrans("0123456789", "ghijklmnop")
_LONGEST_REASON = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsEvent:
    """One of them. `subject_ids`: data subjects by their own ids; the pipeline makes tokens of them. `is_system`: no
    person asked, accesstrail itself did.
    """

    event_id: str
    at_us: int
    account: str
    kind: Kind
    endpoint: str
    about: str
    reason: str
    fingerprint: str
    rows: int = 0
    subject_ids: tuple[str, ...] = ()
    is_system: bool = False

    @property
    def key(self) -> bytes:
        """The Kafka key."""
        return self.account.encode()


def lettered(digest_hex: str) -> str:
    """A digest as it stands in an event."""
    return digest_hex.translate(_LETTERS)


def rights_event(one: RightsEvent) -> bytes:
    """The access event, as on the wire; equal ones give equal bytes."""
    moment = datetime.fromtimestamp(one.at_us / 1_000_000, UTC)
    event: dict[str, object] = {
        "schema_version": 1,
        "event_id": one.event_id,
        "event_time": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "source_system": SOURCE_SYSTEM,
        "source_instance": "commands",
        "channel": "api",
        "action": _ACTIONS[one.kind],
        "outcome": "success",
        "actor_id": one.account,
        "actor_type": "service" if one.is_system else "admin",
        "app_id": SOURCE_SYSTEM,
        "endpoint": one.endpoint,
        "resource_type": one.kind,
        "resource_id": one.about,
        "records_returned": one.rows,
        "query_fingerprint": lettered(one.fingerprint),
        "justification": one.reason[:_LONGEST_REASON],
    }
    if one.subject_ids:
        event["subject_ids"] = list(one.subject_ids)
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
