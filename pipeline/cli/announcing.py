"""Tells `access.events` of a look, or of a change to what is kept, before the command goes on (promise P6).

Place in the flow: between what a command is about to show or do and doing it. Each call has a connection of its own: a
command tells one thing and ends.
"""

from __future__ import annotations

from contextlib import closing

from pipeline.adapters.kafka import EventProducer
from pipeline.adapters.read_announcements import open_read_announcer
from pipeline.audit.reads import Read
from pipeline.audit.rights_events import RightsEvent, rights_event
from pipeline.config import KafkaSettings


def announce(kafka: KafkaSettings, read: Read) -> None:
    """Returns when Kafka has acknowledged the look. Raises: Away: it has not, so nothing may be shown or done."""
    with closing(open_read_announcer(kafka.bootstrap_servers, kafka.events_topic)) as announcer:
        announcer.tell(read)


def announce_right(kafka: KafkaSettings, event: RightsEvent) -> None:
    """The same for a legal hold or a run of retention. Raises: Away: it does not count."""
    with closing(EventProducer(kafka.bootstrap_servers, kafka.events_topic)) as producer:
        producer.send(event.key, rights_event(event))
        producer.flush()
