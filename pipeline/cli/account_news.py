"""Telling `access.events` of changes of accounts, from commands: now if Kafka answers, else whoever comes next does.

Place in the flow: after every `accesstrail users …`, with every command that changes what is in force or handles an
incident, and at a worker's start.
"""

from __future__ import annotations

import logging
from pathlib import Path

import click

from pipeline.adapters.account_announcements import announce_account_changes, is_anything_unannounced
from pipeline.adapters.kafka import EventProducer
from pipeline.cli.options import STATE_CONFIG_NAME, settings_of
from pipeline.config import Settings
from pipeline.errors import AccesstrailError, Away, ConfigError, UsageError
from pipeline.ports import EventSender

_log = logging.getLogger(__name__)


def tell_of_accounts(settings: Settings) -> None:
    """Tells what is still to be told, and says so where Kafka cannot take it; never fails."""
    try:
        if not is_anything_unannounced(settings.state_dir):
            return
        producer = EventProducer(settings.kafka.bootstrap_servers, settings.kafka.events_topic)
        try:
            announce_account_changes(settings.state_dir, producer)
        finally:
            producer.close()
    except (Away, ConfigError, UsageError) as exc:
        click.echo(f"changes of accounts are kept, but Kafka has not been told ({exc.code}): done later", err=True)


def tell_at_start(settings: Settings, sender: EventSender) -> None:
    """The same for a process that runs: what cannot be told is logged and left to the next."""
    try:
        announce_account_changes(settings.state_dir, sender)
    except (Away, ConfigError, UsageError) as exc:
        _log.warning("changes of accounts could not be told: code=%s", exc.code)


def tell_of_folder(state_dir: Path) -> None:
    """The same where only the state folder is known; nothing where no system was started in it yet."""
    if not (state_dir / STATE_CONFIG_NAME).is_file():
        return
    try:
        settings = settings_of(state_dir, None, {})
    except AccesstrailError as exc:
        click.echo(f"changes of accounts are kept, but the configuration cannot be used ({exc.code})", err=True)
        return
    tell_of_accounts(settings)
