"""Everything the configuration says of incidents and messages, read and checked together at start.

Place in the flow: `accesstrail check` and every command that handles incidents or sends messages. `config.py` keeps the
tables `[incidents]`, `[channels]` and `[operator]` as they are, since channels and detectors are known above it only.
Every fault of every table is listed at once, each channel's with its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from detectors.base import MODEL_DETECTOR
from detectors.rules import all_rules
from detectors.scheduled import SCHEDULED
from pipeline.accounts.permissions import ACTIONS, IF_CONFIGURED
from pipeline.breach.model import OPERATORS, OperatorProfile
from pipeline.config import ResponseSettings
from pipeline.directory.calendar_cn import WorkingCalendar
from pipeline.errors import ConfigError
from pipeline.incidents.escalation_config import IncidentSettings, incident_settings
from pipeline.notifications.config import ChannelSettings, read_channels
from pipeline.settings_table import SettingsTable

_HOOK = "webhook"
_TWO_PEOPLE = tuple(name for name, one in ACTIONS.items() if one.second == IF_CONFIGURED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """How incidents are handled. `channels`: who can be told, by name; `containment`: who stops an account, or None.

    `link_base`: where links lead, "" where messages carry none.
    """

    incidents: IncidentSettings
    channels: Mapping[str, ChannelSettings]
    containment: ChannelSettings | None
    operator: OperatorProfile
    link_base: str


@cache
def detector_names() -> frozenset[str]:
    """Every detector that alerts can come from."""
    return frozenset((MODEL_DETECTOR, *(one.name for one in all_rules()), *(one.name for one in SCHEDULED)))


def read_response(settings: ResponseSettings, folder: Path) -> Response:
    """The tables, checked; `folder` anchors relative paths. Raises: ConfigError: with every fault of all of them."""
    channels, faults = read_channels(settings.channels, folder)
    named = {name for name in settings.channels if name != settings.containment}
    incidents = None
    try:
        incidents = incident_settings(settings.incidents, named, detector_names(), WorkingCalendar.of_package())
    except ConfigError as exc:
        faults += exc.faults
    containment = channels.get(settings.containment)
    faults += _containment_faults(settings, containment)
    operator = _operator(SettingsTable(settings.operator, "operator", faults))
    if settings.link_base and not settings.link_base.startswith(("https://", "http://127.0.0.1", "http://[::1]")):
        faults.append("[response] link_base must begin with https://: whoever reads the link can acknowledge")
    faults += [
        f"[response] two_people: {name!r} is no action that can be asked for twice: {', '.join(_TWO_PEOPLE)}"
        for name in settings.two_people
        if name not in _TWO_PEOPLE
    ]
    if faults or incidents is None:
        raise ConfigError(faults)
    told = {name: one for name, one in channels.items() if name != settings.containment}
    return Response(
        incidents=incidents, channels=told, containment=containment, operator=operator, link_base=settings.link_base
    )


def _containment_faults(settings: ResponseSettings, found: ChannelSettings | None) -> list[str]:
    name = settings.containment
    if not name:
        return []
    if name not in settings.channels:
        return [f"[response] containment: there is no channel {name!r}"]
    if found is not None and found.kind != _HOOK:
        return [f"[response] containment: channel {name!r} must be of kind {_HOOK}"]
    return []


def _operator(table: SettingsTable) -> OperatorProfile:
    usual = OperatorProfile()
    profile = OperatorProfile(
        operator=table.choice("kind", ("other", *(one for one in OPERATORS if one != "other"))),
        jurisdictions=frozenset(table.texts("jurisdictions")) or usual.jurisdictions,
        sectors=frozenset(table.texts("sectors")),
        without_delay_hours=table.whole("without_delay_hours", usual.without_delay_hours, 1, 720),
    )
    table.unknown()
    return profile
