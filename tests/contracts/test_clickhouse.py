"""What the adapter promises of the real engine: blocks, tokens, and its errors as ours."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import clickhouse_driver
import numpy as np
import pytest
from clickhouse_driver.errors import ServerException

from pipeline.adapters.clickhouse import ClickHouse, ServerCode, connect, refuse_old, translated
from pipeline.column_batch import ArrayColumn, Column, ColumnBatch, FixedColumn, Interner, MapColumn, TextColumn
from pipeline.columns import ColumnSpec
from pipeline.errors import Away, RejectedRow, StoreRefused
from pipeline.migrations.runner import apply_all

NUMBER = (ColumnSpec("x", "UInt64", "test", "a number"),)
RAW = "accesstrail_raw"
MakeTable = Callable[..., str]


@pytest.fixture(scope="session")
def clickhouse_settings(stack: Any) -> Any:
    apply_all(stack.settings)
    return stack.settings.clickhouse


@pytest.fixture
def migrator(clickhouse_settings: Any) -> Iterator[ClickHouse]:
    client = connect(clickhouse_settings, "migrator")
    yield client
    client.close()


@pytest.fixture
def writer(clickhouse_settings: Any) -> Iterator[ClickHouse]:
    client = connect(clickhouse_settings, "writer")
    yield client
    client.close()


@pytest.fixture
def make_table(migrator: ClickHouse) -> Iterator[MakeTable]:
    made: list[str] = []

    def make(columns: str, settings: str = "") -> str:
        name = f"{RAW}.test_{uuid.uuid4().hex}"
        migrator.query(
            f"CREATE TABLE {name} ({columns}) ENGINE = MergeTree ORDER BY tuple()"
            + (f" SETTINGS {settings}" if settings else "")
        )
        made.append(name)
        return name

    yield make
    for name in made:
        migrator.query(f"DROP TABLE {name}")


def numbers(*values: int) -> ColumnBatch:
    return ColumnBatch(len(values), {"x": FixedColumn(np.array(values, np.uint64))})


# -- blocks


def test_the_block_writer_stands_on_this_version_of_the_driver() -> None:
    assert clickhouse_driver.__version__ == "0.2.11"


@pytest.mark.stack
@pytest.mark.parametrize("distinct", [1, 255, 256, 257, 65_535, 65_536, 65_537])
def test_low_cardinality_columns_of_every_index_width_come_back(
    make_table: MakeTable, migrator: ClickHouse, distinct: int
) -> None:
    low = "LowCardinality(String)"
    specs = (
        ColumnSpec("t", low, "test", ""),
        ColumnSpec("a", f"Array({low})", "test", ""),
        ColumnSpec("m", f"Map({low}, String)", "test", ""),
    )
    table = make_table(", ".join(f"{spec.name} {spec.type}" for spec in specs))
    names = Interner()
    ids = names.ids((f"text {number}" for number in range(distinct)), distinct)
    ends = np.arange(1, distinct + 1)
    columns: dict[str, Column] = {
        "t": TextColumn(ids, names),
        "a": ArrayColumn(ends, TextColumn(ids, names)),
        "m": MapColumn(ends, TextColumn(ids, names), TextColumn(ids, names)),
    }
    migrator.insert(table, ColumnBatch(distinct, columns), specs, token=None)
    same = "t = a[1] AND length(a) = 1 AND m[t] = t AND startsWith(t, 'text ')"
    assert migrator.query(f"SELECT count(), uniqExact(t), countIf({same}) FROM {table}") == [(distinct,) * 3]


@pytest.mark.stack
def test_lists_and_maps_that_are_empty_in_the_whole_block_come_back(
    make_table: MakeTable, migrator: ClickHouse
) -> None:
    low = "LowCardinality(String)"
    specs = (ColumnSpec("a", f"Array({low})", "test", ""), ColumnSpec("m", f"Map({low}, Float64)", "test", ""))
    table = make_table(", ".join(f"{spec.name} {spec.type}" for spec in specs))
    nothing, names = np.zeros(2, np.int64), Interner()
    no_texts = TextColumn(np.zeros(0, np.int32), names)
    columns: dict[str, Column] = {
        "a": ArrayColumn(nothing, no_texts),
        "m": MapColumn(nothing, no_texts, FixedColumn(np.zeros(0))),
    }
    migrator.insert(table, ColumnBatch(2, columns), specs, token=None)
    assert migrator.query(f"SELECT a, m FROM {table}") == [([], {}), ([], {})]


@pytest.mark.stack
def test_a_token_sent_twice_is_stored_once(make_table: MakeTable, writer: ClickHouse, migrator: ClickHouse) -> None:
    table = make_table("x UInt64", "non_replicated_deduplication_window = 100")
    for token, rows in (("a", numbers(1, 2)), ("a", numbers(1, 2)), ("b", numbers(3))):
        writer.insert(table, rows, NUMBER, token=token)
    assert migrator.query(f"SELECT x FROM {table} ORDER BY x") == [(1,), (2,), (3,)]


@pytest.mark.stack
def test_no_rows_are_no_insert(make_table: MakeTable, writer: ClickHouse, migrator: ClickHouse) -> None:
    table = make_table("x UInt64")
    writer.insert(table, numbers(), NUMBER, token="a")
    assert migrator.query(f"SELECT count() FROM {table}") == [(0,)]


@pytest.mark.stack
def test_a_block_over_more_partitions_than_the_server_likes_is_stored(
    clickhouse_settings: Any, migrator: ClickHouse, writer: ClickHouse
) -> None:
    name = f"{RAW}.test_{uuid.uuid4().hex}"
    migrator.query(f"CREATE TABLE {name} (x UInt64) ENGINE = MergeTree PARTITION BY x ORDER BY tuple()")
    writer.insert(name, numbers(*range(150)), NUMBER, token=None)
    assert migrator.query(f"SELECT count() FROM {name}") == [(150,)]
    migrator.query(f"DROP TABLE {name}")


# -- trouble


@pytest.mark.stack
def test_an_answer_by_columns_is_the_answer_by_rows_whatever_the_blocks(migrator: ClickHouse) -> None:
    asked = {"count": 70_001}
    sql = "SELECT number, toString(number % 3) FROM numbers({count:UInt64})"
    settings = {"strings_as_bytes": True, "max_block_size": 10_000}
    rows, columns = migrator.query(sql, asked, settings), migrator.columns(sql, asked, settings)
    assert len(rows) == 70_001
    assert sorted(zip(*columns, strict=True)) == sorted(rows)
    assert migrator.columns(sql, {"count": 0}, settings) == []


def test_columns_of_a_missing_table_are_refused(migrator: ClickHouse) -> None:
    with pytest.raises(StoreRefused):
        migrator.columns(f"SELECT x FROM {RAW}.test_missing", {})


def test_codes_have_the_names_the_server_gives_them(migrator: ClickHouse) -> None:
    for code in ServerCode:
        assert migrator.query("SELECT errorCodeToName({code:UInt32})", {"code": int(code)}) == [(code.name,)]


@pytest.mark.stack
def test_a_violated_constraint_is_a_rejected_row_and_says_nothing_of_it(
    make_table: MakeTable, writer: ClickHouse, migrator: ClickHouse
) -> None:
    table = make_table("x UInt64, CONSTRAINT small CHECK x < 1000000")
    with pytest.raises(RejectedRow) as caught:
        writer.insert(table, numbers(7, 424242424242), NUMBER, token="a")
    assert "424242" not in str(caught.value)
    assert caught.value.__cause__ is None
    writer.insert(table, numbers(8), NUMBER, token="b")
    assert migrator.query(f"SELECT x FROM {table}") == [(8,)]


@pytest.mark.stack
def test_too_many_parts_and_too_little_memory_are_away(
    make_table: MakeTable, writer: ClickHouse, migrator: ClickHouse
) -> None:
    never_merged = "max_bytes_to_merge_at_max_space_in_pool = 1"
    table = make_table("x UInt64", f"parts_to_delay_insert = 2, parts_to_throw_insert = 2, {never_merged}")
    writer.insert(table, numbers(1), NUMBER, token="1")
    writer.insert(table, numbers(2), NUMBER, token="2")
    with pytest.raises(Away) as caught:
        writer.insert(table, numbers(3), NUMBER, token="3")
    assert caught.value.code == "store_busy"
    with pytest.raises(Away):
        migrator.query("SELECT groupArray(number) FROM numbers(10000000)", None, {"max_memory_usage": 1_000_000})
    assert migrator.query("SELECT 1") == [(1,)]


@pytest.mark.stack
def test_a_statement_that_takes_longer_than_it_may_is_slow_and_the_next_one_is_answered(migrator: ClickHouse) -> None:
    with pytest.raises(Away) as caught:
        migrator.query("SELECT sum(sleepEachRow(0.1)) FROM numbers(100)", None, {"max_execution_time": 1})
    assert caught.value.code == "store_slow"
    assert migrator.query("SELECT 1") == [(1,)]


@pytest.mark.stack
def test_a_missing_right_a_missing_table_and_another_schema_are_refused(
    make_table: MakeTable, clickhouse_settings: Any, writer: ClickHouse
) -> None:
    table = make_table("x UInt64, y UInt64")
    with pytest.raises(StoreRefused):
        writer.query(f"ALTER TABLE {table} DELETE WHERE 1")
    with pytest.raises(StoreRefused):
        writer.query(f"SELECT * FROM {RAW}.there_is_no_such_table")
    other_name = ColumnBatch(1, {"z": FixedColumn(np.zeros(1, np.uint64))})
    with pytest.raises(StoreRefused):
        writer.insert(table, other_name, (ColumnSpec("z", "UInt64", "test", ""),), token=None)
    other_type = ColumnBatch(1, {"x": FixedColumn(np.zeros(1, np.int64))})
    with pytest.raises(StoreRefused, match="differs from ours at x"):
        writer.insert(table, other_type, (ColumnSpec("x", "Int64", "test", ""),), token=None)
    assert writer.query("SELECT 1") == [(1,)]
    reader = connect(clickhouse_settings, "reader")
    with pytest.raises(StoreRefused):
        reader.insert(table, numbers(1), NUMBER, token=None)
    reader.close()


@pytest.mark.stack
def test_a_wrong_password_is_refused(clickhouse_settings: Any, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("not the password")
    files = {**clickhouse_settings.password_files, "reader": tmp_path / "password"}
    client = connect(replace(clickhouse_settings, password_files=files), "reader")
    with pytest.raises(StoreRefused):
        client.query("SELECT 1")


@pytest.mark.stack
def test_a_query_over_time_is_away_and_the_connection_is_made_anew(clickhouse_settings: Any) -> None:
    client = connect(replace(clickhouse_settings, timeout_s=1), "writer")
    with pytest.raises(Away):
        client.query("SELECT sleepEachRow(0.25) FROM accesstrail.schema_migrations", None, {"max_block_size": 1})
    assert client.query("SELECT 1") == [(1,)]
    client.close()


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("x")
    return path


def _settings(port: int, password_file: Path) -> Any:
    from pipeline.config import ClickHouseSettings

    return ClickHouseSettings(
        host="127.0.0.1", native_port=port, http_port=1, database="accesstrail",
        password_files={"writer": password_file}, timeout_s=1, commits_at_once=3,
    )  # fmt: skip


def test_nobody_at_the_port_is_away(password_file: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Away, match="does not answer"):
        connect(_settings(port, password_file), "writer").query("SELECT 1")


def test_a_server_that_accepts_and_stays_silent_is_away(password_file: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(Away):
            connect(_settings(silent.getsockname()[1], password_file), "writer").query("SELECT 1")


@pytest.mark.parametrize("version", ["18.16.1", "25.8.3.66", "26.6.9"])
def test_servers_older_than_any_that_was_run_are_refused(version: str) -> None:
    with pytest.raises(StoreRefused, match=f"{version} is too old: accesstrail needs 26.7 or newer"):
        refuse_old(version)


def test_newer_servers_are_taken() -> None:
    for version in ("26.7.2.1", "26.9.2", "27.1.1"):
        refuse_old(version)


def test_no_message_repeats_the_servers_text() -> None:
    for code in (0, 6, 60, 241, 252, 469, 497, 516, 99999):
        ours = translated(ServerException("row: zhang.wei 13812345678", code))
        assert "zhang" not in str(ours)
        assert str(code) in str(ours)
