"""Incidents as the console asks for them and acts on them: the readers of `incident_desk.py`, commands through Kafka.

Place in the flow: built by `console.py`, shared by all threads. A command is decided by whoever handles incidents; its
outcome is waited for briefly. An acknowledgement that Kafka cannot take is kept in the outbox.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from dashboards.console.ports import BreachStanding, Handed
from pipeline.adapters.command_outbox import CommandOutbox
from pipeline.adapters.incident_reading import IncidentReader
from pipeline.audit.incidents import (
    AlertView,
    CommandOutcome,
    EvidenceRow,
    IncidentExport,
    IncidentFilter,
    IncidentPlace,
    IncidentView,
    TimelineEntry,
)
from pipeline.breach.record import counted_detail
from pipeline.cli.incident_clock import log_knows_less, view_of
from pipeline.cli.incident_desk import Desk, outcomes_of
from pipeline.cli.incident_export import incident_export
from pipeline.cli.kept_answers import KeptAnswers
from pipeline.errors import Away
from pipeline.incidents.records import Acknowledge, Command, encode_command
from pipeline.notifications.policy import DeliveryRow
from pipeline.ports import EventSender

WAIT_S = 4.0
_EVENTS_KEPT_S, _MOST_EVENTS_KEPT = 60.0, 50
_POLL_S = 0.15
_REFUSED_FOR_S = 3.0


class ConsoleIncidents:
    """`dashboards.console.ports.IncidentReading`.

    Accesses that raised alerts are kept for a while: what is stored of an access never changes, and to find it is the
    dearest question of an incident's page. Everything else is asked anew, so that nobody sees an older state.
    """

    def __init__(self, reader: IncidentReader, clock_desk: Desk) -> None:
        self._reader, self._clock_desk = reader, clock_desk
        self._events: KeptAnswers[Sequence[EvidenceRow]] = KeptAnswers(_EVENTS_KEPT_S, _MOST_EVENTS_KEPT)

    def page(self, wanted: IncidentFilter, after: IncidentPlace | None, limit: int) -> Sequence[IncidentView]:
        """The gravest first, from behind `after` on."""
        return self._reader.page(wanted, after, limit)

    def incident(self, incident_id: str) -> IncidentView | None:
        """The incident of an id or its beginning."""
        return self._reader.incident(incident_id)

    def timeline(self, incident: IncidentView) -> Sequence[TimelineEntry]:
        """What happened to it."""
        return self._reader.timeline(incident.incident_key, incident.incident_id)

    def alerts(self, incident: IncidentView, limit: int) -> Sequence[AlertView]:
        """Its alerts."""
        return self._reader.alerts_of(incident, limit)

    def events(self, alerts: Sequence[AlertView], limit: int) -> Sequence[EvidenceRow]:
        """The accesses that raised them."""
        places = tuple(sorted({(one.topic, one.incarnation, one.partition, one.offset) for one in alerts if one.topic}))
        return self._events.answer(
            (places, limit),
            lambda: self._reader.events_of(alerts, limit),
            keeps=lambda found: len(found) >= min(len(places), limit),  # one that lacks a row may be there in a moment
        )

    def deliveries(self, incident: IncidentView) -> Sequence[DeliveryRow]:
        """Attempts to tell people of it."""
        return self._reader.deliveries_of(incident.incident_id)

    def breach(self, incident: IncidentView) -> BreachStanding | None:
        """The breach clock at this moment."""
        view = view_of(self._clock_desk, incident)
        if view.known is None:
            return None
        return BreachStanding(
            breach=view.breach, clock=view.clock, unlisted=view.counts.unlisted,
            count=counted_detail(view.counts.counted), has_grown=log_knows_less(view),
        )  # fmt: skip

    def export(self, incident: IncidentView, by: str) -> IncidentExport:
        """Everything of it, as `accesstrail incidents breach export` writes it."""
        return incident_export(self._clock_desk, incident, by)


class SharedSender:
    """One producer for all threads that refuses at once for a moment after Kafka did not answer.

    Why: finding out that a broker is away takes ten seconds, and each viewer's thread would wait for that.
    """

    def __init__(
        self, sender: EventSender, *, failed: Callable[[], object], worked: Callable[[], object],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._sender, self._failed, self._worked, self._monotonic = sender, failed, worked, monotonic
        self._refused_until_s = 0.0

    def send(self, key: bytes, value: bytes) -> None:
        """Takes one record. Raises: Away."""
        if self._monotonic() < self._refused_until_s:
            raise Away("Kafka does not answer: check that it runs, and bootstrap_servers", code="kafka_away")
        try:
            self._sender.send(key, value)
        except Away:
            self._notice()
            raise

    def flush(self) -> None:
        """Returns when what this thread has sent is acknowledged. Raises: Away."""
        try:
            self._sender.flush()
        except Away:
            self._notice()
            raise
        self._worked()

    def _notice(self) -> None:
        self._refused_until_s = self._monotonic() + _REFUSED_FOR_S
        self._failed()


class ConsoleDesk:
    """`dashboards.console.ports.IncidentDesk`. `wait_s`: how long outcomes are waited for."""

    def __init__(
        self, reader: IncidentReader, sender: EventSender, outbox: CommandOutbox, *, wait_s: float = WAIT_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self._reader, self._sender, self._outbox = reader, sender, outbox
        self._wait_s, self._sleep = wait_s, sleep

    def hand_in(self, commands: Sequence[Command]) -> Sequence[Handed]:
        """Writes commands and waits for what they lead to. Raises: Away: none or some are written."""
        self._write(commands)
        return self._awaited(commands)

    def acknowledge(self, commands: Sequence[Acknowledge]) -> Sequence[Handed]:
        """The same; where Kafka is away they are kept and sent when it is back."""
        try:
            self._write(commands)
        except Away:
            for one in commands:
                self._outbox.keep(one)
            return [Handed(incident_id=one.incident_id, is_queued=True) for one in commands]
        return self._awaited(commands)

    def queued(self) -> frozenset[str]:
        """Incidents whose acknowledgement waits for Kafka."""
        return self._outbox.incidents()

    def _write(self, commands: Sequence[Command]) -> None:
        for one in commands:
            self._sender.send(one.incident_key.encode(), encode_command(one))
        self._sender.flush()

    def _awaited(self, commands: Sequence[Command]) -> list[Handed]:
        names = [str(one.command_id) for one in commands]
        found = outcomes_of(self._reader, names, self._wait_s, self._sleep, _POLL_S)
        return [_handed(one.incident_id, found.get(name)) for name, one in zip(names, commands, strict=True)]


def _handed(incident_id: str, outcome: CommandOutcome | None) -> Handed:
    if outcome is None:
        return Handed(incident_id=incident_id)
    return Handed(
        incident_id=outcome.incident_id or incident_id, transition=outcome.transition, code=outcome.code,
        state=outcome.state,
    )  # fmt: skip
