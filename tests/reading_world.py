"""A small company's accesses in the store, as stored and as plain values: what answers of readers are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pipeline import events
from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.store import RAW, ClickHouseStore
from pipeline.audit.search import Question
from pipeline.column_batch import ArrayColumn, ColumnBatch, FixedColumn, Interner, TextColumn
from pipeline.columns import ACCESS_EVENT_COLUMNS, EXPLANATION_COLUMNS
from pipeline.events import LogPosition
from tests.batches import Batch, batch, same_text
from tests.rows import row_values, rows_from

DAY_US = 86_400_000_000
NOW_US = 1_795_000_000_000_000
"""2026-11-18T11:06:40Z; everything happens in the 35 days before."""
FROM_US = NOW_US - 35 * DAY_US
WORDS: Mapping[str, tuple[str, ...]] = {
    "action": events.ACTIONS, "outcome": events.OUTCOMES, "explained": events.EXPLAINED,
    "network_kind": events.NETWORK_KINDS, "actor_type": events.ACTOR_TYPES, "channel": events.CHANNELS,
    "score_status": events.SCORE_STATUSES,
}  # fmt: skip
PURPOSES = ("", "support", "billing", "客服")
TYPES = ("customer_profile", "order", "{{7*7}}")
WRITTEN = ("", "", "Nightly batch 7", "处理客户投诉", "complaint of a customer, 138****5678", "night shift, no batch")
DENIED = ("", "", "", "outside the shift", "投诉未受理")


def _tokens(chance: np.random.Generator, count: int, known: int) -> np.ndarray[Any, np.dtype[np.void]]:
    pool = np.frombuffer(np.random.default_rng(known).bytes(16 * known), "V16")
    return pool[chance.integers(0, known, count)]


def _texts(values: list[str]) -> TextColumn:
    names = Interner()
    return TextColumn(names.ids(values, len(values)), names)


def life(rows: ColumnBatch, tenant: str, seed: int) -> None:
    """A company of its own: few accounts, customers, purposes, so that everything meets."""
    chance, count = np.random.default_rng(seed), rows.count
    same_text(rows, "tenant_id", tenant)
    # Several accesses at the same moment, and one at the border of a day in China.
    times = FROM_US + chance.integers(0, 35 * 48, count) * (DAY_US // 48)
    times[:2] = 1_794_844_799_999_999, 1_794_844_800_000_000
    rows.columns["event_time"] = FixedColumn(times.astype(np.int64))
    rows.columns["actor_token"] = FixedColumn(_tokens(chance, count, 5))
    rows.columns["case_token"] = FixedColumn(_tokens(chance, count, 6))
    rows.columns["resource_token"] = FixedColumn(_tokens(chance, count, 9))
    rows.columns["risk"] = FixedColumn(chance.integers(0, 10_001, count).astype(np.uint16))
    rows.columns["duplicate_of"] = FixedColumn(np.where(np.arange(count) % 11 == 5, 0, -1).astype(np.int64))
    rows.columns["purpose"] = _texts([PURPOSES[place] for place in chance.integers(0, len(PURPOSES), count)])
    rows.columns["resource_type"] = _texts([TYPES[place] for place in chance.integers(0, len(TYPES), count)])
    sizes = chance.integers(0, 4, count)
    rows.columns["subject_tokens"] = ArrayColumn(
        np.cumsum(sizes).astype(np.int64), FixedColumn(_tokens(chance, int(sizes.sum()), 8))
    )
    rows.columns["justification"] = _texts([WRITTEN[place] for place in chance.integers(0, len(WRITTEN), count)])
    rows.columns["denial_reason"] = _texts([DENIED[place] for place in chance.integers(0, len(DENIED), count)])


class World:
    """Two sealed batches of a tenant, as stored and as plain values."""

    def __init__(self, store: ClickHouseStore, position: LogPosition) -> None:
        self.tenant, self.position, self.store = position.incarnation, position, store
        self.batches: list[Batch] = []
        self.add(seed=3, count=300)
        self.add(seed=4, count=200)

    def add(self, seed: int, count: int, change: Callable[[ColumnBatch], None] = lambda rows: None) -> None:
        def with_life(rows: ColumnBatch) -> None:
            life(rows, self.tenant, seed)
            change(rows)

        made = batch(
            self.position, self.batches[-1].entry if self.batches else None, events=count, seed=seed, change=with_life
        )
        made.commit(self.store)
        self.batches.append(made)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Plain values, words in place of codes, newest first."""
        found = [row for one in self.batches for row in row_values(one.events, ACCESS_EVENT_COLUMNS)]
        for row in found:
            for name, words in WORDS.items():
                row[name] = ("", *words)[row[name]]
        return sorted(found, key=lambda row: (row["event_time"], row["offset"]), reverse=True)

    def question(self, **given: Any) -> Question:
        plain: dict[str, Any] = {"tenant": self.tenant, "from_us": FROM_US, "until_us": NOW_US}
        return Question(**plain | given)


def give_verdicts(writer: ClickHouse, world: World, rows: list[dict[str, Any]], verdict: str) -> None:
    values = [
        {
            **{name: row[name] for name in ("partition", "offset", "event_time", "actor_token", "tenant_id", "topic",
                                            "incarnation", "event_id")},
            "stream_verdict": row["explained"], "verdict": verdict, "versions_id": "00" * 32,
        }
        for row in rows
    ]  # fmt: skip
    columns = rows_from(values, EXPLANATION_COLUMNS)
    writer.insert(f"{RAW}.access_explanations", columns, EXPLANATION_COLUMNS, token=f"{world.tenant}:{verdict}")
