"""What must hold after any run: the auditor's checks, and equality with a calm run of the same log.

Offsets, ledger, roots and derived tables are checked as in the end-to-end tests (`tests/e2e/checker.py`). Besides: the
ledger's root, every alert, everything handed on and the stored profiles are those of a calm run (`calm.py`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

from kafka import KafkaConsumer, TopicPartition

from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.kafka import TopicAdmin
from pipeline.adapters.store import ClickHouseStore
from pipeline.config import KafkaSettings
from pipeline.events import LogPosition
from pipeline.partition.recovery import END_OF_LOG
from tests.e2e.checker import check, check_rollups
from tests.faults.calm import Calm, CalmAlert, CalmPartition, LogRecord

_READ_S = 60


@dataclass(frozen=True, slots=True)
class Checked:
    """How much was compared."""

    offsets: int
    alerts: int


@dataclass(slots=True)
class Promises:
    """Checks one topic. `ends`: end offset by partition of its present life."""

    kafka: KafkaSettings
    calm: Calm
    admin: TopicAdmin
    reader: ClickHouse
    writer: ClickHouse

    def check(self, ends: Mapping[int, int], *, recreated: bool) -> Checked:
        """Raises: AssertionError: naming the promise that is broken."""
        topic = self.kafka.events_topic
        facts = self.admin.describe(topic)
        assert facts is not None
        self._check_older_lives(facts.topic_id, recreated=recreated)
        check(self.reader, topic, facts.topic_id, dict(ends))
        check_rollups(self.writer, topic, facts.topic_id)
        records = read_log(self.kafka.bootstrap_servers, topic, ends)
        calm: set[CalmAlert] = set()
        for partition in ends:
            calm |= self._compare(LogPosition(topic, facts.topic_id, partition), records[partition]).alerts
        self._check_alerts(facts.topic_id, calm)
        return Checked(sum(ends.values()), len(calm))

    def _compare(self, position: LogPosition, records: list[LogRecord]) -> CalmPartition:
        """The ledger's root and the stored profiles against those of a calm run."""
        store = ClickHouseStore(self.writer)
        entry, snapshot = store.last_entry(position), store.load_profiles(position)
        assert entry is not None
        snapshot_at = -1 if snapshot is None else snapshot.sealed_offset
        made = self.calm.partition(position, records, snapshot_at)
        assert made.root == entry.root, f"partition {position.partition}: the root is not that of a calm run"
        if snapshot is not None:
            kept = dict(zip(snapshot.keys, snapshot.states, strict=True))
            assert kept == made.profiles, f"partition {position.partition}: stored profiles differ from a calm run's"
        return made

    def _check_alerts(self, life: str, calm: set[CalmAlert]) -> None:
        sql = (
            "SELECT toString(alert_id), incarnation, detector, risk FROM accesstrail.alerts WHERE topic = {t:String} "
            "AND batch_id != 0"
        )
        rows = self.reader.query(sql, {"t": self.kafka.events_topic})
        stored = {CalmAlert(identity, detector, risk) for identity, one, detector, risk in rows if one == life}
        assert stored == calm, f"{len(stored)} alerts, a calm run has {len(calm)}: {len(stored ^ calm)} differ"
        handed_on = self._handed_on()
        ours = {identity for identity, incarnation in handed_on if incarnation == life}
        missing = {one.alert_id for one in calm} - ours
        assert not missing, f"{len(missing)} of {len(calm)} alerts were not handed on"
        # Of an older life nothing is said: the log was deleted before its last batch could be sealed.
        unknown = ours - {one.alert_id for one in stored}
        assert not unknown, f"{len(unknown)} alerts were handed on that are not in the store"

    def _handed_on(self) -> set[tuple[str, str]]:
        """(alert id, incarnation) of everything in the topic of incidents."""
        topic = self.kafka.incidents_topic
        bounds = self.admin.partition_bounds(topic, range(self.kafka.partitions))
        ends = {partition: one.end_offset for partition, one in bounds.items() if one.end_offset}
        found = read_log(self.kafka.bootstrap_servers, topic, ends) if ends else {}
        bodies = [json.loads(one.value or b"{}") for part in found.values() for one in part]
        return {(body["alert_id"], body["incarnation"]) for body in bodies}

    def _check_older_lives(self, life: str, *, recreated: bool) -> None:
        """What a deleted topic left: closed with a gap, and whole."""
        sql = (
            "SELECT DISTINCT incarnation, partition FROM accesstrail.ledger WHERE topic = {t:String} "
            "AND incarnation != {i:String}"
        )
        older: dict[str, dict[int, int]] = {}
        for incarnation, partition in self.reader.query(sql, {"t": self.kafka.events_topic, "i": life}):
            older.setdefault(incarnation, {})[partition] = END_OF_LOG + 1
        assert bool(older) == recreated, f"lives of the topic besides {life}: {sorted(older)}"
        for incarnation, ends in older.items():
            check(self.reader, self.kafka.events_topic, incarnation, ends)


def read_log(servers: str, topic: str, ends: Mapping[int, int]) -> dict[int, list[LogRecord]]:
    """Every record below the ends, by partition."""
    consumer = KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False, group_id=None, metrics_enabled=False)
    found: dict[int, list[LogRecord]] = {partition: [] for partition in ends}
    try:
        keys = [TopicPartition(topic, partition) for partition, end in ends.items() if end]
        consumer.assign(keys)
        consumer.seek_to_beginning(*keys)
        deadline = time.monotonic() + _READ_S
        while any(consumer.position(key) < ends[key.partition] for key in keys):
            assert time.monotonic() < deadline, "the log cannot be read again"
            for key, part in consumer.poll(200).items():
                found[key.partition] += [LogRecord(one.offset, one.timestamp, one.key, one.value) for one in part]
    finally:
        consumer.close()
    return found
