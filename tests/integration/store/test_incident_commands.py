"""`accesstrail incidents` reads the real store: lists, one incident, a breach's clock, its export, exclusions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pipeline.adapters.incident_store import open_incidents
from pipeline.adapters.store import ClickHouseStore
from pipeline.cli import announcing
from pipeline.cli.incidents import incidents_command
from pipeline.config import load
from pipeline.events import LogPosition
from pipeline.privacy.keys import new_key_file
from tests.accounts import token_file
from tests.incident_logs import START_US
from tests.integration.store.test_breach_counts import ACTOR, Evidence
from tests.integration.store.test_incidents import Company
from tests.looks import FakeKafka

pytestmark = pytest.mark.stack


class System:
    """A configuration over the shared store, an incident with evidence in it, and the command."""

    def __init__(
        self, clickhouse: Any, folder: Path, store: ClickHouseStore, position: LogPosition, company: Company
    ) -> None:
        new_key_file(folder / "token-keys.json")
        (folder / "directory").mkdir()
        passwords = "\n".join(f'{role}_password_file = "{path}"' for role, path in clickhouse.password_files.items())
        self.file = folder / "config.toml"
        self.file.write_text(
            f'[kafka]\nbootstrap_servers = "127.0.0.1:1"\n[clickhouse]\nhost = "{clickhouse.host}"\n'
            f"native_port = {clickhouse.native_port}\nhttp_port = {clickhouse.http_port}\n{passwords}\n"
            '[protection]\ntoken_keys_file = "token-keys.json"\n[detection]\ndirectory = "directory"\n',
            encoding="utf-8",
        )
        self.company, self.evidence = company, Evidence(company, store, position)
        self.incident_id = company.incident(ACTOR.hex()).incident_id
        self.state_dir = load(self.file, {}).state_dir

    def command(self, *words: str) -> str:
        result = CliRunner().invoke(
            incidents_command, [*words, "--config", str(self.file)], catch_exceptions=False, standalone_mode=False
        )
        assert result.return_value == 0, result.output
        return result.stdout


@pytest.fixture
def system(clickhouse_settings: Any, tmp_path: Path, store: ClickHouseStore, position: LogPosition) -> Any:
    incidents = open_incidents(clickhouse_settings)
    yield System(clickhouse_settings, tmp_path, store, position, Company(incidents))
    incidents.close()


def test_incidents_are_listed_and_shown_from_the_store(system: System) -> None:
    listed = [json.loads(line) for line in system.command("list", "--limit", "10000", "--json").splitlines()]
    (mine,) = [one for one in listed if one["incident_id"] == system.incident_id]
    assert (mine["state"], mine["alerts"], mine["key"]) == ("open", 1, system.company.key(ACTOR.hex()))
    system.company.command("acknowledge", key=ACTOR.hex())
    shown = json.loads(system.command("show", system.incident_id, "--json"))
    assert shown["state"] == "acknowledged"
    assert [one["alert_id"] for one in shown["alert_list"]] == [str(system.evidence.alert_id)]
    assert [one["transition"] for one in shown["timeline"]] == ["opened", "acknowledged"]
    for language, word in (("en", "acknowledged"), ("zh", "已确认")):
        assert word in system.command("show", system.incident_id, "--language", language)
    assert "to acknowledge" in system.command("stats", "--from", "2026-11-01", "--to", "2026-12-31")


def test_a_breach_is_counted_from_the_evidence_and_read_back_from_the_log(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka = FakeKafka()
    monkeypatch.setattr(announcing, "open_read_announcer", lambda *_: kafka)
    system.company.command("suspect_breach", key=ACTOR.hex(), known_at_us=START_US - 7)
    at = {"from_us": START_US, "to_us": START_US + 3_000_000}
    system.company.command("breach_step", key=ACTOR.hex(), step="period", detail=at)
    system.company.command("breach_step", key=ACTOR.hex(), step="stated", detail={"fact": "harm"})
    document = json.loads(system.command("breach", "clock", system.incident_id, "--json"))
    assert document["counts"] == {
        "subjects_all": 4, "subjects_sensitive": 3, "minors": 2, "subjects_eu": 3, "records": 17,
    }  # fmt: skip
    assert (document["unlisted"], document["facts"], document["categories"]) == (8, ["harm"], ["address", "phone"])
    assert "eu-gdpr-33" in {one["duty"] for one in document["duties"] if one["state"] in ("due", "overdue")}
    auditor = ("--token-file", str(token_file(system.state_dir, "zhao.min", "auditor")))
    file = str(tmp_path / "timeline.json")
    system.command("breach", "export", system.incident_id, file, "--reason", "annex to the report", *auditor)
    assert [(read.look, read.about, read.rows) for read in kafka.told] == [("incident_export", system.incident_id, 5)]
    system.command("breach", "clock", system.incident_id, *auditor)
    assert [(read.look, read.about) for read in kafka.told[1:]] == [("incident", system.incident_id)]
    exported = json.loads((tmp_path / "timeline.json").read_text(encoding="utf-8"))
    assert len(exported["timeline"]) == 4
    assert exported["breach"]["counts"]["minors"] == 2


def test_exclusions_name_the_events_of_an_open_incident(system: System) -> None:
    said = {one["event_id"]: one["why"] for one in map(json.loads, system.command("exclusions").splitlines())}
    assert said[system.evidence.event_ids[0]] == "disputed"
    system.company.command("resolve", key=ACTOR.hex(), verdict="true_positive")
    said = {one["event_id"]: one["why"] for one in map(json.loads, system.command("exclusions").splitlines())}
    assert said[system.evidence.event_ids[0]] == "true_positive"
