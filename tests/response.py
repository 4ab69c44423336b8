"""What incident handling and sending keep, in memory: what their loops are tested on, quickly and with faults.

`tests/contracts/test_incident_store.py` runs over this and over the real one. Faults: `memory.faults["append"] =
[Away("…")]` raises once before anything is kept, `memory.lost_answers[…]` once after all of it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from pipeline.errors import AccesstrailError, Fenced
from pipeline.incidents.effects import FreezeEvidence
from pipeline.incidents.model import LogRow, Position
from pipeline.notifications.outcome import DELIVERED, REFUSED, SKIPPED
from pipeline.notifications.policy import DeliveryRow
from pipeline.response.roles import Delivery, IncidentSnapshot

Place = tuple[str, str, int, int]


def _place(position: Position) -> Place:
    return position.topic, position.incarnation, position.partition, position.offset


class MemoryIncidents:
    """Implements `IncidentStore` and `DeliveryStore`; as many writers as one likes may share it."""

    def __init__(self) -> None:
        self.log: dict[Place, tuple[LogRow, str]] = {}
        """By position: the row and who wrote it, in the order of writing."""
        self.incidents: dict[str, IncidentSnapshot] = {}
        """By incident id, the newest."""
        self.holds: dict[str, FreezeEvidence] = {}
        """By incident id."""
        self.delivered: dict[tuple[str, str, int, Place], Delivery] = {}
        """By channel, notification, attempt and position."""
        self.faults: dict[str, list[AccesstrailError]] = defaultdict(list)
        self.lost_answers: dict[str, list[AccesstrailError]] = defaultdict(list)

    def log_rows(self, topic: str, partition: int) -> Iterable[LogRow]:
        """As the role says."""
        self._raise(self.faults["log_rows"])
        here = [
            row for row, _ in self.log.values() if (row.position.topic, row.position.partition) == (topic, partition)
        ]
        lives = list(dict.fromkeys(row.position.incarnation for row in here))
        yield from sorted(here, key=lambda row: (lives.index(row.position.incarnation), row.position.offset))

    def append(
        self,
        rows: Sequence[LogRow],
        snapshots: Sequence[IncidentSnapshot],
        holds: Sequence[FreezeEvidence],
        writer: str,
    ) -> None:
        """As the role says."""
        self._raise(self.faults["append"])
        first, last = rows[0].position, rows[-1].position
        there = [
            kept
            for (topic, incarnation, partition, offset), kept in sorted(self.log.items())
            if (topic, incarnation, partition) == (first.topic, first.incarnation, first.partition)
            and first.offset <= offset <= last.offset
        ]
        if there and there != [(row, writer) for row in rows]:
            raise Fenced("another writer was first")
        self.holds.update({one.incident.incident_id: one for one in holds})
        for one in snapshots:
            known = self.incidents.get(one.incident.incident_id)
            if known is None or _version(known) <= _version(one):
                self.incidents[one.incident.incident_id] = one
        self.log.update({_place(row.position): (row, writer) for row in rows})
        self._raise(self.lost_answers["append"])

    def settled_offsets(self, topic: str, incarnation: str, partition: int, from_offset: int) -> Sequence[int]:
        """As the role says."""
        self._raise(self.faults["settled_offsets"])
        found = {
            one.position.offset
            for one in self.delivered.values()
            if _place(one.position)[:3] == (topic, incarnation, partition)
            and one.position.offset >= from_offset
            and one.row.outcome in (DELIVERED, REFUSED, SKIPPED)
        }
        return sorted(found)

    def deliveries(self, channel: str, since_us: int) -> Sequence[DeliveryRow]:
        """As the role says."""
        self._raise(self.faults["deliveries"])
        here = [one for one in self.delivered.values() if one.row.channel == channel and one.row.at_us >= since_us]
        here.sort(key=lambda one: (one.row.at_us, one.position.offset, one.row.attempt))
        once: dict[tuple[str, int], DeliveryRow] = {}
        for one in here:
            once.setdefault((one.row.notification_id, one.row.attempt), one.row)
        return list(once.values())

    def record(self, deliveries: Sequence[Delivery]) -> None:
        """As the role says."""
        self._raise(self.faults["record"])
        for one in deliveries:
            row = one.row
            self.delivered[row.channel, row.notification_id, row.attempt, _place(one.position)] = one
        self._raise(self.lost_answers["record"])

    def _raise(self, faults: list[AccesstrailError]) -> None:
        if faults:
            raise faults.pop(0)


def _version(snapshot: IncidentSnapshot) -> tuple[int, int]:
    return snapshot.received_at_us // 1000, snapshot.position.offset
