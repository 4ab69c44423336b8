"""Two writers of one position at the same moment: one seals, the other learns it, and readers see one history."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from pipeline.adapters.store import ClickHouseStore, open_store
from pipeline.errors import Fenced
from pipeline.events import LogPosition
from pipeline.ports import LedgerEntry
from tests.batches import Batch, batch, part_of

pytestmark = pytest.mark.stack


class Writer(threading.Thread):
    """One worker that believes the partition is its own; it has a connection of its own."""

    def __init__(self, settings: Any, start: threading.Barrier, made: Batch) -> None:
        super().__init__()
        self._settings, self._start, self._made = settings, start, made
        self.outcome = "nothing happened"

    def run(self) -> None:
        store = open_store(self._settings)
        try:
            self._made.store_rows(store)
            self._start.wait(30)
            store.seal(self._made.entry, self.name)
            self.outcome = "sealed"
        except Fenced:
            self.outcome = "fenced"
        finally:
            store.close()


def test_of_two_writers_exactly_one_seals(clickhouse_settings: Any, reader: Any, position: LogPosition) -> None:
    previous: LedgerEntry | None = None
    for number in range(8):
        start = threading.Barrier(2)
        rivals = [batch(position, previous, events=5 + side, seed=number * 10 + side) for side in range(2)]
        writers = [Writer(clickhouse_settings, start, made) for made in rivals]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(60)
        assert sorted(writer.outcome for writer in writers) == ["fenced", "sealed"]
        winner = rivals[[writer.outcome for writer in writers].index("sealed")]
        previous = winner.entry
    assert previous is not None
    life = {"life": position.incarnation}
    counts = (
        "SELECT count(), uniqExact(offset), max(offset) FROM accesstrail.{view} WHERE incarnation = {{life:String}}"
    )
    [(rows, offsets, _)] = reader.query(counts.format(view="access_events"), life)
    [(dead_rows, dead_offsets, last)] = reader.query(counts.format(view="dead_letters"), life)
    assert (rows, dead_rows) == (offsets, dead_offsets)
    assert rows + dead_rows == previous.tree_size == previous.last_offset + 1 == last + 1


def test_writers_of_the_same_entry_at_the_same_moment_leave_it_there_once(
    clickhouse_settings: Any, reader: Any, position: LogPosition
) -> None:
    """A take-over forms the very batch that its former owner is sealing: both succeed, and the entry is one row.

    The server notes a token before the row can be seen: whoever comes in between is told "known" and finds nothing.
    """
    previous: LedgerEntry | None = None
    for number in range(40):
        start = threading.Barrier(4)
        made = batch(position, previous, events=2, dead_letters=0, seed=number)
        writers = [Writer(clickhouse_settings, start, made) for _ in range(4)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(60)
        assert [writer.outcome for writer in writers] == ["sealed"] * 4
        previous = made.entry
    sql = "SELECT count(), uniqExact(first_offset) FROM accesstrail.ledger WHERE incarnation = {life:String}"
    assert reader.query(sql, {"life": position.incarnation}) == [(40, 40)]


def test_what_a_fenced_writer_stored_stays_unseen_when_its_range_is_sealed_in_two(
    store: ClickHouseStore, reader: Any, position: LogPosition
) -> None:
    """A new owner stores a batch while the old one seals the first half of its range; then it goes on behind that."""
    whole = batch(position, None, events=12, dead_letters=0, seed=3)
    halves = [part_of(whole, None, 6)]
    halves.append(part_of(whole, halves[0].entry, 11))
    whole.store_rows(store)
    halves[0].commit(store)
    with pytest.raises(Fenced):
        store.seal(whole.entry, "test")
    halves[1].commit(store)
    assert halves[1].entry.root == whole.entry.root
    life = {"life": position.incarnation}
    for view, wanted in (("access_events", 12), ("alerts", sum(half.entry.n_alerts for half in halves))):
        sql = f"SELECT count() FROM accesstrail.{view} WHERE incarnation = {{life:String}}"
        assert reader.query(sql, life) == [(wanted,)], view
    subjects = "SELECT count() FROM accesstrail.subject_access WHERE incarnation = {life:String}"
    assert reader.query(subjects, life) == [(whole.entry.n_subjects,)]


def test_an_insert_of_another_connection_that_still_runs_is_seen(store: ClickHouseStore, connect_as: Any) -> None:
    """What `insert_first` stands on: the age and the kind of running queries, without anyone's text."""
    sql = (
        "INSERT INTO accesstrail_raw.version_announcements (topic, number) "
        "SELECT 'slow', toUInt64(sleepEachRow(2)) FROM system.one"
    )
    slow = threading.Thread(target=connect_as("writer").query, args=(sql,))
    slow.start()
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1

    deadline = time.monotonic() + 10
    while looks < 2 and slow.is_alive() and time.monotonic() < deadline:
        looks = 0
        store._client._look_again(look)
    slow.join(30)
    assert looks >= 2
