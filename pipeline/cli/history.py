"""Files of history on the command line: which there are, what is wrong in them, how far the work is, whose keys."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import click

from pipeline.cli.options import settings_of
from pipeline.errors import UsageError
from pipeline.offline import EventFile
from pipeline.privacy.keys import Keyring
from pipeline.stages.decode import REASONS

_SHOWN_FAULTS = 20
DEFAULT_TIME_ZONE = "Asia/Shanghai"


class Progress:
    """Counts on standard error, at most every 50,000 events of each step."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def __call__(self, step: str, count: int) -> None:
        """`count` events of this step are done."""
        if count >= self._next.get(step, 50_000):
            click.echo(f"{step} {count:,} events", err=True)
            self._next[step] = count + 50_000


def existing(paths: Iterable[str]) -> list[str]:
    """The paths, all of which are files or "-". Raises: UsageError."""
    found = list(paths)
    missing = [path for path in found if path != "-" and not Path(path).is_file()]
    if missing:
        raise UsageError(f"no such file: {', '.join(missing)}")
    return found


def report_faults(events: EventFile) -> None:
    """Says on standard error which lines are invalid, the first twenty of them."""
    for path, number, reason in events.faults[:_SHOWN_FAULTS]:
        click.echo(f"{path}:{number}: {reason}: {REASONS.get(reason, reason)}", err=True)
    if len(events.faults) > _SHOWN_FAULTS:
        click.echo(f"… and {len(events.faults) - _SHOWN_FAULTS} more invalid lines", err=True)


def keyring_of(state_dir: Path | None, config_file: Path | None) -> tuple[Keyring, str]:
    """The deployment's keys where one is named: only then do token-dependent estimates equal the stream's."""
    if state_dir is None and config_file is None:
        return Keyring.offline(), DEFAULT_TIME_ZONE
    settings = settings_of(state_dir, config_file, os.environ)
    return Keyring.load(settings.protection.token_keys_file), settings.detection.default_time_zone
