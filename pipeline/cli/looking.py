"""Who looks at evidence from a terminal, and why: nothing is printed before Kafka has the look (promise P6).

Place in the flow: in front of every command that shows evidence on a terminal, one line each:

    @looking_as("search_evidence")         # between @settings_options and the function; gives it `looker`
    looker.tell(Seen("search", rows, ...)) # after the rows are fetched, before any of them is printed

Where `[audit] looks_need_account` is off and no token is given, nobody is named and nothing is told: that is for a
local stack, whose files and passwords belong to whoever runs it.
"""

from __future__ import annotations

import functools
import json
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import click

from pipeline.accounts.model import Account
from pipeline.audit.reads import SUCCESS, Read
from pipeline.cli.acting import TOKEN_FILE_VARIABLE, now_us, token_file_option
from pipeline.cli.admitting import admitted
from pipeline.cli.announcing import announce_look
from pipeline.cli.changing import plain_reason
from pipeline.config import Settings
from pipeline.errors import Away, UsageError

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one look found. `question`: all of it, with tokens in place of identities, as JSON types."""

    look: str
    rows: int
    question: Mapping[str, object]
    about: str = ""
    subject_ids: tuple[str, ...] = ()
    outcome: str = SUCCESS

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the question as JSON with sorted names and without blanks: equal questions, equal digests."""
        text = json.dumps(self.question, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Looker:
    """Who looks and why. `account` None: nobody is named, and nothing is told."""

    settings: Settings
    account: Account | None
    reason: str = ""
    case_ref: str = ""

    def tell(self, seen: Seen) -> None:
        """Returns when Kafka has acknowledged the look.

        Raises: Away: it has not; Forbidden `look_quota`: more rows than the account's day allows. Nothing is printed.
        """
        if self.account is None:
            return
        read = Read(
            look=seen.look, account=self.account.name, read_id=str(uuid.uuid4()), at_us=now_us(), rows=seen.rows,
            about=seen.about, reason=self.reason, subject_ids=seen.subject_ids, outcome=seen.outcome, channel="batch",
            fingerprint=seen.fingerprint, case_ref=self.case_ref,
        )  # fmt: skip
        try:
            announce_look(self.settings, read)
        except Away as exc:
            raise Away(f"nothing is shown, since the look cannot be recorded: {exc}", code=exc.code) from None


def looker_of(
    settings: Settings, token_file: Path | None, reason: str, case_ref: str, action: str, look: str = "", *,
    always_named: bool = False,
) -> Looker:  # fmt: skip
    """Who looks, allowed to do `action`; a refusal is told, as `look` where the action has looks of several kinds.

    `always_named`: it takes an account on a local stack, too. Raises: Forbidden: an account is wanted and none is
    given, or as `admitted`; UsageError: the reason is missing, or nobody is named whom a reason could belong to.
    """
    is_needed = settings.audit.looks_need_account
    if token_file is None and not os.environ.get(TOKEN_FILE_VARIABLE) and not (is_needed or always_named):
        if reason or case_ref:
            raise UsageError(
                f"--reason and --case are recorded of an account: give --token-file or {TOKEN_FILE_VARIABLE}"
            )
        return Looker(settings, None)
    account = admitted(settings, token_file, action, why=reason.strip(), case_ref=case_ref.strip(), look=look)
    why = plain_reason(reason) if reason or is_needed else ""
    return Looker(settings, account, why, case_ref.strip())


def looking_as(
    action: str, look: str = "", *, always_named: bool = False
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Puts `looker_of` in front of a command whose first argument is its `Settings`; the command is given `looker`."""

    def guard(command: Callable[..., Result]) -> Callable[..., Result]:
        @click.option("--reason", default="", help="Why you look; it stands in the log.")
        @click.option("--case", "case_ref", default="", help="Your own work item; it explains your look.")
        @token_file_option
        @functools.wraps(command)
        def guarded(
            settings: Settings,
            *arguments: Any,  # noqa: ANN401  whatever the command's other options are
            token_file: Path | None,
            reason: str,
            case_ref: str,
            **options: Any,  # noqa: ANN401
        ) -> Result:
            looker = looker_of(settings, token_file, reason, case_ref, action, look, always_named=always_named)
            return command(settings, *arguments, looker=looker, **options)

        return guarded

    return guard
