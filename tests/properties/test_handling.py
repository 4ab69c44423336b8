"""Incident handling under random histories, crashes and a second worker: the log is what the engine alone makes."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import Fenced
from pipeline.incidents.model import EMPTY
from pipeline.incidents.records import Unreadable
from tests.incident_logs import World
from tests.properties.test_incidents import RULES, record_of, steps
from tests.response import MemoryIncidents
from tests.response_fakes import Broker, Crash, Handler, holds_together

CRASHES = st.lists(st.integers(1, 12), max_size=6)
"""After how many steps and writes the process is killed, time after time."""
TURNS = st.lists(st.sampled_from(["a", "b", "none", "a"]), max_size=60)
"""Which worker takes a run of records after each record that is produced."""


class _Killer:
    """Kills the process that does the n-th thing from now on, then the next one."""

    def __init__(self, after: list[int]) -> None:
        self._after, self._done = [*after], 0

    def __call__(self, *_: object) -> None:
        self._done += 1
        if self._after and self._done >= self._after[0]:
            self._after.pop(0)
            self._done = 0
            raise Crash


def _step(worker: Handler) -> bool:
    """One run of records; whatever ends it, the process or its successor goes on from the store."""
    try:
        return worker.step()
    except Fenced:
        worker.partition._forget()
        begin = worker.resume
    except Crash:
        begin = worker.begin
    while True:
        try:
            begin()
        except Crash:
            begin = worker.begin
        else:
            return True


@settings(max_examples=150, deadline=None)
@given(steps(), TURNS, CRASHES, st.integers(1, 9))
def test_the_log_and_what_follows_from_it_are_the_engines_alone(
    history: list[tuple[str, dict[str, Any]]], turns: list[str], crashes: list[int], most: int
) -> None:
    broker, store, killer = Broker(), MemoryIncidents(), _Killer(crashes)
    workers = {name: Handler(broker, store, RULES, writer=name, most=most) for name in ("a", "b")}
    for worker in workers.values():
        worker.after_step = killer
    broker.before_send = killer
    for number, (kind, given_one) in enumerate(history):
        if kind == "pause":
            broker.at_us += given_one["us"]
        else:
            seen = World(RULES, at_us=broker.at_us, states=defaultdict(lambda: EMPTY, workers["a"].states))
            record = record_of(seen, kind, given_one)
            if isinstance(record, Unreadable):
                broker.write(record.incident_key.encode(), b"{")
            else:
                broker.put(record)
        turn = turns[number] if number < len(turns) else "a"
        if turn != "none":
            _step(workers[turn])
    while _step(workers["a"]):
        pass
    holds_together(workers["a"])
    begun = Handler(broker, store, RULES, writer="c")
    assert begun.states == workers["a"].states
    assert begun.next_offset == broker.end_offset
