"""`accesstrail verify --store` leaves behind what it came to, whoever ran it and however it ended."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from pipeline.accounts.model import Account
from pipeline.adapters.verification_results import FOLDER, VerificationResults
from pipeline.audit.verification import DIFFERS, UNJUDGED, VerificationRun
from pipeline.cli import verify as command
from pipeline.errors import EXIT_DIFFERENCES, EXIT_OK, Away, Forbidden
from pipeline.ledger.signed_note import PrivateKey
from pipeline.ledger.verify import Report

KEY = PrivateKey("accesstrail", bytes(range(32)))
AUDITOR = Account(name="lin.meng", roles=frozenset({"auditor"}), state="active", created_us=0, totp_enrolled=True)


class Checks:
    """The checks of a store: what they found, or why they could not be made."""

    report = Report()
    fails: Exception | None = None

    def __init__(self, *_: object) -> None:
        pass

    def run(self) -> Report:
        if self.fails is not None:
            raise self.fails
        return self.report


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings = SimpleNamespace(
        state_dir=tmp_path, clickhouse=None, ledger=SimpleNamespace(deployment="accesstrail"),
    )  # fmt: skip
    monkeypatch.setattr(command, "settings_of", lambda *_: settings)
    monkeypatch.setattr(command, "connect", lambda *_: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(command, "EvidenceReader", lambda *_: None)
    monkeypatch.setattr(command, "StoreVerification", Checks)
    monkeypatch.setattr(Checks, "report", Report())
    monkeypatch.setattr(Checks, "fails", None)
    (tmp_path / "ledger.pub").write_text(f"{KEY.public}\n")
    return tmp_path


def _run(state: Path, *arguments: str) -> Result:
    words = ["--store", "--state", "x", "--keys", str(state / "ledger.pub"), *arguments]
    return CliRunner().invoke(command.verify_command, words, standalone_mode=False)


def _kept(state: Path) -> VerificationRun:
    [run] = VerificationResults(state).all().runs
    return run


def test_a_run_is_kept_with_its_time_keys_and_nobody_where_nobody_was_named(state: Path) -> None:
    before_us = time.time_ns() // 1000
    assert _run(state).return_value == EXIT_OK
    run = _kept(state)
    assert before_us <= run.began_us <= run.ended_us
    assert (run.by, run.keys, run.hashed_by, run.kept) == ("", [KEY.public.identity], "here", 0)


def test_differences_are_kept_with_their_place(state: Path) -> None:
    Checks.report.findings.add("entry_root", "accesstrail/access.events", "other rows", 40)
    assert _run(state, "--leaves", "engine").return_value == EXIT_DIFFERENCES
    run = _kept(state)
    assert (run.verdict, run.hashed_by) == (DIFFERS, "engine")
    assert [(one.check, one.code, one.offset) for one in run.differences] == [(7, "entry_root", 40)]


def test_that_it_could_not_be_judged_is_kept_too_and_the_error_goes_on(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Checks, "fails", Away("no answer", code="store_away"))
    assert isinstance(_run(state).exception, Away)
    run = _kept(state)
    assert (run.verdict, run.code) == (UNJUDGED, "store_away")


def test_an_account_is_named_by_its_token_and_refused_before_anything_is_read(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "acting", lambda *_: AUDITOR)
    assert _run(state, "--token-file", "me.token").return_value == EXIT_OK
    assert _kept(state).by == "lin.meng"

    def refused(*_: object) -> Account:
        raise Forbidden("no such role")

    monkeypatch.setattr(command, "acting", refused)
    assert isinstance(_run(state, "--token-file", "me.token").exception, Forbidden)
    assert _kept(state).by == "lin.meng"


def test_whoever_may_not_write_there_gets_the_verdict_all_the_same(state: Path) -> None:
    (state / FOLDER).write_text("a file stands in the way")
    done = _run(state)
    assert done.return_value == EXIT_OK
    assert "the console will not show this run" in done.output
