"""What stands behind the links in messages: the page, the store it reads, the topic its one button writes to."""

from __future__ import annotations

import threading
import time

from pipeline.adapters.acknowledge_page import AcknowledgeServer, IncidentPage
from pipeline.adapters.clickhouse import connect
from pipeline.adapters.incident_reading import IncidentReader
from pipeline.audit.incidents import IncidentView
from pipeline.config import RESPONDER, Settings
from pipeline.incidents.records import encode_command
from pipeline.response.links import LinkClaim, Links
from pipeline.response.roles import Outbox

LINK_SECRET = "keys/links.key"  # noqa: S105  a place in the state folder
"""Where the secret of links lies, from the state folder."""


class Acknowledging:
    """Looks incidents up and writes commands for the page's threads, one at a time over one connection."""

    def __init__(self, reader: IncidentReader, commands: Outbox) -> None:
        self._reader, self._commands = reader, commands
        self._lock = threading.Lock()

    def look(self, incident_id: str) -> IncidentPage | None:
        """The incident as the page shows it. Raises: Away; StoreRefused."""
        with self._lock:
            found = self._reader.incident(incident_id)
        return None if found is None else _page_of(found)

    def acknowledge(self, claim: LinkClaim, incident: IncidentPage) -> None:
        """Returns when Kafka has the command. Raises: Away."""
        command = claim.command(
            incident.tenant_id, incident.incident_key, incident.times_reopened, time.time_ns() // 1000
        )
        self._commands.send(incident.incident_key.encode(), encode_command(command))
        self._commands.flush()


def _page_of(found: IncidentView) -> IncidentPage:
    return IncidentPage(
        incident_id=found.incident_id, tenant_id=found.tenant_id, incident_key=found.incident_key,
        severity=found.severity, risk=found.risk, title_en=found.explanation_en, title_zh=found.explanation_zh,
        state=found.state, times_reopened=found.reopened, acknowledged_by=found.acknowledged_by,
    )  # fmt: skip


def open_page(settings: Settings, links: Links, commands: Outbox) -> AcknowledgeServer:
    """The page's server, which does not answer before it is started."""
    behind = Acknowledging(IncidentReader(connect(settings.clickhouse, RESPONDER)), commands)
    response = settings.response
    return AcknowledgeServer(
        response.host, response.port, links=links, look=behind.look, acknowledge=behind.acknowledge
    )
