"""An evidence store in memory with ClickHouse's semantics: what the flow's tests run on, quickly and with faults.

It keeps what the real store keeps and nothing more: rows of all batches, sealed or not; tokens that absorb a repeated
insert; a ledger whose first writer wins a position. One contract suite (`tests/contracts/test_store.py`) runs over
both. Faults: `store.faults["insert_events"] = [Away("…")]` raises once; `store.refused_offsets` are rejected rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from pipeline.column_batch import ColumnBatch
from pipeline.columns import ACCESS_EVENT_COLUMNS, DEAD_LETTER_COLUMNS, ColumnSpec
from pipeline.errors import AccesstrailError, Fenced, RejectedRow, StoreRefused
from pipeline.events import LEAF_KINDS, LogPosition, codes
from pipeline.ports import Identity, LedgerEntry, ProfileSnapshot, UnsealedBatch
from pipeline.privacy.identities import KnownIdentities
from pipeline.stages.row import canonical_rows
from pipeline.version_sets.sets import Activation

STORE_REJECTED = "store_rejected"
_GAP = codes(LEAF_KINDS)["gap"]


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One stored row: where it came from, what its leaf commits to, and which batch it says it belongs to."""

    position: LogPosition
    offset: int
    batch_id: int
    batch_first_offset: int
    batch_last_offset: int
    versions_id: bytes
    canonical: bytes
    received_at_us: int
    event_id: bytes = b""
    duplicate_of: int = -1
    reason: str = ""
    gap_end: int = -1
    """Last missing offset, where the row is a gap."""


class InMemoryStore:
    """Implements `pipeline.ports.EvidenceStore`."""

    def __init__(self) -> None:
        self.rows: dict[str, list[StoredRow]] = {"access_events": [], "dead_letters": []}
        self.alerts: dict[str, int] = {}
        self.features: dict[str, ColumnBatch] = {}
        """Alert rows by token."""
        self.alert_rows: set[tuple[int, bytes, int]] = set()
        """Batch, alert id and risk."""
        self.ledger: list[LedgerEntry] = []
        self.writers: list[str] = []
        self.artefacts: dict[str, tuple[str, bytes]] = {}
        self.faults: dict[str, list[AccesstrailError]] = defaultdict(list)
        self.refused_offsets: set[int] = set()
        self._tokens: set[tuple[str, str]] = set()
        self._profiles: dict[LogPosition, dict[bytes, tuple[int, str, bytes]]] = defaultdict(dict)
        self._snapshots: dict[LogPosition, tuple[int, str]] = {}

    # -- what tests ask

    def sealed_rows(self, table: str) -> list[StoredRow]:
        """What readers see: rows whose batch is sealed, once each, by position and offset."""
        sealed = {entry.batch_id for entry in self.ledger}
        visible = {
            (row.position.topic, row.position.incarnation, row.position.partition, row.offset, row.batch_id): row
            for row in self.rows[table]
            if row.batch_id in sealed
        }
        return [visible[key] for key in sorted(visible)]

    def sealed_alerts(self) -> set[tuple[bytes, int]]:
        """Alert ids and risks that readers see."""
        sealed = {entry.batch_id for entry in self.ledger}
        return {(alert, risk) for batch, alert, risk in self.alert_rows if batch in sealed}

    def _fault(self, method: str) -> None:
        if self.faults[method]:
            raise self.faults[method].pop(0)

    # -- the ledger

    def last_entry(self, position: LogPosition) -> LedgerEntry | None:
        self._fault("last_entry")
        return max(self._of(position), key=lambda entry: entry.first_offset, default=None)

    def _of(self, position: LogPosition) -> list[LedgerEntry]:
        return [entry for entry in self.ledger if entry.position == position]

    def incarnations(self, topic: str, partition: int) -> Sequence[LedgerEntry]:
        self._fault("incarnations")
        newest: dict[str, LedgerEntry] = {}
        for entry in self.ledger:
            if (entry.topic, entry.partition) == (topic, partition):
                newest[entry.incarnation] = max(entry, newest.get(entry.incarnation, entry), key=_first_offset)
        return list(newest.values())

    def entries(self, position: LogPosition, after_offset: int, limit: int) -> Sequence[LedgerEntry]:
        self._fault("entries")
        return sorted((one for one in self._of(position) if one.last_offset > after_offset), key=_first_offset)[:limit]

    def seal(self, entry: LedgerEntry, writer: str) -> None:
        self._fault("seal")
        there = [one for one in self._of(entry.position) if one.tree_size_before >= entry.tree_size_before]
        here = [one for one in there if one.tree_size_before == entry.tree_size_before]
        if not there:
            self.ledger.append(entry)
            self.writers.append(writer)
            self._fault("seal answered")
        elif here != [entry]:
            raise Fenced(f"partition {entry.partition}: another worker has sealed offset {entry.first_offset} already")

    # -- rows

    def unsealed(self, position: LogPosition, after_offset: int) -> UnsealedBatch | None:
        self._fault("unsealed")
        sealed = {entry.batch_id for entry in self._of(position)}
        for row in reversed([*self.rows["access_events"], *self.rows["dead_letters"]]):
            follows = row.position == position and row.batch_first_offset == after_offset + 1
            if follows and row.batch_id not in sealed:
                return UnsealedBatch(row.batch_first_offset, row.batch_last_offset, row.versions_id)
        return None

    def event_ids(
        self, position: LogPosition, last_offset: int, count: int
    ) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        self._fault("event_ids")
        found = [
            row
            for row in self.sealed_rows("access_events")
            if row.position == position and row.offset <= last_offset and row.duplicate_of < 0
        ][-count:]
        return (
            np.array([np.void(row.event_id) for row in found], "V16"),
            np.array([row.offset for row in found], np.int64),
            np.array([row.received_at_us for row in found], np.int64),
        )

    def rejected_offsets(self, position: LogPosition, first_offset: int, last_offset: int) -> Sequence[int]:
        self._fault("rejected_offsets")
        return [
            row.offset
            for row in self.sealed_rows("dead_letters")
            if row.position == position and row.reason == STORE_REJECTED and first_offset <= row.offset <= last_offset
        ]

    def gap_end(self, position: LogPosition, offset: int) -> int:
        self._fault("gap_end")
        found = [
            row.gap_end for row in self.sealed_rows("dead_letters") if (row.position, row.offset) == (position, offset)
        ]
        return max(found, default=-1)

    def insert_events(self, rows: ColumnBatch, token: str) -> None:
        self._fault("insert_events")
        if self.refused_offsets.intersection(rows.fixed("offset").tolist()):
            raise RejectedRow("the store refuses a row")
        self._insert("access_events", rows, ACCESS_EVENT_COLUMNS, token)

    def insert_dead_letters(self, rows: ColumnBatch, token: str) -> None:
        self._fault("insert_dead_letters")
        self._insert("dead_letters", rows, DEAD_LETTER_COLUMNS, token)

    def insert_alerts(self, rows: ColumnBatch, token: str) -> None:
        self._fault("insert_alerts")
        self.alerts.setdefault(token, rows.count)
        columns = (rows.fixed(name).tolist() for name in ("batch_id", "alert_id", "risk"))
        self.alert_rows.update(zip(*columns, strict=True))

    def insert_features(self, rows: ColumnBatch, token: str) -> None:
        self._fault("insert_features")
        self.features.setdefault(token, rows)

    def _insert(self, table: str, rows: ColumnBatch, specs: tuple[ColumnSpec, ...], token: str) -> None:
        if rows.count and (table, token) not in self._tokens:
            self._tokens.add((table, token))
            self.rows[table].extend(_stored(rows, specs))

    # -- profiles and artefacts

    def save_profiles(
        self,
        position: LogPosition,
        sealed_offset: int,
        feature_version: str,
        keys: Sequence[bytes],
        states: Iterable[bytes],
    ) -> None:
        self._fault("save_profiles")
        for key, state in zip(keys, states, strict=True):
            self._profiles[position][key] = (sealed_offset, feature_version, state)
        self._snapshots[position] = (sealed_offset, feature_version)

    def load_profiles(self, position: LogPosition) -> ProfileSnapshot | None:
        self._fault("load_profiles")
        if position not in self._snapshots:
            return None
        sealed_offset, version = self._snapshots[position]
        kept = sorted((key, state) for key, (_, made, state) in self._profiles[position].items() if made == version)
        return ProfileSnapshot(sealed_offset, version, [key for key, _ in kept], [state for _, state in kept])

    def save_artefact(self, kind: str, content: bytes) -> str:
        self._fault("save_artefact")
        identity = sha256(content).hexdigest()
        self.artefacts.setdefault(identity, (kind, content))
        return identity

    def load_artefact(self, artefact_id: str) -> bytes:
        self._fault("load_artefact")
        if artefact_id not in self.artefacts:
            raise StoreRefused(f"artefact {artefact_id[:12]}… is missing or damaged in the store")
        return self.artefacts[artefact_id][1]


class InMemoryVault:
    """Implements `pipeline.ports.IdentityVault`; `calls` says when it was asked."""

    def __init__(self, store: InMemoryStore | None = None, known: KnownIdentities | None = None) -> None:
        self.kept: dict[tuple[str, str, bytes], str] = {}
        self.calls: list[tuple[int, int]] = []
        """Of each call: how many identities, and how many rows were stored before it."""
        self.faults: list[AccesstrailError] = []
        self._store, self._known = store, known

    def keep(self, identities: Sequence[Identity]) -> None:
        self.calls.append((len(identities), len(self._store.rows["access_events"]) if self._store else 0))
        if self.faults:
            raise self.faults.pop(0)
        for one in identities:
            self.kept.setdefault((one.tenant, one.kind, one.token), one.identifier)
        if self._known is not None:
            self._known.add(identities, self._known.generation)


class InMemoryActivations:
    """Implements `pipeline.ports.ActivationLog`; shared by several workers as the real one is."""

    def __init__(self) -> None:
        self.log: list[Activation] = []
        self.announced: set[tuple[str, int]] = set()
        self.faults: dict[str, list[AccesstrailError]] = defaultdict(list)
        self.before_append: list[Activation] = []
        """What another writer writes just before us."""

    def _fault(self, method: str) -> None:
        if self.faults[method]:
            raise self.faults[method].pop(0)

    def newest(self, topic: str) -> Activation | None:
        self._fault("newest")
        return max(self.history(topic), key=lambda one: one.number, default=None)

    def history(self, topic: str) -> Sequence[Activation]:
        return sorted((one for one in self.log if one.topic == topic), key=lambda one: one.number)

    def append(self, activation: Activation) -> Activation:
        self._fault("append")
        if self.before_append:
            self.log.append(self.before_append.pop(0))
        here = [one for one in self.history(activation.topic) if one.number == activation.number]
        if not here:
            self.log.append(activation)
        return here[0] if here else activation

    def unannounced(self, topic: str) -> Sequence[Activation]:
        return [one for one in self.history(topic) if one.event and (topic, one.number) not in self.announced]

    def mark_announced(self, activation: Activation) -> None:
        self._fault("mark_announced")
        self.announced.add((activation.topic, activation.number))


def _first_offset(entry: LedgerEntry) -> int:
    return entry.first_offset


def _stored(rows: ColumnBatch, specs: tuple[ColumnSpec, ...]) -> list[StoredRow]:
    topics, lives = rows.text("topic"), rows.text("incarnation")
    canonical = canonical_rows(rows, specs)
    is_event = "event_id" in rows.columns
    return [
        StoredRow(
            position=LogPosition(
                topics.interner.texts[topics.ids[row]],
                lives.interner.texts[lives.ids[row]],
                int(rows.fixed("partition")[row]),
            ),
            offset=int(rows.fixed("offset")[row]),
            batch_id=int(rows.fixed("batch_id")[row]),
            batch_first_offset=int(rows.fixed("batch_first_offset")[row]),
            batch_last_offset=int(rows.fixed("batch_last_offset")[row]),
            versions_id=rows.fixed("versions_id")[row].tobytes(),
            canonical=canonical[row],
            received_at_us=int(rows.fixed("received_at")[row]),
            event_id=rows.fixed("event_id")[row].tobytes() if is_event else b"",
            duplicate_of=int(rows.fixed("duplicate_of")[row]) if is_event else -1,
            reason="" if is_event else _text(rows, "reason", row),
            gap_end=-1 if is_event or rows.fixed("leaf_kind")[row] != _GAP else int(rows.fixed("last_offset")[row]),
        )
        for row in range(rows.count)
    ]


def _text(rows: ColumnBatch, name: str, row: int) -> str:
    column = rows.text(name)
    return column.interner.texts[int(column.ids[row])]
