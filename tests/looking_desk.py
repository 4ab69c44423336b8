"""What stands around commands that look at evidence: a store, a Kafka, an account, all of them ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from pipeline.accounts.model import Account
from pipeline.audit.search import AccessPage, AccessRow, Cursor, Question, page_of
from pipeline.audit.subject import CrossCheck
from pipeline.audit_settings import AuditSettings
from pipeline.cli import looked_at, search, store
from pipeline.cli.acting import TOKEN_FILE_VARIABLE
from pipeline.errors import (
    UsageError,
)
from pipeline.privacy.keys import Keyring
from tests.evidence_desk import access
from tests.looks import FakeKafka, Looked, told_to

AUDITOR = Account(name="wu.ling", roles=frozenset({"auditor"}), state="active", created_us=0, totp_enrolled=True)
KEYRING = Keyring.offline()
MARK = "seen-by-whoever-looks"
ALERT = (MARK, 1, "high", 90.0, "bulk_access", "because", "因为", "ab", "11")
ALERT_COLUMNS = (
    "event_time", "n", "severity", "risk", "detector", "explanation_en", "explanation_zh", "actor_token", "alert_id",
)  # fmt: skip


class FakeStore:
    """One row for any question; a fault of the server where `fault` says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.fault: UsageError | None = None
        self.rows = 1

    def query_with_columns(self, sql: str, parameters: Any = None) -> tuple[list[tuple[Any, ...]], list[Any]]:
        self.asked.append((sql, dict(parameters or {})))
        if self.fault is not None:
            raise self.fault
        if "accesstrail.alerts" in sql:
            return [ALERT] * self.rows, [(name, "String") for name in ALERT_COLUMNS]
        return [(MARK,)] * self.rows, [("who", "String")]


class FakeAccesses:
    """Role `AccessReader`: rows without end, as far as somebody asks and the store has them."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self.asked = desk, list[tuple[Question, int]]()
        self.with_verdicts: bool | None = None

    def found(self, question: Question, limit: int, after: Cursor | None = None) -> AccessPage:
        self.asked.append((question, limit))
        self._desk.store.asked.append((repr(question), asdict(question) | {"text": ""}))
        begun = after.offset + 1 if after else 0
        said = {"actor_dept": MARK, "justification": "night batch"}
        rows = [access(one, 1_795_000_000_000_000 - one, **said) for one in range(begun, self._desk.store.rows)]
        return page_of(rows, limit)

    def listed(self, question: Question, limit: int, *, with_verdicts: bool) -> Sequence[AccessRow]:
        self.with_verdicts = with_verdicts
        return self.found(question, limit).rows


class Desk:
    """What stands around the commands."""

    def __init__(self, folder: Path) -> None:
        self.store, self.kafka, self.looked = FakeStore(), FakeKafka(), Looked()
        self.accesses = FakeAccesses(self)
        self.check: CrossCheck | None = CrossCheck(in_evidence=1, in_table_before=1, in_table_after=1, unlisted=0)
        self.checks = 0
        self.account = AUDITOR
        self.token = folder / "me.token"
        self.token.write_text("secret\n")
        self.token.chmod(0o600)
        self.settings = SimpleNamespace(
            state_dir=folder, clickhouse=None, kafka=SimpleNamespace(bootstrap_servers="", events_topic=""),
            protection=SimpleNamespace(token_keys_file=folder), audit=AuditSettings(),
            detection=SimpleNamespace(directory=folder),
        )  # fmt: skip

    def wants_accounts(self) -> None:
        self.settings.audit = AuditSettings(looks_need_account=True)

    def run(self, command: click.Command, *words: str) -> Result:
        return CliRunner().invoke(command, [*words, "--state", "x"], standalone_mode=False)

    def as_account(self, command: click.Command, *words: str) -> Result:
        return self.run(command, *words, "--token-file", str(self.token))

    @contextmanager
    def as_role(self, *_: object) -> Iterator[FakeStore]:
        yield self.store

    @contextmanager
    def open_accounts(self, _: Path) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(logins=SimpleNamespace(account_of_token=lambda *_: self.account))

    def reader(self, _: object) -> SimpleNamespace:
        def check(*_: object) -> CrossCheck | None:
            self.checks += 1
            return self.check

        return SimpleNamespace(check=check)


def desk_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    monkeypatch.delenv(TOKEN_FILE_VARIABLE, raising=False)
    monkeypatch.setattr("pipeline.cli.options.settings_of", lambda *_: made.settings)
    monkeypatch.setattr("pipeline.cli.acting.open_accounts", made.open_accounts)
    told_to(monkeypatch, made.kafka, made.looked)
    monkeypatch.setattr(store, "as_role", made.as_role)
    monkeypatch.setattr(search, "as_role", made.as_role)
    monkeypatch.setattr(search, "SubjectReader", made.reader)
    monkeypatch.setattr(search, "AccessReader", lambda _: made.accesses)
    for module in (search, looked_at):
        monkeypatch.setattr(module, "Keyring", SimpleNamespace(load=lambda _: KEYRING))
    return made
