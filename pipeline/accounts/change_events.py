"""A change of an account as an access event: who may look at evidence is itself part of the evidence.

Place in the flow: made from a line of the append-only `account_changes` by whoever tells `access.events` of it. Bytes
and id follow from the line, so that telling twice is telling the same: the duplicate window knows it by its id. It
names people and so goes the way of every event: names become tokens, reasons are masked.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

from pipeline.accounts.model import AccountChange

SOURCE_SYSTEM = "accesstrail"
ACTION = "policy_change"
RESOURCE_TYPE = "accesstrail_account"
_NAMESPACE = uuid.UUID("5b1d0c1e-7a43-5a0e-9a52-0f6c9f2b7d41")
_LONGEST_JUSTIFICATION = 2000


def change_event(change: AccountChange, register: str) -> bytes:
    """The access event of one change, as on the wire. `register`: the accounts file's own name."""
    moment = datetime.fromtimestamp(change.at_us / 1_000_000, UTC)
    why = "; ".join(one for one in (change.detail, change.reason) if one)
    event = {
        "schema_version": 1,
        "event_id": str(uuid.uuid5(_NAMESPACE, f"{register}:{change.number}")),
        "event_time": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "source_system": SOURCE_SYSTEM,
        "source_instance": f"accounts:{register}",
        "source_seq": change.number,
        "channel": "api",
        "action": ACTION,
        "outcome": "success",
        "actor_id": change.by,
        "actor_type": "admin",
        "app_id": SOURCE_SYSTEM,
        "endpoint": f"users {change.what}",
        "resource_type": RESOURCE_TYPE,
        "resource_id": change.account,
    }
    if why:  # an empty text is none on the wire
        event["justification"] = why[:_LONGEST_JUSTIFICATION]
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
