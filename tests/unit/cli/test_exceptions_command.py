"""`accesstrail exceptions`: what is refused before anything is asked, and how a list and a preview read."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from detectors.base import MODEL_DETECTOR
from detectors.exceptions import DAY_US, from_lines
from pipeline.adapters.exceptions import Hits, scope_sql
from pipeline.cli import admitting
from pipeline.cli import exceptions as command
from pipeline.cli.acting import TOKEN_FILE_VARIABLE
from pipeline.errors import UsageError
from pipeline.exception_preview import Preview, StoredAlert
from pipeline.privacy.keys import Keyring
from pipeline.stages.hold_back import TEXT_COLUMNS
from tests.accounts import token_file
from tests.exceptions import exception
from tests.looks import Looked
from tests.unit.versions.deployment import Deployment

OWNED = ("--owner", "wu.ling", "--reason", "agreed")


@pytest.fixture
def config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    deployment = Deployment(tmp_path / "deployment")
    token = token_file(deployment.settings().state_dir, "lin.meng", "analyst")
    monkeypatch.setenv(TOKEN_FILE_VARIABLE, str(token))
    monkeypatch.setattr(admitting, "open_quota", Looked().open)
    return deployment.folder / "config.toml"


def invoke(config_file: Path, *words: str) -> None:
    result = CliRunner().invoke(
        command.exceptions_command, [*words, "--config", str(config_file)], standalone_mode=False
    )
    assert result.exception is not None, result.output
    raise result.exception


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("add", "--detector", "bulk_export", *OWNED), "would silence everything"),
        (("add", "--app", "crm", "--detector", "bulk_exports", *OWNED), "no detector bulk_exports"),
        (("add", "--app", "crm", "--detector", MODEL_DETECTOR, *OWNED), "needs a level"),
        (
            ("add", "--app", "crm", "--detector", "bulk_export", "--days", "3", "--until", "2027-01-01", *OWNED),
            "not both",
        ),
        (("add", "--app", "crm", "--detector", "bulk_export", "--until", "2020-01-01", *OWNED), "end after it begins"),
        (
            ("add", "--app", "crm", "--detector", "bulk_export", "--owner", "wu.ling", "--reason", " "),
            "--reason must be",
        ),
        (("preview", "--subject", "c-1", "--detector", "bulk_export"), "not for subject"),
    ],
)
def test_what_is_no_exception_is_refused_before_anything_is_asked(
    config_file: Path, words: tuple[str, ...], fault: str
) -> None:
    with pytest.raises(UsageError, match=fault):
        invoke(config_file, *words)


def test_a_reason_is_kept_without_the_names_that_the_command_was_given() -> None:
    said = command._without_names("svc.reconcile of wu.ling, call 13812345678", "wu.ling", "svc.reconcile", None)
    assert said == "[name] of [name], call 138****5678"


def test_identifiers_become_tokens_and_other_conditions_stay_as_given() -> None:
    keyring = Keyring.offline()
    draft = command._draft(keyring, {"actor": "svc.reconcile", "app_id": "CRM"}, ["bulk_export"], (), 120.5)
    assert draft.scope == {"actor": keyring.token("default", "actor", "svc.reconcile").hex(), "app_id": "CRM"}
    assert (draft.up_to, draft.key_version) == (12_050, keyring.version_id)
    assert draft.valid_until_us - draft.valid_from_us == DAY_US


def test_a_list_tells_hits_and_state_and_shows_accounts_as_tokens() -> None:
    one = exception("bulk_export", scope={"actor": "ab" * 16, "app_id": "crm"}, up_to=9000, key_version="1")
    row = command._listed(one, command.IN_FORCE, {one.exception_id: Hits(3, one.created_us)})
    assert (row["hits"], row["last_hit"], row["up_to"]) == (3, "2026-09-20T14:13:20Z", 90.0)
    cells = command._cells(row)
    assert cells[5] == {"actor": "ab" * 6, "app_id": "crm"}
    assert cells[6] == "bulk_export up to 90"
    assert json.loads(json.dumps(row))["valid_until"] == "2026-09-22T14:13:20Z"
    assert command._listed(one, command.EXPIRED, {})["last_hit"] is None


def test_states_follow_the_stores_clock_and_the_token_key(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path / "deployment")
    deployment.worker().started()
    newest = deployment.log.newest("access.events")
    one = exception(key_version=deployment.keyring.version_id)
    assert command._state(one, newest, one.valid_from_us) == command.IN_FORCE
    assert command._state(one, newest, one.valid_until_us) == command.EXPIRED
    assert command._state(exception(key_version="other"), newest, one.valid_from_us) == command.OTHER_KEY


@pytest.mark.parametrize("as_json", [False, True])
def test_a_preview_names_the_worst_alerts(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    worst = StoredAlert("alert-1", ("t", "i", 0, 0), 0, "bulk_export", 8500, "high")
    found = Preview(5, 2, Counter({"bulk_export": 1}), [worst])
    command._say_preview(exception("bulk_export"), found, 14, as_json=as_json)
    shown = capsys.readouterr().out
    if as_json:
        body: dict[str, Any] = json.loads(shown)
        assert (body["events_reaching"], body["events_held_back"], body["days"]) == (5, 2, 14)
        assert body["alerts_held_back"] == {"bulk_export": 1}
        assert [one["alert_id"] for one in body["worst"]] == ["alert-1"]
    else:
        assert "5 events in scope reach a threshold, 2 of them would raise nothing" in shown
        assert "1 alerts would not have been raised: bulk_export 1" in shown
        assert "alert-1" in shown


def test_values_reach_the_store_as_parameters_only() -> None:
    scope = {
        **dict.fromkeys(TEXT_COLUMNS, "x' OR 1"), "peer_group": "x' OR 1", "actor": "ab" * 16, "subject": "cd" * 16
    }  # fmt: skip
    sql, parameters = scope_sql(scope)
    assert "OR 1" not in sql
    assert "abab" not in sql
    assert sorted(parameters) == sorted(f"scope_{name}" for name in scope)


def test_what_is_exported_is_what_score_reads() -> None:
    many = [exception("bulk_export"), exception("slow_drip", scope={"peer_group": "零售/客服"})]
    lines = [json.dumps(one.as_json(), ensure_ascii=False, sort_keys=True) for one in many]
    assert sorted(one.exception_id for one in from_lines(lines)) == sorted(one.exception_id for one in many)
