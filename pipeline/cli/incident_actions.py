"""`accesstrail incidents ack|assign|comment|contain|resolve|reopen`: what a person does with an incident.

Place in the flow: each writes one command as the account that acts (`incident_desk.py`); the incident engine decides
what it leads to, and its answer is printed. A command that does not fit is refused there and changes nothing.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from pipeline.accounts.model import Account
from pipeline.accounts.permissions import may, require
from pipeline.adapters.accounts import open_accounts
from pipeline.cli.acting import acting_as, acting_together, second_token_file_option, token_file_option
from pipeline.cli.incident_desk import handling_options, open_desk, say
from pipeline.cli.incident_feedback import ExceptionWish, make_exception
from pipeline.cli.options import moment
from pipeline.config import Settings
from pipeline.errors import EXIT_OK, UsageError
from pipeline.incidents.records import (
    Acknowledge,
    Assign,
    Comment,
    Contain,
    Reopen,
    Resolve,
)
from pipeline.incidents.words import SEVERITIES, VERDICTS
from pipeline.privacy.masks import mask_text

LONGEST_WHY = 2000


def masked_why(text: str, *, required: bool = True) -> str:
    """A person's reason, personal data in it masked. Raises: UsageError: missing or too long."""
    why = mask_text(text.strip())
    if len(why) > LONGEST_WHY or (required and not why):
        raise UsageError(f"say why, in 1 to {LONGEST_WHY:,} characters")
    return why


@click.command("ack")
@click.argument("names", metavar="ID...", nargs=-1, required=True)
@click.option("--why", default="", help="A remark.")
@handling_options
@acting_as("acknowledge_incident")
def ack_command(
    settings: Settings, names: tuple[str, ...], why: str, account: Account, wait_s: float, language: str, *,
    as_json: bool,
) -> int:  # fmt: skip
    """Acknowledge incidents: somebody looks after them, escalation stops.

    ID is an incident's id, its first six digits or more.

    \b
    Examples:
      accesstrail incidents ack 3fa94c21 --state ./state
      accesstrail incidents ack 3fa94c21 88d01b7e --why 'same night job' --state ./state

    Exit codes: 0 done (or so already), 2 usage or refused, 69 queued or unreachable, 77 not allowed.
    """
    remark = masked_why(why, required=False)
    with open_desk(settings, wait_s) as desk:
        found = [desk.incident(name) for name in names]
        done = [desk.hand_in(Acknowledge, one, account.name, why=remark) for one in found]
        return say(done, desk, language=language, as_json=as_json)


@click.command("assign")
@click.argument("name", metavar="ID")
@click.argument("assignee", metavar="NAME")
@click.option("--why", default="", help="A remark.")
@handling_options
@acting_as("assign_incident")
def assign_command(
    settings: Settings, name: str, assignee: str, why: str, account: Account, wait_s: float, language: str, *,
    as_json: bool,
) -> int:  # fmt: skip
    """Give an incident to an account; who gives it has seen it, so it is acknowledged too.

    \b
    Example:
      accesstrail incidents assign 3fa94c21 li.wei --state ./state

    Exit codes: 0 done (or so already), 2 usage or refused, 69 queued or unreachable, 77 not allowed.
    """
    _require_handler(settings, assignee)
    remark = masked_why(why, required=False)
    with open_desk(settings, wait_s) as desk:
        done = desk.hand_in(Assign, desk.incident(name), account.name, assignee=assignee, why=remark)
        return say([done], desk, language=language, as_json=as_json)


def _require_handler(settings: Settings, name: str) -> None:
    """Raises: UsageError: no such account, disabled, or one that may not handle incidents."""
    with open_accounts(settings.state_dir) as accounts:
        account = accounts.get(name)
    if not account.is_active:
        raise UsageError(f"the account {name} is disabled: give the incident to somebody else")
    if not may(account.roles, "acknowledge_incident"):
        raise UsageError(f"{name} may not handle incidents: that takes the role soc or responder")


@click.command("comment")
@click.argument("name", metavar="ID")
@click.argument("text", metavar="TEXT")
@click.option("--severity", type=click.Choice(list(SEVERITIES)), help="Grade the incident anew; TEXT says why.")
@handling_options
@acting_as("comment_incident")
def comment_command(
    settings: Settings, name: str, text: str, severity: str | None, account: Account, wait_s: float, language: str, *,
    as_json: bool,
) -> int:  # fmt: skip
    """Write a remark into the incident's log, or grade it anew. Personal data in TEXT is masked.

    \b
    Examples:
      accesstrail incidents comment 3fa94c21 'asked the branch, waiting' --state ./state
      accesstrail incidents comment 3fa94c21 'it is the test account' --severity low --state ./state

    Exit codes: 0 done (or so already), 2 usage or refused, 69 queued or unreachable, 77 not allowed.
    """
    remark = masked_why(text)
    with open_desk(settings, wait_s) as desk:
        done = desk.hand_in(Comment, desk.incident(name), account.name, why=remark, severity=severity)
        return say([done], desk, language=language, as_json=as_json)


@click.command("contain")
@click.argument("name", metavar="ID")
@click.option("--until", required=True, callback=moment, metavar="TIME", help="When it ends: a date or a time.")
@click.option("--why", required=True, help="Why; kept in the log and told to the system that stops the account.")
@second_token_file_option
@token_file_option
@handling_options
def contain_command(
    settings: Settings, name: str, until: datetime, why: str, token_file: Path | None, second_token_file: Path | None,
    wait_s: float, language: str, *, as_json: bool,
) -> int:  # fmt: skip
    """Have the incident's account stopped until a time, by the webhook that [response] containment names.

    Only a person does this, never accesstrail by itself. Where [response] two_people names `contain_actor` it takes a
    second account. What the webhook answered stands in `incidents show`.

    \b
    Example:
      accesstrail incidents contain 3fa94c21 --until 2026-11-28T08:00:00+08:00 --why 'copies numbers' --state ./state

    Exit codes: 0 asked for, 2 usage or refused, 69 queued or unreachable, 77 not allowed.
    """
    account, second = acting_together(
        settings.state_dir, token_file, second_token_file, "contain_actor", configured=settings.response.two_people
    )
    reason = masked_why(why if second is None else f"{why.strip()} (with {second.name})")
    until_us = round(until.timestamp() * 1e6)
    with open_desk(settings, wait_s) as desk:
        if until_us <= desk.now_us():
            raise UsageError("--until is past already")
        done = desk.hand_in(Contain, desk.incident(name), account.name, why=reason, expires_us=until_us)
        return say([done], desk, language=language, as_json=as_json)


# -- closing


@click.command("resolve")
@click.argument("names", metavar="ID...", nargs=-1, required=True)
@click.option("--verdict", required=True, type=click.Choice(list(VERDICTS)), help="What it was.")
@click.option("--why", default="", help="Why; needed with --except.")
@click.option("--except", "with_exception", is_flag=True, help="Make an exception too: its detectors stay quiet.")
@click.option("--owner", metavar="NAME", help="Of the exception: the account that answers for it.  [default: you]")
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True, help="Of the exception: how long.")
@handling_options
@acting_as("resolve_incident")
def resolve_command(
    settings: Settings, names: tuple[str, ...], verdict: str, why: str, owner: str | None, days: int, account: Account,
    wait_s: float, language: str, *, with_exception: bool, as_json: bool,
) -> int:  # fmt: skip
    """Close incidents with a verdict.

    true_positive: its events teach no model (`incidents exclusions`). benign and false_positive: with --except the
    detectors that raised it stay quiet about this actor for some days, the model up to the level it reached; that takes
    the role analyst besides. test: an exercise.

    \b
    Examples:
      accesstrail incidents resolve 3fa94c21 --verdict true_positive --why 'confirmed by the branch' --state ./state
      accesstrail incidents resolve 3fa94c21 --verdict benign --why 'yearly audit, CHG-2231' --except --days 14 \\
        --state ./state

    Exit codes: 0 done, 2 usage or refused, 69 queued or unreachable, 77 not allowed.
    """
    if with_exception and verdict not in ("benign", "false_positive"):
        raise UsageError("--except goes with --verdict benign or false_positive")
    reason = masked_why(why, required=with_exception)
    if with_exception:
        require(account.name, account.roles, "manage_exceptions")
    with open_desk(settings, wait_s) as desk:
        found = [desk.incident(name) for name in names]
        wishes = [ExceptionWish.of(one, owner or account.name, reason, days) for one in found if with_exception]
        done = [desk.hand_in(Resolve, one, account.name, why=reason, verdict=verdict) for one in found]
        code = say(done, desk, language=language, as_json=as_json)
    for wish, outcome in zip(wishes, done, strict=False):
        if outcome.exit_code == EXIT_OK:
            make_exception(settings, wish, account, as_json=as_json)
    return code


@click.command("reopen")
@click.argument("name", metavar="ID")
@click.option("--why", required=True, help="Why it was closed too early.")
@handling_options
@acting_as("resolve_incident")
def reopen_command(
    settings: Settings, name: str, why: str, account: Account, wait_s: float, language: str, *, as_json: bool
) -> int:
    """Open a closed incident again; one that was merged stands alone again.

    \b
    Example:
      accesstrail incidents reopen 3fa94c21 --why 'it goes on from another device' --state ./state

    Exit codes: 0 done, 2 usage or refused, 69 queued or unreachable, 77 not allowed.
    """
    reason = masked_why(why)
    with open_desk(settings, wait_s) as desk:
        done = desk.hand_in(Reopen, desk.incident(name), account.name, why=reason)
        return say([done], desk, language=language, as_json=as_json)
