"""The short form of the fault suite: every gap of commit and recovery gets a fault, and sabotage is found."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import pytest

from pipeline.adapters.store import open_store
from pipeline.errors import Away
from pipeline.events import LogPosition
from tests.batches import batch
from tests.faults.plan import FAULTS, GAPS, WAVE_FAULTS, combinations, matrix, parse, sample
from tests.faults.proxy import Mode, Proxies
from tests.faults.run import Bench, Outcome, Run
from tests.faults.runner import DISK_MIB, BenchAt, Suite, missed_ones, never_reached
from tests.faults.stack import CannotMount


def test_a_name_tells_the_whole_plan() -> None:
    plans = [*matrix(1, 1), *combinations(1, 20), *sample(1)]
    assert [parse(plan.name) for plan in plans] == plans
    assert len({plan.name for plan in plans}) == len(plans)


def test_the_matrix_holds_every_fault_at_every_gap_in_every_round() -> None:
    acts = [(act.fault, act.gap) for plan in matrix(3, 2) for act in plan.acts]
    assert sorted(acts) == sorted(2 * [(fault, gap) for fault in FAULTS for gap in GAPS])


def test_the_sample_covers_every_gap() -> None:
    assert {act.gap for plan in sample(5) for act in plan.acts} == set(GAPS)


def test_random_runs_hold_every_fault_and_at_most_one_kind_that_everybody_feels() -> None:
    plans = list(combinations(2, 400))
    assert {act.fault for plan in plans for act in plan.acts} == set(FAULTS)
    shared = [{act.fault for act in plan.acts} & set(WAVE_FAULTS) for plan in plans]
    assert max(map(len, shared)) == 1
    assert 40 < sum(map(len, shared)) < 120


def test_what_was_not_reached_is_tried_again_once_and_else_said() -> None:
    first = Outcome("1.0:kill@commit1x1,kill@commit2x1", injected=["kill@commit1x1"], missed=["kill@commit2x1"])
    (again,) = missed_ones([first])
    assert again.name == "again 1.0:kill@commit1x1,kill@commit2x1"
    assert missed_ones([first, Outcome(again.name, missed=["kill@commit2x1"])]) == []
    plans = [parse(first.name)]
    assert never_reached(plans, [first]) == ["kill@commit2"]
    assert never_reached(plans, [first, Outcome(again.name, injected=["kill@commit2x1"])]) == []


class _Echo(threading.Thread):
    """Answers every chunk with itself and the byte that ends an answer of the store."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.heard = b""

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                while chunk := connection.recv(100):
                    self.heard += chunk
                    connection.sendall(chunk + b"\x05")

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.join(5)


@pytest.fixture
def echo() -> Iterator[_Echo]:
    made = _Echo()
    made.start()
    yield made
    made.close()


def _ask(port: int, timeout_s: float = 5) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout_s) as connection:
        connection.settimeout(timeout_s)
        connection.sendall(b"hello")
        return connection.recv(100)


def test_the_proxy_passes_delays_refuses_swallows_and_loses_answers(echo: _Echo) -> None:
    with Proxies() as proxies:
        proxy = proxies.open(echo.port)
        assert _ask(proxy.port) == b"hello\x05"
        proxy.delay_s = 0.2
        proxy.set(Mode.DELAY)
        began = time.monotonic()
        assert _ask(proxy.port) == b"hello\x05"
        assert time.monotonic() - began >= 0.4
        proxy.set(Mode.REFUSE)
        answer = b""
        with suppress(OSError):  # refused, reset, or closed without a word: whichever comes first
            answer = _ask(proxy.port)
        assert not answer
        heard = len(echo.heard)
        proxy.set(Mode.SWALLOW)
        with pytest.raises(TimeoutError):
            _ask(proxy.port, 0.3)
        assert len(echo.heard) == heard
        proxy.set(Mode.LOSE_ANSWERS)
        with suppress(ConnectionResetError):
            assert _ask(proxy.port) == b""
        assert len(echo.heard) == heard + 5
        assert proxy.lost_answers == 1
        proxy.set(Mode.PASS)
        assert _ask(proxy.port) == b"hello\x05"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A stack of its own, its store on a small disk where one may be mounted."""
    made = BenchAt(tmp_path_factory.mktemp("faults"), disk_mib=DISK_MIB)
    try:
        opened = made.__enter__()
    except CannotMount:
        made = BenchAt(tmp_path_factory.mktemp("faults"))
        opened = made.__enter__()
    try:
        yield opened
    finally:
        made.__exit__()


@pytest.mark.stack
@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_no_promise_breaks_whatever_happens_in_any_gap(bench: Bench) -> None:
    suite = Suite(bench, jobs=5, record=None)
    suite.run(sample(1))
    missed = [outcome.name for outcome in suite.outcomes if outcome.missed]
    suite.run([parse(f"again {name}") for name in missed])  # a gap may not be reached in time on a busy machine
    assert {one.name: one.finding for one in suite.outcomes if one.finding} == {}
    reached = {word.partition("@")[2].rpartition("x")[0] for one in suite.outcomes for word in one.injected}
    assert reached == {f"{sequence}{step}" for sequence, step in GAPS}


@pytest.mark.stack
@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_no_promise_breaks_when_a_server_is_killed_in_a_gap(bench: Bench) -> None:
    """Two runs a server, which share each kill."""
    acts = ("{}@commit6x1,kill@commit3x1", "{}@commit4x2,{}@recovery5x1")
    plans = [parse(f"servers {fault}:{words.format(fault, fault)}") for fault in WAVE_FAULTS for words in acts]
    suite = Suite(bench, jobs=2, record=None)
    suite.run(plans)
    suite.run(missed_ones(suite.outcomes))
    assert {one.name: one.finding for one in suite.outcomes if one.finding} == {}
    assert never_reached(plans, suite.outcomes) == []


@pytest.mark.stack
@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_a_full_disk_is_waited_for_and_loses_nothing(bench: Bench) -> None:
    if not bench.stack.has_small_disk:
        pytest.skip("NOT TESTED: no small disk for the store can be mounted here (root may)")
    outcome = Run(parse("sample:disk-full@commit1x2"), bench, number=800).execute()
    assert outcome.finding == ""
    assert outcome.injected == ["disk-full@commit1x2"]


@pytest.mark.stack
@pytest.mark.e2e
def test_a_nearly_full_store_refuses_before_it_writes(bench: Bench) -> None:
    """An insert that meets the end of the disk in mid-write may leave a part nobody can read."""
    if not bench.stack.has_small_disk:
        pytest.skip("NOT TESTED: no small disk for the store can be mounted here (root may)")
    store = open_store(bench.stack.settings.clickhouse)
    made = batch(LogPosition("nearly full", "life", 0))
    with bench.stack.full_disk(leave_bytes=64 << 20), pytest.raises(Away) as caught:
        made.commit(store)
    assert caught.value.code == "store_busy"
    made.commit(store)
    store.close()


_SABOTAGES = {
    "seal-first": "kill@commit1x1",
    "publish-last": "kill@commit7x1,kill@commit7x2,kill@commit7x1",
    "no-rollback": "store-cut@bisection1x1",
    "no-second-reading": "kill@commit7x3,kill@commit7x2",
    # Before its rows are stored: otherwise the successor forms the very same batch, and the zombie's belief is true.
    "no-read-back": "zombie@commit1x1,zombie@commit1x2,zombie@commit1x1",
}


@pytest.mark.stack
@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_the_suite_finds_code_that_was_broken_on_purpose(bench: Bench) -> None:
    def findings(name: str) -> list[str]:
        found = []
        for attempt in range(7):  # chance decides whether the moment that matters comes up
            run = Run(parse(f"sabotage {attempt}:{_SABOTAGES[name]}"), replace(bench, sabotage=name), number=900)
            found.append(run.execute().finding)
            if found[-1]:
                break
        return found

    with ThreadPoolExecutor(len(_SABOTAGES)) as pool:
        found = dict(zip(_SABOTAGES, pool.map(findings, _SABOTAGES), strict=True))
    assert [name for name, words in found.items() if not words[-1]] == []
