"""`accesstrail search`, `sql`, `alerts`: a look by an account is told before anything is printed, or nothing is."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import click
import pytest

from pipeline.audit.quota import LOOK_QUOTA, Quota, Used
from pipeline.audit.reads import DENIED, read_event
from pipeline.cli import search, store
from pipeline.cli.acting import TOKEN_FILE_VARIABLE
from pipeline.cli.looking import Seen
from pipeline.config import settings_from
from pipeline.errors import (
    EXIT_FORBIDDEN,
    EXIT_UNAVAILABLE,
    Away,
    ConfigError,
    Forbidden,
    UsageError,
)
from pipeline.settings_table import SettingsTable
from tests.looking_desk import AUDITOR, KEYRING, MARK, Desk, desk_around


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Desk:
    return desk_around(monkeypatch, tmp_path)


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
