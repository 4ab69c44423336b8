"""`accesstrail evaluate`: compares scores and alerts with labels; no servers.

Reads what `score` wrote and what `simulate` (or whoever knows the truth) wrote beside it, line by line; the measures
are in `detectors.evaluate`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np

from detectors.evaluate import evaluate
from detectors.evaluation.evidence import Account, AlertRecord, Evidence, Happening, Label, ScoreRecord, gather
from detectors.evaluation.report import markdown, report_lines
from detectors.source_labels import Sighting, hits_by_source
from pipeline.cli.history import DEFAULT_TIME_ZONE, Progress, existing
from pipeline.errors import UsageError
from pipeline.sources.records import read_lines
from pipeline.stages.decode import decode_values
from pipeline.timestamps import utc_us

Record = TypeVar("Record")

_BATCH = 5000
_ANY_TIME_US = 4_102_444_800_000_000  # 2100: a file has no receiving time, only its own lower bound is checked
_PATH = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known beside scores and alerts; empty or None where it was not given."""

    labels: Path
    attacks: Path | None = None
    events: Sequence[str] = ()
    directory: Path | None = None
    twins: Path | None = None
    lookalikes: Path | None = None


@click.command("evaluate")
@click.option("--scores", type=_PATH, required=True, help="Output of `accesstrail score`.")
@click.option("--alerts", "alerts_file", type=_PATH, required=True, help="Its alerts.")
@click.option("--labels", type=_PATH, required=True, help="event_id, scenario, attack_id.")
@click.option("--attacks", type=_PATH, help="attack_id, scenario, strength.")
@click.option("--events", "event_files", multiple=True, help="The scored events: needed for days and actors.")
@click.option("--directory", type=_PATH, help="Folder of directory files: needed for groups, sites, local days.")
@click.option("--twins", type=_PATH, help="event_id, scenario, twin_id of benign twins.")
@click.option("--lookalikes", type=_PATH, help="kind, first_day, last_day, actor_id of harmless oddities.")
@click.option("--report", "report_file", type=_PATH, help="Write the whole report here, in Markdown.")
@click.option("--json", "as_json", is_flag=True, help="The whole report as JSON on standard output.")
def evaluate_command(
    scores: Path, alerts_file: Path, labels: Path, attacks: Path | None, event_files: tuple[str, ...],
    directory: Path | None, twins: Path | None, lookalikes: Path | None, report_file: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Compare scores and alerts with labels: recall, PR-AUC by actor-day, time to detect, false alerts, fairness.

    Attacks without a scored event are not counted. Without --events there are no times, no actor-days and no
    look-alikes; without --directory no groups.

    \b
    Examples:
      accesstrail evaluate --scores s.ndjson --alerts a.ndjson --labels labels.csv --events events.ndjson.zst
      accesstrail evaluate --scores s.ndjson --alerts a.ndjson --labels company/labels.csv \\
        --attacks company/attacks.csv --twins company/twins.csv --lookalikes company/lookalikes.csv \\
        --events company/events.ndjson.zst --directory company/directory --report evaluation.md
    """
    truth = Truth(labels, attacks, existing(event_files), directory, twins, lookalikes)
    evidence = read_evidence(scores, alerts_file, truth, Progress())
    lost = len(evidence.risk) - len(evidence.placed)
    if event_files and lost:
        click.echo(f"{lost:,} of {len(evidence.risk):,} scored events are not among --events", err=True)
    report = evaluate(evidence, accounts_of(truth), happenings_of(truth), DEFAULT_TIME_ZONE)
    if report_file is not None:
        try:
            report_file.write_text(markdown(report), encoding="utf-8")
        except OSError as exc:
            raise UsageError(f"{report_file} cannot be written: {exc.strerror}") from None
        click.echo(f"report written to {report_file}", err=True)
    click.echo(json.dumps(report, ensure_ascii=False) if as_json else "\n".join(report_lines(report)))


def read_evidence(scores: Path, alerts: Path, truth: Truth, progress: Progress | None = None) -> Evidence:
    """Scores, alerts and labels as columns. Raises: UsageError."""
    places = _Places.of(truth.events, progress)
    labels = list(labels_of(truth))
    return gather(
        _records(scores, lambda line: _score(line, places)),
        _fired(list(_records(alerts, lambda line: _alert(line, places))), labels, places),
        labels,
        strengths_of(truth),
        _labels(truth.twins, "twin_id") if truth.twins else (),
    )


def _fired(alerts: Sequence[_Alert], labels: Sequence[Label], places: _Places) -> Iterator[AlertRecord]:
    """The alerts; one about a source stands for the labelled event of the same instance that it hits, if any."""
    labelled = [places.sighting(label.scenario, label.event_id) for label in labels if label.event_id in places.row_of]
    hits = hits_by_source([alert for alert, _, _ in alerts], labelled)
    for (alert, actor_id, risk), hit in zip(alerts, hits, strict=True):
        time_us = max(alert.time_us, hit.time_us) if hit else alert.time_us
        yield AlertRecord(hit.event_id if hit else alert.event_id, actor_id, time_us, risk, named=alert.event_id)


def labels_of(truth: Truth) -> Iterable[Label]:
    """The labelled events. Raises: UsageError, while they are read."""
    return _labels(truth.labels, "attack_id")


def strengths_of(truth: Truth) -> dict[str, str]:
    """Attack id → strength, none where no file was given. Raises: UsageError."""
    if truth.attacks is None:
        return {}
    return dict(_rows(truth.attacks, ("attack_id", "strength"), lambda row: (row["attack_id"], row["strength"])))


def accounts_of(truth: Truth) -> dict[str, Account] | None:
    """Actor id → what the directory says; None where no directory was given. Raises: UsageError."""
    if truth.directory is None:
        return None
    if not truth.directory.is_dir():
        raise UsageError(f"no directory folder at {truth.directory}")
    sites, actors = truth.directory / "sites.csv", truth.directory / "actors.csv"
    zones = (
        dict(_rows(sites, ("site", "time_zone"), lambda row: (row["site"], row["time_zone"])))
        if sites.is_file()
        else {}
    )
    if not actors.is_file():
        return {}
    named = ("actor_id", "department", "role", "site")
    return dict(
        _rows(
            actors,
            named,
            lambda row: (
                row["actor_id"],
                Account(row["department"], row["role"], row["site"], zones.get(row["site"], "")),
            ),
        )
    )


def happenings_of(truth: Truth) -> list[Happening]:
    """The look-alikes, none where no file was given. Raises: UsageError."""
    if truth.lookalikes is None:
        return []

    def one(row: Mapping[str, str]) -> Happening:
        first, last = (date.fromisoformat(row[name]) for name in ("first_day", "last_day"))
        return Happening(row["kind"], first, last, row["actor_id"])

    return list(_rows(truth.lookalikes, ("kind", "first_day", "last_day", "actor_id"), one))


@dataclass(frozen=True, slots=True)
class _Places:
    """Event id → actor, source instance and time (UTC µs) of the events that were given."""

    row_of: Mapping[str, int]
    actors: Sequence[str]
    instances: Sequence[str]
    time_us: np.ndarray[tuple[int], np.dtype[np.int64]]

    @classmethod
    def of(cls, paths: Sequence[str], progress: Progress | None) -> _Places:
        row_of: dict[str, int] = {}
        names: dict[str, str] = {}  # one object for equal names
        actors: list[str] = []
        instances: list[str] = []
        times = [np.zeros(0, np.int64)]
        lines = read_lines(paths)
        while chunk := [line.data for line in islice(lines, _BATCH)]:
            decoded = decode_values(chunk, np.full(len(chunk), _ANY_TIME_US, np.int64))
            for event in decoded.events:
                row_of.setdefault(event.event_id, len(actors))
                actors.append(names.setdefault(event.actor_id, event.actor_id))
                instance = f"{event.source_system}/{event.source_instance}"
                instances.append(names.setdefault(instance, instance))
            times.append(decoded.event_time_us)
            if progress is not None:
                progress("read", len(actors))
        return cls(row_of, actors, instances, np.concatenate(times))

    def sighting(self, name: str, event_id: str) -> Sighting:
        """A label or an alert at its event's source; nowhere where the event was not given."""
        row = self.row_of.get(event_id)
        return Sighting(name, event_id, *(("", 0) if row is None else (self.instances[row], int(self.time_us[row]))))


def _score(line: Mapping[str, Any], places: _Places) -> ScoreRecord:
    event_id = str(line["event_id"])
    row = places.row_of.get(event_id)
    place = ("", 0) if row is None else (places.actors[row], int(places.time_us[row]))
    return ScoreRecord(event_id, float(line["risk"]), float(line["anomaly_score"]), *place)


_Alert = tuple[Sighting, str, float]
"""Where it was seen, its actor, its risk (0–100)."""


def _alert(line: Mapping[str, Any], places: _Places) -> _Alert:
    seen = places.sighting(str(line.get("detector", "")), str(line["event_id"]))
    risk = float(line.get("risk", 0.0))  # an alert that tells none ranks no day
    return replace(seen, time_us=utc_us(line["event_time"])), str(line["actor_id"]), risk


def _labels(path: Path, story: str) -> Iterable[Label]:
    named = ("event_id", "scenario", story)
    return _rows(path, named, lambda row: Label(row["event_id"], row["scenario"], row[story]))


def _records(path: Path, make: Callable[[Mapping[str, Any]], Record]) -> Iterator[Record]:
    """Of one JSON object a line; a line that is none is named by its number, never quoted."""
    for line in read_lines([str(path)]):
        try:
            record = make(json.loads(line.data or b""))
        except (ValueError, KeyError, TypeError) as exc:
            raise UsageError(f"{path}:{line.number}: not a line as `score` writes it: {type(exc).__name__}") from None
        yield record


def _rows(path: Path, named: Sequence[str], make: Callable[[Mapping[str, str]], Record]) -> Iterator[Record]:
    """Of a CSV file with at least these columns."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in named if name not in (reader.fieldnames or ())]
            if missing:
                raise UsageError(f"{path} has no column {', '.join(missing)}")
            for row in reader:
                try:
                    record = make(row)
                except (ValueError, TypeError, AttributeError) as exc:
                    raise UsageError(f"{path}:{reader.line_num}: cannot be used: {type(exc).__name__}") from None
                yield record
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise UsageError(f"{path} cannot be read as CSV: {type(exc).__name__}") from None
