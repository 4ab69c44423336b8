"""Changing what is in force, as a person: who asks and why, the store as the role writer, the telling of it.

Place in the flow: beside it; what `accesstrail versions`, `exceptions` and `models` share. Every change goes through
the activation log, exactly as a worker's own change does, and is told as an access event with account and reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TypeVar

import click

from pipeline.adapters.activations import open_activations
from pipeline.adapters.kafka import EventProducer
from pipeline.adapters.store import open_store
from pipeline.cli.account_news import tell_of_accounts
from pipeline.config import Settings
from pipeline.errors import EXIT_OK, Away, BrokenInvariant, ConfigError, ModelRejected, StoreRefused, UsageError
from pipeline.privacy.key_file import KeyFile
from pipeline.version_sets.activator import Activator
from pipeline.version_sets.files import ConfiguredFiles
from pipeline.version_sets.judgements import StoreAccess, restore
from pipeline.version_sets.sets import Activation, VersionSet
from pipeline.version_sets.watch import POLL_S, announce

SHOWN_ID = 12
Result = TypeVar("Result")


@dataclass(slots=True)
class Change:
    """What a changing command needs; the store as the role writer."""

    settings: Settings
    keys: KeyFile
    activator: Activator
    access: StoreAccess


@contextmanager
def changing(settings: Settings) -> Iterator[Change]:
    """The store as the role writer, for one change. Raises: Away; ConfigError."""
    keys = KeyFile(settings.protection.token_keys_file)
    activator = Activator(settings.kafka.events_topic, ConfiguredFiles(settings, keys))
    with (
        closing(open_store(settings.clickhouse)) as evidence,
        closing(open_activations(settings.clickhouse)) as activations,
    ):
        yield Change(settings, keys, activator, StoreAccess(evidence, activations))


def reasoned(command: Callable[..., Result]) -> Callable[..., Result]:
    """The options of every command that changes what is in force."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="The activation as one JSON object."),
        click.option("--reason", required=True, help="Why; kept with the change, personal data in it masked."),
    ):
        command = option(command)
    return command


def plain_reason(text: str) -> str:
    """The reason without blanks around it. Raises: UsageError: empty or too long."""
    if not text.strip() or len(text) > 2000:
        raise UsageError("--reason must be a text of 1 to 2,000 characters")
    return text.strip()


def refuse_unusable(change: Change, versions_id: bytes) -> None:
    """A set must be complete in the store and of this version of the code. Raises: UsageError."""
    try:
        restore(change.access.evidence, versions_id, change.activator.files)
    except BrokenInvariant as exc:
        raise UsageError(f"refused: {exc}", code=exc.code) from None


def refuse_untrusted(change: Change, versions_id: bytes) -> None:
    """Where models must be signed, so must that of a set which comes back. Raises: UsageError."""
    parts = VersionSet.from_content(change.access.evidence.load_artefact(versions_id.hex())).parts
    try:
        trusted = change.activator.files.trusts(parts)
    except ModelRejected as exc:
        raise UsageError(f"refused: {exc}", code=exc.code) from None
    if not trusted:
        raise UsageError("refused: no known key has signed the model of this set", code="model_unsigned")


def finish(change: Change, made: Activation, *, as_json: bool, said: Mapping[str, object] | None = None) -> int:
    """Tells of the change, and says what was done; `said`: what the command's JSON says besides."""
    told = _told(change, made)
    if told:
        tell_of_accounts(change.settings)
    if as_json:
        body = {
            "number": made.number, "versions_id": made.versions_id.hex(), "previous_id": made.previous_id.hex(),
            "kind": made.kind, "threshold": made.threshold / 100, "event_id": str(made.event_id), "announced": told,
            **(said or {}),
        }  # fmt: skip
        click.echo(json.dumps(body))
        return EXIT_OK
    click.echo(f"version set {made.versions_id.hex()[:SHOWN_ID]} is in force (activation {made.number})")
    click.echo(f"running workers take it up between two batches, within {POLL_S:.0f} s and the batch under way")
    if not told:
        click.echo("Kafka does not answer now: a worker tells of this change as soon as it does", err=True)
    return EXIT_OK


def _told(change: Change, made: Activation) -> bool:
    kafka = change.settings.kafka
    producer = EventProducer(kafka.bootstrap_servers, kafka.events_topic)
    try:
        announce(made, producer, change.access, change.keys.current)
    except (Away, ConfigError, StoreRefused):
        return False
    finally:
        producer.close()
    return True
