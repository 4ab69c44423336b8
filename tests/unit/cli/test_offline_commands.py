"""simulate, train, score, evaluate, version, check: as a person runs them, without any server."""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard

from detectors.base import MODEL_DETECTOR
from detectors.exceptions import DAY_US
from detectors.rules import all_rules
from pipeline.cli import COMMANDS, main
from pipeline.errors import UsageError
from pipeline.events import DEFAULT_TENANT
from pipeline.privacy.keys import Keyring
from pipeline.stages.decode import decode_event
from pipeline.timestamps import utc_us
from tests.exceptions import exception


def run(*words: str) -> int:
    """Exit code of one command."""
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("company")
    assert run("simulate", "--days", "14", "--actors", "30", "--seed", "4", "--out", str(folder)) == 0
    raw = zstandard.ZstdDecompressor().stream_reader((folder / "events.ndjson.zst").open("rb")).read()
    (folder / "all.ndjson").write_bytes(raw)
    lines = sorted(raw.splitlines(keepends=True), key=_when)
    cut = len(lines) * 6 // 10
    (folder / "history.ndjson").write_bytes(b"".join(lines[:cut]))
    (folder / "rest.ndjson").write_bytes(b"".join(lines[cut:]))
    command = ("train", str(folder / "history.ndjson"), "--directory", str(folder / "directory"))
    assert run(*command, "--model", str(folder / "model")) == 0
    return folder


def _when(line: bytes) -> tuple[int, str]:
    event = json.loads(line)
    return utc_us(event["event_time"]), event["event_id"]


def score(company: Path, name: str, *more: str) -> tuple[list[dict[str, object]], list[dict[str, object]], int]:
    """Scores the rest of the company's events; returns scores, alerts and the exit code."""
    out, alerts = company / f"{name}.scores", company / f"{name}.alerts"
    code = run(
        "score", str(company / "rest.ndjson"), "--directory", str(company / "directory"), "--model",
        str(company / "model"), "--warm-up", str(company / "history.ndjson"), "--output", str(out), "--alerts",
        str(alerts), *more,
    )  # fmt: skip
    return (
        *([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] for path in (out, alerts)),
        code,
    )  # type: ignore[return-value]


def test_every_simulated_event_is_valid_and_no_source_gives_a_number_twice(company: Path) -> None:
    numbers: dict[tuple[str, str, int], str] = {}
    for line in (company / "all.ndjson").read_bytes().splitlines():
        event = decode_event(line, 4_102_444_800_000_000)
        if event.source_seq is not None:
            place = (event.source_system, str(event.source_instance), event.source_seq)
            assert numbers.setdefault(place, event.event_id) == event.event_id
    assert numbers


def test_the_scenarios_are_listed_in_both_languages(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("simulate", "--list") == 0
    listed = capsys.readouterr().out
    assert "partner_harvest  D16 D20 D21" in listed
    assert "窥探名人信息" in listed


def test_labels_and_attacks_name_each_other(company: Path) -> None:
    with (company / "labels.csv").open(encoding="utf-8") as file:
        labelled = {(row["attack_id"], row["scenario"]) for row in csv.DictReader(file)}
    with (company / "attacks.csv").open(encoding="utf-8") as file:
        attacks = list(csv.DictReader(file))
    assert {(row["attack_id"], row["scenario"]) for row in attacks} == labelled
    assert {row["strength"] for row in attacks} == {"weak", "medium", "strong"}


def test_an_unknown_scenario_is_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("simulate", "--days", "3", "--actors", "12", "--seed", "1", "--scenario", "nonesuch")
    assert run(*command, "--out", str(tmp_path / "company")) == UsageError.exit_code
    assert "nonesuch" in capsys.readouterr().err


def test_look_alikes_are_listed_with_days_and_accounts(company: Path) -> None:
    with (company / "lookalikes.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {"shift_swap", "journey"} <= {row["kind"] for row in rows}
    assert all(row["first_day"] <= row["last_day"] and row["actor_id"] for row in rows)


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert run("simulate", "--days", "6", "--actors", "15", "--seed", "9", "--out", str(tmp_path / name)) == 0
    for path in (tmp_path / "one").rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


def test_labels_name_events_that_exist_and_twins_are_no_attacks(company: Path) -> None:
    ids = {json.loads(line)["event_id"] for line in (company / "all.ndjson").read_bytes().splitlines()}
    tables = {}
    for name in ("labels", "twins"):
        with (company / f"{name}.csv").open(encoding="utf-8") as file:
            tables[name] = {row["event_id"] for row in csv.DictReader(file)}
    assert tables["labels"]
    assert tables["labels"] <= ids
    assert not tables["labels"] & tables["twins"]


def test_one_line_for_each_distinct_event_with_exactly_the_documented_keys(company: Path) -> None:
    scores, alerts, code = score(company, "plain")
    given = {
        json.loads(line)["event_id"]: json.loads(line) for line in (company / "rest.ndjson").read_bytes().splitlines()
    }
    assert code == 0
    assert {row["event_id"] for row in scores} == set(given)
    assert len(scores) == len(given)
    assert all(set(row) == {"event_id", "anomaly_score", "risk", "reasons"} for row in scores)
    assert alerts
    for alert in alerts:
        event = given[str(alert["event_id"])]
        assert (alert["event_time"], alert["actor_id"]) == (event["event_time"], event["actor_id"])
        assert set(alert["explanation"]) == {"en", "zh"}  # type: ignore[call-overload]


def test_sorted_input_scores_the_same_in_either_order(company: Path) -> None:
    assert score(company, "sorted")[0] == score(company, "input", "--order", "input")[0]


def _days(company: Path) -> float:
    times = [_when(line)[0] for line in (company / "rest.ndjson").read_bytes().splitlines()]
    return max(1.0, (max(times) - min(times)) / 86_400e6)


def _scheduled(alerts: list[dict[str, object]]) -> list[str]:
    return [str(one["alert_id"]) for one in alerts if str(one["reasons"]).startswith("['scheduled:")]


def test_a_budget_is_kept_and_scheduled_alerts_take_their_share_first(company: Path) -> None:
    found, alerts = (score(company, name, *words)[1] for name, words in (("free", ()), ("budget", ("--budget", "5"))))
    assert len(alerts) <= 5 * _days(company)
    assert len(alerts) > len(_scheduled(alerts)) == len(_scheduled(found)) > 1


def test_of_a_budget_whose_half_is_less_than_the_scheduled_alerts_the_gravest_are_kept(company: Path) -> None:
    """The other half is the stream's, whose findings are not to go unseen."""
    free = score(company, "free")[1]
    found, scheduled = {str(one["alert_id"]): float(str(one["risk"])) for one in free}, _scheduled(free)
    alerts = score(company, "tight", "--budget", str(2 * (len(scheduled) - 0.5) / _days(company)))[1]
    kept = _scheduled(alerts)
    assert len(kept) == len(scheduled) - 1
    assert len(kept) < len(alerts) <= 2 * (len(scheduled) - 0.5)
    assert {found[one] for one in scheduled if one not in kept} == {min(found[one] for one in scheduled)}


def test_a_nightly_budget_says_what_each_midnight_did(company: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    scores, _, code = score(company, "nightly", "--budget", "5", "--nightly", "--json")
    nights = json.loads(capsys.readouterr().out)["nights"]
    assert code == 0
    assert len(nights) == round(_days(company))
    assert all(later["before"] == earlier["after"] for earlier, later in pairwise(nights))
    assert scores == score(company, "at_once", "--budget", "5")[0]


@pytest.mark.parametrize("words", [("--nightly",), ("--nightly", "--budget", "5", "--order", "input")])
def test_nights_need_a_budget_and_the_order_of_event_time(
    company: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("score", str(company / "rest.ndjson"), "--directory", str(company / "directory"), "--model",
               str(company / "model"), "--output", str(company / "none"), *words) == UsageError.exit_code  # fmt: skip
    assert "--nightly needs" in capsys.readouterr().err


def test_scheduled_detectors_run_too_unless_they_are_not_wanted(company: Path) -> None:
    with_them = {str(one["alert_id"]): one for one in score(company, "scheduled")[1]}
    without = {str(one["alert_id"]): one for one in score(company, "unscheduled", "--no-scheduled")[1]}
    added = [one for identity, one in with_them.items() if identity not in without]
    assert without.items() <= with_them.items()
    assert added
    assert all(one["reasons"] == [f"scheduled:{one['detector']}"] for one in added)


def test_the_same_history_gives_the_same_model(company: Path, tmp_path: Path) -> None:
    command = ("train", str(company / "history.ndjson"), "--directory", str(company / "directory"))
    assert run(*command, "--model", str(tmp_path / "again")) == 0
    for path in (company / "model").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_evaluate_reports_recall(company: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Thirty people and eight days of history: a generous budget, for this is about the report.
    score(company, "evaluated", "--budget", "20")
    capsys.readouterr()
    code = run(
        "evaluate", "--scores", str(company / "evaluated.scores"), "--alerts", str(company / "evaluated.alerts"),
        "--labels", str(company / "labels.csv"), "--attacks", str(company / "attacks.csv"), "--events",
        str(company / "rest.ndjson"), "--json",
    )  # fmt: skip
    report = json.loads(capsys.readouterr().out)
    assert code == 0
    assert 0.2 <= report["recall"] <= 1
    assert 0 < report["pr_auc_actor_day"] <= 1


def test_a_damaged_model_is_refused(company: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model").mkdir()
    for path in (company / "model").iterdir():
        (tmp_path / "model" / path.name).write_bytes(path.read_bytes()[:-3] + b"abc")
    words = ("score", str(company / "rest.ndjson"), "--directory", str(company / "directory"))
    assert run(*words, "--model", str(tmp_path / "model"), "--output", str(tmp_path / "s")) == 65
    assert "train again" in capsys.readouterr().err


def test_invalid_lines_are_named_and_exit_65(company: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.ndjson").write_bytes(b'{"schema_version":1}\n')
    words = ("score", str(tmp_path / "bad.ndjson"), "--directory", str(company / "directory"))
    assert run(*words, "--model", str(company / "model"), "--output", str(tmp_path / "s")) == 65
    assert "bad.ndjson:1: missing_field" in capsys.readouterr().err


def test_a_missing_file_is_a_usage_error(company: Path, tmp_path: Path) -> None:
    words = ("train", str(tmp_path / "nothing"), "--directory", str(company / "directory"), "--model", "m")
    assert run(*words) == 2


def test_version_names_what_it_stands_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("version", "--json") == 0
    assert {"accesstrail", "faust-streaming", "chdb-core", "features"} <= set(json.loads(capsys.readouterr().out))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(name, "--help") == 0
    assert f"accesstrail {name}" in capsys.readouterr().out


def test_an_unknown_command_is_a_usage_error() -> None:
    assert run("nonsense") == 2


def test_exceptions_hold_alerts_back_and_change_no_score(company: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores, alerts, _ = score(company, "before", "--no-scheduled")
    noisy = str(Counter(str(alert["actor_id"]) for alert in alerts).most_common(1)[0][0])
    keyring, now_us = Keyring.offline(), time.time_ns() // 1000
    quiet = exception(
        MODEL_DETECTOR, *(rule.name for rule in all_rules()), up_to=60_000, key_version=keyring.version_id,
        scope={"actor": keyring.token(DEFAULT_TENANT, "actor", noisy).hex()}, valid_from_us=now_us - 300 * DAY_US,
        valid_until_us=now_us + 60 * DAY_US, created_us=now_us,
    )  # fmt: skip
    file = company / "exceptions.ndjson"
    file.write_text(json.dumps(quiet.as_json()) + "\n", encoding="utf-8")
    after, fewer, _ = score(company, "after", "--no-scheduled", "--exceptions", str(file))
    assert [{**row, "reasons": 0} for row in after] == [{**row, "reasons": 0} for row in scores]
    held = {str(row["event_id"]) for row in after if quiet.code in row["reasons"]}  # type: ignore[operator]
    gone = {alert["alert_id"] for alert in alerts} - {alert["alert_id"] for alert in fewer}
    assert gone == {alert["alert_id"] for alert in alerts if alert["event_id"] in held}
    assert gone
    assert all(alert in alerts for alert in fewer)
    file.write_text(json.dumps(exception(key_version="another").as_json()) + "\n", encoding="utf-8")
    command = ("score", str(company / "rest.ndjson"), "--directory", str(company / "directory"), "--model")
    refused = run(*command, str(company / "model"), "--output", "-", "--exceptions", str(file))
    assert refused == UsageError.exit_code
    assert "another key" in capsys.readouterr().err
