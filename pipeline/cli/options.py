"""Options that every command which talks to a running system shares: `--state DIR` or `--config FILE`.

`--state DIR` is a local stack (its generated `config.toml` lies there); `--config FILE`, or the environment variable
`ACCESSTRAIL_CONFIG`, names the configuration of any other deployment. What is given on the command line wins.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from pipeline.config import CONFIG_VARIABLE, Settings, load
from pipeline.errors import UsageError

STATE_CONFIG_NAME = "config.toml"

Result = TypeVar("Result")


def settings_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """Adds `--state` and `--config` to a command and gives it the checked `Settings` as its first argument.

    Raises (when the command runs): UsageError: both or neither given; ConfigError: the configuration is wrong.
    """

    @click.option("--state", "state_dir", type=click.Path(path_type=Path), help="Folder of a local stack.")
    @click.option(
        "--config", "config_file", type=click.Path(path_type=Path), help="Configuration file [env: ACCESSTRAIL_CONFIG]."
    )
    @functools.wraps(command)
    def with_settings(
        *arguments: Any,  # noqa: ANN401  whatever the command's other options are
        state_dir: Path | None,
        config_file: Path | None,
        **options: Any,  # noqa: ANN401
    ) -> Result:
        return command(settings_of(state_dir, config_file, os.environ), *arguments, **options)

    return with_settings


def moment(context: click.Context, option: click.Parameter, text: str | None) -> datetime | None:
    """Callback of an option: an ISO 8601 time or date; UTC where it names no zone."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as exc:
        raise click.BadParameter("give a date or a time, e.g. 2026-11-20 or 2026-11-20T08:00:00+08:00") from exc
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def us_of(given: datetime | None, otherwise: int = 0) -> int:
    """A time that an option gave, UTC microseconds; `otherwise` where it was not given."""
    return otherwise if given is None else round(given.timestamp() * 1_000_000)


def config_path(state_dir: Path | None, config_file: Path | None, environment: Mapping[str, str]) -> Path:
    """The configuration file that the options name.

    Raises: UsageError: both, or neither and no environment variable.
    """
    if state_dir is not None and config_file is not None:
        raise UsageError("give --state DIR (a local stack) or --config FILE, not both")
    if state_dir is not None:
        path = state_dir / STATE_CONFIG_NAME
        if not path.is_file():
            raise UsageError(
                f"{state_dir} holds no {STATE_CONFIG_NAME}: start it with `accesstrail up --state {state_dir}`"
            )
        return path
    if config_file is not None:
        return config_file
    if environment.get(CONFIG_VARIABLE):
        return Path(environment[CONFIG_VARIABLE])
    raise UsageError(f"which system? give --state DIR (a local stack), --config FILE, or set {CONFIG_VARIABLE}")


def settings_of(state_dir: Path | None, config_file: Path | None, environment: Mapping[str, str]) -> Settings:
    """The checked settings that the options name. Raises: UsageError; ConfigError."""
    return load(config_path(state_dir, config_file, environment), environment)
