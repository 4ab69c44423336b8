"""`accesstrail models shadow` and `models report`: a model that is tried beside the one in force; what each night said.

Place in the flow: beside it. A shadow model is a part of the version set: workers take it up between two batches, keep
what it says in `features`, and let it decide nothing. Reports are written by the scheduler (`schedule/nightly.py`).
"""

from __future__ import annotations

import json
from contextlib import closing
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import click

from detectors.model import Model
from detectors.policy import level_in_words
from pipeline.accounts.model import Account
from pipeline.adapters.clickhouse import connect
from pipeline.cli.acting import acting_as
from pipeline.cli.changing import SHOWN_ID, changing, finish, plain_reason, reasoned
from pipeline.cli.options import settings_options
from pipeline.config import Settings
from pipeline.errors import EXIT_OK, UsageError
from pipeline.version_sets import shadow
from pipeline.version_sets.change_events import Requester
from pipeline.version_sets.files import usable_model
from pipeline.version_sets.sets import SHADOW

_DAY_ZERO = date(1970, 1, 1)
_REPORT = (
    "SELECT report FROM accesstrail.nightly_reports WHERE topic = {topic:String} "
    "AND ({day:Int32} < 0 OR day = {day:Int32}) ORDER BY day DESC LIMIT {limit:UInt32}"
)


@click.command("shadow")
@click.argument("folder", metavar="[MODEL]", required=False, type=click.Path(path_type=Path))
@click.option("--off", is_flag=True, help="End the trial.")
@reasoned
@settings_options
@acting_as("manage_models")
def shadow_command(
    settings: Settings, folder: Path | None, reason: str, account: Account, *, off: bool, as_json: bool
) -> int:
    """Let a MODEL directory judge beside the one in force, without a say in anything; no restart.

    What it would have alerted on is compared each night: see `accesstrail models report`. It costs the workers about as
    much again as the model in force while it is tried.

    \b
    Examples:
      accesstrail models shadow candidate --reason 'trained on October too' --state ./state
      accesstrail models shadow --off --reason 'promoted' --state ./state

    Exit codes: 0 in force, 2 usage or refused, 69 unreachable, 77 not allowed, 78 configuration.
    """
    if off == (folder is not None):
        raise UsageError("name a model directory, or give --off")
    requester, why = Requester(account.name), plain_reason(reason)
    model = _usable(folder, settings) if folder is not None else None

    edit = partial(shadow.tried, model) if model is not None else shadow.ended
    with changing(settings) as change:
        made = change.activator.change(change.access.evidence, change.access.activations, SHADOW, edit, requester, why)
        return finish(change, made, as_json=as_json)


def _usable(folder: Path, settings: Settings) -> Model:
    found, fault = usable_model(folder, settings.detection.model_public_keys)
    if found is None:
        raise UsageError(f"the model at {folder} cannot be used ({fault})", code=fault)
    return found.model


@click.command("report")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Local day.  [default: the newest]")
@click.option("--last", default=1, show_default=True, type=click.IntRange(1, 1000), help="So many days, newest first.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a day.")
@settings_options
def report_command(settings: Settings, day: Any, last: int, *, as_json: bool) -> int:  # noqa: ANN401  click's datetime
    """Show what the nightly turn found: alerts against the budget, drift, a shadow model.

    \b
    Examples:
      accesstrail models report --state ./state
      accesstrail models report --last 14 --json --state ./state
    """
    number = (day.date() - _DAY_ZERO).days if day is not None else -1
    given = {"topic": settings.kafka.events_topic, "day": number, "limit": 1 if day is not None else last}
    with closing(connect(settings.clickhouse, "reader")) as reader:
        found = [json.loads(row[0]) for row in reader.query(_REPORT, given)]
    if not found:
        raise UsageError("no night was reported yet: `accesstrail scheduler` writes one an hour after midnight")
    for report in found:
        if as_json:
            click.echo(json.dumps(report, ensure_ascii=False))
        else:
            for line in lines_of(report):
                click.echo(line)
    return EXIT_OK


_WHY = {
    "moved": "moved",
    "kept": "stays: the budget is kept",
    "begun": "stays: the first night; it moves from the next one on",
    "off": "stays: [detection] nightly_budget is off",
}


def lines_of(report: dict[str, Any]) -> list[str]:
    """A night's report as people read it."""
    budget, drift, shadow = report["budget"], report["drift"], report["shadow"]
    lines = [
        f"{report['day']}  model {report['model_id'][:SHOWN_ID]}",
        f"  budget   {budget['per_day']:g} alerts a day; fired {_or_dash(budget['fired_a_day'])} a day in the "
        f"{budget['days']} days until then ({_or_dash(budget['ratio'])} of the budget)",
        *(f"             {name:28} {count}" for name, count in sorted(budget["fired"].items())),
        f"  alerts   {level_in_words(round(budget['threshold'] * 100))}, {_WHY[budget['why']]}"
        + (f" from {budget['threshold_before']:g}" if budget["why"] == "moved" else ""),
        f"  drift    {drift['rows']:,} sampled events of the week, "
        f"{drift['reference_rows']:,} of the four weeks before",
    ]
    if drift["features"]:
        moved = {name for name, _ in (*drift["risk"], *drift["features"])} & set(drift["shifted"])
        worst = sorted((*drift["risk"], *drift["features"]), key=lambda one: -one[1])[:5]
        lines += [f"             {name:28} {index:.3f}{'  shifted' if name in moved else ''}" for name, index in worst]
    else:
        lines.append("             too few to say anything")
    if shadow:
        lines.append(
            f"  shadow   {shadow['model_id'][:SHOWN_ID]}: {shadow['shadow_alerts']} alerts where the model in force "
            f"has {shadow['alerts']}; overlap of actor-days {_or_dash(shadow['overlap'])}"
        )
    return lines


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
