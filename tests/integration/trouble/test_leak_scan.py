"""The leak scan on the real stack: nothing is found of what went through, and all that is planted is, in every form."""

from __future__ import annotations

import base64
import gzip
import io
import json
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.kafka import EventProducer
from pipeline.cli import main
from pipeline.errors import EXIT_UNAVAILABLE, EXIT_USAGE
from tests.conftest import Stack
from tests.systems import Gate, System

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

Scan = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture
def system(stack: Stack, tmp_path: Path) -> Iterator[System]:
    made = System(stack, tmp_path / "system", f"leaks.{uuid.uuid4().hex[:8]}", partitions=2)
    yield made
    made.close()


@pytest.fixture
def scan(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Scan:
    def run(system: System, identifiers: list[str], *words: str) -> tuple[int, list[dict[str, Any]], str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(identifiers)))
        capsys.readouterr()
        given = ["--identifiers", "-"] if identifiers else []
        with pytest.raises(SystemExit) as ended:
            main(["scan", "--config", str(system.config), "--json", *given, *words])
        shown = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, [json.loads(line) for line in shown.out.splitlines()], shown.out + shown.err

    return run


@pytest.fixture
def table(stack: Stack) -> Iterator[tuple[str, ClickHouse]]:
    name, migrator = f"accesstrail_raw.planted_{uuid.uuid4().hex}", connect(stack.settings.clickhouse, "migrator")
    columns = "free String, list Array(String), number UInt64, packed String"
    migrator.query(f"CREATE TABLE {name} ({columns}) ENGINE = MergeTree ORDER BY tuple()")
    yield name, migrator
    migrator.query(f"DROP TABLE {name} SYNC")
    migrator.close()


def person() -> tuple[str, str]:
    """An id and a number that no other test has."""
    return f"customer-{uuid.uuid4().hex}", f"9{uuid.uuid4().int % 10**15:015d}"


def test_nothing_is_found_of_the_people_whose_accesses_went_through(stack: Stack, system: System, scan: Scan) -> None:
    subject, number = person()
    topic_actor = f"{system.topic}.actor-0"
    with system.worker(), system.worker("responder"):
        system.produce(
            20, salt=f"{system.topic}.", subject_ids=[subject, number], resource_id=subject, on_behalf_of=number,
            justification=f"asked by {subject}", session_id=number, endpoint=f"/customers/{number}",
        )  # fmt: skip
        system.await_sealed(20)
    code, found, _ = scan(system, [subject, number, topic_actor], "--also", str(stack.state / "logs"))
    assert found == []
    assert code == 0


def test_what_is_planted_anywhere_is_found_with_its_place_and_number(
    stack: Stack, system: System, scan: Scan, table: tuple[str, ClickHouse], tmp_path: Path
) -> None:
    subject, number = person()
    name, migrator = table
    raw = subject.encode()
    # A table: text, list, number, and a packed value as profile snapshots are.
    migrator.query(
        f"INSERT INTO {name} SELECT {{s:String}}, ['x', {{s:String}}], {{n:UInt64}}, unhex({{p:String}})",
        {"s": subject, "n": int(number), "p": zstandard.compress(b"state of " + raw).hex()},
    )
    # A topic, a log, an export, an old log.
    producer = EventProducer(system.settings.kafka.bootstrap_servers, system.settings.kafka.incidents_topic)
    producer.send(b"key", b'{"about": "' + base64.b64encode(b"ab" + raw) + b'"}')
    producer.flush()
    producer.close()
    (system.folder / "run" / "worker.log").write_bytes(b"failed for " + raw.hex().encode())
    (system.folder / "old.log.gz").write_bytes(gzip.compress(b"long ago: " + subject.encode("utf-16-le")))
    exports = tmp_path / "exports"
    exports.mkdir()
    (exports / "case.csv").write_text(f"{number[:6]}**{number[8:]}\n", encoding="utf-8")
    code, found, said = scan(system, [subject, number], "--also", str(exports))
    places = {(one["place"], one["identifier"], one["form"]) for one in found}
    topic = system.settings.kafka.incidents_topic
    expected = {
        (f"table {name} column free", 1, "raw"), (f"table {name} column list", 1, "raw"),
        (f"table {name} column number", 2, "raw"), (f"table {name} column packed", 1, "raw"),
        (f"file {system.folder}/run/worker.log", 1, "hex"), (f"file {system.folder}/old.log.gz", 1, "utf-16-le"),
        (f"file {exports}/case.csv", 2, "masked"),
    }  # fmt: skip
    assert expected <= places
    assert {(number_, form) for place, number_, form in places if place.startswith(f"topic {topic}")} == {(1, "base64")}
    assert code == 1
    assert subject not in said
    assert number not in said


def test_the_engine_keeps_no_statement_so_a_literal_in_one_stays_nowhere(
    stack: Stack, system: System, scan: Scan
) -> None:
    subject, _ = person()
    system.reader.query(f"SELECT '{subject}'")  # what nobody of us does
    migrator = connect(stack.settings.clickhouse, "migrator")
    logs = migrator.query("SELECT name FROM system.tables WHERE database = 'system' AND name LIKE '%\\_log'")
    migrator.close()
    code, found, _ = scan(system, [subject], "--also", str(stack.state / "logs"))
    if logs:  # then it is found there
        assert code == 1
    else:
        assert (code, found) == (0, [])


def test_the_pattern_scan_finds_personal_numbers_without_knowing_them(
    system: System, scan: Scan, table: tuple[str, ClickHouse]
) -> None:
    name, migrator = table
    migrator.query(f"INSERT INTO {name} (free) SELECT 'call 13812345678'")
    code, found, said = scan(system, [])
    assert {"place": f"table {name} column free", "identifier": None, "form": "mobile", "count": 1} in found
    assert "13812345678" not in said
    assert code == 1


def test_what_cannot_be_searched_is_no_clean_result(stack: Stack, tmp_path: Path, scan: Scan, system: System) -> None:
    gate = Gate(1, is_open=False)
    away = System(stack, tmp_path / "away", f"leaks.{uuid.uuid4().hex[:8]}", store_port=gate.port)
    assert scan(away, ["somebody-else"])[0] == EXIT_UNAVAILABLE
    away.close()
    assert scan(system, ["four"])[0] == EXIT_USAGE
