"""`accesstrail retention`: what has had its time is shown, deleted, and what was deleted is told.

Place in the flow: a run is in `retention_run.py`, the job's steps in `retention_job.py`; classes and times in the
section [retention].
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict

import click

from pipeline.accounts.model import Account
from pipeline.adapters.clickhouse import connect
from pipeline.adapters.holds import HoldReader
from pipeline.adapters.retention import Due, RetentionStore
from pipeline.cli.acting import acting_as
from pipeline.cli.options import settings_options
from pipeline.cli.retention_run import run_retention, wanted_runs
from pipeline.cli.table import aligned, moment_of
from pipeline.config import Settings
from pipeline.errors import EXIT_OK
from pipeline.retention.runs import RetentionRun


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
        for run in wanted_runs(settings, ""):
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


@retention_command.command("run")
@click.option("--wait", "wait_s", default=60.0, show_default=True, help="Seconds for the announcement to be sealed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a run.")
@settings_options
@acting_as("run_retention")
def run_command(settings: Settings, account: Account, wait_s: float, *, as_json: bool) -> int:
    """Delete what has had its time and no hold keeps. What was begun and not ended is ended first.

    Each run is an access event before anything is deleted. Meant for every night: `[retention] nightly` has the
    scheduler do it, else cron or a timer may. Never two at once.

    \b
    Example:
      accesstrail retention run --state ./state

    Exit codes: 0 done, 69 unreachable, not sealed in time or another one under way (run it again), 70 evidence does not
    verify: nothing was deleted, 77 not allowed, 78 configuration.
    """
    ended = run_retention(settings, account.name, wait_s)
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
