"""One call of the containment webhook as a record of `access.notifications`, and the command that tells its answer.

Place in the flow: written by incident handling under the key of the containment channel, whose one writer calls the
webhook once for a `contain_id` and answers with a `contain_result` command. Canonical JSON: sorted keys, no spaces,
UTF-8. Only a person's command leads here; the record names the account by its token.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID, uuid5

import msgspec
from msgspec import Struct

from pipeline.errors import NotificationRejected
from pipeline.incidents.effects import CallContainment
from pipeline.incidents.records import ContainResult, Id, Key, Name, TimeUs, Token, Why

CONTAINMENT = "system:containment"
"""Who gives the command that tells the answer."""
NO_WEBHOOK = "no_webhook"
"""Code of the answer where the configuration names no containment channel."""
_NAMESPACE = UUID("5b1c3b38-4a7e-5c52-9d7e-0c1f6d2a9e74")


class _Head(Struct):
    type: str = ""


class ContainmentCall(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account is to be stopped until `expires_us` (UTC microseconds), because `by` says so for this `reason`."""

    type: Literal["containment"] = "containment"
    contain_id: Id
    tenant_id: Name
    incident_key: Key
    incident_id: Id
    account_token: Token
    reason: Why
    expires_us: TimeUs
    by: Name

    def to_json(self) -> bytes:
        """The record's value."""
        return msgspec.json.encode(self, order="sorted")

    def result(self, *, succeeded: bool, code: str, at_us: int) -> ContainResult:
        """The command that tells the answer; the same id however often it is told."""
        return ContainResult(
            command_id=uuid5(_NAMESPACE, self.contain_id), tenant_id=self.tenant_id, incident_key=self.incident_key,
            incident_id=self.incident_id, by=CONTAINMENT, at_us=at_us, contain_id=UUID(self.contain_id),
            succeeded=succeeded, code=code,
        )  # fmt: skip


_HEAD, _CALL = msgspec.json.Decoder(_Head), msgspec.json.Decoder(ContainmentCall)


def call_of(effect: CallContainment) -> ContainmentCall:
    """The record of an effect."""
    return ContainmentCall(
        contain_id=effect.contain_id, tenant_id=effect.tenant_id, incident_key=effect.incident_key,
        incident_id=effect.incident_id, account_token=effect.account_token, reason=effect.reason,
        expires_us=effect.expires_us, by=effect.by,
    )  # fmt: skip


def parse_containment(value: bytes) -> ContainmentCall | None:
    """The call; None where the record is of another type. Raises: NotificationRejected: it is a call, and no good."""
    try:
        if _HEAD.decode(value).type != "containment":
            return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    try:
        call = _CALL.decode(value)
        UUID(call.contain_id), UUID(call.incident_id)
    except (msgspec.DecodeError, ValueError, RecursionError):  # ValueError: no UUID, no UTF-8
        raise NotificationRejected("the record is no call of the containment webhook of this version") from None
    return call
