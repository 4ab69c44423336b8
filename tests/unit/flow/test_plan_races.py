"""A former owner that seals while its successor reads where to go on: whatever the moment, nobody stops or repeats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from pipeline.partition.recovery import LogBounds, ReadBounds, ResumePlan, plan
from pipeline.ports import LedgerEntry
from tests.fakes import InMemoryStore
from tests.flows import POSITION, FixedJudgements, Log, Published, await_that, records, worker_of

READS = ("incarnations", "load_profiles", "last_entry", "entries", "unsealed", "event_ids", "rejected_offsets")


class OvertakenStore(InMemoryStore):
    """Seals a batch whose rows it holds, right after or right before one of its methods is asked for the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.late: LedgerEntry | None = None

    def overtake(self, method: str, *, before: bool) -> None:
        """The moment."""
        plain: Callable[..., Any] = getattr(self, method)

        def overtaken(*arguments: Any) -> Any:
            if before:
                self.seal_late()
            answer = plain(*arguments)
            self.seal_late()
            return answer

        setattr(self, method, overtaken)

    def seal_late(self) -> None:
        """What the former owner does."""
        late, self.late = self.late, None
        if late is not None:
            self.ledger.append(late)
            self.writers.append("former owner")


def _run(store: InMemoryStore, count: int) -> None:
    log = Log(records(count))
    worker = worker_of(store, log, Published(), FixedJudgements())
    worker.start()
    await_that(lambda: log.sealed_next >= count or worker.status.state == "stopped", worker.status)
    worker.close()
    assert worker.join(5)
    assert worker.status.code == ""


def _planned(store: InMemoryStore, read_bounds: ReadBounds) -> ResumePlan:
    return plan(store, POSITION.topic, POSITION.partition, read_bounds, FixedJudgements.feature_version)


def _prepared() -> OvertakenStore:
    """Two batches are stored, the second is not sealed yet; an older try at it, formed otherwise, is there too."""
    store = OvertakenStore()
    _run(store, 40)
    store._snapshots.clear()
    store.late = store.ledger.pop()
    store.writers.pop()
    for rows in store.rows.values():
        tries = [replace(row, batch_id=row.batch_id + 1) for row in rows if row.batch_id == store.late.batch_id]
        rows[:0] = tries
    return store


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("method", READS)
def test_a_batch_sealed_while_the_plan_is_made_is_stored_once(method: str, before: bool) -> None:
    store = _prepared()
    assert store.late is not None
    late = store.late.entry_hash
    store.overtake(method, before=before)
    _run(store, 80)
    assert sorted(row.offset for row in store.sealed_rows("access_events")) == list(range(80))
    assert [entry.entry_hash for entry in store.ledger].count(late) == 1


def test_a_log_is_not_shorter_because_a_former_owner_sealed_what_came_while_the_plan_was_made() -> None:
    store = InMemoryStore()
    _run(store, 80)
    log = Log(records(80))
    log.grows_when_asked(store, "incarnations", end_offset=40)
    worker = worker_of(store, log, Published(), FixedJudgements())
    worker.start()
    await_that(lambda: worker.status.state == "running", worker.status)
    worker.close()
    assert worker.join(5)
    assert (worker.status.incarnation, worker.status.new_life) == ("life-1", "")
    assert log.started_at == [80]
    assert {entry.incarnation for entry in store.ledger} == {"life-1"}


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("method", READS[:5])
def test_no_range_is_planned_twice(method: str, before: bool) -> None:
    store = _prepared()
    store.overtake(method, before=before)
    made = _planned(store, lambda: LogBounds("life-1", 0, 80))
    firsts: Sequence[int] = [planned.first_offset for planned in made.ranges]
    assert len(firsts) == len({*firsts})
