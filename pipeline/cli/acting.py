"""As whom a command runs: the account of a personal token, and whether its roles allow what is asked.

Place in the flow: in front of every command that changes or reveals something, one line each:

    @acting_as("manage_models")            # between @settings_options and the function; gives it `account`
    acting(settings.state_dir, token_file, "manage_models")          # the same inside a function

The token stands in a file of mode 0600 that `--token-file` or ACCESSTRAIL_TOKEN_FILE names; `accesstrail users token`
makes one.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from pipeline.accounts.model import Account
from pipeline.accounts.permissions import needs_second_person, require, require_second
from pipeline.adapters.accounts import open_accounts
from pipeline.cli.secret_files import read_private
from pipeline.config import Settings
from pipeline.errors import Forbidden

TOKEN_FILE_VARIABLE = "ACCESSTRAIL_TOKEN_FILE"  # noqa: S105  the name of a variable

Result = TypeVar("Result")


def now_us() -> int:
    """The present, UTC microseconds: the one clock of the account commands."""
    return time.time_ns() // 1_000


def token_file_option(command: Callable[..., Result]) -> Callable[..., Result]:
    """Adds `--token-file`."""
    return click.option(
        "--token-file",
        type=click.Path(path_type=Path),
        help="Your personal token, a file of mode 0600 [env: ACCESSTRAIL_TOKEN_FILE].",
    )(command)


def second_token_file_option(command: Callable[..., Result]) -> Callable[..., Result]:
    """Adds `--second-token-file`, for what takes two people."""
    return click.option(
        "--second-token-file",
        type=click.Path(path_type=Path),
        help="Token of the second person, where it takes two.",
    )(command)


def acting(
    state_dir: Path, token_file: Path | None, action: str, *, environment: Mapping[str, str] | None = None
) -> Account:
    """The account that acts, allowed to do `action` (a name in `permissions.ACTIONS`).

    Raises: Forbidden: as `account_of`, or the role is missing: which one, and who can grant it; UsageError,
    ConfigError, Away: as there.
    """
    account = account_of(state_dir, token_file, environment=environment)
    require(account.name, account.roles, action)
    return account


def account_of(
    state_dir: Path, token_file: Path | None, *, environment: Mapping[str, str] | None = None
) -> Account:  # fmt: skip
    """The account of a token, whatever it may do.

    Raises: Forbidden: no token is given, or it is not valid; UsageError: the token file cannot be used; ConfigError,
    Away: the file of accounts cannot.
    """
    token = read_private(_token_file(token_file, os.environ if environment is None else environment), "token file")
    with open_accounts(state_dir) as accounts:
        return accounts.logins.account_of_token(token, now_us())


def acting_together(
    state_dir: Path,
    token_file: Path | None,
    second_token_file: Path | None,
    action: str,
    *,
    configured: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> tuple[Account, Account | None]:
    """Who acts, and the second person where the action takes two, else None.

    `configured`: actions for which the deployment asks a second person where it may. Raises: as `acting`.
    """
    first = acting(state_dir, token_file, action, environment=environment)
    if not needs_second_person(action, configured):
        return first, None
    if second_token_file is None:
        raise Forbidden(f"{action} takes two people: the other one gives --second-token-file FILE")
    token = read_private(second_token_file, "second token file")
    with open_accounts(state_dir) as accounts:
        second = accounts.logins.account_of_token(token, now_us())
    require_second(action, first.name, second.name, second.roles)
    return first, second


def acting_as(action: str) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Puts `acting` in front of a command whose first argument is its `Settings`; the command is given `account`."""

    def guard(command: Callable[..., Result]) -> Callable[..., Result]:
        @token_file_option
        @functools.wraps(command)
        def guarded(
            settings: Settings,
            *arguments: Any,  # noqa: ANN401  whatever the command's other options are
            token_file: Path | None,
            **options: Any,  # noqa: ANN401
        ) -> Result:
            account = acting(settings.state_dir, token_file, action)
            return command(settings, *arguments, account=account, **options)

        return guarded

    return guard


def _token_file(given: Path | None, environment: Mapping[str, str]) -> Path:
    if given is not None:
        return given
    if environment.get(TOKEN_FILE_VARIABLE):
        return Path(environment[TOKEN_FILE_VARIABLE])
    raise Forbidden(
        f"who asks? give --token-file FILE or set {TOKEN_FILE_VARIABLE}; `accesstrail users token NAME --out FILE` "
        "makes a token",
        code="no_token",
    )
