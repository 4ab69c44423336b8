"""Two writers of one position at the same moment: one seals, the other learns it, and readers see one history."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pipeline.adapters.store import open_store
from pipeline.errors import Fenced
from pipeline.events import LogPosition
from pipeline.ports import LedgerEntry
from tests.batches import Batch, batch

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
