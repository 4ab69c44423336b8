"""`accesstrail exceptions` on the real store: looked ahead, made, counted from the evidence, exported, ended."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from click.testing import CliRunner

from dashboards.console.evidence_ports import ExceptionDraft
from detectors.exceptions import from_lines
from detectors.model import save
from detectors.scheduled import SCHEDULED
from pipeline.accounts.model import Account
from pipeline.adapters.activations import open_activations
from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.schedule import ClickHouseSchedule
from pipeline.adapters.store import ClickHouseStore
from pipeline.cli.console_evidence import ConsoleEvidence
from pipeline.cli.console_sources import ListedSources
from pipeline.cli.exceptions import exceptions_command
from pipeline.cli.incident_feedback import ExceptionWish, make_exception
from pipeline.column_batch import ArrayColumn, ColumnBatch, FixedColumn, Interner, TextColumn
from pipeline.config import load
from pipeline.directory import DirectorySnapshot
from pipeline.events import LogPosition
from pipeline.ports import LedgerEntry
from pipeline.privacy.keys import Keyring, new_key_file
from pipeline.schedule.alert_rows import FINAL, RunCounts, RunFacts, run_row
from pipeline.schedule.runner import Versions
from pipeline.version_sets.judgements import StoreAccess, stored_judgements
from tests.accounts import token_file
from tests.batches import batch, same_text
from tests.models import small_model

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


class System:
    """A configuration of its own over the shared store, its set in force, and the command."""

    def __init__(self, clickhouse: Any, folder: Path, store: ClickHouseStore) -> None:
        new_key_file(folder / "token-keys.json")
        (folder / "directory").mkdir()
        save(small_model(), folder / "model")
        passwords = "\n".join(f'{role}_password_file = "{path}"' for role, path in clickhouse.password_files.items())
        self.file = folder / "config.toml"
        self.topic = f"exceptions.{uuid.uuid4().hex[:8]}"
        self.file.write_text(
            f'[kafka]\nbootstrap_servers = "127.0.0.1:1"\nevents_topic = "{self.topic}"\n[clickhouse]\n'
            f'host = "{clickhouse.host}"\nnative_port = {clickhouse.native_port}\nhttp_port = {clickhouse.http_port}\n'
            f'{passwords}\n[protection]\ntoken_keys_file = "token-keys.json"\n[detection]\ndirectory = "directory"\n'
            'model = "model"\n',
            encoding="utf-8",
        )
        self.person = ("--token-file", str(token_file(load(self.file, {}).state_dir, "lin.meng", "analyst")))
        self.store = store
        self.keyring = Keyring.load(folder / "token-keys.json")
        settings = load(self.file, {})
        stored_judgements(
            settings, self.keyring, lambda: StoreAccess(store, open_activations(settings.clickhouse))
        ).current()

    def command(self, *words: str) -> list[dict[str, Any]]:
        result = CliRunner().invoke(
            exceptions_command, [*words, "--config", str(self.file)], catch_exceptions=False, standalone_mode=False
        )
        assert result.return_value == 0, result.output
        return [json.loads(line) for line in result.stdout.splitlines() if line]

    def seal(self, actor: str, *reasons: str, previous: LedgerEntry | None = None) -> LedgerEntry:
        """A batch of three events of an account, received now, the model quiet."""
        position = LogPosition(self.topic, "life", 0)

        def change(rows: ColumnBatch) -> None:
            count, names = rows.count, Interner()
            token = np.void(self.keyring.token("default", "actor", actor))
            same_text(rows, "tenant_id", "default")
            same_text(rows, "app_id", "CRM")
            rows.columns["actor_token"] = FixedColumn(np.full(count, token, "V16"))
            rows.columns["received_at"] = FixedColumn(np.full(count, time.time_ns() // 1000, np.int64))
            rows.columns["score_status"] = FixedColumn(np.ones(count, np.int8))
            rows.columns["anomaly_score"] = FixedColumn(np.full(count, 1000, np.uint32))
            rows.columns["risk"] = FixedColumn(np.full(count, 8500, np.uint16))
            rows.columns["reasons"] = ArrayColumn(
                np.arange(1, count + 1) * len(reasons),
                TextColumn(names.ids([*reasons] * count, len(reasons) * count), names),
            )

        made = batch(position, previous, events=3, seed=len(reasons), change=change)
        same_text(made.alerts, "detector", "break_glass")
        for name in ("received_at", "actor_token"):
            made.alerts.columns[name] = FixedColumn(made.events.fixed(name)[:1])
        return made.commit(self.store)


@pytest.fixture
def system(clickhouse_settings: Any, tmp_path: Path, store: ClickHouseStore) -> System:
    return System(clickhouse_settings, tmp_path, store)


def test_an_exception_is_looked_ahead_made_counted_exported_and_ended(
    system: System, connect_as: Callable[[str], ClickHouse]
) -> None:
    scope = ("--actor", "svc.job", "--detector", "break_glass", "--detector", "slow_drip")
    first = system.seal("svc.job", "rule:break_glass")
    (ahead,) = system.command("preview", *scope, "--json")
    assert (ahead["events_reaching"], ahead["events_held_back"]) == (3, 3)
    assert ahead["alerts_held_back"] == {"break_glass": 1}
    assert len(ahead["worst"]) == 1
    (same,) = system.command("preview", "--actor", "svc.job", "--app", "crm", "--detector", "break_glass", "--json")
    assert same["events_held_back"] == 3
    (other,) = system.command("preview", "--actor", "svc.other", "--detector", "break_glass", "--json")
    assert (other["events_reaching"], other["alerts_held_back"]) == (0, {})

    owned = ("--owner", "wu.ling", *system.person, "--reason", "svc.job runs at night")
    (made,) = system.command("add", *scope, *owned, "--days", "7", "--json")
    assert (made["kind"], made["announced"]) == ("exception", False)
    identity = made["exception_id"]
    (listed,) = system.command("list", "--json")
    assert (listed["exception_id"], listed["state"], listed["hits"]) == (identity, "in force", 0)
    assert listed["reason"] == "[name] runs at night"
    assert listed["owner"] == system.keyring.token("default", "actor", "wu.ling").hex()

    system.seal("svc.job", f"exception:{identity}", "rule:break_glass", previous=first)
    versions = Versions(bytes(32), DirectorySnapshot(), ZoneInfo("Asia/Shanghai"))
    slow_drip = next(one for one in SCHEDULED if one.name == "slow_drip")
    now_us = time.time_ns() // 1000
    facts = RunFacts(system.topic, "test", versions, now_us, now_us, now_us, "test")
    schedule = ClickHouseSchedule(connect_as("scheduler"))
    schedule.record_run(run_row(slow_drip, 20_000, FINAL, "done", "", RunCounts(5, 1, {identity: 4}), 1, facts))
    (counted,) = system.command("list", "--json")
    assert counted["hits"] == 3 + 4
    assert counted["last_hit"]

    exported = CliRunner().invoke(exceptions_command, ["export", "--config", str(system.file)], catch_exceptions=False)
    (back,) = from_lines(exported.stdout.splitlines())
    assert back.exception_id == identity
    (ended,) = system.command("end", identity[:6], *system.person, "--reason", "it was moved", "--json")
    assert ended["number"] == made["number"] + 1
    assert system.command("list", "--json") == []
    (gone,) = system.command("list", "--all", "--json")
    assert (gone["state"], gone["ended_because"], gone["hits"]) == ("ended", "it was moved", 7)


@pytest.mark.parametrize(
    "scope",
    [("--peer-group", "nobody/at_all"), ("--source", "crm", "--source-instance", "none-such"), ("--endpoint", "/no"),
     ("--partner", "nobody"), ("--credential", "k-never"), ("--resource-type", "never_seen")],
)  # fmt: skip
def test_every_condition_can_be_asked_of_history(system: System, scope: tuple[str, ...]) -> None:
    """Of what nothing in the store has, for other tests write there too."""
    (ahead,) = system.command("preview", *scope, "--detector", "break_glass", "--json")
    assert ahead["events_reaching"] == 0


def test_a_subject_can_be_asked_of_history(system: System) -> None:
    words = ("--subject", "c-1", "--detector", "subject_looked_at_by_many", "--json")
    assert system.command("preview", *words)[0]["alerts_held_back"] == {}


def test_a_benign_incident_makes_an_exception_by_the_same_mechanism(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    analyst = Account(name="lin.meng", roles=frozenset({"analyst"}), state="active", created_us=0, totp_enrolled=False)
    token = system.keyring.token("default", "actor", "svc.job").hex()
    wish = ExceptionWish({"actor": token}, ("bulk_export", "isolation_forest"), 9500, "wu.ling", "CHG-2231", 14)
    assert make_exception(load(system.file, {}), wish, analyst, as_json=True) == 0
    made = json.loads(capsys.readouterr().out)
    (listed,) = system.command("list", "--json")
    assert (listed["exception_id"], listed["state"]) == (made["exception_id"], "in force")
    assert (listed["scope"], listed["up_to"], listed["reason"]) == ({"actor": token}, 95.0, "CHG-2231")
    assert listed["owner"] == system.keyring.token("default", "actor", "wu.ling").hex()


def test_the_console_says_of_exceptions_models_and_changes_what_the_commands_say(
    system: System, reader: ClickHouse
) -> None:
    scope = ("--actor", "svc.job", "--detector", "break_glass")
    first = system.seal("svc.job", "rule:break_glass")
    settings = load(system.file, {})
    sources = ListedSources(settings.detection.directory, system.keyring)
    desk = ConsoleEvidence(settings, reader, system.keyring, sources)
    draft = ExceptionDraft(scope={"actor": desk.named("actor", "svc.job").tokens[0]}, detectors=("break_glass",))
    (ahead,) = system.command("preview", *scope, "--json")
    seen = desk.preview(draft)
    assert (seen.reaching, seen.held_back, dict(seen.alerts)) == (
        ahead["events_reaching"], ahead["events_held_back"], ahead["alerts_held_back"],
    )  # fmt: skip
    assert seen.held_back == 3
    owned = ("--owner", "wu.ling", *system.person, "--reason", "a nightly job")
    (made,) = system.command("add", *scope, *owned, "--days", "7", "--json")
    system.seal("svc.job", f"exception:{made['exception_id']}", "rule:break_glass", previous=first)
    view = desk.rules(time.time_ns() // 1000)
    [one] = view.exceptions
    (listed,) = system.command("list", "--json")
    assert (one.exception.exception_id, one.state, one.hits) == (listed["exception_id"], listed["state"], 3)
    assert one.exception.owner == listed["owner"]
    assert [change.kind for change in view.changes] == ["exception", "first"]
    assert view.changes[0].by_token == system.keyring.token("default", "actor", "lin.meng").hex()
    assert view.changes[0].parts_changed == ["exceptions"]
    [model] = view.models
    statements = small_model()
    assert (model.threshold, model.rule_threshold) == (statements.threshold, statements.rule_threshold)
    assert model.model_id == view_model_id(reader, system.topic)
    assert dict(model.cuts) == dict(statements.rule_cuts)
    system.command("end", made["exception_id"], *system.person, "--reason", "moved", "--json")
    [ended] = desk.rules(time.time_ns() // 1000).exceptions
    assert (ended.state, ended.ended_because, ended.hits) == ("ended", "moved", 3)


def view_model_id(reader: ClickHouse, topic: str) -> str:
    sql = "SELECT parts['model'] FROM accesstrail.version_activations WHERE topic = {topic:String} LIMIT 1"
    return str(reader.query(sql, {"topic": topic})[0][0])


def test_readers_see_a_model_s_manifest_and_none_of_its_trees(system: System, reader: ClickHouse) -> None:
    model_id = view_model_id(reader, system.topic)
    [(content,)] = reader.query(
        "SELECT base64Encode(content) FROM accesstrail.version_contents "
        "WHERE artefact_id = toFixedString(unhex({id:String}), 32)",
        {"id": model_id},
    )
    said = json.loads(base64.b64decode(content))
    assert said["threshold"] == small_model().threshold
    kinds = reader.query("SELECT DISTINCT kind FROM accesstrail.version_contents")
    assert {kind for (kind,) in kinds} <= {"exceptions", "policy", "versions", "model"}
