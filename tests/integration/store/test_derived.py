"""Derived tables and views: nothing that is not sealed, nothing twice, sums equal to the sealed events."""

from __future__ import annotations

import dataclasses
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.store import RAW, ClickHouseStore
from pipeline.column_batch import ColumnBatch, FixedColumn
from pipeline.columns import ACCESS_EVENT_COLUMNS
from pipeline.events import ACTIONS, OUTCOMES, LogPosition, codes
from pipeline.ports import LedgerEntry
from tests.batches import Batch, batch, same_text
from tests.rows import row_values

pytestmark = pytest.mark.stack

ROLLUPS = ("risk_actor_1h", "risk_actor_1d", "risk_resource_1d")


def _batch(
    position: LogPosition,
    previous: LedgerEntry | None = None,
    *,
    seed: int = 0,
    events: int = 60,
    change: Callable[[ColumnBatch], None] = lambda rows: None,
) -> Batch:
    """A batch of a tenant of its own: rollups have no incarnation, so the tenant finds a test's rows there."""

    def with_tenant(rows: ColumnBatch) -> None:
        same_text(rows, "tenant_id", position.incarnation)
        change(rows)

    return batch(position, previous, events=events, seed=seed, change=with_tenant)


def _visible(
    reader: ClickHouse, position: LogPosition, settings: dict[str, object] | None = None
) -> dict[str, list[tuple[Any, ...]]]:
    """Everything a reader can see of a test's own rows, in a stable order."""
    life, tenant = {"id": position.incarnation}, {"id": position.incarnation}
    out = {}
    # `stored_at` says when the row was written last; it is no evidence and no answer.
    for name in ("access_events", "subject_access", "dead_letters", "alerts", "ledger"):
        columns = "* EXCEPT stored_at" if name in ("access_events", "dead_letters", "alerts") else "*"
        out[name] = reader.query(
            f"SELECT cityHash64({columns}), count() FROM accesstrail.{name} WHERE incarnation = {{id:String}} "
            "GROUP BY ALL ORDER BY ALL",
            life,
            settings,
        )
    for name in ("sources", *ROLLUPS):
        out[name] = reader.query(
            f"SELECT cityHash64(*), count() FROM accesstrail.{name} WHERE tenant_id = {{id:String}} "
            "GROUP BY ALL ORDER BY ALL",
            tenant,
            settings,
        )
    return out


def _batches(position: LogPosition, count: int) -> list[Batch]:
    made: list[Batch] = []
    for number in range(count):
        made.append(_batch(position, made[-1].entry if made else None, seed=number * 10))
    return made


def test_nothing_is_visible_before_the_batch_is_sealed(
    store: ClickHouseStore, reader: ClickHouse, position: LogPosition
) -> None:
    [made] = _batches(position, 1)
    made.store_rows(store)
    assert not any(_visible(reader, position).values())
    store.seal(made.entry, "test")
    assert all(_visible(reader, position).values())


def test_a_replayed_batch_changes_nothing_anywhere(
    store: ClickHouseStore, reader: ClickHouse, position: LogPosition
) -> None:
    made = _batches(position, 3)
    for one in made:
        one.commit(store)
    before = _visible(reader, position)
    for one in made:
        one.commit(store)
    assert _visible(reader, position) == before


def test_a_replay_after_the_window_of_tokens_changes_nothing_either(
    store: ClickHouseStore, reader: ClickHouse, clickhouse_settings: Any, position: LogPosition
) -> None:
    made = _batches(position, 2)
    for one in made:
        one.commit(store)
    before = _visible(reader, position)
    writer = connect(clickhouse_settings, "writer")
    writer.insert(f"{RAW}.access_events", made[0].events, ACCESS_EVENT_COLUMNS, token="forgotten by the window")
    writer.close()
    assert _visible(reader, position) == before


def test_rows_of_a_writer_that_lost_its_partition_are_never_seen_and_replace_nothing(
    store: ClickHouseStore, reader: ClickHouse, migrator: ClickHouse, position: LogPosition
) -> None:
    [winner] = _batches(position, 1)
    winner.commit(store)
    before = _visible(reader, position)

    def same_sort_key(rows: ColumnBatch) -> None:
        for name in ("event_time", "event_id", "actor_token"):
            rows.columns[name] = FixedColumn(winner.events.fixed(name)[:55])

    other = _batch(position, events=55, seed=500, change=same_sort_key)
    other.store_rows(store)
    for table in ("access_events", "subject_access", "risk_actor_1h", "risk_resource_1d", "sources"):
        migrator.query(f"OPTIMIZE TABLE {RAW}.{table} FINAL")
    assert _visible(reader, position) == before


@pytest.mark.parametrize("swapped", ["true", "false"])
def test_the_plan_of_the_join_with_the_ledger_changes_nothing(
    swapped: str, store: ClickHouseStore, reader: ClickHouse, position: LogPosition
) -> None:
    """The server hashes whichever side it thinks smaller, and may filter the other by what it found."""
    made = _batches(position, 3)
    for one in made:
        one.commit(store)
    _batch(position, made[-1].entry, seed=99).store_rows(store)
    _batch(position, events=55, seed=500).store_rows(store)
    plan = {"query_plan_join_swap_table": swapped, "enable_join_runtime_filters": int(swapped == "true")}
    seen = _visible(reader, position, plan)
    assert seen == _visible(reader, position)
    assert sum(row[-1] for row in seen["access_events"]) == sum(one.entry.n_events for one in made)
    assert sum(row[-1] for row in seen["alerts"]) == sum(one.entry.n_alerts for one in made)


def test_subject_access_has_one_row_for_each_subject_of_each_sealed_event(
    store: ClickHouseStore, reader: ClickHouse, position: LogPosition
) -> None:
    made = _batches(position, 3)
    entries = [one.commit(store) for one in made]
    _batch(position, entries[-1], seed=99).store_rows(store)
    life = {"life": position.incarnation}
    [(rows,)] = reader.query("SELECT count() FROM accesstrail.subject_access WHERE incarnation = {life:String}", life)
    [(subjects,)] = reader.query(
        "SELECT sum(n_subjects) FROM accesstrail.ledger WHERE incarnation = {life:String}", life
    )
    expected = Counter(
        (values["offset"], index, token)
        for one in made
        for values in row_values(one.events, ACCESS_EVENT_COLUMNS)
        for index, token in enumerate(values["subject_tokens"])
    )
    assert rows == subjects == expected.total()
    found = reader.query(
        "SELECT offset, subject_index, lower(hex(subject_token)) FROM accesstrail.subject_access "
        "WHERE incarnation = {life:String}",
        life,
    )
    assert Counter(found) == expected


def test_rollups_are_the_sums_of_sealed_events_without_duplicates_and_heartbeats(
    store: ClickHouseStore, reader: ClickHouse, position: LogPosition
) -> None:
    def some_duplicates(rows: ColumnBatch) -> None:
        rows.columns["duplicate_of"] = FixedColumn(np.where(np.arange(rows.count) % 7 == 0, 0, -1))

    first = _batch(position, events=80, change=some_duplicates)
    made = [first, _batch(position, first.entry, seed=10, events=80, change=some_duplicates)]
    for one in made:
        one.commit(store)
    values = [row for one in made for row in row_values(one.events, ACCESS_EVENT_COLUMNS)]
    log_control, denied = codes(ACTIONS)["log_control"], codes(OUTCOMES)["denied"]
    counted = [
        row
        for row in values
        if row["duplicate_of"] < 0 and not (row["action"] == log_control and row["resource_type"] == "heartbeat")
    ]
    for name in ROLLUPS:
        sums = reader.query(
            "SELECT sum(events), sum(denied), sum(records), sum(bytes), sum(subjects), max(risk_max), sum(risk_sum) "
            f"FROM accesstrail.{name} WHERE tenant_id = {{tenant:String}}",
            {"tenant": position.incarnation},
        )
        assert sums == [
            (
                len(counted),
                sum(row["outcome"] == denied for row in counted),
                sum(max(row["records_returned"], 0) for row in counted),
                sum(max(row["bytes_out"], 0) for row in counted),
                sum(max(row["subject_count"], 0) for row in counted),
                max(row["risk"] for row in counted),
                sum(row["risk"] for row in counted),
            )
        ]
    [(events, duplicates, misrouted)] = reader.query(
        "SELECT sum(events), sum(duplicates), sum(misrouted) FROM accesstrail.sources WHERE tenant_id = {t:String}",
        {"t": position.incarnation},
    )
    assert events == len(values)
    assert duplicates == sum(row["duplicate_of"] >= 0 for row in values)
    assert misrouted == sum(row["misrouted"] for row in values)


def test_huge_amounts_do_not_turn_a_sum_negative(
    store: ClickHouseStore, reader: ClickHouse, position: LogPosition
) -> None:
    def huge(rows: ColumnBatch) -> None:
        for name in ("records_returned", "bytes_out", "subject_count"):
            rows.columns[name] = FixedColumn(np.full(rows.count, 2**63 - 1, np.int64))
        for name in ("actor_token", "event_time"):
            rows.columns[name] = FixedColumn(np.repeat(rows.fixed(name)[:1], rows.count))

    _batch(position, change=huge).commit(store)
    rows = reader.query(
        "SELECT min(records), min(bytes), min(subjects) FROM accesstrail.risk_actor_1d WHERE tenant_id = {t:String}",
        {"t": position.incarnation},
    )
    assert all(amount > 0 for amount in rows[0])


def test_alerts_of_the_system_itself_are_seen_without_a_batch(
    store: ClickHouseStore, reader: ClickHouse, position: LogPosition
) -> None:
    [made] = _batches(position, 1)
    for name in ("batch_id", "batch_first_offset", "batch_last_offset"):
        made.alerts.columns[name] = FixedColumn(np.zeros(made.alerts.count, np.uint64))
    # An id of its own: the log of incidents says what an alert of an id is, also to who verifies the shared store.
    own = [np.void(uuid.uuid4().bytes) for _ in range(made.alerts.count)]
    made.alerts.columns["alert_id"] = FixedColumn(np.array(own, "V16"))
    store.insert_alerts(made.alerts, f"system:{position.incarnation}")
    store.insert_alerts(made.alerts, f"system:{position.incarnation}")
    sql = "SELECT count() FROM accesstrail.alerts WHERE incarnation = {life:String}"
    assert reader.query(sql, {"life": position.incarnation}) == [(1,)]


def test_lives_with_the_same_rows_do_not_mix(
    store: ClickHouseStore, reader: ClickHouse, position: LogPosition, connect_as: Callable[[str], ClickHouse]
) -> None:
    other = dataclasses.replace(position, incarnation=position.incarnation + "+1")
    for place in (position, other):
        _batches(place, 1)[0].commit(store)
    seen = {name: (_visible(reader, position)[name], _visible(reader, other)[name]) for name in ("access_events",)}
    assert all(len(ours) == len(theirs) == 60 for ours, theirs in seen.values())
