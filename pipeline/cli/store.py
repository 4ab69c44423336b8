"""Commands on the store: `migrate`, `sql`, `alerts`. Reading is done as the role reader, on views only.

With `--json` each row is one line of JSON on standard output; times are ISO 8601 in UTC, tokens and hashes hexadecimal.
Whoever gives a token looks as that account: the look is told first (`looking.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import click

from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.audit.reads import ERROR
from pipeline.cli.looking import Looker, Seen, looking_as
from pipeline.cli.options import moment, settings_options, us_of
from pipeline.cli.table import aligned, plain_row
from pipeline.config import Settings
from pipeline.errors import UsageError
from pipeline.migrations import runner
from pipeline.migrations.steps import DATABASES, MIGRATIONS_TABLE

_ALERT_COLUMNS = (
    "alert_id, event_time, tenant_id, actor_token, risk / 100 AS risk, severity, detector, reasons, seen, event_id, "
    "explanation_en, explanation_zh, topic, incarnation, partition, offset"
)


@contextmanager
def as_role(settings: Settings, role: str) -> Iterator[ClickHouse]:
    """A connection as a role, ended with the block."""
    client = connect(settings.clickhouse, role)
    try:
        yield client
    finally:
        client.close()


def print_rows(rows: Sequence[Sequence[Any]], names: Sequence[str], types: Sequence[str], *, as_json: bool) -> None:
    """Rows as JSON lines, or as a table and their number; `types`: the store's, one a column."""
    plain = [plain_row(row, types) for row in rows]
    if as_json:
        for row in plain:
            click.echo(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False))
        return
    for line in aligned(names, plain):
        click.echo(line)
    click.echo(f"{len(plain)} row(s)", err=True)


@click.command("migrate")
@click.option("--plan", "mode", flag_value="plan", help="Print what would be done (the default).")
@click.option("--apply", "mode", flag_value="apply", help="Do it; safe to repeat.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a step.")
@settings_options
def migrate_command(settings: Settings, mode: str | None, as_json: bool) -> None:
    """Show or apply the store's schema changes.

    \b
    Examples:
      accesstrail migrate --plan --config /etc/accesstrail/config.toml
      accesstrail migrate --apply --state ./state
    """
    if mode == "apply":
        for name in runner.apply_all(settings, progress=lambda text: click.echo(text, err=True)):
            if as_json:
                click.echo(json.dumps({"applied": name}))
        return
    with as_role(settings, "migrator") as client:
        steps = runner.plan(client)
        if not as_json and not any(step.applied for step in steps):
            click.echo("".join(f"{sql};\n\n" for sql in (*DATABASES, MIGRATIONS_TABLE)), nl=False)
        for step in steps:
            if as_json:
                body = {"number": step.number, "name": step.name, "applied": step.applied, "sql": step.sql}
                click.echo(json.dumps(body, ensure_ascii=False))
            elif not step.applied:
                click.echo(f"-- {step.number} {step.name}\n{step.sql};\n")


@click.command("sql")
@click.argument("query")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a row.")
@settings_options
@looking_as("query_evidence")
def sql_command(settings: Settings, query: str, as_json: bool, looker: Looker) -> None:
    """Run one read-only QUERY as the role reader (views of the database `accesstrail`).

    With a personal token the look is recorded before anything is printed; a query that fails is recorded too.

    \b
    Examples:
      accesstrail sql 'SELECT count() FROM accesstrail.access_events' --state ./state
      accesstrail sql 'SELECT * FROM accesstrail.ledger LIMIT 5' --state ./state --json
    """
    if not query.strip():
        raise UsageError("give one SQL statement")
    statement = query.strip().rstrip(";")
    seen = Seen(look="sql", rows=0, question={"command": "sql", "sql": statement})
    with as_role(settings, "reader") as client:
        try:
            rows, columns = client.query_with_columns(statement)
        except UsageError:  # the server's words may hold a value of a row: they are a look, too
            looker.tell(replace(seen, outcome=ERROR))
            raise
    looker.tell(replace(seen, rows=len(rows)))
    print_rows(rows, [name for name, _ in columns], [kind for _, kind in columns], as_json=as_json)


@click.command("alerts")
@click.option("--since", callback=moment, help="First event time, included.")
@click.option("--min-risk", default=0.0, show_default=True, type=click.FloatRange(0, 100), help="Smallest risk.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 100_000), help="Newest alerts.")
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Language of the text.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object an alert.")
@settings_options
@looking_as("read_incidents")
def alerts_command(
    settings: Settings, since: datetime | None, min_risk: float, limit: int, lang: str, as_json: bool, looker: Looker
) -> None:
    """List alerts with their explanations; newest first.

    With a personal token the look is recorded before anything is printed.

    \b
    Examples:
      accesstrail alerts --state ./state --lang zh
      accesstrail alerts --since 2026-11-24 --min-risk 80 --state ./state --json
    """
    parameters: dict[str, object] = {"risk": round(min_risk * 100), "limit": limit}
    conditions = ["risk >= {risk:UInt16}"]
    if since is not None:
        parameters["since"] = us_of(since)
        conditions.append("event_time >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')")
    sql = (
        f"SELECT {_ALERT_COLUMNS} FROM accesstrail.alerts WHERE {' AND '.join(conditions)} "  # noqa: S608  our own text
        "ORDER BY event_time DESC, alert_id LIMIT {limit:UInt64}"
    )
    with as_role(settings, "reader") as client:
        rows, columns = client.query_with_columns(sql, parameters)
    looker.tell(Seen(look="alerts", rows=len(rows), question={"command": "alerts", **parameters}))
    names, types = [name for name, _ in columns], [kind for _, kind in columns]
    alerts = [dict(zip(names, plain_row(row, types), strict=True)) for row in rows]
    for alert in alerts:
        alert["explanation"] = {"en": alert.pop("explanation_en"), "zh": alert.pop("explanation_zh")}
        click.echo(json.dumps(alert, ensure_ascii=False) if as_json else _told(alert, lang))
    if not as_json:
        click.echo(f"{len(alerts)} alert(s)", err=True)


def _told(alert: dict[str, Any], lang: str) -> str:
    head = f"{alert['event_time']}  {alert['severity']}  risk {alert['risk']:.2f}  {alert['detector']}"
    return f"{head}\n  {alert['explanation'][lang]}\n  actor {alert['actor_token']}  alert {alert['alert_id']}\n"
