"""Reading a batch run by run gives what reading it at once gives: the same columns, rows and dead letters."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from pipeline.column_batch import ColumnBatch, join_rows, take_rows
from pipeline.columns import ACCESS_EVENT_COLUMNS, ColumnSpec
from pipeline.events import Rejected
from pipeline.privacy.keys import Keyring
from pipeline.privacy.protected import Protected
from pipeline.privacy.protector import Protector
from pipeline.reading import STORE_REJECTED, protect_events, read_records
from pipeline.stages.decode import RUN_VALUES, decode
from tests.flows import batch_of, judgement, records
from tests.rows import random_rows, row_values

COUNT = 2 * RUN_VALUES + 77


def protector() -> Protector:
    return Protector(Keyring.offline(), partitions=8)


def _values(protected: Protected) -> list[dict[str, object]]:
    names = protected.columns.columns
    return row_values(protected.columns, tuple(spec for spec in ACCESS_EVENT_COLUMNS if spec.name in names))


def test_runs_give_what_the_whole_batch_gives() -> None:
    bad = frozenset((0, 5, RUN_VALUES - 1, RUN_VALUES, 2 * RUN_VALUES + 3))
    batch = batch_of(records(COUNT, bad=bad))
    read = read_records(batch, judgement(), protector(), frozenset())
    decoded = decode(batch)
    whole = protect_events(decoded, judgement(), protector())
    assert read.protected is not None
    assert read.rejected == decoded.rejected
    assert read.rows.tolist() == decoded.rows.tolist()
    assert _values(read.protected) == _values(whole)
    for name in ("sequence", "home_partitions", "subject_rows"):
        assert np.array_equal(getattr(read.protected, name), getattr(whole, name)), name


def test_what_the_store_refused_before_is_a_dead_letter_in_its_own_run() -> None:
    batch = batch_of(records(COUNT, first=100, bad=frozenset({103})))
    read = read_records(batch, judgement(), protector(), frozenset({100 + RUN_VALUES + 2}))
    assert read.rejected == [Rejected(3, "bad_json"), Rejected(RUN_VALUES + 2, STORE_REJECTED)]
    assert len(read.rows) == COUNT - 2


def test_a_batch_without_any_event_has_no_columns() -> None:
    read = read_records(batch_of(records(3, bad=frozenset(range(3)))), judgement(), protector(), frozenset())
    assert read.protected is None
    assert len(read.rejected) == 3


@pytest.mark.parametrize("cuts", [(0, 5, 12), (0, 0, 12), (0, 12, 12), (0, 1, 2, 3, 12)])
def test_joining_the_parts_of_a_table_gives_the_table(cuts: tuple[int, ...]) -> None:
    specs: tuple[ColumnSpec, ...] = ACCESS_EVENT_COLUMNS
    rows = random_rows(specs, 12, 4)
    parts: list[ColumnBatch] = [take_rows(rows, np.arange(first, last)) for first, last in pairwise(cuts)]
    joined = join_rows(parts)
    assert joined.count == 12
    assert row_values(joined, specs) == row_values(rows, specs)
