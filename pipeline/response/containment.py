"""The call that has an account stopped, as a record of `access.notifications`, and what it answers to the incident.

Place in the flow: handling writes it under the containment channel's key, so that one writer makes the calls in order;
sending calls the webhook once for each `contain_id` and writes the answer to `access.incidents` as the command
`contain_result`. Canonical JSON (sorted keys, no spaces, UTF-8). It names the account by its token: who receives it
knows how to find the account, or asks for it to be revealed.
"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID, uuid5

import msgspec
from msgspec import Meta, Struct

from pipeline.errors import NotificationRejected
from pipeline.incidents.effects import CallContainment
from pipeline.incidents.records import SYSTEM, ContainResult, Id, Key, Name, Note, TimeUs, Token
from pipeline.notifications.message import MAX_RECORD_BYTES, Notification, from_json
from pipeline.notifications.outcome import DELIVERED
from pipeline.notifications.policy import DeliveryRow

BY = SYSTEM + "containment"
"""Who gives the command that tells the answer."""
ACTION = "contain"
EXPIRED = "expired"
"""Code of a call that was not taken before the containment would have ended anyway."""
_NAMESPACE = UUID("5d0f3a5e-93f5-5c3b-9f0b-2a4f1c6d7e90")


class ContainmentCall(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="containment"):
    """One call. `by`: the account that gave the command, `reason` its own words. Times UTC microseconds.

    `created_us`: the time of the record that caused it; after `expires_us` it is not called any more.
    """

    format: Literal[1] = 1
    contain_id: Id
    channel: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,39}\Z")]
    tenant_id: Name
    incident_key: Key
    incident_id: Id
    account_token: Annotated[Token, Meta(min_length=1)]
    reason: Note
    by: Name
    created_us: TimeUs
    expires_us: TimeUs

    @staticmethod
    def of(effect: CallContainment, channel: str, created_us: int) -> ContainmentCall:
        """The record of what the engine asks for."""
        return ContainmentCall(
            contain_id=effect.contain_id,
            channel=channel,
            tenant_id=effect.tenant_id,
            incident_key=effect.incident_key,
            incident_id=effect.incident_id,
            account_token=effect.account_token,
            reason=effect.reason,
            by=effect.by,
            created_us=created_us,
            expires_us=effect.expires_us,
        )

    @property
    def notification_id(self) -> str:
        """What the delivery log knows it by."""
        return self.contain_id

    @property
    def dedup_key(self) -> str:
        """Calls do not wait for one another."""
        return self.contain_id

    @property
    def action(self) -> str:
        """Its action in the delivery log."""
        return ACTION

    def to_json(self) -> bytes:
        """The record's value."""
        return msgspec.json.encode(self, order="sorted")


_CALL = msgspec.json.Decoder(ContainmentCall)


class _Head(Struct):
    type: str


_HEAD = msgspec.json.Decoder(_Head)


def from_outbox(value: bytes) -> Notification | ContainmentCall:
    """What a record of `access.notifications` asks for. Raises: NotificationRejected: nothing this version knows."""
    if len(value) > MAX_RECORD_BYTES:
        raise NotificationRejected(f"a record of the outbox is at most {MAX_RECORD_BYTES:,} bytes")
    try:
        if _HEAD.decode(value).type != "containment":
            return from_json(value)
        call = _CALL.decode(value)
        UUID(call.contain_id)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError):
        raise NotificationRejected("the record asks for nothing that this version knows") from None
    return call


def result_of(call: ContainmentCall, row: DeliveryRow) -> ContainResult:
    """The command that tells the incident what became of the call; its id is the same however often it is told."""
    return ContainResult(
        command_id=uuid5(_NAMESPACE, call.contain_id),
        tenant_id=call.tenant_id,
        incident_key=call.incident_key,
        incident_id=call.incident_id,
        by=BY,
        at_us=row.at_us,
        contain_id=UUID(call.contain_id),
        succeeded=row.outcome == DELIVERED,
        code=row.code,
    )
