"""The roles the flow asks of the outside world, and the records that pass through them.

Place in the flow: below stages and ledger, above nothing that does I/O. Real implementations are in
`pipeline/adapters/`, fakes in `tests/fakes.py`; one contract suite runs over both. All methods are synchronous and
called from one thread a partition. Errors: Away (repeat unchanged), RejectedRow (content), BrokenInvariant (stop).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipeline.column_batch import ColumnBatch
from pipeline.events import Alert, LogPosition
from pipeline.version_sets.sets import Activation


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One sealed batch: the range of offsets, what became of them, and the tree after them (RFC 6962).

    `root` and `frontier` are of the whole partition's tree, so they do not depend on how leaves were batched; counts
    and range do. Times are UTC microseconds.
    """

    topic: str
    incarnation: str
    partition: int
    epoch: int
    first_offset: int
    last_offset: int
    tree_size_before: int
    tree_size: int
    n_events: int
    n_dead_letters: int
    n_gaps: int
    n_subjects: int
    n_alerts: int
    n_unscored: int
    root: bytes
    frontier: tuple[bytes, ...]
    previous_hash: bytes
    entry_hash: bytes
    canon_version: int
    versions_id: bytes
    batch_id: int
    first_received_at_us: int
    last_received_at_us: int

    @property
    def position(self) -> LogPosition:
        """The partition this entry belongs to."""
        return LogPosition(self.topic, self.incarnation, self.partition)


@dataclass(frozen=True, slots=True)
class UnsealedBatch:
    """Rows that are stored above the sealed offset: exactly this range must be formed again."""

    first_offset: int
    last_offset: int
    versions_id: bytes


@dataclass(frozen=True, slots=True)
class ProfileSnapshot:
    """Actor profiles as they stood after `sealed_offset`; `states[i]` belongs to `keys[i]`."""

    sealed_offset: int
    feature_version: str
    keys: Sequence[bytes]
    states: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is behind one token. `identifier` is kept out of any repr."""

    tenant: str
    kind: str
    token: bytes
    identifier: str
    key_version: str = ""
    """Of the key that made the token."""
    canonical: bytes = b""
    """The identifier's token that stays through rotations of the key; the token itself, or empty, where it is that."""

    def __repr__(self) -> str:
        return f"Identity({self.kind})"


class IdentityVault(Protocol):
    """Where identities are kept under encryption, and nowhere else."""

    def keep(self, identities: Sequence[Identity]) -> None:
        """Returns when all of them are kept; may be repeated. Raises: Away."""
        ...


class NoVault:
    """A deployment without a vault: tokens stay tokens (role `IdentityVault`)."""

    def keep(self, identities: Sequence[Identity]) -> None:
        """Keeps nothing."""


NO_VAULT = NoVault()


class LegalHolds(Protocol):
    """What must not be erased for now."""

    def holding(self, tenant: str, kind: str, tokens: Sequence[str]) -> Sequence[str]:
        """Names of the holds on any of these tokens (hex). Raises: Away."""
        ...


class EvidenceStore(Protocol):
    """What a partition needs of the store."""

    def last_entry(self, position: LogPosition) -> LedgerEntry | None:
        """The newest sealed entry of this life of the partition."""
        ...

    def incarnations(self, topic: str, partition: int) -> Sequence[LedgerEntry]:
        """The newest sealed entry of every life of the partition."""
        ...

    def entries(self, position: LogPosition, after_offset: int, limit: int) -> Sequence[LedgerEntry]:
        """Sealed entries with `last_offset` > `after_offset`, in order, at most `limit`."""
        ...

    def unsealed(self, position: LogPosition, after_offset: int) -> UnsealedBatch | None:
        """The first range of stored rows above `after_offset` that no entry seals."""
        ...

    def event_ids(
        self, position: LogPosition, last_offset: int, count: int
    ) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Ids (V16), offsets, received_at (µs): the newest `count` sealed first occurrences up to `last_offset`."""
        ...

    def rejected_offsets(self, position: LogPosition, first_offset: int, last_offset: int) -> Sequence[int]:
        """Offsets of sealed dead letters with the reason `store_rejected`."""
        ...

    def gap_end(self, position: LogPosition, offset: int) -> int:
        """Last offset of the sealed gap that begins at `offset`; -1 where none does."""
        ...

    def insert_events(self, rows: ColumnBatch, token: str) -> None:
        """Stores one batch's events in one insert; the same token twice is one."""
        ...

    def insert_dead_letters(self, rows: ColumnBatch, token: str) -> None:
        """Stores one batch's dead letters or gaps."""
        ...

    def insert_alerts(self, rows: ColumnBatch, token: str) -> None:
        """Stores one batch's alerts."""
        ...

    def insert_features(self, rows: ColumnBatch, token: str) -> None:
        """Stores what of one batch's judgement is kept beside the evidence."""
        ...

    def seal(self, entry: LedgerEntry, writer: str) -> None:
        """Writes the ledger entry at its position and reads it back. Raises: Fenced: another entry is there."""
        ...

    def save_profiles(
        self,
        position: LogPosition,
        sealed_offset: int,
        feature_version: str,
        keys: Sequence[bytes],
        states: Iterable[bytes],
    ) -> None:
        """Stores the profiles that changed since the last snapshot, all or none."""
        ...

    def load_profiles(self, position: LogPosition) -> ProfileSnapshot | None:
        """The newest complete snapshot."""
        ...

    def save_artefact(self, kind: str, content: bytes) -> str:
        """Keeps immutable content; returns its id, the SHA-256 in hex."""
        ...

    def load_artefact(self, artefact_id: str) -> bytes:
        """The content of an artefact. Raises: StoreRefused: there is none, or it is not what the id says."""
        ...


class ActivationLog(Protocol):
    """Which version set is in force for a topic: a log that all workers read and any of them may extend."""

    def newest(self, topic: str) -> Activation | None:
        """The activation in force."""
        ...

    def history(self, topic: str) -> Sequence[Activation]:
        """Every activation of a topic, oldest first."""
        ...

    def append(self, activation: Activation) -> Activation:
        """Writes it at its number; returns what the log holds there: this one, or the one that was faster."""
        ...

    def unannounced(self, topic: str) -> Sequence[Activation]:
        """Changes whose access event Kafka has not acknowledged yet, oldest first."""
        ...

    def mark_announced(self, activation: Activation) -> None:
        """Kafka has acknowledged the change's access event."""
        ...


class EventSender(Protocol):
    """Produces access events; both methods raise Away: send again what was not acknowledged."""

    def send(self, key: bytes, value: bytes) -> None:
        """Takes one record."""
        ...

    def flush(self) -> None:
        """Returns when everything is acknowledged."""
        ...


class AlertPublisher(Protocol):
    """Hands alerts on to incident handling."""

    def publish(self, position: LogPosition, alerts: Sequence[Alert], rows: ColumnBatch) -> None:
        """Returns when all are acknowledged. Raises: Away."""
        ...


class Directory(Protocol):
    """What enrichment knows of the company, as immutable content."""

    def artefacts(self) -> Mapping[str, bytes]:
        """The protected content by kind, deterministic."""
        ...
