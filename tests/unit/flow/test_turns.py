"""Turns: a few at once, first come, first served; trouble of one partition keeps nobody from a turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from pipeline.errors import Away
from pipeline.partition.turns import Turns
from tests.fakes import InMemoryStore
from tests.flows import Log, Published, await_that, records, worker_of


def _nothing() -> None:
    """Nobody is told to end."""


def test_never_more_than_so_many_at_once() -> None:
    turns, running, most = Turns(2), 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal running, most
        for _ in range(20):
            with turns.take(_nothing):
                with lock:
                    running += 1
                    most = max(most, running)
                time.sleep(0.0005)
                with lock:
                    running -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (running, most) == (0, 2)


def test_whoever_came_first_is_first() -> None:
    turns, order = Turns(1), []
    held = turns.take(_nothing)

    def wait(number: int) -> None:
        with turns.take(_nothing):
            order.append(number)

    threads = []
    for number in range(6):
        threads.append(threading.Thread(target=wait, args=(number,)))
        threads[-1].start()
        await_that(lambda: len(turns._waiting) == len(threads), "in the queue")
    held.give_up()
    for thread in threads:
        thread.join(20)
    assert order == list(range(6))


def test_a_turn_given_up_twice_is_given_up_once() -> None:
    turns = Turns(1)
    with turns.take(_nothing) as turn:
        turn.give_up()
        turn.give_up()
        with turns.take(_nothing), pytest.raises(TimeoutError):
            turns.take(_out_of_patience())


def test_who_is_told_to_end_leaves_the_queue() -> None:
    turns = Turns(1)
    with turns.take(_nothing), pytest.raises(TimeoutError):
        turns.take(_out_of_patience())
    with turns.take(_nothing):
        assert not turns._waiting


def test_who_waits_for_a_turn_does_not_look_stuck() -> None:
    turns, store, log = Turns(1), InMemoryStore(), Log(records(20))
    with turns.take(_nothing):
        worker = worker_of(store, log, Published(), turns=turns)
        worker.start()
        await_that(lambda: len(turns._waiting) == 1, "in the queue")
        before = worker.status.turns
        await_that(lambda: worker.status.turns > before + 2, "it moves")
        assert store.ledger == []
    await_that(lambda: log.sealed_next == 20, "its turn came")
    worker.close()
    assert worker.join(5)


def _out_of_patience() -> Callable[[], None]:
    def check() -> None:
        raise TimeoutError

    return check


@pytest.mark.parametrize("trouble", ["away", "rejected"])
def test_a_partition_in_trouble_keeps_no_other_from_its_turn(trouble: str) -> None:
    turns = Turns(1)
    troubled, calm = InMemoryStore(), InMemoryStore()
    held = threading.Event()
    if trouble == "away":
        troubled.faults["insert_events"] = [Away("the store does not answer")] * 1000
    else:
        troubled.refused_offsets = {3}
        insert = troubled.insert_events

        def slow(*arguments: object) -> None:
            if ":probe:" in str(arguments[1]):
                held.wait(20)
            insert(*arguments)  # type: ignore[arg-type]

        troubled.insert_events = slow  # type: ignore[method-assign,assignment]
    logs = [Log(records(100)), Log(records(100))]
    workers = [
        worker_of(store, log, Published(), turns=turns) for store, log in zip((troubled, calm), logs, strict=True)
    ]
    workers[0].start()
    await_that(lambda: workers[0].status.state == "away" or trouble == "rejected", workers[0].status)
    workers[1].start()
    await_that(lambda: logs[1].sealed_next == 100, workers[1].status)
    assert logs[0].sealed_next == 0
    held.set()
    troubled.faults.clear()
    await_that(lambda: logs[0].sealed_next == 100, workers[0].status)
    for worker in workers:
        worker.close()
        assert worker.join(5)
