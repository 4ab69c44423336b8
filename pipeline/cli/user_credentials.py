"""`accesstrail users token|password|totp`: what an account's owner is recognised by.

The owner's password is asked for, or read from a file of mode 0600; tokens, shared secrets and recovery codes are
written to one and shown only where `--show` asks for it. A one-time code may be given as an option: once it has been
used it is worth nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import click

from pipeline.accounts.model import DEFAULT_TOKEN_DAYS, LONGEST_TOKEN_DAYS, PersonalToken, checked_reason
from pipeline.accounts.permissions import may
from pipeline.adapters.account_secrets import Credentials
from pipeline.adapters.accounts import open_accounts
from pipeline.cli.acting import acting, now_us, token_file_option
from pipeline.cli.secret_files import refuse_existing, write_private
from pipeline.cli.table import aligned, moment_of
from pipeline.cli.user_options import folder_options, json_option, password_file_option, password_of
from pipeline.errors import EXIT_OK, Forbidden, UsageError

Result = TypeVar("Result")
_PATH = click.Path(path_type=Path)


def _code_option(command: Callable[..., Result]) -> Callable[..., Result]:
    return click.option("--code", help="One-time or recovery code, where a second factor is enrolled.")(command)


def _out_options(command: Callable[..., Result]) -> Callable[..., Result]:
    for option in (
        click.option("--show", is_flag=True, help="Print the secret instead of writing it to a file."),
        click.option("--out", type=_PATH, help="New file of mode 0600 for the secret; never overwritten."),
    ):
        command = option(command)
    return command


def _given(name: str, password_file: Path | None, code: str | None) -> Credentials:
    """What the owner presents; the code is asked for only at a prompt, since a file cannot answer one."""
    password = password_of(password_file, f"Password of {name}")
    if code is None and password_file is None:
        code = str(click.prompt("One-time code (empty: none)", default="", show_default=False, err=True)) or None
    return Credentials(password, code)


def _require_place(out: Path | None, *, show: bool) -> None:
    if (out is None) == (not show):
        raise UsageError("a secret is about to be made: say --out FILE, or --show to print it")
    if out is not None:
        refuse_existing(out)


def _hand_over(secret: str, out: Path | None) -> None:
    if out is None:
        click.echo(secret)
    else:
        write_private(out, secret + "\n")


# -- tokens


@click.command("token")
@click.argument("name")
@_out_options
@click.option(
    "--days", default=DEFAULT_TOKEN_DAYS, show_default=True, type=click.IntRange(1, LONGEST_TOKEN_DAYS),
    help="How long it is valid.",
)  # fmt: skip
@click.option("--label", default="", help="What it is for.")
@click.option("--list", "as_list", is_flag=True, help="List the account's tokens instead.")
@click.option("--revoke", metavar="PREFIX", help="End one token instead; a prefix as --list shows it.")
@click.option("--reason", default="", help="Why a token is revoked.")
@password_file_option
@_code_option
@token_file_option
@json_option
@folder_options
def token_command(
    state_dir: Path, name: str, out: Path | None, days: int, label: str, revoke: str | None, reason: str,
    password_file: Path | None, code: str | None, token_file: Path | None, *,
    show: bool, as_list: bool, as_json: bool,
) -> int:  # fmt: skip
    """Make a personal token, list an account's tokens, or revoke one.

    Only the owner makes one, with the password: nobody acts in another's name. It has the roles of the account.

    \b
    Examples:
      accesstrail users token li.wei --out ~/.accesstrail-token --state ./state
      accesstrail users token li.wei --list --state ./state
      accesstrail users token li.wei --revoke atp_Zk3vQ9aB --reason 'laptop lost' --state ./state

    Exit codes: 0 done, 2 usage or refused, 69 busy, 77 wrong password, locked or not allowed.
    """
    if as_list or revoke:
        return _known_tokens(state_dir, name, token_file, revoke, reason, as_json=as_json)
    _require_place(out, show=show)
    given = _given(name, password_file, code)
    with open_accounts(state_dir) as accounts:
        token, kept = accounts.logins.new_token(name, given, label=label, days=days, at_us=now_us())
    _hand_over(token, out)
    said = f"token {kept.prefix}… of {name} is valid until {moment_of(kept.expires_us)}"
    click.echo(json.dumps(asdict(kept)) if as_json else said, err=show)
    return EXIT_OK


def _known_tokens(
    state_dir: Path, name: str, token_file: Path | None, revoke: str | None, reason: str, *, as_json: bool
) -> int:
    """Lists or revokes: one's own, or anybody's with the role admin."""
    actor = acting(state_dir, token_file, "manage_own_account")
    if actor.name != name and not may(actor.roles, "manage_accounts"):
        raise Forbidden(f"{actor.name} may not see the tokens of others: it needs the role admin")
    with open_accounts(state_dir) as accounts:
        if revoke:
            found: Sequence[PersonalToken] = [
                accounts.revoke_token(actor.name, revoke, checked_reason(reason), now_us())
            ]
        else:
            found = accounts.tokens(name)
    if as_json:
        for one in found:
            click.echo(json.dumps({**asdict(one), "state": one.state_at(now_us())}))
        return EXIT_OK
    cells = [
        [one.prefix, one.label, moment_of(one.created_us), moment_of(one.expires_us), one.state_at(now_us())]
        for one in found
    ]
    for line in aligned(("prefix", "label", "made", "expires", "state"), cells):
        click.echo(line)
    return EXIT_OK


# -- password


@click.command("password")
@click.argument("name")
@click.option("--reset", is_flag=True, help="As admin, for somebody who lost theirs; their tokens are revoked.")
@click.option("--reason", default="", help="Why it is reset.")
@password_file_option
@click.option("--new-password-file", type=_PATH, help="New password in a file of mode 0600.  [default: asked for]")
@_code_option
@token_file_option
@json_option
@folder_options
def password_command(
    state_dir: Path, name: str, reason: str, password_file: Path | None, new_password_file: Path | None,
    code: str | None, token_file: Path | None, *, reset: bool, as_json: bool,
) -> int:  # fmt: skip
    """Set your password; or, as admin, reset somebody's.

    12 characters or more. After a reset the owner must set another one before making a token; the second factor stays.

    \b
    Examples:
      accesstrail users password li.wei --state ./state
      accesstrail users password li.wei --reset --reason 'forgotten' --state ./state
    """
    if reset:
        by = acting(state_dir, token_file, "manage_accounts").name
        new = password_of(new_password_file, f"New password for {name}", new=True)
        with open_accounts(state_dir) as accounts:
            accounts.reset_password(by, name, new, checked_reason(reason), now_us())
            account = accounts.get(name)
    else:
        given = _given(name, password_file, code)
        new = password_of(new_password_file, "New password", new=True)
        with open_accounts(state_dir) as accounts:
            accounts.logins.change_password(name, given, new, now_us())
            account = accounts.get(name)
    click.echo(json.dumps(account.as_json()) if as_json else f"the password of {name} is changed")
    return EXIT_OK


# -- second factor


@click.command("totp")
@click.argument("name")
@_out_options
@click.option("--confirm", metavar="CODE", help="The app's first code; the recovery codes go to --out or --show.")
@click.option("--remove", is_flag=True, help="Take the second factor away: your own with a code, another's as admin.")
@click.option("--reason", default="", help="Why it is removed.")
@password_file_option
@_code_option
@token_file_option
@json_option
@folder_options
def totp_command(
    state_dir: Path, name: str, out: Path | None, confirm: str | None, reason: str, password_file: Path | None,
    code: str | None, token_file: Path | None, *, show: bool, remove: bool, as_json: bool,
) -> int:  # fmt: skip
    """Enrol a second factor: one-time codes of an authenticator app (TOTP).

    In two steps: the first writes what the app reads (an otpauth link), the second confirms with the app's first code
    and writes ten recovery codes, each good for one login.

    \b
    Examples:
      accesstrail users totp li.wei --out totp.uri --state ./state
      accesstrail users totp li.wei --confirm 123456 --out recovery.txt --state ./state
      accesstrail users totp li.wei --remove --reason 'telephone lost' --token-file admin.token --state ./state
    """
    if remove:
        _remove(state_dir, name, reason, password_file, code, token_file)
        said = f"{name} has no second factor any more"
    else:
        _require_place(out, show=show)
        given = _given(name, password_file, code)
        with open_accounts(state_dir) as accounts:
            if confirm is None:
                _hand_over(accounts.logins.begin_totp(name, given, now_us()).uri, out)
                said = "give this link to the authenticator app, then run the command again with --confirm CODE"
            else:
                codes = accounts.logins.confirm_totp(name, given, confirm, now_us())
                _hand_over("\n".join(codes), out)
                said = f"{name} has a second factor; keep the recovery codes where the telephone is not"
    with open_accounts(state_dir) as accounts:
        account = accounts.get(name)
    click.echo(json.dumps(account.as_json()) if as_json else said, err=show)
    return EXIT_OK


def _remove(
    state_dir: Path, name: str, reason: str, password_file: Path | None, code: str | None, token_file: Path | None
) -> None:
    why = checked_reason(reason)
    if token_file is not None:
        by = acting(state_dir, token_file, "manage_accounts").name
        with open_accounts(state_dir) as accounts:
            accounts.remove_totp(by, name, why, now_us())
        return
    given = _given(name, password_file, code)
    with open_accounts(state_dir) as accounts:
        accounts.logins.remove_own_totp(name, given, why, now_us())
