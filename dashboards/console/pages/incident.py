"""One incident: what it is, what happened to it, who was told, the breach clock, what the viewer may do with it.

Place in the flow: the page itself shows the record of handling; what its alerts saw and the accesses behind them are
evidence, a part of their own that the read trail stands before (`evidence`). Every action is one command on the
incident's key, as `accesstrail incidents` writes it.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from dashboards.console.explanation_grid import HOW, WHOSE, grid_of
from dashboards.console.pages.incidents import acknowledgement, existing, told
from dashboards.console.rendering import zone_of
from dashboards.console.visit import Answer, Evidence, Page, Redirect, Visit
from pipeline.accounts.model import Account
from pipeline.accounts.permissions import needs_second_person, require_second
from pipeline.audit.incidents import IncidentView
from pipeline.breach.fields import FIELDS, WRITTEN_BY_PEOPLE
from pipeline.breach.model import FACT_WORDS
from pipeline.errors import UsageError
from pipeline.incidents.records import Assign, Command, Comment, Contain, Link, Reopen, Resolve, Unlink, Verdict
from pipeline.incidents.words import SEVERITIES, VERDICTS
from pipeline.privacy.masks import mask_text

LONGEST_WHY = 2_000
MOST_ALERTS, MOST_EVENTS = 200, 200
HANDLES = "acknowledge_incident"
_WRITTEN = tuple((name, one) for name, one in FIELDS.items() if name in WRITTEN_BY_PEOPLE)


def incident_page(visit: Visit) -> Answer:
    """The page."""
    incident = existing(visit, visit.path["incident_id"])
    parts = visit.parts
    can_assign = visit.may("assign_incident") and incident.state != "resolved"
    values = {
        "title": "incident.title", "incident": incident, "timeline": parts.incidents.timeline(incident),
        "deliveries": parts.incidents.deliveries(incident), "is_queued": incident.incident_id in parts.desk.queued(),
        "breach": parts.incidents.breach(incident) if incident.breach_since_us else None,
        "handlers": parts.accounts.active_names(HANDLES) if can_assign else (),
        "facts": tuple(FACT_WORDS.items()), "written": _WRITTEN,
        "verdicts": tuple(VERDICTS), "severities": tuple(SEVERITIES),
        "two_people": needs_second_person("contain_actor", parts.two_people),
        "now_us": visit.now_us, "until": _local(visit, visit.now_us + 8 * 3_600_000_000),
        "now_local": _local(visit, visit.now_us),
    }  # fmt: skip
    return Page("incident.html", values)


def evidence(visit: Visit) -> Answer:
    """What its alerts saw: the grid, the alerts, the accesses behind them."""
    incident = existing(visit, visit.path["incident_id"])
    alerts = visit.parts.incidents.alerts(incident, MOST_ALERTS)
    events = visit.parts.incidents.events(alerts, MOST_EVENTS)
    values = {
        "title": "incident.evidence", "incident": incident, "alerts": alerts, "events": events,
        "grid": grid_of(alerts), "whose": WHOSE, "how": HOW, "most": MOST_ALERTS,
    }  # fmt: skip
    template = "incident_evidence.html" if visit.is_fragment else "incident_evidence_page.html"
    return Evidence(
        page=Page(template, values), look="incident", rows=len(alerts) + len(events), about=incident.incident_id
    )


# -- actions


def acknowledge(visit: Visit) -> Answer:
    """Takes it; kept and sent later where Kafka is away."""
    incident = existing(visit, visit.path["incident_id"])
    told(visit, visit.parts.desk.acknowledge([acknowledgement(visit, incident, why_of(visit, required=False))]))
    return back_to(incident)


def assign(visit: Visit) -> Answer:
    """Gives it to an account that may handle incidents."""
    assignee = visit.form.text("assignee", longest=64)
    if assignee not in visit.parts.accounts.active_names(HANDLES):
        raise UsageError("there is no such account that may handle incidents", code="no_handler")
    return _handed(visit, Assign, assignee=assignee, why=why_of(visit, required=False))


def comment(visit: Visit) -> Answer:
    """Writes a remark, or grades it anew."""
    severity = visit.form.text("severity", longest=20)
    if severity and severity not in SEVERITIES:
        raise UsageError("there is no such severity", code="bad_field")
    return _handed(visit, Comment, why=why_of(visit), severity=severity or None)


def resolve(visit: Visit) -> Answer:
    """Closes it with a verdict."""
    verdict = visit.form.text("verdict", longest=20)
    if verdict not in VERDICTS:
        raise UsageError("choose a verdict", code="bad_field")
    kept: Verdict = verdict  # type: ignore[assignment]  # checked just now
    return _handed(visit, Resolve, verdict=kept, why=why_of(visit, required=False))


def reopen(visit: Visit) -> Answer:
    """Opens it again."""
    return _handed(visit, Reopen, why=why_of(visit))


def contain(visit: Visit) -> Answer:
    """Asks for its account to be stopped until a time; a second person where the deployment wants one."""
    why = why_of(visit)
    if needs_second_person("contain_actor", visit.parts.two_people):
        why = _masked(f"{why} (with {second_person(visit, 'contain_actor').name})", required=True)
    expires_us = moment_of(visit, "until")
    if expires_us <= visit.now_us:
        raise UsageError("the end lies in the past", code="bad_field")
    return _handed(visit, Contain, why=why, expires_us=expires_us)


def link(visit: Visit) -> Answer:
    """Says that it belongs with another one."""
    return _about_another(visit, Link)


def unlink(visit: Visit) -> Answer:
    """Takes a link away, or lets a merged one stand alone again."""
    return _about_another(visit, Unlink)


def _about_another(visit: Visit, kind: type[Link | Unlink]) -> Redirect:
    other = existing(visit, visit.form.text("other", longest=64))
    return _handed(
        visit, kind, why=why_of(visit, required=False), other_key=other.incident_key,
        other_incident_id=other.incident_id,
    )  # fmt: skip


def _handed(visit: Visit, kind: type[Command], **fields: Any) -> Redirect:  # noqa: ANN401
    incident = existing(visit, visit.path["incident_id"])
    told(visit, visit.parts.desk.hand_in([command_for(visit, incident, kind, **fields)]))
    return back_to(incident)


# -- what the steps of a breach share with these


def command_for(visit: Visit, incident: IncidentView, kind: type[Command], **fields: Any) -> Command:  # noqa: ANN401
    """A command of the viewer on the incident's key."""
    return kind(
        command_id=uuid.uuid4(), tenant_id=incident.tenant_id, incident_key=incident.incident_key,
        incident_id=incident.incident_id, by=visit.who.name, at_us=visit.now_us, **fields,
    )  # fmt: skip


def second_person(visit: Visit, action: str) -> Account:
    """Whoever stands beside the viewer and types their own password and code. Raises: Forbidden."""
    name = visit.form.text("second_name", longest=64)
    code = visit.form.text("second_code", longest=64).replace(" ", "") or None
    second = visit.parts.accounts.login(name, visit.form.secret("second_password"), code, visit.now_us)
    require_second(action, visit.who.name, second.name, second.roles)
    return second


def back_to(incident: IncidentView) -> Redirect:
    """To the incident's page."""
    return Redirect(f"/incidents/{incident.incident_id}")


def why_of(visit: Visit, *, required: bool = True) -> str:
    """The form's reason, personal data in it masked. Raises: UsageError: missing or too long."""
    return _masked(visit.form.text("why"), required=required)


def _masked(text: str, *, required: bool) -> str:
    """The reason, personal data in it masked. Raises: UsageError: missing or too long."""
    why = mask_text(" ".join(text.split()))
    if len(why) > LONGEST_WHY or (required and not why):
        raise UsageError(f"say why, in 1 to {LONGEST_WHY:,} characters", code="no_reason")
    return why


def moment_of(visit: Visit, name: str) -> int:
    """A time of a form, in the viewer's zone, UTC µs. Raises: UsageError: it is none."""
    try:
        at = datetime.fromisoformat(visit.form.text(name, longest=40))
        return round((at if at.tzinfo else at.replace(tzinfo=zone_of(visit.zone))).timestamp() * 1e6)
    except (ValueError, OverflowError):
        raise UsageError("give a date and a time", code="bad_field") from None


def _local(visit: Visit, at_us: int) -> str:
    """A time as a form's field has it, in the viewer's zone."""
    return datetime.fromtimestamp(at_us / 1e6, zone_of(visit.zone)).strftime("%Y-%m-%dT%H:%M")
