"""`accesstrail users`: accounts, roles, passwords, second factors and personal tokens.

Accounts lie in STATE/accounts.sqlite3. What an account's owner does (password, second factor, tokens) asks for the
password; what the role admin does for others asks for the admin's own token.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from pipeline.accounts.model import Account, AccountChange, checked_name
from pipeline.accounts.permissions import ROLES
from pipeline.adapters.accounts import open_accounts
from pipeline.cli.acting import acting, now_us, token_file_option
from pipeline.cli.table import aligned, moment_of
from pipeline.cli.user_credentials import password_command, token_command, totp_command
from pipeline.cli.user_options import (
    folder_options,
    json_option,
    password_file_option,
    password_of,
    reason_option,
)
from pipeline.errors import EXIT_OK, UsageError

ROLE = click.Choice(list(ROLES))


@click.group("users")
def users_command() -> None:
    """Accounts of people: who may run, investigate, audit.

    \b
    Examples:
      accesstrail users add wu.ling --first --reason 'first admin' --state ./state
      accesstrail users token wu.ling --out ~/.accesstrail-token --state ./state
      accesstrail users add li.wei --role soc --reason 'joins the SOC' --state ./state

    Separation of duties: some roles may not be in one hand; docs/reference/permissions.md lists them. Commands know
    you by --token-file FILE or ACCESSTRAIL_TOKEN_FILE.
    """


@users_command.command("add")
@click.argument("name")
@click.option("--role", "roles", type=ROLE, multiple=True, help="What the account may do; may be given several times.")
@click.option("--first", is_flag=True, help="The first account of a new system, with the role admin.")
@password_file_option
@reason_option
@token_file_option
@json_option
@folder_options
def add_command(
    state_dir: Path, name: str, roles: Sequence[str], reason: str, password_file: Path | None,
    token_file: Path | None, *, first: bool, as_json: bool,
) -> int:  # fmt: skip
    """Make an account. Its owner must set another password before making a token.

    \b
    Examples:
      accesstrail users add wu.ling --first --reason 'first admin' --state ./state
      accesstrail users add li.wei --role soc --role analyst --reason 'joins the SOC' --state ./state

    Exit codes: 0 made, 2 usage or refused, 69 busy, 77 not allowed, 78 configuration.
    """
    checked_name(name)
    if first and (roles or token_file):
        raise UsageError("--first makes an admin and nobody else can ask for it: give neither --role nor --token-file")
    by = name if first else acting(state_dir, token_file, "manage_accounts").name
    password = password_of(password_file, f"Password for {name}", new=True)
    with open_accounts(state_dir, create=first) as accounts:
        if first:
            account = accounts.add_first(name, password, reason, now_us())
        else:
            account = accounts.add(by, name, roles, password, reason, now_us())
    return _said(account, f"{name} is made with {_roles(account)}", as_json=as_json)


@users_command.command("disable")
@click.argument("name")
@reason_option
@token_file_option
@json_option
@folder_options
def disable_command(state_dir: Path, name: str, reason: str, token_file: Path | None, *, as_json: bool) -> int:
    """Disable an account at once; its tokens are revoked. Accounts are never deleted, history names them.

    \b
    Example:
      accesstrail users disable li.wei --reason 'left the company' --state ./state
    """
    by = acting(state_dir, token_file, "manage_accounts").name
    with open_accounts(state_dir) as accounts:
        revoked = accounts.disable(by, name, reason, now_us())
        account = accounts.get(name)
    return _said(account, f"{name} is disabled, {revoked} tokens are revoked", as_json=as_json)


@users_command.command("enable")
@click.argument("name")
@reason_option
@token_file_option
@json_option
@folder_options
def enable_command(state_dir: Path, name: str, reason: str, token_file: Path | None, *, as_json: bool) -> int:
    """Enable a disabled account. Revoked tokens stay revoked.

    \b
    Example:
      accesstrail users enable li.wei --reason 'back from leave' --state ./state
    """
    by = acting(state_dir, token_file, "manage_accounts").name
    with open_accounts(state_dir) as accounts:
        accounts.enable(by, name, reason, now_us())
        account = accounts.get(name)
    return _said(account, f"{name} is active", as_json=as_json)


@users_command.command("roles")
@click.argument("name")
@click.option("--grant", type=ROLE, multiple=True, help="Role to give; may be given several times.")
@click.option("--revoke", type=ROLE, multiple=True, help="Role to take; may be given several times.")
@reason_option
@token_file_option
@json_option
@folder_options
def roles_command(
    state_dir: Path, name: str, grant: Sequence[str], revoke: Sequence[str], reason: str, token_file: Path | None, *,
    as_json: bool,
) -> int:  # fmt: skip
    """Give and take roles; never your own. Tokens of the account have the new roles at once.

    \b
    Example:
      accesstrail users roles li.wei --grant responder --revoke soc --reason 'on call' --state ./state

    Exit codes: 0 changed, 2 refused (separation of duties, last admin), 77 not allowed.
    """
    by = acting(state_dir, token_file, "manage_roles").name
    with open_accounts(state_dir) as accounts:
        account = accounts.change_roles(by, name, grant=grant, revoke=revoke, reason=reason, at_us=now_us())
    return _said(account, f"{name} has {_roles(account)}", as_json=as_json)


@users_command.command("list")
@click.option("--changes", is_flag=True, help="The history of accounts instead, newest first.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 100_000), help="Newest changes.")
@token_file_option
@json_option
@folder_options
def list_command(state_dir: Path, token_file: Path | None, limit: int, *, changes: bool, as_json: bool) -> int:
    """List accounts, or what was changed, by whom and why.

    \b
    Examples:
      accesstrail users list --state ./state
      accesstrail users list --changes --json --state ./state
    """
    acting(state_dir, token_file, "read_account_changes")
    with open_accounts(state_dir) as accounts:
        if changes:
            return _list_changes(accounts.changes(limit), as_json=as_json)
        found = accounts.all()
    if as_json:
        for one in found:
            click.echo(json.dumps(one.as_json()))
        return EXIT_OK
    names = ("name", "roles", "state", "second factor", "made", "password")
    cells = [
        [
            one.name, sorted(one.roles), one.state, "yes" if one.totp_enrolled else "-", moment_of(one.created_us),
            "to be changed" if one.must_change else "own",
        ]
        for one in found
    ]  # fmt: skip
    for line in aligned(names, cells):
        click.echo(line)
    return EXIT_OK


def _list_changes(found: Sequence[AccountChange], *, as_json: bool) -> int:
    if as_json:
        for one in found:
            click.echo(json.dumps(asdict(one), ensure_ascii=False))
        return EXIT_OK
    cells = [[one.number, moment_of(one.at_us), one.by, one.account, one.what, one.detail, one.reason] for one in found]
    for line in aligned(("number", "at", "by", "account", "what", "detail", "reason"), cells):
        click.echo(line)
    return EXIT_OK


def _said(account: Account, words: str, *, as_json: bool) -> int:
    click.echo(json.dumps(account.as_json()) if as_json else words)
    return EXIT_OK


def _roles(account: Account) -> str:
    return "the role " + ", ".join(sorted(account.roles))


for _command in (token_command, password_command, totp_command):
    users_command.add_command(_command)
