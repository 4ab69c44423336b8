"""A change of the version set as an access event of its own: what is done to the judge is evidence too.

Place in the flow: made when a set is activated, kept sealed in the activation log (it names a person), produced to
`access.events` by whoever can. The bytes are made once, so repeating them is repeating the same event: the duplicate
window knows it by its id.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.privacy.keys import Keyring
from pipeline.privacy.sealing import Sealer, open_sealed
from pipeline.version_sets.sets import Activation

SYSTEM_ACTOR = "accesstrail"
SOURCE_SYSTEM = "accesstrail"
ACTION = "policy_change"
RESOURCE_TYPE = "version_set"
_REASON_CHARACTERS = 2000
_MAXIMUM_FIELDS = 256


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asked for a change: a person by account name, or nobody: accesstrail itself, because files changed."""

    actor_id: str = SYSTEM_ACTOR

    @property
    def is_system(self) -> bool:
        """Whether no person asked."""
        return self.actor_id == SYSTEM_ACTOR


def change_event(activation: Activation, requester: Requester, reason: str, changed: Sequence[str]) -> bytes:
    """The access event of one activation, as on the wire; equal arguments give equal bytes."""
    moment = datetime.fromtimestamp(activation.activated_at_us / 1_000_000, UTC)
    event: dict[str, object] = {
        "schema_version": 1,
        "event_id": str(activation.event_id),
        "event_time": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "source_system": SOURCE_SYSTEM,
        "source_instance": activation.topic[:128],
        "source_seq": activation.number,
        "channel": "batch" if requester.is_system else "api",
        "action": ACTION,
        "outcome": "success",
        "actor_id": requester.actor_id,
        "actor_type": "service" if requester.is_system else "admin",
        "app_id": SOURCE_SYSTEM,
        "endpoint": f"versions {activation.kind}",
        "resource_type": RESOURCE_TYPE,
        "resource_id": activation.versions_id.hex(),
        "query_fingerprint": activation.previous_id.hex(),
        "justification": reason[:_REASON_CHARACTERS],
    }
    if changed:
        event["fields_accessed"] = [name[:128] for name in changed[:_MAXIMUM_FIELDS]]
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def sealed_event(event: bytes, activation: Activation, keyring: Keyring) -> str:
    """The event encrypted for its place in the activation log, as text."""
    return base64.b64encode(Sealer(keyring).seal(event, _place(activation))).decode("ascii")


def opened_event(activation: Activation, keyring: Keyring) -> bytes:
    """The event of an activation. Raises: AccesstrailError: changed or of another place; ConfigError: key missing."""
    return open_sealed(keyring, base64.b64decode(activation.event), _place(activation))


def event_key(event: bytes) -> bytes:
    """The Kafka key of an access event: its actor, which places all of an actor's events in one partition."""
    return str(json.loads(event)["actor_id"]).encode()


def _place(activation: Activation) -> bytes:
    return f"version_activations:{activation.topic}:{activation.number}".encode()
