"""train with exclusions, champion and signature; models keygen, sign, compare: as a person runs them, no server."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import zstandard

from detectors.model import SIGNATURE, read
from pipeline.adapters.breach_counts import AlertPlace
from pipeline.breach.record import Period
from pipeline.cli import main
from pipeline.ledger.signed_note import PublicKey, load_public_keys
from pipeline.version_sets.model_signature import signers
from tests.incident_desk import Office
from tests.incident_logs import KEY, OTHER_KEY, alert, command


def run(*words: str) -> int:
    """Exit code of one command."""
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("company")
    assert run("simulate", "--days", "14", "--actors", "25", "--seed", "4", "--out", str(folder)) == 0
    raw = zstandard.ZstdDecompressor().stream_reader((folder / "events.ndjson.zst").open("rb")).read()
    lines = sorted(raw.splitlines(keepends=True), key=lambda line: str(json.loads(line)["event_time"]))
    cut = len(lines) * 7 // 10
    (folder / "history.ndjson").write_bytes(b"".join(lines[:cut]))
    (folder / "rest.ndjson").write_bytes(b"".join(lines[cut:]))
    assert run("models", "keygen", str(folder / "model.key"), "--name", "team") == 0
    assert _train(folder, "model", "--sign-with", str(folder / "model.key")) == 0
    return folder


def _train(company: Path, name: str, *more: str) -> int:
    place = ("--directory", str(company / "directory"), "--model", str(company / name))
    return run("train", str(company / "history.ndjson"), *place, *more)


def _json(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def _public(company: Path) -> PublicKey:
    return load_public_keys(company / "model.pub")[0]


def test_a_trained_model_is_signed_in_one_step(company: Path) -> None:
    assert stat.S_IMODE((company / "model.key").stat().st_mode) == 0o600
    assert signers(read(company / "model"), [_public(company)]) == (_public(company),)


def test_a_key_that_others_can_read_is_refused_before_the_work_begins(company: Path, tmp_path: Path) -> None:
    key = tmp_path / "open.key"
    key.write_bytes((company / "model.key").read_bytes())
    key.chmod(0o644)
    assert _train(company, "refused", "--sign-with", str(key)) == 78
    assert not (company / "refused").exists()
    assert run("models", "keygen", str(company / "model.key"), "--name", "again") == 78


def test_what_is_excluded_is_counted_by_why_and_teaches_nothing(
    company: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = [json.loads(line) for line in (company / "history.ndjson").read_bytes().splitlines()]
    actor = events[-1]["actor_id"]
    named = [events[-2]["event_id"], events[-3]["event_id"]]
    lines = [named[0], json.dumps({"event_id": named[1], "why": "true_positive"}), "no-such-event"]
    lines.append(
        json.dumps({"actor_id": actor, "from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "why": "disputed"})
    )
    (company / "exclude").write_text("\n".join(lines), encoding="utf-8")
    capsys.readouterr()
    assert _train(company, "without", "--exclude", str(company / "exclude"), "--json") == 0
    summary = _json(capsys)
    disputed = {one["event_id"] for one in events if one["actor_id"] == actor} - set(named)
    assert summary["excluded"] == {"disputed": len(disputed), "excluded": 1, "true_positive": 1}
    assert summary["excluded_ids_not_in_history"] == 1
    about = read(company / "without").statements()["about"]
    assert about["excluded"] == summary["excluded"]
    assert about["rows"] < read(company / "model").statements()["about"]["rows"]


def test_what_incidents_say_teaches_nothing_is_left_out_of_training(
    company: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    events = [json.loads(line)["event_id"] for line in (company / "history.ndjson").read_bytes().splitlines()]
    office = Office(tmp_path, monkeypatch)
    office.world.put(alert(9, incident_key=OTHER_KEY), command("resolve", verdict="true_positive"))
    moment, window = Period(5, 5), Period(10, 20)
    disputed = office.world.incident(OTHER_KEY).incident_id
    office.evidence.places = {
        office.incident_id: [AlertPlace(events[3], moment), AlertPlace(events[5], window)],
        disputed: [AlertPlace(events[5], moment), AlertPlace(events[9], window)],
    }
    office.evidence.events = {KEY: [events[5], events[6]], OTHER_KEY: [events[8]]}
    capsys.readouterr()
    assert office.run("exclusions") == 0
    (tmp_path / "exclusions").write_text(capsys.readouterr().out, encoding="utf-8")
    assert _train(company, "with-incidents", "--exclude", str(tmp_path / "exclusions"), "--json") == 0
    summary = _json(capsys)
    assert summary["excluded"] == {"disputed": 2, "true_positive": 3}
    assert "excluded_ids_not_in_history" not in summary or not summary["excluded_ids_not_in_history"]


def test_a_wrong_line_of_exclusions_ends_it_before_the_work_begins(company: Path) -> None:
    (company / "wrong").write_text('{"event_id": 1}\n', encoding="utf-8")
    assert _train(company, "refused", "--exclude", str(company / "wrong")) == 2
    assert not (company / "refused").exists()


def test_the_champion_guard_leaves_out_the_strangest_account_days(
    company: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert _train(company, "guarded", "--champion", str(company / "model"), "--json") == 0
    left_out = _json(capsys)["left_out"]
    assert left_out["strangest_account_days"] >= 1
    assert left_out["strangest_events"] >= left_out["strangest_account_days"]


def test_a_model_is_signed_afterwards_and_a_damaged_one_is_not(
    company: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _train(company, "later") == 0
    assert read(company / "later").signature is None
    capsys.readouterr()
    assert run("models", "sign", str(company / "later"), "--key", str(company / "model.key"), "--json") == 0
    assert _json(capsys) == {"model_id": read(company / "later").model_id, "signer": _public(company).identity}
    assert signers(read(company / "later"), [_public(company)])
    assert {path.name for path in company.iterdir() if path.name.startswith(".later")} == set()
    (company / "later" / "golden.npz").write_bytes(b"damaged")
    (company / "later" / SIGNATURE).unlink()
    assert run("models", "sign", str(company / "later"), "--key", str(company / "model.key")) == 65
    assert not (company / "later" / SIGNATURE).exists()


def test_manifests_are_compared_without_any_system(company: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _train(company, "larger", "--budget", "9") == 0
    capsys.readouterr()
    assert run("models", "compare", str(company / "model"), str(company / "larger"), "--json") == 0
    found = _json(capsys)
    assert found["manifest"]["budget_per_day"]["b"] == 9
    assert "threshold" in found["manifest"]
    assert "judged" not in found
    assert run("models", "compare", str(company / "model"), str(company / "model")) == 0
    told = capsys.readouterr().out
    assert "the manifests state the same" in told
    assert "give --events" in told


def _compared(company: Path, a: str, b: str, *more: str) -> int:
    return run(
        "models", "compare", str(company / a), str(company / b), "--events", str(company / "rest.ndjson"), "--warm-up",
        str(company / "history.ndjson"), "--directory", str(company / "directory"), *more,
    )  # fmt: skip


def test_a_model_is_like_itself_and_each_reason_against_another_is_named(
    company: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    _compared(company, "model", "model", "--labels", str(company / "labels.csv"), "--json")
    judged = _json(capsys)["judged"]
    assert (judged["overlap"], judged["rank_correlation"], judged["population_stability_index"]) == (1.0, 1.0, 0.0)
    assert judged["only_a"] == judged["only_b"] == []
    assert judged["recall"]["a"] == judged["recall"]["b"]
    assert judged["pr_auc_actor_day"]["a"] > 0
    assert _train(company, "talkative", "--budget", "30") == 0
    capsys.readouterr()
    assert _compared(company, "talkative", "model", "--labels", str(company / "labels.csv")) == 1
    told = capsys.readouterr().out
    assert "look closer before B follows A:" in told
    assert "only A: risk" in told


def test_wrong_words_are_usage_errors(company: Path, tmp_path: Path) -> None:
    assert run("models", "compare", str(company / "model"), "3fa94c") == 2
    assert run("models", "compare", "in-force", str(company / "model")) == 2
    assert run("models", "compare", str(company / "model"), str(tmp_path)) == 65
    rest = ("--events", str(company / "rest.ndjson"))
    assert run("models", "compare", str(company / "model"), str(company / "model"), *rest) == 2
