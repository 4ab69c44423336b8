"""What watches one process of partitions: adapters for `health/monitor.py`, the status file, the pages over HTTP."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.health_server import HealthServer
from pipeline.adapters.kafka import TopicAdmin
from pipeline.adapters.process import open_files, resident_bytes
from pipeline.adapters.small_server import Page
from pipeline.adapters.status_file import StatusFile
from pipeline.adapters.store import ClickHouseStore
from pipeline.column_batch import ColumnBatch
from pipeline.config import Settings
from pipeline.errors import AccesstrailError
from pipeline.health.findings import Health, HealthLimits, LogEnds, Reason, Report
from pipeline.health.metrics import CONTENT_TYPE, Samples
from pipeline.health.monitor import Monitor, StoreAccess, TopicSeen, Watched
from pipeline.health.samples import ProcessFacts, samples
from pipeline.health.troubles import explain

_log = logging.getLogger(__name__)
_JSON = "application/json; charset=utf-8"
_WAIT_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one kind of process is watched for. `topics`: one pool of partitions each. `more`: of its status file.

    `open_store`: a connection of its own for each topic's monitor. `port`: of its pages, 0: a free one.
    """

    kind: str
    topics: tuple[str, ...]
    open_store: Callable[[], StoreAccess]
    metrics: Callable[[Sequence[Report], ProcessFacts], Samples]
    port: int = 0
    more: Callable[[], Mapping[str, object]] = dict


def worker_part(settings: Settings, model_state: Callable[[], Mapping[str, object]]) -> Part:
    """A worker's."""
    return Part(
        kind="worker", topics=(settings.kafka.events_topic,), open_store=partial(store_access, settings),
        metrics=lambda reports, process: samples(reports[0], process), port=settings.health.port,
        more=lambda: {"model": dict(model_state())},
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Sink:
    """Role `monitor.StatusSink` of one topic."""

    monitoring: Monitoring
    number: int

    def write(self, report: Report) -> None:
        """Passes on what was found."""
        self.monitoring.note(self.number, report)


class Monitoring:
    """The monitors of one process, a topic each, with all adapters; `start` once, `stop` as often as you like."""

    def __init__(self, settings: Settings, writer: str, part: Part) -> None:
        self._settings, self._part = settings, part
        self._started_s = time.time()
        folder = settings.state_dir / "run"
        folder.mkdir(mode=0o700, exist_ok=True)
        self._file = StatusFile(folder, writer, part.kind)
        self._server = HealthServer(settings.health.host, part.port, self._pages())
        self._reports = [Report() for _ in part.topics]
        self._monitors: list[Monitor] = []
        self._stopped = False
        self._writing = threading.Lock()

    def start(self, watched: Sequence[Watched]) -> None:
        """Watches and serves from now on."""
        settings = self._settings
        self._file.clear_stale()
        limits = HealthLimits(settings.recovery.away_alert_after_s, settings.health.stalled_after_s)
        for number, (topic, pool) in enumerate(zip(self._part.topics, watched, strict=True)):
            self._monitors.append(
                Monitor(
                    Health(limits),
                    pool,
                    topic_reader(settings, topic),
                    self._part.open_store(),
                    _Sink(self, number),
                    topic=topic,
                    retention_class=settings.retention_class,
                    poll_interval_s=settings.health.poll_interval_s,
                )
            )
        self._server.start()
        for monitor in self._monitors:
            monitor.start()
        _log.info("health: http://%s:%d/readyz", *self._server.address)

    def await_kafka(self) -> None:
        """Returns when Kafka answers and has the topics; until then `status` and /readyz say what is missing.

        Faust's consumer gives up where it finds no broker at its start, so it is not started before.
        """
        while not all(one.kafka.asked and not one.kafka.code for one in self._monitors):
            time.sleep(_WAIT_S)

    def stop(self) -> None:
        """The process ends: nothing is watched and nothing is ready any more."""
        if self._monitors and not self._stopped:
            self._stopped = True
            for monitor in self._monitors:
                monitor.stop()
            self._server.close()
            self._file.remove()

    def note(self, number: int, report: Report) -> None:
        """Replaces the status file; a full disk must not end a process that still works."""
        self._reports[number] = report
        with self._writing:  # every topic's monitor has a thread of its own
            if not self._stopped:
                self._write()

    def _write(self) -> None:
        host, port = self._server.address
        reports = self._reports
        try:
            self._file.write(
                {
                    "health": f"http://{host}:{port}",
                    "live": all(one.live for one in reports),
                    "ready": all(one.ready for one in reports),
                    "reasons": self._described(lambda one: (*one.not_live, *one.not_ready)),
                    "away": [
                        asdict(one) for one in {span.dependency: span for r in reports for span in r.away}.values()
                    ],
                    **self._part.more(),
                    "partitions": [
                        {**asdict(one), "lag": report.lags.get(one.partition)}
                        for report in reports
                        for one in report.partitions
                    ],
                }
            )
        except OSError as exc:
            _log.warning("the status file cannot be written: %s", exc.strerror)

    def _described(self, choose: Callable[[Report], Sequence[Reason]]) -> list[dict[str, object]]:
        """Reasons with words: of a partition with its topic where there are several, of the process once."""
        found: list[dict[str, object]] = []
        of_process: set[str] = set()
        for topic, report in zip(self._part.topics, self._reports, strict=True):
            reasons = [one for one in choose(report) if one.code not in of_process or one.partition is not None]
            of_process |= {one.code for one in reasons if one.partition is None}
            is_named = len(self._part.topics) > 1
            found += [
                {**described(one), **({"topic": topic} if is_named and one.partition is not None else {})}
                for one in reasons
            ]
        return found

    # -- pages

    def _pages(self) -> dict[str, Callable[[], Page]]:
        return {"/livez": self._livez, "/readyz": self._readyz, "/metrics": self._metrics}

    def _livez(self) -> Page:
        fine = all(one.live for one in self._reports)
        return _verdict("live", fine, self._described(lambda one: one.not_live))

    def _readyz(self) -> Page:
        fine = all(one.ready for one in self._reports)
        stopped = self._described(
            lambda report: [Reason(one.code, one.partition) for one in report.partitions if one.state == "stopped"]
        )
        return _verdict("ready", fine, self._described(lambda one: one.not_ready), stopped=stopped)

    def _metrics(self) -> Page:
        process = ProcessFacts(resident_bytes(), open_files(), self._started_s)
        return Page(self._part.metrics(self._reports, process).text(), 200, CONTENT_TYPE)


def described(reason: Reason) -> dict[str, object]:
    """A reason for machines, with the words for people."""
    words: dict[str, object] = {"code": reason.code, "what": explain(reason.code).meaning}
    if reason.partition is not None:
        words["partition"] = reason.partition
    if reason.since_s:
        words["since"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(reason.since_s))
    return words


def _verdict(name: str, fine: bool, reasons: Sequence[Mapping[str, object]], **more: object) -> Page:
    body = {name: fine, "reasons": reasons, **more}
    return Page(json.dumps(body, ensure_ascii=False) + "\n", 200 if fine else 503, _JSON)


def topic_reader(settings: Settings, topic: str) -> Callable[[Sequence[int]], TopicSeen]:
    """Asks the broker about a topic, over a connection of its own."""
    admin = TopicAdmin(settings.kafka.bootstrap_servers)

    def look(partitions: Sequence[int]) -> TopicSeen:
        facts = admin.describe(topic)
        if facts is None:
            raise AccesstrailError(
                f"there is no topic {topic}: create it with `accesstrail topics create`", code="topic_missing"
            )
        ends = admin.partition_bounds(topic, partitions) if partitions else {}
        return TopicSeen(
            facts.topic_id, {number: LogEnds(one.first_offset, one.end_offset) for number, one in ends.items()}
        )

    return look


def store_access(settings: Settings) -> StoreAccess:
    """Asks the store and writes alarms, over a connection of its own."""
    client: ClickHouse = connect(settings.clickhouse, "writer")
    store = ClickHouseStore(client)

    def ping() -> None:
        client.query("SELECT 1")

    def write_alarm(rows: ColumnBatch, token: str) -> None:
        store.insert_alerts(rows, token)

    return StoreAccess(ping, write_alarm)
