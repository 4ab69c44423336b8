"""`accesstrail incidents breach`: suspicion, counts, decisions and drafts, from the log that the engine writes."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.breach_counts import SubjectCounts
from pipeline.breach.model import Counted
from pipeline.errors import EXIT_FORBIDDEN, EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE
from tests.incident_desk import Office
from tests.incident_logs import KEY, OTHER_KEY, alert

PIPL, GDPR = "cn-pipl-57-individuals", "eu-gdpr-33"


def _known() -> datetime:
    """Two hours ago, asked anew in each test: what is read while tests are collected is old when they run."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    return Office(tmp_path, monkeypatch)


def _dpo(office: Office) -> tuple[str, ...]:
    return office.account("sun.yi", "dpo")


def _suspect(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("suspect", office.incident_id, "--known-at", _known().isoformat(), "--why", "numbers seen outside")
    assert office.run("breach", *words, *_dpo(office)) == EXIT_OK
    capsys.readouterr()


def _clock(office: Office, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert office.run("breach", "clock", office.incident_id, "--json") == EXIT_OK
    document: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return document


def _duty(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in document["duties"] if one["duty"] == name)
    return found


def _step(office: Office, *words: str) -> int:
    return office.run("breach", "step", office.incident_id, *words, "--why", "as said", *_dpo(office))


def test_a_suspicion_starts_the_clock_and_writes_the_first_count(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    assert office.run("breach", "clock", office.incident_id) == EXIT_USAGE
    _suspect(office, capsys)
    assert [row.name for row in office.world.rows][-2:] == ["suspect_breach", "breach_step"]
    assert json.loads(office.world.rows[-1].detail)["detail"]["subjects_all"] == 12
    document = _clock(office, capsys)
    assert (document["counts"]["subjects_all"], document["counts"]["minors"], document["known_by"]) == (12, 1, "sun.yi")
    assert _duty(document, PIPL)["state"] == "due"
    assert _duty(document, "cn-irm-4-other")["state"] == "not_required"
    # Two hours after discovery a report within four hours is due, once the millionth person is counted.
    office.evidence.now = SubjectCounts(Counted(at_us=1, subjects_all=1_000_000), unlisted=3)
    grown = _clock(office, capsys)
    assert 1.9 < _duty(grown, "cn-irm-4-other")["hours_left"] < 2.1
    assert grown["unlisted"] == 3


def test_a_smaller_count_later_takes_no_duty_away(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    office.evidence.now = SubjectCounts(Counted(at_us=1, subjects_all=1_000_000))
    _suspect(office, capsys)
    office.evidence.now = SubjectCounts(Counted(at_us=1, subjects_all=2))
    assert _clock(office, capsys)["counts"]["subjects_all"] == 1_000_000
    assert _duty(_clock(office, capsys), "cn-irm-4-other")["state"] == "due"


def test_what_is_counted_is_the_incident_and_what_was_merged_into_it(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    office.world.put(alert(9, incident_key=OTHER_KEY, event_time_us=1_794_000_000_000_000))
    other = office.world.incident(OTHER_KEY)
    assert office.run("link", office.incident_id, other.incident_id, "--merge", *office.soc()) == EXIT_OK
    _suspect(office, capsys)
    scopes = office.evidence.asked[-1]
    assert [(one.incident_key, one.kind) for one in scopes] == [(KEY, "actor"), (OTHER_KEY, "subject")]
    assert scopes[1].period.from_us == scopes[1].period.to_us == 1_794_000_000_000_000
    assert _step(office, "period", "--from", "2026-11-01", "--to", "2026-11-02") == EXIT_OK
    _clock(office, capsys)
    assert {one.period.to_us - one.period.from_us for one in office.evidence.asked[-1]} == {86_400_000_000}


def test_steps_are_read_back_from_the_log(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    _suspect(office, capsys)
    assert _step(office, "stated", "--fact", "high_risk") == EXIT_OK
    assert _step(office, "done", "--law", PIPL) == EXIT_OK
    assert _step(office, "text", "--field", "cause", "--zh", "账号被盗，电话 13812345678") == EXIT_OK
    document = _clock(office, capsys)
    assert document["facts"] == ["high_risk"]
    assert _duty(document, PIPL)["state"] == "done"
    assert office.run("breach", "draft", office.incident_id, "cn-irm-4-other", "--language", "zh") == EXIT_OK
    text = capsys.readouterr().out
    assert "账号被盗，电话 138****5678" in text
    assert "13812345678" not in json.dumps([row.detail for row in office.world.rows])
    earlier = (_known() - timedelta(days=1)).isoformat()
    assert _step(office, "known_at", "--at", earlier) == EXIT_OK
    assert _step(office, "handling_ended") == EXIT_OK
    assert _clock(office, capsys)["why"] == "as said"


def test_a_count_is_written_with_a_step_only_where_the_log_knows_less(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    _suspect(office, capsys)
    before = len(office.topic.commands)
    assert _step(office, "stated", "--fact", "harm") == EXIT_OK
    assert len(office.topic.commands) == before + 1
    office.evidence.now = replace(office.evidence.now, counted=Counted(at_us=1, subjects_all=13))
    assert _step(office, "stated", "--fact", "high_risk") == EXIT_OK
    assert len(office.topic.commands) == before + 3
    assert _step(office, "counted") == EXIT_OK
    assert len(office.topic.commands) == before + 4


def test_not_telling_takes_two_people_and_falls_when_much_more_is_known(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    _suspect(office, capsys)
    words = ("breach", "decide-not", office.incident_id, PIPL, "--why", "measures avoid the harm", *_dpo(office))
    second = office.account("chen.hua", "responder")[1]
    assert office.run(*words) == EXIT_FORBIDDEN
    assert office.run(*words, "--second-token-file", _dpo(office)[1]) == EXIT_FORBIDDEN
    assert office.run(*words, "--second-token-file", second) == EXIT_OK
    assert office.world.rows[-1].by == "sun.yi"
    capsys.readouterr()
    waived = _duty(_clock(office, capsys), PIPL)
    assert waived["state"] == "not_required"
    assert waived["reason"]["en"] == "waived by sun.yi and chen.hua: measures avoid the harm"
    office.evidence.now = replace(office.evidence.now, counted=Counted(at_us=1, subjects_all=24))
    again = _duty(_clock(office, capsys), PIPL)
    assert (again["state"], again["outdated"]) == ("due", True)
    assert office.run(*(word if word != PIPL else "no-such-duty" for word in words),
                      "--second-token-file", second) == EXIT_USAGE  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        ("done",), ("done", "--law", "no-such-duty"), ("stated",), ("stated", "--law", PIPL), ("known_at",),
        ("period", "--from", "2026-11-02"), ("period", "--from", "2026-11-02", "--to", "2026-11-01"), ("text",),
        ("text", "--field", "cause"), ("counted", "--fact", "harm"), ("handling_ended", "--at", "2026-11-01"),
        ("text", "--field", "cause", "--en", "x" * 4001),
    ],
)  # fmt: skip
def test_a_step_takes_its_own_options_and_no_others(
    office: Office, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    _suspect(office, capsys)
    before = len(office.topic.commands)
    assert _step(office, *words) == EXIT_USAGE
    assert len(office.topic.commands) == before


def test_only_a_data_protection_officer_says_that_somebody_was_told(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    _suspect(office, capsys)
    responder = office.account("chen.hua", "responder")
    words = ("breach", "step", office.incident_id, "done", "--law", PIPL, "--why", "x")
    assert office.run(*words, *responder) == EXIT_FORBIDDEN
    assert office.run("breach", "step", office.incident_id, "counted", "--why", "x", *responder) == EXIT_OK


def test_discovery_lies_in_the_past(office: Office) -> None:
    words = ("--known-at", "2099-01-01", "--why", "x", *_dpo(office))
    assert office.run("breach", "suspect", office.incident_id, *words) == EXIT_USAGE


def test_a_suspicion_that_waits_is_followed_by_no_count(office: Office) -> None:
    office.topic.is_idle = True
    words = ("suspect", office.incident_id, "--known-at", _known().isoformat(), "--why", "x", "--wait", "0")
    assert office.run("breach", *words, *_dpo(office)) == EXIT_UNAVAILABLE
    assert len(office.topic.commands) == 1


def test_the_clock_is_told_in_both_languages(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    office.evidence.now = replace(office.evidence.now, unlisted=7)
    _suspect(office, capsys)
    assert office.run("breach", "clock", office.incident_id) == EXIT_OK
    shown = capsys.readouterr().out
    assert "set by sun.yi: numbers seen outside" in shown
    assert "at least 7 more" in shown
    assert PIPL in shown
    assert office.run("show", office.incident_id, "--language", "zh") == EXIT_OK
    assert "疑似泄露，发现时间" in capsys.readouterr().out
    assert office.run("breach", "draft", office.incident_id, GDPR, "--json") == EXIT_OK
    assert json.loads(capsys.readouterr().out)["markdown"].startswith("# Report (draft)")


def test_the_operators_profile_says_which_duties_there_are(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    office.more('[operator]\njurisdictions = ["CN"]\nwithout_delay_hours = 12\n')
    _suspect(office, capsys)
    document = _clock(office, capsys)
    assert {one["duty"].split("-")[0] for one in document["duties"]} == {"cn"}
    assert 9.9 < _duty(document, PIPL)["hours_left"] < 10.1
    assert office.run("breach", "draft", office.incident_id, GDPR) == EXIT_USAGE


def test_everything_of_the_log_is_exported_once_0600_and_canonical(
    office: Office, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _suspect(office, capsys)
    file = tmp_path / "timeline.json"
    reason = ("--reason", "annex to the report")
    assert office.run("breach", "export", office.incident_id, file, "--json", *reason, *_dpo(office)) == EXIT_OK
    assert json.loads(capsys.readouterr().out)["rows"] == 4
    text = file.read_text(encoding="utf-8")
    document = json.loads(text)
    assert text == json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one["transition"] for one in document["timeline"]] == [
        "opened",
        "joined",
        "breach_suspected",
        "breach_step",
    ]
    assert document["breach"]["counts"]["subjects_all"] == 12
    assert document["exported_by"] == "sun.yi"
    assert office.run("breach", "export", office.incident_id, file, *reason, *_dpo(office)) == EXIT_USAGE
    assert file.read_text(encoding="utf-8") == text
