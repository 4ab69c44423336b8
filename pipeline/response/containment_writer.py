"""The one writer of the containment channel: each call is made once, and the incident is told what it came to.

Place in the flow: beside `channel_writer.py`, for the records of `containment.py`. The answer is acknowledged by
`access.incidents` before the row is stored: a call that counts as made has told its answer. A crash between the answer
and its row repeats the call under the same id, which the receiver counts once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.incidents.model import Position
from pipeline.incidents.records import encode_command
from pipeline.notifications.outcome import DELIVERED, REFUSED, Sent
from pipeline.notifications.pacing import Limits
from pipeline.notifications.policy import DeliveryRow
from pipeline.response.channel_writer import rows_since_us
from pipeline.response.containment import ContainmentCall
from pipeline.response.delivery import ChannelDelivery, ChannelRoles
from pipeline.response.roles import Outbox

ACTION = "contain"
"""A call's action in the delivery log."""
EXPIRED = "expired"
"""Code of a call that was not taken before the containment would have ended anyway."""


class Caller(Protocol):
    """Who is asked (`adapters.channels.webhook.WebhookSender`)."""

    def call(self, call: ContainmentCall, attempt: int, now_us: int) -> Sent:
        """One attempt, as `Sender.send`."""
        ...


@dataclass(frozen=True, slots=True)
class AskedContainment:
    """A call as the policy of delivery sees it. `created_us`: when Kafka took its record."""

    call: ContainmentCall
    channel: str
    created_us: int

    @property
    def notification_id(self) -> str:
        """What the delivery log knows it by."""
        return self.call.contain_id

    @property
    def dedup_key(self) -> str:
        """Calls do not wait for one another."""
        return self.call.contain_id

    @property
    def action(self) -> str:
        """Always the same."""
        return ACTION

    @property
    def tenant_id(self) -> str:
        """Whose account it is about."""
        return self.call.tenant_id


@dataclass(slots=True)
class ContainmentWriter:
    """Calls the webhook. `incidents`: writes to `access.incidents`. Not thread-safe: one thread has it."""

    channel: str
    limits: Limits
    caller: Caller
    incidents: Outbox
    roles: ChannelRoles
    _delivery: ChannelDelivery[AskedContainment] = field(init=False)

    def __post_init__(self) -> None:
        rows = self.roles.store.deliveries(self.channel, rows_since_us(self.limits, self.roles.clock()))
        self._delivery = ChannelDelivery(self.channel, self.limits, self.roles, self._ask, self._tell_incidents, rows)

    @property
    def held(self) -> int:
        """Records of the topic that are not settled."""
        return self._delivery.held

    def offer(self, position: Position, asked: AskedContainment) -> None:
        """Takes the next record of the channel."""
        self._delivery.offer(asked, position)

    def step(self) -> int | None:
        """One call at most; returns when the next is due (UTC microseconds), None: when something is offered.

        Nobody is stopped after the time for which it was asked. Raises: Away: call it again; BrokenInvariant.
        """
        now_us = self.roles.clock()
        for one in [one for one in self._delivery.waiting() if one.call.expires_us <= now_us]:
            self._delivery.give_up(one, REFUSED, EXPIRED)
        due_us = self._delivery.step()
        ends = [one.call.expires_us for one in self._delivery.waiting()]
        return min([*ends, due_us] if due_us is not None else ends, default=None)

    def _ask(self, asked: AskedContainment, attempt: int, now_us: int) -> Sent:
        return self.caller.call(asked.call, attempt, now_us)

    def _tell_incidents(self, ends: Sequence[tuple[AskedContainment, DeliveryRow]]) -> None:
        answered = [(asked.call, row) for asked, row in ends if row.outcome in (DELIVERED, REFUSED)]
        for call, row in answered:
            result = call.result(succeeded=row.outcome == DELIVERED, code=row.code, at_us=row.at_us)
            self.incidents.send(call.incident_key.encode(), encode_command(result))
        if answered:
            self.incidents.flush()
