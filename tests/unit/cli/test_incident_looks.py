"""Reading and exporting incidents: an account's look is told before anything is printed or written, or nothing is."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

import click
import pytest

from pipeline.audit.quota import Quota, Used
from pipeline.audit.reads import DENIED, read_event
from pipeline.cli import incident_desk
from pipeline.cli.acting import TOKEN_FILE_VARIABLE
from pipeline.errors import EXIT_FORBIDDEN, EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE, Away
from tests.incident_desk import Office, Reader
from tests.incident_logs import START_US, command

Words = tuple[str, ...]
LIST, SHOW, STATS, EXCLUSIONS = ("list",), ("show", "@"), ("stats",), ("exclusions",)
CLOCK, DRAFT = ("breach", "clock", "@"), ("breach", "draft", "@", "eu-gdpr-33")
OF_ONE = (SHOW, CLOCK, DRAFT)
READING = [LIST, STATS, EXCLUSIONS, *OF_ONE]
ROWS = {LIST: 1, SHOW: 5, STATS: 0, EXCLUSIONS: 2, CLOCK: 1, DRAFT: 1}
"""Of an incident with two alerts and a suspected breach: three rows of its log and two alerts are five."""
PLENTY = Quota(looks_per_day=100, rows_per_day=1000)
READS = pytest.mark.parametrize("words", READING, ids="-".join)


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    made = Office(tmp_path, monkeypatch)
    made.world.put(command("suspect_breach", known_at_us=START_US))
    return made


def _run(office: Office, words: Words, *more: Any) -> int:
    return office.run(*(office.incident_id if word == "@" else word for word in words), *more)


def _auditor(office: Office) -> Words:
    return office.account("wu.ling", "auditor")


def _operator(office: Office) -> Words:
    return office.account("op.one", "operator")


def _looks_of(words: Words) -> str:
    return "incident" if words in OF_ONE else "incidents"


# -- reading


@READS
def test_without_an_account_a_local_stack_answers_as_ever_and_tells_nothing(
    office: Office, capsys: pytest.CaptureFixture[str], words: Words
) -> None:
    assert _run(office, words) == EXIT_OK
    assert capsys.readouterr().out
    assert office.kafka.told == []


@READS
def test_a_look_of_an_account_is_told_with_what_is_shown_and_why(office: Office, words: Words) -> None:
    office.looked.limits = PLENTY
    given = ("--reason", " complaint ", "--case", "INC-9", *_auditor(office))
    assert _run(office, words, *given) == EXIT_OK
    [read] = office.kafka.told
    assert (read.look, read.about) == (_looks_of(words), office.incident_id if words in OF_ONE else "")
    event = json.loads(read_event(read))
    assert (event["actor_id"], event["justification"], event["case_ref"]) == ("wu.ling", "complaint", "INC-9")
    assert (event["action"], event["resource_type"]) == ("read", f"evidence.{_looks_of(words)}")
    assert (event["records_returned"], event["channel"], event["outcome"]) == (ROWS[words], "batch", "success")
    assert office.looked.noted == [("wu.ling", ROWS[words])]


@READS
def test_an_account_is_shown_what_a_local_stack_shows(
    office: Office, capsys: pytest.CaptureFixture[str], words: Words
) -> None:
    as_json = () if words == EXCLUSIONS else ("--json",)
    more = (*as_json, "--from", "2026-11-01", "--to", "2026-11-02") if words == STATS else as_json
    _run(office, words, *more)
    plain = capsys.readouterr().out
    assert _run(office, words, *more, *_auditor(office)) == EXIT_OK
    shown = capsys.readouterr().out
    if words in (CLOCK, SHOW):  # the hours that are left go on
        plain, shown = (json.dumps(_without_time(json.loads(text)), sort_keys=True) for text in (plain, shown))
    assert shown == plain


def _without_time(document: Any) -> Any:
    if isinstance(document, dict):
        return {name: _without_time(value) for name, value in document.items() if name not in ("at", "hours_left")}
    return [_without_time(one) for one in document] if isinstance(document, list) else document


@READS
def test_nothing_is_printed_while_kafka_is_away(
    office: Office, capsys: pytest.CaptureFixture[str], words: Words
) -> None:
    office.kafka.is_away = True
    assert _run(office, words, *_auditor(office)) == EXIT_UNAVAILABLE
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "nothing is shown, since the look cannot be recorded: Kafka does not answer" in shown.err


@READS
def test_the_event_is_acknowledged_before_the_first_character(
    office: Office, monkeypatch: pytest.MonkeyPatch, words: Words
) -> None:
    printed_at: list[int] = []
    ordinary = click.echo

    def watched(*texts: Any, **options: Any) -> None:
        printed_at.append(len(office.kafka.told))
        ordinary(*texts, **options)

    auditor = _auditor(office)
    monkeypatch.setattr(click, "echo", watched)
    assert _run(office, words, *auditor) == EXIT_OK
    assert set(printed_at) == {1}


@READS
def test_an_account_without_the_permission_reads_nothing_and_that_is_told(
    office: Office, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: Words
) -> None:
    monkeypatch.setattr(incident_desk, "connect", _unasked)
    assert _run(office, words, "--reason", "curious", *_operator(office)) == EXIT_FORBIDDEN
    shown = capsys.readouterr()
    assert (shown.out, "read_incidents" in shown.err) == ("", True)
    [read] = office.kafka.told
    assert (read.look, read.outcome, read.rows, read.reason) == (_looks_of(words), DENIED, 0, "curious")


def _unasked(*_: object) -> NoReturn:
    raise AssertionError("the store was asked")


@READS
def test_an_account_whose_day_is_used_up_asks_nothing_and_that_is_told(
    office: Office, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: Words
) -> None:
    monkeypatch.setattr(incident_desk, "connect", _unasked)
    office.looked.used_before = Used(looks=3, rows=40)
    office.looked.limits = Quota(looks_per_day=3, rows_per_day=0)
    assert _run(office, words, *_auditor(office)) == EXIT_FORBIDDEN
    shown = capsys.readouterr()
    assert (shown.out, "looks_per_day" in shown.err) == ("", True)
    assert [(read.look, read.outcome) for read in office.kafka.told] == [(_looks_of(words), DENIED)]


@pytest.mark.parametrize("words", [one for one in READING if ROWS[one]], ids="-".join)
def test_more_rows_than_are_left_are_not_printed(
    office: Office, capsys: pytest.CaptureFixture[str], words: Words
) -> None:
    office.looked.used_before = Used(looks=1, rows=41 - ROWS[words])
    office.looked.limits = Quota(looks_per_day=0, rows_per_day=40)
    assert _run(office, words, *_auditor(office)) == EXIT_FORBIDDEN
    shown = capsys.readouterr()
    assert (shown.out, "rows_per_day" in shown.err) == ("", True)
    assert [(read.outcome, read.rows) for read in office.kafka.told] == [(DENIED, 0)]
    office.looked.used_before = Used(looks=1, rows=40 - ROWS[words])
    assert _run(office, words, *_auditor(office)) == EXIT_OK


@READS
def test_where_looks_need_an_account_nobody_reads_incidents_without_one_or_without_a_reason(
    office: Office, capsys: pytest.CaptureFixture[str], words: Words
) -> None:
    office.more("[audit]\nlooks_need_account = true\n")
    assert _run(office, words, "--reason", "complaint") == EXIT_FORBIDDEN
    assert "--token-file" in capsys.readouterr().err
    for reason in ((), ("--reason", "  ")):
        assert _run(office, words, *reason, *_auditor(office)) == EXIT_USAGE
        shown = capsys.readouterr()
        assert (shown.out, "--reason" in shown.err) == ("", True)
    assert _run(office, words, "--reason", "complaint", *_auditor(office)) == EXIT_OK
    assert [read.reason for read in office.kafka.told] == ["complaint"]


@READS
def test_a_reason_that_nobody_would_record_is_refused(
    office: Office, capsys: pytest.CaptureFixture[str], words: Words
) -> None:
    for given in (("--reason", "complaint"), ("--case", "INC-9")):
        assert _run(office, words, *given) == EXIT_USAGE
        assert capsys.readouterr().out == ""


def test_a_token_of_the_environment_names_the_account_too(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_FILE_VARIABLE, _auditor(office)[1])
    assert _run(office, LIST) == EXIT_OK
    assert [read.account for read in office.kafka.told] == ["wu.ling"]


def test_the_fingerprint_is_of_the_question_and_can_be_made_again_by_anybody(office: Office) -> None:
    asked: list[Words] = [
        SHOW, CLOCK, DRAFT, (*DRAFT, "--language", "zh"), LIST, (*LIST, "--limit", "7"), (*LIST, "--all"),
        (*LIST, "--severity", "high"), (*STATS, "--from", "2026-11-01", "--to", "2026-11-02"),
        (*STATS, "--from", "2026-11-01", "--to", "2026-11-03"), EXCLUSIONS,
    ]  # fmt: skip
    for words in (*asked, SHOW):
        assert _run(office, words, *_auditor(office)) == EXIT_OK
    digests = [read.fingerprint for read in office.kafka.told]
    assert len(set(digests)) == len(asked)
    assert digests[0] == digests[-1]
    question = f'{{"command":"incidents show","incident_id":"{office.incident_id}"}}'
    assert digests[0] == sha256(question.encode()).hexdigest()


@pytest.mark.parametrize("words", [CLOCK, DRAFT], ids="-".join)
def test_that_no_breach_is_suspected_is_told_before_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: Words
) -> None:
    office = Office(tmp_path, monkeypatch)
    assert _run(office, words, *_auditor(office)) == EXIT_USAGE
    assert "no breach is suspected" in capsys.readouterr().err
    assert [(read.about, read.rows) for read in office.kafka.told] == [(office.incident_id, 0)]
    office.kafka.is_away = True
    assert _run(office, words, *_auditor(office)) == EXIT_UNAVAILABLE
    assert "suspected" not in capsys.readouterr().err


def test_an_incident_is_read_whole_before_any_of_it_is_shown(
    office: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def away(*_: object) -> NoReturn:
        raise Away("the store does not answer", code="store_away")

    monkeypatch.setattr(Reader, "deliveries_of", away)
    assert _run(office, SHOW, *_auditor(office)) == EXIT_UNAVAILABLE
    assert capsys.readouterr().out == ""
    assert office.kafka.told == []


# -- the export


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "timeline.json"


def _export(office: Office, file: Path, *more: Any, reason: str = "annex to the report") -> int:
    return office.run("breach", "export", office.incident_id, file, "--reason", reason, *more)


def test_an_export_is_told_with_its_digest_before_it_is_written(office: Office, file: Path) -> None:
    office.looked.limits = PLENTY
    was_there: list[bool] = []
    office.kafka.seen_before = lambda: was_there.append(file.exists())
    assert _export(office, file, "--case", "INC-9", *_auditor(office)) == EXIT_OK
    assert was_there == [False]
    [read] = office.kafka.told
    assert (read.look, read.about, read.rows) == ("incident_export", office.incident_id, 5)
    assert read.fingerprint == sha256(file.read_bytes()).hexdigest()
    event = json.loads(read_event(read))
    assert (event["action"], event["resource_type"], event["channel"]) == ("audit_export", "evidence.incident", "batch")
    assert (event["actor_id"], event["justification"]) == ("wu.ling", "annex to the report")
    assert (event["case_ref"], event["outcome"]) == ("INC-9", "success")
    assert office.looked.noted == [("wu.ling", 5)]


def test_nothing_is_written_while_kafka_is_away(office: Office, capsys: pytest.CaptureFixture[str], file: Path) -> None:
    office.kafka.is_away = True
    assert _export(office, file, *_auditor(office)) == EXIT_UNAVAILABLE
    shown = capsys.readouterr()
    assert (shown.out, file.exists()) == ("", False)
    assert "nothing is written, since the export cannot be recorded: Kafka does not answer" in shown.err


@pytest.mark.parametrize(("used", "setting"), [(Used(looks=3), "looks_per_day"), (Used(rows=36), "rows_per_day")])
def test_nothing_is_written_beyond_the_quota_of_the_day_and_that_is_told(
    office: Office, capsys: pytest.CaptureFixture[str], file: Path, used: Used, setting: str
) -> None:
    office.looked.used_before, office.looked.limits = used, Quota(looks_per_day=3, rows_per_day=40)
    assert _export(office, file, *_auditor(office)) == EXIT_FORBIDDEN
    assert setting in capsys.readouterr().err
    assert not file.exists()
    [read] = office.kafka.told
    assert (read.look, read.outcome, read.reason) == ("incident_export", DENIED, "annex to the report")


def test_an_account_that_may_not_export_is_refused_and_that_is_told(office: Office, file: Path) -> None:
    assert _export(office, file, *_operator(office)) == EXIT_FORBIDDEN
    assert not file.exists()
    assert [(read.look, read.outcome) for read in office.kafka.told] == [("incident_export", DENIED)]


def test_an_export_says_what_it_is_for(office: Office, file: Path) -> None:
    assert office.run("breach", "export", office.incident_id, file, *_auditor(office)) == EXIT_USAGE
    assert _export(office, file, *_auditor(office), reason="  ") == EXIT_USAGE
    assert (file.exists(), office.kafka.told) == (False, [])


def test_what_cannot_be_written_is_not_told(office: Office, file: Path) -> None:
    file.write_text("of somebody else")
    assert _export(office, file, *_auditor(office)) == EXIT_USAGE
    assert (file.read_text(), office.kafka.told) == ("of somebody else", [])
