"""Which findings of scheduled detectors exceptions keep from alerting.

Place in the flow: between a finding and its alert, live (`runner.py`) and offline (`simulated.py`). An exception covers
a finding when it names the detector, all its conditions hold for what the detector keeps its state of, the risk is not
above its bound, and it is valid at the end of the window: whoever asks, and whenever, gets the same answer. The peer
group of an account is the directory's; of an account that it does not list nothing is known, so nothing is held back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from detectors.exceptions import AlertException
from detectors.scheduled.base import Finding, ScheduledDetector
from pipeline.directory import DirectorySnapshot


class HeldBack:
    """The exceptions of one version set, asked about findings."""

    def __init__(self, exceptions: Sequence[AlertException], directory: DirectorySnapshot) -> None:
        self._exceptions, self._directory = exceptions, directory

    def by(self, finding: Finding, detector: ScheduledDetector) -> tuple[str, ...]:
        """Ids of the exceptions that cover a finding; none: it may raise its alert."""
        return tuple(one.exception_id for one in self._exceptions if self._covers(one, finding, detector))

    def _covers(self, one: AlertException, finding: Finding, detector: ScheduledDetector) -> bool:
        if detector.name not in one.detectors or not one.holds_at(finding.window_end_us):
            return False
        if one.up_to is not None and finding.risk > one.up_to:
            return False
        return all(self._holds(name, value, finding, detector.state_key) for name, value in one.scope.items())

    def _holds(self, name: str, value: str, finding: Finding, state_key: str) -> bool:
        key = finding.key.casefold()
        if name == "peer_group":
            return state_key == "actor" and self._peer_groups.get(key) == value
        if name == "actor":
            # Of a credential the account is that of the event which contributed most.
            account = {"actor": key, "credential": finding.contributor.actor}.get(state_key)
            return account == value
        if state_key == "source":
            # The key is "system/instance", and either may hold a slash.
            return {
                "source_system": key.startswith(f"{value}/"),
                "source_instance": key.endswith(f"/{value}"),
            }.get(name, False)
        return name == state_key and key == value

    @cached_property
    def _peer_groups(self) -> Mapping[str, str]:
        """Token in hexadecimal → department/role, as exceptions hold them."""
        return {row.token.hex(): f"{row.department}/{row.role}".casefold() for row in self._directory.actors}
