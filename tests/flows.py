"""What the tests of the commit protocol share: events, a judgement without a model, a log that feeds a partition."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from detectors.features import FEATURE_VERSION
from detectors.policy import NEVER, Policy
from detectors.profile import Profiles
from detectors.rules import all_rules
from pipeline.adapters.directory import read_directory
from pipeline.batch import Judgement, PartitionMemory
from pipeline.column_batch import ColumnBatch
from pipeline.errors import Away, OtherVersion
from pipeline.events import Alert, LogPosition, RecordBatch
from pipeline.flow import Chain
from pipeline.partition.recovery import LogBounds
from pipeline.partition.thread import PartitionThread
from pipeline.partition.turns import Turns
from pipeline.partition.worker import Judgements, PartitionLimits, PartitionWorker
from pipeline.ports import NO_VAULT
from pipeline.privacy.identities import KnownIdentities
from pipeline.privacy.keys import Keyring
from pipeline.privacy.protector import Protectors
from pipeline.stages.duplicates import DuplicateWindow
from pipeline.version_sets.sets import VersionSet
from tests.corpus.make_poison import event
from tests.fakes import InMemoryStore, InMemoryVault

POSITION = LogPosition("access.events", "life-1", 0)
RECEIVED_MS = 1_735_700_000_000  # 2025-01-01: a year after the corpus' events


@dataclass(slots=True)
class Record:
    """One Kafka record as the consumer hands it out."""

    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp: int = RECEIVED_MS


def records(count: int, *, first: int = 0, bad: frozenset[int] = frozenset(), salt: str = "") -> list[Record]:
    """`count` records from offset `first`; those in `bad` are no events, every tenth repeats the first one."""
    made = []
    for offset in range(first, first + count):
        name = "repeated" if offset % 10 == 9 else f"event {salt}{offset}"
        value = msgspec.json.encode(event(name, actor_id=f"actor-{offset % 7}"))
        made.append(Record(offset, b"not json" if offset in bad else value))
    return made


def batch_of(found: Sequence[Record], position: LogPosition = POSITION) -> RecordBatch:
    """The records as the partition hands them to the flow."""
    return RecordBatch(
        position,
        np.array([one.offset for one in found], np.int64),
        np.array([one.timestamp * 1000 for one in found], np.int64),
        [one.key for one in found],
        [one.value for one in found],
    )


def chain(known: KnownIdentities | None = None) -> Chain:
    """The stages with a published key; with a vault where `known` is given."""
    return Chain(Protectors(Keyring.offline(), known))


def judgement(name: str = "1") -> Judgement:
    """A version set without a model over an empty directory."""
    with tempfile.TemporaryDirectory() as folder:
        directory = read_directory(Path(folder), Keyring.offline())
    return Judgement(VersionSet({"name": name}), directory, None, all_rules(), Policy(NEVER), "Asia/Shanghai")


def memory(position: LogPosition = POSITION) -> PartitionMemory:
    """A partition that has seen nothing."""
    return PartitionMemory(position, None, Profiles(), DuplicateWindow())


def await_that(ready: Callable[[], object], what: object) -> None:
    """Waits for what another thread must bring about; `what`, printed where it did not, may be a live status."""
    deadline = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.003)


class Published:
    """Counts what was handed to incident handling; raises Away as often as it was told to."""

    def __init__(self) -> None:
        self.alerts: list[str] = []
        self.faults = 0

    def publish(self, position: LogPosition, alerts: Sequence[Alert], rows: ColumnBatch) -> None:
        """Remembers the ids."""
        if self.faults:
            self.faults -= 1
            raise Away("the broker does not answer")
        self.alerts += [alert.alert_id for alert in alerts]


class FixedJudgements:
    """One version set, always the same."""

    feature_version = FEATURE_VERSION

    def __init__(self) -> None:
        self._only = judgement()

    def current(self) -> Judgement:
        """The set."""
        return self._only

    def by_id(self, versions_id: bytes) -> Judgement:
        """The set, whatever was asked for."""
        return self._only


@dataclass(slots=True)
class Log:
    """A Kafka partition in memory that feeds its worker when told where to start (role `partition.Flow`)."""

    records: list[Record]
    topic_id: str = "life-1"
    first_offset: int = 0
    end_offset: int | None = None
    run: int = 16
    started_at: list[int] = field(default_factory=list)
    sealed_next: int = 0
    blocked: int = 0
    worker: PartitionThread[Any] | None = None

    def bounds(self, topic: str, partition: int) -> LogBounds:
        """What the log holds."""
        end = self.records[-1].offset + 1 if self.records else 0
        return LogBounds(self.topic_id, self.first_offset, self.end_offset if self.end_offset is not None else end)

    def grows_when_asked(self, store: object, method: str, end_offset: int) -> None:
        """It ends at `end_offset` until the store is asked for the first time; what is in it came only then."""
        self.end_offset = end_offset
        plain: Callable[..., Any] = getattr(store, method)

        def asked(*arguments: Any) -> Any:
            self.end_offset = None
            return plain(*arguments)

        setattr(store, method, asked)

    def start_at(self, topic: str, partition: int, offset: int, seek_number: int) -> None:
        """Feeds everything from `offset` on, from another thread as the fetcher does."""
        self.started_at.append(offset)
        wanted = [one for one in self.records if one.offset >= max(offset, self.first_offset)]
        threading.Thread(target=self._feed, args=(wanted, seek_number), daemon=True).start()

    def _feed(self, wanted: list[Record], seek_number: int) -> None:
        for place in range(0, len(wanted), self.run):
            assert self.worker is not None
            self.worker.offer([*wanted[place : place + self.run]], seek_number)

    def block(self, topic: str, partition: int) -> None:
        """Counts; the feeder goes on, as what is in the fetcher's buffers does."""
        self.blocked += 1

    def unblock(self, topic: str, partition: int) -> None:
        """Nothing to do."""

    def sealed(self, topic: str, partition: int, next_offset: int) -> None:
        """Remembers how far the ledger is."""
        self.sealed_next = next_offset


class UpgradedJudgements(FixedJudgements):
    """After an upgrade: sets of the version before can be read no more (role `partition.Judgements`)."""

    feature_version = "of the next version"

    def __init__(self, name: str = "2") -> None:
        self._only = judgement(name)

    def by_id(self, versions_id: bytes) -> Judgement:
        """The set in force, or an error."""
        if versions_id != self._only.versions.versions_id:
            raise OtherVersion("made by another version of the code")
        return self._only


def worker_of(
    store: InMemoryStore, log: Log, published: Published, judgements: Judgements | None = None,
    turns: Turns | None = None, vault: InMemoryVault | None = None, known: KnownIdentities | None = None,
    **limits: float,
) -> PartitionWorker:  # fmt: skip
    """One partition's worker over fakes."""
    judgements = judgements or FixedJudgements()
    made = PartitionWorker(
        POSITION.topic, POSITION.partition, chain=chain(known), chain_lock=threading.Lock(), judgements=judgements,
        open_store=lambda: store, publisher=published, flow=log,
        limits=PartitionLimits(**{"max_batch_records": 20, "snapshot_interval_s": 3600, **limits}),  # type: ignore[arg-type]
        turns=turns or Turns(8), writer="test", open_vault=lambda: vault or NO_VAULT,
    )  # fmt: skip
    log.worker = made
    return made
