"""`verify --store` on rows that no honest writer makes, but that readers of the views would see: each is found."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.store import ClickHouseStore
from pipeline.events import LogPosition
from pipeline.stages.decide import ALERT_NAMESPACE
from tests.integration.store.test_verify_store import MUTATE, RAW, History, Log, logged, sealed_history

pytestmark = [pytest.mark.stack, pytest.mark.whole_store]

BEHIND_EVERY_LOG = "toUInt64(9223372036854775808)"


@pytest.fixture
def history(
    store: ClickHouseStore, reader: ClickHouse, migrator: ClickHouse, position: LogPosition
) -> Iterator[History]:
    yield from sealed_history(store, reader, migrator, position)


def copied(table: str, values: Mapping[str, str], which: str = "1") -> str:
    """The statement that puts a changed copy of one of the history's rows into its table."""
    replaced = ", ".join(f"{value} AS {name}" for name, value in values.items())
    return (
        f"INSERT INTO {RAW}.{table} SELECT * REPLACE ({replaced}) FROM (SELECT * FROM {RAW}.{table} WHERE MINE AND "
        f"{which} LIMIT 1) SETTINGS insert_deduplicate = 0, prefer_column_name_to_alias = 1"
    )


def test_an_entry_behind_the_end_of_every_log_and_its_rows_are_found(history: History) -> None:
    """Signed numbers end there: an entry that begins behind them comes before the first one."""
    place = {"first_offset": BEHIND_EVERY_LOG, "last_offset": f"{BEHIND_EVERY_LOG} + 5"}
    history.do(copied("ledger", {**place, "batch_id": "777", "n_alerts": "0"}))
    history.do(copied("access_events", {"offset": BEHIND_EVERY_LOG, "batch_id": "777"}))
    shown = "SELECT count() FROM accesstrail.access_events WHERE batch_id = 777"
    assert history.reader.query(shown) == [(1,)]
    told = history.verify().findings.told
    assert [(one.code, one.about) for one in told] == [("row_order", "ledger: 1 rows lie behind the end of every log")]


def test_a_row_of_the_log_of_incidents_behind_the_end_of_every_log_is_found(
    reader: ClickHouse, migrator: ClickHouse, position: LogPosition
) -> None:
    log = Log.made(position, reader, migrator)
    migrator.query(
        f"INSERT INTO {RAW}.incident_log (topic, incarnation, partition, offset, incident_key, why) SELECT "
        f"'access.incidents', {{life:String}}, 1, {BEHIND_EVERY_LOG}, 'key', 'nothing was wrong'",
        {"life": position.incarnation},
    )
    try:
        assert log.verify().findings.counts["row_order"] == 1
    finally:
        log.do(f"ALTER TABLE {RAW}.incident_log DELETE WHERE MINE")


def test_entries_that_name_the_tree_of_a_log_of_incidents_take_no_checkpoint_from_it(
    reader: ClickHouse, migrator: ClickHouse, position: LogPosition
) -> None:
    """Whoever can make entries of pruned leaves that fit it could cut the log itself off."""
    log = Log.made(position, reader, migrator)
    migrator.query(
        f"INSERT INTO {RAW}.ledger (topic, incarnation, partition) SELECT 'access.incidents', {{life:String}}, 1",
        {"life": position.incarnation},
    )
    try:
        log.do(f"ALTER TABLE {RAW}.incident_log DELETE WHERE MINE AND offset > 60")
        about = [one.about for one in log.verify().findings.told if one.code == "checkpoint_beyond"]
        assert about.count("40 leaves were signed, 21 are there: the end was cut off") == 1
    finally:
        for table in ("incident_log", "ledger"):
            log.do(f"ALTER TABLE {RAW}.{table} DELETE WHERE MINE")


@pytest.mark.parametrize("change", [{"size": 190}, {"root": bytes(32)}])
def test_a_checkpoint_whose_row_says_otherwise_than_its_note_is_found(
    change: Mapping[str, Any], history: History
) -> None:
    """Reports count by the columns of the row."""
    row = {"size": history.last.tree_size, "root": history.last.root, **change}
    history.powerful.query(
        f"INSERT INTO {RAW}.checkpoints (topic, incarnation, partition, tree_size, root, note) SELECT "
        "{topic:String}, {life:String}, {part:UInt32}, {size:UInt64}, unhex({root:String}), {note:String}",
        {
            "topic": history.position.topic, "life": history.position.incarnation, "size": row["size"],
            "part": history.position.partition, "root": row["root"].hex(), "note": history.kept.decode(),
        },
    )  # fmt: skip
    try:
        assert history.verify().findings.counts == {"checkpoint_tree": 1}
    finally:
        history.do(f"ALTER TABLE {RAW}.checkpoints DELETE WHERE MINE {MUTATE}")


def test_a_dead_letter_that_goes_on_behind_the_end_of_every_log_is_found(history: History) -> None:
    history.do(
        f"ALTER TABLE {RAW}.dead_letters UPDATE last_offset = {BEHIND_EVERY_LOG} WHERE MINE AND offset = 31 {MUTATE}"
    )
    counts = history.verify().findings.counts
    assert counts["entry_root"] == 1
    assert counts["row_order"] == 1


NOTHING = {
    "event_time": "toDateTime64(0, 6, 'UTC')", "received_at": "toDateTime64(0, 6, 'UTC')",
    "actor_token": "toFixedString('', 16)", "risk": "0", "versions_id": "toFixedString('', 32)",
}  # fmt: skip


def test_features_of_no_event_are_found_although_nothing_in_them_contradicts_one(history: History) -> None:
    """What a join gives where it finds no event is what stands in them."""
    [(batch_id,)] = history.reader.query(
        "SELECT min(batch_id) FROM accesstrail.ledger WHERE incarnation = {life:String}",
        {"life": history.position.incarnation},
    )
    place = {"batch_id": str(batch_id), "incarnation": f"'{history.position.incarnation}'", "topic": "'access.events'"}
    values = ", ".join(f"{value} AS {name}" for name, value in {**NOTHING, **place, "offset": "999999"}.items())
    history.do(
        f"INSERT INTO {RAW}.features (event_time, received_at, actor_token, risk, versions_id, batch_id, incarnation, "
        f"topic, offset) SELECT {values}"
    )
    [told] = history.verify().findings.told
    assert (told.code, told.offset) == ("derived", 999_999)


def test_an_alert_that_is_shown_again_as_one_without_a_batch_is_found(history: History) -> None:
    history.do(copied("alerts", {"batch_id": "0", "explanation_en": "'nothing was wrong'"}))
    [told] = history.verify().findings.told
    assert told.code == "derived"
    assert "shown more than once" in told.about


_OF_EVENT = (
    "partition, offset, received_at, event_time, event_id, actor_token, versions_id, tenant_id, topic, incarnation, "
    "batch_id"
)


def test_an_alert_in_the_place_of_one_that_the_log_of_incidents_has_read_is_found(history: History) -> None:
    """It is of a true event of the same batch, under its right id, and the batch has as many as were sealed."""
    life = {"life": history.position.incarnation}
    try:
        assert logged(history) > 0
        [(gone, batch_id, offset)] = history.reader.query(
            "SELECT toString(alert_id), batch_id, offset FROM accesstrail.alerts WHERE incarnation = {life:String} "
            "ORDER BY offset, alert_id LIMIT 1",
            life,
        )
        [(other,)] = history.reader.query(
            "SELECT max(offset) FROM accesstrail.access_events WHERE batch_id = {batch:UInt64} AND offset NOT IN "
            "(SELECT offset FROM accesstrail.alerts WHERE incarnation = {life:String})",
            {**life, "batch": batch_id},
        )
        place = history.position
        name = f"{place.topic}:{place.incarnation}:{place.partition}:{other}:model"
        history.powerful.query(
            f"INSERT INTO {RAW}.alerts (alert_id, detector, severity, {_OF_EVENT}) SELECT {{id:UUID}}, 'model', 'low', "
            f"{_OF_EVENT} FROM accesstrail.access_events WHERE batch_id = {{batch:UInt64}} AND offset = {{at:UInt64}}",
            {"id": str(uuid.uuid5(ALERT_NAMESPACE, name)), "batch": batch_id, "at": other},
        )
        history.do(f"ALTER TABLE {RAW}.alerts DELETE WHERE MINE AND alert_id = '{gone}' {MUTATE}")
        [told] = history.verify().findings.told
        assert (told.code, told.offset) == ("derived", offset)
        assert "another one stands in its batch" in told.about
    finally:
        history.do(f"ALTER TABLE {RAW}.incident_log DELETE WHERE MINE {MUTATE}")


@pytest.mark.parametrize("change", ["event_id = generateUUIDv4()", "event_time = event_time + 1", "tenant_id = 'x'"])
def test_an_alert_of_a_scheduled_detector_shows_the_event_that_stands_at_its_place(
    change: str, history: History
) -> None:
    column, _, value = change.partition(" = ")
    honest = {"batch_id": "0", "alert_id": "generateUUIDv4()", "detector": "'volume_day'"}
    history.do(copied("alerts", honest))
    assert history.verify().findings.told == []
    history.do(copied("alerts", {**honest, column: value}))
    [told] = history.verify().findings.told
    assert told.code == "derived"
    assert "another event than stands there" in told.about
