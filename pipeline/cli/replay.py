"""`accesstrail replay`: forms the sealed log again under the recorded versions; compares, or fills an empty store."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

from pipeline.adapters.kafka import TopicAdmin
from pipeline.adapters.kafka_log import LogReader
from pipeline.adapters.store import ClickHouseStore, open_store
from pipeline.cli.options import settings_options
from pipeline.config import Settings, load
from pipeline.errors import EXIT_DIFFERENCES, EXIT_INCOMPLETE, EXIT_OK, BrokenInvariant, LogIncomplete, UsageError
from pipeline.events import LogPosition
from pipeline.flow import Chain
from pipeline.partition.recovery import LogBounds, newest_life
from pipeline.privacy.keys import Keyring
from pipeline.privacy.protector import Protectors
from pipeline.replay import Outcome, Replay
from pipeline.version_sets.files import ConfiguredFiles
from pipeline.version_sets.judgements import restore

_TERMINAL_INTERVAL_S, _LOG_INTERVAL_S = 0.2, 5.0


@dataclass(slots=True)
class _Result:
    """What became of one partition."""

    outcome: Outcome
    fault: str = ""
    code: str = ""

    @property
    def exit_code(self) -> int:
        if self.outcome.difference is not None:
            return EXIT_DIFFERENCES
        return EXIT_INCOMPLETE if self.fault else EXIT_OK

    def document(self) -> dict[str, object]:
        """For `--json`."""
        one = self.outcome
        return {
            "topic": one.position.topic,
            "incarnation": one.position.incarnation,
            "partition": one.position.partition,
            "next_offset": one.next_offset,
            "leaves": one.tree_size,
            "root": one.root,
            "alerts": one.alerts,
            "equal": one.difference is None and not self.fault,
            "difference": asdict(one.difference) if one.difference is not None else None,
            "fault": {"code": self.code, "message": self.fault} if self.fault else None,
        }

    def text(self) -> str:
        """For people."""
        one, difference = self.outcome, self.outcome.difference
        head = f"partition {one.position.partition:>3}  {one.tree_size:>12,} leaves  {one.alerts:>6,} alerts"
        if difference is not None:
            what = ", ".join(difference.what)
            return f"{head}  DIFFERS in offsets {difference.first_offset}-{difference.last_offset}: {what}"
        return f"{head}  INCOMPLETE: {self.fault}" if self.fault else f"{head}  equal  {one.root[:16]}"


@dataclass(slots=True)
class _Display:
    """Progress on standard error: redrawn on a terminal, a line every 5 s elsewhere."""

    started_s: float = field(default_factory=time.monotonic)
    shown_s: float = field(default_factory=time.monotonic)

    def show(self, outcome: Outcome) -> None:
        """Says how far one partition is."""
        terminal, now_s = sys.stderr.isatty(), time.monotonic()
        if now_s - self.shown_s >= (_TERMINAL_INTERVAL_S if terminal else _LOG_INTERVAL_S):
            self.shown_s = now_s
            place = f"partition {outcome.position.partition}: offset {outcome.next_offset:,}"
            text = f"{place} after {now_s - self.started_s:.0f} s"
            sys.stderr.write(text.ljust(79 if terminal else 0) + ("\r" if terminal else "\n"))
            sys.stderr.flush()


@click.command("replay")
@click.option("--check", is_flag=True, help="Compare only; write nothing.")
@click.option(
    "--into", metavar="CONFIG", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Fill the empty store of this configuration file.",
)  # fmt: skip
@click.option(
    "--batch", default=5000, show_default=True, type=click.IntRange(1, 50_000), metavar="N", help="Records a batch."
)
@click.option("--partition", "only", type=int, multiple=True, metavar="N", help="Only this partition; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a partition.")
@settings_options
def replay_command(
    settings: Settings, into: Path | None, batch: int, only: tuple[int, ...], *, check: bool, as_json: bool
) -> int:
    """Form the sealed log again from Kafka under the versions recorded with it.

    Same log and same versions give the same evidence: every root and count must be the one that was sealed, whatever
    the size of batches. --check compares and writes nothing. --into fills an empty ClickHouse (made ready with
    `accesstrail migrate --apply`) with the same rows, alerts and roots; ended in the middle, it goes on when it is run
    again. Nothing is published. The log must be there from its first recorded offset, because actors' profiles begin
    empty; what is not sealed yet is not replayed.

    \b
    Examples:
      accesstrail replay --check --state ./state
      accesstrail replay --into /etc/accesstrail/second.toml --batch 500 --config /etc/accesstrail/config.toml

    Exit codes: 0 everything equal, 1 differences, 2 usage, 3 the log is incomplete, 69 unreachable, 78 configuration.
    """
    if check == (into is not None):
        raise UsageError("give --check to compare, or --into CONFIG to fill an empty store")
    target = load(into, os.environ) if into is not None else None
    if target is not None and _address(target) == _address(settings):
        raise UsageError("--into names the store that is replayed: give the configuration of another, empty one")
    with ExitStack() as stack:
        source = stack.enter_context(closing(open_store(settings.clickhouse)))
        filled = stack.enter_context(closing(open_store(target.clickhouse))) if target is not None else None
        log = stack.enter_context(closing(LogReader(settings.kafka.bootstrap_servers)))
        admin = stack.enter_context(closing(TopicAdmin(settings.kafka.bootstrap_servers)))
        run = _replay(settings, source, filled, log, batch)
        codes = set()
        for result in _partitions(settings, source, admin, run, only):
            click.echo(json.dumps(result.document(), ensure_ascii=False) if as_json else result.text())
            codes.add(result.exit_code)
    return next((code for code in (EXIT_DIFFERENCES, EXIT_INCOMPLETE) if code in codes), EXIT_OK)


def _address(settings: Settings) -> tuple[str, int]:
    return settings.clickhouse.host, settings.clickhouse.native_port


def _replay(
    settings: Settings, source: ClickHouseStore, target: ClickHouseStore | None, log: LogReader, batch: int
) -> Replay:
    keyring = Keyring.load(settings.protection.token_keys_file)
    files = ConfiguredFiles(settings, keyring)
    chain = Chain(Protectors(keyring))
    return Replay(
        chain=chain, log=log, source=source, target=target, batch_records=batch, progress=_Display().show,
        judgement_of=lambda versions_id: restore(source, versions_id, files),
    )  # fmt: skip


def _partitions(
    settings: Settings, source: ClickHouseStore, admin: TopicAdmin, run: Replay, only: Sequence[int]
) -> Iterator[_Result]:
    """Every partition in turn; one that cannot be replayed does not keep the others from it."""
    topic = settings.kafka.events_topic
    wrong = [number for number in only if not 0 <= number < settings.kafka.partitions]
    if wrong:
        raise UsageError(f"the topic has partitions 0 to {settings.kafka.partitions - 1}")
    for partition in only or range(settings.kafka.partitions):
        topic_id, first_offset, end_offset = admin.bounds(topic, partition)
        lives = [entry.incarnation for entry in source.incarnations(topic, partition)]
        position = LogPosition(topic, newest_life(topic_id, lives), partition)
        try:
            yield _Result(run.run(position, LogBounds(topic_id, first_offset, end_offset)))
        except (BrokenInvariant, LogIncomplete) as exc:  # the log is incomplete, or a set cannot be used here any more
            yield _Result(Outcome(position), str(exc), exc.code)
