"""The roles' matrix on the real engine: what each role may do, and what it may not."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException

from pipeline.migrations.runner import apply_all
from pipeline.roles import ROLES, render_sql

if TYPE_CHECKING:
    from tests.conftest import Stack

pytestmark = pytest.mark.stack

NOT_ENOUGH_PRIVILEGES = 497
READONLY = 164
SETTING_CONSTRAINT_VIOLATION = 452
TOO_MANY_ROWS_OR_BYTES = 396
MEMORY_LIMIT_EXCEEDED = 241
AUTHENTICATION_FAILED = 516
ACCESS_STORAGE_READONLY = 495
UNKNOWN_TABLE_OR_NONE_READABLE = 636

FILE = "SELECT * FROM file('/etc/passwd', 'LineAsString', 'line String')"
URL = "SELECT * FROM url('http://127.0.0.1:9/', 'LineAsString', 'line String')"
REMOTE = "SELECT * FROM remote('127.0.0.1', 'system', 'one')"
EXECUTABLE = "SELECT * FROM executable('x', 'TSV', 'line String')"
OUTSIDE = [FILE, URL, REMOTE, EXECUTABLE]

GRAFANA_NEVER = {
    "access_events": ("justification", "denial_reason", "attrs", "query_fingerprint", "trace_id"),
    "person_events": ("justification", "denial_reason", "attrs", "query_fingerprint", "trace_id"),
    "dead_letters": ("payload",),
    "incident_log": ("why", "changes", "detail"),
    "version_contents": ("content",),
    "legal_holds": ("reason",),
    "legal_holds_in_force": ("reason",),
}
GRAFANA_SEES = {
    # made by the system from tokens and numbers
    "alerts.explanation_en", "alerts.explanation_zh", "incidents.explanation_en", "incidents.explanation_zh",
    "incidents.incident_key", "incident_log.incident_key", "evidence_holds.incident_key", "deliveries.notification_id",
    "deliveries.dedup_key", "nightly_reports.report", "schema_migrations.name", "models.manifest",
    "version_activations.parts", "checkpoints.note", "stored_tables.name", "stored_tables.engine",
    # a person's words about the configuration, masked; the compliance board asks for them
    "version_activations.reason",
    # clear only for kinds of object that the directory declares so
    "access_events.resource_id", "person_events.resource_id",
}  # fmt: skip


def connected(stack: Stack, role: str, password: str | None = None) -> Client:
    store = stack.settings.clickhouse
    if password is None:
        password = store.password_files[role].read_text()
    return Client(store.host, port=store.native_port, user=role, password=password)


def code_of(stack: Stack, role: str, sql: str, password: str | None = None) -> int:
    """The server's error code of a statement, 0 where it was done."""
    client = connected(stack, role, password)
    try:
        client.execute(sql)
    except ServerException as exc:
        return int(exc.code)
    finally:
        client.disconnect()
    return 0


@pytest.fixture(scope="module")
def scratch(stack: Stack) -> Iterator[str]:
    """A raw table of our own: (n Int64), one row."""
    name = f"accesstrail_raw.scratch_{uuid.uuid4().hex}"
    migrator = connected(stack, "migrator")
    migrator.execute(f"CREATE TABLE {name} (n Int64) ENGINE = MergeTree ORDER BY n")
    migrator.execute(f"INSERT INTO {name} VALUES", [(1,)])
    yield name
    migrator.execute(f"DROP TABLE {name} SYNC")
    migrator.disconnect()


def test_the_migrator_may_change_the_schema_and_define_views(stack: Stack, scratch: str) -> None:
    view = f"accesstrail.view_{uuid.uuid4().hex}"
    for sql in (
        "CREATE DATABASE IF NOT EXISTS accesstrail_raw",
        f"ALTER TABLE {scratch} ADD COLUMN m Int64",
        f"ALTER TABLE {scratch} DROP COLUMN m",
        f"CREATE VIEW {view} DEFINER = migrator SQL SECURITY DEFINER AS SELECT n FROM {scratch}",
        f"DROP VIEW {view}",
        "SELECT count() FROM system.tables",
        "SELECT count() FROM system.parts",
    ):
        assert code_of(stack, "migrator", sql) == 0, sql


@pytest.mark.parametrize("sql", [*OUTSIDE, "CREATE DATABASE elsewhere", "SELECT * FROM system.processes"])
def test_the_migrator_may_not_leave_its_databases(stack: Stack, sql: str) -> None:
    assert code_of(stack, "migrator", sql) == NOT_ENOUGH_PRIVILEGES


def test_the_writer_may_insert_and_read(stack: Stack, scratch: str) -> None:
    for sql in (
        f"INSERT INTO {scratch} SELECT 2",
        f"SELECT * FROM {scratch}",
        "SELECT count() FROM accesstrail.ledger",
        "SELECT count() FROM accesstrail.access_events",
    ):
        assert code_of(stack, "writer", sql) == 0, sql


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE {table} DELETE WHERE 1",
        "ALTER TABLE {table} UPDATE n = 2 WHERE 1",
        "ALTER TABLE {table} ADD COLUMN m Int64",
        "ALTER TABLE {table} DROP PARTITION tuple()",
        "DELETE FROM {table} WHERE 1",
        "TRUNCATE TABLE {table}",
        "DROP TABLE {table}",
        "RENAME TABLE {table} TO accesstrail_raw.elsewhere",
        "OPTIMIZE TABLE {table} FINAL",
        "CREATE TABLE accesstrail_raw.mine (n Int64) ENGINE = MergeTree ORDER BY n",
        "CREATE TEMPORARY TABLE mine (n Int64)",
        "DROP VIEW accesstrail.ledger",
        "SELECT * FROM system.processes",
        *OUTSIDE,
    ],
)
def test_the_writer_may_neither_change_nor_remove_what_is_stored(stack: Stack, scratch: str, sql: str) -> None:
    assert code_of(stack, "writer", sql.format(table=scratch)) == NOT_ENOUGH_PRIVILEGES


def test_the_writers_inserts_are_never_buffered(stack: Stack) -> None:
    assert code_of(stack, "writer", "SET async_insert = 1") == SETTING_CONSTRAINT_VIOLATION


def test_the_notary_reads_views_and_adds_checkpoints(stack: Stack) -> None:
    apply_all(stack.settings)
    for sql in (
        "SELECT count() FROM accesstrail.ledger",
        "SELECT count() FROM accesstrail.checkpoints",
        "INSERT INTO accesstrail_raw.checkpoints SELECT * FROM accesstrail.checkpoints WHERE 0",
    ):
        assert code_of(stack, "notary", sql) == 0, sql


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO accesstrail_raw.ledger SELECT * FROM accesstrail.ledger",
        "INSERT INTO accesstrail_raw.access_events SELECT * FROM accesstrail.access_events",
        "INSERT INTO {table} SELECT 2",
        "SELECT * FROM {table}",
        "SELECT * FROM accesstrail_raw.checkpoints",
        "ALTER TABLE accesstrail_raw.checkpoints DELETE WHERE 1",
        "ALTER TABLE accesstrail_raw.checkpoints UPDATE note = '' WHERE 1",
        "ALTER TABLE accesstrail_raw.checkpoints DROP PARTITION tuple()",
        "ALTER TABLE accesstrail_raw.checkpoints ADD COLUMN m Int64",
        "DELETE FROM accesstrail_raw.checkpoints WHERE 1",
        "TRUNCATE TABLE accesstrail_raw.checkpoints",
        "DROP TABLE accesstrail_raw.checkpoints",
        "OPTIMIZE TABLE accesstrail_raw.checkpoints FINAL",
        "CREATE VIEW accesstrail.mine AS SELECT 1",
        "SELECT query FROM system.processes",
        *OUTSIDE,
    ],
)
def test_the_notary_may_do_nothing_else(stack: Stack, scratch: str, sql: str) -> None:
    apply_all(stack.settings)
    assert code_of(stack, "notary", sql.format(table=scratch)) == NOT_ENOUGH_PRIVILEGES


VAULT_TABLES = ("vault", "vault_keys", "erasures")


def test_the_vault_adds_reads_and_erases_identities(stack: Stack) -> None:
    apply_all(stack.settings)
    for table in VAULT_TABLES:
        for sql in (
            f"SELECT count() FROM accesstrail_vault.{table}",
            f"INSERT INTO accesstrail_vault.{table} SELECT * FROM accesstrail_vault.{table} WHERE 0",
            f"ALTER TABLE accesstrail_vault.{table} DELETE WHERE 0",
        ):
            assert code_of(stack, "vault", sql) == 0, sql
    assert code_of(stack, "vault", "SELECT sum(active) FROM system.parts WHERE database = 'accesstrail_vault'") == 0


DELETED_FROM = (
    "access_events", "dead_letters", "subject_access", "features", "alerts", "access_explanations", "risk_actor_1h",
    "risk_resource_1d", "sources", "pruned_leaves",
)  # fmt: skip


def test_retention_deletes_rows_and_keeps_their_leaves(stack: Stack) -> None:
    apply_all(stack.settings)
    for table in DELETED_FROM:
        assert code_of(stack, "retention", f"ALTER TABLE accesstrail_raw.{table} DELETE WHERE 0") == 0, table
        rows = f"SELECT * FROM accesstrail_raw.{table} WHERE 0"
        assert code_of(stack, "retention", rows) == 0, table
    for table in ("pruned_leaves", "retention_runs", "risk_actor_1h", "risk_resource_1d", "sources"):
        sql = f"INSERT INTO accesstrail_raw.{table} SELECT * FROM accesstrail_raw.{table} WHERE 0"
        assert code_of(stack, "retention", sql) == 0, table
    assert code_of(stack, "retention", "SELECT count() FROM accesstrail.legal_holds_in_force") == 0
    assert code_of(stack, "retention", "SELECT sum(is_done) FROM system.mutations WHERE table = 'alerts'") == 0


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM {table}",
        "INSERT INTO {table} SELECT 2",
        "SELECT * FROM accesstrail.access_events",
        "SELECT * FROM accesstrail_raw.access_events",
        "ALTER TABLE accesstrail_vault.vault UPDATE sealed = '' WHERE 1",
        "ALTER TABLE accesstrail_vault.vault ADD COLUMN m Int64",
        "DROP TABLE accesstrail_vault.vault",
        "TRUNCATE TABLE accesstrail_vault.vault",
        "CREATE TABLE accesstrail_vault.mine (n Int64) ENGINE = MergeTree ORDER BY n",
        "SELECT query FROM system.processes",
        *OUTSIDE,
    ],
)
def test_the_vault_may_do_nothing_else(stack: Stack, scratch: str, sql: str) -> None:
    apply_all(stack.settings)
    assert code_of(stack, "vault", sql.format(table=scratch)) == NOT_ENOUGH_PRIVILEGES


@pytest.mark.parametrize("role", [role.name for role in ROLES if role.name != "vault"])
@pytest.mark.parametrize("table", VAULT_TABLES)
def test_nobody_but_the_vault_reads_or_writes_identities(stack: Stack, role: str, table: str) -> None:
    apply_all(stack.settings)
    for sql in (
        f"SELECT * FROM accesstrail_vault.{table}",
        f"INSERT INTO accesstrail_vault.{table} SELECT * FROM accesstrail_vault.{table}",
        f"ALTER TABLE accesstrail_vault.{table} DELETE WHERE 1",
        f"CREATE VIEW accesstrail.{table}_seen AS SELECT * FROM accesstrail_vault.{table}",
    ):
        assert code_of(stack, role, sql) in (NOT_ENOUGH_PRIVILEGES, READONLY), sql


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM {table}",
        "INSERT INTO {table} SELECT 2",
        "ALTER TABLE {table} DELETE WHERE 1",
        "INSERT INTO accesstrail_raw.access_events SELECT * FROM accesstrail_raw.access_events",
        "INSERT INTO accesstrail_raw.ledger SELECT * FROM accesstrail.ledger",
        "INSERT INTO accesstrail_raw.legal_holds SELECT * FROM accesstrail.legal_holds",
        "ALTER TABLE accesstrail_raw.ledger DELETE WHERE 1",
        "ALTER TABLE accesstrail_raw.checkpoints DELETE WHERE 1",
        "ALTER TABLE accesstrail_raw.incident_log DELETE WHERE 1",
        "ALTER TABLE accesstrail_raw.legal_holds DELETE WHERE 1",
        "ALTER TABLE accesstrail_raw.retention_runs DELETE WHERE 1",
        "ALTER TABLE accesstrail_raw.access_events UPDATE purpose = '' WHERE 1",
        "ALTER TABLE accesstrail_raw.access_events ADD COLUMN m Int64",
        "TRUNCATE TABLE accesstrail_raw.access_events",
        "DROP TABLE accesstrail_raw.access_events",
        "CREATE VIEW accesstrail.mine AS SELECT 1",
        "SELECT command FROM system.mutations",
        "SELECT query FROM system.processes",
        *OUTSIDE,
    ],
)
def test_retention_may_do_nothing_else(stack: Stack, scratch: str, sql: str) -> None:
    apply_all(stack.settings)
    assert code_of(stack, "retention", sql.format(table=scratch)) == NOT_ENOUGH_PRIVILEGES


@pytest.mark.parametrize("role", [role.name for role in ROLES if role.name not in ("migrator", "retention")])
def test_nobody_else_deletes_what_retention_deletes(stack: Stack, role: str) -> None:
    apply_all(stack.settings)
    for table in DELETED_FROM:
        code = code_of(stack, role, f"ALTER TABLE accesstrail_raw.{table} DELETE WHERE 0")
        assert code in (NOT_ENOUGH_PRIVILEGES, READONLY), table


def test_the_reader_reads_every_view_and_no_table(stack: Stack) -> None:
    migrator = connected(stack, "migrator")
    tables = [row[0] for row in migrator.execute("SELECT name FROM system.tables WHERE database = 'accesstrail_raw'")]
    views = [row[0] for row in migrator.execute("SELECT name FROM system.tables WHERE database = 'accesstrail'")]
    migrator.disconnect()
    assert len(tables) > 5
    assert len(views) > 5
    reader = connected(stack, "reader")
    for name in views:
        assert isinstance(reader.execute(f"SELECT * FROM accesstrail.{name} LIMIT 1"), list)
    reader.disconnect()
    for name in tables:
        code = code_of(stack, "reader", f"SELECT * FROM accesstrail_raw.`{name}` LIMIT 1")
        assert code == NOT_ENOUGH_PRIVILEGES, name


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO {table} SELECT 3",
        "DROP VIEW accesstrail.ledger",
        "CREATE VIEW accesstrail.mine AS SELECT 1",
        "CREATE TEMPORARY TABLE mine (n Int64)",
        "SELECT * FROM system.processes",
        "SELECT query FROM system.processes",
        "SELECT * FROM system.users",
        *OUTSIDE,
    ],
)
def test_the_reader_may_do_nothing_but_read(stack: Stack, scratch: str, sql: str) -> None:
    assert code_of(stack, "reader", sql.format(table=scratch)) == NOT_ENOUGH_PRIVILEGES


def test_the_reader_cannot_reach_tables_by_pattern(stack: Stack, scratch: str) -> None:
    sql = "SELECT * FROM merge('accesstrail_raw', '.*')"
    assert code_of(stack, "reader", sql) == UNKNOWN_TABLE_OR_NONE_READABLE


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT 1 SETTINGS readonly = 0", READONLY),
        ("SELECT 1 SETTINGS max_execution_time = 0", SETTING_CONSTRAINT_VIOLATION),
        ("SELECT 1 SETTINGS max_execution_time = 100000", SETTING_CONSTRAINT_VIOLATION),
        ("SELECT 1 SETTINGS max_memory_usage = 0", SETTING_CONSTRAINT_VIOLATION),
        ("SELECT 1 SETTINGS max_result_rows = 0", SETTING_CONSTRAINT_VIOLATION),
        ("SELECT 1 SETTINGS max_memory_usage_for_user = 0", SETTING_CONSTRAINT_VIOLATION),
        ("SELECT number FROM numbers(2000000)", TOO_MANY_ROWS_OR_BYTES),
        ("SELECT groupArray(number) FROM numbers(1000000000)", MEMORY_LIMIT_EXCEEDED),
        ("SELECT 1 SETTINGS max_execution_time = 100", 0),
    ],
)
def test_the_readers_limits_hold(stack: Stack, sql: str, code: int) -> None:
    assert code_of(stack, "reader", sql) == code


def test_grafana_reads_every_view_without_what_people_wrote(stack: Stack) -> None:
    migrator = connected(stack, "migrator")
    rows = migrator.execute("SELECT table, name, type FROM system.columns WHERE database = 'accesstrail'")
    tables = [row[0] for row in migrator.execute("SELECT name FROM system.tables WHERE database = 'accesstrail_raw'")]
    migrator.disconnect()
    hidden = {(view, name) for view, names in GRAFANA_NEVER.items() for name in names}
    columns: dict[str, list[str]] = {}
    for view, name, _ in rows:
        if (view, name) not in hidden:
            columns.setdefault(view, []).append(name)
    assert len(columns) > 15
    for view, names in columns.items():
        quoted = ", ".join(f"`{name}`" for name in names)
        assert code_of(stack, "grafana", f"SELECT {quoted} FROM accesstrail.{view} LIMIT 1") == 0, view
    for view, name in hidden:
        sql = f"SELECT `{name}` FROM accesstrail.{view} LIMIT 1"
        assert code_of(stack, "grafana", sql) == NOT_ENOUGH_PRIVILEGES, sql
        assert code_of(stack, "reader", sql) == 0, sql
    for name in tables:
        assert code_of(stack, "grafana", f"SELECT * FROM accesstrail_raw.`{name}` LIMIT 1") == NOT_ENOUGH_PRIVILEGES


def test_a_new_column_of_free_text_is_a_decision_about_grafana(stack: Stack) -> None:
    """Words of any kind are stored as plain texts; each that Grafana sees was looked at."""
    migrator = connected(stack, "migrator")
    found = migrator.execute(
        "SELECT table, name FROM system.columns WHERE database = 'accesstrail' AND type IN ('String', "
        "'Map(LowCardinality(String), String)')"
    )
    migrator.disconnect()
    hidden = {(view, name) for view, names in GRAFANA_NEVER.items() for name in names}
    seen = {f"{view}.{name}" for view, name in set(found) - hidden}
    assert sorted(seen - GRAFANA_SEES) == []
    assert sorted(GRAFANA_SEES - seen) == []


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO {table} SELECT 3",
        "DROP VIEW accesstrail.ledger",
        "DROP TABLE {table}",
        "DROP DATABASE accesstrail",
        "TRUNCATE TABLE {table}",
        "ALTER TABLE {table} DELETE WHERE 1",
        "CREATE VIEW accesstrail.mine AS SELECT 1",
        "CREATE TEMPORARY TABLE mine (n Int64)",
        "SYSTEM SHUTDOWN",
        "SELECT * FROM system.processes",
        "SELECT * FROM system.users",
        *OUTSIDE,
    ],
)
def test_grafana_may_do_nothing_but_read(stack: Stack, scratch: str, sql: str) -> None:
    assert code_of(stack, "grafana", sql.format(table=scratch)) in (NOT_ENOUGH_PRIVILEGES, READONLY)


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        # What the plugin sends with every query: a time limit, within the bounds.
        ("SELECT 1 SETTINGS max_execution_time = 60", 0),
        ("SELECT 1 SETTINGS max_execution_time = 0", SETTING_CONSTRAINT_VIOLATION),
        ("SELECT 1 SETTINGS max_execution_time = 100000", SETTING_CONSTRAINT_VIOLATION),
        ("SELECT 1 SETTINGS readonly = 0", READONLY),
        ("SELECT 1 SETTINGS max_memory_usage = 0", SETTING_CONSTRAINT_VIOLATION),
        ("SELECT 1 SETTINGS max_memory_usage_for_user = 0", SETTING_CONSTRAINT_VIOLATION),
        ("SELECT 1 SETTINGS max_result_rows = 0", SETTING_CONSTRAINT_VIOLATION),
        ("SELECT number FROM numbers(200000)", TOO_MANY_ROWS_OR_BYTES),
        ("SELECT groupArray(number) FROM numbers(1000000000)", MEMORY_LIMIT_EXCEEDED),
    ],
)
def test_grafanas_limits_hold_and_its_plugin_can_work(stack: Stack, sql: str, code: int) -> None:
    assert code_of(stack, "grafana", sql) == code


@pytest.mark.parametrize(
    "sql",
    [
        *OUTSIDE,
        "SELECT * FROM accesstrail.ledger",
        "SELECT * FROM accesstrail_raw.ledger",
        "SELECT * FROM system.users",
        "SELECT * FROM system.processes",
        "CREATE TABLE launcher.mine (n Int64) ENGINE = Memory",
        "DROP TABLE launcher.stop",
        "INSERT INTO launcher.stop SELECT 'x'",
        "CREATE DATABASE mine",
        "SYSTEM SHUTDOWN",
    ],
)
def test_the_open_user_of_the_launcher_can_do_nothing_useful(stack: Stack, sql: str) -> None:
    assert code_of(stack, "default", sql, password="") == NOT_ENOUGH_PRIVILEGES


def test_the_open_user_sees_only_the_launcher_and_cannot_fill_the_memory(stack: Stack) -> None:
    client = connected(stack, "default", password="")
    assert client.execute("SHOW DATABASES") == [("launcher",)]
    client.disconnect()
    filling = "SELECT groupArray(number) FROM numbers(1000000000)"
    assert code_of(stack, "default", filling, password="") == MEMORY_LIMIT_EXCEEDED


@pytest.mark.parametrize(
    ("role", "queries", "rows"), [("reader", 1_000_000, None), ("grafana", 360_000, 200_000_000)]
)  # fmt: skip
def test_roles_that_people_ask_by_have_an_hour_of_questions(
    stack: Stack, role: str, queries: int, rows: int | None
) -> None:
    """The engine here knows a quota and does not count by it; a server does."""
    client = connected(stack, role)
    asked = client.execute("SHOW QUOTA", with_column_types=True)
    client.disconnect()
    found = dict(zip([column for column, _ in asked[1]], asked[0][0], strict=True))
    assert (found["quota_name"], found["duration"]) == (role, 3600)
    assert (found["max_queries"], found["max_result_rows"]) == (queries, rows)


@pytest.mark.parametrize("role", [role.name for role in ROLES])
def test_a_wrong_or_empty_password_is_refused(stack: Stack, role: str) -> None:
    for password in ("", "wrong"):
        assert code_of(stack, role, "SELECT 1", password=password) == AUTHENTICATION_FAILED


def test_the_servers_memory_and_caches_are_bounded(stack: Stack) -> None:
    migrator = connected(stack, "migrator")
    rows = dict(migrator.execute("SELECT name, value FROM system.server_settings WHERE changed"))
    migrator.disconnect()
    assert rows["max_server_memory_usage"] == str(4 << 30)
    assert rows["mark_cache_size"] == str(128 << 20)


def test_the_sql_rendering_is_understood_by_the_engine_and_names_the_same_grants(stack: Stack) -> None:
    """The engine here cannot make users, so each statement must get as far as asking for the right to."""
    digest = "ab" * 32
    statements = render_sql({role.name: digest for role in ROLES})
    grants = [grant for role in ROLES for grant in role.grants]
    assert [sql for sql in statements if sql.startswith("GRANT")] == [
        f"{grant} TO {role.name}" for role in ROLES for grant in role.grants
    ]
    revokes = [f"{revoke} FROM {role.name}" for role in ROLES for revoke in role.revokes]
    assert [sql for sql in statements if sql.startswith("REVOKE")] == revokes
    quotas = [sql for sql in statements if sql.startswith("CREATE QUOTA OR REPLACE")]
    assert [sql.rpartition(" TO ")[2] for sql in quotas] == ["reader", "grafana"]
    assert len(statements) == len(grants) + len(revokes) + len(quotas) + 2 * len(ROLES)
    for sql in statements:
        # Grants are checked against our own rights first; anything but a refusal would be a syntax error.
        wanted = ACCESS_STORAGE_READONLY if sql.startswith("REVOKE") else NOT_ENOUGH_PRIVILEGES
        assert code_of(stack, "migrator", sql) == wanted, sql
    bounds = "readonly = 1 READONLY, max_execution_time = 30 MIN 1 MAX 300 CHANGEABLE_IN_READONLY"
    assert any(sql.startswith("CREATE SETTINGS PROFILE OR REPLACE grafana_profile") and bounds in sql
               for sql in statements)  # fmt: skip
    assert "ON CLUSTER east" in render_sql({role.name: digest for role in ROLES}, on_cluster="east")[-1]
