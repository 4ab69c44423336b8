"""Commands tell of changes of accounts: now, or later without failing; the demo's account is nobody's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.cli import account_news
from pipeline.cli.account_news import tell_at_start, tell_of_accounts, tell_of_folder
from tests.accounts import token_file
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
