"""Who may look at evidence now: the account's roles allow it, and its day is not used up; a refusal is told.

Place in the flow: in front of every command that shows or hands out evidence of an account, in place of `acting`:

    @admitted_as("audit_report")                       # gives the command `account`, as `acting_as` does
    admitted(settings, token_file, "audit_report")     # the same inside a function
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pipeline.accounts.model import Account
from pipeline.accounts.permissions import require
from pipeline.audit.reads import Read
from pipeline.cli.acting import account_of, now_us, token_file_option
from pipeline.cli.announcing import announce_refused
from pipeline.cli.look_quota import open_quota
from pipeline.config import Settings
from pipeline.errors import Forbidden

Result = TypeVar("Result")
LOOK_OF: Mapping[str, str] = {
    "search_evidence": "search", "query_evidence": "sql", "read_incidents": "alerts", "reveal_identity": "reveal",
    "see_masked_identity": "masked",
    "subject_report": "subject_report", "report_actors": "subject_report", "export_evidence": "export",
    "export_bulk": "export", "export_incident": "incident_export", "audit_report": "audit_report",
}  # fmt: skip
"""Action of the matrix to the look (`audit/reads.py`) that it would be."""


def admitted(
    settings: Settings, token_file: Path | None, action: str, *, why: str = "", case_ref: str = "", look: str = ""
) -> Account:
    """The account of a token, allowed to do `action` today. `why`: stands in the event of a refusal.

    `look`: what that event calls it, where the action has looks of several kinds.

    Raises: Forbidden: nobody known asks, the role is missing, or the day's quota is used up; UsageError, ConfigError,
    Away, StoreRefused.
    """
    account = account_of(settings.state_dir, token_file)
    try:
        require(account.name, account.roles, action)
        with open_quota(settings) as quota:
            quota.admit(account.name, now_us())
    except Forbidden:
        refused = Read(
            look=look or LOOK_OF[action], account=account.name, read_id=str(uuid.uuid4()), at_us=now_us(), rows=0,
            reason=why, channel="batch", case_ref=case_ref,
        )  # fmt: skip
        announce_refused(settings.kafka, refused)
        raise
    return account


def admitted_as(action: str) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Puts `admitted` in front of a command whose first argument is its `Settings`; the command is given `account`."""

    def guard(command: Callable[..., Result]) -> Callable[..., Result]:
        @token_file_option
        @functools.wraps(command)
        def guarded(
            settings: Settings,
            *arguments: Any,  # noqa: ANN401  whatever the command's other options are
            token_file: Path | None,
            **options: Any,  # noqa: ANN401
        ) -> Result:
            why = str(options.get("reason") or "")
            account = admitted(settings, token_file, action, why=why, case_ref=str(options.get("case_ref") or ""))
            return command(settings, *arguments, account=account, **options)

        return guarded

    return guard
