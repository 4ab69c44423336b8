"""A suspected breach on its incident's page: suspicion, counts, what was told, what was decided not to tell, files.

Place in the flow: each step is one command on the incident's key with the present count before it where the log knows
less, as `accesstrail incidents breach` writes them. A draft shows counts and what people wrote, no access; the export
holds the alerts and is evidence, told of before it leaves. Nothing is sent to anybody from here.
"""

from __future__ import annotations

import hashlib

from dashboards.console.pages.incident import back_to, command_for, moment_of, second_person, why_of
from dashboards.console.pages.incidents import existing, told
from dashboards.console.ports import BreachStanding
from dashboards.console.visit import Answer, Download, Evidence, Visit
from dashboards.console.words import LANGUAGES
from pipeline.audit.incidents import IncidentView
from pipeline.breach.clock import Duty
from pipeline.breach.drafts import checked_texts, draft
from pipeline.breach.fields import WRITTEN_BY_PEOPLE
from pipeline.breach.model import DONE, FACTS, WAIVED, Text
from pipeline.breach.record import COUNTED, HANDLING_ENDED, KNOWN_AT, PERIOD, STATED, TEXT, Detail, text_detail
from pipeline.errors import Away, UsageError
from pipeline.incidents.decision import REFUSED
from pipeline.incidents.records import BreachStep, Command, SuspectBreach

_LONGEST_DUTY = 64


def suspect(visit: Visit) -> Answer:
    """Says that a breach is suspected, known since a time, and writes the first count."""
    known_at_us = _known_at_us(visit)
    incident = existing(visit, visit.path["incident_id"])
    suspicion = command_for(visit, incident, SuspectBreach, why=why_of(visit), known_at_us=known_at_us)
    done = visit.parts.desk.hand_in([suspicion])
    told(visit, done)
    if done[0].transition not in ("", REFUSED):
        _count_first(visit, incident)
    return back_to(incident)


def _count_first(visit: Visit, incident: IncidentView) -> None:
    try:
        standing = visit.parts.incidents.breach(incident)
        counts = _count(visit, incident, standing) if standing is not None else []
        if counts:
            visit.parts.desk.hand_in(counts)
    except Away:
        # The suspicion is written, and a page that says otherwise would be wrong: the next step brings the count along.
        visit.note("breach.uncounted", kind="queued")


def count_now(visit: Visit) -> Answer:
    """Writes the present count, also where the log knows as much."""
    incident, standing = _suspected(visit)
    step = command_for(visit, incident, BreachStep, why=why_of(visit), step=COUNTED, detail=dict(standing.count))
    told(visit, visit.parts.desk.hand_in([step]))
    return back_to(incident)


def tell_done(visit: Visit) -> Answer:
    """A recipient was told: why, or where the receipt is."""
    incident, standing = _suspected(visit)
    duty = _duty(standing, visit.form.text("duty", longest=_LONGEST_DUTY))
    return _stepped(visit, incident, standing, DONE, why_of(visit), {"law": duty.law.law_id})


def decide_not(visit: Visit) -> Answer:
    """A recipient need not be told: two people, with a reason."""
    incident, standing = _suspected(visit)
    duty, why = _duty(standing, visit.form.text("duty", longest=_LONGEST_DUTY)), why_of(visit)
    second = second_person(visit, "waive_breach_duty")
    return _stepped(visit, incident, standing, WAIVED, why, {"law": duty.law.law_id, "second": second.name})


def state_fact(visit: Visit) -> Answer:
    """What only a person can state; once stated it stays stated."""
    fact = visit.form.text("fact", longest=64)
    if fact not in FACTS:
        raise UsageError("there is nothing of this name to state", code="bad_field")
    incident, standing = _suspected(visit)
    return _stepped(visit, incident, standing, STATED, why_of(visit), {"fact": fact})


def correct_known_at(visit: Visit) -> Answer:
    """Another time of discovery; the log keeps both."""
    known_at_us = _known_at_us(visit)
    incident, standing = _suspected(visit)
    return _stepped(visit, incident, standing, KNOWN_AT, why_of(visit), {"known_at_us": known_at_us})


def name_period(visit: Visit) -> Answer:
    """Accesses that are counted from now on, instead of those around the alerts."""
    from_us, to_us = moment_of(visit, "from"), moment_of(visit, "to")
    if from_us > to_us:
        raise UsageError("the period ends before it begins", code="bad_field")
    incident, standing = _suspected(visit)
    return _stepped(visit, incident, standing, PERIOD, why_of(visit), {"from_us": from_us, "to_us": to_us})


def write_text(visit: Visit) -> Answer:
    """A text of the notices, in one language or both, instead of the one before."""
    name = visit.form.text("field", longest=64)
    text = Text(*(visit.form.text(language).replace("\r\n", "\n") for language in LANGUAGES))
    if name not in WRITTEN_BY_PEOPLE or not (text.en or text.zh):
        raise UsageError("choose a text of the notices and write it", code="bad_field")
    incident, standing = _suspected(visit)
    detail = text_detail(name, checked_texts({name: text})[name])
    return _stepped(visit, incident, standing, TEXT, why_of(visit), detail)


def end_handling(visit: Visit) -> Answer:
    """Handling has ended: closing reports count from here."""
    incident, standing = _suspected(visit)
    return _stepped(visit, incident, standing, HANDLING_ENDED, why_of(visit), {})


# -- files


def draft_file(visit: Visit) -> Answer:
    """The draft of one notice in one language, Markdown."""
    incident, standing = _suspected(visit)
    duty = _duty(standing, visit.path["duty"])
    language = visit.query.text("language", visit.language, longest=8)
    if language not in LANGUAGES:
        raise UsageError("a draft is in en or zh", code="bad_field")
    text = draft(duty, standing.clock, standing.breach, language)
    name = f"{incident.incident_id[:8]}-{duty.law.law_id}.{language}.md"
    return Download(text.encode(), name, "text/markdown; charset=utf-8")


def export(visit: Visit) -> Answer:
    """Everything of one incident as a file, whether a breach is suspected or not; what it is for is recorded."""
    incident = existing(visit, visit.path["incident_id"])
    why = why_of(visit)
    found = visit.parts.incidents.export(incident, visit.who.name)
    return Evidence(
        page=Download(found.body, f"{incident.incident_id[:8]}-timeline.json", "application/json"),
        look="incident_export", rows=found.log_rows + found.alerts, about=incident.incident_id, reason=why,
        case_ref=visit.kept.ticket, fingerprint=hashlib.sha256(found.body).hexdigest(),
    )  # fmt: skip


# -- what they share


def _known_at_us(visit: Visit) -> int:
    """The time of discovery. Raises: UsageError: it is none, or lies ahead."""
    known_at_us = moment_of(visit, "known_at")
    if known_at_us > visit.now_us:
        raise UsageError("the time of discovery lies in the future", code="bad_field")
    return known_at_us


def _suspected(visit: Visit) -> tuple[IncidentView, BreachStanding]:
    """The incident and its clock, counted now. Raises: UsageError: no breach is suspected there."""
    incident = existing(visit, visit.path["incident_id"])
    standing = visit.parts.incidents.breach(incident)
    if standing is None:
        raise UsageError("no breach is suspected in this incident", code="no_breach")
    return incident, standing


def _duty(standing: BreachStanding, name: str) -> Duty:
    """A duty of this operator's, also one that does not apply by counts. Raises: UsageError: there is none."""
    found = next((one for one in standing.clock.duties if one.law.law_id == name), None)
    if found is None:
        raise UsageError("there is no such duty in this breach clock", code="no_duty")
    return found


def _stepped(
    visit: Visit, incident: IncidentView, standing: BreachStanding, step: str, why: str, detail: Detail
) -> Answer:
    """Count and step in one go, in this order: one key's commands are handled one after the other."""
    counts = _count(visit, incident, standing)
    written = command_for(visit, incident, BreachStep, why=why, step=step, detail=dict(detail))
    outcomes = visit.parts.desk.hand_in([*counts, written])
    told(visit, outcomes[len(counts) :])
    return back_to(incident)


def _count(visit: Visit, incident: IncidentView, standing: BreachStanding) -> list[Command]:
    """The present count as a command, where the log knows less."""
    if not standing.has_grown:
        return []
    return [command_for(visit, incident, BreachStep, step=COUNTED, detail=dict(standing.count))]
