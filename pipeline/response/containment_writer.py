"""The one writer of the containment channel: each call is made once, and the incident is told what it came to.

Place in the flow: as `channel_writer.py`, for the records of `containment.py`. The answer is acknowledged by
`access.incidents` before the row is stored: a call that counts as made has told its answer. A crash between the answer
and its row repeats the call under the same id, which the receiver counts once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.incidents.model import Position
from pipeline.incidents.records import encode_command
from pipeline.notifications.outcome import DELIVERED, REFUSED
from pipeline.notifications.pacing import Limits
from pipeline.notifications.policy import DeliveryRow
from pipeline.response.channel_writer import rows_since_us
from pipeline.response.containment import EXPIRED, ContainmentCall, result_of
from pipeline.response.delivery import Attempt, ChannelDelivery, ChannelRoles
from pipeline.response.roles import Outbox


@dataclass(slots=True)
class ContainmentWriter:
    """Calls the webhook. `incidents`: writes to `access.incidents`. Not thread-safe: one thread has it."""

    channel: str
    limits: Limits
    call: Attempt[ContainmentCall]
    incidents: Outbox
    roles: ChannelRoles
    _delivery: ChannelDelivery[ContainmentCall] = field(init=False)

    def __post_init__(self) -> None:
        rows = self.roles.store.deliveries(self.channel, rows_since_us(self.limits, self.roles.clock()))
        self._delivery = ChannelDelivery(self.channel, self.limits, self.roles, self.call, self._tell_incidents, rows)

    @property
    def held(self) -> int:
        """Records of the topic that are not settled."""
        return self._delivery.held

    def offer(self, position: Position, call: ContainmentCall) -> None:
        """Takes the next record of the channel."""
        self._delivery.offer(call, position)

    def step(self) -> int | None:
        """One call at most; returns when the next is due (UTC microseconds), None: when something is offered.

        Nobody is stopped after the time for which it was asked. Raises: Away: call it again; BrokenInvariant.
        """
        now_us = self.roles.clock()
        for one in [one for one in self._delivery.waiting() if one.expires_us <= now_us]:
            self._delivery.give_up(one, REFUSED, EXPIRED)
        due_us = self._delivery.step()
        ends = [one.expires_us for one in self._delivery.waiting()]
        return min([*ends, due_us] if due_us is not None else ends, default=None)

    def _tell_incidents(self, ends: Sequence[tuple[ContainmentCall, DeliveryRow]]) -> None:
        answered = [(call, row) for call, row in ends if row.outcome in (DELIVERED, REFUSED)]
        for call, row in answered:
            self.incidents.send(call.incident_key.encode(), encode_command(result_of(call, row)))
        if answered:
            self.incidents.flush()
