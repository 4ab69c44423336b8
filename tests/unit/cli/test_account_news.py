"""Commands tell of changes of accounts: now, or later without failing; the demo's account is nobody's."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from pipeline.adapters.accounts import open_accounts
from pipeline.cli import account_news, demo_incident
from pipeline.cli.account_news import tell_at_start, tell_of_accounts, tell_of_folder
from pipeline.cli.acting import acting
from pipeline.cli.demo_incident import TOKEN_NAME, account_with_token, demo_account
from pipeline.errors import Forbidden
from tests.accounts import ADMIN, cheap_passwords, token_file
from tests.unit.versions.deployment import Deployment, Topic


class Producer(Topic):
    """A topic that can be closed."""

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Producer:
    made = Producer()
    monkeypatch.setattr(account_news, "EventProducer", lambda *_: made)
    return made


def test_what_is_to_be_told_is_told_and_nobody_is_asked_otherwise(
    tmp_path: Path, topic: Producer, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Deployment(tmp_path / "here").settings()
    tell_of_accounts(settings)
    assert topic.acknowledged == []
    token_file(settings.state_dir, "li.wei", "soc")
    tell_of_folder(settings.state_dir)
    assert len(topic.acknowledged) == 4
    tell_at_start(settings, topic)
    assert len(topic.acknowledged) == 4
    assert capsys.readouterr().err == ""


def test_a_broker_that_is_away_is_told_of_and_stops_nothing(
    tmp_path: Path, topic: Producer, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    settings = Deployment(tmp_path / "here").settings()
    token_file(settings.state_dir, "li.wei", "soc")
    topic.away = 2
    tell_of_accounts(settings)
    assert "kafka_away" in capsys.readouterr().err
    tell_at_start(settings, topic)
    assert "kafka_away" in caplog.text
    tell_of_accounts(settings)
    assert [json.loads(value)["source_seq"] for _, value in topic.acknowledged] == [1, 2, 3, 4]


def test_a_folder_without_a_system_or_with_a_broken_one_stops_nothing(
    tmp_path: Path, topic: Producer, capsys: pytest.CaptureFixture[str]
) -> None:
    token_file(tmp_path, "li.wei", "soc")
    tell_of_folder(tmp_path)
    assert capsys.readouterr().err == ""
    (tmp_path / "config.toml").write_text("nonsense", encoding="utf-8")
    tell_of_folder(tmp_path)
    assert "(config)" in capsys.readouterr().err
    assert topic.acknowledged == []


def test_the_demos_account_acts_by_its_token_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cheap(*arguments: object, **options: object) -> None:
        account_with_token(*arguments, **{**options, "passwords": cheap_passwords()})  # type: ignore[arg-type]

    monkeypatch.setattr(demo_incident, "account_with_token", cheap)
    demo_account(tmp_path)
    file = tmp_path / TOKEN_NAME
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert acting(tmp_path, file, "contain_actor").name == "demo.responder"
    for beyond in ("manage_accounts", "reveal_identity", "export_evidence", "run_system"):
        with pytest.raises(Forbidden):
            acting(tmp_path, file, beyond)
    with open_accounts(tmp_path, passwords=cheap_passwords()) as accounts:
        assert accounts.tokens("demo.admin") == ()
        assert {one.name for one in accounts.all()} == {"demo.admin", "demo.responder"}
        assert ADMIN not in {one.name for one in accounts.all()}
