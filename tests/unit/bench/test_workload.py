"""The benches' events are what they claim to be: valid, repeatable, varied as stated; their copies are new events."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import numpy as np
import pytest

from pipeline.events import LogPosition, RecordBatch
from pipeline.stages.decode import decode
from tests.bench.producer import fresh, read_templates, write_events
from tests.bench.proxy import Proxy
from tests.bench.workload import Day, Workload


@pytest.fixture(scope="module")
def day() -> Day:
    return next(Workload(200, 5_000).days())


def _decoded(lines: list[bytes]) -> int:
    count = len(lines)
    records = RecordBatch(
        LogPosition("t", "1", 0), np.arange(count), np.full(count, 1_795_000_000_000_000), [None] * count, [*lines]
    )  # fmt: skip
    return len(decode(records).events)


def test_every_event_is_valid_and_new(day: Day) -> None:
    assert _decoded(day.lines) == len(day.lines)
    assert len({json.loads(line)["event_id"] for line in day.lines}) == len(day.lines)


def test_about_one_and_a_third_subjects_an_event(day: Day) -> None:
    touched = [len(json.loads(line).get("subject_ids", ())) for line in day.lines]
    assert 1.2 < sum(touched) / len(touched) < 1.4
    assert max(touched) > 10


def test_the_same_seed_gives_the_same_days() -> None:
    first, second = (Workload(50, 500, seed=3).days() for _ in range(2))
    for _ in range(3):
        one, other = next(first), next(second)
        assert one.lines == other.lines
        assert one.received_ms.tolist() == other.received_ms.tolist()
        assert (np.diff(one.received_ms) >= 0).all()


def test_many_actors_have_ids_of_their_own() -> None:
    keys = Workload(4_500, 100).keys
    assert len(keys) == len(set(keys)) == 4_500


def test_a_producers_copy_is_a_new_event_of_now(day: Day, tmp_path: Path) -> None:
    write_events(tmp_path / "events", [(b"key", line) for line in day.lines[:20]])
    templates = read_templates(tmp_path / "events")
    now_s = 1_790_000_000.25
    copies = [fresh(template, 7, number, now_s) for number, template in enumerate(templates * 2)]
    values = [value for _, value in copies]
    assert _decoded(values) == 40
    events = [json.loads(value) for value in values]
    assert len({one["event_id"] for one in events}) == 40
    assert {one["event_time"] for one in events} == {"2026-09-21T14:13:20.250000+00:00"}
    assert events[3]["actor_id"] == json.loads(day.lines[3])["actor_id"]


def test_a_cut_proxy_ends_connections_and_lets_nobody_through() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = Proxy(server.getsockname()[1])
        client = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
        there, _ = server.accept()
        client.sendall(b"out")
        assert there.recv(3) == b"out"
        proxy.cut()
        assert _ended(client)
        assert _ended(socket.create_connection(("127.0.0.1", proxy.port), timeout=10))
        proxy.restore()
        again = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
        answer = threading.Thread(target=lambda: server.accept()[0].sendall(b"back"))
        answer.start()
        assert again.recv(4) == b"back"
        answer.join()
        for one in (client, there, again):
            one.close()


def _ended(connection: socket.socket) -> bool:
    with connection:
        try:
            return connection.recv(1) == b""
        except ConnectionError:
            return True
