"""`accesstrail exceptions`: which detectors stay quiet about whom, why and until when; make one, end one, look ahead.

A name given here never leaves this process: it becomes its token, and only tokens are stored and sent. What an
exception held back is counted in the evidence itself, so the list can be checked by anybody's SQL.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from detectors.base import MODEL_DETECTOR
from detectors.exceptions import (
    DAY_US,
    DEFAULT_DAYS,
    KIND_NAMES,
    LONGEST_DAYS,
    STATE_KEYS,
    TOKEN_KINDS,
    AlertException,
    checked,
)
from detectors.model import unpack
from detectors.policy import HIGHEST_THRESHOLD
from detectors.rules import all_rules
from pipeline.accounts.model import Account
from pipeline.adapters.clickhouse import connect
from pipeline.adapters.exceptions import MOST_ROWS, ExceptionHistory, Hits
from pipeline.cli.acting import acting_as
from pipeline.cli.changing import SHOWN_ID, changing, finish, plain_reason, reasoned, refuse_unusable
from pipeline.cli.looking import Looker, Seen, looking_as
from pipeline.cli.options import moment, settings_options
from pipeline.cli.table import aligned, moment_of
from pipeline.config import Settings
from pipeline.errors import EXIT_OK, UsageError
from pipeline.events import DEFAULT_TENANT
from pipeline.exception_preview import Preview, preview
from pipeline.privacy.keys import Keyring
from pipeline.privacy.masks import mask_text
from pipeline.privacy.own_identifiers import without_word
from pipeline.stages.hold_back import floors_of
from pipeline.version_sets.activator import policy_of
from pipeline.version_sets.change_events import Requester
from pipeline.version_sets.exceptions import add_exception, end_exception, ended_exceptions, exceptions_of
from pipeline.version_sets.sets import Activation, canonical_version

PREVIEW_DAYS, PREVIEW_MOST_DAYS = 14, 30
IN_FORCE, EXPIRED, ENDED, OTHER_KEY = "in force", "expired", "ended", "other key"
_NOBODY = bytes(16).hex()
_SCOPE: Mapping[str, tuple[str, str]] = {
    # condition -> option, help
    "actor": ("--actor", "Account: its id."),
    "peer_group": ("--peer-group", "Department and role, as in retail/advisor."),
    "source_system": ("--source", "System that reports."),
    "source_instance": ("--source-instance", "One process or host of it."),
    "app_id": ("--app", "Application."),
    "resource_type": ("--resource-type", "Kind of object."),
    "endpoint": ("--endpoint", "Route, as stored with events."),
    "partner": ("--partner", "Organisation of the account."),
    "credential": ("--credential", "Credential: its id."),
    "subject": ("--subject", "Data subject: its id; only for the detector subject_looked_at_by_many."),
}
Result = TypeVar("Result")
Row = dict[str, Any]


@click.group("exceptions")
def exceptions_command() -> None:
    """Show, make and end exceptions: detectors that stay quiet about somebody or something for a time.

    An exception names the detectors that shall raise no alert, for whom or what (all conditions must hold), why, who
    answers for it, and until when. Scores and risks are never changed; what it holds back is marked in the evidence
    (`exception:ID` among the event's reasons, `held_back` of scheduled runs) and counted by `list`. Detectors that it
    does not name go on.
    """


def _scoped(command: Callable[..., Result]) -> Callable[..., Result]:
    """The options that say for whom or what, and which detectors; the command gets `scope`, a mapping."""

    def with_scope(settings: Settings, **options: Any) -> Result:  # noqa: ANN401  whatever the command's options are
        given = {name: options.pop(f"scope_{name}") for name in _SCOPE}
        return command(settings, scope={name: value for name, value in given.items() if value is not None}, **options)

    with_scope.__doc__, with_scope.__name__ = command.__doc__, command.__name__
    made: Callable[..., Result] = with_scope
    for option in (
        click.option("--up-to", type=click.FloatRange(0, HIGHEST_THRESHOLD / 100, min_open=True), metavar="LEVEL",
                     help="Holds up to this level of the model (of scheduled detectors: this risk); "
                     f"{MODEL_DETECTOR} needs it."),
        click.option("--kind", "kinds", multiple=True, type=click.Choice(KIND_NAMES), metavar="KIND",
                     help=f"Of {MODEL_DETECTOR} only findings led by such a feature; may be repeated."),
        click.option("--detector", "detectors", multiple=True, required=True, metavar="NAME",
                     help=f"Rule, scheduled detector or {MODEL_DETECTOR}; may be repeated."),
        *(click.option(option, f"scope_{name}", help=text) for name, (option, text) in reversed(list(_SCOPE.items()))),
    ):  # fmt: skip
        made = option(made)
    return made


@contextmanager
def _history(settings: Settings) -> Iterator[ExceptionHistory]:
    with closing(connect(settings.clickhouse, "reader")) as reader:
        yield ExceptionHistory(reader)


def _tokens(keyring: Keyring, scope: Mapping[str, str]) -> dict[str, str]:
    """The scope with tokens in place of identifiers; `keyring`: of canonical tokens, which outlast a rotation."""
    return {
        name: keyring.token(DEFAULT_TENANT, TOKEN_KINDS[name], value).hex() if name in TOKEN_KINDS else value
        for name, value in scope.items()
    }


def _draft(
    keyring: Keyring, scope: Mapping[str, str], detectors: Sequence[str], kinds: Sequence[str], up_to: float | None
) -> AlertException:
    """An exception of one day without reason and owner: enough to look ahead."""
    now_us = time.time_ns() // 1000
    return AlertException(
        scope=_tokens(keyring, scope), detectors=tuple(detectors), kinds=tuple(kinds),
        up_to=None if up_to is None else round(up_to * 100), owner=_NOBODY, reason="preview",
        key_version=keyring.version_id, created_us=now_us, valid_from_us=now_us, valid_until_us=now_us + DAY_US,
    )  # fmt: skip


def _without_names(reason: str, *names: str | None) -> str:
    """The reason with these names taken out and personal numbers masked."""
    for name in names:
        reason = without_word(reason, name, "[name]") if name else reason
    return mask_text(reason)


# -- changing


@exceptions_command.command("add")
@reasoned
@click.option("--owner", required=True, metavar="NAME", help="Account that answers for it; kept as a token.")
@click.option("--until", callback=moment, metavar="TIME", help="When it ends, excluded: a date or a time.")
@click.option(
    "--days", type=click.IntRange(1, LONGEST_DAYS), help=f"How long it lasts.  [default: {DEFAULT_DAYS}]"
)  # fmt: skip
@settings_options
@acting_as("manage_exceptions")
@_scoped
def add_command(
    settings: Settings, scope: Mapping[str, str], detectors: tuple[str, ...], kinds: tuple[str, ...],
    up_to: float | None, days: int | None, until: datetime | None, owner: str, reason: str, account: Account,
    *, as_json: bool,
) -> int:  # fmt: skip
    """Put an exception in force; no restart.

    It holds from now on, for events received before its end, and at most for 366 days. An exception of the model holds
    up to a level only, so that what is far rarer still raises its alert. Look ahead with `preview` first.

    \b
    Examples:
      accesstrail exceptions add --actor svc.reconcile --detector bulk_export --detector night_sweep --days 90 \\
        --owner wu.ling --reason 'nightly reconciliation, agreed in CHG-2231' --state ./state
      accesstrail exceptions add --peer-group audit/internal --detector isolation_forest --up-to 120 --kind audit \\
        --until 2026-12-31 --owner wu.ling --reason 'yearly audit' --state ./state

    Exit codes: 0 in force, 2 usage or refused, 69 unreachable, 77 not allowed, 78 configuration.
    """
    requester, why = Requester(account.name), plain_reason(reason)
    if days is not None and until is not None:
        raise UsageError("give --days or --until, not both")
    keyring = Keyring.load(settings.protection.token_keys_file).canonical
    draft = _draft(keyring, scope, detectors, kinds, up_to)
    lasts_us = (days or DEFAULT_DAYS) * DAY_US
    named = (owner, requester.actor_id, *(scope.get(name) for name in TOKEN_KINDS))
    exception = checked(
        replace(
            draft, owner=keyring.token(DEFAULT_TENANT, "actor", owner).hex(), reason=_without_names(why, *named),
            valid_until_us=round(until.timestamp() * 1e6) if until else draft.valid_from_us + lasts_us,
        )
    )  # fmt: skip
    with changing(settings) as change:
        newest = change.access.activations.newest(settings.kafka.events_topic)
        if newest is not None:
            refuse_unusable(change, newest.versions_id)
        made = add_exception(change.activator, change.access, exception, requester)
        _warn_of_unknown(settings, exception)
        if not as_json:
            click.echo(f"exception {exception.exception_id} until {moment_of(exception.valid_until_us)}")
        return finish(change, made, as_json=as_json, said={"exception_id": exception.exception_id})


def _warn_of_unknown(settings: Settings, exception: AlertException) -> None:
    with _history(settings) as history:
        known = history.knows(exception.scope, history.now_us() - PREVIEW_DAYS * DAY_US)
    if not known:
        click.echo(f"no event of the last {PREVIEW_DAYS} days lies in this scope: is every name right?", err=True)


@exceptions_command.command("end")
@click.argument("exception_id", metavar="ID")
@reasoned
@settings_options
@acting_as("manage_exceptions")
def end_command(settings: Settings, exception_id: str, reason: str, account: Account, *, as_json: bool) -> int:
    """End an exception: its detectors raise alerts again; no restart.

    ID is an exception's id, its first four digits or more. What it held back stays marked in the evidence.

    \b
    Example:
      accesstrail exceptions end 3fa94c --reason 'the job was moved to the warehouse' --state ./state

    Exit codes: 0 ended, 2 usage or refused, 69 unreachable, 77 not allowed, 78 configuration.
    """
    requester, why = Requester(account.name), plain_reason(reason)
    with changing(settings) as change:
        newest = change.access.activations.newest(settings.kafka.events_topic)
        if newest is not None:
            refuse_unusable(change, newest.versions_id)
        made, ended = end_exception(change.activator, change.access, exception_id, requester, why)
        if not as_json:
            click.echo(f"exception {ended.exception_id} has ended")
        return finish(change, made, as_json=as_json, said={"exception_id": ended.exception_id})


# -- reading


@exceptions_command.command("list")
@settings_options
@looking_as("search_evidence", look="rules")
@click.option("--all", "with_ended", is_flag=True, help="Also those that were ended.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object an exception.")
def list_command(settings: Settings, looker: Looker, *, with_ended: bool, as_json: bool) -> int:
    """List exceptions with what they held back: hits and the last one.

    States: in force; expired (listed until somebody ends it, does nothing); other key (its tokens were made with a
    token key that signs no more: it matches nobody, end it); ended. Hits are events at or above a threshold from which
    it took at least one reason, and findings in final windows of scheduled detectors.

    With a personal token the look is recorded before anything is printed.

    \b
    Examples:
      accesstrail exceptions list --state ./state
      accesstrail exceptions list --all --json --config /etc/accesstrail/config.toml
    """
    with changing(settings) as change:
        log = list(change.access.activations.history(settings.kafka.events_topic))
        newest = log[-1] if log else None
        present = exceptions_of(change.access.evidence, newest)
        ended = ended_exceptions(change.access.evidence, log) if with_ended else []
    with _history(settings) as history:
        now_us = history.now_us()
        shown = [*present, *(one.exception for one in ended)]
        hits = history.hits(min(one.created_us for one in shown)) if shown else {}
    rows = [_listed(one, _state(one, newest, now_us), hits) for one in present]
    rows += [
        {**_listed(one.exception, ENDED, hits), "ended_at": moment_of(one.by.activated_at_us),
         "ended_because": one.by.reason}
        for one in ended
    ]  # fmt: skip
    question = {"command": "exceptions list", "with_ended": with_ended}
    looker.tell(Seen(look="rules", rows=len(rows), question=question))
    if as_json:
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))
        return EXIT_OK
    names = ("id", "state", "until", "hits", "last hit", "scope", "detectors", "owner", "reason")
    for line in aligned(names, [_cells(row) for row in rows]):
        click.echo(line)
    return EXIT_OK


def _state(one: AlertException, newest: Activation | None, now_us: int) -> str:
    if newest is not None and canonical_version(newest.parts) != one.key_version:
        return OTHER_KEY
    return IN_FORCE if one.holds_at(now_us) else EXPIRED


def _listed(one: AlertException, state: str, hits: Mapping[str, Hits]) -> Row:
    """An exception in plain values; times ISO 8601 in UTC, levels as risks."""
    held = hits.get(one.exception_id, Hits(0, 0))
    plain = one.as_json()
    for name in ("created", "valid_from", "valid_until"):
        plain[f"{name}_at" if name == "created" else name] = moment_of(plain.pop(f"{name}_us"))
    plain["up_to"] = None if one.up_to is None else one.up_to / 100
    return {
        **plain, "state": state, "hits": held.count, "last_hit": moment_of(held.last_us) if held.count else None,
    }  # fmt: skip


def _cells(row: Row) -> list[Any]:
    scope = {
        name: value[:SHOWN_ID] if name in TOKEN_KINDS else value for name, value in row["scope"].items()
    }  # fmt: skip
    up_to = "" if row["up_to"] is None else f" up to {row['up_to']:g}"
    return [
        row["exception_id"], row["state"], row["valid_until"], row["hits"], row["last_hit"] or "-", scope,
        ", ".join(row["detectors"]) + up_to, row["owner"][:SHOWN_ID], row["reason"],
    ]  # fmt: skip


@exceptions_command.command("export")
@settings_options
@looking_as("search_evidence", look="rules")
@click.option("--output", type=click.Path(path_type=Path), help="File to write.  [default: standard output]")
def export_command(settings: Settings, looker: Looker, output: Path | None) -> int:
    """Write the exceptions in force as JSON, one a line, for `accesstrail score --exceptions`.

    They hold tokens, never identifiers: `score` needs the same token keys (--state or --config).

    \b
    Example:
      accesstrail exceptions export --output exceptions.ndjson --state ./state
    """
    with changing(settings) as change:
        newest = change.access.activations.newest(settings.kafka.events_topic)
        present = exceptions_of(change.access.evidence, newest)
    lines = "".join(json.dumps(one.as_json(), ensure_ascii=False, sort_keys=True) + "\n" for one in present)
    looker.tell(Seen(look="rules", rows=len(present), question={"command": "exceptions export"}))
    if output is None:
        click.echo(lines, nl=False)
    else:
        output.write_text(lines, encoding="utf-8")
    click.echo(f"{len(present)} exception(s)", err=True)
    return EXIT_OK


@exceptions_command.command("preview")
@settings_options
@looking_as("search_evidence", look="rules")
@click.option(
    "--last", "days", default=PREVIEW_DAYS, show_default=True, type=click.IntRange(1, PREVIEW_MOST_DAYS),
    metavar="DAYS", help="Days of stored history, by receipt.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@_scoped
def preview_command(
    settings: Settings, looker: Looker, scope: Mapping[str, str], detectors: tuple[str, ...], kinds: tuple[str, ...],
    up_to: float | None, days: int, *, as_json: bool,
) -> int:  # fmt: skip
    """Say what such an exception would have held back in the last days; changes nothing.

    Events are judged by the thresholds in force now. Shown are the events in scope that reach one, those of which
    nothing would be left, and the alerts that would not have been raised, the worst of them by name: look at these
    before you make it.

    \b
    Examples:
      accesstrail exceptions preview --actor svc.reconcile --detector bulk_export --state ./state
      accesstrail exceptions preview --source crm --detector isolation_forest --up-to 120 --last 30 --state ./state
    """
    keyring = Keyring.load(settings.protection.token_keys_file).canonical
    draft = _draft(keyring, scope, detectors, kinds, up_to)
    one = checked(replace(draft, owner=keyring.token(DEFAULT_TENANT, "actor", "preview").hex()))
    with changing(settings) as change:
        newest = change.access.activations.newest(settings.kafka.events_topic)
        if newest is None or "model" not in newest.parts:
            raise UsageError("no model is in force, so nothing can alert: give the system a usable model first")
        policy = policy_of(change.access.evidence, newest)
        model = unpack(change.access.evidence.load_artefact(newest.parts["model"]))
    scheduled = [name for name in one.detectors if name in STATE_KEYS]
    with _history(settings) as history:
        since_us = history.now_us() - days * DAY_US
        in_stream = len(scheduled) < len(one.detectors)
        least = policy.least_risk
        events = history.events(one.scope, since_us, least) if in_stream else ()
        alerted = history.alerted(one.scope, since_us, scheduled) if scheduled else set()
        alerts = history.alerts(since_us)
    found = preview(one, events, alerts, alerted, policy, floors_of(all_rules(), model))
    question = {
        "command": "exceptions preview", "scope": dict(one.scope), "detectors": detectors, "kinds": kinds,
        "up_to": one.up_to, "days": days,
    }  # fmt: skip
    looker.tell(Seen(look="rules", rows=found.reaching, question=question))
    _say_preview(one, found, days, as_json=as_json)
    if max(len(events), len(alerts)) >= MOST_ROWS:
        click.echo(f"only the newest {MOST_ROWS:,} rows were looked at: the numbers are too small", err=True)
    return EXIT_OK


def _say_preview(one: AlertException, found: Preview, days: int, *, as_json: bool) -> None:
    worst = [
        {"alert_id": alert.alert_id, "event_time": moment_of(alert.time_us), "risk": alert.risk / 100,
         "severity": alert.severity, "detector": alert.detector}
        for alert in found.worst
    ]  # fmt: skip
    if as_json:
        body = {
            "days": days, "scope": dict(one.scope), "detectors": list(one.detectors), "events_reaching": found.reaching,
            "events_held_back": found.held_back, "alerts_held_back": dict(sorted(found.alerts.items())), "worst": worst,
        }  # fmt: skip
        click.echo(json.dumps(body, ensure_ascii=False))
        return
    click.echo(f"last {days} days, thresholds in force now:")
    click.echo(
        f"  {found.reaching:,} events in scope reach a threshold, {found.held_back:,} of them would raise nothing"
    )
    counts = ", ".join(f"{name} {count:,}" for name, count in sorted(found.alerts.items()))
    click.echo(f"  {found.alerts.total():,} alerts would not have been raised" + (f": {counts}" if counts else ""))
    if worst:
        for line in aligned(list(worst[0]), [list(alert.values()) for alert in worst]):
            click.echo(f"  {line}")
