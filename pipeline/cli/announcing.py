"""Tells `access.events` of a look, or of a change to what is kept, before the command goes on (promise P6).

Place in the flow: between what a command is about to show or do and doing it. Each call has a connection of its own: a
command tells one thing and ends. A look that is refused is told too, as far as Kafka answers: it is refused either way.
"""

from __future__ import annotations

import logging
from contextlib import closing

from pipeline.adapters.kafka import EventProducer
from pipeline.adapters.read_announcements import open_read_announcer
from pipeline.audit.reads import Read
from pipeline.audit.rights_events import RightsEvent, rights_event
from pipeline.cli.look_quota import open_quota
from pipeline.config import KafkaSettings, Settings
from pipeline.errors import Away, ConfigError, Forbidden

_log = logging.getLogger(__name__)


def announce(kafka: KafkaSettings, read: Read) -> None:
    """Returns when Kafka has acknowledged the look. Raises: Away: it has not, so nothing may be shown or done."""
    with closing(open_read_announcer(kafka.bootstrap_servers, kafka.events_topic)) as announcer:
        announcer.tell(read)


def announce_look(settings: Settings, read: Read) -> None:
    """The same of what is about to be shown, where the account's day allows so many rows.

    Raises: Away; StoreRefused; Forbidden `look_quota`: it does not, so nothing may be shown.
    """
    with open_quota(settings) as quota:
        try:
            quota.admit(read.account, read.at_us, read.rows)
        except Forbidden:
            announce_refused(settings.kafka, read)
            raise
        announce(settings.kafka, read)
        quota.told(read)


def announce_refused(kafka: KafkaSettings, read: Read) -> None:
    """Tells that somebody wanted to look and was refused; nothing is raised, since the refusal stands by itself."""
    try:
        announce(kafka, read.denied())
    except (Away, ConfigError) as exc:
        _log.warning("a refused look could not be recorded: code=%s", exc.code)


def announce_right(kafka: KafkaSettings, event: RightsEvent) -> None:
    """The same for a legal hold or a run of retention. Raises: Away: it does not count."""
    with closing(EventProducer(kafka.bootstrap_servers, kafka.events_topic)) as producer:
        producer.send(event.key, rights_event(event))
        producer.flush()
