"""Apache Kafka for everything but consuming: topics are made and described here, and records are produced.

Adapter of vendor kafka-python 3.0.12. Its errors become ours by class, never by message: the vendor's texts repeat
whole requests. Both classes connect at the first use and may be shared between threads, so that a worker can start
while the broker is away and retry.

A topic's id (KIP-516) is its log incarnation: a topic that was deleted and made again has another one.
"""

from __future__ import annotations

import gc
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka import errors as vendor
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic, OffsetSpec

from pipeline.config import KafkaSettings
from pipeline.errors import AccesstrailError, Away, ConfigError

CLIENT_ID = "accesstrail"
DAY_MS = 86_400_000
# 900 KiB of event, its key and framing.
MAX_RECORD_BYTES = (1 << 20) + 64 * 1024
# Raw identifiers live here before `protect`: not longer than this.
RAW_AT_MOST_MS = 7 * DAY_MS
# The broker deletes a segment when its newest record is old enough, so the oldest one lives for a segment longer.
EVENTS_SEGMENT_MS = DAY_MS // 2
EVENTS_RETENTION_MS = RAW_AT_MOST_MS - EVENTS_SEGMENT_MS
INCIDENTS_RETENTION_MS = 30 * DAY_MS
NOTIFICATIONS_RETENTION_MS = 7 * DAY_MS
LOG_APPEND_TIME = "LogAppendTime"

_BOOTSTRAP_TIMEOUT_MS = 10_000
_REQUEST_TIMEOUT_MS = 10_000
_DELIVERY_TIMEOUT_MS = 30_000
_WAITS = {"bootstrap_timeout_ms": _BOOTSTRAP_TIMEOUT_MS, "request_timeout_ms": _REQUEST_TIMEOUT_MS}
# The vendor would wait up to 30 s between two tries: too long after a broker restarted.
_RECONNECT_MAX_MS = 1_000
_BATCH_BYTES = 128 * 1024
_LINGER_MS = 5
_MAX_PENDING_RECORDS = 10_000
_MAX_PENDING_BYTES = 32 << 20

_REFUSED = (
    vendor.ClusterAuthorizationFailedError,
    vendor.GroupAuthorizationFailedError,
    vendor.TopicAuthorizationFailedError,
    vendor.InvalidConfigurationError,
    vendor.InvalidPartitionsError,
    vendor.InvalidReplicationFactorError,
    vendor.InvalidTopicError,
    vendor.KafkaConfigurationError,
    vendor.PolicyViolationError,
    vendor.UnsupportedVersionError,
)
_TOO_LARGE = (vendor.MessageSizeTooLargeError, vendor.RecordListTooLargeError)

Result = TypeVar("Result")


def translated(exc: Exception, what: str) -> AccesstrailError:
    """Our error for one of the vendor's; `what` names the topic or the servers."""
    name = type(exc).__name__
    if isinstance(exc, vendor.UnknownTopicOrPartitionError):
        return ConfigError([f"[kafka] there is no {what}: create it with `accesstrail topics create`"])
    if isinstance(exc, _TOO_LARGE):
        return ConfigError([f"[kafka] the broker refuses records of {MAX_RECORD_BYTES} bytes: raise message.max.bytes"])
    if isinstance(exc, _REFUSED):
        return ConfigError([f"[kafka] the broker refuses the request for {what} ({name}): check settings and rights"])
    return Away(
        f"Kafka does not answer for {what} ({name}): check that it runs, and bootstrap_servers", code="kafka_away"
    )


# The vendor raises OSError where a name cannot be resolved.
_VENDOR_ERRORS = (vendor.KafkaError, OSError)


def _new(make: Any, servers: str, **options: object) -> Any:  # noqa: ANN401  the vendor has no types
    """A vendor's client. Raises: ConfigError: the servers cannot be parsed; the vendor's errors.

    The vendor starts a thread with sockets of its own before it looks for a broker, and leaves both behind where it
    finds none: an outage of hours would end the process at its limit of descriptors. So we keep hold of them.
    """
    begun: list[Any] = []

    def connections(**configs: object) -> Any:  # noqa: ANN401
        begun.append(make.DEFAULT_CONFIG["kafka_client"](**configs))
        return begun[-1]

    try:
        return make(
            bootstrap_servers=servers, client_id=CLIENT_ID, reconnect_backoff_max_ms=_RECONNECT_MAX_MS,
            kafka_client=connections, **_WAITS | options,
        )  # fmt: skip
    except ValueError:
        raise ConfigError(["[kafka] bootstrap_servers must be host:port, several parted by commas"]) from None
    except _VENDOR_ERRORS as exc:
        for one in begun:
            one.close()
        # Each refused connection leaves its socket in a cycle, the last one in the frames of the error besides; and
        # the worker looks for cycles rarely.
        traceback.clear_frames(exc.__traceback__)
        gc.collect(1)
        raise


def _waits(limit_ms: int) -> dict[str, object]:
    """Options of a client whose user waits so long at most; none: the usual."""
    return {"bootstrap_timeout_ms": limit_ms, "request_timeout_ms": limit_ms} if limit_ms else {}


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it should be."""

    name: str
    partitions: int
    configs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """A topic as it is. `topic_id`: its incarnation."""

    name: str
    topic_id: str
    partitions: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the broker holds of one partition; `end_offset` is the offset of the next record."""

    first_offset: int
    end_offset: int


def topic_specs(settings: KafkaSettings) -> tuple[TopicSpec, ...]:
    """The topics of a deployment. The broker stamps records, so that a record's timestamp is when we received it."""
    base = {
        "cleanup.policy": "delete",
        "message.timestamp.type": LOG_APPEND_TIME,
        "max.message.bytes": str(MAX_RECORD_BYTES),
    }
    raw = {"retention.ms": str(EVENTS_RETENTION_MS), "segment.ms": str(EVENTS_SEGMENT_MS)}
    return (
        TopicSpec(settings.events_topic, settings.partitions, {**base, **raw}),
        TopicSpec(settings.incidents_topic, settings.partitions, {**base, "retention.ms": str(INCIDENTS_RETENTION_MS)}),
        TopicSpec(
            settings.notifications_topic,
            settings.partitions,
            {**base, "retention.ms": str(NOTIFICATIONS_RETENTION_MS)},
        ),
    )


class TopicAdmin:
    """Makes and describes topics. One connection, made at the first use; calls from several threads take turns."""

    def __init__(self, bootstrap_servers: str, limit_ms: int = 0) -> None:
        """`limit_ms`: how long one question may take where somebody waits for it; 0: the usual."""
        self._servers = bootstrap_servers
        self._waits = _waits(limit_ms)
        self._lock = threading.Lock()
        self._client: Any = None

    def create(self, specs: Sequence[TopicSpec], *, replication_factor: int = -1) -> list[str]:
        """Makes the topics that are missing; returns their names. `replication_factor` -1: the broker's default.

        Raises: Away; ConfigError: the broker refuses, or a topic exists with another number of partitions, which
        would send an actor's events to two places (growing means a new topic).
        """
        made, faults = [], []
        for spec in specs:
            facts = self.describe(spec.name)
            if facts is None and self._create(spec, replication_factor):
                made.append(spec.name)
            elif facts is not None and facts.partitions != spec.partitions:
                faults.append(
                    f"[kafka] partitions is {spec.partitions}, but the topic {spec.name} has {facts.partitions}: "
                    f"set partitions = {facts.partitions}; a topic's number is fixed when it is made"
                )
        if faults:
            raise ConfigError(faults)
        return made

    def _create(self, spec: TopicSpec, replication_factor: int) -> bool:
        topic = NewTopic(spec.name, spec.partitions, replication_factor, topic_configs=dict(spec.configs))

        def request(client: Any) -> bool:  # noqa: ANN401  the vendor has no types
            try:
                client.create_topics([topic], wait_for_metadata=True)
            except vendor.TopicAlreadyExistsError:
                # Somebody else was faster: as good as ours.
                return False
            return True

        return self._ask(request, f"topic {spec.name}")

    def describe(self, topic: str) -> TopicFacts | None:
        """A topic's id and number of partitions, or None where there is no such topic. Raises: Away; ConfigError."""
        found = self._ask(lambda client: client.describe_topics([topic]), f"topic {topic}")
        for entry in found:
            if entry["name"] == topic and entry["error_code"] == 0 and entry["topic_id"]:
                return TopicFacts(topic, str(entry["topic_id"]), len(entry["partitions"]))
            if entry["name"] == topic and entry["error_code"] != vendor.UnknownTopicOrPartitionError.errno:
                raise translated(vendor.for_code(entry["error_code"])(), f"topic {topic}")
        return None

    def configs(self, topic: str) -> dict[str, str]:
        """A topic's settings as they act, the broker's defaults included. Raises: Away; ConfigError."""
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        found = self._ask(lambda client: client.describe_configs([resource], config_filter="All"), f"topic {topic}")
        return {key: str(entry["value"]) for key, entry in found.get("topic", {}).get(topic, {}).items()}

    def partition_bounds(self, topic: str, partitions: Sequence[int]) -> dict[int, Bounds]:
        """First offset and end of each partition. Raises: Away; ConfigError: no such topic or partition."""
        keys = [TopicPartition(topic, partition) for partition in partitions]

        def request(client: Any) -> dict[int, Bounds]:  # noqa: ANN401
            first = client.list_partition_offsets(dict.fromkeys(keys, OffsetSpec.EARLIEST))
            end = client.list_partition_offsets(dict.fromkeys(keys, OffsetSpec.LATEST))
            return {key.partition: Bounds(first[key].offset, end[key].offset) for key in keys}

        return self._ask(request, f"topic {topic}")

    def bounds(self, topic: str, partition: int) -> tuple[str, int, int]:
        """(topic id, first offset, end offset) of one partition.

        Raises: Away; ConfigError: there is no such topic or partition.
        """
        facts = self.describe(topic)
        if facts is None:
            raise translated(vendor.UnknownTopicOrPartitionError(), f"topic {topic}")
        bounds = self.partition_bounds(topic, [partition])[partition]
        if self.describe(topic) != facts:  # made anew between the questions: these may be another log's bounds
            raise Away(f"topic {topic} is being made anew: it is asked for again", code="kafka_away")
        return facts.topic_id, bounds.first_offset, bounds.end_offset

    def delete(self, topic: str) -> None:
        """Deletes a topic and all it holds. Raises: Away; ConfigError."""
        self._ask(lambda client: client.delete_topics([topic]), f"topic {topic}")

    def close(self) -> None:
        """Ends the connection; a later call makes a new one."""
        with self._lock:
            self._disconnect()

    def _ask(self, request: Callable[[Any], Result], what: str) -> Result:
        with self._lock:
            try:
                if self._client is None:
                    self._client = _new(KafkaAdminClient, self._servers, **self._waits)
                return request(self._client)
            except _VENDOR_ERRORS as exc:
                # A new connection next time: this one may hold a broken state.
                self._disconnect()
                raise translated(exc, what) from None

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(*_VENDOR_ERRORS):
                client.close()


class _Pending(threading.local):
    """What this thread has sent and not yet seen acknowledged."""

    def __init__(self) -> None:
        self.futures: list[Any] = []
        self.bytes = 0


class EventProducer:
    """Produces records to one topic: idempotent, acknowledged by all in-sync replicas, placed by murmur2 of the key.

    May be shared between threads: each waits for its own records.
    """

    def __init__(self, bootstrap_servers: str, topic: str, limit_ms: int = 0) -> None:
        """`limit_ms`: how long an acknowledgement may take where somebody waits for it; 0: the usual half minute.

        Finding the broker, finding the topic and sending are limited each for itself.
        """
        self._servers = bootstrap_servers
        self._topic = topic
        self._limit_ms = limit_ms
        self._delivery_ms = limit_ms or _DELIVERY_TIMEOUT_MS
        self._lock = threading.Lock()
        self._producer: Any = None
        self._pending = _Pending()

    def send(self, key: bytes, value: bytes) -> None:
        """Takes one record. Waits for acknowledgements once 10,000 records or 32 MiB of this thread are under way.

        Raises: Away: it may or may not be stored, send it again; ConfigError: the topic is missing or refuses it.
        """
        pending = self._pending
        size = len(key) + len(value)
        if len(pending.futures) >= _MAX_PENDING_RECORDS or pending.bytes + size > _MAX_PENDING_BYTES:
            self.flush()
        try:
            pending.futures.append(self._connected().send(self._topic, value=value, key=key))
        except _VENDOR_ERRORS as exc:
            self._reset()
            raise translated(exc, f"topic {self._topic}") from None
        pending.bytes += size

    def flush(self) -> None:
        """Returns when every record this thread has sent is acknowledged.

        Raises: Away: how many are not; send everything since the last flush again; ConfigError: the topic refuses.
        """
        pending = self._pending
        futures, pending.futures, pending.bytes = pending.futures, [], 0
        if not futures:
            return
        # What was acknowledged is known by its future; the rest is counted below.
        with suppress(*_VENDOR_ERRORS):
            self._connected().flush(timeout=self._delivery_ms / 1000)
        failed = [future for future in futures if not future.succeeded()]
        if not failed:
            return
        self._reset()
        cause = next((future.exception for future in failed if future.exception is not None), None)
        if cause is not None:
            error = translated(cause, f"topic {self._topic}")
            if isinstance(error, ConfigError):
                raise error
        raise Away(
            f"Kafka did not acknowledge {len(failed)} of {len(futures)} records for topic {self._topic} "
            f"({type(cause).__name__ if cause else 'timed out'}): check that it runs, then send them again",
            code="kafka_away",
        )

    def close(self) -> None:
        """Ends the connection; records that were not flushed may be lost."""
        self._reset()

    def _connected(self) -> Any:  # noqa: ANN401  the vendor has no types
        with self._lock:
            if self._producer is None:
                self._require_topic()
                self._producer = _new(
                    KafkaProducer, self._servers, acks="all", enable_idempotence=True, batch_size=_BATCH_BYTES,
                    linger_ms=_LINGER_MS, max_request_size=MAX_RECORD_BYTES,
                    delivery_timeout_ms=self._delivery_ms + _LINGER_MS,
                    max_block_ms=self._limit_ms or _BOOTSTRAP_TIMEOUT_MS, allow_auto_create_topics=False,
                    metrics_enabled=False, **_waits(self._limit_ms),
                )  # fmt: skip
            return self._producer

    def _require_topic(self) -> None:
        """The producer would wait for a missing topic until its time-out, and say only that."""
        admin = TopicAdmin(self._servers, self._limit_ms)
        try:
            if admin.describe(self._topic) is None:
                raise translated(vendor.UnknownTopicOrPartitionError(), f"topic {self._topic}")
        finally:
            admin.close()

    def _reset(self) -> None:
        """Gives the connection up: after a failure the next record begins with a new producer id."""
        with self._lock:
            producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(*_VENDOR_ERRORS):
                producer.close(timeout=1)
