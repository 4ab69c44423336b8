"""The commands that read the store, on the real one: what people type and what programs parse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from pipeline.accounts.model import Account
from pipeline.adapters.store import ClickHouseStore
from pipeline.cli import admitting
from pipeline.cli.search import search_command
from pipeline.cli.store import alerts_command, migrate_command, sql_command
from pipeline.column_batch import ArrayColumn, ColumnBatch, FixedColumn
from pipeline.errors import Away, UsageError
from pipeline.events import LogPosition
from pipeline.privacy.keys import Keyring, new_key_file
from tests.batches import Batch, batch, same_text

pytestmark = pytest.mark.stack


@pytest.fixture
def config_file(clickhouse_settings: Any, tmp_path: Path) -> Path:
    new_key_file(tmp_path / "token-keys.json")
    (tmp_path / "directory").mkdir()
    passwords = "\n".join(
        f'{role}_password_file = "{path}"' for role, path in clickhouse_settings.password_files.items()
    )
    (tmp_path / "config.toml").write_text(
        f"""[kafka]
bootstrap_servers = "127.0.0.1:1"
[clickhouse]
host = "{clickhouse_settings.host}"
native_port = {clickhouse_settings.native_port}
http_port = {clickhouse_settings.http_port}
{passwords}
[protection]
token_keys_file = "token-keys.json"
[detection]
directory = "directory"
"""
    )
    return tmp_path / "config.toml"


@pytest.fixture
def known(store: ClickHouseStore, config_file: Path, position: LogPosition) -> Batch:
    """A sealed batch of a tenant of its own: row 0 is actor `zhang.wei`, row 1 touches subject `c-18823`."""
    keyring, tenant = Keyring.load(config_file.parent / "token-keys.json"), position.incarnation

    def change(rows: ColumnBatch) -> None:
        same_text(rows, "tenant_id", tenant)
        same_text(rows, "purpose", "billing")
        actors, resources = rows.fixed("actor_token").copy(), rows.fixed("resource_token").copy()
        cases = rows.fixed("case_token").copy()
        cases[:3] = np.void(keyring.token(tenant, "case", "T-7"))
        rows.columns["case_token"] = FixedColumn(cases)
        actors[0] = np.void(keyring.token(tenant, "actor", "zhang.wei"))
        resources[2] = np.void(keyring.token(tenant, "resource", "report-7"))
        resources[3] = np.void(keyring.token(tenant, "subject", "c-18823"))
        subject = np.array([np.void(keyring.token(tenant, "subject", "c-18823"))])
        rows.columns["actor_token"] = FixedColumn(actors)
        rows.columns["resource_token"] = FixedColumn(resources)
        rows.columns["subject_tokens"] = ArrayColumn(np.array([0, 1, 1, 1, 1, 1]), FixedColumn(subject))
        rows.columns["event_time"] = FixedColumn(1_795_000_000_000_000 + np.arange(6) * 60_000_000)

    made = batch(position, events=6, seed=8, change=change)
    made.commit(store)
    return made


def _run(command: click.Command, config_file: Path, *words: str) -> Result:
    return CliRunner().invoke(command, [*words, "--config", str(config_file)], catch_exceptions=False)


def _rows(command: click.Command, config_file: Path, *words: str) -> list[dict[str, Any]]:
    result = _run(command, config_file, *words, "--json")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_search_finds_by_the_raw_id_and_never_sends_it(
    config_file: Path, known: Batch, position: LogPosition, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.adapters.clickhouse import ClickHouse

    sent: list[str] = []
    ordinary = ClickHouse.query

    def watched(self: ClickHouse, sql: str, parameters: Any = None, settings: Any = None) -> Any:
        sent.append(f"{sql} {parameters}")
        return ordinary(self, sql, parameters, settings)

    monkeypatch.setattr(ClickHouse, "query", watched)
    tenant = ["--tenant", position.incarnation]
    assert [row["offset"] for row in _rows(search_command, config_file, "--actor", "zhang.wei", *tenant)] == [0]
    assert [row["offset"] for row in _rows(search_command, config_file, "--subject", "c-18823", *tenant)] == [1]
    assert [row["offset"] for row in _rows(search_command, config_file, "--resource", "report-7", *tenant)] == [2]
    assert [row["offset"] for row in _rows(search_command, config_file, "--resource", "c-18823", *tenant)] == [3]
    assert _rows(search_command, config_file, "--actor", "nobody", *tenant) == []
    assert len(sent) >= 5
    assert not any(word in text for text in sent for word in ("zhang", "18823", "report-7", "nobody"))


def test_search_keeps_to_the_times_given(config_file: Path, known: Batch, position: LogPosition) -> None:
    words = ["--actor", "zhang.wei", "--tenant", position.incarnation]
    assert len(_rows(search_command, config_file, *words, "--from", "2026-11-18", "--to", "2026-11-19")) == 1
    assert _rows(search_command, config_file, *words, "--from", "2026-11-19T00:00:00+08:00") == []
    assert _rows(search_command, config_file, *words, "--to", "2026-11-18T11:00:00Z") == []


def test_search_is_narrowed_by_purpose_and_work_item(config_file: Path, known: Batch, position: LogPosition) -> None:
    for words in (("--actor", "zhang.wei"), ("--subject", "c-18823"), ("--resource", "report-7")):
        asked = [*words, "--tenant", position.incarnation]
        assert len(_rows(search_command, config_file, *asked, "--purpose", "billing")) == 1
        assert _rows(search_command, config_file, *asked, "--purpose", "marketing") == []
        assert _rows(search_command, config_file, *asked, "--work-item", "T-0") == []
        assert len(_rows(search_command, config_file, *asked, "--work-item", "T-7")) == 1


def test_search_takes_several_ids_together_and_not_none(config_file: Path, known: Batch, position: LogPosition) -> None:
    tenant = ["--tenant", position.incarnation]
    both = ("--resource", "report-7", "--purpose", "billing", *tenant)
    assert [row["offset"] for row in _rows(search_command, config_file, *both)] == [2]
    assert _rows(search_command, config_file, *both, "--actor", "zhang.wei") == []
    with pytest.raises(UsageError):
        _run(search_command, config_file)


def test_an_account_sees_nothing_where_no_broker_answers(
    config_file: Path, known: Batch, position: LogPosition, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = Account(name="wu.ling", roles=frozenset({"auditor"}), state="active", created_us=0, totp_enrolled=True)
    monkeypatch.setattr(admitting, "account_of", lambda *_: me)
    words = ["--actor", "zhang.wei", "--tenant", position.incarnation, "--config", str(config_file)]
    answered = CliRunner().invoke(search_command, [*words, "--token-file", "me.token"])
    assert isinstance(answered.exception, Away)
    assert answered.output == ""
    assert json.loads(CliRunner().invoke(search_command, [*words, "--json"]).stdout)["offset"] == 0


def test_sql_gives_json_lines_with_hex_tokens_and_utc_times(
    config_file: Path, known: Batch, position: LogPosition
) -> None:
    sql = (
        "SELECT actor_token, event_time, event_id, src_ip, action, subject_tokens, offset, now() AS at "
        f"FROM accesstrail.access_events WHERE incarnation = '{position.incarnation}' ORDER BY offset;"
    )
    rows = _rows(sql_command, config_file, sql)
    assert [row["actor_token"] for row in rows] == [one.hex() for one in known.events.fixed("actor_token").tolist()]
    assert rows[0]["event_time"].startswith("2026-11-18T")
    assert rows[0]["event_time"].endswith("Z")
    assert len(rows[0]["event_id"]) == 36
    assert [len(row["subject_tokens"]) for row in rows] == [0, 1, 0, 0, 0, 0]
    assert rows[5]["offset"] == 5


def test_sql_knows_the_views_by_their_plain_names(config_file: Path, known: Batch, position: LogPosition) -> None:
    sql = f"SELECT n_events FROM ledger WHERE incarnation = '{position.incarnation}'"
    assert _rows(sql_command, config_file, sql) == [{"n_events": 6}]


def test_sql_prints_a_table_for_people(config_file: Path) -> None:
    result = _run(sql_command, config_file, "SELECT 1 AS one, 'two' AS two")
    assert result.stdout.splitlines() == ["one  two", "1    two"]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO accesstrail_raw.artefacts (kind) VALUES ('x')",
        "ALTER TABLE accesstrail_raw.access_events DELETE WHERE 1",
        "DROP TABLE accesstrail_raw.ledger",
        "SELECT * FROM accesstrail_raw.access_events",
        "SELECT * FROM file('/etc/passwd')",
        "SELEC 1",
        "SET readonly = 0",
        "",
    ],
)
def test_sql_cannot_write_nor_leave_the_views(config_file: Path, sql: str) -> None:
    with pytest.raises(UsageError):
        _run(sql_command, config_file, sql)


def test_alerts_are_told_in_the_language_asked_for(config_file: Path, known: Batch, position: LogPosition) -> None:
    alerts = _rows(alerts_command, config_file, "--since", "2001-01-01", "--limit", "100000")
    [ours] = [alert for alert in alerts if alert["incarnation"] == position.incarnation]
    assert set(ours["explanation"]) == {"en", "zh"}
    assert ours["risk"] == known.alerts.fixed("risk")[0] / 100
    for language in ("en", "zh"):
        told = _run(alerts_command, config_file, "--lang", language, "--limit", "100000").stdout
        assert f"actor {ours['actor_token']}  alert {ours['alert_id']}" in told
    assert _rows(alerts_command, config_file, "--since", "2100-01-01") == []


def test_migrate_shows_what_is_applied_and_repeats_safely(config_file: Path) -> None:
    assert _run(migrate_command, config_file, "--apply").exit_code == 0
    steps = _rows(migrate_command, config_file, "--plan")
    assert all(step["applied"] for step in steps)
    assert [step["number"] for step in steps] == list(range(1, len(steps) + 1))
    assert _run(migrate_command, config_file).stdout == ""
