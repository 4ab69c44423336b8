"""`accesstrail topics create|show`: the Kafka topics of a deployment."""

from __future__ import annotations

import click

from pipeline.adapters.kafka import TopicAdmin, topic_specs
from pipeline.cli.options import settings_options
from pipeline.cli.stack_run import as_json
from pipeline.config import Settings
from pipeline.errors import EXIT_INCOMPLETE, EXIT_OK


@click.group("topics")
def topics_command() -> None:
    """Create or show the Kafka topics."""


@topics_command.command("create")
@settings_options
@click.option("--replication-factor", type=click.IntRange(1, 100), metavar="N", help="Copies.  [default: the broker's]")
@click.option("--json", "machine", is_flag=True, help="Result as JSON on standard output.")
def create_command(settings: Settings, *, replication_factor: int | None, machine: bool) -> int:
    """Create the topics that are missing, with the configured number of partitions. Safe to repeat.

    \b
    Example:
      accesstrail topics create --config /etc/accesstrail/config.toml --replication-factor 3
    """
    admin = TopicAdmin(settings.kafka.bootstrap_servers)
    try:
        made = admin.create(topic_specs(settings.kafka), replication_factor=replication_factor or -1)
    finally:
        admin.close()
    if machine:
        click.echo(as_json({"created": made}))
    else:
        click.echo(f"created {', '.join(made)}" if made else "every topic is there already", err=True)
    return EXIT_OK


@topics_command.command("show")
@settings_options
@click.option("--json", "machine", is_flag=True, help="As JSON on standard output.")
def show_command(settings: Settings, *, machine: bool) -> int:
    """Show each topic's incarnation, partitions, offsets, and which settings differ from what they should be.

    \b
    Example:
      accesstrail topics show --state ./state

    Exit codes: 0 all there and as they should be, 3 not.
    """
    admin = TopicAdmin(settings.kafka.bootstrap_servers)
    try:
        topics = [_described(admin, spec.name, spec.configs) for spec in topic_specs(settings.kafka)]
    finally:
        admin.close()
    if machine:
        click.echo(as_json({"topics": topics}))
    else:
        for topic in topics:
            click.echo(_as_text(topic))
    return EXIT_INCOMPLETE if any(not topic["exists"] or topic["differs"] for topic in topics) else EXIT_OK


def _described(admin: TopicAdmin, name: str, wanted: object) -> dict[str, object]:
    facts = admin.describe(name)
    if facts is None:
        return {"topic": name, "exists": False, "incarnation": None, "partitions": [], "differs": {}}
    bounds = admin.partition_bounds(name, range(facts.partitions))
    acting = admin.configs(name)
    expected = wanted if isinstance(wanted, dict) else {}
    return {
        "topic": name,
        "exists": True,
        "incarnation": facts.topic_id,
        "partitions": [
            {"partition": number, "first_offset": one.first_offset, "end_offset": one.end_offset}
            for number, one in sorted(bounds.items())
        ],
        "differs": {
            key: {"is": acting.get(key), "should_be": value}
            for key, value in expected.items()
            if acting.get(key) != value
        },
    }


def _as_text(topic: dict[str, object]) -> str:
    if not topic["exists"]:
        return f"{topic['topic']}: missing; create it with `accesstrail topics create`"
    partitions = topic["partitions"]
    assert isinstance(partitions, list)  # noqa: S101  we built it
    lines = [f"{topic['topic']}  incarnation {topic['incarnation']}, {len(partitions)} partitions"]
    lines += [
        f"  {one['partition']:>4}  offsets {one['first_offset']:,} to {one['end_offset']:,}" for one in partitions
    ]
    differs = topic["differs"]
    for key, value in differs.items() if isinstance(differs, dict) else []:
        lines.append(f"  ! {key} is {value['is']}, should be {value['should_be']}")
    return "\n".join(lines)
