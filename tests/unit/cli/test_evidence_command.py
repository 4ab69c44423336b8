"""`accesstrail evidence export`: an answer is told before it is given, also the one that there is nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pipeline.accounts.model import Account
from pipeline.cli import evidence as command
from pipeline.errors import Away, UsageError
from pipeline.privacy.keys import Keyring
from tests.looks import FakeKafka, told_to

AUDITOR = Account(name="lin.meng", roles=frozenset({"auditor"}), state="active", created_us=0, totp_enrolled=True)


class FakeEvidence:
    """A store with `count` accesses and no tree that is signed."""

    count = 0

    def __init__(self, _: object) -> None:
        pass

    def trees(self) -> Sequence[object]:
        return ()

    def places(self, _kind: str, _tenant: str, _tokens: object, _span: object, most: int) -> list[tuple[str, int]]:
        return [("life", offset) for offset in range(min(self.count, most))]


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeKafka:
    made = FakeKafka()
    settings = SimpleNamespace(
        state_dir=tmp_path, protection=SimpleNamespace(token_keys_file=tmp_path), clickhouse=None,
        ledger=SimpleNamespace(deployment="bank", public_keys_file=None),
        kafka=SimpleNamespace(bootstrap_servers="", events_topic=""),
    )  # fmt: skip
    replaced: dict[str, Any] = {
        "admitted": lambda *_, **__: AUDITOR, "acting_together": lambda *_: (AUDITOR, None),
        "StoredEvidence": FakeEvidence, "connect": lambda *_: SimpleNamespace(close=lambda: None),
        "Keyring": SimpleNamespace(load=lambda _: Keyring.offline()),
    }  # fmt: skip
    for name, fake in replaced.items():
        monkeypatch.setattr(command, name, fake)
    told_to(monkeypatch, made)
    monkeypatch.setattr("pipeline.cli.options.settings_of", lambda *_: settings)
    return made


def _refused(tmp_path: Path) -> Result:
    words = ["--subject", "c-77", "--out", str(tmp_path / "b"), "--reason", "case 17", "--case", "R-1", "--state", "x"]
    return CliRunner().invoke(command.export_command, words, standalone_mode=False)


@pytest.mark.parametrize(("count", "code"), [(0, "nothing_found"), (100_001, "export_large")])
def test_that_somebody_was_not_accessed_is_told_before_it_is_said(
    kafka: FakeKafka, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, count: int, code: str
) -> None:
    monkeypatch.setattr(FakeEvidence, "count", count)
    error = _refused(tmp_path).exception
    assert isinstance(error, UsageError)
    assert error.code == code
    [read] = kafka.told
    assert (read.look, read.account, read.rows, read.subject_ids) == ("export", "lin.meng", 0, ("c-77",))
    assert (read.reason, read.case_ref, read.fingerprint) == ("case 17", "R-1", "")
    assert list(tmp_path.iterdir()) == [], "no draft stays"


def test_nor_is_it_said_while_kafka_is_away(kafka: FakeKafka, tmp_path: Path) -> None:
    kafka.is_away = True
    error = _refused(tmp_path).exception
    assert isinstance(error, Away)
    assert "nothing is exported" not in str(error)
