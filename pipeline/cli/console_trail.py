"""The console's read trail: a look as the console tells it becomes an access event that Kafka has acknowledged.

Place in the flow: built by `console.py`, shared by all threads.
"""

from __future__ import annotations

import uuid
from dataclasses import fields

from dashboards.console import ports
from pipeline.adapters.read_announcements import ReadAnnouncer, open_read_announcer
from pipeline.audit.reads import LOOKS, Read
from pipeline.config import Settings

_OTHER = "page"
_FIELDS = tuple(one.name for one in fields(ports.Read) if one.name != "look")


class ConsoleTrail:
    """Role `dashboards.console.ports.ReadTrail`."""

    def __init__(self, announcer: ReadAnnouncer) -> None:
        self._announcer = announcer

    def tell(self, read: ports.Read) -> None:
        """Returns when Kafka has acknowledged the look. Raises: Away: nothing may be shown."""
        look = read.look if read.look in LOOKS else _OTHER
        given = {name: getattr(read, name) for name in _FIELDS}
        self._announcer.tell(Read(look=look, read_id=str(uuid.uuid4()), **given))


def open_console_trail(settings: Settings) -> ConsoleTrail:
    """The trail into the topic of access events, with a producer of its own."""
    return ConsoleTrail(open_read_announcer(settings.kafka.bootstrap_servers, settings.kafka.events_topic))
