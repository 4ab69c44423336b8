"""Evidence that a stranger verifies: the accesses to one data subject with their proofs, as one archive, with a reason.

Place in the flow: asked for on the page of a data subject or by itself. The archive is made first and leaves only when
Kafka has the access event with its number of rows and the digest of its manifest. Ranges of the whole log are exported
by command, by two people; the page says so.
"""

from __future__ import annotations

from dataclasses import replace

from dashboards.console.errors import refusal
from dashboards.console.pages.audit import VERIFY_BUNDLE
from dashboards.console.pages.search import SPANS, subject_ids
from dashboards.console.pages.subject import asked_subject, chosen
from dashboards.console.visit import Answer, Download, Evidence, Page, Visit
from pipeline.audit.evidence import TELLING
from pipeline.audit.export import MOST_EXPORTED
from pipeline.errors import UsageError

ZIP = "application/zip"
DEFAULT_SPAN = 90
RANGE_COMMAND = (
    "accesstrail evidence export --from 2026-11-01 --to 2026-11-08 --out ./week --reason 'yearly audit' "
    "--token-file me.token --second-token-file other.token --config accesstrail.toml"
)
_LONGEST_REASON = 2_000


def form_page(visit: Visit, refused: str = "") -> Page:
    """The form alone; a name that was typed never comes back in it, a token may."""
    values = {
        "title": "bundle.title", "refused": refused, "spans": SPANS, "most": MOST_EXPORTED,
        "chosen": chosen(visit, DEFAULT_SPAN, again=bool(refused)),
        "ticket": visit.kept.ticket, "range_command": RANGE_COMMAND, "verify_bundle": VERIFY_BUNDLE,
    }  # fmt: skip
    return Page("bundle.html", values, 400 if refused else 200)


def export(visit: Visit) -> Answer:
    """The archive, told of with its rows and the digest of its manifest."""
    try:
        whose, reason = asked_subject(visit), visit.form.text("reason", longest=_LONGEST_REASON)
        if not reason:
            raise UsageError("say what the evidence is for", code="no_reason")
    except UsageError as exc:
        return form_page(visit, refused=refusal(exc, visit.language))
    told = Evidence(
        page=form_page(visit), look="export", rows=0, about=f"subject:{whose.token}", reason=reason,
        subject_ids=subject_ids(visit, (whose.token,)), case_ref=visit.kept.ticket,
    )  # fmt: skip
    try:
        found = visit.parts.audit.bundle(whose.tokens, whose.from_us, whose.until_us, visit.now_us)
    except UsageError as exc:
        page = form_page(visit, refused=refusal(exc, visit.language))
        return replace(told, page=page) if exc.code in TELLING else page
    archive = Download(found.body, found.name, ZIP)
    return replace(told, page=archive, rows=found.rows, fingerprint=found.fingerprint)
