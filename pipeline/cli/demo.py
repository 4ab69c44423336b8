"""`accesstrail demo`: the whole system on this machine, with a live attack in it, explained and handled.

Composition only: it writes a simulated company, trains a model on its history, starts the local stack with
`accesstrail up`, sends history and a live story to Kafka, shows what the system finds, and closes the gravest incident.
Nothing in it is a shortcut: every alert printed was read back from ClickHouse as the role reader, every message came
over HTTP from the responder.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import click
import msgspec

from deploy.local.configuration import choose_ports, config_file, prepare_folder, write_config
from deploy.local.ports import PortWish, choose
from detectors.model import save
from pipeline.adapters.clickhouse import connect
from pipeline.adapters.directory import read_directory
from pipeline.adapters.kafka import EventProducer
from pipeline.cli.demo_desk import Desk
from pipeline.cli.demo_incident import demo_account, handle_incident
from pipeline.cli.options import settings_of
from pipeline.cli.simulate import days_before, today_in_china, write_simulation
from pipeline.cli.stack_run import model_key, model_keys
from pipeline.config import Settings
from pipeline.errors import LocalStackError, UsageError
from pipeline.offline import read_events, train_model
from pipeline.privacy.keys import Keyring
from pipeline.sources.simulate import Simulation, draw_company, live_story
from pipeline.version_sets.model_signature import signing

_MARKER = "demo.json"
_COMPANY_SEED, _ACTORS, _DAYS = 7, 50, 24
_LIVE_SECONDS = 12
_PATIENCE_S = 120
_SHOWN = 3
_ALERTS = (
    "SELECT hex(actor_token), formatDateTime(event_time, '%F %T', 'Asia/Shanghai'), risk / 100, toString(severity), "
    "detector, explanation_en, explanation_zh FROM accesstrail.alerts "
    "WHERE event_time >= fromUnixTimestamp64Micro({since:Int64}) AND NOT startsWith(detector, 'system:') "
    "ORDER BY risk DESC, event_time LIMIT 50"
)


@dataclass(slots=True)
class _Clock:
    """What took how long, in seconds since the demo began."""

    started: float = field(default_factory=time.monotonic)
    marks: dict[str, float] = field(default_factory=dict)

    def mark(self, name: str) -> float:
        """Notes that something was reached."""
        self.marks[name] = round(time.monotonic() - self.started, 1)
        return self.marks[name]


@click.command("demo")
@click.option("--state", "state_dir", type=click.Path(path_type=Path), default=Path(".state/demo"), show_default=True,
              help="Folder for the demo's data; made anew each time.")  # fmt: skip
@click.option("--once", is_flag=True, help="End after the first findings instead of waiting for Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Times and findings as JSON on standard output; implies --once.")
def demo_command(state_dir: Path, once: bool, as_json: bool) -> int:
    """Run the whole system on this machine and show a first finding.

    Real Apache Kafka, a real ClickHouse engine, a model trained on a simulated company's history, ordinary work and two
    attacks live. Ctrl-C ends everything.

    \b
    Examples:
      accesstrail demo
      accesstrail demo --once --json
    """
    clock = _Clock()
    say = _Say(quiet=as_json)
    _make_anew(state_dir)
    with _interruptible():
        try:
            return _story(state_dir, clock, say, once=once or as_json, as_json=as_json)
        except KeyboardInterrupt:
            say("\nstopping …")
            return 0
        finally:
            _stack(["down"], state_dir, check=False)


def _story(state_dir: Path, clock: _Clock, say: _Say, *, once: bool, as_json: bool) -> int:
    say("1/4  a company: 50 accounts, 24 ordinary days, tickets, partners, services …")
    company = draw_company(_COMPANY_SEED, _ACTORS)
    simulation = Simulation(company, days_before(today_in_china(), _DAYS), _DAYS, 1, attacks_per_scenario=0)
    history = state_dir / "company"
    counts = write_simulation(simulation, history)
    shutil.copytree(history / "directory", state_dir / "directory", dirs_exist_ok=True)
    say(f"2/4  training on {counts['events']:,} events of history (isolation forest, peers, alert budget) …")
    events = read_events([str(history / "events.ndjson.zst")])
    model = train_model(events, read_directory(state_dir / "directory", Keyring.offline()), "Asia/Shanghai")
    save(model, state_dir / "model", signing(model_key(state_dir)))
    clock.mark("trained_s")
    say("3/4  starting Apache Kafka, ClickHouse, worker and responder …")
    desk = Desk(state_dir)
    _configure(state_dir, desk)
    _stack(["up", "--detach", "--signed-models"], state_dir, check=True)
    clock.mark("stack_ready_s")
    settings = settings_of(state_dir, None, os.environ)
    say("4/4  history through the pipeline, then live work with two attacks in it …")
    producer = EventProducer(settings.kafka.bootstrap_servers, settings.kafka.events_topic)
    _send(producer, events.lines)
    live_from = datetime.now(UTC) - timedelta(minutes=3)
    sent = _send_live(producer, list(live_story(simulation.company, live_from, 1, life=simulation.life)))
    alerts = _await_alerts(settings, int(live_from.timestamp() * 1e6), clock)
    _tell(alerts, clock, len(events) + sent, say)
    incident = handle_incident(desk, state_dir, alerts[0]["severity"], clock.mark, say)
    if as_json:
        found = {"events": len(events) + sent, **clock.marks, "alerts": alerts, "incident": incident}
        click.echo(json.dumps(found, ensure_ascii=False))
        return 0
    _tell_more(state_dir, incident["incident_id"], say)
    while not once:
        time.sleep(1)
    return 0


class _Say:
    """Prints progress for people; silent where JSON was asked for."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def __call__(self, text: str) -> None:
        if not self._quiet:
            click.echo(text)


def _make_anew(state_dir: Path) -> None:
    """Removes an earlier demo's folder, never anything else."""
    if state_dir.exists() and any(state_dir.iterdir()):
        if not (state_dir / _MARKER).is_file():
            raise UsageError(f"{state_dir} is not empty and is no demo's folder: choose another --state")
        _stack(["down"], state_dir, check=False)
        shutil.rmtree(state_dir)
    prepare_folder(state_dir)
    model_keys(state_dir)
    demo_account(state_dir)
    (state_dir / _MARKER).write_text("{}\n", encoding="utf-8")


def _stack(words: list[str], state_dir: Path, *, check: bool) -> None:
    """Runs `accesstrail up` or `down` for the demo's folder."""
    command = [sys.executable, "-m", "pipeline.cli", words[0], "--state", str(state_dir), *words[1:]]
    # A session of its own: Ctrl-C reaches us, and we stop the stack in order.
    done = subprocess.run(command, capture_output=True, text=True, start_new_session=True, check=False)
    if check and done.returncode:
        raise LocalStackError(f"the local stack did not start: {done.stderr.strip() or done.stdout.strip()}")


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does: in order."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _send(producer: EventProducer, lines: Iterable[bytes]) -> None:
    for line in lines:
        producer.send(str(msgspec.json.decode(line)["actor_id"]).encode(), line)
    producer.flush()


def _send_live(producer: EventProducer, events: list[dict[str, Any]]) -> int:
    """Sends the story at about the pace of a few minutes pressed into seconds."""
    pause_s = _LIVE_SECONDS / max(1, len(events) / 50)
    for number, event in enumerate(events, start=1):
        producer.send(event["actor_id"].encode(), msgspec.json.encode(event))
        if number % 50 == 0:
            producer.flush()
            time.sleep(pause_s)
    producer.flush()
    return len(events)


def _await_alerts(settings: Settings, since_us: int, clock: _Clock) -> list[dict[str, Any]]:
    """Reads alerts until some are there and no new ones come for three seconds."""
    reader = connect(settings.clickhouse, "reader")
    found: list[dict[str, Any]] = []
    last_change = time.monotonic()
    while time.monotonic() - last_change < (3.0 if found else _PATIENCE_S):
        rows = reader.query(_ALERTS, {"since": since_us})
        if len(rows) > len(found):
            if not found:
                clock.mark("first_alert_s")
            names = ("actor", "event_time", "risk", "severity", "detector", "en", "zh")
            found = [dict(zip(names, row, strict=True)) for row in rows]
            last_change = time.monotonic()
        time.sleep(0.25)
    if not found:
        raise LocalStackError("no alert appeared: see the worker's log in the state folder", code="demo_silent")
    return found


def _configure(state_dir: Path, desk: Desk) -> None:
    """The configuration `up` would write, with a channel that this process reads."""
    write_config(state_dir, choose_ports(state_dir), signed_models=True)
    (page_port,) = choose((PortWish("links"),))
    with config_file(state_dir).open("a", encoding="utf-8") as file:
        file.write(desk.settings(page_port))


def _tell(alerts: list[dict[str, Any]], clock: _Clock, events: int, say: _Say) -> None:
    marks = clock.marks
    after = marks["first_alert_s"] - marks["stack_ready_s"]
    say(
        "\nThe story: among ordinary work, a partner's agent reads customers one by one in clear text, and an insider\n"
        f"reveals phone numbers to copy them down. {events:,} events went in; this is what came out.\n"
    )
    first_of_each = {alert["actor"]: alert for alert in reversed(alerts)}
    for alert in sorted(first_of_each.values(), key=lambda one: -one["risk"])[:_SHOWN]:
        say(f"● {alert['event_time']}  risk {alert['risk']:.0f}  {alert['severity']}  ({alert['detector']})")
        say(f"  {alert['en']}\n")
        say(f"  {alert['zh']}\n")
    say(f"{len(alerts)} alerts. The first came {marks['first_alert_s']:.0f} s after the start,")
    say(f"{after:.0f} s after the stack was ready.\n")


def _tell_more(state_dir: Path, incident_id: str, say: _Say) -> None:
    say("While this runs, in another terminal:\n")
    for words in (
        f"accesstrail incidents list --state {state_dir}",
        f"accesstrail incidents show {incident_id[:8]} --state {state_dir}",
        f"accesstrail alerts --state {state_dir}",
        f"accesstrail status --state {state_dir}",
        f"accesstrail sql 'SHOW TABLES FROM accesstrail' --state {state_dir}",
        f"accesstrail search --actor partner0-agent0 --state {state_dir}",
    ):
        say(f"  .venv/bin/{words}")
    say("\nCtrl-C ends everything.")
