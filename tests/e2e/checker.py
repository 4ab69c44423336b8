"""The invariant checker: what must hold in the store after any fault, read as an auditor would read it.

One function used by every fault test. Raises AssertionError naming what is broken; returns what it counted.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from pipeline.adapters.clickhouse import ClickHouse
from pipeline.columns import ACCESS_EVENT_COLUMNS, DEAD_LETTER_COLUMNS, evidence
from pipeline.ledger.merkle import Frontier

_HERE = "topic = {topic:String} AND incarnation = {incarnation:String}"


@dataclass(frozen=True, slots=True)
class Counted:
    """What a topic's life holds in the store."""

    events: int
    dead_letters: int
    reasons: dict[str, int]
    subjects: int
    alerts: frozenset[tuple[str, str, int]]


def check(reader: ClickHouse, topic: str, incarnation: str, ends: dict[int, int]) -> Counted:
    """Checks one life of a topic against the broker's end offsets, partition by partition."""
    place = {"topic": topic, "incarnation": incarnation}
    _every_offset_once(reader, place, ends)
    _ledger_is_one_chain(reader, place, ends)
    _roots_are_the_servers_own(reader, place)
    return _derived_tables_agree(reader, place)


def check_rollups(writer: ClickHouse, topic: str, incarnation: str) -> None:
    """Rollups count every sealed event once, duplicates and heartbeats where they say so. Reads the raw tables.

    The views people read sum over all topics, so one topic's share can only be told apart below them.
    """
    place = {"topic": topic, "incarnation": incarnation}
    counted, every = _rows(
        writer,
        "SELECT countIf(duplicate_of < 0 AND NOT (action = 'log_control' AND resource_type = 'heartbeat')), count() "
        "FROM accesstrail.access_events WHERE @HERE",
        place,
    )[0]
    sealed = "FINAL WHERE @HERE AND batch_id IN (SELECT batch_id FROM accesstrail_raw.ledger WHERE @HERE)"
    for table, wanted in (("risk_actor_1h", counted), ("risk_resource_1d", counted), ("sources", every)):
        found = _rows(writer, f"SELECT sum(events) FROM accesstrail_raw.{table} {sealed}", place)[0][0]
        assert found == wanted, f"{table} counts {found} events, sealed are {wanted}"


def _rows(reader: ClickHouse, sql: str, place: dict[str, Any]) -> list[tuple[Any, ...]]:
    return reader.query(sql.replace("@HERE", _HERE), place)


def _every_offset_once(reader: ClickHouse, place: dict[str, Any], ends: dict[int, int]) -> None:
    sql = (
        "SELECT partition, sum(toUInt64(last - offset) + 1), min(offset), max(last), count() - uniqExact(offset) FROM ("
        "SELECT partition, offset, offset AS last FROM accesstrail.access_events WHERE @HERE UNION ALL "
        "SELECT partition, offset, last_offset AS last FROM accesstrail.dead_letters WHERE @HERE) GROUP BY partition"
    )
    found = {row[0]: row[1:] for row in _rows(reader, sql, place)}
    wanted = {partition: (end, 0, end - 1, 0) for partition, end in ends.items() if end}
    assert found == wanted, (
        f"offsets in the store (number, first, last, doubled) {found} are not those in the log {wanted}"
    )


def _ledger_is_one_chain(reader: ClickHouse, place: dict[str, Any], ends: dict[int, int]) -> None:
    sql = (
        "SELECT partition, first_offset, last_offset, tree_size_before, tree_size, hex(previous_hash), "
        "hex(entry_hash), n_events + n_dead_letters + n_gaps FROM accesstrail.ledger WHERE @HERE "
        "ORDER BY partition, first_offset"
    )
    next_offset: dict[int, int] = defaultdict(int)
    size: dict[int, int] = defaultdict(int)
    last_hash: dict[int, str] = defaultdict(lambda: "00" * 32)
    for partition, first, last, before, after, previous, own, leaves in _rows(reader, sql, place):
        assert first == next_offset[partition], f"partition {partition}: an entry begins at {first}: hole or fork"
        assert (before, after) == (size[partition], size[partition] + leaves), f"partition {partition}: tree size"
        assert previous == last_hash[partition], f"partition {partition}: the chain of entries is broken at {first}"
        next_offset[partition], size[partition], last_hash[partition] = last + 1, after, own
    assert dict(next_offset) == {partition: end for partition, end in ends.items() if end}


def _roots_are_the_servers_own(reader: ClickHouse, place: dict[str, Any]) -> None:
    sql = "SELECT partition, argMax(hex(root), last_offset) FROM accesstrail.ledger WHERE @HERE GROUP BY partition"
    for partition, root in _rows(reader, sql, place):
        tree = Frontier().append(leaf for _, leaf in sorted(_leaves(reader, {**place, "partition": partition})))
        assert tree.root().hex().upper() == root, f"partition {partition}: the root is not that of its rows"


def _leaves(reader: ClickHouse, place: dict[str, Any]) -> list[tuple[int, bytes]]:
    """Offset and leaf hash of every row of one partition, which the store's limit on result rows leaves room for."""
    found: list[tuple[int, bytes]] = []
    for table, specs in (("access_events", ACCESS_EVENT_COLUMNS), ("dead_letters", DEAD_LETTER_COLUMNS)):
        columns = ", ".join(f"`{spec.name}`" for spec in evidence(specs))
        sql = (
            f"SELECT offset, hex(SHA256(concat(char(0), formatRow('RowBinary', {columns})))) "
            f"FROM accesstrail.{table} WHERE @HERE AND partition = {{partition:UInt32}}"
        )
        found += [(offset, bytes.fromhex(leaf)) for offset, leaf in _rows(reader, sql, place)]
    return found


def _derived_tables_agree(reader: ClickHouse, place: dict[str, Any]) -> Counted:
    sealed = _rows(
        reader,
        "SELECT sum(n_events), sum(n_dead_letters + n_gaps), sum(n_subjects), sum(n_alerts) "
        "FROM accesstrail.ledger WHERE @HERE",
        place,
    )[0]
    counted = _rows(
        reader,
        "SELECT (SELECT count() FROM accesstrail.access_events WHERE @HERE), "
        "(SELECT count() FROM accesstrail.dead_letters WHERE @HERE), "
        "(SELECT count() FROM accesstrail.subject_access WHERE @HERE), "
        "(SELECT count() FROM accesstrail.alerts WHERE @HERE AND batch_id != 0)",  # 0: alarms of the system itself
        place,
    )[0]
    assert counted == sealed, f"rows {counted} are not what the ledger sealed {sealed}"
    listed = _rows(reader, "SELECT sum(length(subject_tokens)) FROM accesstrail.access_events WHERE @HERE", place)[0][0]
    assert listed == counted[2], "subject_access has other rows than the events list subjects"
    alerts = _rows(
        reader, "SELECT toString(event_id), detector, risk FROM accesstrail.alerts WHERE @HERE AND batch_id != 0", place
    )
    assert len(alerts) == len({*alerts}), "an alert is there twice"
    reasons = dict(
        _rows(reader, "SELECT reason, count() FROM accesstrail.dead_letters WHERE @HERE GROUP BY reason", place)
    )
    return Counted(counted[0], counted[1], reasons, counted[2], frozenset(alerts))
