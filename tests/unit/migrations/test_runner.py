"""Schema steps: forward only, checksummed, and safe to repeat after a crash at any point."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.columns import ACCESS_EVENT_COLUMNS
from pipeline.errors import Away, StoreRefused
from pipeline.migrations import runner
from pipeline.migrations.steps import STEPS

_RECORD = "INSERT INTO accesstrail_raw.schema_migrations"


class RecordedStore:
    """Keeps which statements ran and which steps were recorded; may fail before a given statement."""

    def __init__(self) -> None:
        self.recorded: dict[int, str] = {}
        self.statements: list[str] = []
        self.fail_after: int | None = None

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        if sql.startswith("SELECT count() FROM system.tables"):
            return [(1 if self.statements else 0,)]
        if "SELECT number, checksum" in sql:
            return list(self.recorded.items())
        if self.fail_after == 0:
            raise Away("the store went away")
        if self.fail_after is not None:
            self.fail_after -= 1
        if sql.startswith(_RECORD):
            assert parameters is not None
            self.recorded[parameters["number"]] = parameters["checksum"]
        else:
            self.statements.append(sql)
        return []

    def close(self) -> None:
        pass


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> RecordedStore:
    fake = RecordedStore()
    monkeypatch.setattr(runner, "connect", lambda settings, role: fake)
    return fake


def _apply() -> list[str]:
    settings: Any = SimpleNamespace(clickhouse=None)
    return runner.apply_all(settings)


def test_every_step_is_applied_once_and_in_order(store: RecordedStore) -> None:
    assert _apply() == [name for _, name, _ in STEPS]
    assert store.statements[-len(STEPS) :] == [sql for _, _, sql in STEPS]
    assert _apply() == []


def test_a_crash_between_any_two_statements_is_made_good_by_running_again(store: RecordedStore) -> None:
    for fail_after in range(2 * len(STEPS) + 3):
        store.recorded.clear()
        store.fail_after = fail_after
        with pytest.raises(Away):
            _apply()
        store.fail_after = None
        _apply()
        assert sorted(store.recorded) == [number for number, _, _ in STEPS]


def test_every_statement_may_be_repeated() -> None:
    for _, name, sql in STEPS:
        assert re.match(r"CREATE (TABLE|MATERIALIZED VIEW) IF NOT EXISTS |CREATE OR REPLACE VIEW ", sql), name


def test_one_statement_a_step_and_numbers_without_holes() -> None:
    assert [number for number, _, _ in STEPS] == list(range(1, len(STEPS) + 1))
    assert len({name for _, name, _ in STEPS}) == len(STEPS)
    assert not any(";" in re.sub(r"'(?:[^'\\]|\\.)*'", "", sql) for _, _, sql in STEPS)


def test_a_step_that_was_edited_after_it_was_applied_is_refused(store: RecordedStore) -> None:
    _apply()
    store.recorded[3] = runner.checksum("another text")
    client: Any = store
    with pytest.raises(StoreRefused, match="schema step 3"):
        runner.plan(client)


def test_a_store_of_a_newer_version_is_refused(store: RecordedStore) -> None:
    _apply()
    store.recorded[len(STEPS) + 1] = runner.checksum("a later step")
    client: Any = store
    with pytest.raises(StoreRefused, match="newer"):
        runner.plan(client)


def test_a_plan_of_an_empty_store_holds_everything(store: RecordedStore) -> None:
    client: Any = store
    assert [step.applied for step in runner.plan(client)] == [False] * len(STEPS)


def test_sort_keys_end_in_the_position_and_the_batch() -> None:
    by_name = {name: sql for _, name, sql in STEPS}
    for name in ("access_events", "subject_access", "dead_letters", "alerts", "risk_actor_1h", "sources"):
        assert re.search(r"ORDER BY \(.*batch_id\)\n", by_name[name] + "\n"), name
    assert "offset, subject_index, batch_id)" in by_name["subject_access"]
    for spec in ACCESS_EVENT_COLUMNS:
        assert f"`{spec.name}` {spec.type}" in by_name["access_events"]


def test_evidence_is_answered_only_when_it_is_on_disk() -> None:
    by_name = {name: sql for _, name, sql in STEPS}
    for name in ("ledger", "access_events", "dead_letters", "alerts", "artefacts", "subject_access"):
        assert "fsync_after_insert = 1, fsync_part_directory = 1" in by_name[name], name


def test_no_view_builds_a_set_of_the_whole_ledger() -> None:
    """A set grows with the ledger at every query; a semi join hashes the smaller side."""
    views = [sql for _, name, sql in STEPS if name.startswith("view ")]
    assert sum("LEFT SEMI JOIN accesstrail_raw.ledger" in sql for sql in views) == 11
    assert not any(re.search(r" IN \(SELECT [^)]* FROM accesstrail_raw\.ledger", sql) for sql in views)
