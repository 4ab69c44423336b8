"""`accesstrail incidents`: what each command sends, what it says of the engine's answer, and whom it refuses.

The engine is the real one, behind a fake topic and a fake store (`tests/incident_desk.py`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detectors.base import MODEL_DETECTOR
from pipeline.cli import incident_actions, incident_desk
from pipeline.cli.incident_desk import Outcome, in_words
from pipeline.cli.incident_feedback import ExceptionWish
from pipeline.errors import EXIT_FORBIDDEN, EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE, UsageError
from pipeline.incidents.decision import CODES
from pipeline.incidents.model import STATES as ENGINE_STATES
from pipeline.incidents.words import LANGUAGES, STATES, TRANSITIONS, VERDICTS, why_not
from tests.incident_desk import Office, view
from tests.incident_logs import ACTOR, KEY, OTHER_KEY, TENANT, alert, command

UNTIL = ("--until", "2036-01-01")


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    return Office(tmp_path, monkeypatch)


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


# -- changing


@pytest.mark.parametrize(
    ("words", "roles", "name", "state"),
    [
        (("ack",), ("soc",), "acknowledge", "acknowledged"),
        (("comment", "@", "asked the branch"), ("soc",), "comment", "open"),
        (("comment", "@", "the test account", "--severity", "low"), ("soc",), "comment", "open"),
        (("contain", "@", *UNTIL, "--why", "copies numbers"), ("responder",), "contain", "acknowledged"),
        (("resolve", "--verdict", "benign"), ("soc",), "resolve", "resolved"),
    ],
)
def test_a_command_is_sent_under_the_incidents_key_as_the_account_that_acts(
    office: Office, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], roles: tuple[str, ...], name: str,
    state: str,
) -> None:  # fmt: skip
    given = [office.incident_id if word == "@" else word for word in words]
    given += [] if "@" in words else [office.incident_id]
    assert office.run(*given, "--json", *office.account("wu.ling", *roles)) == EXIT_OK
    (sent,) = office.topic.commands
    assert (sent.name, sent.by, sent.incident_key, sent.incident_id) == (name, "wu.ling", KEY, office.incident_id)
    (told,) = _lines(capsys)
    assert (told["handled"], told["state"], told["code"]) == (True, state, "")
    assert office.incident.state == state


def test_what_happened_is_said_in_both_languages(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    short = office.incident_id[:8]
    assert office.run("ack", short, *office.soc()) == EXIT_OK
    assert capsys.readouterr().out == f"done: acknowledged; incident {short} is acknowledged\n"
    assert office.run("ack", short, "--language", "zh", *office.soc()) == EXIT_OK
    assert capsys.readouterr().out == "无变化：已是该状态\n"


def test_what_does_not_fit_is_refused_with_the_reason_and_changes_nothing(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    assert office.run("reopen", office.incident_id, "--why", "again", *office.soc()) == EXIT_USAGE
    assert capsys.readouterr().err == "refused: the incident is not closed\n"
    assert office.run("resolve", office.incident_id, "--verdict", "test", *office.soc()) == EXIT_OK
    assert office.run("ack", office.incident_id, "--language", "zh", *office.soc()) == EXIT_USAGE
    assert "事件已关闭" in capsys.readouterr().err
    assert office.incident.verdict == "test"


def test_what_nobody_has_handled_in_time_is_queued(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    office.topic.is_idle = True
    for language, words in (("en", "it is queued"), ("zh", "已排队")):
        done = office.run("ack", office.incident_id, "--wait", 0, "--language", language, *office.soc())
        assert done == EXIT_UNAVAILABLE
        assert words in capsys.readouterr().err
    assert office.run("ack", office.incident_id, "--wait", 0, "--json", *office.soc()) == EXIT_UNAVAILABLE
    assert _lines(capsys)[0]["handled"] is False
    assert len({one.command_id for one in office.topic.commands}) == 3


def test_a_broker_that_is_away_is_unreachable(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    office.topic.is_away = True
    assert office.run("ack", office.incident_id, *office.soc()) == EXIT_UNAVAILABLE
    assert office.incident.state == "open"


def test_it_waits_for_the_answer_and_not_longer(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.topic.is_idle = True
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            office.world.put(office.topic.commands[-1])

    monkeypatch.setattr(incident_desk, "pause", sleep)
    assert office.run("ack", office.incident_id, *office.soc()) == EXIT_OK
    assert len(waited) == 3


def test_an_incident_goes_to_an_enabled_account_that_may_handle_it(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    office.account("chen.hua", "responder")
    office.account("zhao.min", "auditor")
    assert office.run("assign", office.incident_id, "nobody.here", *office.soc()) == EXIT_USAGE
    assert office.run("assign", office.incident_id, "zhao.min", *office.soc()) == EXIT_USAGE
    assert "role soc or responder" in capsys.readouterr().err
    assert office.topic.commands == []
    assert office.run("assign", office.incident_id, "chen.hua", *office.soc()) == EXIT_OK
    assert (office.incident.assignee, office.incident.state) == ("chen.hua", "assigned")


def test_containment_takes_two_people_where_configured(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    office.more('[response]\ntwo_people = ["contain_actor"]\n')
    words = ("contain", office.incident_id, *UNTIL, "--why", "copies numbers")
    first, second = office.account("chen.hua", "responder"), office.account("lin.meng", "dpo")
    assert office.run(*words, *first) == EXIT_FORBIDDEN
    assert "takes two people" in capsys.readouterr().err
    assert office.run(*words, *first, "--second-token-file", first[1]) == EXIT_FORBIDDEN
    assert office.topic.commands == []
    assert office.run(*words, *first, "--second-token-file", second[1]) == EXIT_OK
    assert office.topic.commands[0].why == "copies numbers (with lin.meng)"
    assert office.run("contain", office.incident_id, "--until", "2020-01-01", "--why", "x", *first,
                      "--second-token-file", second[1]) == EXIT_USAGE  # fmt: skip


CHANGING = (
    ("ack", "@"), ("assign", "@", "li.wei"), ("comment", "@", "text"), ("contain", "@", *UNTIL, "--why", "x"),
    ("resolve", "@", "--verdict", "test"), ("reopen", "@", "--why", "x"), ("link", "@", "@"), ("unlink", "@", "@"),
    ("breach", "suspect", "@", "--known-at", "2026-01-01", "--why", "x"),
    ("breach", "step", "@", "counted", "--why", "x"), ("breach", "step", "@", "handling_ended", "--why", "x"),
    ("breach", "decide-not", "@", "cn-pipl-57-individuals", "--why", "x"),
    ("breach", "export", "@", "file.json", "--reason", "x"),
)  # fmt: skip


@pytest.mark.parametrize("words", CHANGING, ids=lambda words: "-".join(words[:2]))
def test_nobody_changes_anything_without_an_account_or_without_the_role(
    office: Office, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    given = [office.incident_id if word == "@" else word for word in words]
    assert office.run(*given) == EXIT_FORBIDDEN
    assert "--token-file" in capsys.readouterr().err
    assert office.run(*given, *office.account("op.one", "operator")) == EXIT_FORBIDDEN
    assert "it needs the role" in capsys.readouterr().err
    assert office.topic.commands == []


def test_reasons_are_masked_and_must_be_there(office: Office) -> None:
    assert office.run("comment", office.incident_id, "call 13812345678", *office.soc()) == EXIT_OK
    assert office.topic.commands[0].why == "call 138****5678"
    assert office.run("comment", office.incident_id, "  ", *office.soc()) == EXIT_USAGE
    assert office.run("reopen", office.incident_id, "--why", "x" * 2001, *office.soc()) == EXIT_USAGE
    assert len(office.topic.commands) == 1


def test_several_are_acknowledged_at_once_and_the_worst_answer_counts(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    office.world.put(alert(9, incident_key=OTHER_KEY))
    other = office.world.incident(OTHER_KEY)
    office.world.put(command("resolve", incident_key=OTHER_KEY, verdict="test"))
    assert office.run("ack", office.incident_id, other.incident_id, "--json", *office.soc()) == EXIT_USAGE
    assert [one["transition"] for one in _lines(capsys)] == ["acknowledged", "refused"]


def test_an_unknown_incident_is_told(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    assert office.run("ack", "ffffffff", *office.soc()) == EXIT_USAGE
    assert "there is no incident ffffffff" in capsys.readouterr().err


# -- links


def test_incidents_are_linked_and_unlinked(office: Office) -> None:
    office.world.put(alert(9, incident_key=OTHER_KEY))
    other = office.world.incident(OTHER_KEY)
    assert office.run("link", office.incident_id, other.incident_id, *office.soc()) == EXIT_OK
    assert list(office.incident.links) == [other.incident_id]
    assert list(office.world.incident(OTHER_KEY).links) == [office.incident_id]
    assert office.run("unlink", office.incident_id, other.incident_id, *office.soc()) == EXIT_OK
    assert office.incident.links == {}


def test_one_is_merged_into_the_other(office: Office) -> None:
    office.world.put(alert(9, incident_key=OTHER_KEY))
    other = office.world.incident(OTHER_KEY)
    assert office.run("link", office.incident_id, other.incident_id, "--merge", *office.soc()) == EXIT_OK
    assert office.world.incident(OTHER_KEY).merged_into == office.incident_id
    assert office.incident.all_alerts == 3


def test_a_campaign_is_opened_and_joined_by_name(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    office.world.put(alert(9, incident_key=OTHER_KEY))
    other = office.world.incident(OTHER_KEY)
    words = ("link", office.incident_id, "--campaign", "november")
    assert office.run(*words, *office.soc()) == EXIT_OK
    assert office.run("link", other.incident_id, "--campaign", "november", *office.soc()) == EXIT_OK
    campaign = office.world.incident(f"{TENANT}:campaign:november")
    assert set(campaign.links) == {office.incident_id, other.incident_id}
    for wrong in (("--merge",), ("--campaign", "a:b"), ("--campaign", " ")):
        assert office.run(*words, *wrong, *office.soc()) == EXIT_USAGE
    assert office.run("link", office.incident_id, *office.soc()) == EXIT_USAGE


# -- reading


def test_a_list_needs_no_account_and_shows_what_outsiders_rely_on(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    assert office.run("list", "--json") == EXIT_OK
    (row,) = _lines(capsys)
    assert {name: row[name] for name in ("incident_id", "state", "severity", "key", "alerts")} == {
        "incident_id": office.incident_id, "state": "open", "severity": "high", "key": KEY, "alerts": 2,
    }  # fmt: skip
    assert row["actor_token"] == ACTOR
    assert row["resolved"] is None
    assert office.run("list", "--language", "zh") == EXIT_OK
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split()[:3] == ["编号", "状态", "级别"]
    assert "未处理" in shown[1]


def test_closed_incidents_are_listed_where_asked_for(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    office.world.put(command("resolve", verdict="false_positive"))
    assert office.run("list", "--json") == EXIT_OK
    assert _lines(capsys) == []
    for wanted in (("--all",), ("--state-is", "resolved")):
        assert office.run("list", *wanted) == EXIT_OK
        assert "resolved (false positive)" in capsys.readouterr().out


def test_an_incident_is_shown_with_its_alerts_its_log_and_who_was_told(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    office.run("ack", office.incident_id, "--why", "mine", *office.soc())
    office.run("reopen", office.incident_id, "--why", "too early", *office.soc())
    capsys.readouterr()
    assert office.run("show", office.incident_id) == EXIT_OK
    shown = capsys.readouterr().out
    for expected in ("Alert 2.", "告警 2。", "bulk_export", "li.wei", "mine", "the incident is not closed", "chat"):
        assert expected in shown
    assert office.run("show", office.incident_id, "--json") == EXIT_OK
    (document,) = _lines(capsys)
    assert [one["transition"] for one in document["timeline"]] == ["opened", "joined", "acknowledged", "refused"]
    assert len(document["alert_list"]) == 2
    assert document["breach"] is None
    assert office.run("show", office.incident_id, "--language", "zh") == EXIT_OK
    assert "经过" in capsys.readouterr().out


def test_statistics_are_told_for_people_and_programs(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    assert office.run("stats", "--from", "2026-11-01", "--to", "2026-12-01", "--json") == EXIT_OK
    (row,) = _lines(capsys)
    assert (row["days"], row["alerts_a_day"], row["detectors"]["bulk_export"]["precision"]) == (30, 2, 0.75)
    assert office.run("stats") == EXIT_OK
    shown = capsys.readouterr().out
    assert "to acknowledge: median 0:01:35, 9 of 10 within 1:07:00 (4)" in shown
    assert "75%" in shown


# -- feedback


def test_an_exception_is_wished_for_whom_the_incident_is_about(office: Office) -> None:
    wish = ExceptionWish.of(view(office.incident), "wu.ling", "yearly audit", 14)
    assert wish.scope == {"actor": ACTOR}
    assert wish.detectors == ("bulk_export", MODEL_DETECTOR)
    assert wish.up_to == 9500


def test_what_no_exception_can_be_made_of_is_refused(office: Office) -> None:
    office.world.put(alert(9, incident_key=f"{TENANT}:system:lag", detector="system:lag"))
    with pytest.raises(UsageError, match="no exception can be made"):
        ExceptionWish.of(view(office.world.incident(f"{TENANT}:system:lag")), "wu.ling", "why", 14)


def test_an_exception_follows_the_verdict_and_takes_the_role_of_an_analyst(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[ExceptionWish] = []
    monkeypatch.setattr(incident_actions, "make_exception", lambda _, wish, account, **__: made.append(wish))
    words = ("resolve", office.incident_id, "--verdict", "benign", "--why", "CHG-2231", "--except", "--days", "7")
    assert office.run(*words, *office.soc()) == EXIT_FORBIDDEN
    assert office.topic.commands == []
    both = office.account("lin.meng", "soc", "analyst")
    assert office.run("resolve", office.incident_id, "--verdict", "true_positive", "--except", *both) == EXIT_USAGE
    assert office.run(*words, *both) == EXIT_OK
    assert [(one.owner, one.reason, one.days) for one in made] == [("lin.meng", "CHG-2231", 7)]
    assert office.run(*words, *both) == EXIT_USAGE
    assert len(made) == 1


# -- words


def test_every_state_verdict_and_reason_has_words_in_both_languages() -> None:
    assert set(STATES) == set(ENGINE_STATES)
    for words in (*STATES.values(), *VERDICTS.values(), *TRANSITIONS.values()):
        assert len(words) == len(LANGUAGES)
        assert words[0] != words[1]
    for code in CODES:
        assert why_not(code, "en") != why_not(code, "zh")
    assert why_not("one of tomorrow", "zh") == "one of tomorrow"


@pytest.mark.parametrize("transition", ["opened", "refused", "no_change", "", "one of tomorrow"])
def test_any_outcome_can_be_said(transition: str) -> None:
    for language in LANGUAGES:
        assert in_words(Outcome("c", "3fa94c21", transition, "already", "open"), 15, language)
