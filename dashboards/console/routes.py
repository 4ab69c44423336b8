"""The one table of routes: method, path, what it takes, which function answers, whether evidence is shown.

Place in the flow: read by `app.py`, which puts `guard.py` in front of each row; `tests/test_console_routes.py` walks
every row with every role and with nobody. A page that is not here does not exist.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dashboards.console.pages import (
    actor,
    audit,
    boards,
    breach,
    bundle,
    controls,
    entry,
    health,
    incident,
    incidents,
    overview,
    own_account,
    reading_guide,
    reveal,
    rules,
    search,
    subject,
    subject_report,
)
from dashboards.console.visit import Answer, Visit

PUBLIC = "public"
"""Anybody, signed in or not."""
UNFINISHED = "unfinished"
"""Whoever has given a password, also before a second factor or a password of their own is set."""
SIGNED_IN = "signed in"
"""Every account that is set up, whatever its roles."""

Handler = Callable[[Visit], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """One row. `needs`: PUBLIC, UNFINISHED, SIGNED_IN or a name of `permissions.ACTIONS`.

    `shows_evidence`: the handler answers `Evidence`, which is told to the read trail before it is sent. `is_login`: it
    checks a password, and few of these a minute are taken from an address.
    """

    method: str
    path: str
    needs: str
    handler: Handler
    shows_evidence: bool = False
    is_login: bool = False


ROUTES: tuple[Route, ...] = (
    Route("GET", "/login", PUBLIC, entry.login_page),
    Route("POST", "/login", PUBLIC, entry.login, is_login=True),
    Route("POST", "/logout", UNFINISHED, entry.logout),
    Route("GET", "/first/{secret}", PUBLIC, entry.first_page),
    Route("POST", "/first/{secret}", PUBLIC, entry.make_first, is_login=True),
    Route("POST", "/language", PUBLIC, entry.choose_language),
    Route("GET", "/welcome", UNFINISHED, entry.welcome),
    Route("POST", "/welcome/password", UNFINISHED, entry.set_password, is_login=True),
    Route("POST", "/welcome/totp", UNFINISHED, entry.confirm_totp, is_login=True),
    Route("GET", "/settings", SIGNED_IN, own_account.settings_page),
    Route("POST", "/settings/password", "manage_own_account", own_account.change_password, is_login=True),
    Route("POST", "/settings/zone", SIGNED_IN, own_account.choose_zone),
    Route("POST", "/settings/tokens/{prefix}/revoke", "manage_own_account", own_account.revoke_token),
    Route("POST", "/settings/channels/{name}/test", "test_channel", own_account.test_channel),
    Route("GET", "/help", SIGNED_IN, reading_guide.help_page),
    Route("GET", "/incidents", "read_incidents", incidents.list_page),
    Route("POST", "/incidents/acknowledge", "acknowledge_incident", incidents.acknowledge_several),
    Route("GET", "/incidents/{incident_id}", "read_incidents", incident.incident_page),
    Route("GET", "/incidents/{incident_id}/evidence", "search_evidence", incident.evidence, shows_evidence=True),
    Route("POST", "/incidents/{incident_id}/acknowledge", "acknowledge_incident", incident.acknowledge),
    Route("POST", "/incidents/{incident_id}/assign", "assign_incident", incident.assign),
    Route("POST", "/incidents/{incident_id}/comment", "comment_incident", incident.comment),
    Route("POST", "/incidents/{incident_id}/resolve", "resolve_incident", incident.resolve),
    Route("POST", "/incidents/{incident_id}/reopen", "resolve_incident", incident.reopen),
    Route("POST", "/incidents/{incident_id}/contain", "contain_actor", incident.contain),
    Route("POST", "/incidents/{incident_id}/link", "link_incident", incident.link),
    Route("POST", "/incidents/{incident_id}/unlink", "link_incident", incident.unlink),
    Route("POST", "/incidents/{incident_id}/export", "export_incident", breach.export, shows_evidence=True),
    Route("POST", "/incidents/{incident_id}/suspect", "suspect_breach", breach.suspect),
    Route("POST", "/incidents/{incident_id}/breach/count", "suspect_breach", breach.count_now),
    Route("POST", "/incidents/{incident_id}/breach/state", "suspect_breach", breach.state_fact),
    Route("POST", "/incidents/{incident_id}/breach/known-at", "suspect_breach", breach.correct_known_at),
    Route("POST", "/incidents/{incident_id}/breach/period", "suspect_breach", breach.name_period),
    Route("POST", "/incidents/{incident_id}/breach/text", "suspect_breach", breach.write_text),
    Route("POST", "/incidents/{incident_id}/breach/done", "complete_breach_duty", breach.tell_done),
    Route("POST", "/incidents/{incident_id}/breach/end", "complete_breach_duty", breach.end_handling),
    # The second person types a password.
    Route("POST", "/incidents/{incident_id}/breach/waive", "waive_breach_duty", breach.decide_not, is_login=True),
    # Counts and what people wrote, as the page shows them too; no access and no alert.
    Route("GET", "/incidents/{incident_id}/breach/drafts/{duty}", "read_incidents", breach.draft_file),
    Route("GET", "/overview", SIGNED_IN, overview.overview_page),
    Route("GET", "/live", SIGNED_IN, overview.live),
    Route("GET", "/overview/figures/{uid}", "read_incidents", overview.figure),
    Route("GET", "/overview/panels/{uid}", "search_evidence", overview.evidence_panel, shows_evidence=True),
    Route("GET", "/search", "search_evidence", search.form_page),
    Route("POST", "/search", "search_evidence", search.ask),
    Route("GET", "/search/results", "search_evidence", search.results, shows_evidence=True),
    Route("POST", "/search/export", "export_evidence", search.export, shows_evidence=True),
    Route("POST", "/subjects", "search_evidence", subject.ask),
    Route("GET", "/subjects/{token}", "search_evidence", subject.subject_page, shows_evidence=True),
    Route("GET", "/subjects/{token}/check", "search_evidence", subject.check, shows_evidence=True),
    Route("GET", "/actors/{token}", "search_evidence", actor.actor_page, shows_evidence=True),
    Route("POST", "/masked", "see_masked_identity", reveal.show_masked, shows_evidence=True),
    Route("POST", "/reveal", "reveal_identity", reveal.reveal, shows_evidence=True),
    Route("GET", "/rules", "search_evidence", rules.rules_page, shows_evidence=True),
    Route("POST", "/rules/preview", "search_evidence", rules.preview, shows_evidence=True),
    Route("GET", "/audit", SIGNED_IN, audit.hub_page),
    Route("GET", "/audit/verification", "verify_ledger", audit.verification_page),
    # Numbers of a period and no names, as figures of boards are.
    Route("GET", "/audit/controls", "search_evidence", controls.controls_page),
    Route("GET", "/audit/subject-report", "subject_report", subject_report.form_page),
    Route("POST", "/audit/subject-report", "subject_report", subject_report.report, shows_evidence=True),
    Route("GET", "/audit/subject-report/accounts", "report_actors", subject_report.accounts_page),
    # The second person types a password.
    Route(
        "POST",
        "/audit/subject-report/accounts",
        "report_actors",
        subject_report.with_accounts,
        shows_evidence=True,
        is_login=True,
    ),
    Route("GET", "/audit/evidence", "export_evidence", bundle.form_page),
    Route("POST", "/audit/evidence", "export_evidence", bundle.export, shows_evidence=True),
    Route("GET", "/boards", SIGNED_IN, boards.list_page),
    # The board of the pipeline names nobody: whoever may see how the pipeline is may see it. Before the others.
    Route("GET", "/boards/pipeline-health", "read_status", boards.board_page),
    Route("GET", "/boards/pipeline-health/figures/{panel}", "read_status", boards.figure),
    Route("GET", "/boards/{uid}", "read_incidents", boards.board_page),
    Route("POST", "/boards/{uid}", "search_evidence", boards.ask),
    Route("GET", "/boards/{uid}/choices", "search_evidence", boards.choices, shows_evidence=True),
    Route("GET", "/boards/{uid}/figures/{panel}", "read_incidents", boards.figure),
    Route("GET", "/boards/{uid}/panels/{panel}", "search_evidence", boards.evidence_panel, shows_evidence=True),
    Route("GET", "/boards/{uid}/of/{token}", "search_evidence", boards.about_page, shows_evidence=True),
    Route("GET", "/boards/{uid}/of/{token}/panels/{panel}", "search_evidence", boards.about_panel, shows_evidence=True),
    Route("GET", "/health", "read_status", health.health_page),
    Route("GET", "/", SIGNED_IN, entry.home),
)
