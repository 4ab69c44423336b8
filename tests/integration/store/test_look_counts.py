"""What an account has looked at today, as the store shows it: its own looks of the day that were not refused."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pytest

from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.look_counts import LookCounts, ToldLooks
from pipeline.adapters.store import ClickHouseStore
from pipeline.audit.quota import Used
from pipeline.column_batch import ColumnBatch, FixedColumn
from pipeline.events import ACTIONS, OUTCOMES, LogPosition, codes
from pipeline.privacy.keys import Keyring
from tests.batches import batch, same_text

pytestmark = pytest.mark.stack

NOW_US, HOUR_US = 1_790_000_000_000_000, 3_600_000_000
KEYRING = Keyring.offline()
OWN = {
    "source_system": "accesstrail",
    "resource_type": "evidence.search",
    "action": "audit_query",
    "outcome": "success",
}
OTHERS: list[dict[str, str]] = [
    {"outcome": "denied"}, {"action": "delete"}, {"source_system": "crm"}, {"resource_type": "customer_profile"},
    {"actor": "somebody.else"}, {"tenant_id": "another"}, {"at": "-25"}, {"duplicate": "1"},
]  # fmt: skip


def kept(store: ClickHouseStore, position: LogPosition, tenant: str, said: dict[str, str], looks: int) -> list[str]:
    """Looks of one batch, three rows each; their ids."""
    ids = [uuid.uuid4() for _ in range(looks)]

    def change(rows: ColumnBatch) -> None:
        for name in ("source_system", "resource_type"):
            same_text(rows, name, {**OWN, **said}[name])
        same_text(rows, "tenant_id", said.get("tenant_id", tenant))
        for name, words in (("action", ACTIONS), ("outcome", OUTCOMES)):
            rows.columns[name] = FixedColumn(np.full(looks, codes(words)[{**OWN, **said}[name]], np.int8))
        actor = KEYRING.token(tenant, "actor", said.get("actor", "li.na"))
        rows.columns["actor_token"] = FixedColumn(np.full(looks, np.void(actor), "V16"))
        rows.columns["records_returned"] = FixedColumn(np.full(looks, 3, np.int64))
        rows.columns["event_time"] = FixedColumn(np.full(looks, NOW_US + int(said.get("at", "0")) * HOUR_US, np.int64))
        raw = b"".join(one.bytes[7::-1] + one.bytes[:7:-1] for one in ids)
        rows.columns["event_id"] = FixedColumn(np.frombuffer(raw, "V16"))
        if "duplicate" in said:
            rows.columns["duplicate_of"] = FixedColumn(np.zeros(looks, np.int64))

    batch(position, None, events=looks, dead_letters=0, seed=uuid.uuid4().int % 2**31, change=change).commit(store)
    return [str(one) for one in ids]


def test_looks_of_the_day_are_counted_and_nothing_else(
    store: ClickHouseStore, reader: ClickHouse, position: LogPosition, tmp_path: Path
) -> None:
    tenant = f"t-{uuid.uuid4().hex}"
    ids = kept(store, position, tenant, {}, 4)
    for number, said in enumerate(OTHERS):
        kept(store, LogPosition(position.topic, f"{position.incarnation}-{number}", 0), tenant, said, 2)
    counts = LookCounts(reader, KEYRING, tenant, ToldLooks(tmp_path / "told"))
    assert counts.used("li.na", NOW_US - 20 * HOUR_US, NOW_US) == Used(looks=4, rows=12)
    counts.note("li.na", ids[0], NOW_US, 3)
    counts.note("li.na", str(uuid.uuid4()), NOW_US, 5)
    assert counts.used("li.na", NOW_US - 20 * HOUR_US, NOW_US + 20_000_000) == Used(looks=5, rows=17)
    assert counts.used("nobody", NOW_US - 20 * HOUR_US, NOW_US) == Used()
