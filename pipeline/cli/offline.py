"""`accesstrail train`, `score`, `evaluate`: no servers; the same code as the stream."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from detectors.exceptions import AlertException, from_lines
from detectors.model import load, save
from detectors.policy import level_in_words
from pipeline import process_memory
from pipeline.adapters.directory import read_directory
from pipeline.adapters.embedded import EmbeddedEngine
from pipeline.cli.history import DEFAULT_TIME_ZONE, Progress, existing, keyring_of, report_faults
from pipeline.directory import DirectorySnapshot
from pipeline.errors import EXIT_DATA, UsageError
from pipeline.kept_findings import FiredAlert
from pipeline.ledger.signed_note import load_private_key
from pipeline.offline import Score, Scored, read_events, score_events, train_model
from pipeline.privacy.keys import Keyring
from pipeline.schedule.simulated import Collector
from pipeline.training_exclusions import NOTHING_EXCLUDED, read_exclusions
from pipeline.version_sets.model_signature import signing


@click.command("train")
@click.argument("history", nargs=-1, required=True)
@click.option("--directory", type=click.Path(path_type=Path), required=True, help="Folder of directory files.")
@click.option("--model", type=click.Path(path_type=Path), required=True, help="Where the model directory is written.")
@click.option("--exclude", type=click.Path(path_type=Path), help="File of what teaches nothing, one a line; see below.")
@click.option(
    "--champion", type=click.Path(path_type=Path), help="Model in use: what it finds strangest is not fitted."
)
@click.option("--sign-with", type=click.Path(path_type=Path), help="Private key of `models keygen`; signs the model.")
@click.option("--budget", type=float, help="Alerts a day accepted [default: 10 for 500 active actors].")
@click.option("--json", "as_json", is_flag=True, help="Summary as JSON on standard output.")
def train_command(
    history: tuple[str, ...], directory: Path, model: Path, exclude: Path | None, champion: Path | None,
    sign_with: Path | None, budget: float | None, as_json: bool,
) -> None:  # fmt: skip
    """Train a model directory from HISTORY: access events as NDJSON, plain, .gz or .zst, - for standard input.

    The file of --exclude holds event ids, or JSON objects, one a line: {"event_id": …}, {"actor_id": …, "from": …,
    "to": …} for a disputed period of one account, {"from": …, "to": …} for everybody's; each may say "why"
    (true_positive, disputed, …). From is included, to is not. What is excluded teaches neither forest nor calibration
    nor budget.

    \b
    Examples:
      accesstrail train events.ndjson.zst --directory company/directory --model model
      accesstrail train 2026-09.ndjson.gz 2026-10.ndjson.gz --directory dir --model model \
        --exclude incidents.ndjson --champion model-in-use --sign-with /secure/model.key
    """
    paths = existing(history)
    key = load_private_key(sign_with) if sign_with else None
    in_use = load(champion) if champion else None
    left_out = read_exclusions(exclude) if exclude else NOTHING_EXCLUDED
    snapshot = read_directory(directory, Keyring.offline())
    progress = Progress()
    process_memory.settle()
    events = read_events(paths, progress=progress)
    report_faults(events)
    trained = train_model(
        events, snapshot, DEFAULT_TIME_ZONE, exclude=left_out, budget_per_day=budget, progress=progress,
        champion=in_use,
    )  # fmt: skip
    identity = save(trained, model, signing(key) if key else None)
    unknown = len(left_out.event_ids.keys() - set(events.ids))
    summary = {
        "model_id": identity,
        "events": len(events),
        "invalid": len(events.faults),
        "threshold": trained.threshold / 100,
        "rule_threshold": trained.rule_threshold / 100,
        "signer": key.public.identity if key else "",
        "excluded_ids_not_in_history": unknown,
        **trained.about,
    }
    if exclude:
        counts = ", ".join(f"{count:,} {why}" for why, count in trained.about["excluded"].items()) or "no event"
        click.echo(f"excluded: {counts}; {unknown:,} of the ids are not in the history", err=True)
    click.echo(
        f"model {identity[:12]} written to {model}: {len(events):,} events, alerts {level_in_words(trained.threshold)}",
        err=True,
    )
    if as_json:
        click.echo(json.dumps(summary, ensure_ascii=False))


@click.command("score")
@click.argument("events", nargs=-1, required=True)
@click.option("--directory", type=click.Path(path_type=Path), required=True, help="Folder of directory files.")
@click.option("--model", type=click.Path(path_type=Path), required=True, help="Model directory.")
@click.option("--warm-up", multiple=True, help="History that builds profiles without being scored; may be repeated.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Scores, one JSON object a line.")
@click.option("--alerts", "alerts_file", type=click.Path(path_type=Path), help="Alerts, one JSON object a line.")
@click.option("--budget", type=float, help="Alerts really fired a day over the whole input.")
@click.option("--nightly", is_flag=True, help="Keep --budget as a running system does: thresholds move at midnight.")
@click.option("--order", type=click.Choice(["event-time", "input"]), default="event-time", show_default=True)
@click.option("--state", "state_dir", type=click.Path(path_type=Path), help="Use the token keys of this local stack.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="Use the token keys of this system.")
@click.option(
    "--exceptions",
    "exceptions_file",
    type=click.Path(path_type=Path),
    help="Exceptions that hold alerts back, as `accesstrail exceptions export` writes them.",
)
@click.option("--scheduled/--no-scheduled", default=True, help="Run the scheduled detectors too.  [default: yes]")
@click.option("--skip-invalid", is_flag=True, help="Exit 0 although lines were invalid.")
@click.option("--json", "as_json", is_flag=True, help="Summary as JSON on standard output.")
def score_command(
    events: tuple[str, ...], directory: Path, model: Path, warm_up: tuple[str, ...], output: Path,
    alerts_file: Path | None, budget: float | None, nightly: bool, order: str, state_dir: Path | None,
    config_file: Path | None, exceptions_file: Path | None, scheduled: bool, skip_invalid: bool, as_json: bool,
) -> int:  # fmt: skip
    """Score EVENTS with the stream's own code; no server is needed.

    \b
    Examples:
      accesstrail score day.ndjson --directory dir --model model --warm-up history.ndjson.zst --output scores.ndjson
      accesstrail score day.ndjson --directory dir --model model --output s.ndjson --alerts a.ndjson --budget 10
      accesstrail score weeks.ndjson --directory dir --model model --output s.ndjson --budget 10 --nightly --json
    """
    if nightly and (budget is None or order != "event-time"):
        raise UsageError("--nightly needs --budget, and the order of event time: a night is a midnight of event time")
    paths, warm_paths = existing(events), existing(warm_up)
    keyring, time_zone = keyring_of(state_dir, config_file)
    loaded, snapshot, progress = load(model), read_directory(directory, keyring), Progress()
    process_memory.settle()
    warm = read_events(warm_paths, order=order, progress=progress) if warm_paths else None
    read = read_events(paths, order=order, progress=progress)
    report_faults(read)
    excepted = _excepted(exceptions_file, keyring)
    with _collecting(snapshot, time_zone, excepted, wanted=scheduled) as collector:
        scored = score_events(
            read, warm, snapshot, keyring, loaded, time_zone, budget_per_day=budget, nightly=nightly,
            progress=progress, collector=collector, exceptions=excepted,
        )  # fmt: skip
    _write_lines(output, (_score_line(one) for one in scored.scores))
    if alerts_file is not None:
        _write_lines(alerts_file, (_alert_line(one) for one in scored.alerts))
    summary = {
        "events": len(read), "invalid": len(read.faults), "alerts": len(scored.alerts),
        "alerts_per_day": round(len(scored.alerts) / read.days, 2), "threshold": scored.threshold / 100,
        **_nights(scored),
    }  # fmt: skip
    click.echo(
        f"{summary['events']:,} events scored, {summary['alerts']} alerts ({summary['alerts_per_day']} a day)", err=True
    )
    if as_json:
        click.echo(json.dumps(summary))
    return EXIT_DATA if read.faults and not skip_invalid else 0


def _excepted(path: Path | None, keyring: Keyring) -> Sequence[AlertException]:
    """The exceptions of a file. Raises: UsageError: it holds none, or their tokens were made with another key."""
    if path is None:
        return ()
    found = from_lines(path.read_text(encoding="utf-8").splitlines())
    if any(one.key_version != keyring.canonical.version_id for one in found):
        raise UsageError("these exceptions hold tokens of another key: name their system with --state or --config")
    return found


@contextlib.contextmanager
def _collecting(
    directory: DirectorySnapshot, time_zone: str, exceptions: Sequence[AlertException], *, wanted: bool
) -> Iterator[Collector | None]:
    """What runs the scheduled detectors, where they are wanted."""
    if not wanted:
        yield None
        return
    with EmbeddedEngine() as engine:
        yield Collector(engine, directory, ZoneInfo(time_zone), exceptions)


def _nights(scored: Scored) -> dict[str, Any]:
    """What each night found and did, where there were any."""
    return {"nights": [night.report() for night in scored.nights]} if scored.nights else {}


def _score_line(score: Score) -> str:
    """One score as `json.dumps` writes it, at a quarter of the cost: an id is a UUID, and reasons are few."""
    return (
        f'{{"event_id":"{score.event_id}","anomaly_score":{score.anomaly_score!r},"risk":{score.risk!r},'
        f'"reasons":{_reasons(score.reasons)}}}'
    )


@lru_cache(maxsize=4096)
def _reasons(reasons: tuple[str, ...]) -> str:
    return _json(reasons)


_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _alert_line(fired: FiredAlert) -> str:
    alert = fired.alert
    line = {
        "alert_id": alert.alert_id,
        "event_id": fired.event_id,
        "event_time": fired.event_time,
        "actor_id": fired.actor_id,
        "risk": alert.risk / 100,
        "severity": alert.severity,
        "detector": alert.detector,
        "reasons": list(alert.reasons),
        "explanation": {"en": alert.explanation_en, "zh": alert.explanation_zh},
    }
    return _json(line)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    out = sys.stdout if str(path) == "-" else path.open("w", encoding="utf-8")
    try:
        out.writelines(line + "\n" for line in lines)
    finally:
        if out is not sys.stdout:
            out.close()
