"""`accesstrail simulate`: a believable company's access events in a folder, with labels and the directory."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click
import msgspec
import zstandard

from pipeline.errors import UsageError
from pipeline.sources.simulate import Simulation, draw_company, write_directory
from pipeline.sources.simulate.catalogue import CATALOGUE


@click.command("simulate")
@click.option(
    "--list",
    "list_them",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda context, _, wanted: _list_scenarios(context, wanted=wanted),
    help="List the scenarios in English and Chinese with their numbers in the threat list, and end.",
)
@click.option("--days", type=click.IntRange(1, 1000), required=True, help="Days to simulate.")
@click.option("--actors", type=click.IntRange(10, 20_000), required=True, help="Accounts: people, services, partners.")
@click.option("--seed", type=int, required=True, help="Seed of what happens.")
@click.option("--company-seed", type=int, help="Seed of the company [default: the seed].")
@click.option("--start", type=click.DateTime(["%Y-%m-%d"]), default="2026-08-03", show_default=True, help="First day.")
@click.option("--attacks-per-scenario", type=click.IntRange(0, 100), default=3, show_default=True)
@click.option("--scenario", "scenarios", multiple=True, metavar="NAME", help="Only this scenario; may be repeated.")
@click.option("--no-attacks", is_flag=True, help="Only ordinary days.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--json", "as_json", is_flag=True, help="Summary as JSON on standard output.")
def simulate_command(
    days: int, actors: int, seed: int, company_seed: int | None, start: datetime, attacks_per_scenario: int,
    scenarios: tuple[str, ...], no_attacks: bool, out: Path, as_json: bool,
) -> None:  # fmt: skip
    """Write a simulated company's access events, their labels and its directory.

    In the folder: events.ndjson.zst in the order of sending; labels.csv (event_id, scenario, attack_id) and attacks.csv
    (attack_id, scenario, strength); twins.csv (event_id, scenario, twin_id): the same kind of thing for a good reason;
    lookalikes.csv (kind, first_day, last_day, actor_id): odd but harmless ordinary life; directory/.

    A silent source and erased rows are labelled on the next events of that source instance.

    \b
    Examples:
      accesstrail simulate --days 28 --actors 60 --seed 7 --out company
      accesstrail simulate --days 84 --actors 400 --seed 1 --company-seed 33 --out other-company
      accesstrail simulate --days 28 --actors 60 --seed 7 --scenario snooping --out curious
    """
    unknown = sorted(set(scenarios) - set(CATALOGUE))
    if unknown:
        raise UsageError(f"no scenario is named {', '.join(unknown)}; see accesstrail simulate --list")
    company = draw_company(seed if company_seed is None else company_seed, actors)
    per_scenario = 0 if no_attacks else attacks_per_scenario
    simulation = Simulation(company, start.date(), days, seed, per_scenario, scenarios)
    summary = write_simulation(simulation, out)
    click.echo(f"{summary['events']:,} events, {summary['attacks']} attacks written to {out}", err=True)
    if as_json:
        click.echo(json.dumps(summary))


def write_simulation(simulation: Simulation, out: Path) -> dict[str, int]:
    """Writes the folder; returns counts."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise UsageError(f"{out} cannot be made: {exc.strerror}") from None
    encode = msgspec.json.Encoder().encode
    labels: dict[str, tuple[str, str]] = {}
    twins: dict[str, tuple[str, str]] = {}
    count = 0
    with (out / "events.ndjson.zst").open("wb") as file, zstandard.ZstdCompressor(level=3).stream_writer(file) as sink:
        for one in simulation.events():
            sink.write(encode(one.event) + b"\n")
            count += 1
            if one.attack_id:
                (twins if one.twin else labels)[one.event["event_id"]] = (one.scenario, one.attack_id)
            if count % 100_000 == 0:
                click.echo(f"{count:,} events", err=True)
    labelled = set(labels.values())
    attacks = [
        (act.identity, act.scenario, act.strength)
        for act in simulation.acts
        if (act.scenario, act.identity) in labelled
    ]  # fmt: skip
    _table(
        out / "labels.csv", ("event_id", "scenario", "attack_id"), [(name, *label) for name, label in labels.items()]
    )
    _table(out / "twins.csv", ("event_id", "scenario", "twin_id"), [(name, *label) for name, label in twins.items()])
    _table(out / "attacks.csv", ("attack_id", "scenario", "strength"), attacks)
    _table(out / "lookalikes.csv", ("kind", "first_day", "last_day", "actor_id"), _lookalikes(simulation))
    write_directory(simulation.company, out / "directory", simulation.desk.work_items)
    return {"events": count, "attacks": len(attacks), "labelled": len(labels), "twins": len(twins)}


def _lookalikes(simulation: Simulation) -> list[tuple[str, ...]]:
    return [
        (one.kind, one.first_day.isoformat(), one.last_day.isoformat(), actor_id)
        for one in simulation.life.happenings
        for actor_id in one.actor_ids
    ]


def _list_scenarios(context: click.Context, *, wanted: bool) -> None:
    """Prints the catalogue: what each attack is and what makes its twin harmless."""
    if wanted:
        for one in CATALOGUE.values():
            click.echo(f"{one.name}  {' '.join(one.threats)}\n  {one.title_en} | {one.title_zh}")
            click.echo(f"  twin: {one.twin_en} | {one.twin_zh}")
        context.exit()


def _table(path: Path, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def days_before(today: date, days: int) -> date:
    """The first of `days` days that end yesterday."""
    return today - timedelta(days=days)


def today_in_china() -> date:
    """Today at UTC+8, where the simulated company lives."""
    return (datetime.now(UTC) + timedelta(hours=8)).date()
