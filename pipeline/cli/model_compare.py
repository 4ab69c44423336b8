"""`accesstrail models compare`: what two models say of themselves, and what each would alert on.

Composition: the words name two models, the offline chain judges the events under each, `detectors.evaluation` measures.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from detectors.evaluation.comparison import (
    AlertSeen,
    Side,
    judged_side_by_side,
    manifest_differences,
    reasons_against,
)
from detectors.evaluation.curve import actor_day_curve
from detectors.evaluation.evidence import AlertRecord, Evidence, Label, ScoreRecord, gather
from detectors.evaluation.recall import recall
from detectors.model import Model
from pipeline.adapters.directory import read_directory
from pipeline.cli.changing import SHOWN_ID, Change, changing
from pipeline.cli.evaluate import Truth, labels_of
from pipeline.cli.history import Progress, existing, keyring_of, report_faults
from pipeline.cli.model_choice import choose
from pipeline.cli.options import settings_of
from pipeline.directory import DirectorySnapshot
from pipeline.errors import EXIT_DIFFERENCES, EXIT_OK, UsageError
from pipeline.offline import BATCH, EventFile, Scored, read_events, score_events
from pipeline.privacy.keys import Keyring
from pipeline.stages.decode import decode_values
from pipeline.timestamps import utc_us

_PATH = click.Path(path_type=Path)
_SHOWN_NAMES = 5


@dataclass(frozen=True, slots=True)
class Stretch:
    """What both models judge, and as whom."""

    events: EventFile
    warm_up: EventFile | None
    directory: DirectorySnapshot
    keyring: Keyring
    time_zone: str
    labels: tuple[Label, ...] | None
    progress: Progress


@click.command("compare")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--events", "event_files", multiple=True, help="Events that both judge; may be repeated.")
@click.option("--directory", type=_PATH, help="Folder of directory files: needed with --events.")
@click.option("--warm-up", multiple=True, help="History that builds profiles without being judged; may be repeated.")
@click.option("--labels", type=_PATH, help="event_id, scenario, attack_id of known attacks among the events.")
@click.option("--state", "state_dir", type=_PATH, help="Local stack that knows the ids and `in-force`.")
@click.option("--config", "config_file", type=_PATH, help="Configuration of the system that knows them.")
@click.option("--json", "as_json", is_flag=True, help="The whole comparison as one JSON object.")
def compare_command(
    a: str, b: str, event_files: tuple[str, ...], directory: Path | None, warm_up: tuple[str, ...],
    labels: Path | None, state_dir: Path | None, config_file: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Compare the model in use, A, with the one that may follow it, B.

    A and B are folders, ids of models that were in force, or `in-force` (see `models --help`); ids need --state or
    --config. Without --events only the manifests are compared. With them both models judge the events, each under its
    own thresholds (a model of a running system: those it has there); scheduled detectors do not depend on the model and
    are left out. Every reason to look closer is named: alerts a day outside 0.8 to 1.25 of B's budget, fewer than half
    of the alerted actor-days in common, a stability index of risk above 0.2, and with --labels a lower recall.

    \b
    Examples:
      accesstrail models compare model-october model-november
      accesstrail models compare in-force model-november --state ./state --events week.ndjson.zst \\
        --warm-up history.ndjson.zst --directory ./state/directory

    Exit codes: 0 nothing speaks against B, 1 something does, 2 usage, 65 a model cannot be used, 69 unreachable.
    """
    with _system(state_dir, config_file) as system:
        first, second = choose(a, system), choose(b, system)
    stated = [one.files.statements() for one in (first, second)]
    document: dict[str, Any] = {
        "a": first.files.model_id, "b": second.files.model_id, "manifest": manifest_differences(*stated),
    }  # fmt: skip
    if event_files:
        stretch = _stretch(event_files, directory, warm_up, labels, keyring_of(state_dir, config_file))
        of_a, of_b = (_judged(one.model(), stretch) for one in (first, second))
        document["judged"] = judged_side_by_side(of_a, of_b, stretch.events.days)
        document["reasons_against"] = reasons_against(document["judged"], stated[1]["about"].get("budget_per_day"))
    click.echo(json.dumps(document, ensure_ascii=False) if as_json else "\n".join(_lines(document)))
    return EXIT_DIFFERENCES if document.get("reasons_against") else EXIT_OK


@contextmanager
def _system(state_dir: Path | None, config_file: Path | None) -> Iterator[Change | None]:
    """The running system that knows ids, where one is named."""
    if state_dir is None and config_file is None:
        yield None
        return
    with changing(settings_of(state_dir, config_file, os.environ)) as change:
        yield change


def _stretch(
    event_files: tuple[str, ...], directory: Path | None, warm_up: tuple[str, ...], labels: Path | None,
    keys: tuple[Keyring, str],
) -> Stretch:  # fmt: skip
    if directory is None:
        raise UsageError("--events needs --directory: what the events are enriched from")
    paths, warm_paths, progress = existing(event_files), existing(warm_up), Progress()
    known = tuple(labels_of(Truth(labels))) if labels is not None else None
    events = read_events(paths, progress=progress)
    report_faults(events)
    if not len(events):
        raise UsageError("the files of --events hold no valid event")
    warm = read_events(warm_paths, progress=progress) if warm_paths else None
    return Stretch(events, warm, read_directory(directory, keys[0]), *keys, known, progress)


def _judged(model: Model, stretch: Stretch) -> Side:
    """What one model says of the stretch."""
    events = stretch.events
    scored = score_events(
        events, stretch.warm_up, stretch.directory, stretch.keyring, model, stretch.time_zone,
        progress=stretch.progress,
    )  # fmt: skip
    found = [(one.risk, one.anomaly_score) for one in scored.scores]
    risk, anomaly = np.array(found, np.float64).reshape(-1, 2).T
    alerts = [
        AlertSeen(one.event_id, one.actor_id, utc_us(one.event_time), one.alert.risk / 100, one.alert.detector)
        for one in scored.alerts
    ]
    if stretch.labels is None:
        return Side(risk, anomaly, alerts)
    evidence = _evidence(scored, stretch)
    return Side(risk, anomaly, alerts, recall(evidence)["recall"], actor_day_curve(evidence))


def _evidence(scored: Scored, stretch: Stretch) -> Evidence:
    events = stretch.events
    scores = (
        ScoreRecord(one.event_id, one.risk, one.anomaly_score, actor_id, time_us)
        for one, actor_id, time_us in zip(scored.scores, _actor_ids(events), events.time_us.tolist(), strict=True)
    )
    alerts = [AlertRecord(one.event_id, one.actor_id, utc_us(one.event_time)) for one in scored.alerts]
    return gather(scores, alerts, stretch.labels or ())


def _actor_ids(events: EventFile) -> Iterator[str]:
    for start in range(0, len(events), BATCH):
        values = list(events.lines[start : start + BATCH])
        yield from (event.actor_id for event in decode_values(values, events.time_us[start : start + BATCH]).events)


# -- for people


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield f"A {document['a'][:SHOWN_ID]}   B {document['b'][:SHOWN_ID]}"
    differences = list(_shown(document["manifest"]))
    yield from differences or ["the manifests state the same"]
    if "judged" not in document:
        yield "nothing was judged: give --events and --directory to see what each would alert on"
        return
    found = document["judged"]
    yield f"{found['events']:,} events of {found['days']:g} days"
    for title, name in (
        ("alerts a day", "alerts_per_day"), ("recall", "recall"), ("PR-AUC by actor-day", "pr_auc_actor_day"),
    ):  # fmt: skip
        if found[name]["a"] is not None:
            yield f"  {title:24} A {found[name]['a']:g}   B {found[name]['b']:g}"
    yield f"  {'alerted by both':24} {found['overlap']:.0%} of the actor-days that either alerts on"
    yield f"  {'rank correlation':24} {found['rank_correlation']:g}"
    yield f"  {'stability index of risk':24} {found['population_stability_index']:g}"
    for name, side in (("only_a", "A"), ("only_b", "B")):
        for one in found[name]:
            yield f"  only {side}: risk {one['risk']:g}  {one['detector']}  {one['actor_id']}  {one['event_id']}"
    reasons = document["reasons_against"]
    yield "look closer before B follows A:" if reasons else "nothing that was measured speaks against B"
    yield from (f"  - {reason}" for reason in reasons)


def difference_lines(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """How two manifests differ, a line each."""
    return list(_shown(manifest_differences(a, b)))


def _shown(differences: Mapping[str, Any]) -> Iterator[str]:
    for name, values in differences.items():
        yield f"  {name:24} {_value(values['a'])} to {_value(values['b'])}"


def _value(value: object) -> str:
    if isinstance(value, list) and len(value) > _SHOWN_NAMES:
        return f"{', '.join(map(str, value[:_SHOWN_NAMES]))} and {len(value) - _SHOWN_NAMES} more"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else json.dumps(value, ensure_ascii=False)
