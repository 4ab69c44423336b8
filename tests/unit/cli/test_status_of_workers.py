"""`accesstrail status` and `doctor` from several workers' files: merged, listed, in words."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.adapters.kafka import Bounds, TopicFacts
from pipeline.adapters.status_file import StatusFile
from pipeline.cli.operate import worker_findings
from pipeline.cli.stack_run import _worker
from pipeline.cli.stack_status import Document, _entries, _partitions, _workers, troubles
from pipeline.health.problems import Problem
from pipeline.partition.recovery import END_OF_LOG
from pipeline.partition.status import PartitionStatus


def document(*partitions: PartitionStatus, **more: object) -> dict[str, object]:
    return {"ready": True, "reasons": [], "away": [], "partitions": [asdict(one) for one in partitions], **more}


def partition(number: int, **fields: object) -> PartitionStatus:
    return PartitionStatus("access.events", number, **{"state": "running", **fields})  # type: ignore[arg-type]


def two_workers(folder: Path, first: dict[str, object], second: dict[str, object]) -> list[Document]:
    (folder / "run").mkdir()
    StatusFile(folder / "run", "aa").write(first)
    StatusFile(folder / "run", "bb").write(second)
    return _workers(folder, None, [])


def test_partitions_of_two_workers_are_one_list(tmp_path: Path) -> None:
    workers = two_workers(tmp_path, document(partition(1), partition(3)), document(partition(0), partition(2)))
    assert [worker["writer"] for worker in workers] == ["aa", "bb"]
    assert [entry["partition"] for entry in _entries(workers)] == [0, 1, 2, 3]
    assert troubles(workers) == []
    assert [(one.what, one.state) for one in worker_findings(workers)] == [("workers", "ok")]


def test_a_partition_that_goes_from_hand_to_hand_is_listed_once_as_it_stands_further_on(tmp_path: Path) -> None:
    workers = two_workers(tmp_path, document(partition(1, sealed_offset=9)), document(partition(1, sealed_offset=5)))
    assert [(entry["partition"], entry["sealed_offset"]) for entry in _entries(workers)] == [(1, 9)]


def test_every_trouble_has_code_place_and_words_and_doctor_says_what_to_do(tmp_path: Path) -> None:
    first = document(
        partition(0, state="stopped", code="store_refused"), partition(1, profile_gap=True, new_life="log_shortened"),
        partition(2, state="recovering"),
    )  # fmt: skip
    span = {"dependency": "kafka", "code": "kafka_away", "since_s": 1_764_000_000.0, "until_s": None}
    workers = two_workers(tmp_path, first, document(partition(4, fenced=2), away=[span]))
    found = troubles(workers)
    assert {(one["code"], one["state"], one.get("partition", one.get("dependency"))) for one in found} == {
        ("store_refused", "stopped", 0),
        ("log_shortened", "noticed", 1),
        ("profile_gap", "noticed", 1),
        ("recovering", "recovering", 2),
        ("fenced", "noticed", 4),
        ("kafka_away", "away", "kafka"),
    }
    assert all(one["what"] for one in found)
    assert [one["since"] for one in found if one["code"] == "kafka_away"] == ["2025-11-24T16:00:00+00:00"]
    findings = worker_findings(workers)
    assert len(findings) == len(found)
    assert all("Next: " in one.text for one in findings)
    assert {one.what for one in findings if one.state == "fault"} == {"kafka", "partition 0"}


def test_why_a_worker_is_not_ready_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    problems: list[Problem] = []
    assert _workers(tmp_path, None, problems) == []
    assert "no worker runs here" in problems[0].english
    problems.clear()
    reason: dict[str, Any] = {
        "code": "store_away",
        "what": "ClickHouse does not answer.",
        "since": "2025-11-24T16:00:00Z",
    }
    StatusFile(tmp_path / "run", "aa").write(document(partition(3, state="stopped", code="fenced"), reasons=[reason]))
    _workers(tmp_path, None, problems)
    assert "ClickHouse does not answer. (store_away, since 2025-11-24T16:00:00Z)" in problems[0].english
    assert problems[1].english.startswith("partition 3 has stopped (fenced): ")
    assert "Next: " in problems[1].english
    assert problems[0].chinese.endswith(
        "未就绪：ClickHouse 没有响应；事件在 Kafka 中等待，不会丢失。（store_away，自 2025-11-24T16:00:00Z 起）"
    )
    assert problems[1].chinese.startswith("分区 3 已停止（fenced）：另一个 worker")


def test_the_local_stack_is_ready_when_one_of_its_workers_is(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    service = _worker(tmp_path, 8)
    assert not service.ready()
    file = StatusFile(tmp_path / "run", "aa")
    file.write(document(ready=False))
    assert not service.ready()
    file.write(document())
    assert service.ready()
    file.remove()
    assert not service.ready()


def test_a_shortened_log_is_shown_as_the_life_it_is_in() -> None:
    facts, bounds = TopicFacts("access.events", "id", 1), {0: Bounds(2, 40)}
    closed = {("access.events", "id", 0): END_OF_LOG, ("access.events", "older", 0): 99}

    def shown(sealed: dict[tuple[str, str, int], int]) -> tuple[object, object, object]:
        (entry,) = _partitions("access.events", facts, bounds, sealed)
        return entry["incarnation"], entry["sealed_offset"], entry["lag"]

    assert shown({("access.events", "id", 0): 29}) == ("id", 29, 10)
    assert shown(closed) == ("id+1", None, 38)
    assert shown({**closed, ("access.events", "id+1", 0): 19}) == ("id+1", 19, 20)
    assert shown({("access.events", "older", 0): 99, ("other", "id", 0): 7}) == ("id", None, 38)


def test_doctor_explains_what_a_worker_says_of_itself_and_of_its_model(tmp_path: Path) -> None:
    reasons = [{"code": "no_progress", "partition": 3}, {"code": "loop_stuck"}, {"code": "recovering", "partition": 1}]
    first = document(
        partition(1, state="recovering"), reasons=reasons, model={"state": "unusable", "code": "model_corrupt"}
    )
    second = document(
        reasons=[{"code": "not_assigned"}], model={"state": "in_use", "not_reloaded": {"files": "directory"}}
    )
    findings = worker_findings(two_workers(tmp_path, first, second))
    assert sorted((one.what, one.text.partition(":")[0], one.state) for one in findings) == [
        ("model in the stream", "directory", "warning"),
        ("model in the stream", "model_corrupt", "fault"),
        ("partition 1", "recovering", "warning"),
        ("worker", "loop_stuck", "fault"),
        ("worker", "not_assigned", "warning"),
        ("worker, partition 3", "no_progress", "fault"),
    ]
    assert all("Next: " in one.text for one in findings)


def test_doctor_says_that_no_worker_runs() -> None:
    (finding,) = worker_findings([])
    assert finding.state == "warning"
    assert "none runs here" in finding.text
