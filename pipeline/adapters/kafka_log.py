"""Reads a partition of Kafka's log from a given offset, outside any consumer group: what a replay reads with.

Adapter of vendor kafka-python; its errors become ours as in `adapters/kafka.py`. It commits nothing and joins no group,
so a running worker does not notice it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka import errors as vendor

from pipeline.adapters.kafka import translated
from pipeline.errors import Away

_VENDOR_ERRORS = (vendor.KafkaError, OSError)
_POLL_MS = 1_000
_SILENT_AFTER_S = 30.0
_MAX_RUN_RECORDS = 2_000


class LogReader:
    """One connection, made at the first use; one reader a thread."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        self._consumer: Any = None

    def read(self, topic: str, partition: int, first_offset: int, last_offset: int) -> Iterator[Sequence[Any]]:
        """Runs of the records from `first_offset` to `last_offset`, in order; holes of the log are left out.

        Raises: Away: the broker does not answer, or gives nothing for 30 s; ConfigError: there is no such topic.
        """
        place = TopicPartition(topic, partition)
        try:
            consumer = self._connected()
            consumer.assign([place])
            consumer.seek(place, first_offset)
            yield from self._runs(consumer, place, last_offset)
        except _VENDOR_ERRORS as exc:
            self.close()
            raise translated(exc, f"topic {topic}") from None

    def close(self) -> None:
        """Ends the connection."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with suppress(*_VENDOR_ERRORS):
                consumer.close(autocommit=False)

    def _runs(self, consumer: Any, place: Any, last_offset: int) -> Iterator[Sequence[Any]]:  # noqa: ANN401
        heard_s = time.monotonic()
        while consumer.position(place) <= last_offset:
            run = consumer.poll(timeout_ms=_POLL_MS, max_records=_MAX_RUN_RECORDS).get(place, [])
            if run:
                heard_s = time.monotonic()
                yield [record for record in run if record.offset <= last_offset]
            elif time.monotonic() - heard_s > _SILENT_AFTER_S:
                raise Away(
                    f"Kafka gave no record of topic {place.topic} for {_SILENT_AFTER_S:.0f} s", code="kafka_away"
                )

    def _connected(self) -> Any:  # noqa: ANN401  the vendor has no types
        if self._consumer is None:
            self._consumer = KafkaConsumer(
                bootstrap_servers=self._servers, client_id="accesstrail-replay", group_id=None,
                enable_auto_commit=False, auto_offset_reset="earliest", metrics_enabled=False,
                max_partition_fetch_bytes=2 << 20,
            )  # fmt: skip
        return self._consumer
