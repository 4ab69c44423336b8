"""Alert rules are what Grafana's schema takes, say what is wrong in two languages, and lead to the panel showing it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboards.grafana.alert_rules import AlertRule, as_rule, group_body, group_file, rule_sql, rules
from dashboards.grafana.build import dashboard
from dashboards.grafana.macros import faults_of
from dashboards.panels.boards import board
from tests.grafana_schemas import faults

RULES = rules()


@pytest.mark.parametrize("receiver", ["", "accesstrail"])
def test_every_rule_is_valid_by_grafanas_schema(receiver: str, real_data: Path) -> None:
    for one in group_body(RULES, folder="accesstrail", receiver=receiver)["rules"]:
        assert faults(real_data, "alerting", "Rule", one) == []
        assert ("notification_settings" in one) == bool(receiver)


def test_each_is_there_once_and_the_words_are_in_both_languages() -> None:
    assert {one.uid.removeprefix("accesstrail-") for one in RULES} == {
        "sealed", "lag", "silence", "unscored", "undelivered", "scheduler",
    }  # fmt: skip
    for one in RULES:
        for words in (one.title, one.summary, one.description):
            assert words.en
            assert any("一" <= character <= "鿿" for character in words.zh)
            assert words.en.isascii()


@pytest.mark.parametrize("rule", RULES, ids=lambda one: one.uid)
def test_the_threshold_stands_on_the_one_query_and_words_use_no_other(rule: AlertRule) -> None:
    built = as_rule(rule, receiver="")
    query, threshold = built["data"]
    assert (query["refId"], threshold["model"]["type"], threshold["model"]["expression"]) == ("A", "threshold", "A")
    assert built["condition"] == threshold["refId"]
    assert faults_of(rule_sql(rule), []) == []
    for words in (built["annotations"]["summary"], built["annotations"]["summary_zh"]):
        assert "$values.A.Value" in words
        assert "$values.B" not in words
        labels = {part.split(" ")[0].rstrip("}") for part in words.split("$labels.")[1:]}
        assert labels
        assert all(f" AS {label}" in rule.sql for label in labels)
    # A rule that waits for less than one evaluation flaps; one that asks for less time than it looks back is blind.
    assert rule.for_s >= 60
    assert built["for"].endswith("m")


@pytest.mark.parametrize("rule", RULES, ids=lambda one: one.uid)
def test_a_rule_leads_to_the_panel_that_shows_the_same(rule: AlertRule) -> None:
    shown = board(rule.panel[0])
    assert shown is not None
    built = dashboard(shown, "en", zone="UTC")
    annotations = as_rule(rule, receiver="")["annotations"]
    assert annotations["__dashboardUid__"] == built["uid"]
    found = next(one for one in built["panels"] if str(one["id"]) == annotations["__panelId__"])
    wanted = next(one for one in shown.panels if one.uid == rule.panel[1])
    assert found["title"] == wanted.title.en


def test_no_answer_is_an_alarm_only_where_rows_are_a_sign_of_life() -> None:
    assert {one.uid for one in RULES if one.no_data == "Alerting"} == {"accesstrail-sealed", "accesstrail-scheduler"}
    states = {one["uid"]: one["execErrState"] for one in group_file(RULES, folder_title="x", receiver="")["rules"]}
    assert [uid for uid, state in states.items() if state == "Alerting"] == ["accesstrail-sealed"]
