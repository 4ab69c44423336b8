"""`accesstrail search`: what its options ask, what is shown, and the count of the evidence beside an answer."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pipeline.audit.search import Question
from pipeline.audit.subject import CrossCheck
from pipeline.cli import search
from pipeline.errors import (
    EXIT_DIFFERENCES,
    EXIT_OK,
    UsageError,
)
from tests.looking_desk import KEYRING, MARK, Desk, desk_around


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Desk:
    return desk_around(monkeypatch, tmp_path)


BY_SUBJECT = (search.search_command, "--subject", "c-100042")
BY_ACTOR = (search.search_command, "--actor", "li.na")


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
        for command, *words in ((BY_SUBJECT,), (BY_SUBJECT, "--verdicts"), (BY_ACTOR, "--explained", "unexplained"))
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
