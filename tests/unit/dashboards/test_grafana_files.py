"""Provisioning files: YAML that Grafana's reader takes, no secret in any of them, the same bytes every time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from dashboards.grafana.build import dashboard
from dashboards.grafana.provisioning import board_files, files
from dashboards.grafana.publish import Contact, Store, Wanted
from dashboards.panels.boards import BOARDS
from tests.grafana_samples import SAMPLES
from tests.grafana_schemas import faults

PASSWORD, ADDRESS = "the-store-password", "https://hooks.example.com/secret-part"
WANTED = Wanted(
    boards=SAMPLES, languages=("en", "zh"), zone="Asia/Shanghai",
    store=Store("clickhouse", 9000, "accesstrail", tls=True, password=PASSWORD), contact=Contact("webhook", ADDRESS),
)  # fmt: skip


def read(path: str, wanted: Wanted = WANTED) -> dict[str, Any]:
    found = yaml.safe_load(files(wanted)[path])
    assert isinstance(found, dict)
    assert found["apiVersion"] == 1
    return found


def test_no_secret_is_in_a_file_and_the_bytes_repeat() -> None:
    made = files(WANTED)
    assert made == files(WANTED)
    assert all(PASSWORD not in text and ADDRESS not in text for text in made.values())
    assert set(made) == {
        "datasources/accesstrail.yaml", "dashboards/accesstrail.yaml", "alerting/accesstrail.yaml",
        "dashboards/sample-overview.json", "dashboards/sample-overview.zh.json",
        "dashboards/one-actor.json", "dashboards/one-actor.zh.json",
    }  # fmt: skip


def test_the_data_source_asks_as_grafana_with_a_password_from_a_file() -> None:
    (source,) = read("datasources/accesstrail.yaml")["datasources"]
    assert source["type"] == "grafana-clickhouse-datasource"
    assert source["secureJsonData"] == {"password": "$__file{/run/secrets/clickhouse-grafana}"}
    assert source["jsonData"] | {"username": "grafana", "secure": True, "tlsSkipVerify": False} == source["jsonData"]
    assert source["editable"] is False


def test_dashboards_lie_where_their_provider_looks_and_are_those_that_are_published() -> None:
    (provider,) = read("dashboards/accesstrail.yaml")["providers"]
    assert provider["options"]["path"] == "/etc/grafana/provisioning/dashboards"
    assert provider["folderUid"] == "accesstrail"
    made = files(WANTED)
    assert json.loads(made["dashboards/one-actor.zh.json"]) == dashboard(SAMPLES[1], "zh", zone="Asia/Shanghai")
    assert board_files(replace(WANTED, boards=BOARDS, languages=("en",))).keys() == {f"{b.uid}.json" for b in BOARDS}


def test_rules_name_their_contact_point_and_leave_the_policies_alone(real_data: Path) -> None:
    document = read("alerting/accesstrail.yaml")
    assert set(document) == {"apiVersion", "groups", "contactPoints"}
    (group,) = document["groups"]
    assert (group["folder"], group["interval"], len(group["rules"])) == ("accesstrail", "1m", 6)
    for rule in group["rules"]:
        assert rule["notification_settings"] == {"receiver": "accesstrail"}
        assert rule["dashboardUid"] == rule["annotations"]["__dashboardUid__"]
        assert str(rule["panelId"]) == rule["annotations"]["__panelId__"]
        of_api = {key: value for key, value in rule.items() if key not in ("dashboardUid", "panelId")}
        of_api |= {"orgID": 1, "folderUID": "x", "ruleGroup": "x"}
        assert faults(real_data, "alerting", "Rule", of_api) == []
    (point,) = document["contactPoints"]
    assert point["name"] == "accesstrail"
    assert point["receivers"][0]["settings"]["url"] == "$__file{/run/secrets/grafana-contact}"


def test_without_a_contact_there_is_no_contact_point() -> None:
    document = read("alerting/accesstrail.yaml", replace(WANTED, contact=Contact()))
    assert set(document) == {"apiVersion", "groups"}
    assert all("notification_settings" not in rule for rule in document["groups"][0]["rules"])


def test_words_that_grafana_fills_in_survive_the_yaml() -> None:
    rule = read("alerting/accesstrail.yaml")["groups"][0]["rules"][0]
    assert "{{ $labels.topic }}" in rule["annotations"]["summary"]
    assert "$__toTime_ms" in rule["data"][0]["model"]["rawSql"]
