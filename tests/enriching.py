"""Events through `protect` and `enrich`, and what came of them in words."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import msgspec

from detectors.base import EventArrays
from pipeline.column_batch import ArrayColumn, ColumnBatch, TextColumn
from pipeline.directory import DirectorySnapshot
from pipeline.directory.calendar_cn import epoch_day
from pipeline.directory.snapshot import ActorRow, SiteRow
from pipeline.events import AccessEvent
from pipeline.privacy.keys import Keyring
from pipeline.stages.enrich import EnrichMemory, enrich
from pipeline.stages.protect import Protector, protect

KEYRING = Keyring.offline()
NO_ONE = bytes(16)
DAY = epoch_day(date(2026, 11, 20))
HOUR_US = 3600 * 1_000_000
REQUIRED: dict[str, Any] = {
    "schema_version": 1,
    "event_id": "0192f3c4-7a31-7cc2-9d50-2b4f6f0f8a11",
    "event_time": "2026-11-20T10:15:30.123+08:00",  # a Friday
    "source_system": "crm",
    "channel": "ui",
    "action": "read",
    "outcome": "success",
    "actor_id": "zhang.wei",
    "actor_type": "employee",
    "resource_type": "customer_profile",
    "resource_id": "r-1",
}


def token(kind: str, identifier: str) -> bytes:
    return KEYRING.token("default", kind, identifier)


def actor(name: str = "zhang.wei", **changed: Any) -> ActorRow:
    row = ActorRow(
        token("actor", name), "employee", "acme", "service", "agent", NO_ONE, "sh", None, None, "active", True
    )
    return replace(row, **changed)


SITES = (
    SiteRow("sh", "CN", "Shanghai", 31.2, 121.5, "Asia/Shanghai"),
    SiteRow("ny", "US", "New York", 40.7, -74.0, "America/New_York"),
)


def run(*given: dict[str, Any], zone: str = "Asia/Shanghai", **directory: Any) -> tuple[EventArrays, ColumnBatch]:
    events = [msgspec.json.decode(json.dumps({**REQUIRED, **one}), type=AccessEvent) for one in given]
    protected = protect(events, Protector(KEYRING, partitions=4))
    snapshot = DirectorySnapshot(**{"sites": SITES, **directory})
    return enrich(protected, snapshot, default_time_zone=zone, memory=EnrichMemory()), protected.columns


def word(vocabulary: tuple[str, ...], number: int) -> str:
    return ("", *vocabulary)[number]


def texts(batch: ColumnBatch, name: str) -> list[str]:
    column = batch.text(name)
    return [column.interner.texts[number] for number in column.ids]


def lists(batch: ColumnBatch, name: str) -> list[list[str]]:
    column = batch.columns[name]
    assert isinstance(column, ArrayColumn)
    assert isinstance(column.items, TextColumn)
    items = [column.items.interner.texts[number] for number in column.items.ids]
    starts = [0, *column.ends.tolist()]
    return [items[start:end] for start, end in zip(starts, column.ends, strict=False)]
