"""The list of incidents: filters, pages that go on behind the last row, several acknowledged at once.

Place in the flow: what a responder turns to all day. It shows the record of handling and each incident's one sentence;
what the alerts saw is evidence and stands on the incident's page, behind the read trail.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from urllib.parse import urlencode

from dashboards.console.ports import Handed
from dashboards.console.visit import Answer, Page, Redirect, Visit, same_site
from pipeline.audit.incidents import IncidentFilter, IncidentPlace, IncidentView
from pipeline.errors import UsageError
from pipeline.incidents.decision import NO_CHANGE, REFUSED
from pipeline.incidents.records import Acknowledge
from pipeline.incidents.words import SEVERITIES, STATES, why_not

ROWS = 50
MOST_AT_ONCE = 100
ACTIVE, ALL = "active", "all"
_ACTIVE_STATES = tuple(state for state in STATES if state != "resolved")
_PLACE = re.compile(r"(low|medium|high|critical)\.(\d{1,17})\.([0-9a-f-]{36})").fullmatch


def list_page(visit: Visit) -> Answer:
    """The list."""
    chosen = _chosen(visit)
    wanted = IncidentFilter(
        states=_states(chosen["state"]),
        severities=(chosen["severity"],) if chosen["severity"] else (),
        handler=visit.who.name if chosen["mine"] else "",
    )
    after = _place(visit.query.text("after", longest=80))
    found = list(visit.parts.incidents.page(wanted, after, ROWS + 1))
    rows = found[:ROWS]
    values = {
        "title": "incidents.title", "rows": rows, "chosen": chosen, "queued": visit.parts.desk.queued(),
        "states": (ACTIVE, *STATES, ALL), "severities": tuple(SEVERITIES), "is_first": after is None,
        "next": _next(rows[-1], chosen) if len(found) > ROWS else "", "first": _address(chosen),
    }  # fmt: skip
    return Page("incidents.html", values)


def _chosen(visit: Visit) -> dict[str, str]:
    state = visit.query.text("state", ACTIVE, longest=20)
    severity = visit.query.text("severity", longest=20)
    return {
        "state": state if state in (*STATES, ALL) else ACTIVE,
        "severity": severity if severity in SEVERITIES else "",
        "mine": "1" if visit.query.text("mine") == "1" else "",
    }


def _states(chosen: str) -> tuple[str, ...]:
    return () if chosen == ALL else _ACTIVE_STATES if chosen == ACTIVE else (chosen,)


def _place(text: str) -> IncidentPlace | None:
    """Where the page before ended; nonsense begins at the beginning."""
    found = _PLACE(text)
    return IncidentPlace(found[1], int(found[2]), found[3]) if found else None


def _address(chosen: dict[str, str], **more: str) -> str:
    query = urlencode({name: value for name, value in {**chosen, **more}.items() if value})
    return f"/incidents?{query}" if query else "/incidents"


def _next(last: IncidentView, chosen: dict[str, str]) -> str:
    return _address(chosen, after=f"{last.severity}.{last.opened_us}.{last.incident_id}")


# -- several at once


def acknowledge_several(visit: Visit) -> Answer:
    """Acknowledges what is ticked; what was done and what was not is told on the next page."""
    ids = visit.form.all("incident", MOST_AT_ONCE)
    back = same_site(visit.form.text("next"), "/incidents")
    if not ids:
        visit.note("incidents.none_ticked", kind="refused")
        return Redirect(back)
    commands = [acknowledgement(visit, existing(visit, one)) for one in dict.fromkeys(ids)]
    told(visit, visit.parts.desk.acknowledge(commands))
    return Redirect(back)


def existing(visit: Visit, incident_id: str) -> IncidentView:
    """The incident of an address or a form. Raises: UsageError: there is none."""
    found = visit.parts.incidents.incident(incident_id[:64])
    if found is None:
        raise UsageError("there is no such incident", code="no_incident")
    return found


def acknowledgement(visit: Visit, incident: IncidentView, why: str = "") -> Acknowledge:
    """The command by which the viewer takes an incident."""
    return Acknowledge(
        command_id=uuid.uuid4(), tenant_id=incident.tenant_id, incident_key=incident.incident_key,
        incident_id=incident.incident_id, by=visit.who.name, at_us=visit.now_us, why=why,
    )  # fmt: skip


def told(visit: Visit, outcomes: Sequence[Handed]) -> None:
    """Sentences of what commands led to, for the next page: one for all that went well, one for each that did not."""
    done = [one for one in outcomes if one.transition and one.transition not in (REFUSED, NO_CHANGE)]
    if done:
        visit.note("handed.done", str(len(done))) if len(outcomes) > 1 else visit.note("handed.done_one")
    for one in outcomes:
        name = one.incident_id[:8]
        if one.is_queued:
            visit.note("handed.queued", name, kind="queued")
        elif not one.transition:
            visit.note("handed.waiting", name, kind="queued")
        elif one.transition == REFUSED:
            visit.note("handed.refused", name, why_not(one.code, visit.language), kind="refused")
        elif one.transition == NO_CHANGE:
            visit.note("handed.unchanged", name, why_not(one.code, visit.language), kind="queued")
