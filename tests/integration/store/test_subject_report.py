"""The subject report on the running engine: its rows are the evidence's, its count that of the table by subject."""

from __future__ import annotations

import uuid

import pytest

from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.store import ClickHouseStore
from pipeline.adapters.subject_report_reading import SubjectReportReader
from pipeline.columns import ACCESS_EVENT_COLUMNS
from pipeline.events import LogPosition
from tests.batches import batch, same_text
from tests.rows import row_values

pytestmark = pytest.mark.stack


def test_every_access_that_names_the_subject_is_in_it_once(
    store: ClickHouseStore, reader: ClickHouse, position: LogPosition
) -> None:
    tenant = f"t-{uuid.uuid4().hex}"
    made = batch(
        position, events=60, seed=uuid.uuid4().int % 2**31, change=lambda rows: same_text(rows, "tenant_id", tenant)
    )
    made.commit(store)
    values = row_values(made.events, ACCESS_EVENT_COLUMNS)
    token = next(one["subject_tokens"][0] for one in values if one["subject_tokens"])
    mine = sorted((one for one in values if token in one["subject_tokens"]), key=lambda one: one["event_time"])
    asked, whole = SubjectReportReader(reader), (min(one["event_time"] for one in mine), mine[-1]["event_time"] + 1)
    found = asked.accesses(tenant, [token], *whole, with_actors=False)
    assert [one.event_us for one in found] == [one["event_time"] for one in mine]
    assert [one.purpose for one in found] == [one["purpose"] for one in mine]
    assert {one.actor for one in found} == {""}
    assert asked.listed(tenant, [token], *whole) == len(mine)
    assert [one.actor for one in asked.accesses(tenant, [token], *whole, with_actors=True)] == [
        one["actor_token"] for one in mine
    ]
    assert asked.accesses("another", [token], *whole, with_actors=False) == []
    assert asked.listed(tenant, [token], whole[1], whole[1] + 1) == 0
    assert asked.sources(tenant) == sorted({one["source_system"] for one in values})
