"""`verify --store` on views: one that shows something else to others than to whoever verifies is found."""

from __future__ import annotations

import pytest

from pipeline.adapters.clickhouse import ClickHouse
from pipeline.cli.verification_schema import check_views
from pipeline.ledger.verify import Findings
from pipeline.migrations.definitions import table_engines, view_texts
from pipeline.migrations.schema import PUBLIC, RAW
from pipeline.migrations.steps import STEPS

pytestmark = [pytest.mark.stack, pytest.mark.whole_store]

BY_NAME = {name: sql for _, name, sql in STEPS}
SETTINGS = "\nSETTINGS do_not_merge"
NOT_FOR_OTHERS = " WHERE currentUser() = 'reader'"


def told(reader: ClickHouse) -> list[tuple[str, str]]:
    findings = Findings()
    assert check_views(reader, findings) == []
    return [(one.code, one.about) for one in findings.told]


def test_the_views_that_the_migrations_make_are_no_difference(reader: ClickHouse) -> None:
    assert told(reader) == []
    assert len(view_texts()) > 30
    assert table_engines()["ledger"] == "MergeTree"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("access_events", SETTINGS, NOT_FOR_OTHERS + SETTINGS),
        ("alerts", "batch_id = 0", "batch_id = 0 AND currentUser() = 'reader'"),
        ("person_events", SETTINGS, NOT_FOR_OTHERS + SETTINGS),
        ("risk_actor_1d", "max(risk_max)", "min(risk_max)"),
        ("incidents", " FINAL", ""),
        ("access_events", "select_final = 1", "select_final = 0"),
        ("sources", "DEFINER = migrator SQL SECURITY DEFINER", "SQL SECURITY INVOKER"),
        ("legal_holds_in_force", "'released'", "'placed'"),
    ],
)
def test_a_view_that_was_made_anew_is_found(
    name: str, old: str, new: str, reader: ClickHouse, migrator: ClickHouse
) -> None:
    honest = BY_NAME[f"view {name}"]
    changed = honest.replace(old, new)
    assert changed != honest
    try:
        migrator.query(changed)
        assert told(reader) == [("view_changed", f"view {name} is not the one that this version makes")]
    finally:
        migrator.query(honest)
    assert told(reader) == []


def test_a_table_in_the_place_of_a_view_is_found(reader: ClickHouse, migrator: ClickHouse) -> None:
    migrator.query(f"DROP VIEW {PUBLIC}.person_days")
    try:
        migrator.query(
            f"CREATE TABLE {PUBLIC}.person_days ENGINE = MergeTree ORDER BY tuple() AS "
            f"SELECT * FROM {PUBLIC}.risk_actor_1d LIMIT 1"
        )
        assert told(reader) == [("view_changed", "view person_days is not the one that this version makes")]
    finally:
        migrator.query(f"DROP TABLE {PUBLIC}.person_days SYNC")
        migrator.query(BY_NAME["view person_days"])


def test_a_narrower_type_in_a_view_s_list_of_columns_is_found(reader: ClickHouse, migrator: ClickHouse) -> None:
    """The statement behind the list is as it was, and 300 becomes 44."""
    honest = BY_NAME["view person_days"]
    columns = reader.query(
        "SELECT name, type FROM system.columns WHERE database = {database:String} AND table = 'person_days'",
        {"database": PUBLIC},
    )
    listed = ", ".join(f"`{name}` {'UInt8' if name == 'risk_max' else kind}" for name, kind in columns)
    try:
        migrator.query(honest.replace("person_days\n", f"person_days ({listed})\n", 1))
        assert told(reader) == [("view_changed", "view person_days: risk_max is of another type than in risk_actor_1d")]
    finally:
        migrator.query(honest)


def test_a_view_in_the_place_of_a_table_is_found(reader: ClickHouse, migrator: ClickHouse) -> None:
    migrator.query(f"RENAME TABLE {RAW}.ledger TO {RAW}.ledger_aside")
    try:
        migrator.query(f"CREATE VIEW {RAW}.ledger AS SELECT * FROM {RAW}.ledger_aside {NOT_FOR_OTHERS}")
        assert told(reader) == [("view_changed", "table ledger is a View, it was made a MergeTree")]
    finally:
        migrator.query(f"DROP TABLE {RAW}.ledger SYNC")
        migrator.query(f"RENAME TABLE {RAW}.ledger_aside TO {RAW}.ledger")


def test_a_schema_from_before_the_tables_could_be_seen_is_said_and_no_difference(
    reader: ClickHouse, migrator: ClickHouse
) -> None:
    migrator.query(f"DROP VIEW {PUBLIC}.stored_tables")
    try:
        findings = Findings()
        [note] = check_views(reader, findings)
        assert findings.told == []
        assert "accesstrail migrate" in note
    finally:
        migrator.query(BY_NAME["view stored_tables"])
