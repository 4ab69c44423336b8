"""Sample: what is kept beside the evidence follows from position and judgement, and evidence knows nothing of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.features import N_FEATURES
from detectors.model import Model
from detectors.policy import NEVER, Policy
from pipeline.batch import FormedBatch, Judgement
from pipeline.column_batch import ArrayColumn, ColumnBatch, FixedColumn
from pipeline.columns import FEATURE_COLUMNS
from pipeline.stages.assess import WATCH_RISK
from pipeline.stages.sample import SAMPLE_BITS, by_chance
from tests.flows import batch_of, chain, judgement, memory, records
from tests.models import small_model


def formed(model: Model | None, shadow: Model | None = None, count: int = 1200, size: int = 1200) -> list[FormedBatch]:
    judged = replace(judgement(), model=model, shadow=shadow, policy=Policy(NEVER))
    return _formed(judged, count, size)


def _formed(judged: Judgement, count: int, size: int) -> list[FormedBatch]:
    stages, state, found = chain(), memory(), records(count)
    made = []
    for place in range(0, count, size):
        one = stages.form(batch_of(found[place : place + size]), state, judged)
        state.commit(one.entry)
        made.append(one)
    return made


def kept(batches: list[FormedBatch]) -> dict[int, dict[str, float]]:
    """The kept rows by offset."""
    names = [spec.name for spec in FEATURE_COLUMNS if spec.kind == "fixed" and spec.dtype.kind in "iu"]
    found: dict[int, dict[str, float]] = {}
    for rows in (one.features for one in batches):
        if rows is not None:
            numbers = {name: rows.fixed(name).tolist() for name in names}
            for place in range(rows.count):
                row = {name: numbers[name][place] for name in names}
                found[int(row["offset"])] = row
    return found


def features_of(rows: ColumnBatch) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    column = rows.columns["features"]
    assert isinstance(column, ArrayColumn)
    assert isinstance(column.items, FixedColumn)
    return column.items.values.astype(np.float32).reshape(rows.count, N_FEATURES)


@given(st.integers(0, 2**40), st.integers(0, 1000))
def test_about_one_position_in_256_is_kept_and_always_the_same(first: int, partition: int) -> None:
    offsets = np.arange(first, first + 4096, dtype=np.uint64)
    partitions = np.full(4096, partition, np.uint64)
    chosen = by_chance(partitions, offsets)
    assert 4 <= chosen.sum() <= 40
    assert (chosen == by_chance(partitions, offsets)).all()
    assert SAMPLE_BITS == 8


def test_what_is_watched_and_what_chance_chose_is_kept_and_nothing_else() -> None:
    (one,) = formed(small_model())
    assert one.events is not None
    risk, offsets = one.events.fixed("risk").astype(int), one.events.fixed("offset").astype(int)
    status = one.events.fixed("duplicate_of").astype(int)
    chosen = by_chance(np.zeros(len(offsets), np.uint64), offsets.astype(np.uint64)) & (status < 0)
    expected = set(offsets[(risk >= WATCH_RISK) | chosen].tolist())
    assert set(kept([one])) == expected
    assert {offset for offset, row in kept([one]).items() if row["by_chance"]} == set(offsets[chosen].tolist())


def test_batching_changes_nothing_of_what_is_kept() -> None:
    def stripped(batches: list[FormedBatch]) -> dict[int, dict[str, float]]:
        return {
            offset: {name: value for name, value in row.items() if not name.startswith("batch_")}
            for offset, row in kept(batches).items()
        }

    assert stripped(formed(small_model(), size=1200)) == stripped(formed(small_model(), size=7))


def test_a_shadow_model_changes_neither_evidence_nor_alerts() -> None:
    alone, watched = formed(small_model()), formed(small_model(), small_model(seed=2))
    assert [one.entry.root for one in alone] == [one.entry.root for one in watched]
    assert [one.alerts for one in alone] == [one.alerts for one in watched]


def test_a_shadow_model_judges_as_it_would_in_force() -> None:
    champion, challenger = small_model(), small_model(seed=2)
    watched = kept(formed(champion, challenger))
    in_force = kept(formed(challenger))
    compared = {offset: (row["shadow_level"], row["shadow_floor"]) for offset, row in watched.items()}
    assert {offset: (row["level"], row["floor"]) for offset, row in in_force.items()}.items() <= compared.items()
    assert {row["shadow_level"] for row in kept(formed(champion)).values()} == {0}


def test_every_column_of_the_table_is_filled_and_features_are_those_of_the_event() -> None:
    (one,) = formed(small_model(), small_model(seed=2))
    rows = one.features
    assert rows is not None
    assert set(rows.columns) == {spec.name for spec in FEATURE_COLUMNS}
    assert np.isfinite(features_of(rows)).all()


def test_without_a_model_the_sample_is_kept_all_the_same() -> None:
    rows = kept(formed(None))
    assert rows
    assert {(row["by_chance"], row["risk"], row["level"]) for row in rows.values()} == {(1, 0, 0)}
