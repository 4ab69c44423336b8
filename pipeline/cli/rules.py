"""`accesstrail rules`: what the rules are, whether they pass their own cases, what they would have done on history."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from detectors.rules import all_rules
from detectors.rules.cases import Outcome, outcomes_of
from detectors.rules.rule import Rule
from pipeline.adapters.directory import read_directory
from pipeline.backtest import ATTACK, TWIN, Backtest, Marked, backtest
from pipeline.cli.history import Progress, existing, keyring_of, report_faults
from pipeline.cli.table import aligned
from pipeline.errors import EXIT_DATA, EXIT_DIFFERENCES, EXIT_OK, UsageError
from pipeline.offline import read_events


@click.group("rules")
def rules_command() -> None:
    """Show the rules, run their cases, try them on history.

    A rule puts a floor under the risk of an event. It is silent on work that a work item covers or an approval
    names, unless its table says otherwise. No server is needed for any of these commands.
    """


def _chosen(names: Sequence[str]) -> Sequence[Rule]:
    """The named rules, all where none is named. Raises: UsageError: there is no such rule."""
    known = {rule.name: rule for rule in all_rules()}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"no such rule: {', '.join(unknown)}; see `accesstrail rules list`")
    return [rule for rule in all_rules() if not names or rule.name in names]


@rules_command.command("list")
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a rule, with both languages and the runbook.")
def list_command(names: tuple[str, ...], *, as_json: bool) -> int:
    """List the rules, the gravest first; NAMES choose some.

    \b
    Examples:
      accesstrail rules list
      accesstrail rules list bulk_export --json
    """
    rules = _chosen(names)
    if as_json:
        for rule in rules:
            click.echo(json.dumps(_described(rule), ensure_ascii=False))
        return EXIT_OK
    rows = [
        (
            rule.name,
            rule.floor / 100,
            rule.severity,
            list(rule.detects),
            list(rule.attack),
            rule.title.en,
            rule.title.zh,
        )
        for rule in rules
    ]
    for line in aligned(("rule", "floor", "severity", "detects", "att&ck", "title", "标题"), rows):
        click.echo(line)
    return EXIT_OK


def _described(rule: Rule) -> dict[str, Any]:
    """A rule without its predicate and cases."""
    runbook = {"check": rule.runbook.check, "contain": rule.runbook.contain, "ask": rule.runbook.ask}
    texts = {"title": rule.title, "next_step": rule.next_step, "needs": rule.needs}
    return {
        "rule": rule.name,
        "detects": rule.detects,
        "attack": rule.attack,
        "insider_threat_matrix": rule.insider,
        "articles": rule.articles,
        "floor": rule.floor / 100,
        "severity": rule.severity,
        "excuse": rule.excuse,
        **{name: text._asdict() for name, text in texts.items()},
        "runbook": {part: text._asdict() for part, text in runbook.items()},
        "silent_on": [one.text for one in rule.cases.look_alikes],
    }


@rules_command.command("test")
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a case.")
def test_command(names: tuple[str, ...], *, as_json: bool) -> int:
    """Run the rules' own cases; exit 1 where one fails. NAMES choose some rules.

    \b
    Examples:
      accesstrail rules test
      accesstrail rules test vip_snooping own_record
    """
    outcomes = [outcome for rule in _chosen(names) for outcome in outcomes_of(rule)]
    failed = [outcome for outcome in outcomes if not outcome.passed]
    for outcome in outcomes if as_json else failed:
        click.echo(json.dumps(_of_case(outcome), ensure_ascii=False) if as_json else _failure(outcome))
    click.echo(f"{len(outcomes)} cases of {len(_chosen(names))} rules, {len(failed)} failed", err=True)
    return EXIT_DIFFERENCES if failed else EXIT_OK


def _of_case(outcome: Outcome) -> dict[str, Any]:
    return {
        "rule": outcome.rule,
        "sort": outcome.sort,
        "case": outcome.text,
        "passed": outcome.passed,
        "floor": outcome.floor / 100,
        "expected": outcome.expected / 100,
    }


def _failure(outcome: Outcome) -> str:
    said = "held" if outcome.floor else "was silent"
    return f"{outcome.rule}: {outcome.sort}: {outcome.text}: the rule {said}"


@rules_command.command("backtest")
@click.argument("events", nargs=-1, required=True)
@click.option("--directory", type=click.Path(path_type=Path), required=True, help="Folder of directory files.")
@click.option("--warm-up", multiple=True, help="History that builds profiles and is not counted; may be repeated.")
@click.option("--rule", "names", multiple=True, help="Only this rule; may be repeated.")
@click.option("--labels", type=click.Path(path_type=Path), help="CSV of event_id, scenario, attack_id.")
@click.option("--twins", type=click.Path(path_type=Path), help="CSV of event_id, scenario, twin_id.")
@click.option("--order", type=click.Choice(["event-time", "input"]), default="event-time", show_default=True)
@click.option("--state", "state_dir", type=click.Path(path_type=Path), help="Use the token keys of this local stack.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="Use the token keys of this system.")
@click.option("--skip-invalid", is_flag=True, help="Exit 0 although lines were invalid.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def backtest_command(
    events: tuple[str, ...], directory: Path, warm_up: tuple[str, ...], names: tuple[str, ...], labels: Path | None,
    twins: Path | None, order: str, state_dir: Path | None, config_file: Path | None, *, skip_invalid: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """Run the rules over EVENTS: hits by rule and day, alerts with suppression, and what they met.

    Hits count every event at which a rule holds. Alerts are what the alert policy lets through: `alone` as if the
    rule were the only one, `alerts` with all rules together, counted for the gravest. Profiles need some weeks: give
    them as --warm-up.

    \b
    Examples:
      accesstrail rules backtest november.ndjson.zst --directory dir --warm-up october.ndjson.zst
      accesstrail rules backtest events.ndjson.zst --directory dir --labels labels.csv --twins twins.csv --json
    """
    rules, progress = _chosen(names), Progress()
    paths, warm_paths = existing(events), existing(warm_up)
    keyring, time_zone = keyring_of(state_dir, config_file)
    snapshot = read_directory(directory, keyring)
    marked = {**_marked(twins, TWIN, "twin_id"), **_marked(labels, ATTACK, "attack_id")}
    warm = read_events(warm_paths, order=order, progress=progress) if warm_paths else None
    read = read_events(paths, order=order, progress=progress)
    report_faults(read)
    found = backtest(read, warm, snapshot, keyring, time_zone, rules, marked=marked, progress=progress)
    if as_json:
        click.echo(json.dumps(found.as_json(), ensure_ascii=False))
    else:
        for line in _report(found, labelled=bool(marked)):
            click.echo(line)
    return EXIT_DATA if read.faults and not skip_invalid else EXIT_OK


def _marked(path: Path | None, sort: str, column: str) -> dict[str, Marked]:
    """What a file of labels says, by event id. Raises: UsageError: it cannot be read or lacks a column."""
    if path is None:
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {row["event_id"]: Marked(sort, row[column]) for row in csv.DictReader(file)}
    except (OSError, UnicodeDecodeError, KeyError) as exc:
        raise UsageError(f"{path} is no CSV with event_id and {column}: {type(exc).__name__}") from None


def _report(found: Backtest, *, labelled: bool) -> Iterator[str]:
    """Tables for people: rules with their counts, then days."""
    names = ["rule", "hits", "a day", "actor-days", "alone", "alerts"]
    fields = ["hits", "actor_days", "alerts_alone", "alerts"]
    if labelled:
        names += ["true hits", "twin hits", "false hits", "attacks", "true alerts", "twin alerts", "false alerts"]
        fields += ["attack_hits", "twin_hits", "other_hits", "attacks", "attack_alerts", "twin_alerts", "other_alerts"]
    rows = []
    for count in found.rules:
        values = [getattr(count, name) for name in fields]
        rows.append([count.rule, values[0], round(values[0] / found.days, 2), *values[1:]])
    yield from aligned(names, rows)
    yield ""
    yield from aligned(("day", "hits", "alerts"), [(one.day, one.hits, one.alerts) for one in found.by_day])
    yield ""
    yield (
        f"{found.events:,} events of {found.actors:,} actors in {found.days:g} days: "
        f"{found.alerts:,} alerts, {found.alerts / found.days:.2f} a day"
    )
    if found.attacks is not None:
        yield f"{found.attacks} attacks: {found.attacks_hit} hit by a rule, {found.attacks_alerted} alerted"
