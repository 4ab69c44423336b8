"""The report to a data subject as a page and as a file: what `accesstrail subject-report` makes, with a reason.

Place in the flow: asked for on the page of a data subject or by itself. Nothing is shown before Kafka has the access
event with the number of accesses; where the evidence and the table by subject differ, nothing is handed out. A report
that names accounts takes a second person at the same keyboard, and is a file.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from dashboards.console.errors import refusal
from dashboards.console.pages.incident import second_person
from dashboards.console.pages.search import SPANS, subject_ids
from dashboards.console.pages.subject import AskedSubject, asked_subject, chosen
from dashboards.console.rendering import zone_of
from dashboards.console.visit import Answer, Download, Evidence, Page, Visit
from dashboards.console.words import TAGS, Language
from pipeline.audit.subject_report import SubjectReport
from pipeline.errors import Forbidden, UsageError

PAGE, MARKDOWN, JSON = "page", "md", "json"
MEDIA = {MARKDOWN: "text/markdown; charset=utf-8", JSON: "application/json"}
SHOWN = 200
"""Accesses that the page lists; the file holds all."""
DEFAULT_SPAN = SPANS[-1]
LONGEST_REASON, LONGEST_CASE = 2_000, 128
_TELLS = frozenset(("report_large", "report_differs"))
"""Refusals that say something of somebody's accesses."""


class _Asked(NamedTuple):
    """What the form asks for besides whose report and of when."""

    form: str
    language: Language
    reason: str
    case: str


def form_page(visit: Visit, refused: str = "") -> Page:
    """The form alone; a name that was typed never comes back in it, a token may."""
    return _form(visit, "subject_report_form.html", refused)


def accounts_page(visit: Visit, refused: str = "") -> Page:
    """The form of a report that names accounts, with the second person's fields."""
    return _form(visit, "subject_report_accounts.html", refused)


def _form(visit: Visit, template: str, refused: str) -> Page:
    values = {
        "title": "report.title", "refused": refused, "spans": SPANS,
        "chosen": chosen(visit, DEFAULT_SPAN, again=bool(refused)),
        "language": visit.language, "ticket": visit.kept.ticket, "formats": tuple(MEDIA),
    }  # fmt: skip
    return Page(template, values, 400 if refused else 200)


def report(visit: Visit) -> Answer:
    """The report, as a page or a file."""
    try:
        whose, asked = asked_subject(visit), _asked(visit)
    except UsageError as exc:
        return form_page(visit, refused=refusal(exc, visit.language))
    try:
        found = _made(visit, whose, asked, with_actors=False)
    except UsageError as exc:
        return _refused(visit, whose, asked, form_page(visit, refused=refusal(exc, visit.language)), exc)
    body = _body(found, asked)
    page = _shown(visit, whose, asked, found) if asked.form == PAGE else _file(visit, asked.form, body)
    return _evidence(visit, whose, asked, len(found.accesses), page, body)


def with_accounts(visit: Visit) -> Answer:
    """The report with the tokens of accounts, as a file: a second person types a password after all else is checked."""
    try:
        whose, asked = asked_subject(visit), _asked(visit)
        if asked.form == PAGE:
            raise UsageError("such a report is a file: choose one", code="bad_field")
        second = second_person(visit, "report_actors")
    except Forbidden:
        raise
    except UsageError as exc:
        return accounts_page(visit, refused=refusal(exc, visit.language))
    try:
        found = _made(visit, whose, asked, with_actors=True)
    except UsageError as exc:
        return _refused(visit, whose, asked, accounts_page(visit, refused=refusal(exc, visit.language)), exc)
    body = _body(found, asked)
    told = _evidence(visit, whose, asked, len(found.accesses), _file(visit, asked.form, body), body)
    return replace(told, approval_ref=second.name)


def _refused(visit: Visit, whose: AskedSubject, asked: _Asked, page: Page, why: UsageError) -> Answer:
    """Where the refusal says something of the person's accesses it is an answer, told like any other."""
    return _evidence(visit, whose, asked, 0, page, b"") if why.code in _TELLS else page


def _made(visit: Visit, whose: AskedSubject, asked: _Asked, *, with_actors: bool) -> SubjectReport:
    """Raises: UsageError: also where the counts differ."""
    found = visit.parts.audit.subject_report(
        whose.tokens, whose.from_us, whose.until_us, asked.case, with_actors=with_actors
    )
    if found is None:
        raise UsageError(
            "the evidence and the table by subject differ: nothing is handed out; run `accesstrail verify --store`",
            code="report_differs",
        )
    return found


def _body(found: SubjectReport, asked: _Asked) -> bytes:
    return (found.json() if asked.form == JSON else found.text(asked.language)).encode()


def _evidence(
    visit: Visit, whose: AskedSubject, asked: _Asked, rows: int, page: Page | Download, body: bytes
) -> Evidence:
    return Evidence(
        page=page, look="subject_report", rows=rows, about=f"subject:{whose.token}",
        reason=asked.reason, subject_ids=subject_ids(visit, (whose.token,)), case_ref=asked.case or visit.kept.ticket,
        fingerprint=hashlib.sha256(body).hexdigest() if body else "",
    )  # fmt: skip


def _asked(visit: Visit) -> _Asked:
    reason, form = visit.form.text("reason", longest=LONGEST_REASON), visit.form.text("as", PAGE, longest=8)
    if not reason:
        raise UsageError("say why the report is made", code="no_reason")
    if form not in (PAGE, *MEDIA):
        raise UsageError("there is no such format", code="bad_field")
    language: Language = "zh" if visit.form.text("language", visit.language, longest=8) == "zh" else "en"
    return _Asked(form, language, reason, visit.form.text("case", longest=LONGEST_CASE))


def _shown(visit: Visit, whose: AskedSubject, asked: _Asked, found: SubjectReport) -> Page:
    worded = found.worded(asked.language)
    again = {
        "subject": whose.token, "from_us": str(whose.from_us), "until_us": str(whose.until_us),
        "language": asked.language, "reason": asked.reason, "case": asked.case,
    }  # fmt: skip
    values = {
        "title": "report.title", "report": worded, "rows": worded.rows[:SHOWN], "shown": SHOWN,
        "report_lang": TAGS[asked.language], "again": again, "formats": tuple(MEDIA), "token": whose.token,
    }  # fmt: skip
    return Page("subject_report.html", values)


def _file(visit: Visit, form: str, body: bytes) -> Download:
    stamp = datetime.fromtimestamp(visit.now_us / 1e6, zone_of("UTC")).strftime("%Y%m%dT%H%M%SZ")
    return Download(body, f"accesstrail-subject-report-{stamp}.{form}", MEDIA[form])
