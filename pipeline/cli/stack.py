"""`accesstrail up`, `down` and `status`: the local stack on this machine, and how far a running system is."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from deploy.local.configuration import DEFAULT_PARTITIONS
from pipeline.adapters.status_file import read_workers
from pipeline.cli.console_accounts import FIRST_LINK
from pipeline.cli.options import settings_of, settings_options
from pipeline.cli.stack_run import StackOptions, as_json, launch, run_stack, stop
from pipeline.cli.stack_status import Document, collect
from pipeline.config import Settings
from pipeline.errors import EXIT_OK, EXIT_UNAVAILABLE

_PORT = click.IntRange(1, 65_535)
_STATE = click.option(
    "--state", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), required=True, help="Its folder."
)


@click.command("up")
@_STATE
@click.option("--detach", is_flag=True, help="Return when it is ready; it runs on in the background.")
@click.option("--kafka-port", type=_PORT, metavar="PORT", help="Kafka.  [default: the last one, else a free one]")
@click.option("--clickhouse-port", type=_PORT, metavar="PORT", help="ClickHouse, native protocol.")
@click.option("--clickhouse-http-port", type=_PORT, metavar="PORT", help="ClickHouse, HTTP.")
@click.option(
    "--partitions", type=click.IntRange(1, 1000), default=DEFAULT_PARTITIONS, show_default=True,
    help="Of the topics; fixed when they are made.",
)  # fmt: skip
@click.option("--signed-models", is_flag=True, help="New state folder: take up only models signed with its key.")
@click.option("--worker/--no-worker", default=True, help="Start the worker too.  [default: yes]")
@click.option("--json", "machine", is_flag=True, help="With --detach: the status document on standard output.")
def up_command(
    state: Path,
    *,
    detach: bool,
    kafka_port: int | None,
    clickhouse_port: int | None,
    clickhouse_http_port: int | None,
    partitions: int,
    signed_models: bool,
    worker: bool,
    machine: bool,
) -> int:
    """Start the local stack and the worker: real Apache Kafka, a real ClickHouse engine, all on loopback.

    It stays in the foreground and restarts what dies; Ctrl-C stops everything. The same folder comes back with its
    data.

    \b
    Examples:
      accesstrail up --state ./state
      accesstrail up --state ./state --detach
      accesstrail up --state ./state --kafka-port 9092 --no-worker

    Exit codes: 0 stopped (with --detach: ready), 70 a part could not start, 78 configuration.
    """
    options = StackOptions(
        kafka_port=kafka_port,
        clickhouse_port=clickhouse_port,
        clickhouse_http_port=clickhouse_http_port,
        partitions=partitions,
        worker=worker,
        signed_models=signed_models,
    )
    if not detach:
        run_stack(state, options, say=_say, when_ready=lambda settings: _say(_welcome(state, settings)))
        return EXIT_OK
    launch(state, options, say=_say)
    if machine:
        click.echo(as_json(collect(settings_of(state, None, os.environ))))
    return EXIT_OK


@click.command("down")
@_STATE
@click.option("--json", "machine", is_flag=True, help="Result as JSON on standard output.")
def down_command(state: Path, *, machine: bool) -> int:
    """Stop the local stack: the worker first, then ClickHouse and Kafka. The data stays.

    \b
    Example:
      accesstrail down --state ./state
    """
    stopped = stop(state)
    if machine:
        click.echo(as_json({"stopped": stopped}))
    else:
        _say(f"stopped the local stack in {state}" if stopped else f"no local stack runs in {state}")
    return EXIT_OK


@click.command("status")
@settings_options
@click.option("--json", "machine", is_flag=True, help="As JSON on standard output.")
def status_command(settings: Settings, *, machine: bool) -> int:
    """Say what runs, what is ready and how far each partition is.

    \b
    Examples:
      accesstrail status --state ./state
      accesstrail status --config /etc/accesstrail/config.toml --json

    Exit codes: 0 ready, 69 not ready (the output says why).
    """
    document = collect(settings)
    click.echo(as_json(document) if machine else _as_text(document))
    return EXIT_OK if document["ready"] else EXIT_UNAVAILABLE


def _say(text: str) -> None:
    # Flushed: a launched stack's lines are read from its log as they come.
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _welcome(state: Path, settings: Settings) -> str:
    store = settings.clickhouse
    return f"""
ready
  Kafka        {settings.kafka.bootstrap_servers}  (topic {settings.kafka.events_topic})
  ClickHouse   {store.host}:{store.native_port} native, {store.host}:{store.http_port} HTTP  (user reader, password in \
{store.password_files["reader"]})
  settings     {settings.source}
{_console_lines(state, settings)}next, in another terminal
  accesstrail status --state {state}
  accesstrail ingest EVENTS.ndjson --state {state}
  accesstrail alerts --state {state}
stop it with Ctrl-C or accesstrail down --state {state}; the data stays."""


def _console_lines(state: Path, settings: Settings) -> str:
    """Where the console is, and the one-time link where there is no account yet."""
    found = next((one for one in read_workers(state / "run", "console") if one.get("address")), None)
    if found is None:
        return ""
    line = f"  console      {found['address']}\n"
    with suppress(OSError):
        link = (settings.state_dir / FIRST_LINK).read_text(encoding="utf-8").strip()
        line += f"  first login  {link}\n               makes the first account; works once, for an hour\n"
    return line


def _as_text(document: Document) -> str:
    lines = [f"{'ready' if document['ready'] else 'NOT READY'}"]
    problems = document["problems"]
    lines += [f"  ! {problem}" for problem in (problems if isinstance(problems, list) else [])]
    store = document["clickhouse"]
    assert isinstance(store, dict)  # noqa: S101  we built it
    lines.append(f"Kafka       {document['bootstrap_servers']}")
    lines += [f"console     {document['console']}"] if document["console"] else []
    lines.append(f"ClickHouse  {store['host']}:{store['native_port']} native, {store['http_port']} HTTP")
    model = document["model"]
    if isinstance(model, dict):
        words = ", ".join(f"{key} {value}" for key, value in model.items())
        lines.append(f"model       {words}; {document['unscored']} events unscored since the worker began")
    troubles = document["troubles"]
    for trouble in troubles if isinstance(troubles, list) else []:
        where = f"partition {trouble['partition']}" if "partition" in trouble else trouble.get("dependency")
        since = f" since {trouble['since']}" if "since" in trouble else ""
        lines.append(f"  ! {where} {trouble['state']}{since} ({trouble['code']}): {trouble['what']}")
    workers = document["workers"]
    for worker in workers if isinstance(workers, list) else []:
        state = "ready" if worker.get("ready") else "not ready"
        owned = len(worker.get("partitions", ()))
        lines.append(
            f"worker      {worker['writer']}  pid {worker['pid']:<8} {state}, {owned} partitions, {worker['health']}"
        )
    schedulers = document["schedulers"]
    for one in schedulers if isinstance(schedulers, list) else []:
        lines += _scheduler_lines(one)
    responders = document["responders"]
    lines += [_responder_line(one) for one in (responders if isinstance(responders, list) else [])]
    notaries = document["notaries"]
    for one in notaries if isinstance(notaries, list) else []:
        lines += _notary_lines(one)
    processes = document["processes"]
    for process in processes if isinstance(processes, list) else []:
        lines.append(f"process     {process['name']:<10} pid {process['pid']:<8} since {process['since']}")
    partitions = document["partitions"]
    if isinstance(partitions, list) and partitions:
        lines.append(f"{'topic':<20} {'partition':>9} {'sealed':>12} {'lag':>10}")
        for entry in partitions:
            sealed, lag = ("-" if entry[key] is None else f"{entry[key]:,}" for key in ("sealed_offset", "lag"))
            lines.append(f"{entry['topic']:<20} {entry['partition']:>9} {sealed:>12} {lag:>10}")
    return "\n".join(lines)


def _notary_lines(one: Mapping[str, Any]) -> list[str]:
    state = "ready" if one.get("ready") else "not ready"
    lines = [
        f"notary      {one['writer']}  pid {one['pid']:<8} {state}, {one.get('trees') or 0} trees, "
        f"{one.get('checkpoints') or 0:,} checkpoints signed, {one.get('health')}"
    ]
    for anchor in one.get("anchors", ()):
        failure = f", last failure {anchor['code']}" if anchor["code"] else ""
        lacks = f"lacks {anchor['waiting']} for {anchor['age_s']:.0f} s" if anchor["waiting"] else "has all"
        lines.append(
            f"anchor      {anchor['name']} ({anchor['kind']}): {lacks}, newest {anchor['anchored_at'] or '-'}{failure}"
        )
    return lines


def _responder_line(one: Mapping[str, Any]) -> str:
    state = "ready" if one.get("ready") else "not ready"
    partitions = [entry for entry in one.get("partitions", ()) if isinstance(entry, dict)]
    waiting = sum(entry.get("lag") or 0 for entry in partitions)
    incidents = sum(entry.get("open_incidents") or 0 for entry in partitions)
    return (
        f"responder   {one['writer']}  pid {one['pid']:<8} {state}, {len(partitions)} partitions, "
        f"{incidents:,} open incidents, {waiting:,} records wait, {one.get('health')}"
    )


def _scheduler_lines(one: Mapping[str, Any]) -> list[str]:
    state = "ready" if one.get("ready") else f"not ready ({one.get('code')})"
    role = "works" if one.get("holds_lease") else "stands by"
    lines = [
        f"scheduler   {one['writer']}  pid {one['pid']:<8} {state}, {role}, {one.get('waiting')} windows wait, "
        f"final up to {one.get('watermark')}"
    ]
    failing = one.get("failing")
    for detector, code in failing.items() if isinstance(failing, dict) else ():
        lines.append(f"  ! scheduled detector {detector} fails ({code}); it is repeated until it succeeds")
    return lines
