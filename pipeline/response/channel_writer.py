"""The one writer of a channel that people read: messages, the flood guard before them, alarms where none arrives.

Place in the flow: `sending.py` offers it the channel's notifications in the order of the topic and asks it for steps.
Too many messages in a minute become one digest (`incidents/flood.py`), and what a digest stands for is settled with it,
never before: a crash reads it again. The digest's id follows from the messages it stands for, so that the same ones are
the same digest.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from pipeline.incidents.flood import MINUTE_US, Digest, FloodGuard, FloodItem, FloodLimits
from pipeline.incidents.model import Position
from pipeline.notifications.message import Notification
from pipeline.notifications.outcome import Sender
from pipeline.notifications.pacing import SECOND_US, Limits
from pipeline.notifications.policy import DIGEST, DeliveryRow, is_undelivered, other_channel
from pipeline.notifications.templates import DigestFacts, digest_notification, undelivered_alarm
from pipeline.response.delivery import ChannelDelivery, ChannelRoles, Member

_log = logging.getLogger(__name__)

_QUIET_US = SECOND_US
"""Nothing was offered for so long: what belongs to the minute of a digest has come, also where it is read late."""
_ALWAYS = frozenset({"test"})
_PAGER_ALWAYS = frozenset({"acknowledge", "resolve"})


def flood_limits_of(kind: str, flood: FloodLimits) -> FloodLimits:
    """The limits of a channel of this kind: a pager hears every `acknowledge` and `resolve`, or it rings on."""
    return replace(flood, always=_ALWAYS | (_PAGER_ALWAYS if kind == "pagerduty" else frozenset()))


def rows_since_us(limits: Limits, now_us: int) -> int:
    """From when on a channel's rows still say anything: what is older is given up, and its words may be said again."""
    return now_us - round((limits.give_up_s + limits.window_s) * SECOND_US)


@dataclass(slots=True)
class ChannelWriter:
    """Writes to one channel. `flood`: as `flood_limits_of`. Not thread-safe: one thread has it."""

    channel: str
    limits: Limits
    flood: FloodLimits
    sender: Sender
    roles: ChannelRoles
    _delivery: ChannelDelivery[Notification] = field(init=False)
    _guard: FloodGuard[Notification] = field(init=False)
    _members: list[Member] = field(init=False, default_factory=list)
    _offered_us: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        rows = self.roles.store.deliveries(self.channel, rows_since_us(self.limits, self.roles.clock()))
        self._guard = FloodGuard(self.flood, singles_by_minute(rows, self.flood))
        self._delivery = ChannelDelivery(
            self.channel, self.limits, self.roles, self.sender.send, self._tell_undelivered, rows
        )

    @property
    def held(self) -> int:
        """Records of the topic that are not settled."""
        return self._delivery.held + len(self._members)

    def offer(self, position: Position, notification: Notification) -> None:
        """Takes the next record of the channel."""
        self._offered_us = self.roles.clock()
        if not self._delivery.is_new(notification) or _is_about_channels(notification):
            self._delivery.offer(notification, position)
            return
        item = FloodItem(
            incident_id=notification.incident_id or notification.dedup_key,
            action=notification.action,
            severity=notification.severity,
            risk=notification.risk,
            alerts=notification.alerts,
            payload=notification,
        )
        # A time to come would hold everything back until then.
        released = self._guard.offer(item, min(notification.created_us, self._offered_us))
        digests = [one for one in released if isinstance(one, Digest)]
        for digest in digests:
            self._offer_digest(digest)
        if len(released) > len(digests):
            self._delivery.offer(notification, position)
        else:
            self._members.append(Member(position, replace(notification, lines_en=(), lines_zh=())))

    def step(self) -> int | None:
        """One attempt at most; returns when the next is due (UTC microseconds), None: when something is offered.

        Raises: Away: call it again; BrokenInvariant.
        """
        flush_us = self._flush_us()
        if flush_us is not None and flush_us <= self.roles.clock():
            digest = self._guard.flush(self.roles.clock())
            if digest is not None:
                self._offer_digest(digest)
            flush_us = None
        due_us = self._delivery.step()
        return min((one for one in (due_us, flush_us) if one is not None), default=None)

    def _flush_us(self) -> int | None:
        return max(self._guard.due_us, self._offered_us + _QUIET_US) if self._guard.due_us else None

    def _offer_digest(self, digest: Digest[Notification]) -> None:
        members, self._members = self._members, []
        worst = tuple(one.payload for one in digest.worst)
        facts = DigestFacts(
            from_us=digest.from_us,
            until_us=digest.until_us,
            alerts=digest.alerts,
            incidents=digest.incidents,
            per_severity=digest.per_severity,
            worst=worst,
        )
        notification = digest_notification(
            self.channel, facts, dedup_key=digest_key(members), severity=worst[0].severity, tenant_id=worst[0].tenant_id
        )
        self._delivery.offer(notification, members[0].position, members)

    def _tell_undelivered(self, ends: Sequence[tuple[Notification, DeliveryRow]]) -> None:
        """A message that will never arrive here is told on another channel, with what it said."""
        lost = [(one, row) for one, row in ends if is_undelivered(row)]
        for one, row in lost:
            to = other_channel(self.channel, self.roles.people, self.roles.circuits, row.at_us)
            _log.warning("undelivered: channel=%s code=%s told=%s", self.channel, row.code, to or "nobody")
            if to is not None:
                self.roles.outbox.send(to.encode(), undelivered_alarm(to, one, row.code, row.at_us).to_json())
        if lost:
            self.roles.outbox.flush()


def digest_key(members: Iterable[Member]) -> str:
    """Names a digest by the messages it stands for, whatever their order."""
    ids = sorted({one.notification.notification_id for one in members})
    return f"digest:{hashlib.sha256(chr(0).join(ids).encode()).hexdigest()}"


def singles_by_minute(rows: Iterable[DeliveryRow], flood: FloodLimits) -> Counter[int]:
    """Single messages that took room in the flood guard, by the minute they belong to (minutes since 1970)."""
    outside = flood.always | {DIGEST}
    minutes = {
        one.notification_id: one.created_us // MINUTE_US
        for one in rows
        if one.code != DIGEST and one.action not in outside
    }
    return Counter(minutes.values())


def _is_about_channels(notification: Notification) -> bool:
    """The alarm that a channel is out: it would go under in a digest, and there is one an outage."""
    return notification.action == "alarm" and not notification.incident_id
