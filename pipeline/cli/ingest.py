"""`accesstrail ingest`: sends recorded events from files to Kafka, with progress and every bad line named."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from pipeline.cli.options import settings_of
from pipeline.errors import EXIT_DATA, EXIT_OK, EXIT_UNAVAILABLE, Away, UsageError
from pipeline.sources.ingest import FORMATS, Ingest, Producer, Progress, Refusal
from pipeline.sources.records import STANDARD_INPUT, read_lines
from pipeline.stages.decode import REASONS

DEFAULT_TOPIC = "access.events"
SHOWN_REFUSALS = 20
_TERMINAL_INTERVAL_S, _LOG_INTERVAL_S = 0.2, 5.0


@click.command("ingest")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--format", "source_format", type=click.Choice(list(FORMATS)), default="access-event", show_default=True)
@click.option("--bootstrap", metavar="HOST:PORT", help="Kafka's bootstrap servers.")
@click.option("--state", metavar="DIR", type=click.Path(path_type=Path), help="Send to this local stack.")
@click.option("--config", "config_file", metavar="FILE", type=click.Path(path_type=Path), help="Configuration file.")
@click.option("--topic", help=f"Topic to send to.  [default: the configuration's, else {DEFAULT_TOPIC}]")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), metavar="N", help="At most N events a second.")
@click.option("--errors", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Bad lines as NDJSON.")
@click.option("--send-invalid", is_flag=True, help="Send bad access-event lines too: they become dead letters.")
@click.option("--json", "as_json", is_flag=True, help="Summary as JSON on standard output.")
def ingest_command(
    files: tuple[str, ...],
    source_format: str,
    bootstrap: str | None,
    state: Path | None,
    config_file: Path | None,
    topic: str | None,
    rate: float | None,
    errors: Path | None,
    *,
    send_invalid: bool,
    as_json: bool,
) -> int:
    """Send recorded events to Kafka: NDJSON, plain, .gz or .zst; `-` is standard input.

    Each line is checked first. A bad line is named (file, line, reason) and not sent; the others are.
    Sending a file twice is safe: the same event_id counts once.

    \b
    Examples:
      accesstrail ingest events.ndjson.zst --state ~/accesstrail
      accesstrail ingest trail.jsonl.gz --format cloudtrail --bootstrap 127.0.0.1:9092
      zcat events.gz | accesstrail ingest - --rate 500 --errors bad.ndjson --json

    Exit codes: 0 all sent, 2 usage, 65 some lines refused, 69 Kafka does not answer, 78 configuration.
    """
    if send_invalid and source_format != "access-event":
        raise UsageError("--send-invalid is for --format access-event: a raw line of another format is no record")
    _check_files(files)
    servers, topic = _destination(bootstrap, state, config_file, topic)
    started_s = time.monotonic()
    display = _Display(sys.stderr, time.monotonic)
    run = Ingest(
        producer=_producer(servers, topic),
        source_format=source_format,
        rate_per_s=rate,
        send_invalid=send_invalid,
        on_progress=display.progress,
    )
    try:
        with _refusals(errors, display) as on_refusal:
            run.on_refusal = on_refusal
            run.run(read_lines(files, max_line_bytes=FORMATS[source_format].max_line_bytes))
    except Away as exc:
        display.end(run.progress)
        click.echo(f"accesstrail: {exc}", err=True)
        if as_json:
            click.echo(_summary(run.progress, started_s))
        return EXIT_UNAVAILABLE
    display.end(run.progress)
    if as_json:
        click.echo(_summary(run.progress, started_s))
    return EXIT_DATA if run.progress.refused else EXIT_OK


def _producer(bootstrap_servers: str, topic: str) -> Producer:
    """The real producer, loaded only when it is needed: `--help` and usage errors stay instant."""
    from pipeline.adapters.kafka import EventProducer

    return EventProducer(bootstrap_servers, topic)


def _check_files(files: tuple[str, ...]) -> None:
    """Finds a wrong name before anything is sent."""
    missing = [path for path in files if path != STANDARD_INPUT and not Path(path).exists()]
    if missing:
        raise UsageError("no such file: " + ", ".join(missing))


def _destination(bootstrap: str | None, state: Path | None, file: Path | None, topic: str | None) -> tuple[str, str]:
    """Bootstrap servers and topic, from exactly one of the ways to say them."""
    if bootstrap is None:
        kafka = settings_of(state, file, os.environ).kafka
        return kafka.bootstrap_servers, topic or kafka.events_topic
    if state is not None or file is not None:
        raise UsageError("--bootstrap says the same as --state or --config: give one of them")
    return bootstrap, topic or DEFAULT_TOPIC


@contextmanager
def _refusals(errors: Path | None, display: _Display) -> Iterator[Callable[[Refusal], None]]:
    """Shows the first refusals and writes all of them to the file, if there is one."""
    if errors is None:
        yield display.refusal
        return
    try:
        out = errors.open("w", encoding="utf-8")
    except OSError as exc:
        raise UsageError(f"{errors} cannot be written: {exc.strerror}") from exc
    with out:

        def both(refusal: Refusal) -> None:
            line = {"file": refusal.path, "line": refusal.line, "reason": refusal.reason}
            out.write(json.dumps({**line, "message": REASONS[refusal.reason]}, ensure_ascii=False) + "\n")
            display.refusal(refusal)

        yield both


class _Display:
    """Progress on standard error: one line redrawn on a terminal, a line every 5 s elsewhere."""

    def __init__(self, stream: TextIO, clock_s: Callable[[], float]) -> None:
        self._stream = stream
        self._clock_s = clock_s
        self._terminal = stream.isatty()
        self._started_s = self._shown_s = clock_s()
        self._refusals = 0

    def progress(self, progress: Progress) -> None:
        """Shows how far it is, if the last time was long enough ago."""
        now_s = self._clock_s()
        if now_s - self._shown_s >= (_TERMINAL_INTERVAL_S if self._terminal else _LOG_INTERVAL_S):
            self._shown_s = now_s
            end = "\r" if self._terminal else "\n"
            self._stream.write(self._text(progress).ljust(79 if self._terminal else 0) + end)
            self._stream.flush()

    def refusal(self, refusal: Refusal) -> None:
        """Names one bad line, while there are not too many."""
        self._refusals += 1
        if self._refusals <= SHOWN_REFUSALS:
            message = f"{refusal.path}:{refusal.line}: {refusal.reason}: {REASONS[refusal.reason]}"
            self._stream.write(message.ljust(79 if self._terminal else 0) + "\n")
        elif self._refusals == SHOWN_REFUSALS + 1:
            self._stream.write("more bad lines follow; --errors FILE lists them all\n")

    def end(self, progress: Progress) -> None:
        """The last line: what was done."""
        self._stream.write(self._text(progress).ljust(79 if self._terminal else 0) + "\n")
        if progress.reasons:
            counts = ", ".join(f"{reason} {count:,}" for reason, count in progress.reasons.most_common())
            self._stream.write(f"refused: {counts}\n")
        self._stream.flush()

    def _text(self, progress: Progress) -> str:
        elapsed_s = max(self._clock_s() - self._started_s, 1e-9)
        return (
            f"{progress.read:,} read, {progress.sent:,} sent, {progress.acknowledged:,} acknowledged, "
            f"{progress.refused:,} refused, {progress.read / elapsed_s:,.0f} lines/s"
        )


def _summary(progress: Progress, started_s: float) -> str:
    return json.dumps(
        {
            "read": progress.read,
            "sent": progress.sent,
            "acknowledged": progress.acknowledged,
            "refused": progress.refused,
            "duration_s": round(time.monotonic() - started_s, 3),
            "reasons": dict(progress.reasons.most_common()),
        }
    )
