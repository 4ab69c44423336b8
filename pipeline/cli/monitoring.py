"""What watches one worker: adapters for `health/monitor.py`, the status file, and the pages over HTTP."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

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
from pipeline.health.metrics import CONTENT_TYPE
from pipeline.health.monitor import Monitor, StoreAccess, TopicSeen, Watched
from pipeline.health.samples import ProcessFacts, samples
from pipeline.health.troubles import explain

_log = logging.getLogger(__name__)
_JSON = "application/json; charset=utf-8"
_WAIT_S = 1.0


class Monitoring:
    """The monitor of one worker with all its adapters; `start` once, `stop` as often as you like."""

    def __init__(self, settings: Settings, writer: str, model_state: Callable[[], Mapping[str, object]]) -> None:
        self._settings, self._model_state = settings, model_state
        self._started_s = time.time()
        folder = settings.state_dir / "run"
        folder.mkdir(mode=0o700, exist_ok=True)
        self._file = StatusFile(folder, writer)
        self._server = HealthServer(settings.health.host, settings.health.port, self._pages())
        self._monitor: Monitor | None = None
        self._stopped = False

    def start(self, watched: Watched) -> None:
        """Watches and serves from now on."""
        settings = self._settings
        self._file.clear_stale()
        self._monitor = Monitor(
            Health(HealthLimits(settings.recovery.away_alert_after_s, settings.health.stalled_after_s)), watched,
            topic_reader(settings), store_access(settings), self, topic=settings.kafka.events_topic,
            retention_class=settings.retention_class, poll_interval_s=settings.health.poll_interval_s,
        )  # fmt: skip
        self._server.start()
        self._monitor.start()
        _log.info("health: http://%s:%d/readyz", *self._server.address)

    def await_kafka(self) -> None:
        """Returns when Kafka answers and has the topic; until then `status` and /readyz say what is missing.

        Faust's consumer gives up where it finds no broker at its start, so it is not started before.
        """
        assert self._monitor is not None  # noqa: S101  started before
        while True:
            probe = self._monitor.kafka
            if probe.asked and not probe.code:
                return
            time.sleep(_WAIT_S)

    def stop(self) -> None:
        """The worker ends: nothing is watched and nothing is ready any more."""
        if self._monitor is not None and not self._stopped:
            self._stopped = True
            self._monitor.stop()
            self._server.close()
            self._file.remove()

    # -- role `monitor.StatusSink`

    def write(self, report: Report) -> None:
        """Replaces the status file; a full disk must not end a worker that still works."""
        if self._stopped:
            return
        host, port = self._server.address
        try:
            self._file.write(
                {
                    "health": f"http://{host}:{port}",
                    "live": report.live,
                    "ready": report.ready,
                    "reasons": [described(one) for one in (*report.not_live, *report.not_ready)],
                    "away": [asdict(span) for span in report.away],
                    "model": dict(self._model_state()),
                    "partitions": [{**asdict(one), "lag": report.lags.get(one.partition)} for one in report.partitions],
                }
            )
        except OSError as exc:
            _log.warning("the status file cannot be written: %s", exc.strerror)

    # -- pages

    def _pages(self) -> dict[str, Callable[[], Page]]:
        return {"/livez": self._livez, "/readyz": self._readyz, "/metrics": self._metrics}

    def _report(self) -> Report:
        return Report() if self._monitor is None else self._monitor.report

    def _livez(self) -> Page:
        report = self._report()
        return _verdict("live", report.live, report.not_live)

    def _readyz(self) -> Page:
        report = self._report()
        stopped = [Reason(one.code, one.partition) for one in report.partitions if one.state == "stopped"]
        return _verdict("ready", report.ready, report.not_ready, stopped=[described(one) for one in stopped])

    def _metrics(self) -> Page:
        process = ProcessFacts(resident_bytes(), open_files(), self._started_s)
        return Page(samples(self._report(), process).text(), 200, CONTENT_TYPE)


def described(reason: Reason) -> dict[str, object]:
    """A reason for machines, with the words for people."""
    words: dict[str, object] = {"code": reason.code, "what": explain(reason.code).meaning}
    if reason.partition is not None:
        words["partition"] = reason.partition
    if reason.since_s:
        words["since"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(reason.since_s))
    return words


def _verdict(name: str, fine: bool, reasons: Sequence[Reason], **more: object) -> Page:
    body = {name: fine, "reasons": [described(one) for one in reasons], **more}
    return Page(json.dumps(body, ensure_ascii=False) + "\n", 200 if fine else 503, _JSON)


def topic_reader(settings: Settings) -> Callable[[Sequence[int]], TopicSeen]:
    """Asks the broker about the topic of access events, over a connection of its own."""
    admin, topic = TopicAdmin(settings.kafka.bootstrap_servers), settings.kafka.events_topic

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
