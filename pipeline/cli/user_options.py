"""Options that the commands of `accesstrail users` share.

Place in the flow: below `users.py` and `user_credentials.py`. No option holds a password: what stands on a command
line is seen by every process of the machine.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from pipeline.cli.account_news import tell_of_accounts, tell_of_folder
from pipeline.cli.options import settings_of
from pipeline.cli.secret_files import read_private

Result = TypeVar("Result")


def folder_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """Adds `--state` and `--config`, and gives the command the state folder; then tells of what was changed.

    Unlike other commands, `--state DIR` need not have been started: accounts come before the first start.
    """

    @click.option("--state", "state_dir", type=click.Path(path_type=Path), help="State folder.")
    @click.option(
        "--config", "config_file", type=click.Path(path_type=Path), help="Configuration file [env: ACCESSTRAIL_CONFIG]."
    )
    @functools.wraps(command)
    def with_folder(
        *arguments: Any,  # noqa: ANN401  whatever the command's other options are
        state_dir: Path | None,
        config_file: Path | None,
        **options: Any,  # noqa: ANN401
    ) -> Result:
        if state_dir is None or config_file is not None:
            settings = settings_of(state_dir, config_file, os.environ)
            result = command(settings.state_dir, *arguments, **options)
            tell_of_accounts(settings)
            return result
        result = command(state_dir, *arguments, **options)
        tell_of_folder(state_dir)
        return result

    return with_folder


def reason_option(command: Callable[..., Result]) -> Callable[..., Result]:
    """Adds `--reason`, which every change of somebody's account needs."""
    return click.option("--reason", required=True, help="Why; kept with the change.")(command)


def json_option(command: Callable[..., Result]) -> Callable[..., Result]:
    """Adds `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="As JSON on standard output.")(command)


def password_file_option(command: Callable[..., Result]) -> Callable[..., Result]:
    """Adds `--password-file`."""
    return click.option(
        "--password-file",
        type=click.Path(path_type=Path),
        help="Password in a file of mode 0600.  [default: asked for]",
    )(command)


def password_of(file: Path | None, prompt: str, *, new: bool = False) -> str:
    """The password in the file, else asked for without echo, twice where it is a new one."""
    if file is not None:
        return read_private(file, "password file")
    return str(click.prompt(prompt, hide_input=True, confirmation_prompt=new, err=True))
