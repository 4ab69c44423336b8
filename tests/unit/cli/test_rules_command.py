"""`accesstrail rules`: the table, the cases, the run over history."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from detectors.rules import all_rules
from detectors.rules.rule import Rule
from pipeline.cli import rules as command
from pipeline.errors import UsageError
from tests.unit.flow.test_backtest import EVENTS, IDS


def invoke(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(command.rules_command, list(words), standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return int(result.return_value or 0), result.stdout


def test_the_list_shows_every_rule_the_gravest_first() -> None:
    status, shown = invoke("list")
    assert status == 0
    assert [line.split()[0] for line in shown.splitlines()[1:]] == [rule.name for rule in all_rules()]


def test_the_list_as_json_holds_both_languages_and_the_runbook() -> None:
    _, shown = invoke("list", "self_grant", "--json")
    (rule,) = map(json.loads, shown.splitlines())
    assert rule["floor"] == 90
    assert set(rule["title"]) == {"en", "zh"}
    assert set(rule["runbook"]) == {"check", "contain", "ask"}
    assert len(rule["silent_on"]) >= 3
    assert rule["articles"] == ["pipl-51"]


def test_an_unknown_rule_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no such rule: self_grnat"):
        invoke("list", "self_grnat")


def test_all_cases_pass() -> None:
    assert invoke("test") == (0, "")


def test_a_failing_case_is_named_and_ends_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    (rule,) = (rule for rule in all_rules() if rule.name == "self_grant")
    silent = dataclasses.replace(rule, holds=lambda facts: ~facts.judged)
    monkeypatch.setattr(command, "all_rules", lambda: (silent,))
    status, shown = invoke("test")
    assert status == 1
    assert "self_grant: holds: an administrator: the rule was silent" in shown
    assert len(shown.splitlines()) == len(rule.cases.holds)


def test_cases_as_json_say_what_was_expected() -> None:
    _, shown = invoke("test", "break_glass", "--json")
    cases = [json.loads(line) for line in shown.splitlines()]
    assert {one["sort"] for one in cases} == {"holds", "silent", "look-alike"}
    assert all(one["passed"] and one["floor"] == one["expected"] for one in cases)


@pytest.fixture
def company(tmp_path: Path) -> Path:
    (tmp_path / "events.ndjson").write_text("".join(json.dumps(one) + "\n" for one in EVENTS), encoding="utf-8")
    (tmp_path / "directory").mkdir()
    (tmp_path / "labels.csv").write_text(f"event_id,scenario,attack_id\n{IDS[1]},bulk_export,a-1\n", encoding="utf-8")
    (tmp_path / "twins.csv").write_text(f"event_id,scenario,twin_id\n{IDS[4]},bulk_export,t-1\n", encoding="utf-8")
    return tmp_path


def words(company: Path, *more: str) -> list[str]:
    return ["backtest", str(company / "events.ndjson"), "--directory", str(company / "directory"), *more]


def test_a_backtest_prints_rules_days_and_the_sum(company: Path) -> None:
    status, shown = invoke(*words(company, "--rule", "bulk_export"))
    assert status == 0
    assert shown.splitlines()[1].split() == ["bulk_export", "4", "1.33", "3", "3", "3"]
    assert "2026-09-01  2     1" in shown
    assert "7 events of 2 actors in 3 days: 3 alerts" in shown
    assert "attacks" not in shown


def test_labels_and_twins_add_their_columns(company: Path) -> None:
    labels, twins = str(company / "labels.csv"), str(company / "twins.csv")
    _, shown = invoke(*words(company, "--labels", labels, "--twins", twins))
    assert "1 attacks: 1 hit by a rule, 1 alerted" in shown
    _, as_json = invoke(*words(company, "--labels", labels, "--twins", twins, "--json"))
    found = json.loads(as_json)
    (export,) = (one for one in found["rules"] if one["rule"] == "bulk_export")
    assert (export["attack_hits"], export["twin_hits"], export["other_hits"]) == (1, 1, 2)


def test_a_file_of_other_columns_is_a_usage_error(company: Path) -> None:
    with pytest.raises(UsageError, match="no CSV with event_id and attack_id"):
        invoke(*words(company, "--labels", str(company / "twins.csv")))


def test_invalid_lines_are_told_by_the_exit_status(company: Path) -> None:
    with (company / "events.ndjson").open("a", encoding="utf-8") as file:
        file.write("{}\n")
    assert invoke(*words(company))[0] == 65
    assert invoke(*words(company, "--skip-invalid"))[0] == 0


def test_a_rule_is_described_without_its_code() -> None:
    _, shown = invoke("list", "--json")
    assert len(shown.splitlines()) == len(all_rules())
    assert "function" not in shown
    assert isinstance(all_rules()[0], Rule)
