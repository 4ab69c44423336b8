"""What a calm system makes of the same log: the reference every fault run is compared with.

The records are read from Kafka again and formed in this process, in one batch a partition and under the version set
the workers use, over nothing but memory. Roots, alerts and profiles must be the same, byte by byte.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from detectors.profile import Profiles
from pipeline.adapters.activations import open_activations
from pipeline.adapters.store import open_store
from pipeline.batch import Judgement, PartitionMemory
from pipeline.config import Settings
from pipeline.events import LogPosition, RecordBatch
from pipeline.flow import Chain
from pipeline.privacy.keys import Keyring
from pipeline.privacy.protector import Protectors
from pipeline.stages.duplicates import DuplicateWindow
from pipeline.version_sets.judgements import StoreAccess, stored_judgements
from tests.faults.records import is_refused


@dataclass(slots=True)
class LogRecord:
    """One record as the broker keeps it."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


class CalmAlert(NamedTuple):
    """One alert as it must be; risk in hundredths."""

    alert_id: str
    detector: str
    risk: int


@dataclass(slots=True)
class CalmPartition:
    """What one partition's log becomes."""

    root: bytes
    alerts: set[CalmAlert] = field(default_factory=set)
    profiles: dict[bytes, bytes] = field(default_factory=dict)
    """State of every actor at the offset that was asked for."""


class Calm:
    """Forms logs in memory; safe to use from several threads, one at a time."""

    def __init__(self, settings: Settings, company: Path) -> None:
        settings = replace(
            settings, detection=replace(settings.detection, directory=company / "directory", model=company / "model")
        )
        keyring = Keyring.load(settings.protection.token_keys_file)
        # Placement is checked against the number of partitions; runs use their own.
        self._settings = settings
        self._judgements = stored_judgements(
            settings,
            keyring,
            lambda: StoreAccess(open_store(settings.clickhouse), open_activations(settings.clickhouse)),
        )
        self._chain = Chain(Protectors(keyring))
        self._lock = threading.Lock()

    def judgement(self) -> Judgement:
        """The set the workers use: its parts are named by content."""
        return self._judgements.current()

    def partition(self, position: LogPosition, records: Sequence[LogRecord], snapshot_at: int) -> CalmPartition:
        """Forms all records; profiles are taken after offset `snapshot_at` (-1: nowhere)."""
        memory = PartitionMemory(position, None, Profiles(), DuplicateWindow())
        made = CalmPartition(b"")
        parts = [
            [one for one in records if one.offset <= snapshot_at],
            [one for one in records if one.offset > snapshot_at],
        ]
        with self._lock:
            for number, part in enumerate(parts):
                if part:
                    formed = self._chain.form(_batch(position, part), memory, self.judgement(), _refused(part))
                    made.alerts |= {CalmAlert(one.alert_id, one.detector, one.risk) for one in formed.alerts}
                    memory.commit(formed.entry)
                    made.root = formed.entry.root
                if number == 0 and part:
                    keys = list(memory.profiles._keys)
                    made.profiles = dict(zip(keys, memory.profiles.export(keys), strict=True))
        return made


def _refused(records: Sequence[LogRecord]) -> frozenset[int]:
    return frozenset(one.offset for one in records if is_refused(one.value))


def _batch(position: LogPosition, records: Sequence[LogRecord]) -> RecordBatch:
    return RecordBatch(
        position,
        np.array([one.offset for one in records], np.int64),
        np.array([one.timestamp_ms * 1000 for one in records], np.int64),
        [one.key for one in records],
        [one.value for one in records],
    )


def warm_up(settings: Settings, company: Path) -> None:
    """Loads every compiled kernel, so that processes forked from here find them in memory."""
    from tests.faults.records import Company

    lines: list[Any] = Company(company).lines[:400]
    calm = Calm(settings, company)
    position = LogPosition("warm-up", "warm-up", 0)
    records = [LogRecord(offset, 1_790_000_000_000, None, line) for offset, line in enumerate(lines)]
    calm.partition(position, records, 100)
