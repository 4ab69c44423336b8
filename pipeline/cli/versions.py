"""`accesstrail versions`: which version set events are judged under, since when and by whom; put another one in force.

Reading is done as the role reader, on views. What a person changes goes through the activation log, exactly as a
worker's own change does, and is told as an access event with the person's name and reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import click

from detectors.policy import HIGHEST_THRESHOLD, LOWEST_THRESHOLD, level_in_words
from pipeline.accounts.model import Account
from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.cli.acting import acting_as
from pipeline.cli.changing import (
    SHOWN_ID,
    changing,
    finish,
    plain_reason,
    reasoned,
    refuse_untrusted,
    refuse_unusable,
)
from pipeline.cli.options import settings_options
from pipeline.cli.table import aligned, plain_row
from pipeline.config import Settings
from pipeline.errors import EXIT_DIFFERENCES, EXIT_OK, UsageError
from pipeline.version_sets.change_events import Requester
from pipeline.version_sets.sets import changed_parts

_COLUMNS = (
    "number, activated_at, kind, versions_id, previous_id, threshold / 100 AS threshold, by_token, reason, event_id, "
    "announced, parts"
)
_SHORTEST_PREFIX = 6
_NOBODY = bytes(16).hex()

Row = dict[str, Any]


@click.group("versions")
def versions_command() -> None:
    """Show which version set events are judged under, and put another one in force.

    A version set is everything an event is judged by besides itself and its actor's history: directory, model, alert
    threshold, rules, configuration. Changed files are taken up by the running workers by themselves; these commands
    show what was taken up and go back. An ID is a set's hexadecimal id, its first six digits or more, or the number of
    an activation.
    """


# -- reading


def _log(settings: Settings, limit: int = 1_000_000) -> list[Row]:
    """The activation log of the configured topic, newest first."""
    sql = (
        f"SELECT {_COLUMNS} FROM accesstrail.version_activations WHERE topic = {{topic:String}} "  # noqa: S608  our own
        "ORDER BY number DESC LIMIT {limit:UInt64}"
    )
    with closing(connect(settings.clickhouse, "reader")) as reader:
        return _named(reader, sql, {"topic": settings.kafka.events_topic, "limit": limit})


def _named(reader: ClickHouse, sql: str, parameters: Mapping[str, object]) -> list[Row]:
    rows, columns = reader.query_with_columns(sql, parameters)
    names, types = [name for name, _ in columns], [kind for _, kind in columns]
    return [dict(zip(names, plain_row(row, types), strict=True)) for row in rows]


def _found(log: Sequence[Row], text: str) -> Row:
    """The newest activation that an ID names. Raises: UsageError: none, or more than one set."""
    wanted = text.lower()
    if wanted.isdecimal() and len(wanted) < _SHORTEST_PREFIX:
        named = [row for row in log if row["number"] == int(wanted)]
    elif len(wanted) < _SHORTEST_PREFIX:
        raise UsageError(f"give at least {_SHORTEST_PREFIX} digits of a version set's id, or an activation's number")
    else:
        named = [row for row in log if row["versions_id"].startswith(wanted)]
    if not named:
        raise UsageError(f"no version set {text} was ever in force here: see `accesstrail versions list`")
    if len({row["versions_id"] for row in named}) > 1:
        raise UsageError(f"{text} is the beginning of several version sets: give more digits")
    return named[0]


def _newest(log: Sequence[Row]) -> Row:
    if not log:
        raise UsageError("no version set is in force yet: start a worker first")
    return log[0]


def _by(row: Row) -> str:
    return "accesstrail" if row["by_token"] == _NOBODY else f"actor {row['by_token'][:SHOWN_ID]}"


@versions_command.command("list")
@settings_options
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100_000), help="Newest activations.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object an activation.")
def list_command(settings: Settings, limit: int, *, as_json: bool) -> int:
    """List what was put in force, newest first; the first line is in force now.

    \b
    Examples:
      accesstrail versions list --state ./state
      accesstrail versions list --config /etc/accesstrail/config.toml --json

    Who asked for a change is shown as a token; `accesstrail search --actor NAME` finds a person's changes.
    """
    log = _log(settings, limit)
    if as_json:
        for row in log:
            click.echo(json.dumps(row, ensure_ascii=False))
        return EXIT_OK
    names = ("number", "since", "version set", "kind", "threshold", "by", "told", "reason")
    cells = [
        [
            row["number"], row["activated_at"], row["versions_id"][:SHOWN_ID], row["kind"], f"{row['threshold']:g}",
            _by(row), "yes" if row["announced"] else "-", row["reason"],
        ]
        for row in log
    ]  # fmt: skip
    for line in aligned(names, cells):
        click.echo(line)
    return EXIT_OK


@versions_command.command("show")
@click.argument("versions_id", metavar="[ID]", required=False)
@settings_options
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def show_command(settings: Settings, versions_id: str | None, *, as_json: bool) -> int:
    """Show one version set: its parts, since when it is or was in force, and what was judged under it.

    Without ID: the set in force.

    \b
    Examples:
      accesstrail versions show --state ./state
      accesstrail versions show 3fa94c --state ./state --json
    """
    log = _log(settings)
    row = _found(log, versions_id) if versions_id else _newest(log)
    document: Row = {**row, "in_force": row["versions_id"] == log[0]["versions_id"], **_judged(settings, row)}
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False))
        return EXIT_OK
    state = "in force" if document["in_force"] else "not in force"
    click.echo(f"version set {row['versions_id']} ({state})")
    click.echo(f"  activation  {row['number']} ({row['kind']}) at {row['activated_at']} by {_by(row)}: {row['reason']}")
    click.echo(f"  judged      {document['events']:,} events in {document['batches']:,} sealed batches")
    click.echo(f"  alerts      {level_in_words(round(row['threshold'] * 100))}")
    for name, value in sorted(row["parts"].items()):
        click.echo(f"  {name:22}  {value or '-'}")
    return EXIT_OK


def _judged(settings: Settings, row: Row) -> Row:
    """What the ledger has sealed under the set."""
    sql = (
        "SELECT count() AS batches, sum(n_events) AS events, max(last_received_at) AS last_received_at "
        "FROM accesstrail.ledger WHERE topic = {topic:String} AND versions_id = toFixedString(unhex({id:String}), 32)"
    )
    with closing(connect(settings.clickhouse, "reader")) as reader:
        found = _named(reader, sql, {"topic": settings.kafka.events_topic, "id": row["versions_id"]})[0]
    return found if found["batches"] else {**found, "last_received_at": None}


@versions_command.command("diff")
@click.argument("first", metavar="[ID]", required=False)
@click.argument("second", metavar="[ID]", required=False)
@settings_options
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def diff_command(settings: Settings, first: str | None, second: str | None, *, as_json: bool) -> int:
    """Show which parts differ between two version sets.

    With one ID: from that set to the one in force. Without: from the set before to the one in force.

    \b
    Examples:
      accesstrail versions diff --state ./state
      accesstrail versions diff 3fa94c 88d01b --state ./state --json

    Exit codes: 0 equal, 1 they differ, 2 usage, 69 unreachable.
    """
    log = _log(settings)
    after = _found(log, second) if second else _newest(log)
    before = _found(log, first) if first else _before(log, after)
    changed = changed_parts(before["parts"], after["parts"])
    if as_json:
        parts = {name: {"from": before["parts"].get(name), "to": after["parts"].get(name)} for name in changed}
        click.echo(json.dumps({"from": before["versions_id"], "to": after["versions_id"], "changed": parts}))
    else:
        click.echo(f"from {before['versions_id'][:SHOWN_ID]} to {after['versions_id'][:SHOWN_ID]}")
        for name in changed:
            old, new = (str(one["parts"].get(name) or "-")[:SHOWN_ID] for one in (before, after))
            note = f"  ({before['threshold']:g} to {after['threshold']:g})" if name == "policy" else ""
            click.echo(f"  {name:22}  {old} to {new}{note}")
        if not changed:
            click.echo("  no part differs")
    return EXIT_DIFFERENCES if changed else EXIT_OK


def _before(log: Sequence[Row], after: Row) -> Row:
    older = [one for one in log if one["number"] < after["number"] and one["versions_id"] != after["versions_id"]]
    if not older:
        raise UsageError("there was no version set before this one")
    return older[0]


# -- changing


@versions_command.command("use")
@click.argument("versions_id", metavar="ID")
@reasoned
@settings_options
@acting_as("change_versions")
def use_command(settings: Settings, versions_id: str, reason: str, account: Account, *, as_json: bool) -> int:
    """Put a version set in force that was in force before; no restart.

    It stays until the configured files change again. A set that another version of accesstrail made is refused.

    \b
    Example:
      accesstrail versions use 3fa94c --reason 'the new model alerts too often' --state ./state

    Exit codes: 0 in force, 2 usage or refused, 69 unreachable, 77 not allowed, 78 configuration.
    """
    requester, why = Requester(account.name), plain_reason(reason)
    wanted = bytes.fromhex(_found(_log(settings), versions_id)["versions_id"])
    with changing(settings) as change:
        refuse_unusable(change, wanted)
        refuse_untrusted(change, wanted)
        made = change.activator.use(change.access.activations, wanted, requester, why)
        return finish(change, made, as_json=as_json)


@versions_command.command("rollback")
@reasoned
@settings_options
@acting_as("change_versions")
def rollback_command(settings: Settings, reason: str, account: Account, *, as_json: bool) -> int:
    """Put the version set in force again that was in force before the present one; no restart.

    It stays until the configured files change again. Twice returns to where you were; for older sets see
    `accesstrail versions use`.

    \b
    Example:
      accesstrail versions rollback --reason 'wrong directory export' --state ./state

    Exit codes: 0 in force, 2 usage or refused, 69 unreachable, 77 not allowed, 78 configuration.
    """
    requester, why = Requester(account.name), plain_reason(reason)
    log = _log(settings)
    wanted = bytes.fromhex(_before(log, _newest(log))["versions_id"])
    with changing(settings) as change:
        refuse_unusable(change, wanted)
        refuse_untrusted(change, wanted)
        made = change.activator.rollback(change.access.activations, requester, why)
        return finish(change, made, as_json=as_json)


@versions_command.command("threshold")
@click.argument("level", metavar="LEVEL", type=click.FloatRange(LOWEST_THRESHOLD / 100, HIGHEST_THRESHOLD / 100))
@reasoned
@settings_options
@acting_as("change_versions")
def threshold_command(settings: Settings, level: float, reason: str, account: Account, *, as_json: bool) -> int:
    """Let the model's alerts fire from this LEVEL on (35 to 600); no restart.

    LEVEL is the risk without its upper end at 100: 60 is one event in 1,000, 80 one in 10,000, 120 one in a million.
    It stays with the model in use: a changed directory keeps it, another model brings its own. What rules alone must
    reach stays as the model's training set it.

    \b
    Example:
      accesstrail versions threshold 112.5 --reason 'twice the budget last week' --state ./state

    Exit codes: 0 in force, 2 usage or refused, 69 unreachable, 77 not allowed, 78 configuration.
    """
    requester, why = Requester(account.name), plain_reason(reason)
    with changing(settings) as change:
        newest = change.access.activations.newest(settings.kafka.events_topic)
        if newest is not None:
            refuse_unusable(change, newest.versions_id)
        made = change.activator.set_threshold(
            change.access.evidence, change.access.activations, round(level * 100), requester, why
        )
        return finish(change, made, as_json=as_json)
