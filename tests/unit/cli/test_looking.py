"""`accesstrail search`, `sql`, `alerts`: a look by an account is told before anything is printed, or nothing is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from pipeline.accounts.model import Account
from pipeline.audit.quota import LOOK_QUOTA, Quota, Used
from pipeline.audit.reads import DENIED, read_event
from pipeline.audit.search import AccessPage, AccessRow, Cursor, Question, page_of
from pipeline.audit.subject import CrossCheck
from pipeline.audit_settings import AuditSettings
from pipeline.cli import looked_at, search, store
from pipeline.cli.acting import TOKEN_FILE_VARIABLE
from pipeline.cli.looking import Seen
from pipeline.config import settings_from
from pipeline.errors import (
    EXIT_DIFFERENCES,
    EXIT_FORBIDDEN,
    EXIT_OK,
    EXIT_UNAVAILABLE,
    Away,
    ConfigError,
    Forbidden,
    UsageError,
)
from pipeline.privacy.keys import Keyring
from pipeline.settings_table import SettingsTable
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


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Desk:
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


BY_SUBJECT = (search.search_command, "--subject", "c-100042")
LOOKS: list[tuple[Any, ...]] = [
    BY_SUBJECT, (search.search_command, "--actor", "li.na"), (search.search_command, "--resource", "report-7"),
    (store.sql_command, "SELECT 1"), (store.alerts_command,),
]  # fmt: skip
NEEDED = ["search_evidence"] * 3 + ["query_evidence", "read_incidents"]


@pytest.mark.parametrize("look", LOOKS)
def test_without_an_account_a_local_stack_answers_as_ever_and_tells_nothing(desk: Desk, look: tuple[Any, ...]) -> None:
    answered = desk.run(*look)
    assert answered.exception is None
    assert MARK in answered.stdout
    assert desk.kafka.told == []


@pytest.mark.parametrize(
    ("look", "told"),
    [*zip(LOOKS, [("subject", "audit_query"), ("actor", "audit_query"), ("search", "audit_query"),
                ("sql", "audit_query"), ("alerts", "read")], strict=True)],
)  # fmt: skip
def test_a_look_of_an_account_is_told(desk: Desk, look: tuple[Any, ...], told: tuple[str, str]) -> None:
    answered = desk.as_account(*look, "--reason", " complaint ", "--case", "AUD-9")
    assert MARK in answered.stdout
    [read] = desk.kafka.told
    event = json.loads(read_event(read))
    assert (read.look, event["action"]) == told
    assert (event["actor_id"], event["justification"], event["case_ref"]) == ("wu.ling", "complaint", "AUD-9")
    assert (event["records_returned"], event["channel"], event["outcome"]) == (1, "batch", "success")
    assert len(event["query_fingerprint"]) == 64


@pytest.mark.parametrize("look", LOOKS)
def test_nothing_is_printed_while_kafka_is_away(desk: Desk, look: tuple[Any, ...]) -> None:
    desk.kafka.is_away = True
    answered = desk.as_account(*look)
    assert isinstance(answered.exception, Away)
    assert answered.exception.exit_code == EXIT_UNAVAILABLE
    assert "nothing is shown" in str(answered.exception)
    assert "Kafka" in str(answered.exception)
    assert answered.output == ""


@pytest.mark.parametrize("look", LOOKS)
def test_the_event_is_acknowledged_before_the_first_character(
    desk: Desk, look: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed_at: list[int] = []
    ordinary = click.echo

    def watched(*words: Any, **options: Any) -> None:
        printed_at.append(len(desk.kafka.told))
        ordinary(*words, **options)

    monkeypatch.setattr(click, "echo", watched)
    assert desk.as_account(*look).exception is None
    assert printed_at
    assert set(printed_at) == {1}


@pytest.mark.parametrize(("look", "needed"), [*zip(LOOKS, NEEDED, strict=True)])
def test_an_account_without_the_permission_reads_nothing(desk: Desk, look: tuple[Any, ...], needed: str) -> None:
    desk.account = replace(AUDITOR, roles=frozenset({"admin"}))
    answered = desk.as_account(*look)
    assert isinstance(answered.exception, Forbidden)
    assert needed in str(answered.exception)
    assert desk.store.asked == []
    assert [read.outcome for read in desk.kafka.told] == [DENIED]


@pytest.mark.parametrize(
    ("look", "action"), [*zip(LOOKS, ["audit_query"] * 4 + ["read"], strict=True)]
)  # fmt: skip
def test_a_look_that_is_refused_is_told_with_the_reason_that_was_given(
    desk: Desk, look: tuple[Any, ...], action: str
) -> None:
    desk.account = replace(AUDITOR, roles=frozenset({"admin"}))
    desk.as_account(*look, "--reason", "curious", "--case", "AUD-9")
    [read] = desk.kafka.told
    event = json.loads(read_event(read))
    assert (event["actor_id"], event["action"], event["outcome"]) == ("wu.ling", action, "denied")
    assert (event["records_returned"], event["justification"], event["case_ref"]) == (0, "curious", "AUD-9")


@pytest.mark.parametrize("look", LOOKS)
def test_a_refusal_stands_although_it_cannot_be_told(desk: Desk, look: tuple[Any, ...]) -> None:
    desk.account, desk.kafka.is_away = replace(AUDITOR, roles=frozenset({"admin"})), True
    answered = desk.as_account(*look)
    assert isinstance(answered.exception, Forbidden)
    assert answered.exception.exit_code == EXIT_FORBIDDEN
    assert desk.store.asked == []


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize(
    ("limits", "setting"), [((3, 0), "looks_per_day"), ((0, 40), "rows_per_day"), ((3, 40), "looks_per_day")]
)
def test_an_account_whose_day_is_used_up_asks_nothing_and_that_is_told(
    desk: Desk, look: tuple[Any, ...], limits: tuple[int, int], setting: str
) -> None:
    desk.looked.used_before = Used(looks=3, rows=40)
    desk.looked.limits = Quota(looks_per_day=limits[0], rows_per_day=limits[1])
    answered = desk.as_account(*look)
    assert isinstance(answered.exception, Forbidden)
    assert (answered.exception.code, answered.exception.exit_code) == (LOOK_QUOTA, EXIT_FORBIDDEN)
    assert setting in str(answered.exception)
    assert "tomorrow" in str(answered.exception)
    assert desk.store.asked == []
    assert [(read.outcome, read.rows) for read in desk.kafka.told] == [(DENIED, 0)]


@pytest.mark.parametrize("look", LOOKS)
def test_an_answer_with_more_rows_than_are_left_is_not_printed(desk: Desk, look: tuple[Any, ...]) -> None:
    desk.looked.used_before, desk.store.rows = Used(looks=1, rows=38), 3
    desk.looked.limits = Quota(looks_per_day=0, rows_per_day=40)
    answered = desk.as_account(*look)
    assert isinstance(answered.exception, Forbidden)
    assert MARK not in answered.output
    assert [(read.outcome, read.rows) for read in desk.kafka.told] == [(DENIED, 0)]
    desk.store.rows = 2
    assert MARK in desk.as_account(*look).output


def test_looks_add_up_until_the_day_is_used_up(desk: Desk) -> None:
    desk.looked.limits = Quota(looks_per_day=2, rows_per_day=0)
    assert [desk.as_account(*BY_SUBJECT).exception is None for _ in range(3)] == [True, True, False]
    assert desk.looked.noted == [("wu.ling", 1)] * 2


def test_sql_takes_more_than_the_permission_to_search(desk: Desk) -> None:
    desk.account = replace(AUDITOR, roles=frozenset({"soc"}))
    assert desk.as_account(*BY_SUBJECT).exception is None
    assert isinstance(desk.as_account(store.sql_command, "SELECT 1").exception, Forbidden)


@pytest.mark.parametrize("look", LOOKS)
def test_where_looks_need_an_account_nobody_looks_without_one(desk: Desk, look: tuple[Any, ...]) -> None:
    desk.wants_accounts()
    answered = desk.run(*look, "--reason", "complaint")
    assert isinstance(answered.exception, Forbidden)
    assert (answered.exception.exit_code, answered.exception.code) == (EXIT_FORBIDDEN, "no_token")
    assert desk.store.asked == []
    assert answered.output == ""


@pytest.mark.parametrize("look", LOOKS)
def test_where_looks_need_an_account_they_need_a_reason(desk: Desk, look: tuple[Any, ...]) -> None:
    desk.wants_accounts()
    for reason in ("", "  "):
        answered = desk.as_account(*look, "--reason", reason)
        assert isinstance(answered.exception, UsageError)
        assert "--reason" in str(answered.exception)
    assert desk.store.asked == []
    assert desk.as_account(*look, "--reason", "complaint").exception is None


def test_a_token_of_the_environment_names_the_account_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_FILE_VARIABLE, str(desk.token))
    assert desk.run(*BY_SUBJECT).exception is None
    assert [read.account for read in desk.kafka.told] == ["wu.ling"]


@pytest.mark.parametrize("words", [("--reason", "complaint"), ("--case", "AUD-9")])
def test_a_reason_that_nobody_would_record_is_refused(desk: Desk, words: tuple[str, str]) -> None:
    answered = desk.run(*BY_SUBJECT, *words)
    assert isinstance(answered.exception, UsageError)
    assert desk.store.asked == []


def test_a_subject_is_named_to_the_log_and_to_no_question(desk: Desk) -> None:
    desk.as_account(*BY_SUBJECT)
    [read] = desk.kafka.told
    token = KEYRING.token("default", "subject", "c-100042").hex()
    assert read.subject_ids == ("c-100042",)
    assert read.about == f"subject:{token}"
    assert "c-100042" not in repr(desk.store.asked)


@pytest.mark.parametrize("words", [("--actor", "li.na"), ("--resource", "r-1"), ("--subject", "c-1", "--tenant", "b")])
def test_nobody_is_named_who_is_no_subject_of_the_default_tenant(desk: Desk, words: tuple[str, ...]) -> None:
    desk.as_account(search.search_command, *words)
    assert [read.subject_ids for read in desk.kafka.told] == [()]


def test_the_fingerprint_is_of_the_whole_question(desk: Desk) -> None:
    questions: list[tuple[str, ...]] = [
        (), ("--purpose", "audit"), ("--work-item", "T-1"), ("--limit", "7"), ("--from", "2026-11-01"),
        ("--to", "2026-11-08"), ("--tenant", "b"), ("--text", "batch"), ("--explained", "unexplained"),
    ]  # fmt: skip
    for words in (*questions, ()):
        assert desk.as_account(*BY_SUBJECT, *words).exception is None
    digests = [read.fingerprint for read in desk.kafka.told]
    assert len(set(digests)) == len(questions)
    assert digests[0] == digests[-1]


def test_the_fingerprint_of_sql_can_be_made_again_by_anybody(desk: Desk) -> None:
    desk.as_account(store.sql_command, " SELECT 1; ")
    assert desk.kafka.told[0].fingerprint == sha256(b'{"command":"sql","sql":"SELECT 1"}').hexdigest()
    assert (
        Seen(look="sql", rows=0, question={"b": 1, "a": "审"}).fingerprint
        == sha256('{"a":"审","b":1}'.encode()).hexdigest()
    )


def test_a_failed_query_is_told_before_its_fault_is_shown(desk: Desk) -> None:
    desk.store.fault = UsageError("the query cannot be run: cannot parse 'li.na'")
    assert desk.as_account(store.sql_command, "SELECT toInt8(purpose) FROM access_events").exception is desk.store.fault
    assert [(read.outcome, read.rows) for read in desk.kafka.told] == [("error", 0)]
    desk.kafka.is_away = True
    assert isinstance(desk.as_account(store.sql_command, "SELECT 1").exception, Away)


# -- what search asks


EVERY_CONDITION = (
    "--actor", "li.na", "--subject", "c-1", "--resource", "report-7", "--work-item", "T-1", "--purpose", "audit",
    "--resource-type", "report", "--text", "night batch", "--action", "read", "--action", "export",
    "--outcome", "denied", "--explained", "unexplained", "--min-risk", "60.5", "--tenant", "b",
    "--from", "2026-11-01", "--to", "2026-11-08",
)  # fmt: skip


def tokens(tenant: str, kind: str, identifier: str) -> tuple[str, ...]:
    return tuple(one.hex() for one in KEYRING.tokens(tenant, kind, identifier))


def test_all_that_is_given_narrows_a_search_together(desk: Desk) -> None:
    desk.run(search.search_command, *EVERY_CONDITION)
    [(question, _)] = desk.accesses.asked
    assert question == Question(
        tenant="b", from_us=1_793_491_200_000_000, until_us=1_794_096_000_000_000, actors=tokens("b", "actor", "li.na"),
        subjects=tokens("b", "subject", "c-1"), cases=tokens("b", "case", "T-1"), purpose="audit",
        resources=(*tokens("b", "resource", "report-7"), *tokens("b", "subject", "report-7")), resource_type="report",
        text="night batch", actions=("read", "export"), outcomes=("denied",), explained=("unexplained",),
        least_risk=6050,
    )  # fmt: skip
    assert not re.search("T-1|li.na|c-1|report-7|night", repr(desk.store.asked))


@pytest.mark.parametrize(
    "words",
    [("--text", "batch"), ("--purpose", "audit"), ("--work-item", "T-1"), ("--explained", "unexplained"),
     ("--from", "2026-11-01"), ("--min-risk", "80"), ("--resource-type", "report"), ("--action", "export")],
)  # fmt: skip
def test_any_condition_is_a_question_of_its_own(desk: Desk, words: tuple[str, ...]) -> None:
    answered = desk.as_account(search.search_command, *words)
    assert MARK in answered.stdout
    assert [(read.look, read.subject_ids) for read in desk.kafka.told] == [("search", ())]


def test_a_search_for_nothing_is_refused(desk: Desk) -> None:
    answered = desk.as_account(search.search_command)
    assert isinstance(answered.exception, UsageError)
    assert "--help" in str(answered.exception)
    assert desk.store.asked == []


@pytest.mark.parametrize("text", ["called 13812345678", "lin@example.com", "１３８１２３４５６７８"])
def test_a_text_that_is_masked_wherever_it_is_stored_is_not_looked_for(desk: Desk, text: str) -> None:
    answered = desk.as_account(search.search_command, "--text", text)
    assert isinstance(answered.exception, UsageError)
    assert answered.exception.code == "masked_text"
    assert text not in str(answered.exception)
    assert desk.store.asked == []


def test_what_was_written_is_shown_where_words_were_looked_for(desk: Desk) -> None:
    words = ("--actor", "li.na", "--json")
    plain, texts = (
        json.loads(desk.run(search.search_command, *words, *more).stdout) for more in ((), ("--text", "batch"))
    )
    assert plain["event_time"] == "2026-11-18T11:06:40Z"
    assert (plain["risk"], plain["explained"]) == (12.34, "explained")
    assert texts == plain | {"justification": "night batch", "denial_reason": ""}


def test_verdicts_are_shown_where_they_are_asked_for(desk: Desk) -> None:
    said = [
        json.loads(desk.run(*command, *words, "--json").stdout)
        for command, *words in ((BY_SUBJECT,), (BY_SUBJECT, "--verdicts"), (LOOKS[1], "--explained", "unexplained"))
    ]
    assert ["verdict" in one for one in said] == [False, True, True]
    assert desk.accesses.with_verdicts is True


def test_more_rows_than_one_page_holds_come_page_by_page(desk: Desk) -> None:
    desk.store.rows = 2_300
    answered = desk.run(search.search_command, "--actor", "li.na", "--limit", "2200", "--json")
    offsets = [json.loads(line)["offset"] for line in answered.stdout.splitlines()]
    assert offsets == [*range(2200)]
    assert [limit for _, limit in desk.accesses.asked] == [1000, 1000, 200]


def test_a_token_asks_as_its_id_does_and_names_whom_the_directory_lists(desk: Desk) -> None:
    (desk.settings.detection.directory / "subjects.csv").write_text("subject_id,flags\nc-vip-7,vip\n")
    for subject in ("c-vip-7", tokens("default", "subject", "c-vip-7")[0], tokens("default", "subject", "c-9")[0]):
        assert desk.as_account(search.search_command, "--subject", subject).exception is None
    assert len({question for question, _ in desk.accesses.asked[:2]}) == 1
    assert [read.subject_ids for read in desk.kafka.told] == [("c-vip-7",), ("c-vip-7",), ()]


def test_a_work_item_is_looked_for_in_the_evidence_which_needs_no_check(desk: Desk) -> None:
    desk.run(*BY_SUBJECT)
    desk.run(*BY_SUBJECT, "--work-item", "T-1")
    assert desk.checks == 1


def test_an_answer_that_the_evidence_contradicts_is_printed_and_said(desk: Desk) -> None:
    assert desk.run(*BY_SUBJECT).return_value == EXIT_OK
    desk.check = CrossCheck(in_evidence=3, in_table_before=1, in_table_after=1, unlisted=0)
    answered = desk.as_account(*BY_SUBJECT)
    assert answered.return_value == EXIT_DIFFERENCES
    assert MARK in answered.stdout
    assert "3 access(es)" in answered.stderr
    assert len(desk.kafka.told) == 1


def test_what_cannot_be_checked_is_said(desk: Desk) -> None:
    desk.check = None
    answered = desk.run(*BY_SUBJECT)
    assert answered.return_value == EXIT_OK
    assert "not checked against the evidence" in answered.stderr
    desk.check = CrossCheck(in_evidence=1, in_table_before=1, in_table_after=1, unlisted=4)
    assert "4 access(es) touched more people" in desk.run(*BY_SUBJECT).stderr


def test_an_answer_that_the_limit_cut_is_not_checked(desk: Desk) -> None:
    assert desk.run(*BY_SUBJECT, "--limit", "1").return_value == EXIT_OK
    assert desk.run(search.search_command, "--actor", "li.na").return_value == EXIT_OK
    assert desk.checks == 0


# -- the setting


@pytest.mark.parametrize(
    ("raw", "environment", "wanted"),
    [({}, {}, "absent"), ({"audit": {"looks_need_account": True}}, {}, "absent"),
     ({}, {"ACCESSTRAIL_AUDIT_LOOKS_NEED_ACCOUNT": "true"}, "absent"),
     ({"audit": {"looks_need_account": "yes"}}, {}, "present"),
     ({}, {"ACCESSTRAIL_AUDIT_LOOKS_NEED_ACCOUNT": "perhaps"}, "present")],
)  # fmt: skip
def test_the_setting_is_true_or_false_and_nothing_else(
    tmp_path: Path, raw: dict[str, Any], environment: dict[str, str], wanted: str
) -> None:
    with pytest.raises(ConfigError) as caught:  # much else is missing here
        settings_from(raw, tmp_path / "config.toml", environment)
    assert ("looks_need_account must be true or false" in str(caught.value)) is (wanted == "present")


@pytest.mark.parametrize(("text", "wanted"), [("true", True), ("TRUE", True), ("false", False)])
def test_the_environment_goes_before_the_file(text: str, wanted: bool) -> None:
    faults: list[str] = []
    table = SettingsTable({"flag": not wanted}, "audit", faults, overrides={"flag": text})
    assert table.flag("flag") is wanted
    assert faults == []
