"""What stands behind the page of a link under test: one incident, and whoever is told of a press of its button."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.adapters.acknowledge_page import IncidentPage
from pipeline.errors import Away, StoreRefused
from pipeline.notifications.secret import Secret
from pipeline.response.links import LinkClaim, Links
from tests.fake_channels import START_US

INCIDENT = IncidentPage(
    incident_id="7d1f5b0e-0f0c-5b6a-8d55-9a3e4f1c2b90",
    tenant_id="default",
    incident_key="default:3f9c2a77",
    severity="high",
    risk=8740,
    title_en='Read 4,000 <customers> & "friends"',
    title_zh="一夜读取 4,000 名客户",
    state="open",
    times_reopened=0,
    acknowledged_by="",
)
LINKS = Links(Secret("s" * 64), "https://respond.company.test")


@dataclass
class Incidents:
    """What stands behind the page."""

    found: IncidentPage | None = INCIDENT
    acknowledged: list[tuple[LinkClaim, IncidentPage]] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)
    away: set[str] = field(default_factory=set)
    now_us: int = START_US

    def look(self, incident_id: str) -> IncidentPage | None:
        self.looked.append(incident_id)
        if "look" in self.away:
            raise StoreRefused("no right")
        return self.found if self.found and self.found.incident_id == incident_id else None

    def acknowledge(self, claim: LinkClaim, incident: IncidentPage) -> None:
        if "acknowledge" in self.away:
            raise Away("the broker is away")
        self.acknowledged.append((claim, incident))


def path(channel: str = "chat", at_us: int = START_US) -> str:
    return LINKS.link(INCIDENT.incident_id, channel, at_us).removeprefix("https://respond.company.test")
