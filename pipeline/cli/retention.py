"""`accesstrail retention`: what has had its time is shown, deleted, and what was deleted is told.

Place in the flow: the job's steps are in `retention_job.py`; classes and times in the section [retention].
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict

import click

from pipeline.accounts.model import Account
from pipeline.adapters.clickhouse import connect
from pipeline.adapters.evidence_reading import EvidenceReader
from pipeline.adapters.holds import HoldReader
from pipeline.adapters.retention import Due, RetentionStore
from pipeline.audit.rights_events import RETENTION as RETENTION_EVENT
from pipeline.audit.rights_events import RightsEvent
from pipeline.cli.acting import acting_as, now_us
from pipeline.cli.announcing import announce_right
from pipeline.cli.options import settings_options
from pipeline.cli.retention_job import RetentionJob
from pipeline.cli.table import aligned, moment_of
from pipeline.config import RETENTION, Settings
from pipeline.errors import EXIT_OK, UsageError
from pipeline.events import DEFAULT_TENANT
from pipeline.privacy.keys import Keyring
from pipeline.retention.runs import RetentionRun, run_of

_LOOK_AGAIN_S = 0.5


@click.group("retention")
def retention_command() -> None:
    """What has had its time is deleted; the hashes of its leaves stay, so that the ledger can still be verified."""


@retention_command.command("plan")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a class.")
@settings_options
@acting_as("plan_retention")
def plan_command(settings: Settings, account: Account, *, as_json: bool) -> int:
    """Say how many rows of each class have had their time, and how many of these stay.

    \b
    Example:
      accesstrail retention plan --state ./state
    """
    rows = []
    with closing(connect(settings.clickhouse, "reader")) as client:
        holds = HoldReader(client).in_force()
        for run in _wanted(settings, ""):
            due = RetentionStore(client).due(run, holds)
            rows.append((run, due))
    if as_json:
        for run, due in rows:
            body = {"class": run.retention_class, "days": run.days, "before": moment_of(run.bound_us), **asdict(due)}
            click.echo(json.dumps(body))
        return EXIT_OK
    names = ["class", "days", "received before", "accesses", "dead letters", "held", "kept"]
    cells = [
        [run.retention_class, run.days, moment_of(run.bound_us), due.events, due.dead_letters, due.held, due.kept]
        for run, due in rows
    ]
    for line in aligned(names, cells):
        click.echo(line)
    return EXIT_OK


def _wanted(settings: Settings, by: str) -> list[RetentionRun]:
    retention, at_us = settings.retention, now_us()
    return [
        run_of(str(uuid.uuid4()), name, days, max(days, retention.provision_days), at_us, by)
        for name, days in retention.classes.items()
    ]


@retention_command.command("run")
@click.option("--wait", "wait_s", default=60.0, show_default=True, help="Seconds for the announcement to be sealed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a run.")
@settings_options
@acting_as("run_retention")
def run_command(settings: Settings, account: Account, wait_s: float, *, as_json: bool) -> int:
    """Delete what has had its time and no hold keeps. What was begun and not ended is ended first.

    Each run is an access event before anything is deleted. Meant for every night, by cron or a timer.

    \b
    Example:
      accesstrail retention run --state ./state

    Exit codes: 0 done, 69 unreachable or not sealed in time (run it again), 70 evidence does not verify: nothing was
    deleted, 77 not allowed, 78 configuration.
    """
    if RETENTION not in settings.clickhouse.password_files:
        raise UsageError("[clickhouse] retention_password_file is missing: retention has a role of its own")
    keyring = Keyring.load(settings.protection.token_keys_file).canonical
    by = keyring.token(DEFAULT_TENANT, "actor", account.name).hex()
    with closing(connect(settings.clickhouse, RETENTION)) as client:
        job = RetentionJob(
            RetentionStore(client), HoldReader(client), EvidenceReader(client), settings.ledger.deployment,
            lambda run, due: _announce(settings, account, run, due), lambda look: _await(look, wait_s),
        )  # fmt: skip
        ended = []
        for wanted in _wanted(settings, by):
            while (made := job.run(wanted)) is not None:
                ended.append(made)
                if made[0] == wanted:
                    break
    for run, due in ended:
        body = {"run_id": run.run_id, "class": run.retention_class, "before": moment_of(run.bound_us), **asdict(due)}
        click.echo(json.dumps(body) if as_json else _told(run, due))
    if not ended and not as_json:
        click.echo("nothing has had its time")
    return EXIT_OK


def _told(run: RetentionRun, due: Due) -> str:
    return (
        f"{run.retention_class}: {due.events:,} accesses and {due.dead_letters:,} dead letters received before "
        f"{moment_of(run.bound_us)} are deleted, {due.held:,} are held (run {run.run_id})"
    )


def announcement(run: RetentionRun, due: Due, account: str, at_us: int) -> RightsEvent:
    """What the ledger will know of a run."""
    reason = f"class {run.retention_class}, time is over after {run.days} days; held: {due.held}"
    return RightsEvent(
        event_id=run.run_id, at_us=at_us, account=account, kind=RETENTION_EVENT, endpoint="retention run",
        about=run.run_id, reason=reason, fingerprint=run.digest, rows=due.events + due.dead_letters,
    )  # fmt: skip


def _announce(settings: Settings, account: Account, run: RetentionRun, due: Due) -> None:
    announce_right(settings.kafka, announcement(run, due, account.name, now_us()))


def _await(look: Callable[[], bool], wait_s: float) -> bool:
    until_s = time.monotonic() + wait_s
    while not look():
        if time.monotonic() >= until_s:
            return False
        time.sleep(_LOOK_AGAIN_S)
    return True


@retention_command.command("runs")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a stage.")
@settings_options
@acting_as("plan_retention")
def runs_command(settings: Settings, account: Account, *, as_json: bool) -> int:
    """List the runs of retention, the newest first.

    \b
    Example:
      accesstrail retention runs --state ./state
    """
    names = ["run", "stage", "class", "before", "accesses", "dead_letters", "held", "at"]
    with closing(connect(settings.clickhouse, "reader")) as client:
        rows = [
            [run, stage, name, moment_of(bound_us), events, dead, held, moment_of(at_us)]
            for run, stage, name, bound_us, events, dead, held, at_us in RetentionStore(client).runs()
        ]
    if as_json:
        for row in rows:
            click.echo(json.dumps(dict(zip(names, row, strict=True))))
        return EXIT_OK
    for line in aligned(names, rows):
        click.echo(line)
    return EXIT_OK
