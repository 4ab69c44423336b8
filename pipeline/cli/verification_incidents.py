"""Folds the log of incidents again and compares it with the incidents that people are shown: part of check 12.

Place in the flow: behind `pipeline/cli/verification.py`, once the log itself was verified as a tree of its own.
Incidents are stored before the rows of the log that make them (`pipeline/response/handling.py`), so while records are
handled, or where a responder was killed between the two, an incident may be ahead of the log: it is asked for again,
and what stays so is told as incomplete. Where the log has gone on beyond it, it is a difference.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec.structs import replace

from pipeline.adapters.incident_log_reading import IncidentLogReader
from pipeline.adapters.incident_rows import incident_shown
from pipeline.events import LogPosition
from pipeline.incidents.alert_book import NO_ALERTS
from pipeline.incidents.changes import fold_row
from pipeline.incidents.model import EMPTY, KeyState, LogRow
from pipeline.ledger.verify import Findings
from pipeline.response.roles import IncidentSnapshot

_TRIES = 3
_Values = Mapping[str, Any]
_Name = tuple[str, str]
"""Id of an incident and its tenant: an id under another tenant is another row that people see."""
_LOG = "the log of incidents"


@dataclass(slots=True)
class FoldedIncidents:
    """One run. `wait`: what to do between two tries, seconds."""

    reader: IncidentLogReader
    findings: Findings
    wait: Callable[[float], None] = time.sleep
    _states: dict[tuple[str, int, str], KeyState] = field(default_factory=dict)
    _expected: dict[str, IncidentSnapshot] = field(default_factory=dict)
    _last: dict[LogPosition, int] = field(default_factory=dict)

    def compare(self, logs: Sequence[LogPosition], shown: Sequence[LogPosition]) -> None:
        """`logs`: lives that have a log; `shown`: those that incidents name. Raises: Away; StoreRefused."""
        lives, places = self.reader.lives(logs), list(dict.fromkeys((*logs, *shown)))
        ahead: dict[_Name, _Values] = {}
        for attempt in range(_TRIES):
            if attempt:
                self.wait(attempt)
            for place in lives:
                self._fold(place)
            found = {(str(one["incident_id"]), one["tenant_id"]): one for one in self.reader.incidents(places)}
            if not attempt:
                self._tell_gone(found)
            open_ones = found if not attempt else {name: found[name] for name in ahead if name in found}
            ahead = {name: one for name, one in open_ones.items() if self._is_ahead(name[0], one)}
            for name, one in open_ones.items():
                if name not in ahead:
                    self._compare(name[0], one)
            if not ahead:
                return
        for (incident_id, _), one in ahead.items():
            self._tell_ahead(incident_id, one)

    def _fold(self, place: LogPosition) -> None:
        """What was added to a life's log since."""
        for row in self.reader.rows(place, self._last.get(place, -1)):
            self._last[place] = row.position.offset
            self._take(row)

    def _take(self, row: LogRow) -> None:
        key = (row.position.topic, row.position.partition, row.incident_key)
        try:
            state = fold_row(self._states.get(key, EMPTY), row) if row.changes else self._states.get(key, EMPTY)
        except msgspec.MsgspecError:
            self._say("a row of it cannot be folded", row.position.offset)
            return
        self._states[key] = replace(state, alerts=NO_ALERTS)
        incident = state.incident(row.incident_id)
        if incident is not None:
            self._expected[row.incident_id] = IncidentSnapshot(incident, row.position, row.received_at_us)

    def _is_ahead(self, name: str, shown: _Values) -> bool:
        """Whether it says to be of a record that the log does not have yet; partition and tenant stay for good."""
        place = LogPosition(shown["topic"], shown["incarnation"], shown["partition"])
        known = self._expected.get(name)
        if known is not None and (known.position.topic, known.position.partition, known.incident.tenant_id) != (
            place.topic, place.partition, shown["tenant_id"],
        ):  # fmt: skip
            return False
        return int(shown["offset"]) > self._last.get(place, -1)

    def _tell_gone(self, found: Mapping[_Name, _Values]) -> None:
        shown = {name for name, _ in found}
        for name, snapshot in self._expected.items():
            if name not in shown:
                self._say(f"incident {name} is not shown", snapshot.position.offset)

    def _compare(self, name: str, shown: _Values) -> None:
        snapshot = self._expected.get(name)
        if snapshot is None:
            self._say(f"incident {name} is in no row of it", int(shown["offset"]))
            return
        wanted = incident_shown(snapshot)
        wrong = sorted(column for column, value in wanted.items() if shown[column] != value)
        if wrong:
            self._say(f"incident {name} is shown otherwise than it says: {', '.join(wrong)}", snapshot.position.offset)

    def _tell_ahead(self, name: str, shown: _Values) -> None:
        about = f"incident {name} is ahead of {_LOG}: the responder has not committed what it wrote"
        self.findings.add("incident_ahead", "", about, int(shown["offset"]))

    def _say(self, about: str, offset: int) -> None:
        self.findings.add("derived", "", f"incidents, by {_LOG}: {about}", offset)
