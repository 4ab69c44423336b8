"""Legal holds on the running engine: rows added as the responder, one look at all of them, the condition they make."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.holds import HoldReader, HoldWriter
from pipeline.adapters.store import ClickHouseStore
from pipeline.column_batch import ColumnBatch
from pipeline.columns import ACCESS_EVENT_COLUMNS
from pipeline.errors import UsageError
from pipeline.events import LogPosition
from pipeline.retention.holds import HeldRow, Hold, condition_of, is_held
from tests.batches import batch, same_text
from tests.rows import row_values

pytestmark = pytest.mark.stack

MUTATE = "SETTINGS mutations_sync = 2"


@pytest.fixture
def tenant(migrator: ClickHouse) -> Iterator[str]:
    name = uuid.uuid4().hex
    yield name
    for table in ("legal_holds", "evidence_holds"):
        migrator.query(f"ALTER TABLE accesstrail_raw.{table} DELETE WHERE tenant_id = '{name}' {MUTATE}")


@pytest.fixture
def holds(connect_as: Callable[[str], ClickHouse]) -> HoldWriter:
    return HoldWriter(connect_as("responder"))


def _hold(tenant: str, **fields: object) -> Hold:
    return replace(Hold(hold_id=str(uuid.uuid4()), tenant=tenant, scope="actor", by="ab" * 16), **fields)  # type: ignore[arg-type]


def test_a_hold_is_read_as_it_was_written_until_it_is_released(
    tenant: str, holds: HoldWriter, reader: ClickHouse
) -> None:
    placed = _hold(tenant, actors=("01" * 16,), subjects=("00" * 16, "02" * 16), from_us=5, reason="it's 你好", at_us=7)
    holds.place(placed, str(uuid.uuid4()))
    asked = HoldReader(reader)
    assert [one for one in asked.in_force() if one.tenant == tenant] == [placed]
    assert asked.one(placed.hold_id[:13]) == placed
    holds.release(replace(placed, by="cd" * 16), str(uuid.uuid4()))
    assert [one for one in asked.in_force() if one.tenant == tenant] == []
    with pytest.raises(UsageError):
        asked.one(placed.hold_id)
    written = "SELECT kind FROM accesstrail.legal_holds WHERE tenant_id = {t:String} ORDER BY kind"
    assert reader.query(written, {"t": tenant}) == [("placed",), ("released",)]


def test_a_suspected_breach_holds_whom_it_is_about_until_it_is_released(
    tenant: str, holds: HoldWriter, reader: ClickHouse, connect_as: Callable[[str], ClickHouse]
) -> None:
    add = (
        "INSERT INTO accesstrail_raw.evidence_holds (tenant_id, incident_id, incident_key, actor_token, "
        "first_event_time, since, known_at, by) SELECT {t:String}, {id:UUID}, {key:String}, "
        "toFixedString(unhex({actor:String}), 16), fromUnixTimestamp64Micro(toInt64(9), 'UTC'), now64(6), now64(6), 'x'"
    )
    actor, subject = "0a" * 16, "0b" * 16
    for key, token in (
        (f"{tenant}:{actor}", actor), (f"{tenant}:subject:{subject}", ""), (f"{tenant}:campaign:november", ""),
    ):  # fmt: skip
        given = {"t": tenant, "id": str(uuid.uuid4()), "key": key, "actor": token}
        connect_as("responder").query(add, given)
    found = [one for one in HoldReader(reader).in_force() if one.tenant == tenant]
    assert {one.scope for one in found} == {"breach"}
    assert {one.from_us for one in found} == {9}
    assert sorted((one.actors, one.subjects) for one in found) == [((), ()), ((), (subject,)), ((actor,), ())]
    holds.release(found[0], str(uuid.uuid4()))
    assert len([one for one in HoldReader(reader).in_force() if one.tenant == tenant]) == 2


def test_the_condition_in_sql_is_the_rule(
    tenant: str, store: ClickHouseStore, reader: ClickHouse, position: LogPosition
) -> None:
    def mine(rows: ColumnBatch) -> None:
        same_text(rows, "tenant_id", tenant)

    made = batch(position, events=60, seed=uuid.uuid4().int % 2**31, change=mine)
    made.commit(store)
    rows = {
        values["offset"]: HeldRow(
            tenant=tenant, event_us=values["event_time"],
            actors=(values["actor_token"], values["on_behalf_of_token"]),
            subjects=(*values["subject_tokens"], values["resource_token"]), credential=values["credential_token"],
        )
        for values in row_values(made.events, ACCESS_EVENT_COLUMNS)
    }  # fmt: skip
    some = [rows[offset] for offset in sorted(rows)]
    listed = next(one for one in some[10:] if len(one.subjects) > 1)
    tries = [
        [_hold(tenant, actors=(some[0].actors[0],))], [_hold(tenant, actors=(some[1].actors[1],))],
        [_hold(tenant, subjects=(listed.subjects[0],))], [_hold(tenant, subjects=(some[3].subjects[-1],))],
        [_hold(tenant, credentials=(some[4].credential,))], [_hold("other", actors=(some[0].actors[0],))], [],
        [_hold(tenant, from_us=some[5].event_us, until_us=some[5].event_us + 1)],
        [_hold(tenant, actors=some[6].actors, until_us=some[6].event_us), _hold(tenant, subjects=some[7].subjects)],
    ]  # fmt: skip
    for holds in tries:
        condition, given = condition_of(holds)
        sql = f"SELECT offset FROM accesstrail.access_events WHERE tenant_id = {{mine:String}} AND {condition}"
        found = {row[0] for row in reader.query(sql, {**given, "mine": tenant})}
        assert found == {offset for offset, row in rows.items() if is_held(row, holds)}, holds


def test_a_subject_is_held_by_name_or_by_an_access_that_is(
    tenant: str, holds: HoldWriter, store: ClickHouseStore, reader: ClickHouse, position: LogPosition
) -> None:
    made = batch(
        position, events=40, seed=uuid.uuid4().int % 2**31, change=lambda rows: same_text(rows, "tenant_id", tenant)
    )
    made.commit(store)
    values = next(one for one in row_values(made.events, ACCESS_EVENT_COLUMNS) if one["subject_tokens"])
    actor, subject = values["actor_token"], values["subject_tokens"][0]
    asked = HoldReader(reader)
    assert asked.holds_of_subject(tenant, subject) == []
    by_actor, by_name = _hold(tenant, actors=(actor,), at_us=1), _hold(tenant, subjects=(subject,), at_us=2)
    holds.place(by_actor, str(uuid.uuid4()))
    holds.place(by_name, str(uuid.uuid4()))
    assert asked.holds_of_subject(tenant, subject) == [by_actor, by_name]
    assert asked.holds_of_subject(tenant, "ff" * 16) == []
    assert asked.holds_of_subject("another", subject) == []
