"""The way of one batch of events, in order: read this file first.

    decode ▸ protect ▸ enrich ▸ duplicates ▸ assess ▸ hold_back ▸ decide ▸ sample ▸ row   pure (`pipeline/stages/`)
    commit_batch                                                          numbered steps on ports (`ports.py`)

`Chain.form` turns a run of Kafka records of one partition into a `FormedBatch` (`batch.py`): rows, dead letters, gaps,
alerts and the ledger entry that would seal them, a leaf for every offset. It changes nothing but the partition's memory
(profiles, duplicate window), which `PartitionMemory.commit` keeps and `rollback` undoes. `commit_batch` makes it last.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.batch import AfterStep, FormedBatch, Forming, JudgedEvents, Judgement, PartitionMemory, nothing
from pipeline.column_batch import FixedColumn
from pipeline.events import RecordBatch
from pipeline.ports import NO_VAULT, AlertPublisher, EvidenceStore, IdentityVault
from pipeline.privacy.protected import Protected
from pipeline.privacy.protector import Protectors
from pipeline.reading import read_records
from pipeline.stages.assess import assess
from pipeline.stages.decide import decide
from pipeline.stages.duplicates import mark_duplicates
from pipeline.stages.enrich import EnrichMemory, enrich
from pipeline.stages.gaps import find_gaps, gap_columns
from pipeline.stages.hold_back import hold_back
from pipeline.stages.protect import protect_dead_letters
from pipeline.stages.row import place
from pipeline.stages.sample import sample


class Chain:
    """The stages with the memory they share (interned values, token and network memos): one thread at a time."""

    def __init__(self, protectors: Protectors) -> None:
        self._protectors = protectors
        self._enrich_memory = EnrichMemory()

    def form(
        self, records: RecordBatch, memory: PartitionMemory, judgement: Judgement,
        rejected_offsets: frozenset[int] = frozenset(),
    ) -> FormedBatch:  # fmt: skip
        """Forms the batch of these records; `rejected_offsets`: what the store refused before.
        Records: offsets strictly increasing, all >= `memory.next_offset`; holes become gaps.
        """
        memory.profiles.begin()
        protector, versions_id = self._protectors.of(judgement.protection), judgement.versions.versions_id
        read = read_records(records, judgement, protector, rejected_offsets)  # decode, protect
        gaps = find_gaps(memory.next_offset, records.offsets, records.received_at_us)
        forming = Forming(memory.position, identities=read.identities)
        if read.protected is not None:
            done = self.judge(read.protected, read.rows, records, memory, judgement)
            forming.events, forming.alerts = done.columns, done.alerts
            forming.features = sample(done.columns, done.arrays, done.assessment, judgement.rules, judgement.shadow)
        if read.rejected:
            forming.dead_letters = protect_dead_letters(records, read.rejected, protector, versions_id)
        forming.gaps = gap_columns(gaps, memory.position, versions_id) if gaps else None
        return forming.sealed(memory, versions_id, judgement.retention_class)  # row: leaves, ledger entry

    def judge(
        self, protected: Protected, rows: npt.NDArray[np.int64], records: RecordBatch, memory: PartitionMemory,
        judgement: Judgement,
    ) -> JudgedEvents:  # fmt: skip
        """The stages from `enrich` to `decide`; `rows` (n,): the record that each event came in."""
        directory, model, rules, profiles = judgement.directory, judgement.model, judgement.rules, memory.profiles
        protected.mark_misrouted(records.position.partition)
        arrays = enrich(protected, directory, default_time_zone=judgement.default_time_zone, memory=self._enrich_memory)
        columns = protected.columns
        place(columns, records, rows)
        mark_duplicates(columns, arrays, memory.window)
        assessment = assess(columns, arrays, model, profiles, rules)
        assessment = hold_back(columns, arrays, assessment, judgement.policy, model, rules, judgement.exceptions)
        columns.columns["versions_id"] = FixedColumn(np.full(columns.count, np.void(judgement.versions.versions_id)))
        alerts = decide(columns, arrays, assessment, profiles, judgement.policy, model, rules)
        return JudgedEvents(columns, arrays, assessment, alerts)


def commit_batch(
    batch: FormedBatch, store: EvidenceStore, publisher: AlertPublisher, writer: str, after_step: AfterStep = nothing,
    vault: IdentityVault = NO_VAULT,
) -> None:  # fmt: skip
    """Makes a formed batch last; may be repeated unchanged after any failure and after a crash at any point.

    1. new identities → vault, before any row that names them by token; what is there stays as it is
    2. events → store, under a token that names exactly this content; so with 3, 4 and 5
    3. dead letters → store
    4. gaps → store
    5. features kept beside the evidence, and alert rows → store
    6. alerts → Kafka, acknowledged
    7. ledger entry → store: the commit point; from here on the rows are visible
    8. acknowledge: the caller keeps the memory and tells the fetcher

    Crash before 7: the rows are invisible; recovery forms the same range under the same versions, repeats 1–5 (a no-op)
    and 6 (the same alert ids) and seals. Crash after 7: recovery goes on behind the entry.
    Raises: Away: repeat unchanged; RejectedRow: bisect (`partition/refused_rows.py`); BrokenInvariant: stop.
    """
    token = batch.token()
    vault.keep(batch.identities)
    after_step(1)
    if batch.events is not None:
        store.insert_events(batch.events, token)
    after_step(2)
    if batch.dead_letters is not None:
        store.insert_dead_letters(batch.dead_letters, token)
    after_step(3)
    if batch.gaps is not None:
        store.insert_dead_letters(batch.gaps, f"{token}:gaps")
    after_step(4)
    if batch.features is not None:
        store.insert_features(batch.features, f"{token}:features")
    if batch.alert_rows is not None:
        store.insert_alerts(batch.alert_rows, token)
    after_step(5)
    if batch.alerts and batch.events is not None:
        publisher.publish(batch.position, batch.alerts, batch.events)
    after_step(6)
    store.seal(batch.entry, writer)
    after_step(7)
