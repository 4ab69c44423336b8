"""`accesstrail demo`: the whole system on this machine, with a live attack in it, explained and handled.

Composition only: it writes a simulated company, trains a model on its history, starts the local stack with
`accesstrail up`, sends history and a live story to Kafka, shows what the system finds, and closes the gravest incident.
Nothing in it is a shortcut: every alert printed was read back from ClickHouse as the role reader, every message came
over HTTP from the responder.
"""

from __future__ import annotations

import heapq
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from pipeline.adapters.directory import read_directory
from pipeline.adapters.kafka import EventProducer
from pipeline.adapters.status_file import read_workers
from pipeline.cli.demo_accounts import SignIn, demo_accounts, show_codes_when_asked, show_sign_in
from pipeline.cli.demo_chapters import Alert, Told, await_alerts, tell, tell_links
from pipeline.cli.demo_desk import Desk
from pipeline.cli.demo_incident import handle_incident, incident_of
from pipeline.cli.options import settings_of
from pipeline.cli.simulate import days_before, today_in_china, write_simulation
from pipeline.cli.stack_run import model_key, model_keys
from pipeline.config import Settings
from pipeline.errors import LocalStackError, UsageError
from pipeline.offline import read_events, train_model
from pipeline.privacy.keys import Keyring
from pipeline.sources.simulate import Simulation, Story, demo_story, draw_company, goes_on, write_directory
from pipeline.sources.simulate.live import HARVEST
from pipeline.timestamps import utc_us
from pipeline.version_sets.model_signature import signing

_MARKER = "demo.json"
_COMPANY_SEED, _ACTORS, _DAYS = 6, 50, 24
_LIVE_SECONDS = 20
_AHEAD_S = 60
"""The story's minutes begin so long before the demo starts: when they are sent, none of them is in the future."""


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

    Real Apache Kafka, a real ClickHouse engine, a model trained on a simulated company's history, ordinary work and
    three attacks: a partner's agent harvests at night, an insider takes a little every day, somebody is curious about a
    well-known customer. Ctrl-C ends everything.

    \b
    Examples:
      accesstrail demo
      accesstrail demo --once --json
    """
    clock = _Clock()
    say = _Say(quiet=as_json)
    accounts = _make_anew(state_dir)
    with _interruptible():
        try:
            return _story(state_dir, accounts, clock, say, once=once or as_json, as_json=as_json)
        except KeyboardInterrupt:
            say("\nstopping …")
            return 0
        finally:
            _stack(["down"], state_dir, check=False)


def _story(state_dir: Path, accounts: Sequence[SignIn], clock: _Clock, say: _Say, *, once: bool, as_json: bool) -> int:
    say("1/4  a company: 50 accounts, 24 ordinary days, tickets, partners, services …")
    simulation, story, counts = _company(state_dir)
    say(f"2/4  training on {counts['events']:,} events of history (isolation forest, peers, alert budget) …")
    events = read_events([str(state_dir / "company" / "events.ndjson.zst")])
    model = train_model(events, read_directory(state_dir / "directory", Keyring.offline()), "Asia/Shanghai")
    save(model, state_dir / "model", signing(model_key(state_dir)))
    clock.mark("trained_s")
    say("3/4  starting Apache Kafka, ClickHouse, worker, scheduler and responder …")
    desk = Desk(state_dir)
    _configure(state_dir, desk)
    _stack(["up", "--detach", "--signed-models"], state_dir, check=True)
    clock.mark("stack_ready_s")
    settings = settings_of(state_dir, None, os.environ)
    console = _console_address(settings)
    show_sign_in(console, accounts, say)
    say("4/4  history through the pipeline, then live work with three attacks in it …")
    producer = EventProducer(settings.kafka.bootstrap_servers, settings.kafka.events_topic)
    for key, line in _merged(events.lines, story.past):
        producer.send(key, line)
    producer.flush()
    _send_live(producer, story.live)
    _ask_scheduler(settings)
    since_us = min(one.first_ms for one in story.chapters if one.scenario == HARVEST) * 1000
    alerts, told = await_alerts(settings, story.chapters, since_us, lambda: clock.mark("first_alert_s"))
    sent = len(events) + len(story.past) + len(story.live)
    _tell(alerts, told, clock, sent, say)
    tell_links(console, told, say)
    harvest = next(one for one in told if one.chapter.scenario == HARVEST)
    incident = handle_incident(desk, state_dir, incident_of(settings, harvest), clock.mark, say)
    if as_json:
        chapters = [one.summary() for one in told]
        found = {"events": sent, **clock.marks, "alerts": alerts, "chapters": chapters, "incident": incident}
        click.echo(json.dumps(found, ensure_ascii=False))
        return 0
    _tell_more(state_dir, story, incident["incident_id"], say)
    if not once:
        show_sign_in(console, accounts, say)
        _go_on(producer, simulation, show_codes_when_asked(accounts, say))
    return 0


def _company(state_dir: Path) -> tuple[Simulation, Story, dict[str, int]]:
    """A company with its history and the story that is coming; its directory knows the work items of both."""
    company, folder = draw_company(_COMPANY_SEED, _ACTORS), state_dir / "company"
    simulation = Simulation(company, days_before(today_in_china(), _DAYS), _DAYS, 1, attacks_per_scenario=0)
    counts = write_simulation(simulation, folder)
    start_at = datetime.now(UTC) - timedelta(seconds=_AHEAD_S)
    story = demo_story(simulation.company, start_at, 1, minutes=1, life=simulation.life)
    write_directory(simulation.company, state_dir / "directory", [*simulation.desk.work_items, *story.work_items])
    return simulation, story, counts


class _Say:
    """Prints progress for people; silent where JSON was asked for."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def __call__(self, text: str) -> None:
        if not self._quiet:
            click.echo(text)


def _make_anew(state_dir: Path) -> Sequence[SignIn]:
    """Removes an earlier demo's folder, never anything else; the accounts of the new one."""
    if state_dir.exists() and any(state_dir.iterdir()):
        if not (state_dir / _MARKER).is_file():
            raise UsageError(f"{state_dir} is not empty and is no demo's folder: choose another --state")
        _stack(["down"], state_dir, check=False)
        shutil.rmtree(state_dir)
    prepare_folder(state_dir)
    model_keys(state_dir)
    (state_dir / _MARKER).write_text("{}\n", encoding="utf-8")
    return demo_accounts(state_dir)


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


def _merged(history: Iterable[bytes], past: Iterable[Mapping[str, Any]]) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of history's events and of what attackers did meanwhile, in the order of their times."""
    numbered = (_keyed(msgspec.json.decode(line), line) for line in history)
    told = (_keyed(event, msgspec.json.encode(event)) for event in past)
    yield from (keyed[1:] for keyed in heapq.merge(numbered, told, key=lambda one: one[0]))


def _keyed(event: Mapping[str, Any], line: bytes) -> tuple[int, bytes, bytes]:
    return utc_us(str(event["event_time"])), str(event["actor_id"]).encode(), line


def _send_live(producer: EventProducer, events: Sequence[Mapping[str, Any]]) -> None:
    """Sends the night and the minutes of the story pressed into seconds."""
    step = max(1, len(events) // (_LIVE_SECONDS * 5))
    for number, event in enumerate(events, start=1):
        producer.send(str(event["actor_id"]).encode(), msgspec.json.encode(event))
        if number % step == 0:
            producer.flush()
            time.sleep(0.2)
    producer.flush()


def _console_address(settings: Settings) -> str:
    found = [str(one["address"]) for one in read_workers(settings.state_dir / "run", "console") if one.get("address")]
    if not found:
        raise LocalStackError("the console did not start: see logs/console.log", code="demo_silent")
    return found[0].rstrip("/")


def _ask_scheduler(settings: Settings) -> None:
    """Has the scheduler look at the day so far, as one does after an import; else it would within half an hour."""
    for one in read_workers(settings.state_dir / "run", "scheduler"):
        os.kill(int(one["pid"]), signal.SIGHUP)


def _go_on(producer: EventProducer, simulation: Simulation, meanwhile: Callable[[], None]) -> None:
    """The company works on, at the pace of its day, until somebody presses Ctrl-C; `meanwhile`: once a second."""
    for due_ms, event in goes_on(simulation.company, datetime.now(UTC), 2, life=simulation.life):
        while (wait_s := due_ms / 1000 - time.time()) > 0:
            meanwhile()
            time.sleep(min(wait_s, 1.0))
        producer.send(str(event["actor_id"]).encode(), msgspec.json.encode(event))
        producer.flush()


def _configure(state_dir: Path, desk: Desk) -> None:
    """The configuration `up` would write, with a channel that this process reads."""
    write_config(state_dir, choose_ports(state_dir), signed_models=True)
    (page_port,) = choose((PortWish("links"),))
    with config_file(state_dir).open("a", encoding="utf-8") as file:
        file.write(desk.settings(page_port))


def _tell(alerts: Sequence[Alert], told: Sequence[Told], clock: _Clock, events: int, say: _Say) -> None:
    marks = clock.marks
    after = marks["first_alert_s"] - marks["stack_ready_s"]
    say(f"\nThe story: three attacks among ordinary work. {events:,} events went in; this is what came out.\n")
    tell(told, say)
    say(f"{len(alerts)} alerts. The first came {marks['first_alert_s']:.0f} s after the start,")
    say(f"{after:.0f} s after the stack was ready.\n")


def _tell_more(state_dir: Path, story: Story, incident_id: str, say: _Say) -> None:
    harvester = next(one.actor_id for one in story.chapters if one.scenario == HARVEST)
    watched = next((one.subject_id for one in story.chapters if one.subject_id), None)
    say("While this runs, in another terminal:\n")
    for words in (
        f"accesstrail incidents list --state {state_dir}",
        f"accesstrail incidents show {incident_id[:8]} --state {state_dir}",
        f"accesstrail alerts --state {state_dir}",
        f"accesstrail status --state {state_dir}",
        f"accesstrail sql 'SHOW TABLES FROM accesstrail' --state {state_dir}",
        f"accesstrail search --actor {harvester} --state {state_dir}",
        *([f"accesstrail search --subject {watched} --state {state_dir}"] if watched else []),
    ):
        say(f"  .venv/bin/{words}")
    say("\nCtrl-C ends everything.")
