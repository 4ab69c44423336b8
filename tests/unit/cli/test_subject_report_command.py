"""`accesstrail subject-report`: nothing is shown before it is acknowledged, nor where the counts differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pipeline.accounts.model import Account
from pipeline.adapters.subject_report_reading import MOST_ACCESSES
from pipeline.audit.reads import read_event
from pipeline.audit.subject_report import SubjectAccess
from pipeline.cli import subject_report as command
from pipeline.errors import EXIT_DIFFERENCES, Away
from pipeline.privacy.keys import Keyring
from tests.looks import FakeKafka, told_to
from tests.unit.audit.test_subject_report import ACTOR, ONE

DPO = Account(name="li.na", roles=frozenset({"dpo"}), state="active", created_us=0, totp_enrolled=True)


class FakeReader:
    """The evidence: one access; the table by subject says `listed`."""

    listed_accesses: Sequence[int] = (1, 1)

    def __init__(self, _: object) -> None:
        self._left = list(self.listed_accesses)

    def listed(self, *_: object) -> int:
        return self._left.pop(0)

    def accesses(self, *_: object, with_actors: bool, most: int) -> list[SubjectAccess]:
        assert not with_actors
        assert most == MOST_ACCESSES
        return [ONE]

    def unlisted(self, *_: object) -> int:
        return 0

    def sources(self, _: str) -> list[str]:
        return ["crm"]


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeKafka:
    made, keyring = FakeKafka(), Keyring.offline()
    settings = SimpleNamespace(
        state_dir=tmp_path, protection=SimpleNamespace(token_keys_file=tmp_path), clickhouse=None,
        kafka=SimpleNamespace(bootstrap_servers="", events_topic=""),
        retention=SimpleNamespace(classes={"standard": 396}, provision_days=1127),
    )  # fmt: skip
    replaced: dict[str, Any] = {
        "admitted": lambda *_, **__: DPO, "SubjectReportReader": FakeReader,
        "connect": lambda *_: SimpleNamespace(close=lambda: None), "Keyring": SimpleNamespace(load=lambda _: keyring),
    }  # fmt: skip
    for name, fake in replaced.items():
        monkeypatch.setattr(command, name, fake)
    told_to(monkeypatch, made)
    monkeypatch.setattr("pipeline.cli.options.settings_of", lambda *_: settings)
    monkeypatch.setattr(FakeReader, "listed_accesses", (1, 1))
    return made


def _run(*arguments: str) -> Result:
    words = ["c-1", "--reason", "asked", "--state", "x", *arguments]
    return CliRunner().invoke(command.subject_report_command, words, standalone_mode=False)


def test_the_report_is_told_with_its_number_of_rows_and_its_digest(kafka: FakeKafka, tmp_path: Path) -> None:
    shown = _run("--lang", "en", "--case", "R-1")
    assert "customer_service" in shown.output
    assert ACTOR not in shown.output
    [read] = kafka.told
    assert (read.look, read.account, read.rows, read.reason, read.case_ref) == (
        "subject_report",
        "li.na",
        1,
        "asked",
        "R-1",
    )
    assert b'"action":"audit_export"' in read_event(read)
    out = tmp_path / "report.md"
    assert _run("--out", str(out)).exception is None
    assert out.stat().st_mode & 0o077 == 0
    assert "个人信息访问记录" in out.read_text(encoding="utf-8")


def test_nothing_is_shown_or_written_before_kafka_has_it(kafka: FakeKafka, tmp_path: Path) -> None:
    kafka.is_away = True
    answered = _run("--out", str(tmp_path / "report.md"))
    assert isinstance(answered.exception, Away)
    assert not (tmp_path / "report.md").exists()
    assert "customer_service" not in _run().output


@pytest.mark.parametrize("listed", [(0, 0), (2, 2)])
def test_nothing_is_handed_out_where_the_counts_differ(
    kafka: FakeKafka, monkeypatch: pytest.MonkeyPatch, listed: tuple[int, int]
) -> None:
    monkeypatch.setattr(FakeReader, "listed_accesses", listed)
    answered = _run()
    assert answered.return_value == EXIT_DIFFERENCES
    assert "customer_service" not in answered.output
    assert kafka.told == []
