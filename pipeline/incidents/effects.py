"""What the engine asks of the world, as data: messages, commands for other keys, containment, frozen evidence.

Place in the flow: part of the outcome of `fold.apply`; carried out by incident handling before the row is stored, at
least once. Why ids follow from the log: carrying out an effect a second time must be seen to be the same.
"""

from __future__ import annotations

from typing import TypeAlias
from uuid import UUID, uuid5

from msgspec import Struct

from pipeline.incidents.model import Incident, Position
from pipeline.incidents.records import AnyCommand

_NAMESPACE = UUID("a4f6a0be-52a4-5d5e-8f51-77c9f9b1d6c2")
ENGINE = "system:incidents"
"""Who gives the commands that the engine itself emits."""


class Notify(Struct, frozen=True):
    """Tells these channels. `action`: trigger, update, acknowledge or resolve; `reason`: a word for why now.

    `cause`: what made it, the same on every replay (together with channel and action it names the notification).
    """

    action: str
    reason: str
    channels: tuple[str, ...]
    incident: Incident
    at_us: int
    cause: str


class Emit(Struct, frozen=True):
    """Writes a command to `access.incidents` on another key."""

    command: AnyCommand


class CallContainment(Struct, frozen=True):
    """Calls the containment webhook once for the command `contain_id`; only a person's command leads here."""

    contain_id: str
    tenant_id: str
    incident_key: str
    incident_id: str
    account_token: str
    reason: str
    expires_us: int
    by: str


class FreezeEvidence(Struct, frozen=True):
    """A breach is suspected: evidence of the incident is held, counting of the persons concerned begins."""

    incident: Incident
    known_at_us: int
    by: str


Effect: TypeAlias = Notify | Emit | CallContainment | FreezeEvidence


def cause_of(position: Position) -> str:
    """A record's position as text."""
    return f"{position.topic}:{position.incarnation}:{position.partition}:{position.offset}"


def emitted_id(position: Position, name: str, to_key: str, to_incident: str) -> UUID:
    """Id of the command that the record at this position makes the engine emit: the same on every replay."""
    return uuid5(_NAMESPACE, "\x1f".join((cause_of(position), name, to_key, to_incident)))
