"""`accesstrail scheduler`: builds the adapters of the scheduled detectors' runner and runs it in the foreground."""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from zoneinfo import ZoneInfo

import click

from detectors import exceptions
from detectors.model import unpack
from detectors.policy import DEFAULT_BUDGET_PER_DAY, Policy
from pipeline.adapters.activations import ClickHouseActivations
from pipeline.adapters.clickhouse import connect
from pipeline.adapters.health_server import HealthServer
from pipeline.adapters.incidents import IncidentPublisher
from pipeline.adapters.kafka import EventProducer, TopicAdmin
from pipeline.adapters.nightly import ClickHouseNights
from pipeline.adapters.process import open_files, resident_bytes
from pipeline.adapters.schedule import open_schedule
from pipeline.adapters.small_server import Page
from pipeline.adapters.status_file import StatusFile
from pipeline.adapters.store import ClickHouseStore
from pipeline.cli.acting import now_us
from pipeline.cli.options import settings_options
from pipeline.cli.retention_run import run_retention
from pipeline.cli.worker import start_logging
from pipeline.config import SCHEDULER, Settings
from pipeline.directory import DirectorySnapshot
from pipeline.errors import EXIT_OK, EXIT_UNAVAILABLE, Away, UsageError
from pipeline.health.metrics import CONTENT_TYPE, Samples
from pipeline.health.troubles import explain
from pipeline.own_reasons import nightly_budget
from pipeline.privacy.key_file import KeyFile
from pipeline.schedule.nightly import InForce, Nightly, NightProgress, day_text
from pipeline.schedule.retention_nights import RetentionNights, RetentionProgress, in_a_thread
from pipeline.schedule.runner import LogEnd, Progress, Runner, Versions
from pipeline.version_sets import shadow
from pipeline.version_sets.activator import SYSTEM, Activator, Edit, policy_of
from pipeline.version_sets.change_events import SYSTEM_ACTOR
from pipeline.version_sets.files import DIRECTORY, ConfiguredFiles
from pipeline.version_sets.sets import BUDGET, Activation

_log = logging.getLogger(__name__)
_JSON = "application/json; charset=utf-8"
_POLL_S = 5.0
_ONCE_PATIENCE_S = 75.0
"""A scheduler that was ended keeps its leases for half a minute."""
_SEALED_WITHIN_S = 600.0
"""As long may the announcement of retention take until it is in the evidence; after that the night is tried again."""
_LONGEST_QUERY_S = 600
"""As long may one query of the role scheduler take: it is alive meanwhile."""


class StoredVersions:
    """What the version set in force says to scheduled detectors, read again only when another one is in force."""

    def __init__(self, settings: Settings) -> None:
        client = connect(settings.clickhouse, SCHEDULER)
        self._activations, self._store = ClickHouseActivations(client), ClickHouseStore(client)
        self._topic = settings.kafka.events_topic
        self._kept: Versions | None = None
        self._in_force: InForce | None = None
        self._alerts_a_day = settings.detection.alerts_a_day

    def newest(self) -> Versions | None:
        """The set in force; None before any worker put one in force. Raises: Away; StoreRefused."""
        activation = self._activations.newest(self._topic)
        if activation is None:
            return None
        if self._kept is None or self._kept.versions_id != activation.versions_id:
            load, parts = self._store.load_artefact, activation.parts
            kinds = [part for part in parts if part.startswith(DIRECTORY)]
            directory = DirectorySnapshot.from_artefacts(
                {kind.removeprefix(DIRECTORY): load(parts[kind]) for kind in kinds}
            )
            zone = ZoneInfo(json.loads(load(parts["configuration"]))["default_time_zone"])
            excepted = exceptions.from_content(load(parts[exceptions.PART])) if exceptions.PART in parts else ()
            self._kept = Versions(activation.versions_id, directory, zone, excepted)
        return self._kept

    def in_force(self) -> InForce | None:
        """The alert policy in force, its model's budget and a shadow model's policy; None where no model can be used.

        Raises: Away; StoreRefused.
        """
        activation = self._activations.newest(self._topic)
        if activation is None or "model" not in activation.parts:
            return None
        if self._in_force is None or self._in_force.versions_id != activation.versions_id:
            load, parts = self._store.load_artefact, activation.parts
            model = unpack(load(parts["model"]))
            tried = shadow.stored(self._store, parts)
            self._in_force = InForce(
                activation.versions_id,
                policy_of(self._store, activation),
                model.model_id,
                self._alerts_a_day or float(model.about.get("budget_per_day", DEFAULT_BUDGET_PER_DAY)),
                tried.model_id if tried else "",
                tried.policy if tried else None,
            )
        return self._in_force


class NightlyThreshold:
    """Puts another alert policy in force, once a day, whatever happens in between."""

    def __init__(self, settings: Settings) -> None:
        client = connect(settings.clickhouse, SCHEDULER)
        self._log, self._store = ClickHouseActivations(client), ClickHouseStore(client)
        keys = KeyFile(settings.protection.token_keys_file)
        self._activator = Activator(settings.kafka.events_topic, ConfiguredFiles(settings, keys))

    def __call__(self, day: int, policy: Policy) -> Policy:
        """The policy in force from now on. Raises: Away; StoreRefused; UsageError: the model is gone."""
        reason = nightly_budget(day_text(day))
        for one in self._log.history(self._activator.topic):
            if one.kind == BUDGET and one.reason == reason:  # a night that was cut off after this step
                return policy_of(self._store, one)

        def edit(newest: Activation) -> Edit:
            if newest.parts.get("model_fault"):
                raise UsageError("no model is in use, so nothing can alert")
            return Edit({"policy": policy.content()}, policy.threshold)

        self._activator.change(self._store, self._log, BUDGET, edit, SYSTEM, reason)
        return policy


class SchedulerPages:
    """How the scheduler is, over HTTP and in its status file; numbers and codes only."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.progress = Progress()
        self.night: NightProgress | None = None
        self.retention: RetentionProgress | None = None
        self._started_s = self._turned_s = time.time()
        self._limit_s = settings.health.stalled_after_s + _LONGEST_QUERY_S
        folder = settings.state_dir / "run"
        folder.mkdir(mode=0o700, exist_ok=True)
        self._file = StatusFile(folder, name, "scheduler")
        self._file.clear_stale()
        pages = {"/livez": self._livez, "/readyz": self._readyz, "/metrics": self._metrics}
        # The configured port is the worker's; with one host for both, this takes a free one.
        self._server = HealthServer(settings.health.host, 0, pages)
        self._server.start()

    def turned(self, progress: Progress) -> None:
        """Says how it stands, after each run and turn; a full disk must not end a scheduler that still works."""
        self.progress, self._turned_s = progress, time.time()
        host, port = self._server.address
        try:
            self._file.write({"health": f"http://{host}:{port}", "ready": not progress.code, **self._said()})
        except OSError as exc:
            _log.warning("the status file cannot be written: %s", exc.strerror)

    def close(self) -> None:
        """The scheduler ends."""
        self._server.close()
        self._file.remove()

    def _said(self) -> Mapping[str, object]:
        progress = self.progress
        said: dict[str, object] = {
            "code": progress.code,
            "holds_lease": progress.holds_lease,
            "waiting": progress.waiting,
            "failing": dict(progress.failing),
            "watermark": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(progress.watermark_us / 1e6)),
        }
        if progress.code:
            said["what"] = explain(progress.code).meaning
        return said

    def _livez(self) -> Page:
        live = time.time() - self._turned_s < self._limit_s
        return Page(json.dumps({"live": live}) + "\n", 200 if live else 503, _JSON)

    def _readyz(self) -> Page:
        ready = self.progress.ticks > 0 and not self.progress.code
        return Page(json.dumps({"ready": ready, **self._said()}) + "\n", 200 if ready else 503, _JSON)

    def _metrics(self) -> Page:
        progress, samples = self.progress, Samples()
        for (detector, result), count in sorted(progress.runs.items()):
            samples.add("scheduled_runs_total", count, detector=detector, state=result)
        for detector, count in sorted(progress.alerts.items()):
            samples.add("scheduled_alerts_total", count, detector=detector)
        for detector, code in sorted(progress.failing.items()):
            samples.add("scheduled_failing", 1, detector=detector, code=code)
        samples.add("scheduled_waiting", progress.waiting)
        if progress.watermark_us:
            samples.add("scheduled_watermark_age_seconds", max(0.0, time.time() - progress.watermark_us / 1e6))
        samples.add("scheduled_lease", int(progress.holds_lease))
        if self.night is not None and self.night.last_day is not None:
            samples.add("nightly_threshold", self.night.threshold / 100)
            samples.add("nightly_shifted_measures", self.night.shifted)
            if self.night.ratio is not None:
                samples.add("nightly_budget_ratio", self.night.ratio)
        if self.retention is not None:
            samples.add("retention_running", int(self.retention.is_running))
            samples.add("retention_ended_timestamp_seconds", self.retention.ended_us / 1e6)
            samples.add("retention_deleted_rows_total", self.retention.deleted)
        samples.add("process_resident_memory_bytes", resident_bytes())
        samples.add("process_open_file_descriptors", open_files())
        samples.add("process_start_timestamp_seconds", self._started_s)
        return Page(samples.text(), 200, CONTENT_TYPE)


def retention_nights(settings: Settings, *, once: bool = False) -> RetentionNights | None:
    """Retention on a schedule, where the configuration asks for it; it is told as done by nobody's hand.

    `once`: the process ends after its turn, so the turn waits for the run.
    """
    if not settings.retention.nightly:
        return None

    def run() -> int:
        ended = run_retention(settings, SYSTEM_ACTOR, _SEALED_WITHIN_S, is_system=True)
        return sum(due.events + due.dead_letters for _, due in ended)

    start = (lambda work: work()) if once else in_a_thread
    return RetentionNights(run, settings.retention.nightly_hour, now_us, start)


def build_runner(
    settings: Settings, name: str, go_on: Callable[[], bool], retention: RetentionNights | None
) -> tuple[Runner, Nightly]:
    """The runner over the real store and broker; `go_on` is asked after every run. Raises: ConfigError."""
    admin, topic = TopicAdmin(settings.kafka.bootstrap_servers), settings.kafka.events_topic
    producer = EventProducer(settings.kafka.bootstrap_servers, settings.kafka.incidents_topic)

    def read_log() -> tuple[str, Mapping[int, LogEnd]]:
        facts = admin.describe(topic)
        if facts is None:
            raise Away(f"there is no topic {topic}: create it with `accesstrail topics create`", code="topic_missing")
        bounds = admin.partition_bounds(topic, range(facts.partitions))
        return facts.topic_id, {number: LogEnd(one.end_offset) for number, one in bounds.items()}

    store, versions = open_schedule(settings.clickhouse), StoredVersions(settings)
    nights = ClickHouseNights(connect(settings.clickhouse, SCHEDULER))
    nightly = Nightly(
        topic, name, nights, versions.in_force, NightlyThreshold(settings), settings.detection.nightly_budget
    )
    runner = Runner(
        topic, name, store, IncidentPublisher(producer), read_log, versions.newest,
        retention_class=settings.retention_class, go_on=go_on, nightly=nightly.turn,
        retention=retention.turn if retention else None,
    )  # fmt: skip
    return runner, nightly


@click.command("scheduler")
@settings_options
@click.option("--once", is_flag=True, help="Run what is due, then end; a lease of another is waited for.")
def scheduler_command(settings: Settings, *, once: bool) -> int:
    """Run the scheduled detectors in the foreground: SQL over sealed rows, alerts out.

    With `[retention] nightly` it deletes each night what has had its time, as `accesstrail retention run` does.

    Several may run; one of them works at a time, the others stand by. Every run is a row of `scheduled_runs`; what
    fails is repeated until it succeeds. SIGTERM ends it after the run under way; SIGHUP has it ask about the running
    hour and day at once, as one wants after an import. It answers GET /livez, /readyz and /metrics at a free port of
    [health] host, which its status file in the folder `run` names.

    \b
    Examples:
      accesstrail scheduler --config /etc/accesstrail/config.toml
      accesstrail scheduler --state ./state --once

    Exit codes: 0 ended as asked, 69 with --once: a dependency is away, another scheduler works or a detector fails,
    78 configuration.
    """
    start_logging()
    ended, asked = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    signal.signal(signal.SIGHUP, lambda *_: asked.set())
    name, began_s = uuid.uuid4().hex[:16], time.monotonic()
    pages = SchedulerPages(settings, name)

    def go_on() -> bool:
        pages.turned(runner.progress)
        return not ended.is_set()

    try:
        retention = retention_nights(settings, once=once)
        runner, nightly = build_runner(settings, name, go_on, retention)
        pages.night, pages.retention = nightly.progress, retention.progress if retention else None
        while not ended.is_set():
            if asked.is_set():
                asked.clear()
                runner.ask_again()
            runner.tick()
            progress = runner.progress
            pages.turned(progress)
            if once and (progress.holds_lease or time.monotonic() - began_s > _ONCE_PATIENCE_S):
                succeeded = progress.holds_lease and not progress.code and not progress.failing
                return EXIT_OK if succeeded else EXIT_UNAVAILABLE
            ended.wait(_POLL_S)
    finally:
        pages.close()
    return EXIT_OK
