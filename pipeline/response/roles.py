"""The roles that handling incidents and sending messages ask of the outside world, and what passes through them.

Place in the flow: between the loops of this package and their adapters (`adapters/incident_store.py`,
`adapters/kafka.py`); fakes in `tests/response.py`, one contract suite over both. All methods are synchronous and called
from one thread. Errors: Away (repeat unchanged), Fenced (another writer was first), BrokenInvariant (stop).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.incidents.effects import FreezeEvidence
from pipeline.incidents.model import Incident, LogRow, Position
from pipeline.notifications.message import Notification
from pipeline.notifications.policy import DeliveryRow


@dataclass(frozen=True, slots=True)
class IncidentSnapshot:
    """An incident as it stands after the record at `position`, received at `received_at_us` (UTC)."""

    incident: Incident
    position: Position
    received_at_us: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One row of the delivery log and where its notification stands in `access.notifications`.

    `notification` None: the record there is none that could be read; its row settles the offset.
    """

    position: Position
    notification: Notification | None
    row: DeliveryRow


class IncidentStore(Protocol):
    """What handling keeps."""

    def log_rows(self, topic: str, partition: int) -> Iterable[LogRow]:
        """Every row of the partition's log, one a position, in the order they were consumed, all lives of the topic."""
        ...

    def append(
        self,
        rows: Sequence[LogRow],
        snapshots: Sequence[IncidentSnapshot],
        holds: Sequence[FreezeEvidence],
        writer: str,
    ) -> None:
        """Keeps holds and snapshots, then the rows: 1 to 10,000, a contiguous range of one partition, all or none.

        The rows are what commits: a token names the position of the first, so that the first writer wins; reads them
        back. Raises: Fenced: another writer has stored a row at one of these positions.
        """
        ...


class DeliveryStore(Protocol):
    """What sending keeps."""

    def settled_offsets(self, topic: str, incarnation: str, partition: int, from_offset: int) -> Sequence[int]:
        """Offsets from `from_offset` on whose notification is settled (delivered, refused, skipped), ascending."""
        ...

    def deliveries(self, channel: str, since_us: int) -> Sequence[DeliveryRow]:
        """The channel's rows made since then (UTC microseconds), in the order they were made, each once."""
        ...

    def record(self, deliveries: Sequence[Delivery]) -> None:
        """Keeps rows; the same (notification, attempt) twice is one, and settles each offset that it stands at."""
        ...


class Outbox(Protocol):
    """Writes records to one topic (`adapters.kafka.EventProducer`)."""

    def send(self, key: bytes, value: bytes) -> None:
        """Queues one record."""
        ...

    def flush(self) -> None:
        """Returns when everything is acknowledged. Raises: Away: send all of it again."""
        ...
