"""A token is no proof that rows are there: a server killed at the wrong moment knows the token and lost the rows.

The server notes a token before it puts the rows in place. A kill between the two cannot be timed, so its outcome is
made by hand: the rows are deleted, and the token stays known.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipeline.adapters.activations import open_activations
from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.store import ClickHouseStore
from pipeline.errors import Fenced
from pipeline.events import LogPosition
from pipeline.version_sets.sets import FIRST, NO_SET, Activation
from tests.batches import Batch, batch

pytestmark = pytest.mark.stack

_VIEWS = ("access_events", "dead_letters", "subject_access", "alerts", "ledger")


def _lose(migrator: ClickHouse, table: str, position: LogPosition) -> None:
    migrator.query(
        f"ALTER TABLE accesstrail_raw.{table} DELETE WHERE incarnation = {{life:String}} SETTINGS mutations_sync = 2",
        {"life": position.incarnation},
    )


def _visible(reader: ClickHouse, position: LogPosition) -> dict[str, int]:
    sql = "SELECT count() FROM accesstrail.{view} WHERE incarnation = {{life:String}}"
    return {view: reader.query(sql.format(view=view), {"life": position.incarnation})[0][0] for view in _VIEWS}


def _made(position: LogPosition) -> Batch:
    return batch(position, None, events=40, seed=7)


def _whole(made: Batch) -> dict[str, int]:
    entry = made.entry
    dead_letters = entry.n_dead_letters + entry.n_gaps
    return dict(zip(_VIEWS, (entry.n_events, dead_letters, entry.n_subjects, entry.n_alerts, 1), strict=True))


@pytest.mark.parametrize("table", ["access_events", "dead_letters", "subject_access", "alerts"])
def test_rows_that_the_server_lost_are_written_again_before_their_batch_is_sealed(
    table: str, store: ClickHouseStore, reader: ClickHouse, migrator: ClickHouse, position: LogPosition
) -> None:
    made = _made(position)
    made.store_rows(store)
    _lose(migrator, table, position)
    made.commit(store)
    assert all(_whole(made).values())
    assert _visible(reader, position) == _whole(made)


def test_a_ledger_entry_that_the_server_lost_is_written_again(
    store: ClickHouseStore, reader: ClickHouse, migrator: ClickHouse, position: LogPosition
) -> None:
    made = _made(position)
    made.commit(store)
    _lose(migrator, "ledger", position)
    made.commit(store)
    assert _visible(reader, position) == _whole(made)


def test_where_an_entry_was_lost_still_only_one_writer_seals(
    store: ClickHouseStore, migrator: ClickHouse, reader: ClickHouse, position: LogPosition
) -> None:
    made = _made(position)
    made.commit(store)
    _lose(migrator, "ledger", position)
    other = batch(position, None, events=30, seed=8)
    other.commit(store)
    with pytest.raises(Fenced):
        made.commit(store)
    assert _visible(reader, position)["ledger"] == 1


def test_repetitions_do_not_pile_up(
    store: ClickHouseStore, migrator: ClickHouse, reader: ClickHouse, position: LogPosition
) -> None:
    """A slow store makes its writers repeat: each repetition must cost less than the insert it repeats."""
    made = _made(position)
    for _ in range(8):
        made.commit(store)
    sql = "SELECT count() FROM accesstrail_raw.access_events WHERE incarnation = {life:String}"
    assert migrator.query(sql, {"life": position.incarnation})[0][0] <= 3 * made.entry.n_events
    assert _visible(reader, position) == _whole(made)


def test_an_activation_that_the_server_lost_is_written_again(
    clickhouse_settings: Any, migrator: ClickHouse, position: LogPosition
) -> None:
    """Otherwise no version set could be put in force any more."""
    log = open_activations(clickhouse_settings)
    made = Activation(
        topic=position.incarnation, number=1, versions_id=b"v" * 32, previous_id=NO_SET, files_id=b"f" * 32, kind=FIRST,
        reason="", by_token=bytes(16), threshold=5000, activated_at_us=1_790_000_000_000_000,
    )  # fmt: skip
    assert log.append(made) == made
    migrator.query(
        "ALTER TABLE accesstrail_raw.version_activations DELETE WHERE topic = {topic:String} "
        "SETTINGS mutations_sync = 2",
        {"topic": made.topic},
    )
    assert log.newest(made.topic) is None
    assert log.append(made) == made
    other = replace(made, versions_id=b"w" * 32)
    assert log.append(other) == made
    log.close()
