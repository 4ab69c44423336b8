"""accesstrail evaluate: reads files as `score` and `simulate` write them, says what is wrong with others by line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.errors import UsageError

EVENT = {
    "schema_version": 1, "actor_type": "employee", "action": "read", "resource_type": "customer_profile",
    "outcome": "success", "channel": "ui", "source_system": "crm", "resource_id": "c-1",
}  # fmt: skip
FILES = {
    "labels.csv": "event_id,scenario,attack_id\n{0},export,a1\n",
    "attacks.csv": "attack_id,scenario,strength\na1,export,strong\n",
    "twins.csv": "event_id,scenario,twin_id\n{1},export,t1\n",
    "lookalikes.csv": "kind,first_day,last_day,actor_id\njourney,2026-03-02,2026-03-02,bo\n",
    "directory/actors.csv": "actor_id,department,role,site\nan,sales,agent,north\nbo,sales,lead,north\n",
    "directory/sites.csv": "site,time_zone\nnorth,Asia/Shanghai\n",
}
IDS = ("01900000-0000-7000-8000-000000000001", "01900000-0000-7000-8000-000000000002")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Two events of two actors: an attack that was found and a twin that was alerted, five minutes later."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.format(*IDS), encoding="utf-8")
    places = [(IDS[0], "an", "2026-03-02T09:00:00Z"), (IDS[1], "bo", "2026-03-02T09:05:00+00:00")]
    events = [{**EVENT, "event_id": one, "actor_id": actor, "event_time": at} for one, actor, at in places]
    scores = [{"event_id": one, "risk": 90.5, "anomaly_score": 0.9, "reasons": []} for one in IDS]
    alerts = [{"event_id": one, "actor_id": actor, "event_time": at, "risk": 90.5} for one, actor, at in places]
    for name, lines in (("events", events), ("scores", scores), ("alerts", alerts)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (tmp_path / f"{name}.ndjson").write_text(text, encoding="utf-8")
    return tmp_path


def run(*words: str) -> int:
    """Exit code of one command."""
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def words(files: Path, *more: str, of: Sequence[str] = ("attacks", "twins", "lookalikes")) -> list[str]:
    """The command with all files."""
    named = {name: f"{name}.ndjson" for name in ("scores", "alerts", "events")}
    named |= {"directory": "directory"} | {name: f"{name}.csv" for name in ("labels", *of)}
    return ["evaluate", *(word for name, file in named.items() for word in (f"--{name}", str(files / file))), *more]


def test_everything_that_is_given_is_in_the_report(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words(files, "--json", "--report", str(files / "report.md"))) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["recall"], report["precision"], report["pr_auc_actor_day"]) == (1.0, 0.5, 0.5)
    assert report["recall_by_strength"] == {"strong": {"attacks": 1, "found": 1, "recall": 1.0}}
    assert report["minutes_to_detect"]["bursts"]["median_minutes"] == 0.0
    assert report["twins"]["alerted"] == 1
    assert report["lookalikes"][0]["kind"] == "journey"
    assert [(row["group"], row["alerts"]) for row in report["sites"]] == [("north", 1)]
    assert "| recall · 召回率 | 1.0 (0.21–1.00) |" in (files / "report.md").read_text(encoding="utf-8")


def test_scored_events_that_were_not_given_are_counted_aloud(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (files / "events.ndjson").read_text(encoding="utf-8").splitlines(keepends=True)
    (files / "events.ndjson").write_text(lines[0], encoding="utf-8")
    assert run(*words(files, "--json")) == 0
    captured = capsys.readouterr()
    assert "1 of 2 scored events are not among --events" in captured.err
    assert json.loads(captured.out)["recall"] == 1.0


def test_without_json_the_short_table_is_printed(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words(files)) == 0
    out = capsys.readouterr().out
    assert "recall 1.0" in out
    assert "export                     1 of 1   1.00" in out


def test_scores_alerts_and_labels_are_enough_for_recall(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = ("scores.ndjson", "alerts.ndjson", "labels.csv")
    given = [word for name in named for word in (f"--{name.partition('.')[0]}", str(files / name))]
    assert run("evaluate", *given, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["recall"] == 1.0
    assert [report[name] for name in ("pr_auc_actor_day", "departments", "twins", "lookalikes")] == [None] * 4


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("scores.ndjson", '{"event_id": "x", "risk": 3}\n', "scores.ndjson:1: "),
        ("scores.ndjson", "no json\n", "scores.ndjson:1: "),
        ("alerts.ndjson", '{"event_id": "x", "actor_id": "secret", "event_time": "soon"}\n', "alerts.ndjson:1: "),
        ("labels.csv", "event_id,scenario\n1,2\n", "no column attack_id"),
        ("twins.csv", "event_id,scenario,attack_id\n1,2,3\n", "no column twin_id"),
        ("lookalikes.csv", "kind,first_day,last_day,actor_id\nx,someday,2026-01-01,secret\n", "lookalikes.csv:2: "),
    ],
)
def test_what_cannot_be_used_is_named_by_file_and_line_and_never_quoted(
    files: Path, name: str, content: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / name).write_text(content, encoding="utf-8")
    assert run(*words(files)) == UsageError.exit_code
    shown = capsys.readouterr().err
    assert said in shown
    assert "secret" not in shown


def test_a_missing_file_or_folder_is_a_usage_error(files: Path) -> None:
    for name in ("labels.csv", "directory/actors.csv"):
        (files / name).unlink()
    (files / "directory/sites.csv").unlink()
    (files / "directory").rmdir()
    assert run(*words(files)) == UsageError.exit_code


def test_days_rank_by_what_alerts_tell_too_and_the_events_alone_are_told_beside_it(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both events have the same risk; a scheduled detector tells more of the attack's account."""
    alerts = [json.loads(line) for line in (files / "alerts.ndjson").read_text(encoding="utf-8").splitlines()]
    alerts[0] |= {"risk": 95.0, "detector": "slow_drip"}
    (files / "alerts.ndjson").write_text("".join(json.dumps(one) + "\n" for one in alerts), encoding="utf-8")
    assert run(*words(files, "--json", "--report", str(files / "report.md"))) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["pr_auc_actor_day"], report["pr_auc_actor_day_of_events"]) == (1.0, 0.5)
    assert "| … of events' risk alone, alerts left out · 仅按事件风险 | 0.5 |" in (files / "report.md").read_text(
        "utf-8"
    )
